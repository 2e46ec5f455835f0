"""Gradients while a model learns: maps of moment by lag, the curve at one moment, the norm of each update."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.gradients import VANISHED
from lmviz.ui.theme import INK, MUTED, SEQUENTIAL, SURFACE, RunStyle, plain

Array = NDArray[np.float64]

DARK_AT = -6
"""log10 of the share with the palest colour of a map."""
FLOOR = 1e-10
"""Where the axis of the curves ends; the data go on."""
MOST_LAGS = 256
"""Rows of a map: of a longer window every second, third ... lag is drawn."""
TICKS = 4
"""Labels on the x-axis of a map, about; on a phone more would not fit. One less where two maps share its width."""
HEAD, FOOT = 0.12, 0.09
"""Room for the heading over a map, and for the labels between two rows of them, as shares of the figure's height."""


@dataclass(frozen=True)
class Panel:
    """One run: what is left of its gradient at each moment and lag, and how it is drawn."""

    label: str
    style: RunStyle
    steps: NDArray[np.int64]
    """(moments,)"""
    shares: Array
    """(moments, lags), NaN where there is no number."""
    reach: NDArray[np.int64]
    """First lag below 1/1000 at each moment; the number of lags if there is none."""
    finding: str
    """Heads its map, as Plotly may show it, already translated; empty for none."""
    moment: int
    """Index of the moment that is looked at."""
    now: str
    """Names its curve at that moment."""


@dataclass(frozen=True)
class MapWords:
    title: str
    x: str
    y: str
    hover: str
    """One cell; `%{x}` is the step, `%{y}` the lag, `%{z}` log10 of the share."""
    reach: str
    """One point of the line of reach; `%{x}` is the step, `%{text}` the lag."""
    bar: str
    """Title of the colours."""


def map_figure(panels: Sequence[Panel], words: MapWords) -> go.Figure:
    """A map for each run, two beside each other, all with the same colours; a line over each shows the reach.

    Every recorded moment has a column of the same width: the first moments, where most happens, are close together.
    """
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "title": {"text": words.title}, "uirevision": f"{[panel.label for panel in panels]}", "showlegend": False,
        "coloraxis": {"cmin": DARK_AT, "cmax": 0, "colorscale": SEQUENTIAL, "colorbar": _share_bar(words.bar)},
        "shapes": [], "annotations": [],
    }  # fmt: skip
    for number, panel in enumerate(panels):
        at = "" if number == 0 else str(number + 1)
        traces += _map(panel, words, at)
        layout |= _axes(number, len(panels), panel, words)
        layout["shapes"].append(_moment_line(panel, at))
        layout["annotations"].append(_heading(panel, at))
    return go.Figure(data=traces, layout=layout)


def _map(panel: Panel, words: MapWords, at: str) -> Iterator[dict[str, Any]]:
    lags = np.arange(0, panel.shares.shape[1], -(-panel.shares.shape[1] // MOST_LAGS))
    columns = step_names(panel.steps)
    yield {
        "type": "heatmap", "name": plain(panel.label), "coloraxis": "coloraxis", "xaxis": f"x{at}", "yaxis": f"y{at}",
        "x": columns, "y": lags.astype(np.float32), "z": log_shares(panel.shares[:, lags]).T,
        "hovertemplate": words.hover + "<extra></extra>", "hoverongaps": False,
    }  # fmt: skip
    for width, color in ((5, SURFACE), (2, INK)):  # the line is read on pale and on dark cells
        yield {
            "type": "scatter", "mode": "lines", "name": plain(panel.label), "xaxis": f"x{at}", "yaxis": f"y{at}",
            "x": columns, "y": np.minimum(panel.reach, panel.shares.shape[1] - 0.5).astype(np.float32),
            "line": {"width": width, "color": color},
            "text": [str(reach) for reach in panel.reach], "hoverinfo": "skip" if width == 5 else "all",
            "hovertemplate": None if width == 5 else words.reach + "<extra></extra>",
        }  # fmt: skip


def step_names(steps: NDArray[np.int64]) -> list[str]:
    """Names of the columns of a map: as names and not as numbers they are all as wide."""
    return [f"{step:,}" for step in steps]


def moment_axis(steps: NDArray[np.int64], count: int) -> dict[str, Any]:
    """An x-axis of such columns with about so many labels, level."""
    shown = np.unique(np.linspace(0, len(steps) - 1, count).round().astype(int))
    return {"type": "category", "tickvals": step_names(steps[shown]), "tickangle": 0}


def log_shares(shares: Array) -> NDArray[np.float32]:
    """log10, as a map draws it: what is zero is drawn as the smallest number, what is no number stays a gap."""
    return np.log10(np.maximum(shares, 1e-300)).astype(np.float32)


def _share_bar(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "side": "right"},
        "tickvals": [-6, -5, -4, -3, -2, -1, 0], "len": 1, "thickness": 10,
        "ticktext": ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "0.1", "1"],
    }  # fmt: skip


def _axes(number: int, count: int, panel: Panel, words: MapWords) -> dict[str, Any]:
    """Places of one map's axes; two beside each other, the second two below."""
    at = "" if number == 0 else str(number + 1)
    columns, rows = min(count, 2), -(-count // 2)
    column, row = number % 2, number // 2
    width, height = (1 - 0.12 * (columns - 1)) / columns, 1 / rows
    left, top = column * (width + 0.12), 1 - row * height - (HEAD if panel.finding else 0)
    bottom = 1 - (row + 1) * height + (FOOT if row + 1 < rows else 0)
    return {
        f"xaxis{at}": {
            "domain": [left, left + width], "anchor": f"y{at}", "range": [-0.5, len(panel.steps) - 0.5],
            "title": {"text": words.x if number + 2 >= count else ""},
            **moment_axis(panel.steps, TICKS - (columns > 1)),
        },
        f"yaxis{at}": {
            "domain": [bottom, top], "anchor": f"x{at}", "range": [-0.5, panel.shares.shape[1] - 0.5],
            "title": {"text": words.y if column == 0 else ""}, "showgrid": False, "zeroline": False,
        },
    }  # fmt: skip


def _moment_line(panel: Panel, at: str) -> dict[str, Any]:
    """The mark at the moment that is looked at."""
    return {
        "type": "line", "xref": f"x{at}", "x0": panel.moment, "x1": panel.moment, "yref": f"y{at} domain",
        "y0": 0, "y1": 1, "line": {"color": panel.style.color, "width": 3},
    }  # fmt: skip


def _heading(panel: Panel, at: str) -> dict[str, Any]:
    return {
        "text": panel.finding, "align": "left", "xref": f"x{at} domain", "x": 0, "xanchor": "left",
        "yref": f"y{at} domain", "y": 1, "yanchor": "bottom", "showarrow": False, "font": {"size": 13, "color": INK},
    }  # fmt: skip


@dataclass(frozen=True)
class CurveWords:
    title: str
    x: str
    y: str
    birth: str
    """Names the faint curve; `{name}` is the run."""
    vanished: str


def moment_figure(panels: Sequence[Panel], words: CurveWords) -> go.Figure:
    """What is left over the lag at one moment, the first moment faint behind. The axis is the same at every moment."""
    traces = [trace for panel in panels for trace in _curves(panel, words)]
    values = np.concatenate([panel.shares[np.isfinite(panel.shares)] for panel in panels])
    low = max(FLOOR, min(VANISHED / 10, float(values[values > 0].min(initial=1.0))))
    high = max(2.0, float(values.max(initial=1.0)) * 1.5)
    return go.Figure(data=traces, layout={
        "title": {"text": words.title}, "hovermode": "x unified", "uirevision": words.y, "showlegend": True,
        "xaxis": {
            "title": {"text": words.x}, "range": [0, max(panel.shares.shape[1] for panel in panels) - 1],
        },
        "yaxis": {
            "title": {"text": words.y}, "type": "log", "range": [np.log10(low), np.log10(high)], "nticks": 8,
            "hoverformat": ".4~g",
        },
        "shapes": [level_line(VANISHED)], "annotations": [level_note(words.vanished, VANISHED)],
    })  # fmt: skip


def _curves(panel: Panel, words: CurveWords) -> Iterator[dict[str, Any]]:
    lags = np.arange(panel.shares.shape[1], dtype=np.float32)
    line = {"color": panel.style.color}
    if panel.moment > 0:
        yield {
            "type": "scatter", "mode": "lines", "x": lags, "y": panel.shares[0], "showlegend": False, "opacity": 0.5,
            "name": plain(words.birth.format(name=panel.label)), "line": {**line, "width": 1.5, "dash": "dot"},
        }  # fmt: skip
    yield {
        "type": "scatter", "mode": "lines", "x": lags, "y": panel.shares[panel.moment], "name": plain(panel.now),
        "line": {**line, "width": 2.5, "dash": panel.style.dash},
    }  # fmt: skip


def level_line(value: float) -> dict[str, Any]:
    return {
        "type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": value, "y1": value,
        "line": {"color": MUTED, "width": 1, "dash": "dash"}, "layer": "below",
    }  # fmt: skip


def level_note(text: str, value: float) -> dict[str, Any]:
    """The name of a level on a logarithmic axis, at its right end below the line."""
    return {
        "text": plain(text), "xref": "x domain", "x": 1, "xanchor": "right", "yref": "y", "y": np.log10(value),
        "yanchor": "bottom", "showarrow": False, "font": {"size": 12, "color": MUTED},
    }  # fmt: skip
