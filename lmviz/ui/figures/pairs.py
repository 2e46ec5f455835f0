"""Seq2Seq: how many outputs are right over the training, by length of the source, and loss by place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.theme import ACCENT, MUTED, RunStyle, plain


@dataclass(frozen=True)
class Curve:
    """One run."""

    name: str
    style: RunStyle
    x: Sequence[float]
    y: Sequence[float]
    notes: Sequence[str] = ()
    """For the pointer, one a point."""
    dash: str | None = None
    """In place of the style's own."""


def shares_figure(
    curves: Sequence[Curve], *, title: str, x: str, y: str, key: str, marked: float | None = None,
    level: tuple[float, str] | None = None,
) -> go.Figure:  # fmt: skip
    """Shares from 0 to 1 over anything. marked: an x that is looked at. level: a share to compare with, its name."""
    layout: dict[str, Any] = {
        "title": {"text": title}, "uirevision": key, "showlegend": True,
        "xaxis": {"title": {"text": x}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": y}, "range": [-0.03, 1.06], "tickformat": ".0%", "dtick": 0.25},
        "shapes": [], "annotations": [],
    }  # fmt: skip
    if marked is not None:
        layout["shapes"].append({
            "type": "line", "x0": marked, "x1": marked, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": ACCENT, "width": 1.5, "dash": "dot"},
        })  # fmt: skip
    if level:
        layout["shapes"].append({
            "type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": level[0], "y1": level[0],
            "line": {"color": MUTED, "width": 1.5, "dash": "dash"},
        })  # fmt: skip
        layout["annotations"].append({
            "xref": "x domain", "x": 1, "xanchor": "right", "y": level[0], "yanchor": "bottom", "showarrow": False,
            "text": plain(level[1]), "font": {"size": 12, "color": MUTED},
        })  # fmt: skip
    return go.Figure(data=[_line(curve, "%{y:.1%}") for curve in curves], layout=layout)


def losses_by_place_figure(curves: Sequence[Curve], *, title: str, x: str, y: str, key: str) -> go.Figure:
    """Nats at every place of the target."""
    return go.Figure(data=[_line(curve, "%{y:.4f}") for curve in curves], layout={
        "title": {"text": title}, "uirevision": key, "showlegend": True, "hovermode": "x unified",
        "xaxis": {"title": {"text": x}, "dtick": 1}, "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
    })  # fmt: skip


def _line(curve: Curve, value: str) -> dict[str, Any]:
    notes = [plain(note) for note in curve.notes]
    return {
        "type": "scatter", "mode": "lines+markers", "name": plain(curve.name), "x": list(curve.x), "y": list(curve.y),
        "line": {"color": curve.style.color, "dash": curve.dash or curve.style.dash, "width": 2},
        "marker": {"symbol": curve.style.symbol, "size": 6, "color": curve.style.color},
        "hovertemplate": value + ("<br>%{customdata}" if notes else "") + "<extra>%{fullData.name}</extra>",
        **({"customdata": notes} if notes else {}),
    }  # fmt: skip
