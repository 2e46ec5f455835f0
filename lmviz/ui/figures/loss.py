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
    band: tuple[Array, Array, Array, Array] | None = None
    """Of a set of runs: x, mean, lowest and highest validation loss. It is drawn in place of the run's own line."""

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


def smooth(values: Array, weight: float) -> Array:
    """Running mean in which what came before weighs `weight` (0: as it is); the beginning is not pulled to zero."""
    seen = np.isfinite(values)
    smoothed = values.copy()
    mean = total = 0.0
    for place in np.flatnonzero(seen):
        mean = weight * mean + (1 - weight) * values[place]
        total = weight * total + (1 - weight)
        smoothed[place] = mean / total
    return smoothed


def loss_figure(
    curves: Sequence[Curve], words: Words, *, log_x: bool = True, log_y: bool = False, smoothing: float = 0.0
) -> go.Figure:
    """Training loss thin (smoothed if wanted), validation loss bold with markers, floors dashed.

    With a logarithmic x-axis the steep beginning and the slow end can both be read.
    """
    figure = go.Figure()
    for curve in curves:
        if np.isfinite(curve.train).sum() > 1:
            figure.add_scatter(
                x=curve.x.astype(np.float32), y=smooth(curve.train, smoothing).astype(np.float32), mode="lines",
                opacity=0.45,
                line={"color": curve.style.color, "width": 1, "dash": curve.style.dash}, showlegend=False,
                name=f"{plain(curve.label)} · {words.train}", hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
            )  # fmt: skip
        seen = np.isfinite(curve.validation)
        xs, validation = curve.x[seen], curve.validation[seen]
        if curve.band:
            xs, validation, low, high = curve.band
            _add_band(figure, xs, low, high, curve)
        figure.add_scatter(
            x=xs.astype(np.float32), y=validation.astype(np.float32), mode="lines+markers",
            line={"color": curve.style.color, "width": 3, "dash": curve.style.dash},
            marker={"symbol": curve.style.symbol, "size": _marker_sizes(len(xs))},
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
        side = "left" if index else "right"  # where the curves are not
        figure.add_hline(y=value, line={"color": color("ngram"), "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=0 if index else 1, xref="x domain", y=np.log10(value) if log_y else value, xanchor=side, yanchor="bottom",
            text=f"{plain(name)} {value:.2f}", showarrow=False, font={"size": 12, "color": INK},
        )  # fmt: skip
    if not any(len(curve.x) for curve in curves):
        figure.update_layout(xaxis={"range": [0, 2]}, yaxis={"range": [-1, 1] if log_y else [0, 5]})
        figure.add_annotation(
            text=words.empty, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5,
            font={"size": 15, "color": MUTED},
        )  # fmt: skip
    logarithmic = {"type": "log", "dtick": 1, "tickformat": "~g"}
    figure.update_layout(
        title=words.title, xaxis_title=words.x, yaxis_title=words.y, hovermode="x unified",
        uirevision=f"{words.x} {log_x} {log_y}", xaxis=logarithmic if log_x else {"rangemode": "tozero"},
        yaxis={"type": "log", "tickformat": ".2~f", "nticks": 8} if log_y else {},
    )  # fmt: skip
    return figure


def _add_band(figure: go.Figure, x: Array, low: Array, high: Array, curve: Curve) -> None:
    """From the lowest to the highest run of a set, faint."""
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]).astype(np.float32), y=np.concatenate([high, low[::-1]]).astype(np.float32),
        mode="lines", line={"width": 0}, fill="toself", fillcolor=curve.style.color, opacity=0.18,
        showlegend=False, hoverinfo="skip", name=plain(curve.label),
    )  # fmt: skip


def _marker_sizes(count: int) -> list[int]:
    """About a dozen markers, so that the line stays a line; the others have no size."""
    every = max(1, count // 12)
    return [8 if i % every == 0 or i == count - 1 else 0 for i in range(count)]
