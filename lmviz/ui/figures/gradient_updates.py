"""The gradient of the whole update while a model learns: its norm before and after clipping, and of each parameter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.gradient_training import TICKS, level_line, level_note, moment_axis, step_names
from lmviz.ui.theme import SEQUENTIAL, RunStyle, plain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Updates:
    """The gradient norm of the whole update of one run at each logged step."""

    label: str
    style: RunStyle
    steps: Array
    before: Array
    """Before clipping."""
    after: Array


@dataclass(frozen=True)
class UpdateWords:
    title: str
    x: str
    y: str
    after: str
    """Names the curve after clipping; `{name}` is the run."""
    clip: str


def update_figure(runs: Sequence[Updates], clip_norms: Sequence[float], words: UpdateWords) -> go.Figure:
    """Norms before clipping thick, after clipping thin, each clip norm a dashed line; both axes logarithmic."""
    traces = []
    for run in runs:
        for name, norms, width in ((run.label, run.before, 2.5), (words.after.format(name=run.label), run.after, 1.0)):
            traces.append({
                "type": "scatter", "mode": "lines", "name": plain(name), "showlegend": norms is run.before,
                "x": run.steps.astype(np.float32), "y": norms.astype(np.float32),
                "line": {"color": run.style.color, "dash": run.style.dash, "width": width},
                "hovertemplate": "%{y:.4~g}<extra>%{fullData.name}</extra>",
            })  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": words.title}, "hovermode": "x unified", "uirevision": words.y, "showlegend": True,
        "xaxis": {"title": {"text": words.x}, "type": "log", "dtick": 1, "tickformat": "~g"},
        "yaxis": {"title": {"text": words.y}, "type": "log", "tickformat": "~g", "dtick": "D2"},
        "shapes": [level_line(value) for value in clip_norms],
        "annotations": [level_note(words.clip.format(norm=f"{value:g}"), value) for value in clip_norms],
    })  # fmt: skip


def parameter_figure(
    steps: NDArray[np.int64], names: Sequence[str], norms: Array, *, title: str, x: str, hover: str, bar: str
) -> go.Figure:
    """A map of parameter by recorded step: log10 of each one's gradient norm (P, S).

    hover: one cell; `%{customdata}` is the norm.
    """
    with np.errstate(divide="ignore"):
        logs = np.where(norms > 0, np.log10(norms), np.nan)
    return go.Figure(data=[{
        "type": "heatmap", "x": step_names(steps), "y": [plain(name) for name in names],
        "z": logs.astype(np.float32), "colorscale": SEQUENTIAL, "colorbar": {"title": {"text": bar, "side": "right"}},
        "customdata": norms.tolist(),  # lists: Plotly finds no cell of a typed array
        "hovertemplate": hover + "<extra></extra>",
    }], layout={
        "title": {"text": title}, "uirevision": title,
        "xaxis": {"title": {"text": x}, **moment_axis(steps, TICKS)},
        "yaxis": {"autorange": "reversed", "showgrid": False},
    })  # fmt: skip
