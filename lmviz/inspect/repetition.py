"""How much a text repeats itself. No torch."""

from collections.abc import Hashable, Sequence


def longest_repeat(tokens: Sequence[Hashable]) -> int:
    """Length of the longest run of tokens that comes twice without overlapping; 0 if no token does.

    Whoever repeats a run repeats every shorter beginning of it: the length is found by halving, in N log N runs.
    """
    low, high = 0, len(tokens) // 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _repeats(tokens, middle) else (low, middle - 1)
    return low


def _repeats(tokens: Sequence[Hashable], length: int) -> bool:
    """Whether a run of this length comes twice without overlapping."""
    first: dict[Hashable, int] = {}
    runs = (tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1))
    return any(first.setdefault(run, start) <= start - length for start, run in enumerate(runs))
