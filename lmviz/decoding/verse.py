"""The quatrains of regulated verse (绝句): their patterns of tones, and whether a poem keeps one. No torch.

The four kinds of line and how they follow one another are those of Wang Li (王力, 诗词格律): within a line tones change
in pairs, the two lines of a couplet are opposite, two couplets stick together, lines 2 and 4 rhyme in a level tone and
line 1 may; lines that do not rhyme end oblique. 平平仄仄平 has to keep its first level tone (孤平), so it has no free
place in five characters. Exceptions that poets allowed themselves (拗救) are not counted as kept.
A tone is level (平), oblique (仄) or, in a pattern, either (中).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lmviz.errors import N_
from lmviz.inspect.tones import Tone, level_rhymes, read_aloud, tones

LINES = 4
SIZES = (5, 7)
"""Characters in a line."""

_FIVE = {"a": "中仄平平仄", "A": "中仄仄平平", "b": "中平平仄仄", "B": "平平仄仄平"}
_SEVEN = {
    "a": "中平中仄平平仄", "A": "中平中仄仄平平", "b": "中仄中平平仄仄", "B": "中仄平平仄仄平",
}  # fmt: skip
"""The kinds of line. A and B, which end level, are those that can rhyme."""


@dataclass(frozen=True)
class Pattern:
    """One form of quatrain."""

    key: str
    """As an address has it."""
    chinese: str
    name: str
    """English, with a translation."""
    lines: tuple[str, ...]
    """Four strings of 平, 仄 and 中."""

    @property
    def size(self) -> int:
        """Characters in a line."""
        return len(self.lines[0])

    @property
    def rhymes(self) -> tuple[int, ...]:
        """Lines that rhyme, from 0: those that end level."""
        return tuple(place for place, line in enumerate(self.lines) if line[-1] == "平")


def _pattern(key: str, chinese: str, name: str, kinds: str) -> Pattern:
    lines = _FIVE if key.startswith("5") else _SEVEN
    return Pattern(key, chinese, name, tuple(lines[kind] for kind in kinds))


PATTERNS: dict[str, Pattern] = {
    pattern.key: pattern
    for pattern in (
        _pattern(
            "5-oblique", "五绝仄起首句不入韵",
            N_("five characters, oblique start, rhymes in 2 and 4"), "aBbA",
        ),
        _pattern(
            "5-oblique-rhymed", "五绝仄起首句入韵",
            N_("five characters, oblique start, rhymes in 1, 2 and 4"), "ABbA",
        ),
        _pattern(
            "5-level", "五绝平起首句不入韵",
            N_("five characters, level start, rhymes in 2 and 4"), "bAaB",
        ),
        _pattern(
            "5-level-rhymed", "五绝平起首句入韵",
            N_("five characters, level start, rhymes in 1, 2 and 4"), "BAaB",
        ),
        _pattern(
            "7-level-rhymed", "七绝平起首句入韵",
            N_("seven characters, level start, rhymes in 1, 2 and 4"), "ABbA",
        ),
        _pattern(
            "7-oblique-rhymed", "七绝仄起首句入韵",
            N_("seven characters, oblique start, rhymes in 1, 2 and 4"), "BAaB",
        ),
        _pattern(
            "7-level", "七绝平起首句不入韵",
            N_("seven characters, level start, rhymes in 2 and 4"), "aBbA",
        ),
        _pattern(
            "7-oblique", "七绝仄起首句不入韵",
            N_("seven characters, oblique start, rhymes in 2 and 4"), "bAaB",
        ),
    )
}  # fmt: skip
"""The four of five and the four of seven characters, the usual ones first; level start: the second character."""

WANTED: dict[str, Tone | None] = {"平": "level", "仄": "oblique", "中": None}


@dataclass(frozen=True)
class Sign:
    """One character of a poem."""

    character: str
    pinyin: str
    """Of several readings the usual one that is as wanted here."""
    tone: str
    """level, oblique, either (it has readings of both), or none: it has no tone that is known."""
    wanted: str | None
    """平, 仄 or 中; None where the pattern has no place."""
    kept: bool


@dataclass(frozen=True)
class Rhyme:
    """The end of a line that has to rhyme."""

    line: int
    """From 0."""
    kept: bool
    """It is level, it rhymes with those before, and none of these is the same character."""


@dataclass(frozen=True)
class Check:
    """A poem held against a pattern."""

    signs: tuple[tuple[Sign, ...], ...]
    rhymes: tuple[Rhyme, ...]
    rhyme: str | None
    """The poem's, of lmviz.inspect.tones.RHYMES: set by the first rhyming line; None if that does not end level."""
    form: bool
    """Four lines with as many characters as the pattern has."""

    def tones_broken(self, given: int = 0) -> int:
        """Places with another tone than wanted; the first `given` lines do not count."""
        return sum(sign.wanted is not None and not sign.kept for line in self.signs[given:] for sign in line)

    def rhymes_broken(self, given: int = 0) -> int:
        return sum(not rhyme.kept for rhyme in self.rhymes if rhyme.line >= given)

    def kept(self, given: int = 0) -> bool:
        """All of it, but for the first `given` lines, which the model did not write."""
        return self.form and not self.tones_broken(given) and not self.rhymes_broken(given)


def fits(character: str, wanted: str) -> bool:
    """Whether a character has a reading that a place of a pattern (平, 仄, 中) allows."""
    found = tones(character)
    return bool(found) if wanted == "中" else WANTED[wanted] in found


def check(lines: Sequence[str], pattern: Pattern) -> Check:
    """A poem's lines (without marks) against a pattern. A character of several readings is read as it fits."""
    rhymes: list[Rhyme] = []
    common: frozenset[str] = frozenset()
    seen: set[str] = set()
    for line in pattern.rhymes:
        end = lines[line][-1:] if line < len(lines) else ""
        sounds = level_rhymes(end) if end else frozenset()
        rhymes.append(Rhyme(line, bool(sounds & common if common else sounds) and end not in seen))
        common = (sounds & common) or common or sounds
        seen.add(end)
    signs = tuple(
        _signs(
            line, pattern.lines[place] if place < LINES else "", common if place in pattern.rhymes and common else None
        )
        for place, line in enumerate(lines)
    )
    form = len(lines) == LINES and all(len(line) == pattern.size for line in lines)
    return Check(signs, tuple(rhymes), min(common, default=None), form)


def _signs(line: str, want: str, rhyme: frozenset[str] | None) -> tuple[Sign, ...]:
    marks = [want[place] if place < len(want) else None for place in range(len(line))]
    rhymes = [rhyme if place == len(want) - 1 else None for place in range(len(line))]
    said = read_aloud(line, [WANTED[mark] if mark else None for mark in marks], rhymes)
    return tuple(
        Sign(character, pinyin, tone_of(character), mark, mark is not None and fits(character, mark))
        for character, pinyin, mark in zip(line, said, marks, strict=True)
    )


def tone_of(character: str) -> str:
    """level, oblique, either or none."""
    found = tones(character)
    return next(iter(found)) if len(found) == 1 else "either" if found else "none"


def best_for_line(line: str) -> Pattern | None:
    """The pattern whose first line is nearest by its tones; of equally near ones that with the right end, then the
    usual one. None if no quatrain has such lines.
    """
    same = [pattern for pattern in PATTERNS.values() if pattern.size == len(line)]

    def distance(pattern: Pattern) -> tuple[int, bool]:
        wrong = [not fits(character, mark) for character, mark in zip(line, pattern.lines[0], strict=True)]
        return sum(wrong), wrong[-1]

    return min(same, key=distance, default=None)


def best_for_poem(lines: Sequence[str]) -> Pattern | None:
    """The pattern with the fewest places and rhymes broken by a poem; None if no line has five or seven characters."""
    sizes = Counter(len(line) for line in lines if len(line) in SIZES)
    if not sizes:
        return None
    size = max(sizes, key=sizes.__getitem__)

    def distance(pattern: Pattern) -> int:
        found = check(lines, pattern)
        return found.tones_broken() + found.rhymes_broken()

    return min((pattern for pattern in PATTERNS.values() if pattern.size == size), key=distance)
