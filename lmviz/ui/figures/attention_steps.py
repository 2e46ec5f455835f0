"""Attention of one token step by step: a column a key, a panel a step; and the sum of values that comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmviz.ui.figures.attention import LINE_COLOR, Array, ticks_along
from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, DIVERGING, FINE, INK, MUTED, SURFACE

GAP = 0.07
"""Between two panels, as a share of the height: room for the name of the lower one."""
LATER_COLOR = "#e06c26"


@dataclass(frozen=True)
class Panel:
    """One step: a number for every key."""

    name: str
    """Above it."""
    y: str
    values: Sequence[float | None]
    """None: hidden by the mask."""
    hidden: str = "−∞"
    """Said where there is no number."""
    off: bool = False
    """The step is switched off: its numbers are those before it."""


def steps_figure(
    panels: Sequence[Panel], keys: Sequence[str], later: Sequence[bool], query: int | None, key: int, *, title: str,
    x: str, hover: str, uirevision: str,
) -> go.Figure:  # fmt: skip
    """Panels from top to bottom, all but the last on one scale; the last has weights.

    keys: names of the keys, each different. later: keys that the mask is there to hide. query: place of the token that
    looks, if it is a key too. key: the chosen one. hover: `%{x}` and `%{y}`.
    """
    height = (1 - GAP * len(panels)) / len(panels)
    tops = [1 - GAP - place * (height + GAP) for place in range(len(panels))]
    scores = [value for panel in panels[:-1] for value in (*panel.values, 0.0) if value is not None]
    pad = 0.06 * (max(scores) - min(scores) or 1.0)
    scale = [min(scores) - pad * (min(scores) < 0), max(scores) + pad]
    placed = list(zip(panels, tops, strict=True))
    layout: dict[str, Any] = {}
    for number, (panel, top) in enumerate(placed, start=1):
        last = number == len(panels)
        layout["yaxis" if number == 1 else f"yaxis{number}"] = {
            "domain": [max(0.0, top - height), top], "title": {"text": panel.y}, "nticks": 4, "fixedrange": True,
            "zeroline": True, **({"rangemode": "tozero"} if last else {"range": scale}),
        }  # fmt: skip
    return go.Figure(
        data=[_bars(panel, number, keys, later, key, hover) for number, panel in enumerate(panels, start=1)],
        layout={
            "title": {"text": title}, "uirevision": uirevision, "margin": {"l": 60, "r": 4, "t": 4, "b": 44},
            "hovermode": "x", "hoversubplots": "axis", "bargap": 0.15, "showlegend": False,
            "xaxis": {"title": {"text": x}, "type": "category", **ticks_along(keys),
                      "anchor": f"y{len(panels)}", "range": [-0.5, len(keys) - 0.5]},
            **layout,
            "annotations": [
                *(_name(panel, top) for panel, top in placed),
                *(mark for panel, top in placed for mark in _words(panel, top - height / 2)),
            ],
            "shapes": [*_marks(query, key), *(mark for panel, top in placed for mark in _curtains(panel, top, height))],
        },
    )  # fmt: skip


def _bars(
    panel: Panel, number: int, keys: Sequence[str], later: Sequence[bool], key: int, hover: str
) -> dict[str, Any]:
    colors = [LATER_COLOR if after else f"rgb({LINE_COLOR})" for after in later]
    colors[key] = ACCENT
    return {
        "type": "bar", "name": panel.name, "x": list(keys),
        "y": [None if value is None else float(f"{value:.5g}") for value in panel.values],
        "yaxis": "y" if number == 1 else f"y{number}", "marker": {"color": colors, "opacity": 0.35 if panel.off else 1},
        "hovertemplate": hover + "<extra></extra>",
    }  # fmt: skip


def _name(panel: Panel, top: float) -> dict[str, Any]:
    return {
        "x": 0, "y": top, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "showarrow": False,
        "text": panel.name, "font": {"size": 12, "color": MUTED if panel.off else INK},
        "align": "left", "bgcolor": SURFACE, "borderpad": 0,
    }  # fmt: skip


def _hidden(panel: Panel) -> list[tuple[int, int]]:
    """Spans of keys that have no number: first and last."""
    spans: list[tuple[int, int]] = []
    for place, value in enumerate(panel.values):
        if value is None and spans and spans[-1][1] == place - 1:
            spans[-1] = (spans[-1][0], place)
        elif value is None:
            spans.append((place, place))
    return spans


def _words(panel: Panel, middle: float) -> list[dict[str, Any]]:
    """Said once for each span that is wide enough."""
    return [
        {"x": (first + last) / 2, "y": middle, "xref": "x", "yref": "paper", "showarrow": False, "text": panel.hidden,
         "font": {"size": 12, "color": MUTED}}
        for first, last in _hidden(panel) if last - first >= 4
    ]  # fmt: skip


def _curtains(panel: Panel, top: float, height: float) -> list[dict[str, Any]]:
    """Over what the mask hides."""
    return [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": first - 0.5, "x1": last + 0.5, "y0": top - height,
         "y1": top, "fillcolor": FINE, "line": {"width": 0}, "layer": "below"}
        for first, last in _hidden(panel)
    ]  # fmt: skip


def _marks(query: int | None, key: int) -> list[dict[str, Any]]:
    """A frame around the chosen key through all panels, a dotted line at the token that looks."""
    line = {"type": "line", "xref": "x", "yref": "paper", "x0": query, "x1": query, "y0": 0, "y1": 1, "layer": "below"}
    frame = {"type": "rect", "xref": "x", "yref": "paper", "x0": key - 0.5, "x1": key + 0.5, "y0": 0, "y1": 1}
    return [
        {**frame, "line": {"color": ACCENT, "width": 1}, "layer": "below"},
        *([] if query is None else [{**line, "line": {"color": MUTED, "width": 1, "dash": "dot"}}]),
    ]


def mixed_figure(
    parts: Array, names: Sequence[str], labels: Sequence[str], *, title: str, x: str, y: str, hover: str,
    uirevision: str,
) -> go.Figure:  # fmt: skip
    """What each key adds, a row each, and in the last row their sum (R, K). names: each different; labels: shown."""
    limit = float(np.abs(parts).max()) or 1.0
    rows, width = parts.shape
    line = {"type": "line", "x0": -0.5, "x1": width - 0.5, "y0": rows - 1.5, "y1": rows - 1.5}
    return go.Figure(
        data=[{
            "type": "heatmap", "x": [str(place + 1) for place in range(width)], "y": list(names), "z": compact(parts),
            "colorscale": DIVERGING, "reversescale": True, "zmin": -limit, "zmax": limit, "ygap": 2,
            "hovertemplate": hover + "<extra></extra>", "colorbar": {"thickness": 8, "nticks": 3},
        }],
        layout={
            "title": {"text": title}, "uirevision": uirevision, "margin": {"l": 60, "r": 4, "t": 8, "b": 44},
            "xaxis": {"title": {"text": x}, "type": "category", "nticks": 16, "tickangle": 0},
            "yaxis": {"title": {"text": y}, "type": "category", "tickmode": "array", "tickvals": list(names),
                      "ticktext": list(labels), "range": [rows - 0.5, -0.5], "showgrid": False},
            "shapes": [{**line, "line": {"color": MUTED, "width": 1.5}}],
        },
    )  # fmt: skip
