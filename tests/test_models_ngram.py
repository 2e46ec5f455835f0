"""The n-gram model against the formula counted with dictionaries, and against arithmetic by hand."""

import math
from collections import Counter, defaultdict
from typing import Any

import pytest
import torch

from lmviz.config import NgramConfig
from lmviz.models import build_model
from lmviz.models.base import Batch
from lmviz.models.ngram import NgramModel


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def assert_equal(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


class WittenBell:
    """The formula as it stands, with dictionaries."""

    def __init__(self, text: list[int], vocab_size: int, order: int) -> None:
        self.vocab_size = vocab_size
        self.after: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for length in range(order):
            for i in range(length, len(text)):
                self.after[tuple(text[i - length : i])][text[i]] += 1

    def p(self, context: tuple[int, ...], token: int, order: int) -> float:
        if order == 0:
            return 1 / self.vocab_size
        context = context[len(context) - min(order - 1, len(context)) :]
        lower = self.p(context, token, len(context))
        seen = self.after.get(context)
        if not seen:
            return lower
        return (seen[token] + len(seen) * lower) / (seen.total() + len(seen))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("length", [0, 2, 40, 300])
def test_ngram_equals_counting_with_dictionaries(length: int, order: int) -> None:
    model = NgramModel(5, order)
    text = torch.randint(4, (length,))  # token 4 never occurs
    model.fit(text)
    oracle = WittenBell(text.tolist(), 5, order)
    probe = torch.randint(5, (6, 12))
    expected = torch.tensor(
        [[[oracle.p(tuple(r[: t + 1]), w, order) for w in range(5)] for t in range(12)] for r in probe.tolist()],
        dtype=torch.float64,
    )
    ours = model.probabilities(probe)
    assert_equal(ours, expected)
    assert_equal(ours.sum(-1), torch.ones(6, 12, dtype=torch.float64))
    targets = torch.randint(5, (6, 12))
    loss = -expected.gather(-1, targets[..., None]).log().mean()
    torch.testing.assert_close(model.loss(Batch(probe, targets)), loss.float())
    along = probe[0]
    assert_equal(model.target_log_probs(along), expected[0, :-1].gather(-1, along[1:, None])[:, 0].log())


def test_ngram_by_hand() -> None:
    model = NgramModel(2, 2)
    model.fit(torch.tensor([0, 1, 0]))  # "a b a": p(a) = (2 + 2/2) / (3 + 2), p(b|a) = (1 + .4) / 2
    expected = torch.tensor([[[0.3, 0.7], [0.8, 0.2]]], dtype=torch.float64)
    assert_equal(model.probabilities(torch.tensor([[0, 1]])), expected)
    assert model.parameter_count() == 4  # a, b, ab, ba


def test_ngram_losses_of_all_orders_come_from_one_fit() -> None:
    text, other = torch.randint(6, (500,)) ** 2, torch.randint(6, (200,)) ** 2
    model = NgramModel(26, 4)
    model.fit(text)
    expected = []
    for order in range(1, 5):
        alone = NgramModel(26, order)
        alone.fit(text)
        expected.append(-alone.target_log_probs(other).mean().item())
    assert model.losses_by_order(other) == pytest.approx(expected, abs=1e-12)


def test_ngram_keys_hold_a_large_vocabulary() -> None:
    text = torch.randint(50_000, (400,)).repeat(2)
    model = NgramModel(50_000, 5)
    model.fit(text)
    oracle = WittenBell(text.tolist(), 50_000, 5)
    words = text[:30].tolist()
    expected = [math.log(oracle.p(tuple(words[:i]), words[i], 5)) for i in range(1, 30)]
    assert model.target_log_probs(text[:30]).tolist() == pytest.approx(expected, abs=1e-10)


def test_an_unfitted_ngram_is_uniform() -> None:
    model = build_model(NgramConfig(order=3), 7, 8)
    torch.testing.assert_close(model(torch.tensor([[1, 2, 3]])).exp(), torch.full((1, 3, 7), 1 / 7))
