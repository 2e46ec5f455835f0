"""Decoding against transformers' logits processors, brute force, and a bigram table whose answers are known."""

import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers.generation import logits_process as hf

from lmviz.config import TokenizerConfig
from lmviz.decoding import generate as generate_module
from lmviz.decoding import processors
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import GeneratedToken, generate
from lmviz.errors import ConfigError, LmvizError
from lmviz.models.base import LanguageModel, State
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer, train_tokenizer

torch.set_num_threads(1)


class Bigram(LanguageModel):
    """Logits of the next token looked up by the last one; dropout shows whether the mode is right."""

    context_length = None

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table)
        self.dropout = torch.nn.Dropout(0.5)
        self.vocab_size = len(table)

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.dropout(self.table[tokens])
        return logits

    def initial_state(self, batch_size: int) -> State:
        return None

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return self.dropout(self.table[tokens]), None

    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        return {}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(), ["abcdefgh\n"])


@pytest.fixture
def model(tokenizer: Tokenizer) -> Bigram:
    return Bigram(torch.randn(tokenizer.vocab_size, tokenizer.vocab_size, generator=torch.Generator().manual_seed(4)))


def random_logits(seed: int, size: int) -> tuple[Tensor, Tensor]:
    """Logits with ties and tokens that are out, and a history with repetitions."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, generator=generator) * 3
    if seed % 3 == 0:
        logits = logits.round()  # many ties
    if seed % 4 == 1:
        logits[torch.randint(size, (size // 3,), generator=generator)] = -torch.inf
    some = torch.randint(size, (3,), generator=generator)
    return logits, some[torch.randint(3, (12,), generator=generator)]


@pytest.mark.parametrize("size", [5, 97, 1000])
@pytest.mark.parametrize("seed", range(12))
def test_processors_equal_transformers(seed: int, size: int) -> None:
    logits, history = random_logits(seed, size)
    pairs = [
        *((processors.temperature(t), hf.TemperatureLogitsWarper(t)) for t in (0.3, 1.0, 2.5)),
        *((processors.top_k(k), hf.TopKLogitsWarper(k)) for k in (1, 3, 50, 5000)),
        *((processors.top_p(p), hf.TopPLogitsWarper(p)) for p in (1e-6, 0.3, 0.9, 0.999, 1.0)),
        *((processors.repetition_penalty(p), hf.RepetitionPenaltyLogitsProcessor(p)) for p in (0.7, 1.0, 1.3)),
        *((processors.min_p(p), hf.MinPLogitsWarper(p)) for p in (0.0, 0.05, 0.5, 1.0)),
        *((processors.no_repeat_ngram(n), hf.NoRepeatNGramLogitsProcessor(n)) for n in (1, 2, 3, 9)),
    ]
    for ours, theirs in pairs:
        before = logits.clone()
        assert torch.equal(ours(logits, history), theirs(history[None], logits[None].clone())[0])
        assert torch.equal(logits, before)  # pure


@pytest.mark.parametrize("seed", range(12))
def test_the_whole_pipeline_equals_transformers_in_its_order(seed: int) -> None:
    logits, history = random_logits(seed, 60)
    config = DecodingConfig(
        temperature=0.8, top_k=20, top_p=0.9, min_p=0.05, repetition_penalty=1.2, no_repeat_ngram=2
    )  # fmt: skip
    stages = processors.stages_for(config)
    assert [stage.name for stage in stages] == [
        "special", "repetition_penalty", "no_repeat_ngram", "temperature", "top_k", "top_p", "min_p"
    ]  # fmt: skip
    theirs = hf.LogitsProcessorList(
        [
            hf.SuppressTokensLogitsProcessor([UNK, BEGIN], device="cpu"),
            hf.RepetitionPenaltyLogitsProcessor(1.2),
            hf.NoRepeatNGramLogitsProcessor(2),
            hf.TemperatureLogitsWarper(0.8),
            hf.TopKLogitsWarper(20),
            hf.TopPLogitsWarper(0.9),
            hf.MinPLogitsWarper(0.05),
        ]
    )(history[None], logits[None].clone())[0]  # type: ignore[arg-type]
    for stage in stages:
        logits = stage.function(logits, history)
    assert torch.equal(logits, theirs)


@pytest.mark.parametrize("seed", range(6))
def test_penalties_count_what_was_written_and_not_the_prompt(seed: int) -> None:
    """By the formula of OpenAI's API: logit - count * frequency_penalty - (count > 0) * presence_penalty."""
    logits, history = random_logits(seed, 9)
    counts = Counter(history[5:].tolist())
    expected = [
        value - counts[token] * 0.7 - (0.4 if counts[token] else 0) for token, value in enumerate(logits.tolist())
    ]
    config = DecodingConfig(frequency_penalty=0.7, presence_penalty=0.4)
    before = logits.clone()
    found = logits.index_fill(0, torch.tensor([UNK, BEGIN]), -torch.inf)
    for stage in processors.stages_for(config, start=5):
        found = stage.function(found, history)
    assert torch.equal(logits, before)
    assert found[3:].tolist() == pytest.approx(expected[3:], abs=1e-5)
    assert len(counts) < len(history) - 5 < sum(counts.values()) + 1  # some came twice


def test_a_temperature_close_to_nothing_is_greedy(model: Bigram, tokenizer: Tokenizer) -> None:
    cold = generate(model, tokenizer, DecodingConfig(temperature=1e-4, max_new_tokens=40))
    greedy = generate(model, tokenizer, DecodingConfig(strategy="greedy", max_new_tokens=40))
    assert [token.id for token in cold] == [token.id for token in greedy]


def test_no_run_of_tokens_comes_twice(model: Bigram, tokenizer: Tokenizer) -> None:
    model.table.data[:, END] = -torch.inf
    found = [
        token.id for token in generate(
            model, tokenizer, DecodingConfig(prompt="abab", strategy="greedy", no_repeat_ngram=2, max_new_tokens=30)
        )
    ]  # fmt: skip
    text = [BEGIN, *tokenizer.encode("abab"), *found]
    pairs = Counter(pairwise(text[4:]))  # the prompt's own repetition is not undone
    assert max(pairs.values()) == 1 and tuple(tokenizer.encode("ba")) not in pairs


@pytest.mark.parametrize("stop", [("\n",), ("zz", "cab"), ("a",)])
def test_a_text_ends_with_the_token_that_completes_a_stop_string(
    model: Bigram, tokenizer: Tokenizer, stop: tuple[str, ...]
) -> None:
    model.table.data[:, END] = -torch.inf
    whole = "".join(t.piece for t in generate(model, tokenizer, DecodingConfig(max_new_tokens=3000, temperature=3)))
    config = DecodingConfig(max_new_tokens=3000, temperature=3, stop=stop)
    found = "".join(token.piece for token in generate(model, tokenizer, config))
    end = min(whole.index(string) + len(string) for string in stop if string in whole)
    assert found == whole[:end]


def test_a_stop_string_is_seen_across_tokens_and_bytes() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=260), ["画蛇添足"])
    ids = tokenizer.encode("画蛇添足画蛇")
    stopper = generate_module.Stopper(tokenizer, ("添足画",))
    assert [stopper.feed(token) for token in ids].index(True) + 1 == len(tokenizer.encode("画蛇添足画"))


@pytest.mark.parametrize("stop", ["abcd", "abcdefgh", "ab", "h"])
def test_a_stop_string_is_found_wherever_it_begins(tokenizer: Tokenizer, stop: str) -> None:
    for before in ("", "h", "abab", "abc" * 5):
        stopper = generate_module.Stopper(tokenizer, (stop, "zzz"))
        text = before.replace(stop, "") + stop
        seen = [stopper.feed(token) for token in tokenizer.encode(text)]
        assert seen.index(True) == text.index(stop) + len(stop) - 1


def test_a_stage_of_ones_own_comes_first(model: Bigram, tokenizer: Tokenizer) -> None:
    only = processors.Stage("only", lambda logits, history: logits.where(torch.arange(len(logits)) == 5, -torch.inf))
    found = list(generate(model, tokenizer, DecodingConfig(max_new_tokens=4, top_k=2), [only]))
    assert [token.id for token in found] == [5] * 4 and all(token.probability == 1 for token in found)


def test_top_k_keeps_ties_and_takes_k_beyond_the_vocabulary() -> None:
    logits = torch.tensor([1.0, 2.0, 2.0, 2.0, 0.0])
    assert processors.top_k(2)(logits, torch.empty(0)).isfinite().tolist() == [False, True, True, True, False]
    assert torch.equal(processors.top_k(99)(logits, torch.empty(0)), logits)


def test_what_is_off_is_left_out() -> None:
    def names(**settings: object) -> list[str]:
        return [stage.name for stage in processors.stages_for(DecodingConfig.model_validate(settings))]

    assert names() == names(top_p=1.0, temperature=1) == ["special"]
    assert names(strategy="greedy", temperature=0.1, top_k=2, top_p=0.1) == ["special"]
    assert names(strategy="greedy", repetition_penalty=2) == ["special", "repetition_penalty"]


@pytest.mark.parametrize(
    "bad",
    [{"temperature": 0}, {"temperature": -1}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.1}, {"repetition_penalty": 0},
     {"max_new_tokens": 0}, {"seed": -1}, {"strategy": "best"}, {"min_p": 1.1}, {"no_repeat_ngram": -1}, {"stop": [""]},
     {"num_beams": 0}, {"frequency_penalty": math.inf}, {"temperature": math.nan}, {"prompt": "a" * 100_001}],
)  # fmt: skip
def test_config_refuses(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DecodingConfig.model_validate(bad)


def test_the_config_imports_no_torch_and_every_field_says_its_meaning() -> None:
    code = "import sys, lmviz.decoding.config; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    assert all(field.description for field in DecodingConfig.model_fields.values())


def test_greedy_follows_the_table(model: Bigram, tokenizer: Tokenizer) -> None:
    config = DecodingConfig(prompt="ab", strategy="greedy", temperature=9, max_new_tokens=30)
    found = list(generate(model, tokenizer, config))
    last = tokenizer.encode("ab")[-1]
    expected: list[int] = []
    while len(expected) < 30 and (not expected or last != END):
        last = max(set(range(model.vocab_size)) - {UNK, BEGIN}, key=model.table[last].tolist().__getitem__)
        expected.append(last)
    assert [token.id for token in found] == expected


def test_records_tell_the_model_s_own_distribution(model: Bigram, tokenizer: Tokenizer) -> None:
    config = DecodingConfig(prompt="c", temperature=0.5, top_k=3, max_new_tokens=40, seed=5)
    last = tokenizer.encode("c")[-1]
    for token in generate(model, tokenizer, config):
        row = model.table[last].detach().double()
        own = row.softmax(0)
        assert token.logprob == pytest.approx(math.log(own[token.id]), abs=1e-5)
        assert token.entropy == pytest.approx(-float((own * own.log()).sum()), abs=1e-5)
        best = own.argsort(descending=True)[:5].tolist()
        assert [text for text, _ in token.alternatives] == [tokenizer.token_text(i) for i in best]
        assert [p for _, p in token.alternatives] == pytest.approx(own[best].tolist(), abs=1e-5)
        kept = sorted((float(row[i]) / 0.5 for i in range(len(row)) if i not in (UNK, BEGIN)), reverse=True)[:3]
        total = math.fsum(map(math.exp, kept))
        assert token.probability == pytest.approx(math.exp(float(row[token.id]) / 0.5) / total, abs=1e-5)
        assert token.text == tokenizer.token_text(token.id)
        last = token.id


def test_draws_have_the_right_frequencies(tokenizer: Tokenizer) -> None:
    row = torch.randn(tokenizer.vocab_size, generator=torch.Generator().manual_seed(1))
    row[END] = -torch.inf
    model = Bigram(row.expand(tokenizer.vocab_size, -1).clone())
    row[[UNK, BEGIN]] = -torch.inf
    expected = row.div(1.5).softmax(0)
    drawn = Counter(t.id for t in generate(model, tokenizer, DecodingConfig(temperature=1.5, max_new_tokens=6000)))
    for i, p in enumerate(expected.tolist()):
        assert abs(drawn[i] / 6000 - p) <= 5 * math.sqrt(p * (1 - p) / 6000)


def test_the_seed_decides_and_torch_s_own_generator_is_left_alone(model: Bigram, tokenizer: Tokenizer) -> None:
    def run(seed: int) -> list[GeneratedToken]:
        return list(generate(model, tokenizer, DecodingConfig(seed=seed, max_new_tokens=60)))

    before = torch.get_rng_state()
    first = run(7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert run(7) == first
    assert run(8) != first


def test_special_tokens_never_come_and_end_stops(tokenizer: Tokenizer) -> None:
    table = torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size)
    table[:, [UNK, BEGIN]] = 50.0
    found = list(generate(Bigram(table), tokenizer, DecodingConfig(max_new_tokens=500)))
    assert not {UNK, BEGIN} & {token.id for token in found}
    assert found[-1].id == END and END not in [token.id for token in found[:-1]] and len(found) < 500
    assert (found[-1].text, found[-1].piece) == ("<end>", "")
    table[:, END] = -torch.inf
    assert len(list(generate(Bigram(table), tokenizer, DecodingConfig(max_new_tokens=11)))) == 11


def test_an_empty_prompt_starts_from_begin(tokenizer: Tokenizer) -> None:
    table = torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size)
    table[BEGIN, 5] = 9.0
    config = DecodingConfig(strategy="greedy", max_new_tokens=1)
    assert [token.id for token in generate(Bigram(table), tokenizer, config)] == [5]


def test_unknown_characters_are_named_at_once(model: Bigram, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="never read this: 画 蛇\\.") as caught:
        generate(model, tokenizer, DecodingConfig(prompt="ab画c蛇画"))
    assert caught.value.values == {"characters": "画 蛇"}
    with pytest.raises(ConfigError, match=r"\.\.\. "):
        generate(model, tokenizer, DecodingConfig(prompt="画蛇添足守株待兔亡羊补牢"))


def test_pieces_make_the_text_even_from_broken_bytes() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=260), ["画蛇添足 👩🏽‍🚀"])
    model = Bigram(torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size))
    for seed in range(5):
        found = list(generate(model, tokenizer, DecodingConfig(seed=seed, max_new_tokens=200)))
        assert "".join(t.piece for t in found) == tokenizer.decode(t.id for t in found)


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_gradients_are_as_before_at_every_record(model: Bigram, tokenizer: Tokenizer, training: bool) -> None:
    model.train(training)
    stream = generate(model, tokenizer, DecodingConfig(seed=3, max_new_tokens=9))
    ids = []
    for token in stream:
        ids.append(token.id)
        assert model.training == model.dropout.training == training
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    model.eval()
    assert ids == [t.id for t in generate(model, tokenizer, DecodingConfig(seed=3, max_new_tokens=9))]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_diverged_model_is_a_sentence(tokenizer: Tokenizer, value: float) -> None:
    model = Bigram(torch.full((tokenizer.vocab_size, tokenizer.vocab_size), value)).train()
    with pytest.raises(LmvizError, match="diverged"):
        list(generate(model, tokenizer, DecodingConfig()))
    assert model.training


def test_a_model_that_diverges_on_the_way_hands_out_what_came_before(tokenizer: Tokenizer) -> None:
    """Five sure steps, then a row that is no number: the same records and the same end whatever the block."""
    table = torch.full((tokenizer.vocab_size, tokenizer.vocab_size), -30.0)
    for token in range(3, 8):
        table[token, token + 1] = 30.0
    table[BEGIN, 3] = 30.0
    table[8] = math.nan
    found = []
    with pytest.raises(LmvizError, match="diverged"):
        for token in generate(Bigram(table), tokenizer, DecodingConfig()):
            found.append(token.id)
    assert found == [3, 4, 5, 6, 7, 8]


def test_a_temperature_that_leaves_nothing_is_a_sentence(model: Bigram, tokenizer: Tokenizer) -> None:
    with pytest.raises(LmvizError, match="Raise the temperature"):
        list(generate(model, tokenizer, DecodingConfig(temperature=1e-60)))


def test_draws_are_those_of_multinomial(model: Bigram, tokenizer: Tokenizer) -> None:
    config = DecodingConfig(temperature=1.3, top_k=6, max_new_tokens=400, seed=11)
    model.table.data[:, END] = -40.0
    generator = torch.Generator().manual_seed(11)
    last, expected = BEGIN, []
    for _ in range(400):
        logits = model.table[last].detach()
        for stage in processors.stages_for(config):
            logits = stage.function(logits, torch.empty(0))
        last = int(logits.softmax(0).multinomial(1, generator=generator))
        expected.append(last)
    assert [token.id for token in generate(model, tokenizer, config)] == expected


@pytest.mark.parametrize("settings", [{}, {"strategy": "greedy"}, {"repetition_penalty": 1.5, "top_p": 0.8}])
@pytest.mark.parametrize(("block", "seconds"), [(1, 60.0), (5, 60.0), (1000, 60.0), (1000, 0.0)])
def test_records_do_not_depend_on_the_block(
    block: int, seconds: float, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=260), ["画蛇添足"])
    generator = torch.Generator().manual_seed(4)
    model = Bigram(torch.randn(tokenizer.vocab_size, tokenizer.vocab_size, generator=generator) * 2)
    config = DecodingConfig.model_validate({"max_new_tokens": 100, "seed": 5, **settings})
    expected = list(generate(model, tokenizer, config))
    monkeypatch.setattr(generate_module, "BLOCK", block)
    monkeypatch.setattr(generate_module, "BLOCK_SECONDS", seconds)
    found = list(generate(model, tokenizer, config))
    assert [(t.id, t.text, t.piece) for t in found] == [(t.id, t.text, t.piece) for t in expected]
    for ours, theirs in zip(found, expected, strict=True):
        numbers = [(t.logprob, t.probability, t.entropy, *(p for _, p in t.alternatives)) for t in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-5, abs=1e-6)


def test_the_first_token_is_there_at_once_and_an_abandoned_text_costs_a_block(
    model: Bigram, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = Bigram.step
    monkeypatch.setattr(Bigram, "step", lambda *args: made.append(1) or original(*args))
    monkeypatch.setattr(generate_module, "BLOCK_SECONDS", 60.0)
    model.table.data[:, END] = -torch.inf
    stream = generate(model, tokenizer, DecodingConfig(max_new_tokens=500))
    assert not made
    for count in range(1, 200):
        next(stream)
        assert count <= len(made) <= 2 * count - 1 and len(made) < count + generate_module.BLOCK
    assert len(made) > 200


def test_a_slow_model_is_handed_out_token_by_token(
    model: Bigram, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = Bigram.step
    monkeypatch.setattr(Bigram, "step", lambda *args: made.append(1) or original(*args))
    monkeypatch.setattr(generate_module, "BLOCK_SECONDS", 0.0)
    for count, _ in enumerate(generate(model, tokenizer, DecodingConfig(max_new_tokens=9)), 1):
        assert len(made) == count


def test_the_loop_costs_little(model: Bigram, tokenizer: Tokenizer) -> None:
    """What generating adds to the model's own step; 0.1 ms a token on an idle machine."""
    model.table.data[:, END] = -torch.inf
    config = DecodingConfig(max_new_tokens=500, temperature=0.8)
    model.eval()
    start = time.process_time()
    assert len(list(generate(model, tokenizer, config))) == 500
    assert time.process_time() - start < 0.5
