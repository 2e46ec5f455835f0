"""Where models are surprised: validation loss by place in the window, and by kind of character."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.theme import RunStyle, plain


@dataclass(frozen=True)
class Parts:
    """One run: its loss in each part of the validation text."""

    label: str
    style: RunStyle
    names: Sequence[str | int]
    """Places, or kinds of characters, already translated."""
    losses: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.losses):
            raise ValueError(f"{self.label}: {len(self.names)} parts, {len(self.losses)} losses")


def place_figure(runs: Sequence[Parts], *, title: str, x: str, y: str) -> go.Figure:
    """A line a run over the place in the window."""
    figure = go.Figure()
    for run in runs:
        figure.add_scatter(
            x=np.array(run.names, np.float32), y=run.losses.astype(np.float32), mode="lines+markers",
            name=plain(run.label), line={"color": run.style.color, "dash": run.style.dash, "width": 2},
            marker={"symbol": run.style.symbol, "size": 6}, hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_layout(title=title, xaxis_title=x, yaxis_title=y, hovermode="x unified")
    return figure


def class_figure(runs: Sequence[Parts], *, title: str, y: str) -> go.Figure:
    """Bars side by side, one group a kind of character."""
    figure = go.Figure()
    for run in runs:
        figure.add_bar(
            x=[plain(str(name)) for name in run.names], y=run.losses.astype(np.float32), name=plain(run.label),
            marker={"color": run.style.color, "pattern": {"shape": "" if run.style.dash == "solid" else "/"}},
            hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_layout(title=title, yaxis_title=y, barmode="group", bargap=0.25, showlegend=True)
    return figure
