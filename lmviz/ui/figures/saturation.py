"""How open gates are: shares of shut and open, implied memory, and both over the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.steps_axis import moment_line, place, steps_axis
from lmviz.ui.theme import ACCENT, MUTED

Numbers = NDArray[np.float32]

MOST_MARKS = 9


def _memory_axis(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis with a mark at 1, 2, 5, 10 ..., or only at powers of ten where those would crowd."""
    low, high = 0.9 * min(values), max(1.15 * max(values), 2.2)
    decades = [10.0**power for power in range(7)]
    fine = [factor * decade for decade in decades for factor in (1, 2, 5) if low <= factor * decade <= high]
    marks = fine if len(fine) <= MOST_MARKS else [decade for decade in decades if low <= decade <= high]
    return {"type": "log", "range": np.log10([low, high]).tolist(), "tickvals": marks, "tickformat": ","}


@dataclass(frozen=True)
class Openness:
    """One gate at one moment, of each unit (H,)."""

    low: Numbers
    high: Numbers
    mean: Numbers


def openness_figure(
    now: Openness, before: Openness | None, color: str, unit: int, *, title: str, x: str, y: str, after_name: str,
    before_name: str, hover: str,
) -> go.Figure:  # fmt: skip
    """A point a unit: how often it is shut, and how often open. The two shares cannot come to more than 1.

    unit: the one that is marked. hover: `%{customdata[0]}` the unit, `%{customdata[1]}` its mean, `%{x}`, `%{y}`.
    """
    traces = []
    if before is not None:
        traces.append(_units(before, before_name, "circle-open", MUTED, hover))
    traces.append(_units(now, after_name, "circle", color, hover))
    chosen = {
        "type": "scatter", "mode": "markers", "x": [float(now.low[unit])], "y": [float(now.high[unit])],
        "marker": {"symbol": "circle-open", "size": 15, "color": ACCENT, "line": {"width": 2}}, "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip
    axis = {"range": [-0.04, 1.04], "tickvals": [0, 0.5, 1]}
    return go.Figure(data=[*traces, chosen], layout={
        "title": {"text": title}, "uirevision": title, "margin": {"l": 48, "t": 8, "r": 8},
        "legend": {"y": -0.28, "yanchor": "top"},
        "xaxis": {"title": {"text": x}, **axis}, "yaxis": {"title": {"text": y}, **axis},
        "shapes": [{
            "type": "line", "x0": 0, "y0": 1, "x1": 1, "y1": 0, "line": {"color": MUTED, "width": 1, "dash": "dot"},
        }],
    })  # fmt: skip


def _units(data: Openness, name: str, symbol: str, color: str, hover: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": _list(data.low), "y": _list(data.high),
        "customdata": [[unit, float(f"{mean:.4f}")] for unit, mean in enumerate(data.mean.tolist())],
        "marker": {"symbol": symbol, "size": 7, "color": color, "opacity": 0.75},
        "hovertemplate": hover + "<extra></extra>",
    }  # fmt: skip


def _list(values: Numbers) -> list[float]:
    return [float(f"{value:.4f}") for value in values.tolist()]


def memory_figure(
    now: Numbers, before: Numbers | None, color: str, *, title: str, x: str, y: str, after_name: str, before_name: str,
    hover: str,
) -> go.Figure:  # fmt: skip
    """Steps that each unit remembers, the units sorted, on a logarithmic axis. hover: `%{customdata}` is the unit."""
    lines = [(now, after_name, color, "solid")]
    if before is not None:
        lines.insert(0, (before, before_name, MUTED, "dot"))
    traces = []
    for values, name, line, dash in lines:
        order = np.argsort(values)
        traces.append({
            "type": "scatter", "mode": "lines+markers", "name": name, "x": list(range(1, len(values) + 1)),
            "y": [float(f"{value:.4g}") for value in values[order].tolist()], "customdata": order.tolist(),
            "line": {"color": line, "dash": dash}, "marker": {"size": 4, "color": line},
            "hovertemplate": hover + "<extra></extra>",
        })  # fmt: skip
    every = [value for trace in traces for value in trace["y"]]
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": title, "legend": {"y": -0.28, "yanchor": "top"},
        "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}, **_memory_axis(every)},
    })  # fmt: skip


@dataclass(frozen=True)
class Course:
    """Something over the kept steps."""

    name: str
    values: Sequence[float]
    color: str
    dash: str = "solid"


def course_figure(
    steps: Sequence[int], courses: Sequence[Course], step: int, *, title: str, x: str, y: str, log: bool = False
) -> go.Figure:
    """Lines over the steps, on a logarithmic axis with room for step 0; `step` is marked."""
    places = [place(one) for one in steps]
    text = [f"{one:,}" for one in steps]
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": one.name, "x": places, "text": text,
            "y": [float(f"{value:.4g}") for value in one.values],
            "line": {"color": one.color, "dash": one.dash}, "marker": {"size": 5},
            "hovertemplate": f"{one.name}, %{{text}}: %{{y}}<extra></extra>",
        }
        for one in courses
    ]  # fmt: skip
    every = [value for one in courses for value in one.values]
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": title, "legend": {"y": -0.28, "yanchor": "top"},
        "xaxis": steps_axis(steps, x),
        "yaxis": {"title": {"text": y}, **(_memory_axis(every) if log else {"range": [-0.02, 1.02]})},
        "shapes": [moment_line(place(step))],
    })  # fmt: skip
