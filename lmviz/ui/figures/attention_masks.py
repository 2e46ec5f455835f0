"""Masks: who may look at whom, how attention is shared between earlier and later tokens, and guesses of hidden ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.attention import LINE_COLOR, ticks, ticks_along
from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, FINE, MUTED, SEQUENTIAL

SEEN = f"rgba({LINE_COLOR},0.55)"
FEW = 24
"""Tokens that can all be named along the bottom of a mask, which is narrow."""
SHARE_COLORS = ("#4296ea", "#5a666c", "#e06c26")
"""Earlier, itself, later."""


def mask_figure(
    allowed: NDArray[np.bool_], rows: Sequence[str], columns: Sequence[str], query: int | None, *, title: str, x: str,
    y: str, may: str, may_not: str, key: str,
) -> go.Figure:  # fmt: skip
    """Where a row may look (T, S). may, may_not: said of a pair, with `%{y}` and `%{x}`."""
    traces = [
        {
            "type": "heatmap", "name": name, "x": list(columns), "y": list(rows),
            "z": compact(np.where(where, 1.0, np.nan)), "colorscale": [[0, color], [1, color]], "showscale": False,
            "zmin": 0, "zmax": 1, "hovertemplate": name + "<extra></extra>",
        }
        for where, name, color in ((allowed, may, SEEN), (~allowed, may_not, FINE)) if where.any()
    ]  # fmt: skip
    frame = {"type": "rect", "x0": -0.5, "x1": len(columns) - 0.5}
    along = ticks_along(columns) if len(columns) <= FEW else {"nticks": 6, "tickangle": 0}
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "margin": {"l": 60, "r": 4, "t": 26, "b": 44},
        "xaxis": {"title": {"text": x}, "type": "category", **along},
        "yaxis": {"title": {"text": y}, "type": "category", **ticks(rows), "range": [len(rows) - 0.5, -0.5],
                  "showgrid": False},
        "shapes": [] if query is None else [
            {**frame, "y0": query - 0.5, "y1": query + 0.5, "line": {"color": ACCENT, "width": 1.5}}
        ],
    })  # fmt: skip


def shares_figure(
    names: Sequence[str], shares: Sequence[Sequence[float]], parts: Sequence[str], *, title: str, x: str
) -> go.Figure:
    """How each model shares its attention: earlier, itself, later. shares: three numbers a model."""
    traces = [
        {
            "type": "bar", "orientation": "h", "name": part, "y": list(names),
            "x": [round(float(share[place]), 5) for share in shares], "marker": {"color": color},
            "text": [f"{share[place]:.2f}" if share[place] >= 0.03 else "" for share in shares],
            "textposition": "inside", "insidetextanchor": "middle", "textangle": 0, "textfont": {"color": "#ffffff"},
            "hovertemplate": "%{y}, " + part + ": <b>%{x:.4f}</b><extra></extra>",
        }
        for place, (part, color) in enumerate(zip(parts, SHARE_COLORS, strict=True))
    ]  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": title, "barmode": "stack", "bargap": 0.3,
        "uniformtext": {"mode": "hide", "minsize": 10},
        "margin": {"l": 60, "r": 8, "t": 28, "b": 40}, "legend": {"traceorder": "normal"},
        "xaxis": {"title": {"text": x}, "range": [0, 1]},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
    })  # fmt: skip


@dataclass(frozen=True)
class Guessed:
    """One hidden place, its texts as Plotly may show them."""

    name: str
    """Different for each place: its number and the token that stands there."""
    chance: float
    """Of the token that stands there."""
    note: str
    """Below it."""
    guesses: Sequence[tuple[str, float]]
    hit: int | None
    """Which of the guesses is right."""


def guesses_figure(
    places: Sequence[Guessed], *, title: str, first: str, x: str, y: str, hover: str, key: str
) -> go.Figure:  # fmt: skip
    """A row a hidden place: the token that stands there (column `first`), then the guesses, the likeliest first.

    hover: `%{y}`, `%{x}`, `%{text}`, `%{z}`.
    """
    width = max(len(place.guesses) for place in places)
    columns = [first, *(str(number + 1) for number in range(width))]
    chances = [[place.chance, *(chance for _token, chance in place.guesses)] for place in places]
    texts = [
        [f"{place.chance:.1%}<br>{place.note}",
         *(f"<b>{token}</b><br>{chance:.1%}" for token, chance in place.guesses)]
        for place in places
    ]  # fmt: skip
    box = {"type": "rect", "line": {"color": ACCENT, "width": 2.5}}
    return go.Figure(
        data=[{
            "type": "heatmap", "x": columns, "y": [place.name for place in places], "z": compact(np.array(chances)),
            "text": texts, "texttemplate": "%{text}", "textfont": {"size": 11}, "colorscale": SEQUENTIAL, "zmin": 0,
            "zmax": 1, "xgap": 2, "ygap": 2, "showscale": False, "hovertemplate": hover + "<extra></extra>",
        }],
        layout={
            "title": {"text": title}, "uirevision": key, "margin": {"l": 60, "r": 4, "t": 8, "b": 44},
            "xaxis": {"title": {"text": x}, "type": "category", "tickangle": 0},
            "yaxis": {"title": {"text": y if len(places) > 2 else ""}, "type": "category", "showgrid": False,
                      "range": [len(places) - 0.5, -0.5], "dtick": 1},
            "shapes": [
                {**box, "x0": place.hit + 0.52, "x1": place.hit + 1.48, "y0": row - 0.46, "y1": row + 0.46}
                for row, place in enumerate(places) if place.hit is not None
            ],
        },
    )  # fmt: skip


def classes_figure(
    names: Sequence[str], chances: Sequence[float], color: str, *, title: str, x: str, key: str
) -> go.Figure:  # fmt: skip
    """The chance of every class, in the order given."""
    trace: dict[str, Any] = {
        "type": "bar", "orientation": "h", "x": [round(float(chance), 6) for chance in chances], "y": list(names),
        "marker": {"color": [color if chance == max(chances) else MUTED for chance in chances]},
        "text": [f"{chance:.1%}" for chance in chances], "textposition": "auto", "cliponaxis": False,
        "hovertemplate": "%{y}: %{x:.2%}<extra></extra>",
    }  # fmt: skip
    return go.Figure(data=[trace], layout={
        "title": {"text": title}, "uirevision": key, "bargap": 0.3, "margin": {"t": 8, "l": 60, "r": 16, "b": 40},
        "xaxis": {"title": {"text": x}, "tickformat": ".0%", "range": [0, 1]},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
    })  # fmt: skip
