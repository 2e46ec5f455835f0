"""When did induction heads form? What is measured at every kept moment of a run, as plain values and words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.runs import Run
from lmviz.ui.attention.names import head_name
from lmviz.ui.i18n import _, listed

CLEAR = 0.2
"""A score from which a head is called an induction head."""


@dataclass(frozen=True)
class Course:
    """Induction of one run over its training."""

    run: Run
    name: str
    steps: list[int]
    scores: NDArray[np.float64]
    """(moments, L, N)."""
    uniform: float | None

    @property
    def best(self) -> tuple[int, int]:
        """The head that scores most at the last moment."""
        layer, head = np.unravel_index(int(self.scores[-1].argmax()), self.scores[-1].shape)
        return int(layer), int(head)

    @property
    def found(self) -> bool:
        """Whether there is an induction head at the last moment."""
        return float(self.scores[-1].max()) >= CLEAR

    @property
    def since(self) -> int:
        """The step from which the best head stays above half of what it scores at the end."""
        values = self.scores[(slice(None), *self.best)]
        below = np.flatnonzero(values < values[-1] / 2)
        return self.steps[int(below[-1]) + 1 if len(below) else 0]


def course(run: Run, name: str, answers: list[dict[str, Any]]) -> Course | None:
    """From what "attention_history" answers; None as long as there is nothing."""
    moments = [moment for answer in answers for moment in answer["moments"]]
    if not moments:
        return None
    scores = np.nan_to_num(np.array([moment["induction"] for moment in moments], np.float64))  # None becomes NaN
    uniform = next((answer["uniform"] for answer in answers if answer["uniform"] is not None), None)
    return Course(run, name, [int(moment["step"]) for moment in moments], scores, uniform)


def appearance(one: Course) -> str:
    """Of one run."""
    score = f"{one.scores[-1].max():.2f}"
    if not one.found:
        words = _("No induction head: the best head scores {score} after {step} updates")
        return words.format(score=score, step=f"{one.steps[-1]:,}")
    words = _("An induction head since {step} updates: {head} scores {score}")
    return words.format(step=f"{one.since:,}", head=head_name(*one.best), score=score)


def finding(courses: list[Course]) -> str:
    """Of runs side by side."""
    if len(courses) == 1:
        return appearance(courses[0])
    with_head = [one.name for one in courses if one.found]
    without = [one.name for one in courses if not one.found]
    if not with_head:
        return _("No model has an induction head so far")
    if not without:
        return _("All of these models have an induction head")
    words = _("An induction head has formed in {found}, none in {missing}")
    return words.format(found=listed(with_head), missing=listed(without))
