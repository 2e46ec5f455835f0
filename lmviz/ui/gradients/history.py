"""What gradients.jsonl says of a run, as arrays: norms over the lag and of each parameter, moment by moment.

Not here: Streamlit. A line that a crash or another program damaged is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.compare import RunView
from lmviz.ui.figures.gradients import VANISHED
from lmviz.ui.theme import RunStyle

Array = NDArray[np.float64]
STATES = ("hidden", "cell")


@dataclass(frozen=True)
class History:
    """How far back one run learned, at each recorded moment."""

    run_id: str
    label: str
    style: RunStyle
    state: str
    """hidden or cell."""
    steps: NDArray[np.int64]
    """Updates done, (moments,), rising."""
    shares: Array
    """(moments, lags), relative to lag 0; NaN beyond what float64 can hold."""

    @property
    def lags(self) -> int:
        return int(self.shares.shape[1])

    @property
    def reach(self) -> NDArray[np.int64]:
        """First lag with less than 1/1000 left, (moments,); the number of lags where there is none."""
        faded = self.shares < VANISHED
        return np.where(faded.any(1), faded.argmax(1), self.lags)

    def index(self, step: int) -> int:
        """The newest moment up to this step; the first if there is none."""
        return max(0, int(np.searchsorted(self.steps, step, side="right")) - 1)

    def step(self, step: int) -> int:
        """Updates done at that moment."""
        return int(self.steps[self.index(step)])

    def is_beyond(self, index: int) -> bool:
        """Whether the reach at a moment is not known, as it ends beyond the window."""
        return int(self.reach[index]) == self.lags


def layers_of(view: RunView) -> int:
    """Layers whose norms over the lag were recorded; 0 if none were."""
    return max((len(rows) for _, rows in _lines(view, "hidden")), default=0)


def has_cell(view: RunView) -> bool:
    return bool(_lines(view, "cell"))


def read_history(view: RunView, style: RunStyle, state: str, layer: int) -> History | None:
    """A run without the state shows its hidden one, a run without the layer its top one; None if nothing is there.

    layer: 1 is the lowest.
    """
    state = state if state == "hidden" or has_cell(view) else "hidden"
    found = [(step, rows[min(layer, len(rows)) - 1]) for step, rows in _lines(view, state)]
    found = [(step, row) for step, row in found if len(row) == len(found[0][1])]
    if not found:
        return None
    norms = np.array([row for _, row in found], np.float64)  # None is NaN
    first = norms[:, :1]
    shares = np.divide(norms, first, out=np.zeros_like(norms), where=first > 0)
    shares[~np.isfinite(norms)] = np.nan
    return History(view.run.id, view.label, style, state, np.array([step for step, _ in found]), shares)


def parameter_history(view: RunView) -> tuple[NDArray[np.int64], list[str], Array]:
    """(steps (S,), names (P,), norms (P, S)) of the updates that were recorded, NaN where a line has no such name."""
    lines = [
        (line["step"], line["parameters"])
        for line in view.run.gradients()
        if isinstance(line.get("step"), int) and isinstance(line.get("parameters"), dict)
    ]
    names = list(dict.fromkeys(name for _, norms in lines for name in norms))
    values = [[_number(norms.get(name)) for _, norms in lines] for name in names]
    return np.array([step for step, _ in lines], np.int64), names, np.array(values).reshape(len(names), len(lines))


def moments(histories: Sequence[History]) -> list[int]:
    """Every step at which one of them was measured, in order."""
    return sorted({int(step) for history in histories for step in history.steps})


def clipped_share(view: RunView) -> float | None:
    """Share of all updates so far that were clipped; None where that is not known."""
    steps = np.diff(view.column("step"), prepend=0.0)
    shares = view.column("clipped")
    known = np.isfinite(shares) & (steps > 0)
    return float(np.average(shares[known], weights=steps[known])) if known.any() else None


def _lines(view: RunView, state: str) -> list[tuple[int, list[list[float | None]]]]:
    """(step, norms of each layer by lag), the lines that have them."""
    found = []
    for line in view.run.gradients():
        step, rows = line.get("step"), line.get(f"grad.{state}")
        if isinstance(step, int) and isinstance(rows, list) and rows and all(map(_is_row, rows)):
            found.append((step, rows))
    return found


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and all(norm is None or isinstance(norm, int | float) for norm in row)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
