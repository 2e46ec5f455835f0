"""All attention maps of a model as one small picture.

Shapes: L layers, N heads, T queries, S keys.
"""

import numpy as np
from numpy.typing import NDArray

GAP = 255
"""Between the maps; no attention has this value."""
LEVELS = 32
"""Shades: so few that a PNG of 48 maps of 128 tokens stays small, and more than one can tell apart."""
BRIGHTEST = 248
"""Attention 1, a whole number of shades."""


def overview(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Weights (L, N, T, S) -> one picture (L (T + 1) - 1, N (S + 1) - 1): a row a layer, a column a head, queries down.

    Attention w is round(31 sqrt(w)) * 8, so that faint attention is seen too: 0 nothing, 248 all of it; GAP between.
    """
    layers, heads, queries, keys = weights.shape
    step = BRIGHTEST // (LEVELS - 1)
    tiles = np.full((layers, queries + 1, heads, keys + 1), GAP, np.uint8)
    shades = np.sqrt(weights) * (LEVELS - 1) + 0.5
    tiles[:, :-1, :, :-1] = (shades.astype(np.uint8) * step).transpose(0, 2, 1, 3)
    return tiles.reshape(layers * (queries + 1), heads * (keys + 1))[:-1, :-1]


def attention_at(level: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The attention that a value of the picture stands for."""
    return (level / BRIGHTEST) ** 2
