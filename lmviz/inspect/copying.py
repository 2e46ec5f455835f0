"""How much of a written text stands word for word in the text that the model learned from, and how varied it is.
No torch.
"""

from collections.abc import Hashable, Sequence

LETTERS, CHARACTERS = 20, 8
"""Length from which a span counts as copied: in letters, and in Chinese characters, of which one says more."""
CHINESE = "\u4e00", "\u9fff"


def span_length(text: str) -> int:
    """CHARACTERS for a text most of whose characters are Chinese, else LETTERS."""
    low, high = CHINESE
    chinese = sum(low <= character <= high for character in text)
    return CHARACTERS if 2 * chinese > len(text) else LETTERS


def copied(text: str, source: str, least: int) -> list[bool]:
    """For every character of `text`: whether it is in a span of at least `least` characters that `source` has."""
    marks = [False] * len(text)
    for start in range(len(text) - least + 1):
        if text[start : start + least] in source:
            marks[start : start + least] = [True] * least
    return marks


def distinct(tokens: Sequence[Hashable], n: int) -> float | None:
    """Distinct-n (Li et al. 2016): different runs of n tokens as a share of all of them; None if there are none."""
    runs = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(runs)) / len(runs) if runs else None
