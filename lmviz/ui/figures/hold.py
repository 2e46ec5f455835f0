"""A model beside itself with something held: next tokens and losses."""

from collections.abc import Sequence

import plotly.graph_objects as go

from lmviz.ui.theme import ACCENT, MUTED


def next_figure(
    tokens: Sequence[str], plain: Sequence[float], held: Sequence[float], color: str, *, title: str, x: str,
    plain_name: str, held_name: str,
) -> go.Figure:  # fmt: skip
    """Chances of the same tokens, the likeliest at the top. tokens: each different, as Plotly may show them."""
    traces = [
        {
            "type": "bar", "orientation": "h", "name": name, "x": list(values), "y": list(tokens),
            "marker": {"color": shade}, "hovertemplate": "%{y}: %{x:.2%}<extra>" + name + "</extra>",
        }
        for name, values, shade in ((plain_name, plain, MUTED), (held_name, held, color))
    ]  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": title, "barmode": "group", "bargap": 0.3, "margin": {"t": 8},
        "legend": {"y": -0.2, "yanchor": "top"},
        "xaxis": {"title": {"text": x}, "tickformat": ".0%", "showgrid": True, "rangemode": "tozero"},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
    })  # fmt: skip


def losses_figure(
    tokens: Sequence[str], plain: Sequence[float], held: Sequence[float], since: int | None, color: str, *, title: str,
    x: str, y: str, plain_name: str, held_name: str,
) -> go.Figure:  # fmt: skip
    """Loss of each token of a text. since: index of the first one that is predicted with something held."""
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": list(tokens),
            "y": [float(f"{value:.5g}") for value in values], "line": {"color": shade, "width": width},
            "hovertemplate": "%{x}: %{y:.3f}<extra>" + name + "</extra>",
        }
        for name, values, shade, width in ((held_name, held, color, 1.8), (plain_name, plain, MUTED, 1.8))
    ]  # fmt: skip
    mark = {"type": "line", "x0": since, "x1": since, "y0": 0, "y1": 1, "yref": "paper"}
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": f"{title} {len(tokens)}", "margin": {"t": 8},
        "legend": {"y": -0.28, "yanchor": "top"},
        "xaxis": {"title": {"text": x}, "type": "category", "nticks": 10, "tickangle": 0},
        "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
        "shapes": [] if since is None else [{**mark, "line": {"color": ACCENT, "width": 1.5, "dash": "dot"}}],
    })  # fmt: skip
