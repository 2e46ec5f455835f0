"""Tasks that ask for memory: corpora that are no texts, but sequences made anew for every batch. No torch.

Each sequence gives something to remember, lets `lag` steps pass, and asks for it; only the answer is scored. It begins
with <begin>, as any text does; all other tokens are single characters, so that it can be typed, generated and scored
like a text. How sequences are drawn stands in lmviz.training.task_data.

Papers: Hochreiter and Schmidhuber 1997, Long short-term memory (adding, and long lags as a test of memory);
Arjovsky, Shah and Bengio 2016, Unitary evolution recurrent neural networks (copy, and adding as most read it today).
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmviz.config import TASKS, CorpusConfig
from lmviz.errors import N_

LETTERS = "abcdefgh"
NOISE = "01234567"
QUESTION = "?"
BLANK = "."
GO = ":"
DIGITS = "0123456789"
MARKED = "⓿❶❷❸❹❺❻❼❽❾"
"""The digits 0 to 9 with their mark."""
SUMS = "⓪①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱"
"""0 to 18, as answers."""
REPEATED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
"""The letters of `repeat`."""
COPIED = 3
"""Letters that `copy` gives; the papers give 10 and train for longer."""
TEST_LAGS = (5, 10, 20, 50, 100, 200)
"""Lags at which a run with mixed lags is measured, whichever it is trained with."""
TEST_TOKENS = 2**14
"""Tokens that a validation reads, about, as on a text: nobody else has a turn meanwhile."""
TEST_SEQUENCES = (64, 256)
"""Fewest and most sequences of a validation at one lag: an accuracy of one half is then known to 0.06 and 0.03 (one
standard deviation)."""


@dataclass(frozen=True)
class Task:
    """What is known of a task. `title`, `description` and `definition` are English, with translations."""

    title: str
    description: str
    definition: str
    """In plain words: what is read, what is asked, and where it differs from the papers."""
    symbols: str
    """Its tokens, a character each."""
    length: Callable[[int], int]
    """Lag -> tokens that are read of one sequence, <begin> first."""
    scored: int
    """Answers in one sequence."""
    chance: float
    """Share of right answers of the best guess that looks at nothing."""
    guess_loss: float
    """Cross-entropy of that guess, nats an answer: it knows how often each answer comes."""
    shortest_lag: int = 1


def _sum_shares() -> list[float]:
    """How often each sum of two digits comes, 0 to 18."""
    counts = Counter(a + b for a in range(10) for b in range(10))
    return [counts[total] / 100 for total in range(19)]


TASK: dict[str, Task] = {
    "remember-first": Task(
        title=N_("Remember the first"),
        description=N_("Which letter stood first? Digits that mean nothing lie between it and the question."),
        definition=N_(
            "One of 8 letters, then lag - 1 digits of noise drawn from 8, then a question mark. The answer is the"
            " letter, lag steps before the question. Only the answer is scored."
        ),
        symbols=LETTERS + NOISE + QUESTION,
        length=lambda lag: lag + 2,
        scored=1,
        chance=1 / len(LETTERS),
        guess_loss=math.log(len(LETTERS)),
    ),
    "copy": Task(
        title=N_("Copy"),
        description=N_("Three letters, a wait, a sign: now repeat them in order."),
        definition=N_(
            "3 letters out of 8, then lag blanks, then a go mark. The answer is the 3 letters in order, each lag + 3"
            " steps after it was read. Only the answers are scored. The papers copy 10 letters; and here, as in any"
            " text, the model reads the right letter after each answer, where the papers give it blanks."
        ),
        symbols=LETTERS + BLANK + GO,
        length=lambda lag: lag + 2 * COPIED + 1,
        scored=COPIED,
        chance=1 / len(LETTERS),
        guess_loss=math.log(len(LETTERS)),
    ),
    "adding": Task(
        title=N_("Adding"),
        description=N_("Two of the digits are marked. What is their sum?"),
        definition=N_(
            "lag digits, two of them marked: the first, lag steps before the question, and one drawn from those after"
            " it. Then a question mark. The answer is the sum of the two, one token out of 19. The papers add real"
            " numbers and measure the squared error; and their first mark may come later."
        ),
        symbols=DIGITS + MARKED + SUMS + QUESTION,
        length=lambda lag: lag + 2,
        scored=1,
        chance=max(_sum_shares()),
        guess_loss=-sum(share * math.log(share) for share in _sum_shares()),
        shortest_lag=2,
    ),
    "repeat": Task(
        title=N_("Repeat"),
        description=N_("Random letters, and some of them in a row once more: go on as before."),
        definition=N_(
            "2 x lag random letters out of 40; a passage of lag / 4 to lag x 5/8 of them comes a second time, at a"
            " random distance. Scored is the second time, from its second letter on. Whoever looks for what came after"
            " the same letter before can answer; a fixed distance is of no use. After Olsson et al. 2022: attention"
            " heads that do this are called induction heads."
        ),
        symbols=REPEATED,
        length=lambda lag: 2 * lag,
        scored=1,
        chance=1 / len(REPEATED),
        guess_loss=math.log(len(REPEATED)),
        shortest_lag=8,
    ),
}
"""Name -> task, in the order of config.TASKS."""
assert tuple(TASK) == TASKS


def task_of(corpus: CorpusConfig) -> tuple[Task, int]:
    """The task that a configuration names, and its lag.

    Raises:
        KeyError: it names a text.
    """
    task = TASK[corpus.name]
    assert corpus.lag is not None  # CorpusConfig sees to it
    return task, corpus.lag


def measured_lags(corpus: CorpusConfig) -> tuple[int, ...]:
    """Lags at which a run is measured: its own; with mixed lags TEST_LAGS as well."""
    _, lag = task_of(corpus)
    return tuple(sorted({lag, *TEST_LAGS})) if corpus.mixed else (lag,)


def sequences_tested(corpus: CorpusConfig, lag: int) -> int:
    """How many sequences a validation reads at one of the measured lags; all of them share TEST_TOKENS."""
    task, _ = task_of(corpus)
    fewest, most = TEST_SEQUENCES
    return min(most, max(fewest, TEST_TOKENS // len(measured_lags(corpus)) // task.length(lag)))


def longest(corpus: CorpusConfig) -> int:
    """Tokens of the longest sequence that the model reads, in training or when it is measured."""
    task, _ = task_of(corpus)
    return task.length(max(measured_lags(corpus)))


def mixed_lag(share: float, shortest: int, largest: int) -> int:
    """A lag from a number drawn evenly from [0, 1): as often from 1 to 10 as from 10 to 100.

    Short lags come often, so that there is always something a weak gradient can reach, and long ones often enough that
    what was learned on them has to last. Drawn evenly from 1 to 200 the long ones drown the rest: after 600 updates RNN
    and NVSI are at or near chance. Drawn from 1 to 20 alone, NVSI with carry loses at 200 what it knows at 20.
    """
    return min(largest, int(shortest * ((largest + 1) / shortest) ** share))


def mean_length(corpus: CorpusConfig) -> float:
    """Tokens that a sequence has in training, on average."""
    task, lag = task_of(corpus)
    if not corpus.mixed:
        return task.length(lag)
    shares = np.log1p(1 / np.arange(task.shortest_lag, lag + 1))  # how often each lag comes, but for a factor
    lengths = [task.length(drawn) for drawn in range(task.shortest_lag, lag + 1)]
    return float(np.average(lengths, weights=shares))


def fingerprint(corpus: CorpusConfig) -> str:
    """sha256 of all that decides the sequences: two lags are two texts."""
    task, lag = task_of(corpus)
    facts = [corpus.name, task.symbols, task.scored, task.length(lag), lag, corpus.mixed]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
