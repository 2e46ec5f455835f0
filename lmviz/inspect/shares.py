"""How sure a share is that was counted in a few draws. No torch."""

import math

Z = 1.959963984540054
"""Of the normal distribution, for 95 %."""


def wilson(count: int, of: int, z: float = Z) -> tuple[float, float]:
    """The interval of a share after Wilson (1927), which holds for few draws and for shares of 0 and 1 too.

    Raises:
        ValueError: nothing was drawn, or more was counted than drawn.
    """
    if not 0 <= count <= of or not of:
        raise ValueError(f"{count} of {of} is no share")
    share, scale = count / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - reach), min(1.0, middle + reach)
