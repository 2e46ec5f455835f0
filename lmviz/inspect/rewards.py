"""Rules that say how good a text is, from 0 to 1: simple on purpose, so that one can see how a model games them.
No torch.
"""

from collections.abc import Callable
from itertools import pairwise

from lmviz.errors import N_
from lmviz.inspect.code import parse
from lmviz.inspect.tones import level_rhymes

Reward = Callable[[str, str, str], float]
"""(prompt, what was written, letters that a person typed) -> 0..1."""


def letters(prompt: str, text: str, wanted: str) -> float:
    """Share of the characters that are one of these."""
    return sum(character in wanted for character in text) / len(text) if text else 0.0


def varied(prompt: str, text: str, wanted: str) -> float:
    """Different pairs of neighbouring characters as a share of all pairs (distinct-2)."""
    pairs = list(pairwise(text))
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def short_lines(prompt: str, text: str, wanted: str) -> float:
    """1 for lines of one character, towards 0 for long ones: lines / characters without line breaks."""
    shown = len(text.replace("\n", ""))
    return min(1.0, len([line for line in text.split("\n") if line]) / shown) if shown else 0.0


def rhymes(prompt: str, text: str, wanted: str) -> float:
    """Share of the neighbouring lines that rhyme: the last two letters are the same, or the last Chinese characters
    have a level reading with one rhyme; 0 if there are no two lines.
    """
    ends = [line.rstrip(" ,.;:!?，。！？；：")[-2:].lower() for line in (prompt + text).splitlines()]
    ends = [end for end in ends if end]
    if len(ends) < 2:
        return 0.0
    return sum(_rhyme(one, other) for one, other in pairwise(ends)) / (len(ends) - 1)


def _rhyme(one: str, other: str) -> bool:
    if "\u4e00" <= one[-1] <= "\u9fff":
        return bool(level_rhymes(one[-1]) & level_rhymes(other[-1]))
    return len(one) == 2 and one == other and one.isalpha()


def parses(prompt: str, text: str, wanted: str) -> float:
    """1 if prompt and text, up to the last line break of the text, are Python that parses; never run."""
    lines = text.rpartition("\n")[0]
    try:
        return float(bool(lines.strip()) and bool(parse(prompt + lines).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0.0


RULES: dict[str, tuple[str, Reward]] = {
    "letters": (N_("many of the letters that you type"), letters),
    "varied": (N_("different pairs of characters"), varied),
    "short_lines": (N_("short lines"), short_lines),
    "rhymes": (N_("neighbouring lines that rhyme"), rhymes),
    "parses": (N_("parses as Python"), parses),
}
"""Rule -> what it rewards, in words, and how."""
