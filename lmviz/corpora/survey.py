"""What one look at every character of a large text tells: its length, its alphabet, whether it is text at all."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmviz.corpora.text_encoding import empty, is_control, not_text
from lmviz.limits import MAX_CONTROL_SHARE

FREQUENT = 20
"""Characters that a survey names as the most frequent."""


@dataclass(frozen=True)
class Survey:
    """What one look at every character tells."""

    characters: int
    bytes: int
    """In UTF-8."""
    alphabet: str
    """All different characters, in their order."""
    frequent: tuple[tuple[str, int], ...]
    """The most frequent characters and how often they occur, most frequent first."""


def survey_of(counts: NDArray[np.int64]) -> Survey:
    """From how often each code point occurs."""
    frequent = np.argsort(-counts, kind="stable")[:FREQUENT]
    lengths = sum(int(counts[first:].sum()) for first in (0, 0x80, 0x800, 0x10000))  # a byte more from each of these on
    return Survey(
        characters=int(counts.sum()),
        bytes=lengths,
        alphabet="".join(map(chr, np.flatnonzero(counts))),
        frequent=tuple((chr(code), int(counts[code])) for code in frequent if counts[code]),
    )


def known_survey(about: str) -> Survey | None:
    """What corpus.json says, which was counted when the text was added; None if it says too little."""
    try:
        values = json.loads(about)
        seen = values["preview"]
        frequent = tuple((str(character), int(count)) for character, count in seen["frequent"])
        return Survey(int(values["characters"]), int(seen["bytes"]), str(values["alphabet"]), frequent)
    except (ValueError, KeyError, TypeError):
        return None


def refuse_what_is_no_text(alphabet: str, counts: NDArray[np.int64], name: str) -> None:
    """Raises CorpusError for what `decode` refuses in a small file."""
    if not alphabet.strip():
        raise empty(name)
    controls = int(sum(counts[ord(c)] for c in alphabet if is_control(c)))
    if counts[0] or controls > MAX_CONTROL_SHARE * counts.sum():
        raise not_text(name)
