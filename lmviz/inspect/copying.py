"""How much of a written text stands word for word in the text that the model learned from, and how varied it is.
No torch.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

LETTERS, CHARACTERS = 20, 8
"""Length from which a span counts as copied: in letters, and in Chinese characters, of which one says more."""
CHINESE = "\u4e00", "\u9fff"
UNREADABLE = "\ufffd"
PIECE = 2**19
"""Characters of a source that are looked through at a time."""
TABLE_BITS = 20
SHIFT = np.uint64(64 - TABLE_BITS)
BASE, MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
"""Odd numbers with many ones."""


def span_length(text: str) -> int:
    """CHARACTERS for a text most of whose characters are Chinese, else LETTERS."""
    low, high = CHINESE
    chinese = sum(low <= character <= high for character in text)
    return CHARACTERS if 2 * chinese > len(text) else LETTERS


def copied(text: str, source: str, least: int) -> list[bool]:
    """For every character of `text`: whether it is in a span of at least `least` characters that `source` has."""
    *_, (marks,) = search([text], source, [least])
    return marks


def search(
    texts: Sequence[str], source: str, least: Sequence[int], piece: int = PIECE
) -> Iterator[list[list[bool]]]:  # fmt: skip
    """`copied` of several texts, each with its own `least`, while the source is gone through once a length; what is
    known so far after each piece of the source, and the last time all of it.

    The source may be long: each of its spans has a hash of 64 bits, computed for all of them at once, and where the
    hash is that of a span of a text the characters themselves are compared. No index is kept. A span with U+FFFD, which
    stands for what is no text, is never a copy.
    """
    marks = [[False] * len(text) for text in texts]
    for length in sorted(set(least)):
        where: dict[str, list[tuple[int, int]]] = {}
        for number, (text, own) in enumerate(zip(texts, least, strict=True)):
            if own == length:
                for start in range(len(text) - length + 1):
                    window = text[start : start + length]
                    if UNREADABLE not in window:
                        where.setdefault(window, []).append((number, start))
        spans = _Spans(where, length)
        for start in range(0, len(source) - length + 1, piece):
            for window in spans.found(source[start : start + piece + length - 1]):
                for number, place in where[window]:
                    marks[number][place : place + length] = [True] * length
            yield marks
    yield marks


class _Spans:
    """Spans of one length that are looked for, each until it is found."""

    def __init__(self, wanted: Iterable[str], length: int) -> None:
        self.wanted, self.length = set(wanted), length
        joined = "".join(self.wanted)
        self.hashes = _hashes(joined, length)[::length] if joined else np.zeros(0, np.uint64)  # (W,)
        self.left = Counter(self.hashes.tolist())  # spans that were not found yet, by their hash
        self.table = np.zeros(1 << TABLE_BITS, np.bool_)  # which high bits they have
        self.table[self.hashes >> SHIFT] = True

    def found(self, source: str) -> list[str]:
        """Those that `source` has and none before had."""
        if not self.wanted or len(source) < self.length:
            return []
        hashes = _hashes(source, self.length)  # (N - length + 1,)
        places = np.flatnonzero(self.table[hashes >> SHIFT])
        places = places[np.isin(hashes[places], self.hashes)]
        found: list[str] = []
        for place, value in zip(places.tolist(), hashes[places].tolist(), strict=True):
            if self.left[value]:
                window = source[place : place + self.length]
                if window in self.wanted:  # not another span of the same hash
                    found.append(window)
                    self.wanted.remove(window)
                    self.left[value] -= 1
        return found


def _hashes(text: str, length: int) -> NDArray[np.uint64]:
    """Of each span of so many characters, (N - length + 1,): sum of c_i B^(length - 1 - i), modulo 2^64, mixed so that
    the high bits depend on all of it. The sums of a length come from those of its half.
    """
    sums = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)  # (N,), of one
    codes, base, known = sums, BASE, 1
    for bit in f"{length:b}"[1:]:
        sums = sums[:-known] * base + sums[known:]
        base, known = _times(base, base), 2 * known
        if bit == "1":
            sums = sums[:-1] * BASE + codes[known : known + len(sums) - 1]
            base, known = _times(base, BASE), known + 1
    mixed = sums * MIX
    mixed ^= mixed >> np.uint64(32)
    mixed *= MIX
    return mixed


def _times(one: np.uint64, other: np.uint64) -> np.uint64:
    """Modulo 2^64, without numpy's warning for single numbers."""
    return np.uint64(int(one) * int(other) % 2**64)


def distinct(tokens: Sequence[Hashable], n: int) -> float | None:
    """Distinct-n (Li et al. 2016): different runs of n tokens as a share of all of them; None if there are none."""
    runs = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(runs)) / len(runs) if runs else None
