"""How much a text repeats itself. No torch."""

from collections.abc import Hashable, Sequence


def longest_repeat(tokens: Sequence[Hashable]) -> int:
    """Length of the longest run of tokens that comes twice without overlapping; 0 if no token does.

    A run that comes twice has shorter ones that do, so the length is found by halving: O(N log N) runs are looked at.
    """
    text = tokens if isinstance(tokens, str) else tuple(tokens)
    short, long = 0, len(text) // 2
    while short < long:
        middle = (short + long + 1) // 2
        if _comes_twice(text, middle):
            short = middle
        else:
            long = middle - 1
    return short


def _comes_twice(text: str | tuple[Hashable, ...], length: int) -> bool:
    first: dict[Hashable, int] = {}
    return any(first.setdefault(text[at : at + length], at) <= at - length for at in range(len(text) - length + 1))
