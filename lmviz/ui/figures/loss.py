"""Loss curves of runs beside each other, with the floors that anyone reaches without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.theme import INK, MUTED, RunStyle, color, plain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One run: x of each logged line, its training loss, and its validation loss (NaN where not measured)."""

    label: str
    style: RunStyle
    x: Array
    train: Array
    validation: Array
    events: tuple[tuple[float, str], ...] = ()
    """Where somebody changed a setting, and what."""

    def __post_init__(self) -> None:
        if not len(self.x) == len(self.train) == len(self.validation):
            lengths = f"{len(self.x)} places, {len(self.train)} training, {len(self.validation)} validation losses"
            raise ValueError(f"{self.label}: {lengths}")


@dataclass(frozen=True)
class Words:
    """The words of the figure, already translated."""

    title: str
    x: str
    y: str
    train: str
    validation: str
    empty: str
    """Shown while there is no point yet."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Name of a floor -> its loss."""


def loss_figure(curves: Sequence[Curve], words: Words, *, log_x: bool = True) -> go.Figure:
    """Training loss thin, validation loss bold with markers, floors dashed.

    With a logarithmic x-axis the steep beginning and the slow end can both be read.
    """
    figure = go.Figure()
    for curve in curves:
        if np.isfinite(curve.train).sum() > 1:
            figure.add_scatter(
                x=curve.x.astype(np.float32), y=curve.train.astype(np.float32), mode="lines", opacity=0.45,
                line={"color": curve.style.color, "width": 1, "dash": curve.style.dash}, showlegend=False,
                name=f"{plain(curve.label)} · {words.train}", hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
            )  # fmt: skip
        seen = np.isfinite(curve.validation)
        figure.add_scatter(
            x=curve.x[seen].astype(np.float32), y=curve.validation[seen].astype(np.float32), mode="lines+markers",
            line={"color": curve.style.color, "width": 3, "dash": curve.style.dash},
            marker={"symbol": curve.style.symbol, "size": _marker_sizes(int(seen.sum()))},
            name=plain(curve.label),
            hovertemplate="%{y:.4f}<extra>" + plain(curve.label) + f" · {words.validation}</extra>",
        )  # fmt: skip
        for x, text in curve.events:
            figure.add_vline(x=x, line={"color": curve.style.color, "width": 1, "dash": "dot"})
            figure.add_annotation(
                x=np.log10(x) if log_x else x,  # Plotly wants the logarithm here, and the value in shapes
                y=1, yref="paper", text=plain(text), textangle=-90, showarrow=False, xanchor="right", yanchor="top",
                font={"size": 11, "color": MUTED},
            )  # fmt: skip
    for index, (name, value) in enumerate(words.floors.items()):
        figure.add_hline(
            y=value, line={"color": color("ngram"), "width": 1.5, "dash": "dash"},
            annotation={"text": f"{plain(name)} {value:.2f}", "font": {"size": 12, "color": INK}, "yanchor": "bottom"},
            annotation_position="top left" if index else "top right",  # where the curves are not
        )  # fmt: skip
    if not any(len(curve.x) for curve in curves):
        figure.update_layout(xaxis={"range": [0, 2]}, yaxis={"range": [0, 5]})
        figure.add_annotation(
            text=words.empty, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5,
            font={"size": 15, "color": MUTED},
        )  # fmt: skip
    logarithmic = {"type": "log", "dtick": 1, "tickformat": "~g"}
    figure.update_layout(
        title=words.title, xaxis_title=words.x, yaxis_title=words.y, hovermode="x unified",
        uirevision=f"{words.x} {log_x}", xaxis=logarithmic if log_x else {"rangemode": "tozero"},
    )  # fmt: skip
    return figure


def _marker_sizes(count: int) -> list[int]:
    """About a dozen markers, so that the line stays a line; the others have no size."""
    every = max(1, count // 12)
    return [8 if i % every == 0 or i == count - 1 else 0 for i in range(count)]
