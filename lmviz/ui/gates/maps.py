"""Which part of a signal is drawn, how finely, and in which order of units: plain values. Not here: Streamlit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.ui.figures.gates import MapData
from lmviz.ui.gates.scene import Scene
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

CELLS = 320_000
"""In all maps of the page together: 850 kB. A text with more has rows that are means of several units."""

STATE_LIMIT = 3.0
"""Where a cell state's colours end: tanh(3) is 0.995, so what lies beyond makes no difference to what is let out.
Without it a unit that counts upwards would leave all others pale.
"""


def place_names(tokens: Sequence[str]) -> list[str]:
    """A name for each place: its number, <begin> has 0, and its token."""
    return [f"{place} {plain(visible_token(token))}" for place, token in enumerate(tokens)]


def ordered_units(scene: Scene, sort: str, aucs: Mapping[str, NDArray[np.float32]] | None = None) -> list[int]:
    """All units from the top of the maps down.

    sort: index, similar, mean, or the name of a feature.
    aucs: feature -> how well each unit tells it; the best stand at the top.
    """
    if sort == "similar":
        return scene.similar
    if sort == "mean":
        means = scene.signals[scene.state].mean(0)
        return [int(unit) for unit in np.argsort(-means, kind="stable")]
    if aucs and sort in aucs:
        strength = np.abs(aucs[sort] - 0.5)
        return [int(unit) for unit in np.argsort(-strength, kind="stable")]
    return list(range(scene.units))


@dataclass(frozen=True)
class Window:
    """The part of all maps that is drawn."""

    tokens: tuple[int, int]
    """From, up to."""
    units: tuple[int, int]
    """From, up to, among the ordered ones."""
    group: int
    """Units in a row."""

    @property
    def whole(self) -> bool:
        """Whether every unit has its own row, so that the browser can zoom by itself."""
        return self.group == 1


Zoomed = tuple[int, int, int, int]
"""First token, last but one, first unit, last but one: what a person zoomed to."""


def window_of(scene: Scene, zoomed: Zoomed | None, maps: int) -> Window:
    """What is drawn if so many maps are on the page: finer, the less of the text and the units is looked at."""
    start, end, top, bottom = zoomed or (0, len(scene.tokens), 0, scene.units)
    end, bottom = min(end, len(scene.tokens)), min(bottom, scene.units)
    if start >= end or top >= bottom:  # of another text
        start, end, top, bottom = 0, len(scene.tokens), 0, scene.units
    rows = max(1, CELLS // (maps * (end - start)))
    return Window((start, end), (top, bottom), math.ceil((bottom - top) / rows))


def zoomed_to(window: Window, event: Mapping[str, Any]) -> Zoomed:
    """From what the chart says of its axes: positions of categories, of rows in `window`; None where all is shown."""
    start, end = _span(event.get("x"), window.tokens)
    top, bottom = window.units
    if event.get("y"):
        rows = math.ceil((bottom - top) / window.group)
        first, last = _span(event["y"], (0, rows))
        top, bottom = top + first * window.group, min(bottom, top + last * window.group)
    return start, end, top, bottom


def _span(ends: Sequence[float] | None, limits: tuple[int, int]) -> tuple[int, int]:
    """Whole categories that a range of positions touches."""
    if not ends:
        return limits
    low, high = sorted(ends)
    start = min(max(round(low), limits[0]), limits[1] - 1)
    return start, max(start + 1, min(round(high) + 1, limits[1]))


def map_data(scene: Scene, signal: str, units: Sequence[int], window: Window, token: int, unit: int) -> MapData:
    """One map. `units`: all of them in their order from the top."""
    (start, end), (top, bottom) = window.tokens, window.units
    shown = list(units[top:bottom])
    values = scene.signals[signal]
    groups = [shown[i : i + window.group] for i in range(0, len(shown), window.group)]
    part = values[start:end]
    rows = part[:, shown].T if window.whole else np.stack([part[:, group].mean(1) for group in groups])
    every = place_names(scene.tokens)
    return MapData(
        values=rows,
        mean=part.mean(1),
        columns=every[start:end],
        rows=[row_name(group) for group in groups],
        every_column=every,
        column=token - start if start <= token < end else None,
        row=next((at for at, group in enumerate(groups) if unit in group), None),
        range=(start, end),
        limit=colour_limit(values),
    )


def colour_limit(values: NDArray[np.float32]) -> float:
    """Where the colours of a signal with both signs end."""
    return min(STATE_LIMIT, max(1.0, float(np.abs(values).max(initial=0))))


def row_name(group: Sequence[int]) -> str:
    """A unit's number; of several the first and how many more."""
    return str(group[0]) if len(group) == 1 else f"{group[0]} +{len(group) - 1}"


def unit_of(window: Window, units: Sequence[int], row: int) -> int:
    """The unit in a row that was clicked; of several the first."""
    return units[min(window.units[0] + row * window.group, len(units) - 1)]
