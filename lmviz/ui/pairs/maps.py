"""What belongs to what: where a step should look, which rows are no more than punctuation. Not here: Streamlit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from lmviz.corpora.pairs import Pair, pair_set
from lmviz.errors import LmvizError
from lmviz.ui.figures.attention import map_figure
from lmviz.ui.theme import ACCENT, INK

EXAMPLES = 12
"""Held-out pairs that can be chosen."""
SEARCHED = 300
"""Held-out pairs among which a typed source is looked for."""


def examples(name: str) -> list[Pair]:
    """Held-out pairs to begin with; none if they are gone."""
    try:
        pairs = pair_set(name, allow_paths=False)
    except LmvizError:
        return []
    return [pairs.test(i) for i in range(min(EXAMPLES, pairs.test_size))]


def known_pair(name: str, source: str) -> Pair | None:
    """The pair of a source, if it is one of the first held-out ones."""
    try:
        pairs = pair_set(name, allow_paths=False)
    except LmvizError:
        return None
    some = (pairs.test(i) for i in range(min(SEARCHED, pairs.test_size)))
    return next((pair for pair in some if pair.source == source), None)


def right_share(attention: NDArray[np.float32], text: str, pair: Pair | None) -> float | None:
    """Mean over the output's characters that have a right place: the attention there. None if wrong or unknown."""
    if pair is None or not pair.target_fields or text != pair.target:
        return None
    fields = np.array(pair.source_fields)
    shares = [
        attention[step, : len(fields)][fields == field].sum()
        for step, field in enumerate(pair.target_fields)
        if field >= 0
    ]
    return float(np.mean(shares)) if shares else None


def alignment_figure(
    attention: NDArray[np.float32], rows: Sequence[str], columns: Sequence[str], pair: Pair | None, *, title: str,
    x: str, y: str, hover: str, key: str, chosen: int | None = None, forced: Mapping[int, Any] | None = None,
) -> go.Figure:  # fmt: skip
    """The map of one example: the right places framed, rows without one (punctuation, <end>) greyed out."""
    figure = map_figure(
        attention, rows, columns, chosen, title=title, x=x, y=y, hover=hover, key=key
    )  # fmt: skip
    shapes = list(figure.layout.shapes)
    fields = pair.target_fields if pair and len(pair.target_fields) <= len(rows) else ()
    for row in range(len(rows)):
        field = fields[row] if row < len(fields) else -1
        if fields and field < 0:
            shapes.append(_box(-0.5, len(columns) - 0.5, row, fillcolor="rgba(128,128,128,0.35)", line={"width": 0}))
        elif fields and pair:
            places = [place for place, one in enumerate(pair.source_fields) if one == field]
            if places:
                line = {"color": INK, "width": 1, "dash": "dot"}
                shapes.append(_box(min(places) - 0.5, max(places) + 0.5, row, line=line))
        if forced and row in forced:
            shapes.append(_box(-0.5, len(columns) - 0.5, row, line={"color": ACCENT, "width": 2}))
    figure.layout.shapes = shapes
    return figure


def _box(left: float, right: float, row: int, **look: Any) -> dict[str, Any]:
    return {"type": "rect", "x0": left, "x1": right, "y0": row - 0.5, "y1": row + 0.5, **look}
