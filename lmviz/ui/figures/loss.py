"""Loss curves of runs beside each other, with the floors that anyone reaches without training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    if not weight:
        return values
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

    With a logarithmic x-axis the steep beginning and the slow end can both be read. The figure is made in one go:
    adding its parts one by one costs Plotly five times as long, and a live page makes one at every look.
    """
    traces = [trace for curve in curves for trace in _traces(curve, words, smoothing)]
    shapes = [shape for curve in curves for shape in _event_lines(curve)]
    notes = [note for curve in curves for note in _event_notes(curve, log_x)]
    shapes += [_floor_line(value) for value in words.floors.values()]
    notes += [_floor_note(index, *floor, log_y) for index, floor in enumerate(words.floors.items())]
    x_axis: dict[str, Any] = {"type": "log", "dtick": 1, "tickformat": "~g"} if log_x else {"rangemode": "tozero"}
    y_axis: dict[str, Any] = {"type": "log", "tickformat": ".2~f", "nticks": 8} if log_y else {}
    if not any(len(curve.x) for curve in curves):
        x_axis["range"], y_axis["range"] = [0, 2], [-1, 1] if log_y else [0, 5]
        notes.append({
            "text": words.empty, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5,
            "font": {"size": 15, "color": MUTED},
        })  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": words.title}, "hovermode": "x unified", "uirevision": f"{words.x} {log_x} {log_y}",
        "xaxis": {"title": {"text": words.x}, **x_axis}, "yaxis": {"title": {"text": words.y}, **y_axis},
        "shapes": shapes, "annotations": notes,
    })  # fmt: skip


def _traces(curve: Curve, words: Words, smoothing: float) -> Iterator[dict[str, Any]]:
    name, line = plain(curve.label), {"color": curve.style.color, "dash": curve.style.dash}
    if np.isfinite(curve.train).sum() > 1:
        yield {
            "type": "scatter", "mode": "lines", "opacity": 0.45, "line": {**line, "width": 1}, "showlegend": False,
            "x": curve.x.astype(np.float32), "y": smooth(curve.train, smoothing).astype(np.float32),
            "name": f"{name} · {words.train}", "hovertemplate": "%{y:.3f}<extra>%{fullData.name}</extra>",
        }  # fmt: skip
    seen = np.isfinite(curve.validation)
    xs, validation = curve.x[seen], curve.validation[seen]
    if curve.band:
        xs, validation, low, high = curve.band
        yield _band(xs, low, high, curve)
    yield {
        "type": "scatter", "mode": "lines+markers", "line": {**line, "width": 3}, "name": name,
        "x": xs.astype(np.float32), "y": validation.astype(np.float32),
        "marker": {"symbol": curve.style.symbol, "size": _marker_sizes(len(xs))},
        "hovertemplate": "%{y:.4f}<extra>" + f"{name} · {words.validation}</extra>",
    }  # fmt: skip


def _band(x: Array, low: Array, high: Array, curve: Curve) -> dict[str, Any]:
    """From the lowest to the highest run of a set, faint."""
    return {
        "type": "scatter", "mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": curve.style.color,
        "opacity": 0.18, "showlegend": False, "hoverinfo": "skip", "name": plain(curve.label),
        "x": np.concatenate([x, x[::-1]]).astype(np.float32),
        "y": np.concatenate([high, low[::-1]]).astype(np.float32),
    }  # fmt: skip


def _event_lines(curve: Curve) -> Iterator[dict[str, Any]]:
    for x, _text in curve.events:
        yield {
            "type": "line", "x0": x, "x1": x, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain",
            "line": {"color": curve.style.color, "width": 1, "dash": "dot"},
        }  # fmt: skip


def _event_notes(curve: Curve, log_x: bool) -> Iterator[dict[str, Any]]:
    for x, text in curve.events:
        yield {
            "x": np.log10(x) if log_x else x,  # Plotly wants the logarithm here, and the value in shapes
            "y": 1, "yref": "paper", "text": plain(text), "textangle": -90, "showarrow": False, "xanchor": "right",
            "yanchor": "top", "font": {"size": 11, "color": MUTED},
        }  # fmt: skip


def _floor_line(value: float) -> dict[str, Any]:
    return {
        "type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": value, "y1": value, "yref": "y",
        "line": {"color": color("ngram"), "width": 1.5, "dash": "dash"},
    }  # fmt: skip


def _floor_note(index: int, name: str, value: float, log_y: bool) -> dict[str, Any]:
    return {
        "x": 0 if index else 1, "xref": "x domain", "y": np.log10(value) if log_y else value,
        "xanchor": "left" if index else "right",  # where the curves are not
        "yanchor": "bottom", "text": f"{plain(name)} {value:.2f}", "showarrow": False,
        "font": {"size": 12, "color": INK},
    }  # fmt: skip


def _marker_sizes(count: int) -> list[int]:
    """About a dozen markers, so that the line stays a line; the others have no size."""
    every = max(1, count // 12)
    return [8 if i % every == 0 or i == count - 1 else 0 for i in range(count)]
