"""Sine waves as positions, and how alike the places of any table are, as numpy has them. Not here: Streamlit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
SMOOTH = 9
"""Places of a running mean."""


def sine_table(places: int, width: int) -> Array:
    """Vaswani et al.'s positions (C, D): sin(t / 10000^(2i/D)) in dimension 2i, the cosine in 2i + 1."""
    angles = np.arange(places)[:, None] * 10000.0 ** -(np.arange(0, width, 2) / width)  # (C, D/2)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(places, -1)[:, :width].astype(np.float32)


def by_distance(table: Array) -> tuple[list[float], list[float], list[float]]:
    """Cosine of two places: mean, least and most over all pairs at distance 0 .. C - 1."""
    norms = np.linalg.norm(table, axis=1)
    unit = table / np.where(norms > 0, norms, 1)[:, None]
    cosines = unit @ unit.T
    diagonals = [cosines.diagonal(distance) for distance in range(len(table))]
    mean, low, high = ([float(how(one)) for one in diagonals] for how in (np.mean, np.min, np.max))
    return mean, low, high


def running_mean(values: Sequence[float], edge: int, width: int = SMOOTH) -> list[float]:
    """Over so many places around each, fewer at the ends; the places before and after `edge` stay apart."""
    parts = [part for part in (values[:edge], values[edge:]) if len(part)]
    half = width // 2
    return [
        float(np.mean(part[max(0, place - half) : place + half + 1])) for part in parts for place in range(len(part))
    ]
