"""The next token at every temperature: a map of the likeliest tokens, and how even the distribution is."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, INK, MUTED, SEQUENTIAL, SURFACE

TICKS = (1e-4, 1e-3, 0.01, 0.1, 1.0)
FLOOR = 1e-5
"""The lowest probability that has a colour of its own."""


def temperature_map(
    temperatures: Sequence[float], tokens: Sequence[str], chances: NDArray[np.float32], chosen: float, *,
    title: str, x: str, scale: str, hover: str, key: str,
) -> go.Figure:  # fmt: skip
    """Tokens (R) downwards, temperatures (K) to the right, coloured by the logarithm of the probability.

    chances: (K, R). scale: what the colour is.
    hover: `%{x}` the temperature, `%{customdata[0]}` the token, `%{customdata[1]}` its probability.
    """
    logs = np.log10(np.maximum(chances.T, FLOOR))
    custom = [
        [[token, f"{value:.4g}"] for value in row] for token, row in zip(tokens, chances.T.tolist(), strict=True)
    ]  # fmt: skip
    return go.Figure(data=[{
        "type": "heatmap", "z": compact(logs), "x": list(temperatures), "y": list(range(len(tokens))),
        "customdata": custom, "hovertemplate": hover + "<extra></extra>", "colorscale": SEQUENTIAL,
        "zmin": float(np.log10(FLOOR)), "zmax": 0.0,
        "colorbar": {"thickness": 8, "title": {"text": scale, "side": "right"},
                     "tickvals": [float(np.log10(tick)) for tick in TICKS],
                     "ticktext": [f"{tick:g}" for tick in TICKS]},
    }], layout={
        "title": {"text": title}, "uirevision": key, "margin": {"t": 8, "r": 40},
        "xaxis": {"title": {"text": x}, "showgrid": False},
        "yaxis": {"tickmode": "array", "tickvals": list(range(len(tokens))), "ticktext": list(tokens),
                  "range": [len(tokens) - 0.5, -0.5], "showgrid": False, "fixedrange": True,
                  "tickfont": {"size": 13, "color": INK}},
        "shapes": [_mark(chosen, SURFACE, 5), _mark(chosen, ACCENT, 2)],
    })  # fmt: skip


def curve_figure(
    temperatures: Sequence[float], values: Sequence[float], chosen: float, color: str, *, title: str, x: str, y: str,
    hover: str, own: str, own_height: float, key: str,
    top: float, bound: float | None = None, bound_name: str = "", share: bool = False,
) -> go.Figure:  # fmt: skip
    """A value (K,) over temperature, with the model's own temperature, 1, marked.

    own: the words at that mark, own_height: how high, 0 to 1. top: of the axis.
    bound: the most that there can be. share: the values are shares.
    """
    place = list(temperatures).index(chosen)
    shapes = [_mark(1.0, MUTED, 1, "dot"), _mark(chosen, ACCENT, 2)]
    notes = [{
        "x": 1, "xanchor": "left", "xshift": 4, "y": own_height, "yref": "paper", "yanchor": "middle", "text": own,
        "showarrow": False, "font": {"color": MUTED, "size": 12},
    }]  # fmt: skip
    if bound is not None:
        shapes.append({
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": bound, "y1": bound,
            "line": {"color": MUTED, "width": 1.2, "dash": "dash"},
        })  # fmt: skip
        notes.append({
            "x": 1, "xref": "paper", "xanchor": "right", "y": bound, "yanchor": "bottom", "text": bound_name,
            "showarrow": False, "font": {"color": MUTED, "size": 12},
        })  # fmt: skip
    line = [float(f"{value:.5g}") for value in values]
    return go.Figure(data=[{
        "type": "scatter", "mode": "lines", "x": list(temperatures), "y": line, "name": y,
        "line": {"color": color, "width": 2.5}, "hovertemplate": hover + "<extra></extra>",
    }, {
        "type": "scatter", "mode": "markers", "x": [chosen], "y": [line[place]], "name": title, "hoverinfo": "skip",
        "marker": {"color": ACCENT, "size": 9, "line": {"color": SURFACE, "width": 1.5}},
    }], layout={
        "title": {"text": title}, "uirevision": key, "showlegend": False, "margin": {"t": 10, "l": 48},
        "xaxis": {"title": {"text": x}, "range": [0, max(temperatures)]},
        "yaxis": {"title": {"text": y}, "range": [0, top], "tickformat": ".0%" if share else ""},
        "shapes": shapes, "annotations": notes,
    })  # fmt: skip


def _mark(place: float, color: str, width: float, dash: str = "solid") -> dict[str, object]:
    return {
        "type": "line", "x0": place, "x1": place, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": color, "width": width, "dash": dash},
    }  # fmt: skip
