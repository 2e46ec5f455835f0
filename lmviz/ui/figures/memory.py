"""Memory: accuracy over the lag, a line a cell; and how the gradient reaches back before and after training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmviz.ui.theme import MUTED, RunStyle, plain

FLOOR = 1e-20
"""Where the y-axis of gradients ends. The data go on."""


@dataclass(frozen=True)
class Points:
    """One cell: share of right answers at some lags, and words on each for the pointer."""

    name: str
    style: RunStyle
    lags: Sequence[int]
    accuracies: Sequence[float]
    notes: Sequence[str]


def accuracy_figure(
    lines: Sequence[Points], lags: Sequence[int], *, title: str, x: str, y: str, chance: float, chance_name: str
) -> go.Figure:
    """A line a cell. Lags stand at equal distances, whatever lies between them; marks at one lag stand side by side,
    as several cells are often right every time.
    """
    names = [str(lag) for lag in lags]
    traces = [_line(line) for line in lines]
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": "accuracy", "hovermode": "closest", "showlegend": True,
        "scattermode": "group", "scattergap": 0.5,
        "xaxis": {
            "title": {"text": x}, "type": "category", "categoryorder": "array", "categoryarray": names,
            "range": [-0.45, len(names) - 0.55],
        },
        "yaxis": {"title": {"text": y}, "range": [-0.03, 1.06], "tickformat": ".0%", "dtick": 0.25},
        "shapes": [{
            "type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": chance, "y1": chance,
            "line": {"color": MUTED, "width": 1.5, "dash": "dash"},
        }],
        "annotations": [{
            "xref": "x domain", "x": 0, "xanchor": "left", "y": chance, "yanchor": "top", "showarrow": False,
            "text": plain(chance_name), "font": {"size": 12, "color": MUTED},
        }],
    })  # fmt: skip


def _line(line: Points) -> dict[str, Any]:
    color = line.style.color
    return {
        "type": "scatter", "mode": "lines+markers", "name": plain(line.name),
        "x": [str(lag) for lag in line.lags], "y": np.asarray(line.accuracies, np.float32),
        "customdata": [plain(note) for note in line.notes],
        "line": {"color": color, "dash": line.style.dash, "width": 2},
        "marker": {"symbol": line.style.symbol, "size": 10, "color": color},
        "hovertemplate": "%{y:.1%}<br>%{customdata}<extra>%{fullData.name}</extra>",
    }  # fmt: skip


def before_after_figure(
    before: Sequence[float], after: Sequence[float], style: RunStyle, *, title: str, x: str, names: tuple[str, str],
    lowest: float,
) -> go.Figure:  # fmt: skip
    """Gradient over the lag on a logarithmic axis: at birth thin and dotted, after training bold.

    Args:
        before, after: relative to lag 0, lag 0 first.
        lowest: the smallest number of all figures that stand beside this one, which share their axis.
    """
    looks = ({"dash": "dot", "width": 1.5}, {"dash": "solid", "width": 3})
    low = np.log10(max(min(lowest, 1e-3), FLOOR))
    return go.Figure(data=[
        {
            "type": "scatter", "mode": "lines", "name": plain(name), "line": {"color": style.color, **look},
            "x": np.arange(len(values), dtype=np.float32), "y": np.asarray(values, np.float64),
            "hovertemplate": "%{x}: %{y:.3~g}<extra>%{fullData.name}</extra>",
        }
        for values, name, look in zip((before, after), names, looks, strict=True)
    ], layout={
        "title": {"text": title}, "showlegend": False, "uirevision": "gradient", "margin": {"l": 48, "r": 8},
        "xaxis": {"title": {"text": x}, "range": [0, max(len(before) - 1, 1)]},
        "yaxis": {"type": "log", "range": [low - 0.3, 1], "dtick": np.ceil((1 - low) / 5)},
    })  # fmt: skip
