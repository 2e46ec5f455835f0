"""How much a text repeats itself. No torch."""

from collections.abc import Hashable, Sequence


def longest_repeat(tokens: Sequence[Hashable]) -> int:
    """Length of the longest run of tokens that comes twice without overlapping; 0 if no token does.

    Time and memory are those of N * N numbers, two rows at a time.
    """
    best = 0
    before = [0] * (len(tokens) + 1)
    for i in range(1, len(tokens) + 1):
        row = [0] * (len(tokens) + 1)
        for j in range(i + 1, len(tokens) + 1):
            if tokens[i - 1] == tokens[j - 1]:  # equal runs that end at i and at j; the first ends before the second
                row[j] = min(before[j - 1] + 1, j - i)
                best = max(best, row[j])
        before = row
    return best
