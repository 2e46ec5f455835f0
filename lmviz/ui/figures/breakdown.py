"""Where models are surprised: validation loss by place in the window, and by kind of character."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.theme import RunStyle, plain


@dataclass(frozen=True)
class Parts:
    """A run, or a set of runs that differ in their seed: the loss in each part of the validation text."""

    label: str
    style: RunStyle
    names: Sequence[str | int]
    """Places, or kinds of characters, already translated."""
    rows: NDArray[np.float64]
    """(runs, parts) nats a token."""

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or len(self.names) != self.rows.shape[1]:
            raise ValueError(f"{self.label}: {len(self.names)} parts, losses of shape {self.rows.shape}")

    @property
    def losses(self) -> NDArray[np.float64]:
        """Mean over the runs, (parts,)."""
        return np.asarray(self.rows.mean(0))

    @property
    def reach(self) -> dict[str, object] | None:
        """Plotly's error bars from the lowest to the highest run; None for a single one."""
        if len(self.rows) == 1:
            return None
        up, down = self.rows.max(0) - self.losses, self.losses - self.rows.min(0)
        return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 3}


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
            hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>", error_y=run.reach,
        )  # fmt: skip
    figure.update_layout(title=title, yaxis_title=y, barmode="group", bargap=0.25, showlegend=True)
    return figure
