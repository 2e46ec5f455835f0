"""Vectors that tell a model the places of its tokens: the table, how alike two places are, and the loss by place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, DIVERGING, MUTED

Array = NDArray[np.float32]


def table_figure(table: Array, limit: float, *, title: str, x: str, y: str, hover: str, key: str) -> go.Figure:
    """A table (C, D): place down the side, dimension along the bottom. limit: where the colours end, both ways."""
    return go.Figure(
        data=[{
            "type": "heatmap", "z": compact(table), "colorscale": DIVERGING, "zmin": -limit, "zmax": limit,
            "hovertemplate": hover + "<extra></extra>", "colorbar": {"thickness": 8, "nticks": 5},
        }],
        layout={
            "title": {"text": title}, "uirevision": key, "margin": {"l": 48, "r": 4, "t": 8, "b": 44},
            "xaxis": {"title": {"text": x}, "showgrid": False},
            "yaxis": {"title": {"text": y}, "range": [len(table) - 0.5, -0.5], "showgrid": False},
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Likeness:
    """Cosine of two places by the distance between them."""

    name: str
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    color: str
    fill: str


def likeness_figure(courses: Sequence[Likeness], *, title: str, x: str, y: str, key: str) -> go.Figure:
    """Mean over all pairs of places as a line, the least and the most as a band."""
    traces: list[dict[str, Any]] = []
    for one in courses:
        distance = list(range(len(one.mean)))
        traces.append({
            "type": "scatter", "mode": "lines", "x": [*distance, *distance[::-1]],
            "y": _short([*one.high, *list(one.low)[::-1]]), "fill": "toself", "fillcolor": one.fill,
            "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip
        traces.append({
            "type": "scatter", "mode": "lines", "name": one.name, "x": distance, "y": _short(one.mean),
            "line": {"color": one.color, "width": 2}, "hovertemplate": "%{y:.3f}<extra>" + one.name + "</extra>",
        })  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "hovermode": "x", "margin": {"t": 8},
        "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}},
        "legend": {"y": -0.22, "yanchor": "top"}, "showlegend": len(courses) > 1,
    })  # fmt: skip


def place_losses_figure(
    losses: Sequence[float], smooth: Sequence[float], trained: int, ends: bool, color: str, *, title: str, x: str,
    y: str, name: str, smooth_name: str, edge: str, beyond: str, key: str,
) -> go.Figure:  # fmt: skip
    """Loss by place, and its running mean; a line at the trained length.

    ends: the model has no places after it; the room that is left empty then says `beyond`.
    """
    places = list(range(1, len(losses) + 1))
    hover = "%{y:.3f}<extra>%{fullData.name}</extra>"
    last = trained * 1.5 if ends else len(losses)
    notes: list[dict[str, Any]] = [{
        "x": trained + 0.5, "y": 1, "yref": "paper", "xanchor": "right", "yanchor": "top", "text": edge,
        "showarrow": False, "xshift": -4, "font": {"size": 12, "color": ACCENT},
    }]  # fmt: skip
    shapes: list[dict[str, Any]] = [{
        "type": "line", "x0": trained + 0.5, "x1": trained + 0.5, "y0": 0, "y1": 1, "yref": "paper",
        "line": {"color": ACCENT, "width": 1.5, "dash": "dot"},
    }]  # fmt: skip
    if beyond:
        notes.append({
            "x": (trained + last) / 2, "y": 0.5, "yref": "paper", "text": beyond, "showarrow": False,
            "textangle": -90, "font": {"size": 13, "color": MUTED},
        })  # fmt: skip
    if ends:
        shapes.append({
            "type": "rect", "x0": trained + 0.5, "x1": last, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
            "fillcolor": "rgba(128,128,128,0.10)", "line": {"width": 0},
        })  # fmt: skip
    return go.Figure(data=[
        {
            "type": "scatter", "mode": "markers", "name": name, "x": places, "y": _short(losses),
            "marker": {"size": 4, "color": color, "opacity": 0.4}, "hovertemplate": hover,
        },
        {
            "type": "scatter", "mode": "lines", "name": smooth_name, "x": places, "y": _short(smooth),
            "line": {"color": color, "width": 2.4}, "hovertemplate": hover,
        },
    ], layout={
        "title": {"text": title}, "uirevision": key, "hovermode": "x", "margin": {"t": 8},
        "xaxis": {"title": {"text": x}, "range": [0, last + 1]}, "yaxis": {"title": {"text": y}},
        "shapes": shapes, "annotations": notes, "legend": {"y": -0.22, "yanchor": "top"},
    })  # fmt: skip


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
