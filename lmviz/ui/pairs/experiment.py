"""The runs of one comparison: where they stand, and who solved the task when. Not here: Streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lmviz.config import RunConfig
from lmviz.lines import Line
from lmviz.runs import Run, Status
from lmviz.ui.i18n import _
from lmviz.ui.pairs.names import model_name
from lmviz.ui.pairs.view import kind_of

SOLVED = 0.98
"""Exact match from which a task counts as solved."""


@dataclass(frozen=True)
class Learner:
    """One run, read once."""

    run: Run
    config: RunConfig
    status: Status
    lines: Sequence[Line]
    """Of metrics.jsonl that have an exact match."""

    @property
    def kind(self) -> str:
        return kind_of(self.config)

    @property
    def name(self) -> str:
        return model_name(self.kind)

    @property
    def exact(self) -> float | None:
        return float(self.lines[-1]["exact_match"]) if self.lines else None

    @property
    def solved(self) -> Line | None:
        """The first measurement at which it was solved."""
        return next((line for line in self.lines if line["exact_match"] >= SOLVED), None)

    @cached_property
    def has_attention(self) -> bool:
        return self.kind != "plain"


def read_learners(runs: Sequence[Run]) -> list[Learner]:
    """Those without attention last."""
    found = []
    for run in runs:
        lines = [line for line in run.metrics() if "exact_match" in line]
        found.append(Learner(run, run.config(), run.status(), lines))
    return sorted(found, key=lambda one: not one.has_attention)


def finding(learners: Sequence[Learner]) -> str:
    """Who solved it after how many seconds of training, in words."""
    if not any(one.lines for one in learners):
        return _("How many outputs are right?")
    parts = []
    for one in learners:
        if solved := one.solved:
            words = _("{name}: solved in {seconds} s")
            parts.append(words.format(name=one.name, seconds=f"{solved['seconds']:.0f}"))
        elif one.lines:
            words = _("{name}: {share} right after {seconds} s")
            last: dict[str, Any] = dict(one.lines[-1])
            parts.append(
                words.format(name=one.name, share=f"{last['exact_match']:.0%}", seconds=f"{last['seconds']:.0f}")
            )
    return _capital("; ".join(parts))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
