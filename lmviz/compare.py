"""Runs beside each other: who is ahead at equal steps, tokens and seconds, and which settings differ. No torch.

Runs that differ in nothing but the seed are one set: their mean is compared, and their spread is shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lmviz.config import RunConfig
from lmviz.runs import Run, Status
from lmviz.summary import bits_per_character

Axis = Literal["step", "tokens", "seconds"]
LABELS = ("name", "group", "fork")
"""Parts of a configuration that say where a run belongs, not what it does."""
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

    @cached_property
    def _columns(self) -> dict[str, NDArray[np.float64]]:
        return {}

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of metrics.jsonl, NaN where a line has none; read-only, as it is made once."""
        if name not in self._columns:
            self._columns[name] = np.array([line.get(name) for line in self.metrics], dtype=np.float64)  # None is NaN
            self._columns[name].setflags(write=False)
        return self._columns[name]

    def bits(self, loss: float) -> float | None:
        return bits_per_character(loss, self.data)

    def validation(self, axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(x, validation loss), only the lines that have one."""
        x, y = self.column(axis), self.column("val_loss")
        seen = ~np.isnan(y)
        return x[seen], y[seen]


SEED_MARK = re.compile(r" \(seed \d+\)$")
"""How the members of a set are named; the set's name is what comes before."""


@dataclass(frozen=True)
class RunSet:
    """A run, or several that differ in their seed alone."""

    label: str
    views: tuple[RunView, ...]

    @property
    def kind(self) -> str:
        return self.views[0].kind

    def validation(self, axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(x, validation losses of each run there (runs, len(x))), where every run has been; between two
        measurements a line. Runs of one set are validated at the same steps, but not at the same seconds.
        """
        curves = [view.validation(axis) for view in self.views]
        if not all(len(x) for x, _ in curves):
            return np.zeros(0), np.zeros((len(curves), 0))
        begin, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
        places = np.unique(np.concatenate([x for x, _ in curves]))
        x = places[(begin <= places) & (places <= end)]
        return x, np.stack([np.interp(x, at, losses) for at, losses in curves])


def run_sets(views: Sequence[RunView]) -> list[RunSet]:
    """The views in sets, in the order in which the first of each comes."""
    groups: dict[str, list[RunView]] = {}
    for view in views:
        training = view.config.training.model_copy(update={"seed": 0})
        key = view.config.model_copy(update={"training": training, "name": "", "group": ""}).model_dump_json()
        groups.setdefault(f"{key} {view.run.events()}", []).append(view)
    sets = []
    for members in groups.values():
        seeds = {view.config.training.seed for view in members}
        if len(members) > 1 and len(seeds) == len(members):
            sets.append(RunSet(SEED_MARK.sub("", members[0].config.name or members[0].label), tuple(members)))
        else:  # the same run twice is no repetition over seeds
            sets += [RunSet(view.label, (view,)) for view in members]
    return sets


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
    best: RunSet
    losses: tuple[float, ...]
    """Means of the sets, in their order; nats a token, or bits a character if their tokens differ."""
    margin: float
    """To the second best."""
    spread: float | None
    """The larger standard deviation over seeds of the best two, in the same unit; None without repetitions of both."""


def leads(views: Sequence[RunView]) -> list[Lead]:
    """At the largest number of steps, tokens and seconds that every trained run reached.

    N-grams are no competitors, and runs on different texts cannot be compared.
    """
    measured = [v for v in views if v.kind != "ngram" and len(v.validation("step")[0])]
    runners = run_sets(measured)
    if len(runners) < 2 or not same_text(measured):
        return []
    bits = not same_tokens(measured)
    found = []
    for axis in AXES:
        curves = [runner.validation(axis) for runner in runners]
        if not all(len(x) for x, _ in curves):
            continue
        at = min(float(x[-1]) for x, _ in curves)
        losses = []  # of each set, (runs,)
        for runner, (x, rows) in zip(runners, curves, strict=True):
            unit = (runner.views[0].bits(1.0) or 1.0) if bits else 1.0
            losses.append(np.array([np.interp(at, x, row) for row in rows]) * unit)
        means = [float(loss.mean()) for loss in losses]
        first, second = np.argsort(means)[:2]
        repeated = min(len(losses[first]), len(losses[second])) > 1
        spread = max(float(losses[i].std(ddof=1)) for i in (first, second)) if repeated else None
        found.append(Lead(axis, at, runners[first], tuple(means), means[second] - means[first], spread))
    return found


def differences(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Settings that are not the same everywhere: name -> value in each; None where a model has no such setting."""
    rows = [config.flat() for config in configs]
    names = dict.fromkeys(name for row in rows for name in row)
    table = {name: [row.get(name) for row in rows] for name in names if name.split(".")[0] not in LABELS}
    return {name: values for name, values in table.items() if any(value != values[0] for value in values)}


def changes(first: RunConfig, other: RunConfig) -> list[tuple[str, Any, Any]]:
    """(setting, value in the first, value in the other) of what changes the learning, where both have the setting."""
    before, after = first.flat(), other.flat()
    return [
        (name, before[name], value)
        for name, value in after.items()
        if name.split(".")[0] in ("corpus", "tokenizer", "model", "training")
        and name in before
        and before[name] != value
    ]


def labels(runs: Sequence[Run]) -> list[str]:
    """A name for each run by which people can tell them apart."""
    names = [run.config().name or run.id for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({run.id})" for name, run in zip(names, runs, strict=True)]
