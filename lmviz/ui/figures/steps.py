"""One step of writing: the distribution after each stage, and the tree of what was tried."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.theme import ACCENT, GRID, INK, MUTED, SURFACE

GAP = 0.022
"""Between two columns, of the width of the picture."""


def stages_figure(
    tokens: Sequence[str], chances: Sequence[Sequence[float]], stages: Sequence[str], drawn: int, color: str, *,
    title: str, hover: str, out: str, key: str,
) -> go.Figure:  # fmt: skip
    """A column of bars a stage, a row a token (R), the same in all, so that one can follow a token across.

    chances: (stages, R). drawn: the row that is taken. out: what a bar says that is no more. hover: `%{customdata[0]}`
    is the token, `%{customdata[1]}` its chance after the stage, in words.
    """
    width = (1 - GAP * (len(stages) - 1)) / len(stages)
    rows = list(range(len(tokens)))
    layout: dict[str, Any] = {
        "title": {"text": title}, "uirevision": key, "showlegend": False, "bargap": 0.22,
        "margin": {"l": 40, "r": 8, "t": 34, "b": 8},
        "yaxis": {
            "tickmode": "array", "tickvals": rows, "range": [len(rows) - 0.5, -0.5], "fixedrange": True,
            "ticktext": [f"<b>{token}</b>" if row == drawn else token for row, token in enumerate(tokens)],
            "showgrid": False, "zeroline": False, "tickfont": {"size": 13, "color": INK},
        },
        "shapes": [{
            "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": drawn - 0.5, "y1": drawn + 0.5,
            "line": {"color": ACCENT, "width": 1.5}, "layer": "above",
        }],
        "annotations": [],
    }  # fmt: skip
    most = max(max(column) for column in chances)
    traces = []
    for number, (name, column) in enumerate(zip(stages, chances, strict=True)):
        suffix = str(number + 1) if number else ""
        start = number * (width + GAP)
        layout[f"xaxis{suffix}"] = {
            "domain": [start, min(1, start + width)], "range": [0, most * 1.42], "showticklabels": False,
            "showgrid": False, "showline": False, "zeroline": True, "zerolinecolor": GRID, "fixedrange": True,
            "ticklen": 0,
        }  # fmt: skip
        words = [_percent(value) if value > 0 else out for value in column]
        traces.append({
            "type": "bar", "orientation": "h", "y": rows, "x": [float(f"{value:.6g}") for value in column],
            "xaxis": f"x{suffix}", "name": name, "text": words, "textposition": "outside", "cliponaxis": False,
            "textfont": {"size": 11, "color": [MUTED if value <= 0 else INK for value in column]},
            "customdata": [[token, f"{value:.6g}"] for token, value in zip(tokens, column, strict=True)],
            "marker": {"color": [color if row == drawn else "#7d8a90" for row in rows]},
            "hovertemplate": hover + "<extra>%{fullData.name}</extra>", "constraintext": "none",
        })  # fmt: skip
        layout["annotations"].append({
            "x": start, "y": 1, "xref": "paper", "yref": "paper", "text": f"<b>{name}</b>", "showarrow": False,
            "xanchor": "left", "yanchor": "bottom", "font": {"size": 13, "color": INK}, "yshift": 6,
        })  # fmt: skip
    return go.Figure(data=traces, layout=layout)


def _percent(value: float) -> str:
    if value >= 0.9995:
        return "100%"
    return f"{value:.1%}" if value >= 0.001 else f"{value:.0e}".replace("e-0", "e-")


def tree_figure(
    nodes: Sequence[Mapping[str, Any]], color: str, *, title: str, key: str, first: int, last: int
) -> go.Figure:  # fmt: skip
    """What was tried: a node a text, its depth to the right, a row a branch.

    nodes: {"x", "y", "text", "hover", "parent": number or None, "current": on the way that is shown, "here": its end}.
    first, last: depths that are seen at first.
    """
    data: list[dict[str, Any]] = []
    for current, line in ((False, {"color": GRID, "width": 1.5}), (True, {"color": color, "width": 2.5})):
        xs: list[Any] = []
        ys: list[Any] = []
        for node in nodes:
            if node["parent"] is not None and node["current"] == current:
                parent = nodes[node["parent"]]
                xs += [parent["x"], node["x"], None]
                ys += [parent["y"], node["y"], None]
        data.append({"type": "scatter", "mode": "lines", "x": xs, "y": ys, "line": line, "hoverinfo": "skip"})
    data.append({
        "type": "scatter", "mode": "markers+text", "x": [node["x"] for node in nodes],
        "y": [node["y"] for node in nodes], "text": [node["text"] for node in nodes], "textposition": "top center",
        "textfont": {"size": 13, "color": [INK if node["current"] else MUTED for node in nodes]},
        "marker": {
            "size": [13 if node["here"] else 8 for node in nodes],
            "color": [color if node["current"] else SURFACE for node in nodes],
            "line": {"color": [color if node["current"] else "#7d8a90" for node in nodes], "width": 1.5},
        },
        "customdata": [node["hover"] for node in nodes], "hovertemplate": "%{customdata}<extra></extra>",
        "cliponaxis": False,
    })  # fmt: skip
    rows = max(node["y"] for node in nodes)
    return go.Figure(data=data, layout={
        "title": {"text": title}, "uirevision": key, "showlegend": False, "margin": {"l": 8, "r": 8, "t": 24, "b": 8},
        "xaxis": {"range": [first - 0.6, last + 0.6], "visible": False},
        "yaxis": {"range": [rows + 0.5, -0.8], "visible": False, "fixedrange": True},
    })  # fmt: skip
