"""One step of writing: the chance of every token after each stage, small multiples beside one another; the tree of all
that was tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.theme import ACCENT, FINE, GRID, INK, MUTED

ROOM = 1.85
"""How much longer an axis is than its longest bar, so that the number beside it fits."""
NUMBERED = 0.0005
"""Chance from which its number stands beside a bar."""
GAP = 0.012
"""Between two columns, as a share of the width."""


@dataclass(frozen=True)
class Column:
    """One stage: a number a row (R)."""

    head: str
    values: Sequence[float]
    """Chances, or scores as shares of the largest."""
    out: Sequence[float]
    """Chance that this stage took from a row's token, 0 where it took none."""
    texts: Sequence[str]
    hovers: Sequence[str]


def stages_figure(
    columns: Sequence[Column], labels: Sequence[str], ids: Sequence[int], *, drawn: int, chosen: int | None, color: str,
    title: str, x: str, y: str, key: str,
) -> go.Figure:  # fmt: skip
    """A row a token, the same in all columns; the last row is what all others share.

    labels (R,), all different. ids (R,), sent with a click; -1 for the last row. drawn, chosen: rows that are marked.
    color: of the bars. The last column is the draw and has a length of its own.
    """
    count = len(columns)
    longest = max((max(*column.values, *column.out) for column in columns[:-1]), default=1) or 1
    width = (1 - GAP * (count - 1)) / count
    last = len(labels) - 1
    left = 16 + max(map(_pixels, labels))  # known, so that Plotly need not draw twice to find out
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    heads: list[dict[str, Any]] = []
    for number, column in enumerate(columns):
        name = "" if number == 0 else str(number + 1)
        start = number * (width + GAP)
        cut = [out > 0 for out in column.out]
        shades = [MUTED if row == last or cut[row] else ACCENT if row == drawn else color for row in range(len(labels))]
        hatched: dict[str, Any] = {
            "pattern": {"shape": ["/" if one else "" for one in cut], "fillmode": "replace", "size": 5,
                        "solidity": 0.35},
            "opacity": [0.55 if one else 1 for one in cut],
        }  # fmt: skip
        traces.append({
            "type": "bar", "orientation": "h", "name": column.head.split("<br>")[0], "xaxis": f"x{name}", "yaxis": "y",
            "y": list(labels),
            "x": [float(f"{out or value:.6g}") for value, out in zip(column.values, column.out, strict=True)],
            "marker": {"color": shades} | (hatched if any(cut) else {}),
            "text": list(column.texts), "textposition": "outside", "cliponaxis": False, "textangle": 0,
            "constraintext": "none", "textfont": {"size": 11.5, "color": [MUTED if one else INK for one in cut]},
            "customdata": [[token, hover] for token, hover in zip(ids, column.hovers, strict=True)],
            "hovertemplate": "%{customdata[1]}<extra></extra>", "showlegend": False,
        })  # fmt: skip
        axes[f"xaxis{name}"] = {
            "domain": [start, start + width], "range": [0, (1 if number == count - 1 else longest) * ROOM],
            "showticklabels": False, "ticks": "", "showline": False, "zeroline": True, "zerolinecolor": GRID,
            "showgrid": False, "fixedrange": True, "title": {"text": x if number == 0 else "", "standoff": 2},
            "automargin": False,
        }  # fmt: skip
        heads.append({
            "text": column.head, "x": start, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper",
            "yanchor": "bottom", "showarrow": False, "align": "left", "font": {"size": 11.5, "color": INK},
        })  # fmt: skip
    shapes = [_band(drawn, fill=True)]
    if chosen is not None and chosen != drawn:
        shapes.append(_band(chosen, fill=False))
    return _figure(traces, {
        "title": {"text": title}, "uirevision": key, "bargap": 0.22, "margin": {"t": 54, "l": left, "r": 8, "b": 24},
        "hovermode": "y", "dragmode": False, "annotations": heads, "shapes": shapes, **axes,
        "yaxis": {
            "type": "category", "categoryorder": "array", "categoryarray": list(labels), "autorange": "reversed",
            "showgrid": True, "gridcolor": FINE, "fixedrange": True, "ticks": "", "ticklen": 6, "automargin": False,
            "tickfont": {"size": 13, "color": INK}, "title": {"text": y}, "tickmode": "array", "tickvals": list(labels),
            "ticktext": [f"<b>{name}</b>" if row in (drawn, chosen) else name for row, name in enumerate(labels)],
        },
    })  # fmt: skip


def _pixels(label: str) -> int:
    """About how wide a label is in bold; Chinese characters are twice as wide."""
    return sum(14 if character >= "\u2e80" else 8 for character in label)


def _band(row: int, *, fill: bool) -> dict[str, Any]:
    """Across all columns."""
    return {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row + 0.5, "layer": "below",
        "fillcolor": ACCENT if fill else "rgba(0,0,0,0)", "opacity": 0.13 if fill else 1,
        "line": {"width": 0 if fill else 1.5, "color": INK, "dash": "dot"},
    }  # fmt: skip


def _figure(data: list[dict[str, Any]], layout: dict[str, Any]) -> go.Figure:
    """Plotly's checks of every property take four times as long as all else; the tests make them instead."""
    return go.Figure(data=data, layout=layout, _validate=False)


@dataclass(frozen=True)
class Node:
    """One token of the tree."""

    depth: int
    lane: int
    text: str
    hover: str
    forced: bool
    here: bool
    """On the path that is looked at."""
    parent: tuple[int, int] | None
    """Depth and lane of the token before it."""
    target: tuple[int, int]
    """Branch and place that a click leads to."""


def tree_figure(
    nodes: Sequence[Node], ends: Sequence[tuple[float, float, str]], at: tuple[int, int], color: str, *,
    title: str, x: str, key: str, window: tuple[float, float],
) -> go.Figure:  # fmt: skip
    """Time from left to right, a lane a branch. ends: depth, lane and words at the end of each. at: depth and lane of
    the token after which the person is. window: depths that are seen at first.
    """
    traces: list[dict[str, Any]] = []
    for here in (False, True):
        xs: list[float | None] = []
        ys: list[float | None] = []
        for node in nodes:
            if node.here == here and node.parent:
                xs += [node.parent[0], node.parent[0] + 0.4, node.depth, None]
                ys += [node.parent[1], node.lane, node.lane, None]
        traces.append({
            "type": "scatter", "mode": "lines", "x": xs, "y": ys, "hoverinfo": "skip", "showlegend": False,
            "line": {"color": color if here else MUTED, "width": 2.5 if here else 1.2},
        })  # fmt: skip
    shown = list(nodes)
    traces.append({
        "type": "scatter", "mode": "markers+text", "x": [node.depth for node in shown],
        "y": [node.lane for node in shown], "text": [node.text for node in shown], "textposition": "top center",
        "textfont": {"size": 12, "color": [INK if node.here else MUTED for node in shown]},
        "marker": {
            "size": [15 if (node.depth, node.lane) == at else 9 for node in shown],
            "symbol": ["diamond" if node.forced else "circle" for node in shown],
            "color": [color if node.here else MUTED for node in shown],
            "line": {"width": [2.5 if (node.depth, node.lane) == at else 0 for node in shown], "color": INK},
        },
        "customdata": [[*node.target, node.hover] for node in shown],
        "hovertemplate": "%{customdata[2]}<extra></extra>", "showlegend": False, "cliponaxis": False,
    })  # fmt: skip
    lanes = max((node.lane for node in nodes), default=0)
    return _figure(traces, {
        "title": {"text": title}, "uirevision": key, "margin": {"t": 12, "l": 16, "r": 16, "b": 40},
        "xaxis": {"title": {"text": x}, "range": list(window), "dtick": 1 if window[1] - window[0] <= 16 else None,
                  "showgrid": False, "automargin": False},
        "yaxis": {"range": [lanes + 0.5, -0.7], "visible": False, "fixedrange": True, "automargin": False},
        "annotations": [
            {"x": depth, "y": lane, "text": words, "xanchor": "left", "xshift": 12, "showarrow": False,
             "font": {"size": 12, "color": MUTED}}
            for depth, lane, words in ends
        ],
    })  # fmt: skip
