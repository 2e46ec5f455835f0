"""The share of written code that parses, over the training, with the loss above the same steps."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.figures.steps_axis import moment_line, place, steps_axis
from lmviz.ui.theme import MUTED


def training_figure(
    steps: Sequence[int], shares: Sequence[float], lows: Sequence[float], highs: Sequence[float],
    balanced: Sequence[float], losses: Sequence[tuple[int, float]], moment: int, color: str, *, title: str, x: str,
    y: str, y_loss: str, name: str, balanced_name: str, loss_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """Above, shares in 0..1 at the kept steps, the first with its interval; below, the loss. losses: (step, nats)."""
    places, texts = [place(step) for step in steps], [f"{step:,}" for step in steps]
    reach = {
        "type": "data", "symmetric": False, "color": color, "thickness": 1.2, "width": 4,
        "array": [high - share for high, share in zip(highs, shares, strict=True)],
        "arrayminus": [share - low for low, share in zip(lows, shares, strict=True)],
    }  # fmt: skip
    most = 1.04 * max(0.2, *highs, *balanced)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": balanced_name, "x": places, "y": list(balanced),
            "text": texts, "line": {"color": MUTED, "width": 1.5, "dash": "dot"}, "marker": {"size": 5},
            "hovertemplate": "%{text}: %{y:.1%}<extra>%{fullData.name}</extra>",
        },
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": places, "y": list(shares), "text": texts,
            "line": {"color": color, "width": 2.5}, "marker": {"size": 8}, "error_y": reach,
            "hovertemplate": "%{text}: %{y:.1%}<extra>%{fullData.name}</extra>",
        },
    ]  # fmt: skip
    if losses:
        traces.append({
            "type": "scatter", "mode": "lines", "name": loss_name, "x": [place(step) for step, _loss in losses],
            "y": [float(f"{loss:.4g}") for _step, loss in losses], "text": [f"{step:,}" for step, _loss in losses],
            "yaxis": "y2", "line": {"color": MUTED, "width": 2}, "showlegend": False,
            "hovertemplate": "%{text}: %{y:.3f}<extra>%{fullData.name}</extra>",
        })  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "margin": {"t": 8},
        "xaxis": steps_axis([*steps, *(step for step, _loss in losses)], x) | {"anchor": "y2" if losses else "y"},
        "yaxis": {"title": {"text": y}, "domain": [0.42, 1] if losses else [0, 1], "range": [0, most],
                  "tickformat": ".0%"},
        "yaxis2": {"title": {"text": y_loss}, "domain": [0, 0.34], "rangemode": "tozero"},
        "shapes": [moment_line(place(moment))],
    })  # fmt: skip
