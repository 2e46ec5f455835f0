"""Induction over the training: the score of every head, and the loss, over the steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.figures.steps_axis import moment_line, place, steps_axis
from lmviz.ui.theme import MUTED

LAYERS = ("#4296ea", "#e06c26", "#2a905a", "#e45ca9", "#8a6d3b", "#664ed8")
"""A colour a layer, from the lowest; then again."""


@dataclass(frozen=True)
class HeadCourse:
    """One head at every kept moment."""

    name: str
    layer: int
    values: Sequence[float]


@dataclass(frozen=True)
class Losses:
    """Points of a loss."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]


def induction_figure(
    steps: Sequence[int], heads: Sequence[HeadCourse], best: int, training: Losses, validation: Losses,
    uniform: float | None, moment: int, most_loss: float, *, title: str, x: str, y: str, y_loss: str,
    layer_names: Sequence[str], uniform_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """Scores on the left axis, a line a head coloured by its layer, the best one thick; losses on the right.

    best: index of a head. most_loss: where the right axis ends, so that figures side by side can be compared.
    """
    traces = [
        _loss_trace(training, 1, "dot"), _loss_trace(validation, 2, "dash"),
        *(_head_trace(steps, head, number == best, layer_names) for number, head in enumerate(heads)),
    ]  # fmt: skip
    shown: set[str] = set()
    for trace in traces[2:]:  # a name in the legend for each layer
        trace["showlegend"] = trace["legendgroup"] not in shown
        shown.add(trace["legendgroup"])
    all_steps = [*steps, *training.steps, *validation.steps]
    if uniform is not None:
        ends = [place(min(all_steps)), place(max(all_steps))]
        traces.append({
            "type": "scatter", "mode": "lines", "name": uniform_name, "x": ends,
            "y": [uniform, uniform], "line": {"color": MUTED, "width": 1}, "hoverinfo": "skip",
        })  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "margin": {"t": 8, "r": 56},
        "xaxis": steps_axis(all_steps, x),
        "yaxis": {"title": {"text": y}, "range": [0, 1.02]},
        "yaxis2": {"title": {"text": y_loss}, "overlaying": "y", "side": "right", "range": [0, most_loss * 1.05],
                   "showgrid": False, "tickmode": "auto", "nticks": 6},
        "legend": {"y": -0.24, "yanchor": "top"}, "shapes": [moment_line(place(moment))],
    })  # fmt: skip


def _head_trace(steps: Sequence[int], head: HeadCourse, best: bool, layer_names: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "name": layer_names[head.layer], "x": [place(one) for one in steps],
        "y": [float(f"{value:.4g}") for value in head.values], "text": [f"{one:,}" for one in steps],
        "line": {"color": LAYERS[head.layer % len(LAYERS)], "width": 3.2 if best else 1.4},
        "marker": {"size": 6 if best else 3}, "opacity": 1 if best else 0.75, "legendgroup": layer_names[head.layer],
        "hovertemplate": "%{text}: %{y:.3f}<extra>" + head.name + "</extra>",
    }  # fmt: skip


def _loss_trace(losses: Losses, width: float, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": losses.name, "x": [place(step) for step in losses.steps],
        "y": [float(f"{value:.4g}") for value in losses.values], "text": [f"{step:,}" for step in losses.steps],
        "yaxis": "y2", "line": {"color": MUTED, "width": width, "dash": dash},
        "hovertemplate": "%{text}: %{y:.3f}<extra>" + losses.name + "</extra>",
    }  # fmt: skip
