"""Attention: all heads as one picture, one head as a map and as lines from token to token, entropy by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, INK, MUTED, PANEL, SEQUENTIAL

Array = NDArray[np.float32]

LINE_COLOR = "58,134,200"
SHADES = 8
"""Opacities of lines: a trace each."""
FAINTEST = 0.02
"""Weights below it have no line."""


@dataclass(frozen=True)
class Tile:
    """One head in the picture of all."""

    name: str
    """Above its map, short."""
    hover: str
    chosen: bool


def overview_figure(
    source: str, tiles: Sequence[Tile], columns: int, *, title: str, key: str, covered: bool
) -> go.Figure:  # fmt: skip
    """A picture of all maps, `columns` in a row, and over it a cell for each that can be pointed at and clicked.

    covered: the upper right of each map is no free space, so names have a background.
    """
    rows = -(-len(tiles) // columns)
    values = np.full((rows, columns), np.nan)
    words = np.full((rows, columns), "", object)
    corners = [(place % columns + 0.46, place // columns - 0.46) for place in range(len(tiles))]
    shapes = []
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        values[row, column], words[row, column] = place, tile.hover
        if tile.chosen:
            shapes.append({
                "type": "rect", "x0": column - 0.49, "x1": column + 0.49, "y0": row - 0.49, "y1": row + 0.49,
                "line": {"color": ACCENT, "width": 2.5},
            })  # fmt: skip
    annotations = [_label(tile, *corner) for tile, corner in zip(tiles, corners, strict=True)] if covered else []
    names = {  # as one trace: Plotly draws it ten times as fast as so many annotations
        "type": "scatter", "mode": "text", "x": [x for x, _y in corners], "y": [y for _x, y in corners],
        "text": [tile.name for tile in tiles], "textposition": "bottom left", "hoverinfo": "skip",
        "textfont": {"size": 11, "color": INK}, "showlegend": False, "visible": not covered,
    }  # fmt: skip
    clear = [[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]]
    return go.Figure(
        data=[{
            "type": "heatmap", "z": values.tolist(), "text": words.tolist(), "colorscale": clear, "showscale": False,
            "hovertemplate": "%{text}<extra></extra>", "xgap": 0, "ygap": 0,
        }, names],
        layout={
            "title": {"text": title}, "uirevision": key, "margin": {"l": 4, "r": 4, "t": 26, "b": 4},
            "xaxis": {"visible": False, "range": [-0.5, columns - 0.5], "fixedrange": True},
            "yaxis": {"visible": False, "range": [rows - 0.5, -0.5], "fixedrange": True},
            "images": [{
                "source": source, "xref": "x", "yref": "y", "x": -0.5, "y": -0.5, "sizex": columns, "sizey": rows,
                "sizing": "stretch", "layer": "below", "xanchor": "left", "yanchor": "top",
            }],
            "annotations": annotations, "shapes": shapes,
        },
    )  # fmt: skip


def _label(tile: Tile, x: float, y: float) -> dict[str, Any]:
    """A name with something behind it."""
    return {
        "x": x, "y": y, "xanchor": "right", "yanchor": "top", "showarrow": False, "text": tile.name,
        "font": {"size": 11, "color": INK}, "align": "right", "bgcolor": PANEL, "opacity": 0.85,
    }  # fmt: skip


def map_figure(
    weights: Array, rows: Sequence[str], columns: Sequence[str], query: int | None, *, title: str, x: str, y: str,
    hover: str, key: str,
) -> go.Figure:  # fmt: skip
    """Attention weights (T, S): the token that looks down the side, the one looked at along the bottom.

    rows, columns: names of the tokens, each different. hover: `%{x}`, `%{y}`, `%{z}`.
    """
    shapes: list[dict[str, Any]] = []
    if query is not None:
        shapes.append({
            "type": "rect", "x0": -0.5, "x1": len(columns) - 0.5, "y0": query - 0.5, "y1": query + 0.5,
            "line": {"color": ACCENT, "width": 1.5},
        })  # fmt: skip
    return go.Figure(
        data=[{
            "type": "heatmap", "x": list(columns), "y": list(rows), "z": compact(weights), "colorscale": SEQUENTIAL,
            "zmin": 0, "zmax": 1, "hovertemplate": hover + "<extra></extra>",
            "colorbar": {"thickness": 8, "nticks": 3},
        }],
        layout={
            "title": {"text": title}, "uirevision": key, "margin": {"l": 60, "r": 4, "t": 26, "b": 44},
            "xaxis": {"title": {"text": x}, "type": "category", **ticks_along(columns)},
            "yaxis": {"title": {"text": y}, "type": "category", **ticks(rows), "range": [len(rows) - 0.5, -0.5],
                      "showgrid": False},
            "shapes": shapes,
        },
    )  # fmt: skip


def ticks(names: Sequence[str]) -> dict[str, Any]:
    """Every token by itself where there is room: without the number that makes its name unique."""
    if len(names) > 48:
        return {"nticks": 12}
    texts = [name.partition(" ")[2] or name for name in names]
    return {"tickmode": "array", "tickvals": list(names), "ticktext": texts, "tickfont": {"size": 11}}


def ticks_along(names: Sequence[str]) -> dict[str, Any]:
    """The same along the bottom: words slant; <mask> is a block, other special tokens are left to the hover."""
    found = ticks(names)
    if "ticktext" not in found:
        return {**found, "tickangle": 0}
    special = {"&lt;mask&gt;": "▒", "&lt;begin&gt;": "", "&lt;end&gt;": ""}
    texts = [special.get(text, text) for text in found["ticktext"]]
    return {**found, "ticktext": texts, "tickangle": 0 if max(map(len, texts)) <= 2 else -60}


def lines_figure(
    weights: Array, rows: Sequence[str], columns: Sequence[str], query: int | None, *, title: str, left: str,
    right: str, key: str,
) -> go.Figure:  # fmt: skip
    """From each token that looks (left) to those looked at (right): the darker, the more. One of them stands out."""
    traces: list[dict[str, Any]] = []
    levels = np.minimum((weights * SHADES).astype(int), SHADES - 1)
    for level in range(SHADES):
        places = np.argwhere((levels == level) & (weights >= FAINTEST))
        if query is not None:
            places = places[places[:, 0] != query]
        if len(places):
            traces.append(_lines(places, f"rgba({LINE_COLOR},{(level + 1) / SHADES * 0.6:.2f})", 1.2))
    if query is not None:
        for place in np.flatnonzero(weights[query] >= FAINTEST):
            width = 1 + 5 * float(weights[query, place])
            traces.append(_lines(np.array([[query, place]]), ACCENT, width))
    names = [
        {
            "type": "scatter",
            "mode": "text",
            "x": [side] * len(tokens),
            "y": list(range(len(tokens))),
            "text": [name.partition(" ")[2] or name for name in tokens],
            "textposition": position,
            "hoverinfo": "skip",
            "textfont": {"size": 11, "color": INK},
            "showlegend": False,
        }
        for side, tokens, position in ((0, rows, "middle left"), (1, columns, "middle right"))
    ]
    return go.Figure(data=[*traces, *names], layout={
        "title": {"text": title}, "uirevision": key, "margin": {"l": 8, "r": 8, "t": 26, "b": 8},
        "xaxis": {"visible": False, "range": [-0.35, 1.35], "fixedrange": True},
        "yaxis": {"visible": False, "range": [max(len(rows), len(columns)) - 0.4, -1.4]},
        "annotations": [
            {"x": side, "y": -1, "text": text, "showarrow": False, "xanchor": anchor,
             "font": {"size": 12, "color": MUTED}}
            for side, text, anchor in ((0, left, "right"), (1, right, "left"))
        ],
    })  # fmt: skip


def _lines(places: NDArray[np.int64], color: str, width: float) -> dict[str, Any]:
    """A trace of straight lines from (0, row) to (1, column)."""
    y: list[int | None] = []
    for row, column in places.tolist():
        y += [row, column, None]
    return {
        "type": "scatter", "mode": "lines", "x": [0, 1, None] * len(places), "y": y, "hoverinfo": "skip",
        "line": {"color": color, "width": width}, "showlegend": False,
    }  # fmt: skip


def entropy_figure(
    values: Sequence[float], most: Sequence[float], rows: Sequence[str], query: int | None, *, title: str, x: str,
    y: str, name: str, most_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """How spread each row is, nats, beside the most it could be."""
    hover = "%{y:.3f}<extra>%{fullData.name}</extra>"
    marks = ["rgba(0,0,0,0)" if place != query else ACCENT for place in range(len(values))]
    return go.Figure(data=[
        {
            "type": "scatter", "mode": "lines", "name": most_name, "x": list(rows), "y": np.round(most, 5).tolist(),
            "line": {"color": MUTED, "width": 1, "dash": "dot"}, "hovertemplate": hover,
        },
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": list(rows),
            "y": np.round(values, 5).tolist(), "line": {"color": f"rgb({LINE_COLOR})", "width": 2},
            "marker": {"size": 9, "color": marks}, "hovertemplate": hover,
        },
    ], layout={
        "title": {"text": title}, "uirevision": key, "hovermode": "x", "margin": {"t": 26},
        "xaxis": {"title": {"text": x}, "type": "category", "nticks": 12, "tickangle": 0},
        "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
    })  # fmt: skip
