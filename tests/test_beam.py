"""Beam search against transformers' on the same weights, against brute force on tiny vocabularies, and its records."""

import itertools
import math
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from browser import ROOT
from test_decoding import Bigram
from torch import Tensor

from lmviz.config import GPTConfig, GRUConfig, NgramConfig, TokenizerConfig
from lmviz.decoding.beam import BeamsFound, BeamStep, Hypothesis, beam_search, ends_of
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.decoding.processors import Stage
from lmviz.errors import ConfigError, LmvizError
from lmviz.models import build_model
from lmviz.models.base import LanguageModel
from lmviz.models.gpt import GPT
from lmviz.models.ngram import NgramModel
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer, train_tokenizer

torch.set_num_threads(1)
LENGTH = 10
PENALTIES = [-1.5, -0.5, 0.0, 0.5, 1.0, 2.0]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(), ["abcdefgh\n"])


def search(
    model: LanguageModel, tokenizer: Tokenizer, extra: Sequence[Stage] = (), **settings: Any
) -> tuple[list[BeamStep], tuple[Hypothesis, ...]]:
    *steps, last = beam_search(model, tokenizer, DecodingConfig(strategy="beam", **settings), extra)
    assert isinstance(last, BeamsFound) and all(isinstance(step, BeamStep) for step in steps)
    return steps, last.hypotheses  # type: ignore[return-value]


# ---- transformers ----


def gpt(seed: int, tokenizer: Tokenizer, end: float, context: int = 32) -> GPT:
    """Large weights, so that texts differ; `end` is added to the logit of <end>, to the others by chance."""
    torch.manual_seed(seed)
    model = build_model(GPTConfig(d_model=16, num_heads=2, num_layers=2), tokenizer.vocab_size, context).eval()
    assert isinstance(model, GPT)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
        rare = model.embedding.weight[END]
        model.norm.bias += end * rare / rare.square().sum()
    return model


@pytest.fixture(scope="module")
def gpt2() -> Any:
    """`gpt2(model)`: transformers' GPT-2 with the weights of ours, in float64."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from generation import gpt2_of

    return lambda model: gpt2_of(model).double()


def theirs(
    model: Any, prompt: list[int], ends: Sequence[int] = (END,), **settings: Any
) -> list[tuple[list[int], float]]:
    """Tokens after the prompt and score of what transformers' beam search finds, but what has no probability."""
    begin = torch.tensor([prompt])
    found = model.generate(
        begin, attention_mask=torch.ones_like(begin), do_sample=False, pad_token_id=UNK, eos_token_id=list(ends),
        suppress_tokens=[UNK, BEGIN], num_return_sequences=settings["num_beams"], return_dict_in_generate=True,
        output_scores=True, **settings,
    )  # fmt: skip
    rows = []
    for row in found.sequences[:, len(prompt) :].tolist():
        end = next((place for place, token in enumerate(row) if token in ends), len(row))
        rows.append(row[: end + 1])  # the rest is padding
    return [(row, score) for row, score in zip(rows, found.sequences_scores.tolist(), strict=True) if score > -1e6]


def assert_same(ours: Sequence[Hypothesis], others: list[tuple[list[int], float]]) -> None:
    assert [list(one.tokens) for one in ours] == [row for row, _ in others]
    assert [one.score for one in ours] == pytest.approx([score for _, score in others], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("num_beams", [2, 3, 4, 5, 6])
def test_it_finds_what_transformers_finds(
    tokenizer: Tokenizer, gpt2: Any, num_beams: int, early_stopping: bool
) -> None:  # fmt: skip
    lengths: set[int] = set()
    for seed in range(10):
        model = gpt(seed, tokenizer, end=0.3 * seed).double()
        other = gpt2(model)
        for penalty in PENALTIES:
            settings = {"num_beams": num_beams, "length_penalty": penalty, "early_stopping": early_stopping,
                        "max_new_tokens": LENGTH}  # fmt: skip
            _, found = search(model, tokenizer, prompt="abc", **settings)
            assert_same(found, theirs(other, [BEGIN, *tokenizer.encode("abc")], **settings))
            lengths |= {one.length for one in found}
    assert len(lengths) > 4  # texts that ended early and such that did not


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ({"repetition_penalty": 1.7}, {"repetition_penalty": 1.7}),
        ({"no_repeat_ngram": 2}, {"no_repeat_ngram_size": 2}),
        ({"repetition_penalty": 0.8, "no_repeat_ngram": 3}, {"repetition_penalty": 0.8, "no_repeat_ngram_size": 3}),
    ],
)
def test_penalties_act_as_in_transformers(
    tokenizer: Tokenizer, gpt2: Any, ours: dict[str, Any], other: dict[str, Any]
) -> None:  # fmt: skip
    changed = 0
    for seed in range(6):
        model = gpt(seed, tokenizer, end=0.0).double()
        settings = {"num_beams": 4, "max_new_tokens": 7}
        _, found = search(model, tokenizer, prompt="ab", **settings, **ours)
        assert_same(found, theirs(gpt2(model), [BEGIN, *tokenizer.encode("ab")], **settings, **other))
        for one in found:
            assert one.logprob == pytest.approx(one.total)
            changed += one.logprob != pytest.approx(one.own)
    assert bool(changed) == ("repetition_penalty" in ours)


@pytest.mark.parametrize("stop", [("\n",), ("a", "b", "c")])
def test_stop_strings_are_more_ends(tokenizer: Tokenizer, gpt2: Any, stop: tuple[str, ...]) -> None:
    ends = [END, *(token for string in stop for token in tokenizer.encode(string))]
    assert ends_of(tokenizer, stop) == set(ends)
    stopped = 0
    for seed, penalty in itertools.product(range(4), (0.0, 1.0)):
        model = gpt(seed, tokenizer, end=0.0).double()
        settings = {"num_beams": 4, "max_new_tokens": LENGTH, "length_penalty": penalty}
        _, found = search(model, tokenizer, prompt="d", stop=stop, **settings)
        assert_same(found, theirs(gpt2(model), [BEGIN, *tokenizer.encode("d")], ends, **settings))
        assert all(one.finished == (one.tokens[-1] in ends) for one in found)
        stopped += sum(one.text.endswith(stop) for one in found)
    assert stopped


def test_a_token_that_holds_a_stop_string_ends_a_text() -> None:
    words = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=270), ["one two " * 20])
    ends = ends_of(words, ("o",))
    assert END in ends and len(ends) > 3
    assert all("o" in words.decode([token]) for token in ends - {END})


@pytest.mark.parametrize("penalty", [1.0, 1.7])
def test_one_beam_is_transformers_greedy_search(tokenizer: Tokenizer, gpt2: Any, penalty: float) -> None:
    begin = torch.tensor([[BEGIN, *tokenizer.encode("ab")]])
    for seed in range(6):
        model = gpt(seed, tokenizer, end=0.5).double()
        _, (one,) = search(
            model, tokenizer, prompt="ab", num_beams=1, max_new_tokens=LENGTH, repetition_penalty=penalty
        )  # fmt: skip
        other = gpt2(model).generate(
            begin, attention_mask=torch.ones_like(begin), do_sample=False, num_beams=1, max_new_tokens=LENGTH,
            pad_token_id=UNK, eos_token_id=END, suppress_tokens=[UNK, BEGIN], repetition_penalty=penalty,
        )  # fmt: skip
        assert list(one.tokens) == other[0, begin.shape[1] :].tolist()


def test_a_float32_model_finds_the_same(tokenizer: Tokenizer, gpt2: Any) -> None:
    model = gpt(7, tokenizer, end=0.0)
    settings = {"num_beams": 4, "max_new_tokens": LENGTH}
    _, found = search(model, tokenizer, **settings)
    assert_same(found, theirs(gpt2(model).float(), [BEGIN], **settings))


# ---- brute force ----


class Placed(Bigram):
    """A table a place (T, V, V): no two texts are equally probable."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        place = state or 0
        return self.table[place, tokens], place + 1


def placed(seed: int, size: int, longest: int) -> Placed:
    random = torch.Generator().manual_seed(seed)
    model = Placed(torch.randn(longest, size, size, generator=random, dtype=torch.float64) * 1.5).eval()
    model.vocab_size = size
    return model


def table(seed: int, size: int, sharpness: float = 1.5) -> Bigram:
    random = torch.Generator().manual_seed(seed)
    return Bigram(torch.randn(size, size, generator=random, dtype=torch.float64) * sharpness).eval()


def all_texts(logprobs: Tensor, longest: int) -> list[tuple[tuple[int, ...], float]]:
    """Every text that ends with <end> or has `longest` tokens, and its log-probability by a table a place (T, V, V)."""
    letters = range(END + 1, logprobs.shape[2])
    found = []
    for length in range(1, longest + 1):
        for body in itertools.product(letters, repeat=length - 1):
            for last in (END, *letters) if length == longest else (END,):
                text = (*body, last)
                pairs = itertools.pairwise((BEGIN, *text))
                found.append((text, math.fsum(float(logprobs[t, a, b]) for t, (a, b) in enumerate(pairs))))
    return found


@pytest.mark.parametrize("letters", [1, 2])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_with_room_for_every_beginning_it_is_exhaustive(letters: int, penalty: float) -> None:
    """Nothing is pruned then, so the best texts are those of brute force."""
    longest, beams = 4, 32
    tokenizer = train_tokenizer(TokenizerConfig(), ["ab"[:letters]])
    for seed in range(5):
        model = placed(seed, 3 + letters, longest)
        every = all_texts(model.table.detach().log_softmax(2), longest)
        best = sorted(every, key=lambda one: -one[1] / len(one[0]) ** penalty)
        steps, found = search(model, tokenizer, num_beams=beams, length_penalty=penalty, max_new_tokens=longest)
        assert len(found) == min(beams, len(every)) and len(steps) == longest
        assert [one.tokens for one in found] == [text for text, _ in best[:beams]]
        assert [one.logprob for one in found] == pytest.approx([logprob for _, logprob in best[:beams]], abs=1e-12)
        for one in found:
            assert one.score == pytest.approx(one.logprob / one.length**penalty, abs=1e-12)
            assert one.own == pytest.approx(one.logprob, abs=1e-12)
            assert one.finished == (one.tokens[-1] == END) and one.text == tokenizer.decode(one.tokens)


@pytest.mark.parametrize("kind", ["gpt", "gru", "ngram", "bigram"])
def test_one_beam_is_greedy_search(tokenizer: Tokenizer, kind: str) -> None:
    torch.manual_seed(4)
    config = {"gpt": GPTConfig(d_model=16, num_heads=2), "gru": GRUConfig(hidden_size=9), "ngram": NgramConfig()}
    for settings in ({}, {"repetition_penalty": 1.3}, {"no_repeat_ngram": 2, "frequency_penalty": 0.4}):
        model = table(3, tokenizer.vocab_size) if kind == "bigram" else build_model(
            config[kind], tokenizer.vocab_size, 12
        ).eval()  # fmt: skip
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        if isinstance(model, NgramModel):
            model.fit(torch.tensor(tokenizer.encode("abca\ncahabab\ndeabchbabc")))
        shared = {"prompt": "ab", "max_new_tokens": 30, **settings}
        greedy = list(generate(model, tokenizer, DecodingConfig(strategy="greedy", **shared)))
        _, (one,) = search(model, tokenizer, num_beams=1, **shared)
        assert list(one.tokens) == [token.id for token in greedy]
        assert list(one.pieces) == [token.piece for token in greedy]
        assert one.own == pytest.approx(sum(token.logprob for token in greedy), abs=1e-4)


# ---- groups ----


def diverse(logprobs: Tensor, groups: int, size: int, strength: float, longest: int, penalty: float) -> list[Any]:
    """Algorithm 1 of Vijayakumar et al. 2016 in plain Python, with transformers' rules for what is finished."""
    beams: list[list[tuple[tuple[int, ...], float]]] = [[((), 0.0)] for _ in range(groups)]
    done: list[list[tuple[float, tuple[int, ...]]]] = [[] for _ in range(groups)]
    for length in range(1, longest + 1):
        taken: list[int] = []
        for g in range(groups):
            ways = [
                (total + float(logprobs[(BEGIN, *text)[-1], token]) - strength * taken.count(token), (*text, token))
                for text, total in beams[g]
                for token in range(END, len(logprobs))
            ]  # fmt: skip
            ways = sorted(ways, reverse=True)[: 2 * size]
            open_ways = [way for way in ways if way[1][-1] != END][:size]
            taken += [text[-1] for _, text in open_ways]
            finished = [way for way in ways[:size] if way[1][-1] == END or length == longest]
            done[g] = sorted(done[g] + [(s / length**penalty, text) for s, text in finished], reverse=True)[:size]
            beams[g] = [(text, total) for total, text in open_ways] if length < longest else []
            if len(done[g]) == size and beams[g] and beams[g][0][1] / length**penalty <= done[g][-1][0]:
                beams[g] = []
    return sorted((one for ended in done for one in ended), reverse=True)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 5.0])
@pytest.mark.parametrize(("groups", "size"), [(2, 1), (2, 2), (3, 2), (4, 1)])
def test_groups_are_those_of_the_paper(groups: int, size: int, strength: float) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(), ["abcd"])
    different = charged = 0
    for seed, penalty in itertools.product(range(4), (0.0, 1.0)):
        model = table(seed, 7)
        expected = diverse(model.table.detach().log_softmax(1), groups, size, strength, 6, penalty)
        _, found = search(
            model, tokenizer, num_beams=groups * size, beam_groups=groups, diversity_penalty=strength,
            max_new_tokens=6, length_penalty=penalty,
        )  # fmt: skip
        assert sorted((one.score, one.tokens) for one in found) == [
            (pytest.approx(score, abs=1e-12), text) for score, text in expected[::-1]
        ]
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        different += len({one.tokens for one in found}) > size
        charged += sum(one.total < one.logprob - 1e-9 for one in found)
    assert bool(different) == bool(strength)
    assert charged or strength != 0.3  # a strong penalty is avoided


def test_without_a_penalty_every_group_is_a_plain_search(tokenizer: Tokenizer) -> None:
    model = gpt(2, tokenizer, end=0.0)
    shared = {"prompt": "a", "max_new_tokens": 8}
    _, plain = search(model, tokenizer, num_beams=2, **shared)
    _, grouped = search(model, tokenizer, num_beams=6, beam_groups=3, **shared)
    assert len(plain) == 2
    for number in range(3):
        mine = [one for one in grouped if one.group == number]
        assert [one.tokens for one in mine] == [one.tokens for one in plain]
        assert [one.score for one in mine] == pytest.approx([one.score for one in plain], abs=1e-5)


def test_one_group_is_a_plain_search_whatever_the_penalty(tokenizer: Tokenizer) -> None:
    model = gpt(2, tokenizer, end=0.0)
    assert search(model, tokenizer, num_beams=3, max_new_tokens=8) == search(
        model, tokenizer, num_beams=3, max_new_tokens=8, beam_groups=1, diversity_penalty=3.0
    )


def test_groups_share_the_beams_evenly() -> None:
    with pytest.raises(ConfigError, match="4 beams cannot be shared evenly among 3 groups"):
        DecodingConfig(num_beams=4, beam_groups=3)
    DecodingConfig(num_beams=6, beam_groups=3)


# ---- records ----


def test_the_steps_are_a_tree(tokenizer: Tokenizer) -> None:
    model = gpt(4, tokenizer, end=0.5).double()
    steps, found = search(model, tokenizer, num_beams=3, prompt="ab", max_new_tokens=9)
    nodes = {node.id: node for step in steps for node in step.candidates}
    assert list(nodes) == list(range(1, len(nodes) + 1))
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    before = {0}
    ended = set()
    for step in steps:
        assert [node.rank for node in step.candidates] == list(range(6))
        totals = [node.total for node in step.candidates]
        assert totals == sorted(totals, reverse=True)
        kept = [node for node in step.candidates if node.fate == "kept"]
        assert len(kept) == (3 if step.number < 9 else 0)
        for node in step.candidates:
            assert node.parent in before and node.text == tokenizer.token_text(node.token)
            parent = nodes[node.parent].total if node.parent else 0.0
            assert node.total == pytest.approx(parent + node.logprob, abs=1e-12) and node.own == node.logprob
            assert (node.fate == "finished") == (node.rank < 3 and (node.token == END or step.number == 9))
            ended |= {node.id} if node.fate == "finished" else set()
        before = {node.id for node in kept}
    for one in found:
        assert one.node in ended and nodes[one.node].total == one.total
        path = [nodes[one.node]]
        while path[-1].parent:
            path.append(nodes[path[-1].parent])
        assert tuple(node.token for node in reversed(path)) == one.tokens
        assert one.text == tokenizer.decode(one.tokens) == "".join(one.pieces)
        tokens = torch.tensor([[BEGIN, *tokenizer.encode("ab"), *one.tokens]])
        own = model(tokens[:, :-1]).log_softmax(2)[0].gather(1, tokens[0, 1:, None])[-one.length :, 0]
        assert list(one.logprobs) == pytest.approx(own.tolist(), abs=1e-9)
    assert len(found) == 3 and {len(one.tokens) for one in found} != {9}


def test_a_beam_search_goes_beyond_the_window(tokenizer: Tokenizer) -> None:
    model = gpt(1, tokenizer, end=-3.0, context=8).double()
    _, found = search(model, tokenizer, num_beams=3, max_new_tokens=20)
    whole = [BEGIN, *found[0].tokens]
    with torch.no_grad():
        own = [
            float(model(torch.tensor([whole[max(0, n - 8) : n]]))[0, -1].log_softmax(0)[whole[n]])
            for n in range(1, len(whole))
        ]
    assert found[0].length == 20 and list(found[0].logprobs) == pytest.approx(own, abs=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_gradients_are_as_before_at_every_record(tokenizer: Tokenizer, training: bool) -> None:
    model = gpt(1, tokenizer, end=0.0).train(training)
    for _ in beam_search(model, tokenizer, DecodingConfig(max_new_tokens=5)):
        assert model.training is training and torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_what_cannot_be_searched_is_a_sentence(tokenizer: Tokenizer) -> None:
    model = table(1, tokenizer.vocab_size)
    with pytest.raises(ConfigError, match="none of this model holds the stop string ab"):
        beam_search(model, tokenizer, DecodingConfig(stop=("a", "ab")))
    with pytest.raises(ConfigError, match="never read"):
        beam_search(model, tokenizer, DecodingConfig(prompt="画"))
    nothing = Stage("nothing", lambda logits, history: torch.full_like(logits, -torch.inf))
    with pytest.raises(LmvizError, match="no token to choose from"):
        search(model, tokenizer, [nothing])
    model.table.data[BEGIN] = torch.nan
    with pytest.raises(LmvizError, match="diverged"):
        search(model, tokenizer)
