"""Many texts at once against one after the other, for every kind of model, and the frequencies of both against the
distribution that is stated.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from test_decoding import Bigram
from test_training import SMALL
from torch import Tensor

from lmviz.config import PAIR_KINDS, TokenizerConfig
from lmviz.decoding.batch import Row, write_records, write_rows
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import GeneratedToken, generate
from lmviz.decoding.processors import Stage, stages_for, suppress
from lmviz.errors import ConfigError, LmvizError
from lmviz.models import MODELS, build_model
from lmviz.models.base import LanguageModel, State
from lmviz.settings import validated
from lmviz.tokenizers import END, Tokenizer, train_tokenizer

torch.set_num_threads(1)

LETTERS = "abcdefghijklmnopqrstuvwxyz\n"  # V = 30 with the special tokens
WAYS: list[dict[str, Any]] = [
    {"strategy": "greedy", "max_new_tokens": 25},
    {"max_new_tokens": 40},
    {"temperature": 0.5, "max_new_tokens": 13},
    {"top_k": 3, "max_new_tokens": 1},
    {"temperature": 1.3, "top_p": 0.8, "max_new_tokens": 40},
    {"min_p": 0.5, "max_new_tokens": 33},
    {"repetition_penalty": 1.4, "frequency_penalty": 0.3, "presence_penalty": 0.2, "max_new_tokens": 30},
    {"strategy": "greedy", "no_repeat_ngram": 2, "max_new_tokens": 40},
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(), [LETTERS])


def built(kind: str, tokenizer: Tokenizer) -> LanguageModel:
    """A model of a kind with weights as they are drawn, its context shorter than the texts; it can end a text."""
    config = validated({"corpus": {"name": "python"}, "model": {"kind": kind, **SMALL[kind]}}).model
    size = tokenizer.vocab_size
    torch.manual_seed(3)
    more = {"source_vocab_size": size} if kind in PAIR_KINDS else {}
    model = build_model(config, size, 48 if kind in PAIR_KINDS else 16, **more)
    if model.learns_by == "counting":
        tokens = torch.randint(3, size, (400,), generator=torch.Generator().manual_seed(1))
        tokens[::37] = END
        model.fit(tokens)  # type: ignore[operator]
    else:
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(3)
    return model


def alone(model: LanguageModel, tokenizer: Tokenizer, configs: list[DecodingConfig]) -> list[list[GeneratedToken]]:
    return [list(generate(model, tokenizer, config)) for config in configs]


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "bert"])
def test_every_row_is_what_generate_writes_alone(kind: str, tokenizer: Tokenizer) -> None:
    model = built(kind, tokenizer)
    for prompt, seed in (("", 1), ("abc", 7)):
        configs = [DecodingConfig.model_validate({**way, "prompt": prompt, "seed": seed}) for way in WAYS]
        expected = alone(model, tokenizer, configs)
        *_, rows = write_rows(model, tokenizer, configs)
        records: list[list[GeneratedToken]] = [[] for _config in configs]
        for new in write_records(model, tokenizer, configs):
            for row, tokens in zip(records, new, strict=True):
                row += tokens
        for mine, row, theirs in zip(records, rows, expected, strict=True):
            assert row.tokens == [token.id for token in mine] == [token.id for token in theirs]
            assert row.done and row.logprobs == pytest.approx([token.logprob for token in theirs], abs=1e-4)
            assert row.logprob == pytest.approx(sum(token.logprob for token in theirs), abs=1e-3)
            for one, other in zip(mine, theirs, strict=True):
                assert (one.text, one.piece) == (other.text, other.piece)
                assert one.probability == pytest.approx(other.probability, abs=1e-5)
                assert one.entropy == pytest.approx(other.entropy, abs=1e-4)
                ours, its = [p for _, p in one.alternatives], [p for _, p in other.alternatives]
                assert ours == pytest.approx(its, abs=1e-5)
    assert len({tuple(row.tokens) for row in rows}) > 4  # the ways differ


def test_the_mode_is_as_before_and_no_randomness_but_the_rows_own_is_used(tokenizer: Tokenizer) -> None:
    model = built("gpt", tokenizer)
    configs = [DecodingConfig(seed=seed, max_new_tokens=20) for seed in (1, 2)]
    expected = alone(model.eval(), tokenizer, configs)
    model.train()  # its dropout must not be seen
    before = torch.get_rng_state()
    rows: list[Row] = []
    for some in write_rows(model, tokenizer, configs):
        rows = some
        assert model.training and torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert [row.tokens for row in rows] == [[token.id for token in text] for text in expected]
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_end_each_in_their_own_way(tokenizer: Tokenizer) -> None:
    """One at <end>, one at a stop string, one at its length; what is finished is left as it is."""
    table = torch.full((tokenizer.vocab_size, tokenizer.vocab_size), -20.0)
    ids = dict(zip("abc", tokenizer.encode("abc"), strict=True))
    table[ids["a"], ids["b"]] = table[ids["b"], ids["c"]] = table[ids["c"], ids["a"]] = 5.0
    table[ids["c"], END] = 6.0
    model = Bigram(table)
    base: dict[str, Any] = {"prompt": "a", "strategy": "greedy", "max_new_tokens": 9}
    configs = [DecodingConfig(**base | more) for more in ({}, {"stop": ("bc",)}, {"max_new_tokens": 1})]
    seen = [[len(row.tokens) for row in rows] for rows in write_rows(model, tokenizer, configs)]
    *_, rows = write_rows(model, tokenizer, configs)
    assert [row.tokens for row in rows] == [[ids["b"], ids["c"], END], [ids["b"], ids["c"]], [ids["b"]]]
    assert seen == [[1, 1, 1], [3, 2, 1]]
    assert all(row.done for row in rows)


def test_stages_and_stoppers_of_ones_own_are_each_rows(tokenizer: Tokenizer) -> None:
    model = Bigram(torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size))
    only = [Stage("only", suppress([token for token in range(tokenizer.vocab_size) if token != 5]))]

    class AfterThree:
        count = 0

        def feed(self, token: int) -> bool:
            self.count += 1
            return self.count == 3

    class Never:
        def feed(self, token: int) -> bool:
            return False

    configs = [DecodingConfig(max_new_tokens=6, seed=seed) for seed in (1, 2)]
    *_, rows = write_rows(model, tokenizer, configs, [only, []], [Never(), AfterThree()])
    assert rows[0].tokens == [5] * 6 and len(rows[1].tokens) == 3 and 5 not in rows[1].tokens[:1]


@pytest.mark.parametrize("write", [write_rows, write_records])
def test_what_cannot_be_written_together_is_a_sentence(write: Callable[..., Any], tokenizer: Tokenizer) -> None:
    model = Bigram(torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size))
    for configs in (
        [],
        [DecodingConfig(prompt="a"), DecodingConfig(prompt="b")],
        [DecodingConfig(), DecodingConfig(strategy="beam")],
    ):
        with pytest.raises(ConfigError, match="same prompt"):
            list(write(model, tokenizer, configs))
    with pytest.raises(ConfigError, match="never read this"):
        write(model, tokenizer, [DecodingConfig(prompt="漢")])  # at once
    with pytest.raises(LmvizError, match="no token to choose"):
        list(write(model, tokenizer, [DecodingConfig(), DecodingConfig(temperature=1e-60)]))
    model.table.data[:] = torch.nan
    with pytest.raises(LmvizError, match="diverged"):
        list(write(model, tokenizer, [DecodingConfig()]))


# ---- frequencies ----

DRAWS = 100_000
STAGES = {"temperature": 1.3, "top_k": 12, "top_p": 0.9, "min_p": 0.14}
"""Each of the last three takes something out that the one before it leaves."""


class Forgetful(Bigram):
    """The same logits whatever came before."""

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return self.table[:1].expand(len(tokens), -1), None


def same_row(tokenizer: Tokenizer) -> tuple[Forgetful, Tensor]:
    """A model and the logits that it always gives; <end> never comes."""
    logits = torch.randn(tokenizer.vocab_size, generator=torch.Generator().manual_seed(1))
    logits[END] = -1e4
    return Forgetful(logits.expand(len(logits), -1).clone()), logits


def fits(drawn: list[int], logits: Tensor, config: DecodingConfig) -> float:
    """Chi-square of what was drawn against softmax of the logits after all stages -> the p-value; what is out must
    never come.
    """
    kept = [int(logits.isfinite().sum())]
    for stage in stages_for(config):
        logits = stage.function(logits, torch.empty(0, dtype=torch.int64))
        kept.append(int(logits.isfinite().sum()))
    assert len(drawn) == DRAWS
    if config.top_k is not None:
        assert kept == [30, 28, 28, 12, 9, 8], kept
    expected = logits.double().softmax(0)
    counts = torch.tensor(drawn).bincount(minlength=len(expected))
    possible = expected > 0
    assert int(counts[possible].sum()) == DRAWS
    return float(chisquare(counts[possible].numpy(), expected[possible].numpy() * DRAWS).pvalue)


def test_a_hundred_thousand_draws_have_the_stated_frequencies(tokenizer: Tokenizer) -> None:
    model, logits = same_row(tokenizer)
    config = DecodingConfig(**STAGES, max_new_tokens=10_000)  # type: ignore[arg-type]
    texts = [
        [token.id for token in generate(model, tokenizer, config.model_copy(update={"seed": seed}))]
        for seed in range(10)
    ]  # fmt: skip
    drawn = [token for text in texts for token in text]
    assert fits(drawn, logits, config) > 0.01
    # the test can fail: a temperature that is off by a twentieth is seen
    assert fits(drawn, logits, config.model_copy(update={"temperature": 1.365, "top_k": None, "top_p": None})) < 1e-6
    short = [config.model_copy(update={"seed": seed, "max_new_tokens": 500}) for seed in range(10)]
    *_, rows = write_rows(model, tokenizer, short)
    assert [row.tokens for row in rows] == [text[:500] for text in texts]


def test_a_hundred_thousand_draws_of_a_batch_have_the_stated_frequencies(tokenizer: Tokenizer) -> None:
    model, logits = same_row(tokenizer)
    config = DecodingConfig(temperature=1.3, max_new_tokens=500)
    *_, rows = write_rows(
        model, tokenizer, [config.model_copy(update={"seed": seed}) for seed in range(DRAWS // 500)]
    )  # fmt: skip
    assert fits([token for row in rows for token in row.tokens], logits, config) > 0.01
