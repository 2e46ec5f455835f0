"""Which units stay on over a span of a text, and where else do the same units stay on? The question that LSTMVis asks
(Strobelt et al. 2018, LSTMVis: a tool for visual analysis of hidden state dynamics), of one's own model.

A unit is on at a token if its value there is so many of its standard deviations above its mean, both over the held-out
text, or, with the sign -1, as far below it. (LSTMVis takes the value itself; but cell states have no common scale.)
Shapes: R rows, T tokens, H units, U chosen units.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


NOISE = 1e-5
"""Deviation by the size of the mean that is rounding."""


class Scale(NamedTuple):
    """Of each unit (H,)."""

    mean: Values
    deviation: Values

    def standard(self, values: Values) -> Values:
        """(..., H) in standard deviations from the mean; 0 where a unit never changes."""
        changes = self.deviation > NOISE * (np.abs(self.mean) + NOISE)
        return np.asarray(np.where(changes, (values - self.mean) / np.where(changes, self.deviation, 1), 0))


def scale_of(values: Values) -> Scale:
    """From values (N, H)."""
    mean, deviation = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    return Scale(mean.astype(np.float32), deviation.astype(np.float32))


class Unit(NamedTuple):
    number: int
    sign: int
    """1 or -1."""


class Match(NamedTuple):
    """Tokens [start, end) of a row at which all of `units_on` units are on."""

    row: int
    start: int
    end: int
    units_on: int


def units_on(values: Values, start: int, end: int, threshold: float, only_here: bool = False) -> list[Unit]:
    """Units that are on at every token of [start, end) of a text (T, H), which is in standard deviations.

    only_here: and not on at the token before, nor at the one after, where there are such.
    """
    found = []
    for sign in (1, -1):
        on = sign * values >= threshold  # (T, H)
        stays = on[start:end].all(0)
        if only_here and start > 0:
            stays &= ~on[start - 1]
        if only_here and end < len(values):
            stays &= ~on[end]
        found += [Unit(int(number), sign) for number in np.nonzero(stays)[0]]
    return sorted(found)


def matches(
    values: Values, units: Sequence[Unit], length: int, threshold: float, count: int = 10,
    apart_from: NDArray[np.bool_] | None = None,
) -> list[Match]:  # fmt: skip
    """Runs of tokens at which most of these units are on: values (R, T, H), in standard deviations.

    For k = U, U - 1, ... down to half of U: the longest runs of tokens at each of which k of the units or more are on,
    if k of them stay on all through and the run is at least half as long as `length`. Those nearest in length come
    first; one that touches a run that is already taken is left out; until there are `count`.

    apart_from: (R, T), runs that touch these tokens are left out.
    """
    if not units:
        return []
    signs = np.array([unit.sign for unit in units], np.float32)
    on = values[..., [unit.number for unit in units]] * signs >= threshold  # (R, T, U)
    together = on.sum(-1)  # (R, T)
    taken = np.zeros(together.shape, np.bool_) if apart_from is None else apart_from.copy()
    found: list[Match] = []
    for least in range(len(units), (len(units) + 1) // 2 - 1, -1):
        runs = _runs(together >= least)
        runs = runs[2 * (runs[:, 2] - runs[:, 1]) >= length]
        lengths = runs[:, 2] - runs[:, 1]
        for row, start, end in runs[np.argsort(np.abs(lengths - length), kind="stable")].tolist():
            if not taken[row, start:end].any() and on[row, start:end].all(0).sum() >= least:
                taken[row, start:end] = True
                found.append(Match(row, start, end, least))
            if len(found) == count:
                return found
    return found


def only_place(text: NDArray[np.integer], part: NDArray[np.integer]) -> int | None:
    """Where `part` (P,) stands in `text` (N,), if it stands there exactly once."""
    if not len(part):
        return None
    found = np.nonzero(text[: max(0, len(text) - len(part) + 1)] == part[0])[0]
    for at, token in enumerate(part):
        found = found[text[found + at] == token]
    return int(found[0]) if len(found) == 1 else None


def _runs(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Maximal runs of True in each row (R, T): their (row, start, end)."""
    edges = np.diff(np.pad(flags, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return np.stack([rows, starts, ends], 1).reshape(-1, 3)
