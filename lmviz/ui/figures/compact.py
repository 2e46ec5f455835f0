"""Many numbers in few bytes: a heatmap's values as 16-bit integers and their scale, which chart.js turns into numbers
again before Plotly sees them. Half of what float32 takes, and exact to 1/32767 of the largest value.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 2**15 - 1
MISSING = -(2**15)
"""Stands for a number that is not there."""


def compact(values: NDArray[Any]) -> dict[str, Any]:
    """A trace's `z` from (R, C): Plotly's own form of an array, and "scale", what one unit of it is worth."""
    there = np.isfinite(values)
    largest = float(np.abs(values, where=there, out=np.zeros(values.shape)).max(initial=0))
    scale = largest / MOST or 1.0
    whole = np.where(there, np.round(np.where(there, values, 0) / scale), MISSING).astype("<i2")
    return {
        "dtype": "i2", "bdata": base64.b64encode(whole.tobytes()).decode(),
        "shape": f"{whole.shape[0]}, {whole.shape[1]}", "scale": scale,
    }  # fmt: skip
