"""The loss of each text under each label."""

from collections.abc import Sequence

import plotly.graph_objects as go

from lmviz.ui.theme import ACCENT, SEQUENTIAL


def styles_figure(
    parts: Sequence[str], labels: Sequence[str], losses: Sequence[Sequence[float]], *, title: str, x: str, y: str,
    hover: str, key: str,
) -> go.Figure:  # fmt: skip
    """A row a part, a column a label; each part's own label framed."""
    return go.Figure(data=[{
        "type": "heatmap", "z": [[float(f"{value:.4g}") for value in row] for row in losses], "x": list(labels),
        "y": list(parts), "colorscale": SEQUENTIAL, "texttemplate": "%{z:.3f}", "textfont": {"size": 15},
        "hovertemplate": hover + "<extra></extra>", "showscale": False, "xgap": 2, "ygap": 2,
    }], layout={
        "title": {"text": title}, "uirevision": key, "margin": {"t": 8, "r": 16},
        "xaxis": {"title": {"text": x}, "type": "category", "showgrid": False},
        "yaxis": {"title": {"text": y}, "type": "category", "autorange": "reversed", "showgrid": False},
        "shapes": [
            {"type": "rect", "x0": i - 0.5, "x1": i + 0.5, "y0": i - 0.5, "y1": i + 0.5,
             "line": {"color": ACCENT, "width": 3}}
            for i in range(len(parts))
        ],
    })  # fmt: skip
