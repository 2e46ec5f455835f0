"""The logit lens: what each depth of a model would predict, where, and how sure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.ui.figures.compact import compact
from lmviz.ui.theme import ACCENT, INK, MUTED, SEQUENTIAL, SURFACE

Array = NDArray[np.float64]


def grid_figure(
    chances: Array, texts: Sequence[Sequence[str]], hovers: Sequence[Sequence[str]], read: Sequence[str],
    right: Sequence[str], depths: Sequence[str], chosen: int, *, title: str, right_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """A row a depth (R), the first at the top, a column a token (T): the likeliest one, coloured by its chance; below
    them what is right.

    chances (R, T), texts and hovers (R, T). read: tokens above the columns. right: tokens of the last row.
    """
    columns, rows = list(range(len(read))), len(depths)
    frame = {
        "type": "rect", "x0": chosen - 0.5, "x1": chosen + 0.5, "y0": -0.5, "y1": rows + 0.5,
        "line": {"color": ACCENT, "width": 2},
    }  # fmt: skip
    return go.Figure(data=[
        {
            "type": "heatmap", "z": compact(chances), "x": columns, "text": [list(row) for row in texts],
            "texttemplate": "%{text}", "textfont": {"size": 12}, "customdata": [list(row) for row in hovers],
            "hovertemplate": "%{customdata}<extra></extra>", "colorscale": SEQUENTIAL, "zmin": 0, "zmax": 1,
            "xgap": 1, "ygap": 1, "colorbar": {"thickness": 8, "nticks": 3, "tickformat": ".0%"},
        },
        {
            "type": "heatmap", "z": [[0.0] * len(read)], "x": columns, "y": [rows], "text": [list(right)],
            "texttemplate": "%{text}", "textfont": {"size": 12, "color": INK}, "showscale": False, "xgap": 1, "ygap": 1,
            "colorscale": [[0, SURFACE], [1, SURFACE]],
            "hovertemplate": right_name + ": %{text}<extra></extra>",
        },
    ], layout={
        "title": {"text": title}, "uirevision": key, "margin": {"l": 90, "r": 44, "t": 30, "b": 8},
        "xaxis": {"side": "top", "tickmode": "array", "tickvals": columns, "ticktext": list(read), "tickangle": 0,
                  "showline": False, "ticklen": 2, "tickfont": {"size": 12, "color": INK},
                  "range": [-0.5, len(read) - 0.5]},
        "yaxis": {"tickmode": "array", "tickvals": list(range(rows + 1)), "ticktext": [*depths, right_name],
                  "range": [rows + 0.5, -0.5], "showgrid": False, "fixedrange": True, "zeroline": False},
        "shapes": [frame],
    })  # fmt: skip


def guesses_figure(
    depths: Sequence[str], guesses: Sequence[Sequence[tuple[str, float]]], right: str | None, color: str, *, title: str,
    x: str, hover: str, key: str,
) -> go.Figure:  # fmt: skip
    """A bar a depth, the first at the top: the likeliest tokens one after the other, the right one in colour.

    hover: `%{customdata}` is the token, `%{x}` its chance.
    """
    traces: list[dict[str, Any]] = []
    for rank in range(max(map(len, guesses))):
        names = [row[rank][0] if rank < len(row) else "" for row in guesses]
        traces.append({
            "type": "bar", "orientation": "h", "y": list(depths), "showlegend": False,
            "x": [float(f"{row[rank][1]:.4g}") if rank < len(row) else 0 for row in guesses],
            "text": names, "customdata": names, "textposition": "inside", "insidetextanchor": "middle", "textangle": 0,
            "insidetextfont": {"color": "#ffffff"}, "constraintext": "both",
            "marker": {"color": [color if name == right else "#5a666c" for name in names],
                       "line": {"color": SURFACE, "width": 1.5}},
            "hovertemplate": hover + "<extra></extra>",
        })  # fmt: skip
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "barmode": "stack", "bargap": 0.25, "margin": {"t": 8, "r": 24},
        "uniformtext": {"mode": "hide", "minsize": 11},
        "xaxis": {"title": {"text": x}, "range": [0, 1], "tickformat": ".0%", "showgrid": True},
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": list(depths)[::-1], "showgrid": False},
    })  # fmt: skip


def depth_figure(
    depths: Sequence[str], mean: Sequence[float], chosen: Sequence[float], kl: Sequence[float],
    kl_chosen: Sequence[float], color: str, *, title: str, y: str, y_kl: str, mean_name: str, chosen_name: str,
    key: str,
) -> go.Figure:  # fmt: skip
    """Above, the chance of the right token by depth; below, how far each depth is from the end. chosen may be empty."""
    hover = "%{y:.4~g}<extra>%{fullData.name}</extra>"
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": list(depths), "yaxis": axis,
            "y": [float(f"{value:.4g}") for value in values], "line": {"color": shade, "width": 2.2, "dash": dash},
            "marker": {"size": 7}, "hovertemplate": hover, "legendgroup": name, "cliponaxis": False,
        }
        for values, kls, name, shade, dash in (
            (mean, kl, mean_name, MUTED, "solid"), (chosen, kl_chosen, chosen_name, color, "solid"),
        )
        for values, axis in ((values, "y"), (kls, "y2"))
        if len(values)
    ]  # fmt: skip
    named: set[Any] = set()
    for trace in traces:
        trace["showlegend"] = trace["name"] not in named
        named.add(trace["name"])
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "hovermode": "x", "margin": {"t": 8},
        "xaxis": {"type": "category", "anchor": "y2", "tickangle": 0},
        "yaxis": {"title": {"text": y}, "domain": [0.56, 1], "range": [0, 1.04], "tickformat": ".0%"},
        "yaxis2": {"title": {"text": y_kl}, "domain": [0, 0.44], "rangemode": "tozero"},
        "legend": {"y": -0.14, "yanchor": "top"},
    })  # fmt: skip
