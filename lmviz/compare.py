"""Runs beside each other: who is ahead at equal steps, tokens and seconds, and which settings differ. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lmviz.config import RunConfig
from lmviz.runs import Run, Status
from lmviz.summary import bits_per_character

Axis = Literal["step", "tokens", "seconds"]
AXES: tuple[Axis, ...] = ("step", "tokens", "seconds")


@dataclass(frozen=True)
class RunView:
    """All that a page shows of one run, read once."""

    run: Run
    label: str
    config: RunConfig
    status: Status
    metrics: list[dict[str, Any]]
    data: dict[str, Any]
    baselines: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.config.model.kind

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of metrics.jsonl, NaN where a line has none."""
        return np.array([np.nan if line.get(name) is None else line[name] for line in self.metrics], dtype=np.float64)

    def bits(self, loss: float) -> float | None:
        return bits_per_character(loss, self.data)

    def validation(self, axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(x, validation loss), only the lines that have one."""
        x, y = self.column(axis), self.column("val_loss")
        seen = ~np.isnan(y)
        return x[seen], y[seen]


def read_view(run: Run, label: str = "") -> RunView:
    """Raises RunError if the folder cannot be read."""
    config = run.config()
    return RunView(run, label or config.name, config, run.status(), run.metrics(), run.data(), run.baselines())


def same_tokens(views: Sequence[RunView]) -> bool:
    """Whether losses a token can be compared: the same text cut into the same tokens."""
    return same_text(views) and len({v.config.tokenizer.model_dump_json() for v in views}) <= 1


def same_text(views: Sequence[RunView]) -> bool:
    """Whether anything can be compared: the same text with the same part kept for validation."""
    return len({(v.data["fingerprint"], v.config.corpus.validation_fraction) for v in views if v.data}) <= 1


@dataclass(frozen=True)
class Lead:
    """Who is ahead when all have had the same amount of something."""

    axis: Axis
    at: float
    best: RunView
    losses: tuple[float, ...]
    """In the order of the runs; nats a token, or bits a character if their tokens differ."""
    margin: float
    """To the second best."""


def leads(views: Sequence[RunView]) -> list[Lead]:
    """At the largest number of steps, tokens and seconds that every trained run reached.

    N-grams are no competitors, and runs on different texts cannot be compared.
    """
    runners = [v for v in views if v.kind != "ngram" and len(v.validation("step")[0])]
    if len(runners) < 2 or not same_text(runners):
        return []
    found = []
    for axis in AXES:
        curves = [view.validation(axis) for view in runners]
        at = min(float(x[-1]) for x, _ in curves)
        losses = [float(np.interp(at, x, y)) for x, y in curves]
        if not same_tokens(runners):
            losses = [view.bits(loss) or loss for view, loss in zip(runners, losses, strict=True)]
        order = np.argsort(losses)
        margin = losses[order[1]] - losses[order[0]]
        found.append(Lead(axis, at, runners[order[0]], tuple(losses), margin))
    return found


def differences(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Settings that are not the same everywhere: name -> value in each; None where a model has no such setting."""
    rows = [config.flat() for config in configs]
    names = dict.fromkeys(name for row in rows for name in row)
    table = {name: [row.get(name) for row in rows] for name in names if name != "name"}
    return {name: values for name, values in table.items() if any(value != values[0] for value in values)}


def labels(runs: Sequence[Run]) -> list[str]:
    """A name for each run by which people can tell them apart."""
    names = [run.config().name or run.id for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({run.id})" for name, run in zip(names, runs, strict=True)]
