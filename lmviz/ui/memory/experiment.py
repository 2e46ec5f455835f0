"""What the runs of one experiment come to: lines of accuracy over the lag, how far each cell remembers, in words.

Not here: Streamlit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lmviz.memory import CELLS, REMEMBERED, results
from lmviz.runs import ACTIVE, Run
from lmviz.ui.i18n import _, listed, ngettext
from lmviz.ui.memory.names import line_name, line_style
from lmviz.ui.theme import RunStyle

STEP_COST = 30
"""An update costs about as much as so many tokens of each sequence, before it reads the first (measured)."""


@dataclass(frozen=True)
class Line:
    """One cell, over the lags."""

    cell: str
    mixed: bool
    rows: Sequence[dict[str, Any]]
    """As lmviz.memory.results gives them, by lag."""

    @property
    def name(self) -> str:
        return line_name(self.cell, self.mixed)

    @property
    def style(self) -> RunStyle:
        return line_style(self.cell, self.mixed)

    @property
    def reach(self) -> int:
        """The largest lag up to which it remembers at every lag; 0 if not even at the shortest."""
        reached = 0
        for row in self.rows:
            if row["accuracy"] is None or row["accuracy"] < REMEMBERED:
                break
            reached = row["lag"]
        return reached

    def at(self, lag: int) -> dict[str, Any] | None:
        return next((row for row in self.rows if row["lag"] == lag), None)


@dataclass(frozen=True)
class Experiment:
    """Read once."""

    runs: Sequence[Run]
    rows: Sequence[dict[str, Any]]

    @property
    def lines(self) -> list[Line]:
        """A line a cell, those of a curriculum last."""
        found: dict[tuple[bool, str], list[dict[str, Any]]] = {}
        for row in sorted(self.rows, key=lambda row: row["lag"]):
            found.setdefault((row["mixed"], row["model"]), []).append(row)
        return [Line(cell, mixed, rows) for (mixed, cell), rows in sorted(found.items(), key=_place)]

    @property
    def lags(self) -> list[int]:
        return sorted({row["lag"] for row in self.rows})

    @property
    def single(self) -> list[dict[str, Any]]:
        """A row for every run."""
        return list({row["run"]: row for row in self.rows}.values())

    @property
    def active(self) -> list[str]:
        """Ids of the runs under way."""
        return [row["run"] for row in self.single if row["state"] in ACTIVE]

    @property
    def done(self) -> int:
        """Runs that have ended."""
        return len(self.single) - len(self.active)

    @property
    def share_done(self) -> float:
        """Of the time that all runs take together, about."""
        whole = sum(_work(row, row["steps"]) for row in self.single)
        return sum(_work(row, row["step"]) for row in self.single) / whole if whole else 0.0

    def seconds_left(self, now: datetime | None = None) -> float | None:
        """Until the last run has ended, at the pace so far; None before the first updates."""
        share = self.share_done
        if not share:
            return None
        begun = min(datetime.fromisoformat(run.status().created) for run in self.runs)
        return ((now or datetime.now(UTC)) - begun).total_seconds() * (1 - share) / share


def read_experiment(runs: Sequence[Run]) -> Experiment:
    """What the runs say by now. Raises RunError if one of them is no longer there."""
    return Experiment(runs, results(runs))


def _place(item: tuple[tuple[bool, str], Any]) -> tuple[bool, int]:
    (mixed, cell), _rows = item
    return mixed, list(CELLS).index(cell) if cell in CELLS else len(CELLS)


def _work(row: dict[str, Any], steps: int) -> float:
    return float(steps * (STEP_COST + row["lag"]))


def finding(experiment: Experiment) -> str:
    """The title of the figure: who remembers how far."""
    if experiment.active:
        return _("How far back does each remember? {done} of {count} runs have ended").format(
            done=experiment.done, count=len(experiment.runs)
        )
    alone = [line for line in experiment.lines if not line.mixed]
    if alone:
        return reach_words(alone)
    return _("On mixed lags: {finding}").format(finding=reach_words(experiment.lines))


def reach_words(lines: Sequence[Line]) -> str:
    """ "GRU, LSTM remember 50 steps; RNN 5; NVSI-RNN not even 5"."""
    shortest = min(line.rows[0]["lag"] for line in lines)
    reaches = sorted({line.reach for line in lines}, reverse=True)
    if not reaches[0]:
        return _("None of them remembers even {lag} steps").format(lag=shortest)
    parts = []
    for reach in reaches:
        names = [line.name for line in lines if line.reach == reach]
        words = _("{names} not even {lag}") if not reach else _("{names} only {lag}")
        if reach == reaches[0]:
            words = ngettext("{names} remembers {lag} steps", "{names} remember {lag} steps", len(names))
        parts.append(words.format(names=listed(names), lag=reach or shortest))
    return "; ".join(parts)
