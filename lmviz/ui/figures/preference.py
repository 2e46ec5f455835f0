"""Learning from preferences: what is gained, and how far the copy has moved."""

from collections.abc import Sequence

import plotly.graph_objects as go

from lmviz.ui.theme import MUTED


def learning_figure(
    gained: Sequence[float], kl: Sequence[float], color: str, *, title: str, x: str, y: str, y_kl: str, key: str
) -> go.Figure:  # fmt: skip
    """Above, reward or margin by update; below, the distance from the model it began with."""
    updates = list(range(1, len(kl) + 1))
    return go.Figure(data=[
        {
            "type": "scatter", "mode": "lines", "x": updates, "y": [float(f"{value:.5g}") for value in values],
            "yaxis": axis, "line": {"color": shade, "width": 2.2}, "name": name,
            "hovertemplate": "%{x}: <b>%{y:.4~g}</b><extra>%{fullData.name}</extra>",
        }
        for values, axis, shade, name in ((gained, "y", color, y), (kl, "y2", MUTED, y_kl))
    ], layout={
        "title": {"text": title}, "uirevision": key, "showlegend": False, "margin": {"t": 8},
        "xaxis": {"title": {"text": x}, "anchor": "y2"},
        "yaxis": {"title": {"text": y}, "domain": [0.54, 1]},
        "yaxis2": {"title": {"text": y_kl}, "domain": [0, 0.44], "rangemode": "tozero"},
    })  # fmt: skip
