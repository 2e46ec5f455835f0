"""Sequences of the tasks in lmviz.corpora.tasks as batches, and how good a model is at them.

A draw depends on its generator alone, so a run that goes on from a kept state goes on with the same sequences.
Shapes: B batch, T time, V vocabulary, K copied letters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lmviz.config import CorpusConfig, TrainingConfig
from lmviz.corpora.tasks import (
    BLANK,
    COPIED,
    DIGITS,
    GO,
    LETTERS,
    MARKED,
    NOISE,
    QUESTION,
    REPEATED,
    SUMS,
    TEST_TOKENS,
    fingerprint,
    mean_length,
    measured_lags,
    mixed_lag,
    sequences_tested,
    task_of,
)
from lmviz.decoding.generate import evaluating
from lmviz.models.base import UNSCORED, Batch, LanguageModel
from lmviz.tokenizers import BEGIN, Tokenizer, char_tokenizer
from lmviz.training.made import Draws, MadeData

TEST_SEED = 20_161_997
"""Of the sequences that every validation measures: the same for all runs, and none of a run's own randomness."""

Draw = Callable[["Ids", int, int, torch.Generator], Batch]
"""(ids, lag, B, generator) -> B sequences."""


class Ids:
    """Token ids of a task's symbols: `ids(LETTERS)` is a tensor of their ids, in order."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._known: dict[str, Tensor] = {}

    def __call__(self, symbols: str) -> Tensor:
        if symbols not in self._known:
            self._known[symbols] = torch.tensor(self.tokenizer.encode(symbols))
        return self._known[symbols]


def remember_first(ids: Ids, lag: int, size: int, generator: torch.Generator) -> Batch:
    """A letter, lag - 1 digits of noise, the question."""
    letter = ids(LETTERS)[torch.randint(len(LETTERS), (size, 1), generator=generator)]  # (B, 1)
    noise = ids(NOISE)[torch.randint(len(NOISE), (size, lag - 1), generator=generator)]  # (B, lag - 1)
    return _asked(torch.cat([letter, noise], 1), ids(QUESTION).expand(size, 1), letter)


def copy(ids: Ids, lag: int, size: int, generator: torch.Generator) -> Batch:
    """K letters, blanks, the go mark; then each answer but the last is read, as in any text."""
    letters = ids(LETTERS)[torch.randint(len(LETTERS), (size, COPIED), generator=generator)]  # (B, K)
    before = torch.cat([letters, ids(BLANK).expand(size, lag)], 1)
    return _asked(before, torch.cat([ids(GO).expand(size, 1), letters[:, :-1]], 1), letters)


def adding(ids: Ids, lag: int, size: int, generator: torch.Generator) -> Batch:
    """Digits, the first and one other marked, the question."""
    digits = torch.randint(len(DIGITS), (size, lag), generator=generator)  # (B, lag)
    second = torch.randint(1, lag, (size, 1), generator=generator)  # its place
    places = torch.cat([torch.zeros_like(second), second], 1)  # (B, 2)
    chosen = digits.gather(1, places)
    tokens = ids(DIGITS)[digits].scatter(1, places, ids(MARKED)[chosen])
    return _asked(tokens, ids(QUESTION).expand(size, 1), ids(SUMS)[chosen.sum(1, keepdim=True)])


def repeat(ids: Ids, lag: int, size: int, generator: torch.Generator) -> Batch:
    """2 lag random letters in which a passage comes twice, with a length and at places of its own in each sequence.

    With one period for all of a sequence, or none but whole repetitions, a model finds fixed distances to go by
    (measured: layer 1 looks about 11 back, layer 2 about 9 more) and no head does what the task is there for.
    """

    def draw(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (size, 1), generator=generator)  # (B, 1)

    letters = torch.randint(len(REPEATED), (size, 2 * lag), generator=generator)  # (B, 2 lag)
    length, first, gap = draw(lag // 4, lag * 5 // 8 + 1), draw(0, lag // 4), draw(0, lag // 2)
    second = first + length + gap  # 2 lag at most with its passage
    places = torch.arange(2 * lag).expand(size, -1)
    again = (places >= second) & (places < second + length)
    tokens = ids(REPEATED)[letters.gather(1, torch.where(again, places - second + first, places))]
    inputs = torch.cat([torch.full_like(tokens[:, :1], BEGIN), tokens[:, :-1]], 1)
    return Batch(inputs, tokens.masked_fill(~(again & (places > second)), UNSCORED))


def _asked(before: Tensor, asking: Tensor, answers: Tensor) -> Batch:
    """Inputs (B, T) = <begin>, before, then what asks for each of the answers; all but the answers is not scored.

    <begin> is no part of the task, but whatever is asked of a trained model later begins with it (decoding, scoring).
    """
    before = torch.cat([torch.full_like(before[:, :1], BEGIN), before], 1)
    return Batch(torch.cat([before, asking], 1), torch.cat([torch.full_like(before, UNSCORED), answers], 1))


DRAWS: dict[str, Draw] = {"remember-first": remember_first, "copy": copy, "adding": adding, "repeat": repeat}


@dataclass(frozen=True)
class TaskData(MadeData):
    """A task as training takes it: what Data is for a text."""

    corpus: CorpusConfig
    tokenizer: Tokenizer
    fingerprint: str
    """sha256 of the definition: a run goes on only with the task it began with."""

    @classmethod
    def of(cls, corpus: CorpusConfig) -> "TaskData":
        task, _ = task_of(corpus)
        return cls(corpus, char_tokenizer(task.symbols), fingerprint(corpus))

    def facts(self) -> dict[str, Any]:
        """What data.json tells: there is no text, and as many training tokens as anyone wants."""
        task, lag = task_of(self.corpus)
        return {
            "fingerprint": self.fingerprint,
            "vocab_size": self.tokenizer.vocab_size,
            "validation_tokens": sequences_tested(self.corpus, lag) * task.scored,
            "chance": task.chance,
        }

    def baselines(self) -> dict[str, Any]:
        """What baselines.json tells: the loss of guessing. No n-gram is counted: the answer is out of its reach."""
        task, _ = task_of(self.corpus)
        return {"uniform": task.guess_loss, "ngram": {}, "counted_tokens": 0}

    def draw(self, lag: int, size: int, generator: torch.Generator) -> Batch:
        """`size` sequences at a lag."""
        return DRAWS[self.corpus.name](self._ids, lag, size, generator)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Draws:
        """All sequences of a batch have one lag."""
        task, longest = task_of(self.corpus)

        def make(generator: torch.Generator) -> Batch:
            lag = longest
            if self.corpus.mixed:
                share = torch.rand((), generator=generator, dtype=torch.float64).item()
                lag = mixed_lag(share, task.shortest_lag, longest)
            return self.draw(lag, config.batch_size, generator)

        return Draws(make, generator, round(config.batch_size * mean_length(self.corpus)))

    @cached_property
    def tests(self) -> dict[int, list[Batch]]:
        """Lag -> the sequences of every validation, in batches; always the same."""
        found = {}
        for lag in measured_lags(self.corpus):
            whole = self.draw(lag, sequences_tested(self.corpus, lag), torch.Generator().manual_seed(TEST_SEED + lag))
            at_once = max(1, TEST_TOKENS // whole.inputs.shape[1])
            pairs = zip(torch.split(whole.inputs, at_once), torch.split(whole.targets, at_once), strict=True)
            found[lag] = [Batch(inputs, targets) for inputs, targets in pairs]
        return found

    def validation_batches(self) -> list[Batch]:
        """The tests at the task's own lag."""
        _, lag = task_of(self.corpus)
        return self.tests[lag]

    def measure(self, model: LanguageModel) -> tuple[float, dict[str, Any]]:
        """Mean cross-entropy of the answers at the task's own lag, nats; and what a line of metrics.jsonl tells more:
        `accuracy`, the share of right answers there, and with mixed lags `accuracies` at every measured lag.
        """
        _, lag = task_of(self.corpus)
        found = {tested: answer_scores(model, batches) for tested, batches in self.tests.items()}
        loss, accuracy = found[lag]
        columns: dict[str, Any] = {"accuracy": accuracy}
        if self.corpus.mixed:
            columns["accuracies"] = {str(tested): share for tested, (_, share) in found.items()}
        return loss, columns

    @cached_property
    def _ids(self) -> Ids:
        return Ids(self.tokenizer)


def answer_scores(model: LanguageModel, batches: list[Batch]) -> tuple[float, float]:
    """(mean cross-entropy in nats, share of right answers) over the scored places of the batches."""
    losses, right = [], []
    with evaluating(model):
        for batch in batches:
            scored = batch.targets != UNSCORED  # (B, T)
            logits, targets = model(batch.inputs)[scored].double(), batch.targets[scored]  # (n, V), (n,)
            losses.append(F.cross_entropy(logits, targets, reduction="none"))
            right.append(logits.argmax(1) == targets)
    return float(torch.cat(losses).mean()), float(torch.cat(right).double().mean())
