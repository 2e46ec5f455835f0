"""The maps of all heads as one small PNG: a single colour, the more opaque the more attention, so that it is right on a
light and on a dark page. Not here: Streamlit.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOR = (58, 134, 200)
"""Readable on white and on our dark background (theme.py says how such colours are chosen)."""
GAP = 255
"""As inspect.attention_overview has it: between the maps."""
_GREY = (128, 128, 128, 70)


def png(levels: NDArray[np.uint8]) -> str:
    """A picture of levels, 0 nothing to 248 all attention and GAP, as a data: address."""
    image = Image.frombytes("P", levels.shape[::-1], np.ascontiguousarray(levels).tobytes())
    palette = [channel for _ in range(GAP) for channel in COLOR] + list(_GREY[:3])
    image.putpalette(palette)
    opacity = bytes([*(min(255, round(level * 255 / 248)) for level in range(GAP)), _GREY[3]])
    out = io.BytesIO()
    image.save(out, "PNG", transparency=opacity, compress_level=3)  # higher ones take ten times as long
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def arranged(
    picture: NDArray[np.uint8], layers: int, heads: int, order: Sequence[tuple[int, int]], columns: int
) -> NDArray[np.uint8]:
    """The maps in another order, row by row, so many in a row; what is left of the last row is empty."""
    height, width = (picture.shape[0] + 1) // layers, (picture.shape[1] + 1) // heads
    padded = np.full((layers * height, heads * width), GAP, np.uint8)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    tiles = padded.reshape(layers, height, heads, width).transpose(0, 2, 1, 3)  # (L, N, T + 1, S + 1)
    rows = -(-len(order) // columns)
    out = np.zeros((rows * columns, height, width), np.uint8)
    for place, (layer, head) in enumerate(order):
        out[place] = tiles[layer, head]
    return out.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
