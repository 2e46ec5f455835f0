"""What a corpus is like, counted piece by piece, so that a text larger than the memory can be counted too."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.tokenizers import code_points

_PIECE = 1_000_000
_HEAD = 20_000
_CODES = 0x110000


class Facts:
    """Sizes, characters and first lines. Call `begin_document`, then `add` its text in as many pieces as you like.

    Attributes:
        counts: (0x110000,) how often each code point occurs.
        documents, characters: how many there are.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(_CODES, dtype=np.int64)
        self.documents = 0
        self.characters = 0
        self._head = ""
        self._head_open = True

    @classmethod
    def of(cls, documents: Iterable[str]) -> "Facts":
        """Of documents that are in memory."""
        facts = cls()
        for document in documents:
            facts.begin_document()
            facts.add(document)
        return facts

    def begin_document(self) -> None:
        self.documents += 1
        self._head_open = not self._head

    def add(self, text: str) -> None:
        """Count a piece of the current document."""
        self.characters += len(text)
        for start in range(0, len(text), _PIECE):
            found = np.bincount(code_points(text[start : start + _PIECE]))
            self.counts[: len(found)] += found
        if self._head_open and len(self._head) < _HEAD:
            self._head += text[: _HEAD - len(self._head)]

    @property
    def bytes(self) -> int:
        """Size in UTF-8: code points from these on take one byte more each."""
        return sum(int(self.counts[first:].sum()) for first in (0, 0x80, 0x800, 0x10000))

    @property
    def alphabet(self) -> str:
        """The distinct characters, sorted."""
        return "".join(map(chr, np.flatnonzero(self.counts)))

    def frequent(self, number: int = 20) -> tuple[tuple[str, int], ...]:
        """The most frequent characters and how often they occur, most frequent first."""
        order = np.argsort(-self.counts, kind="stable")[:number]
        return tuple((chr(code), int(self.counts[code])) for code in order if self.counts[code])

    def lines(self, number: int = 12, length: int = 200) -> tuple[str, ...]:
        """The first lines of the first document that is not empty, cut where they are long."""
        return first_lines(self._head, number, length)

    def preview(self) -> dict[str, Any]:
        """What corpus.json keeps, so that a page can show a large text without reading it."""
        return {
            "characters": self.characters, "documents": self.documents, "bytes": self.bytes,
            "distinct_characters": len(self.alphabet), "frequent": self.frequent(), "lines": self.lines(),
        }  # fmt: skip


def first_lines(text: str, number: int, length: int) -> tuple[str, ...]:
    """The first lines of a text, cut where they are long."""
    lines = text[: number * length * 4].split("\n")
    return tuple(line[:length] for line in lines[:number])
