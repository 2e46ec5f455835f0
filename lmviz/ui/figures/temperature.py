"""The next token at every temperature: a map of the likeliest tokens, and how even the distribution is."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, INK, MUTED, SEQUENTIAL

TICKS = (1e-4, 1e-3, 0.01, 0.1, 1.0)
FLOOR = 1e-5
"""The lowest probability that has a colour of its own."""


def temperature_map(
    temperatures: Sequence[float], tokens: Sequence[str], chances: NDArray[np.float32], chosen: float, *,
    title: str, x: str, hover: str, key: str,
) -> go.Figure:  # fmt: skip
    """Tokens (R) downwards, temperatures (K) to the right, coloured by the logarithm of the probability.

    chances: (K, R). hover: `%{x}` the temperature, `%{customdata[0]}` the token, `%{customdata[1]}` its probability.
    """
    logs = np.log10(np.maximum(chances.T, FLOOR))
    custom = [
        [[token, f"{value:.4g}"] for value in row] for token, row in zip(tokens, chances.T.tolist(), strict=True)
    ]  # fmt: skip
    return go.Figure(data=[{
        "type": "heatmap", "z": compact(logs), "x": list(temperatures), "y": list(range(len(tokens))),
        "customdata": custom, "hovertemplate": hover + "<extra></extra>", "colorscale": SEQUENTIAL,
        "zmin": float(np.log10(FLOOR)), "zmax": 0.0,
        "colorbar": {"thickness": 8, "tickvals": [float(np.log10(tick)) for tick in TICKS],
                     "ticktext": [f"{tick:g}" for tick in TICKS]},
    }], layout={
        "title": {"text": title}, "uirevision": key, "margin": {"t": 8, "r": 40},
        "xaxis": {"title": {"text": x}, "showgrid": False},
        "yaxis": {"tickmode": "array", "tickvals": list(range(len(tokens))), "ticktext": list(tokens),
                  "range": [len(tokens) - 0.5, -0.5], "showgrid": False, "fixedrange": True,
                  "tickfont": {"size": 13, "color": INK}},
        "shapes": [_mark(chosen)],
    })  # fmt: skip


def entropy_figure(
    temperatures: Sequence[float], entropy: Sequence[float], bound: float, chosen: float, color: str, *,
    title: str, x: str, y: str, bound_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """Entropy over temperature, below the most that there can be."""
    return go.Figure(data=[{
        "type": "scatter", "mode": "lines", "x": list(temperatures), "y": [float(f"{value:.5g}") for value in entropy],
        "line": {"color": color, "width": 2.5}, "hovertemplate": "%{x:.2f}: <b>%{y:.3f}</b><extra></extra>",
    }], layout={
        "title": {"text": title}, "uirevision": key, "showlegend": False, "margin": {"t": 8},
        "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}, "range": [0, bound * 1.12]},
        "shapes": [_mark(chosen), {
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": bound, "y1": bound,
            "line": {"color": MUTED, "width": 1.2, "dash": "dash"},
        }],
        "annotations": [{
            "x": 1, "xref": "paper", "xanchor": "right", "y": bound, "yanchor": "bottom", "text": bound_name,
            "showarrow": False, "font": {"color": MUTED, "size": 12},
        }],
    })  # fmt: skip


def _mark(chosen: float) -> dict[str, object]:
    return {
        "type": "line", "x0": chosen, "x1": chosen, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": ACCENT, "width": 2},
    }  # fmt: skip
