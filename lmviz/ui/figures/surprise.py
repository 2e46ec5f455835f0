"""Surprise along a text, a bar a token, and how often the right token had which rank."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from lmviz.ui.theme import ACCENT, DIVERGING, MUTED

WORDS = 90
"""Tokens that fit under an axis."""


def along_figure(
    nats: ArrayLike, expected: ArrayLike, hovers: Sequence[str], tokens: Sequence[str], chosen: int | None, color: str,
    *, title: str, x: str, y: str, name: str, expected_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """A bar a token (N): its surprise; a line: what the model expected of it. hovers, tokens (N,)."""
    places = list(range(len(tokens)))
    return go.Figure(data=[
        {
            "type": "bar", "x": places, "y": _short(nats), "name": name, "marker": {"color": color},
            "customdata": list(hovers), "hovertemplate": "%{customdata}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "lines", "x": places, "y": _short(expected), "name": expected_name,
            "line": {"color": MUTED, "width": 1.5, "shape": "hvh"}, "hoverinfo": "skip",
        },
    ], layout={
        "title": {"text": title}, "uirevision": key, "bargap": 0.15, "margin": {"t": 8}, "hovermode": "x",
        "xaxis": {"title": {"text": x}, **_words(tokens)}, "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
        "shapes": _mark(chosen),
    })  # fmt: skip


def difference_figure(
    gains: ArrayLike, hovers: Sequence[str], spans: Sequence[str], chosen: int | None, most: float, *, title: str,
    x: str, y: str, key: str,
) -> go.Figure:  # fmt: skip
    """A bar a span (S): how many nats more the second model gave it. most: nats of the strongest colour."""
    values = _short(gains)
    return go.Figure(data=[{
        "type": "bar", "x": list(range(len(spans))), "y": values, "customdata": list(hovers),
        "hovertemplate": "%{customdata}<extra></extra>", "showlegend": False,
        "marker": {"color": [-value for value in values], "colorscale": DIVERGING, "cmin": -most, "cmid": 0,
                   "cmax": most, "line": {"color": MUTED, "width": 0.5}},
    }], layout={
        "title": {"text": title}, "uirevision": key, "bargap": 0.15, "margin": {"t": 8}, "hovermode": "x",
        "xaxis": {"title": {"text": x}, **_words(spans)}, "yaxis": {"title": {"text": y}}, "shapes": _mark(chosen),
    })  # fmt: skip


def ranks_figure(
    rows: Sequence[tuple[str, Sequence[int], str]], classes: Sequence[str], *, title: str, x: str, y: str, key: str
) -> go.Figure:
    """A bar a class of ranks for each row: (name, counts, colour)."""
    return go.Figure(data=[
        {
            "type": "bar", "x": list(classes), "y": [count / max(1, sum(counts)) for count in counts], "name": name,
            "marker": {"color": color}, "customdata": list(counts), "text": [f"{count:,}" for count in counts],
            "textposition": "outside", "cliponaxis": False, "showlegend": len(rows) > 1,
            "hovertemplate": "%{x}: %{y:.1%} (%{customdata:,})<extra>%{fullData.name}</extra>",
        }
        for name, counts, color in rows
    ], layout={
        "title": {"text": title}, "uirevision": key, "bargap": 0.3, "margin": {"t": 24},
        "xaxis": {"type": "category", "title": {"text": x}},
        "yaxis": {"title": {"text": y}, "tickformat": ".0%", "rangemode": "tozero"},
    })  # fmt: skip


def _short(values: ArrayLike) -> list[float]:
    return [float(f"{value:.4g}") for value in np.asarray(values, np.float64)]


def _words(tokens: Sequence[str]) -> dict[str, object]:
    """The tokens under the axis where they fit."""
    if len(tokens) > WORDS or max(map(len, tokens), default=0) > 3:
        return {}
    return {"tickvals": list(range(len(tokens))), "ticktext": list(tokens), "tickangle": 0, "ticklen": 2,
            "range": [-0.6, len(tokens) - 0.4]}  # fmt: skip


def _mark(chosen: int | None) -> list[dict[str, object]]:
    if chosen is None:
        return []
    frame = {"color": ACCENT, "width": 1.5, "dash": "dot"}
    return [{"type": "rect", "x0": chosen - 0.5, "x1": chosen + 0.5, "y0": 0, "y1": 1, "yref": "paper", "line": frame}]
