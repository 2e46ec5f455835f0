"""The tree of a beam search: a column a step, in it the candidates, the most probable at the top."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from lmviz.ui.theme import FINE, GRID, INK, MUTED, SURFACE

ROW, COLUMN, CHARACTER = 26, 28, 8
"""Pixels of a row and of the narrowest column, and of a character in a node."""
LOOKS = ("dropped", "kept", "best", "greedy")
"""How an edge is drawn, the quietest first."""


@dataclass
class Tree:
    """What is drawn. A place is (step, row)."""

    x: list[int] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    """Of each node: dropped, kept, finished, best, greedy or root."""
    hovers: list[str] = field(default_factory=list)
    edges: dict[str, list[tuple[tuple[int, float], tuple[int, float]]]] = field(
        default_factory=lambda: {look: [] for look in LOOKS}
    )
    labels: dict[float, str] = field(default_factory=dict)
    """Row -> its name beside the picture."""

    def node(self, place: tuple[int, float], text: str, look: str, hover: str) -> None:
        self.x.append(place[0])
        self.y.append(place[1])
        self.texts.append(text)
        self.looks.append(look)
        self.hovers.append(hover)

    @property
    def height(self) -> int:
        """Pixels of the plot."""
        return round(ROW * (max(self.y, default=0) + 1)) + 84

    @property
    def width(self) -> int:
        """Pixels at which all nodes can be read."""
        longest = max(map(len, self.texts), default=1)
        return 90 + (max(self.x, default=0) + 1) * max(COLUMN, CHARACTER * longest + 10)


def tree_figure(
    tree: Tree, color: str, *, title: str, x: str, names: dict[str, str], key: str
) -> go.Figure:  # fmt: skip
    """names: of the edges by their look. color: of the best text."""
    lines: dict[str, dict[str, Any]] = {
        "dropped": {"color": GRID, "width": 1}, "kept": {"color": MUTED, "width": 1.8},
        "best": {"color": color, "width": 4.5}, "greedy": {"color": INK, "width": 1.6, "dash": "dash"},
    }  # fmt: skip
    traces: list[dict[str, Any]] = []
    for look in LOOKS:
        xs, ys = _path(tree.edges[look])
        if xs:
            traces.append({
                "type": "scatter", "mode": "lines", "name": names[look], "x": xs, "y": ys, "line": lines[look],
                "hoverinfo": "skip",
            })  # fmt: skip
    traces += _nodes(tree, color)
    last = max(tree.x, default=1)
    return go.Figure(data=traces, layout={
        "title": {"text": title}, "uirevision": key, "margin": {"l": 66, "r": 16, "t": 30, "b": 44},
        "xaxis": {"title": {"text": x}, "range": [-0.7, last + 0.7], "dtick": 1 if last < 13 else 2, "tick0": 0,
                  "showline": False, "fixedrange": True},
        "yaxis": {"range": [max(tree.y, default=1) + 0.7, -0.7], "tickmode": "array", "tickvals": list(tree.labels),
                  "ticktext": list(tree.labels.values()), "showgrid": False, "zeroline": False, "fixedrange": True,
                  "gridcolor": FINE},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "reversed"},
    })  # fmt: skip


def _nodes(tree: Tree, color: str) -> list[dict[str, Any]]:
    """Every token in a frame: a circle, or where tokens are long a box as wide as the token. Plotly has no boxes: it is
    a short thick line upon a longer and thicker one.
    """
    inside = {"best": "#ffffff", "dropped": MUTED}
    border = {"kept": MUTED, "finished": color, "best": color, "greedy": INK, "root": GRID}
    borders = [border.get(look, SURFACE) for look in tree.looks]
    fills = [color if look == "best" else SURFACE for look in tree.looks]
    nodes: dict[str, Any] = {
        "type": "scatter", "showlegend": False, "x": tree.x, "y": tree.y, "cliponaxis": False, "mode": "markers+text",
        "text": tree.texts, "textposition": "middle center", "customdata": tree.hovers,
        "hovertemplate": "%{customdata}<extra></extra>",
        "textfont": {
            "size": [12 if look == "dropped" else 13 for look in tree.looks],
            "color": [inside.get(look, INK) for look in tree.looks],
        },
    }  # fmt: skip
    if max(map(len, tree.texts), default=1) <= 2:
        nodes["marker"] = {
            "symbol": ["square" if look == "finished" else "circle" for look in tree.looks], "opacity": 1,
            "size": [17 if look == "dropped" else 21 for look in tree.looks], "color": fills,
            "line": {"color": borders, "width": [0 if look == "dropped" else 1.5 for look in tree.looks]},
        }  # fmt: skip
        return [nodes]
    widths = [CHARACTER * len(text) + 6 for text in tree.texts]
    frames = {
        "type": "scatter", "mode": "markers", "showlegend": False, "x": tree.x, "y": tree.y, "hoverinfo": "skip",
        "cliponaxis": False, "marker": _boxes(widths, 20, borders, 3),
    }  # fmt: skip
    nodes["marker"] = _boxes(widths, 20, fills, 0)
    return [frames, nodes]


def _boxes(widths: Sequence[int], height: int, colors: Sequence[str], more: int) -> dict[str, Any]:
    """Markers of these widths, pixels. Plotly's `line-ew` is 1.4 times its size wide."""
    return {
        "symbol": "line-ew", "size": [(width + more) / 1.4 for width in widths], "opacity": 1,
        "line": {"width": height + more, "color": list(colors)},
    }  # fmt: skip


def _path(edges: Sequence[tuple[tuple[int, float], tuple[int, float]]]) -> tuple[list[Any], list[Any]]:
    """Many edges as one line with gaps."""
    xs: list[Any] = []
    ys: list[Any] = []
    for (x0, y0), (x1, y1) in edges:
        xs += [x0, x1, None]
        ys += [y0, y1, None]
    return xs[:-1], ys[:-1]
