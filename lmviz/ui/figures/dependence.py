"""On which earlier states each loss of a text depends: the whole map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmviz.ui.figures.gradient_training import log_shares
from lmviz.ui.figures.gradients import VANISHED
from lmviz.ui.theme import INK, SEQUENTIAL


def dependence_figure(
    rows: Sequence[Sequence[float]], read: Sequence[str], predicted: Sequence[str], chosen: int, *, title: str, x: str,
    y: str, hover: str, bar: str,
) -> go.Figure:  # fmt: skip
    """A map of predicted token by state, the row of the chosen token framed.

    Args:
        rows: row tau has tau + 1 shares, the last is 1.
        read, predicted: names of columns and rows, each different from the others, as Plotly may show them.
        hover: one cell; `%{x}` and `%{y}` are those names, `%{customdata}` the share.
        bar: title of the colours.
    """
    shares = np.full((len(rows), len(rows)), np.nan)
    for tau, row in enumerate(rows):
        shares[tau, : tau + 1] = row
    low = float(np.log10(VANISHED))
    return go.Figure(data=[{
        "type": "heatmap", "x": list(read), "y": list(predicted), "z": log_shares(shares), "hoverongaps": False,
        "zmin": low, "zmax": 0, "colorscale": SEQUENTIAL, "hovertemplate": hover + "<extra></extra>",
        "customdata": [list(row) for row in rows],  # lists: Plotly finds no cell of a typed array
        "colorbar": {
            "title": {"text": bar, "side": "right"}, "thickness": 10,
            "tickvals": [-3, -2, -1, 0], "ticktext": ["1/1000", "1/100", "1/10", "1"],
        },
    }], layout={
        "title": {"text": title}, "uirevision": f"{title} {len(rows)}",
        "xaxis": {"title": {"text": x}, **_names()},
        "yaxis": {"title": {"text": y}, "autorange": "reversed", "showgrid": False, **_names()},
        "shapes": [{
            "type": "rect", "x0": -0.5, "x1": chosen + 0.5, "y0": chosen - 0.5, "y1": chosen + 0.5,
            "line": {"color": INK, "width": 1.5},
        }],
    })  # fmt: skip


def _names() -> dict[str, Any]:
    return {"type": "category", "nticks": 9, "tickangle": 0}
