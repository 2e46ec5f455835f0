"""Maps of a signal over a text, and one unit over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, DIVERGING, INK, MUTED, SEQUENTIAL

Array = NDArray[np.float32]

STRIP = 0.16
"""Share of the height that the mean over units has."""


@dataclass(frozen=True)
class MapData:
    """A part of a signal as it is drawn. Shapes: T tokens, R rows of units."""

    values: Array
    """(R, T); a row is a unit, or the mean of several."""
    mean: Array
    """Mean over all units at each token (T,)."""
    columns: Sequence[str]
    """Names of the tokens (T,), each different, as Plotly may show them."""
    rows: Sequence[str]
    """Names of the units, each different."""
    every_column: Sequence[str]
    """Names of all tokens of the text, also where only a part is drawn."""
    column: int | None
    """The chosen token among the columns."""
    row: int | None
    """The chosen unit's row."""
    range: tuple[int, int]
    """Places of the tokens that are drawn: from, up to."""
    limit: float
    """Where the colours of a signal with both signs end."""


@dataclass(frozen=True)
class MapWords:
    title: str
    x: str
    y: str
    hover: str
    """One cell: `%{x}`, `%{y}`, `%{z}`."""
    mean: str
    """Name of the strip; its hover has `%{x}` and `%{y}`."""
    mean_hover: str


def signal_map(data: MapData, words: MapWords, *, gate: bool, key: str) -> go.Figure:
    """A heatmap of unit by token, and above it the mean over units.

    gate: values from 0 to 1; else they have both signs, and the colours end at `data.limit`.
    key: zoom is kept while it stays.
    """
    # as in the text, where blue is above zero
    signed = {"colorscale": DIVERGING, "reversescale": True, "zmin": -data.limit, "zmax": data.limit}
    scale: dict[str, Any] = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": 1} if gate else signed
    return go.Figure(
        data=[
            {
                "type": "heatmap", "name": words.title, "x": list(data.columns), "y": list(data.rows),
                "z": compact(data.values), "hovertemplate": words.hover + "<extra></extra>",
                "colorbar": {"thickness": 8, "len": 1 - STRIP, "y": 0, "yanchor": "bottom", "nticks": 4}, **scale,
            },
            {
                "type": "scatter", "mode": "lines", "name": words.mean, "x": list(data.columns),
                "y": np.round(data.mean, 4).tolist(), "yaxis": "y2", "line": {"color": MUTED, "width": 1.2},
                "hovertemplate": words.mean_hover + "<extra></extra>", "showlegend": False,
            },
        ],
        layout={
            "title": {"text": words.title}, "uirevision": key, "margin": {"l": 44, "r": 4, "t": 26, "b": 36},
            "xaxis": {
                "title": {"text": words.x}, "type": "category", "anchor": "y", "nticks": 5, "tickangle": 0,
                "range": [data.range[0] - 0.5, data.range[1] - 0.5], **_categories(data),
            },
            "yaxis": {
                "title": {"text": words.y}, "type": "category", "domain": [0, 1 - STRIP - 0.06], "showgrid": False,
                "range": [len(data.rows) - 0.5, -0.5], "nticks": 6,
            },
            "yaxis2": {
                "domain": [1 - STRIP, 1], "nticks": 2, "fixedrange": True, "anchor": "x",
                "tickfont": {"size": 10},
                **_mean_range(data.mean, gate),
            },
            "shapes": _chosen(data),
        },
    )  # fmt: skip


def _categories(data: MapData) -> dict[str, Any]:
    """Where a part is drawn, its tokens keep the places that they have in the text."""
    if len(data.columns) == len(data.every_column):
        return {}
    return {"categoryorder": "array", "categoryarray": list(data.every_column)}


def _mean_range(mean: Array, gate: bool) -> dict[str, Any]:
    """The strip has zero in it."""
    low, high = (0.0, 1.0) if gate else (min(0.0, float(mean.min())), max(0.0, float(mean.max())))
    room = 0.08 * ((high - low) or 1)
    return {"range": [low - room, high + room]}


def _chosen(data: MapData) -> list[dict[str, Any]]:
    """Lines through the chosen token and the chosen unit."""
    line = {"type": "line", "line": {"color": ACCENT, "width": 1.2, "dash": "dot"}}
    shapes: list[dict[str, Any]] = []
    if data.column is not None:
        place = data.range[0] + data.column
        shapes.append({**line, "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper"})
    if data.row is not None:
        shapes.append({**line, "y0": data.row, "y1": data.row, "x0": 0, "x1": 1, "xref": "paper"})
    return shapes


@dataclass(frozen=True)
class Line:
    """One signal of a unit over a text."""

    name: str
    values: Array
    unbounded: bool
    """A cell state can grow beyond 1 and has a panel of its own."""


COLORS = ("#4296ea", "#e06c26", "#2a905a", "#e45ca9", "#664ed8", "#8a6d3b")
"""Of the signals in their order; see lmviz.ui.theme for how such colours are chosen."""
CELL_SHARE = 0.4
"""Of the height, for the cell state's panel."""


def unit_figure(
    lines: Sequence[Line], columns: Sequence[str], chosen: int, *, title: str, x: str, y: str, hover: str, key: str
) -> go.Figure:
    """Signals of one unit at every token; the chosen token marked. `hover`: `%{x}`, `%{y}`."""
    apart = any(line.unbounded for line in lines)
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": line.name, "x": list(columns),
            "y": [float(f"{value:.6g}") for value in line.values], "yaxis": "y2" if line.unbounded else "y",
            "line": {"color": INK if line.unbounded else color, "width": 2 if line.unbounded else 1.5},
            "hovertemplate": f"{line.name}: {hover}<extra></extra>",
        }
        for line, color in zip(lines, COLORS, strict=False)
    ]  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "hovermode": "x", "margin": {"t": 6},
        "legend": {"y": -0.22, "yanchor": "top"},
        "xaxis": {
            "title": {"text": x}, "type": "category", "nticks": 12, "tickangle": 0, "anchor": "y",
            "range": [-0.5, len(columns) - 0.5],
        },
        "yaxis": {"title": {"text": y}, "domain": [0, 1 - CELL_SHARE - 0.05 if apart else 1]},
        **({"yaxis2": {"domain": [1 - CELL_SHARE, 1], "anchor": "x"}} if apart else {}),
        "shapes": [{
            "type": "line", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": ACCENT, "width": 1.5, "dash": "dot"},
        }],
    })  # fmt: skip
