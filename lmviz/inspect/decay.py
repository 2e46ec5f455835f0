"""What is read off a curve of gradient norms over lags: shares, decay a step, horizon. No torch, so that the web server
has it too; how the norms are measured stands in lmviz.inspect.gradients.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEQUENCES = 16
"""Sequences that the norms of a cell at birth, and of a run on request, are a mean over."""
RECORDED_WINDOWS = 8
"""Windows that the norms recorded in training are a mean over; more would cost more than the update they follow."""
FIT_FROM, FIT_TO = 5, 60
"""Lags whose slope is the decay: before them the loss's own direction still turns towards the slowest one."""
FADED = 1e-3
"""What is left of a gradient at its horizon."""


def relative(norms: Array) -> Array:
    """Norms by lag (..., T) as shares of the one at lag 0; zero where there is no gradient at all, and not a number
    where the one at lag 0 is none.
    """
    first = norms[..., :1]
    with np.errstate(invalid="ignore"):  # infinite by infinite is not a number, as it should be
        return np.asarray(np.divide(norms, first, out=np.zeros_like(norms), where=first != 0))


def decay(norms: Array) -> float | None:
    """By which factor a norm changes from lag to lag: the slope of its logarithm, least squares over lags 5 to 60.

    norms: by lag (T,), lag 0 first. Of a sequence too short for that all lags are taken; None without two that are
    not zero.
    """
    start = FIT_FROM if len(norms) >= FIT_FROM + 3 else 0
    lags = np.arange(start, min(FIT_TO + 1, len(norms)))
    lags = lags[np.isfinite(norms[lags]) & (norms[lags] > 0)]
    if len(lags) < 2:
        return None
    return math.exp(np.polynomial.Polynomial.fit(lags, np.log(norms[lags]), 1).convert().coef[-1])


def horizon(decay: float | None) -> float | None:
    """Steps until a thousandth is left, at this decay; None if it does not fade."""
    return math.log(FADED) / math.log(decay) if decay and decay < 1 else None
