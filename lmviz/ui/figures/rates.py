"""The learning-rate range test as a picture."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmviz.ui.theme import ACCENT, INK, MUTED


def rate_figure(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None, *,
    title: str, x: str, y: str, single: str, mean: str,
) -> go.Figure:  # fmt: skip
    """Loss of each update and the running mean over the rate, logarithmic, the suggested rate marked."""
    if not len(rates) == len(losses) == len(smoothed):
        raise ValueError(f"{len(rates)} rates, {len(losses)} losses, {len(smoothed)} means")
    figure = go.Figure()
    at = np.array(rates, np.float32)
    top = max(smoothed, default=1.0) * 1.15
    figure.add_scatter(
        x=at, y=np.minimum(losses, top).astype(np.float32), mode="markers", name=single,
        marker={"color": MUTED, "size": 4}, opacity=0.6, hovertemplate="%{y:.3f}",
    )  # fmt: skip
    figure.add_scatter(
        x=at, y=np.array(smoothed, np.float32), mode="lines", name=mean, line={"color": ACCENT, "width": 3},
        hovertemplate="%{y:.3f}",
    )  # fmt: skip
    if suggestion is not None:
        figure.add_vline(x=suggestion, line={"color": INK, "width": 1.5, "dash": "dash"})
        figure.add_annotation(  # on a logarithmic axis annotations, unlike lines, want the logarithm
            x=np.log10(suggestion), y=1, yref="paper", text=f"{suggestion:g}", showarrow=False, xanchor="left",
            xshift=6, font={"size": 13, "color": INK},
        )  # fmt: skip
    figure.update_layout(
        title=title, xaxis={"type": "log", "title": x, "dtick": 1}, yaxis_title=y, hovermode="x unified",
    )  # fmt: skip
    return figure
