"""Gradients on their way back through time: curves over the lag, and the singular values of the recurrent weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmviz.ui.theme import FINE, INK, MUTED, PANEL, RunStyle, color, label, plain

VANISHED = 1e-3
"""Below this share of its size at the last step a gradient counts as vanished."""
EXPLODED = 10.0
"""Above this multiple it counts as exploded; what wanders around 1 does not."""

FLOOR = 1e-9
"""Where the y-axis ends unless the whole range is asked for. The data go on."""

CLAIM_LAGS = (1, 5, 10, 15, 20, 25, 30)
CLAIMS = {"rnn": (1.0, 0.8, 0.4, 0.15, 0.05, 0.01, 0.001), "nvsi": (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)}
"""What the article that proposes NVSI-RNN prints for the gradient, kind -> value at each of CLAIM_LAGS."""


@dataclass(frozen=True)
class Curve:
    """One state of one cell; `values[k]` is what is left k steps before the loss."""

    label: str
    style: RunStyle
    values: Sequence[float]


@dataclass(frozen=True)
class Words:
    """The words of the figure, already translated."""

    title: str
    x: str
    y: str
    hover: str
    """Heads what the pointer shows; `%{x}` is the lag."""
    vanishing: str
    exploding: str
    claim: str
    """Names a curve of the article; `{name}` is the cell."""


def gradient_figure(curves: Sequence[Curve], words: Words, *, claims: bool = False, whole: bool = False) -> go.Figure:
    """A line a curve on a logarithmic axis, the zones of vanishing and exploding behind them.

    Args:
        claims: also draw the article's curves.
        whole: the y-axis goes down to the smallest number instead of to FLOOR.

    Raises:
        ValueError: no curve, or curves of different lengths.
    """
    if len({len(curve.values) for curve in curves}) != 1:
        raise ValueError(f"curves of {sorted({len(curve.values) for curve in curves})} values")
    low, high = _range(curves, whole)
    traces = [_line(curve) for curve in curves]
    if claims:
        traces += [_claim(kind, words) for kind in CLAIMS]
    explodes = high > EXPLODED
    zones = [_zone(1e-300, VANISHED, PANEL, 0.75), _zone(EXPLODED, 1e300, color("rnn"), 0.12)]
    notes = [_note(words.vanishing, 0, "bottom", PANEL), *([_note(words.exploding, 1, "top")] if explodes else [])]
    return go.Figure(data=traces, layout={
        "title": {"text": words.title}, "hovermode": "x unified", "uirevision": f"{words.y} {whole}",
        "xaxis": {
            "title": {"text": words.x}, "range": [0, max(len(curves[0].values) - 1, 30.5 if claims else 0)],
            "unifiedhovertitle": {"text": words.hover},
        },
        "yaxis": {
            "title": {"text": words.y}, "type": "log", "range": [np.log10(low), np.log10(high)],
            "dtick": np.ceil(np.log10(high / low) / 8),  # whole decades: no 2 and 5 between them
            "hoverformat": ".4~g",
        },
        "shapes": [*zones, _level(1.0)], "annotations": notes, "showlegend": True,
    })  # fmt: skip


def _range(curves: Sequence[Curve], whole: bool) -> tuple[float, float]:
    """What the y-axis shows: always the edges of both zones, and everything above."""
    values = np.concatenate([np.asarray(curve.values, np.float64) for curve in curves])
    values = values[np.isfinite(values) & (values > 0)]
    smallest = min(values.min(initial=1.0), VANISHED / 30)
    largest = values.max(initial=1.0)
    return float(smallest if whole else max(smallest, FLOOR)), float(largest * 3 if largest > EXPLODED else EXPLODED)


def _line(curve: Curve) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": plain(curve.label),
        "x": np.arange(len(curve.values), dtype=np.float32),
        "y": np.asarray(curve.values, np.float64),  # float32 ends at 1e-38
        "line": {"color": curve.style.color, "dash": curve.style.dash, "width": 2.5},
    }  # fmt: skip


def _claim(kind: str, words: Words) -> dict[str, Any]:
    """Dotted, with open marks where the article has its numbers."""
    look = {"color": color(kind), "width": 1.5, "dash": "dot"}
    return {
        "type": "scatter", "mode": "lines+markers", "name": plain(words.claim).format(name=label(kind)),
        "x": np.array(CLAIM_LAGS, np.float32), "y": np.array(CLAIMS[kind]), "line": look,
        "marker": {"symbol": "circle-open", "size": 8, "color": color(kind)},
    }  # fmt: skip


def _zone(low: float, high: float, fill: str, opacity: float) -> dict[str, Any]:
    return {
        "type": "rect", "xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "y0": low, "y1": high,
        "fillcolor": fill, "opacity": opacity, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _note(text: str, edge: float, anchor: str, fill: str = "rgba(0,0,0,0)") -> dict[str, Any]:
    """The name of a zone in its left corner: as all curves begin at 1, only a very steep one comes near."""
    return {
        "xref": "x domain", "x": 0, "xshift": 4, "xanchor": "left", "yref": "y domain", "y": edge, "yanchor": anchor,
        "text": plain(text), "showarrow": False, "bgcolor": fill, "font": {"size": 12, "color": MUTED},
    }  # fmt: skip


def _level(value: float) -> dict[str, Any]:
    """Where nothing is lost and nothing is gained."""
    return {
        "type": "line", "xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "y0": value, "y1": value,
        "line": {"color": FINE, "width": 1}, "layer": "below",
    }  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of rows of recurrent weights: its singular values, largest first."""

    label: str
    style: RunStyle
    values: Sequence[float]


def spectrum_figure(blocks: Sequence[Block], *, title: str, x: str, y: str) -> go.Figure:
    """Singular values in falling order; a line at 1, where a direction keeps its length."""
    return go.Figure(data=list(_spectra(blocks)), layout={
        "title": {"text": title}, "hovermode": "closest", "showlegend": True, "uirevision": y,
        "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
        "shapes": [{**_level(1.0), "line": {"color": INK, "width": 1, "dash": "dash"}}],
    })  # fmt: skip


def _spectra(blocks: Sequence[Block]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield {
            "type": "scatter", "mode": "lines", "name": plain(block.label),
            "x": np.arange(1, len(block.values) + 1, dtype=np.float32), "y": np.array(block.values, np.float32),
            "line": {"color": block.style.color, "dash": block.style.dash, "width": 2.5},
            "hovertemplate": "%{y:.4f}<extra>%{fullData.name}</extra>",
        }  # fmt: skip
