"""What a pattern of tones costs, place by place; shapes of tones, written and learned."""

from collections.abc import Sequence

import plotly.graph_objects as go

from lmviz.ui.theme import MUTED


def cost_figure(
    names: Sequence[str], costs: Sequence[float], rhyming: Sequence[bool], lines: Sequence[str], color: str, *,
    title: str, x: str, y: str, rhyme: str, other: str, key: str,
) -> go.Figure:  # fmt: skip
    """A bar for each character that is written, in nats. names: what is wanted there; lines: the line it is in."""
    looks = {other: {"color": color}, rhyme: {"color": color, "pattern": {"shape": "/", "size": 5}}}
    at = list(range(len(names)))
    starts = [place for place in at if place == 0 or lines[place] != lines[place - 1]]
    return go.Figure(data=[
        {
            "type": "bar", "name": name, "x": [place for place in at if rhyming[place] == (name == rhyme)],
            "y": [float(f"{costs[place]:.4g}") for place in at if rhyming[place] == (name == rhyme)],
            "customdata": [f"{lines[place]}, {names[place]}" for place in at if rhyming[place] == (name == rhyme)],
            "hovertemplate": "%{customdata}: <b>%{y:.2f}</b><extra>" + name + "</extra>", "marker": look, "width": 0.75,
        }
        for name, look in looks.items()
    ], layout={
        "title": {"text": title}, "uirevision": key, "barmode": "overlay", "margin": {"t": 8},
        "xaxis": {"title": {"text": x}, "tickvals": at, "ticktext": list(names), "tickangle": 0, "showgrid": False,
                  "range": [-0.6, len(names) - 0.4]},
        "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
        "legend": {"y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "shapes": [
            {"type": "line", "x0": place - 0.5, "x1": place - 0.5, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"color": MUTED, "width": 1, "dash": "dot"}} for place in starts if place
        ],
        "annotations": [
            {"x": place - 0.4, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left", "showarrow": False,
             "text": lines[place], "font": {"size": 12, "color": MUTED}} for place in starts
        ],
    })  # fmt: skip


def shapes_figure(
    names: Sequence[str], written: Sequence[float], learned: Sequence[float], color: str, *, title: str, x: str, y: str,
    written_name: str, learned_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """Shares of the shapes of four tones, two bars each, the shape that is learned most first."""
    order = sorted(range(len(names)), key=lambda place: -learned[place])
    rows = {
        learned_name: (learned, {"color": MUTED, "pattern": {"shape": "/", "size": 5}}),
        written_name: (written, {"color": color}),
    }
    return go.Figure(data=[
        {
            "type": "bar", "name": name, "x": ["<br>".join(names[place]) for place in order],
            "y": [float(f"{shares[place]:.4g}") for place in order], "marker": look,
            "hovertemplate": "%{x}: <b>%{y:.1%}</b><extra>" + name + "</extra>",
        }
        for name, (shares, look) in rows.items()
    ], layout={
        "title": {"text": title}, "uirevision": key, "bargap": 0.25, "margin": {"t": 8},
        "xaxis": {"title": {"text": x}, "type": "category", "showgrid": False, "tickangle": 0,
                  "tickfont": {"size": 11}},
        "yaxis": {"title": {"text": y}, "tickformat": ".0%", "rangemode": "tozero"},
        "legend": {"y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
    })  # fmt: skip
