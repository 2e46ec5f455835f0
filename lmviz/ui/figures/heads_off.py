"""How much each head is missed."""

from collections.abc import Collection, Sequence

import plotly.graph_objects as go

from lmviz.ui.theme import GRID, MUTED

MANY = 16
"""Heads from which names are not drawn level."""


def missed_figure(
    names: Sequence[str], rises: Sequence[float], off: Collection[int], color: str, *, title: str, x: str, y: str,
    hover: str, off_name: str, on_name: str, key: str,
) -> go.Figure:  # fmt: skip
    """A bar a head, in the order given. off: indices of those that are switched off now. hover: `%{x}`, `%{y}`."""
    places = {on_name: [i for i in range(len(names)) if i not in off], off_name: sorted(off)}
    looks = {
        on_name: {"color": color},
        off_name: {"color": GRID, "line": {"color": MUTED, "width": 1.5}, "pattern": {"shape": "/", "fgcolor": MUTED}},
    }
    return go.Figure(data=[
        {
            "type": "bar", "name": name, "x": [names[i] for i in which], "y": [float(f"{rises[i]:.4g}") for i in which],
            "marker": looks[name], "customdata": which, "hovertemplate": hover + "<extra>" + name + "</extra>",
        }
        for name, which in places.items() if which
    ], layout={
        "title": {"text": title}, "uirevision": key, "barmode": "overlay", "bargap": 0.3, "margin": {"t": 8},
        "xaxis": {"title": {"text": x}, "type": "category", "categoryorder": "array", "categoryarray": list(names),
                  "tickangle": 0 if len(names) <= MANY else 90},
        "yaxis": {"title": {"text": y}}, "legend": {"y": -0.3, "yanchor": "top"}, "showlegend": bool(off),
    })  # fmt: skip
