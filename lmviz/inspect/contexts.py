"""Where in the held-out text a unit is highest and lowest, with what stands around."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.inspect.held_out import Passages

APART = 20
"""Tokens between two places of one list at least."""
BEFORE, AFTER = 40, 12
"""Tokens that are shown around a place, within its row."""

Values = NDArray[np.float32]


def extremes(values: Values, count: int = 8) -> dict[str, list[tuple[int, int]]]:
    """(row, column) of the highest and the lowest values of one unit (R, T), the most extreme first, none within APART
    tokens of a more extreme one in its row.
    """
    return {"highest": _peaks(values, count), "lowest": _peaks(-values, count)}


def _peaks(values: Values, count: int) -> list[tuple[int, int]]:
    left = values.astype(np.float32, copy=True)
    found: list[tuple[int, int]] = []
    while len(found) < count:
        row, column = (int(one) for one in np.unravel_index(left.argmax(), left.shape))
        if left[row, column] == -np.inf:
            break
        found.append((row, column))
        left[row, max(0, column - APART + 1) : column + APART] = -np.inf
    return found


def around(rows: Passages, names: Sequence[str], row: int, start: int, end: int) -> dict[str, Any]:
    """{"place": index in the held-out text, "before", "tokens", "after": names of tokens} of the counted tokens
    [start, end) of a row. names: of every token id.
    """
    read = rows.tokens[row]
    first, last = rows.run_up + start, rows.run_up + end
    spell = [names[token] for token in read[max(0, first - BEFORE) : last + AFTER].tolist()]
    cut = min(BEFORE, first)
    return {
        "place": int(rows.places[row, start]),
        "before": spell[:cut],
        "tokens": spell[cut : cut + end - start],
        "after": spell[cut + end - start :],
    }
