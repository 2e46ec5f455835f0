"""How well units tell the features of a text, before and after training, and when they learned to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.figures.steps_axis import moment_line, place, steps_axis
from lmviz.ui.theme import ACCENT, GRID, INK, MUTED


@dataclass(frozen=True)
class Judged:
    """One feature."""

    name: str
    """As it is shown, different from the others."""
    unit: int
    auc: float
    floor: float
    """Of the best unit before training."""
    probe: float
    probe_floor: float
    band: tuple[float, float]
    """What chance gives."""


@dataclass(frozen=True)
class JudgedWords:
    title: str
    x: str
    unit: str
    """Names in the legend."""
    unit_before: str
    probe: str
    probe_before: str
    chance: str
    hover_unit: str
    """Of the best unit; `%{customdata}` is its number."""


def meaning_figure(rows: Sequence[Judged], words: JudgedWords, color: str, chosen: str) -> go.Figure:
    """A row a feature, the first at the top: filled after training, open before it.

    chosen: name of the row that is marked.
    """
    names = [row.name for row in rows]
    lines: dict[str, Any] = {"x": [], "y": []}
    for row in rows:
        lines["x"] += [row.floor, row.auc, None]
        lines["y"] += [row.name, row.name, None]
    ends: dict[str, Any] = {"x": [], "y": []}
    for row in rows:
        ends["x"] += [*row.band, None]
        ends["y"] += [row.name, row.name, None]
    bands = {
        "type": "scatter", "mode": "lines", "name": words.chance, **ends, "line": {"color": GRID, "width": 14},
        "hovertemplate": words.chance + ": %{x:.3f}<extra></extra>",
    }  # fmt: skip
    gains = {
        "type": "scatter", "mode": "lines", **lines, "line": {"color": color, "width": 3}, "opacity": 0.5,
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    measured = [value for row in rows for value in (row.auc, row.floor, row.probe, row.probe_floor, *row.band)]
    return go.Figure(
        data=[
            bands,
            gains,
            _points(words.probe_before, names, [row.probe_floor for row in rows], "diamond-open", MUTED, 9),
            _points(words.probe, names, [row.probe for row in rows], "diamond", MUTED, 9),
            _points(words.unit_before, names, [row.floor for row in rows], "circle-open", color, 10),
            {
                **_points(words.unit, names, [row.auc for row in rows], "circle", color, 12),
                "customdata": [row.unit for row in rows], "hovertemplate": words.hover_unit + "<extra></extra>",
            },
        ],
        layout={
            "title": {"text": words.title}, "uirevision": " ".join(names), "margin": {"l": 8, "t": 30},
            "xaxis": {"title": {"text": words.x}, "range": _auc_range(measured, 0.35), "showgrid": True, "dtick": 0.1},
            "yaxis": {"range": [len(rows) - 0.5, -0.5], "showgrid": False, "type": "category"},
            "legend": {"y": -0.16, "yanchor": "top"},
            "shapes": [
                {
                    "type": "line", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "yref": "paper",
                    "line": {"color": MUTED, "width": 1, "dash": "dot"},
                },
                *_frame(names, chosen),
            ],
        },
    )  # fmt: skip


def _auc_range(values: Sequence[float], usual: float) -> list[float]:
    """Up to 1, from the usual lower end, or from below the lowest value: chance may give much less than 0.5."""
    return [min(usual, min(values, default=usual) - 0.02), 1.02]


def _points(name: str, names: list[str], values: list[float], symbol: str, color: str, size: int) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "y": names, "x": values,
        "marker": {"symbol": symbol, "size": size, "color": color, "line": {"width": 1.6, "color": color}},
        "hovertemplate": name + ": %{x:.3f}<extra></extra>",
    }  # fmt: skip


def _frame(names: list[str], chosen: str) -> list[dict[str, Any]]:
    if chosen not in names:
        return []
    at = names.index(chosen)
    frame = {"x0": 0, "x1": 1, "xref": "paper", "y0": at - 0.48, "y1": at + 0.48, "layer": "below"}
    return [{"type": "rect", **frame, "line": {"color": ACCENT, "width": 1.5}}]


def meaning_history_figure(
    steps: Sequence[int], courses: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]], chosen: str,
    step: int, color: str, *, title: str, x: str, y: str, best: str, followed: str,
) -> go.Figure:  # fmt: skip
    """AUC over the kept steps: of the chosen feature the best unit at each moment, and the newest best one followed
    back; faint, the best units of all others.

    courses: name of a feature -> (best, followed) by step.
    step: marked.
    """
    places = [place(one) for one in steps]
    hover = "%{text}: %{y:.3f}<extra></extra>"
    text = [f"{one:,}" for one in steps]
    others: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": places, "y": list(course[0]), "text": text,
            "line": {"color": MUTED, "width": 1}, "opacity": 0.35, "showlegend": False,
            "hovertemplate": f"{name}, {hover}",
        }
        for name, course in courses.items() if name != chosen
    ]  # fmt: skip
    shown: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": places, "y": list(values), "text": text,
            "line": {"color": line, "width": 2.4, "dash": dash}, "marker": {"size": 6},
            "hovertemplate": f"{name}, {hover}",
        }
        for name, values, line, dash in (
            (best, courses[chosen][0], color, "solid"), (followed, courses[chosen][1], INK, "dot"),
        )
    ] if chosen in courses else []  # fmt: skip
    drawn = [value for trace in (*others, *shown) for value in trace["y"] if value is not None]
    return go.Figure(data=[*others, *shown], layout={
        "title": {"text": title}, "uirevision": title, "legend": {"y": -0.28, "yanchor": "top"},
        "xaxis": steps_axis(steps, x),
        "yaxis": {"title": {"text": y}, "range": _auc_range(drawn, 0.3)},
        "shapes": [moment_line(place(step))],
    })  # fmt: skip
