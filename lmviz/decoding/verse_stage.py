"""Writing in a pattern of tones and rhymes: at every place only the characters that keep it, as masks over the
vocabulary that are made once. A constraint on the choice, not on the model: its logits are as they are.
Shapes: V vocabulary, R rhymes, N tokens before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from lmviz.decoding.processors import Stage
from lmviz.decoding.verse import LINES, Pattern
from lmviz.errors import N_, ConfigError
from lmviz.inspect.tones import RHYMES, level_rhymes, tones
from lmviz.tokenizers import Tokenizer

NAMES = tuple(RHYMES)


@dataclass(frozen=True)
class Sounds:
    """A vocabulary by ear."""

    classes: dict[str, Tensor]
    """平, 仄 and 中 -> (V,) bool: characters that can stand there."""
    rhymes: Tensor
    """(R, V) bool: has a level reading with this rhyme."""
    characters: int
    """Chinese characters that have a reading."""


@lru_cache(maxsize=4)
def sounds_of(tokenizer: Tokenizer) -> Sounds:
    """Of a tokenizer of characters; of others none has a sound."""
    size = tokenizer.vocab_size
    names = [tokenizer.token_text(token) for token in range(size)] if tokenizer.kind == "char" else []
    found = [tones(name) if len(name) == 1 else frozenset() for name in names] or [frozenset()] * size
    level, oblique = (torch.tensor([tone in known for known in found]) for tone in ("level", "oblique"))
    rhymes = torch.zeros(len(NAMES), size, dtype=torch.bool)
    for token in level.nonzero()[:, 0].tolist():
        for rhyme in level_rhymes(names[token]):
            rhymes[NAMES.index(rhyme), token] = True
    either = level | oblique
    return Sounds({"平": level, "仄": oblique, "中": either}, rhymes, int(either.sum()))


@dataclass(frozen=True)
class Layout:
    """How the texts that a model learned from write four lines."""

    opening: str
    """Before a poem, after the poem before it."""
    ends: tuple[str, str, str, str]
    """After each line."""

    def prompt(self, line: str) -> str:
        """What the model reads before it goes on with a first line, or begins a poem of its own."""
        return self.opening + (line + self.ends[0] if line else "")

    def lines(self, text: str) -> list[str] | None:
        """The four lines of a poem; None if it is not laid out so."""
        found = []
        for end in self.ends:
            line, mark, text = text.partition(end)
            if not mark or "\n" in line:
                return None
            found.append(line)
        return found


def layout_of(tokenizer: Tokenizer) -> Layout | None:
    """Marks where the vocabulary has them, else a line of verse a line; None: it does not know lines."""
    if tokenizer.kind != "char" or tokenizer.unknown_characters("\n"):
        return None
    if tokenizer.unknown_characters("，。"):
        return Layout("\n\n", ("\n", "\n", "\n", "\n"))
    return Layout("\n\n", ("，", "。\n", "，", "。"))


class Places:
    """What may stand at each place of a poem that a model writes.

    Every place is a class of tones (平, 仄, 中), a rhyme, or one token that ends a line. A rhyming line's end is a
    level character that rhymes with those before it and is none of them. The first such end can only have a rhyme
    with as many characters as are needed, so no later place is without any.
    """

    def __init__(self, tokenizer: Tokenizer, pattern: Pattern, layout: Layout, first: str = "") -> None:
        """first: a given first line, of which nothing is written.

        Raises:
            ConfigError: the vocabulary has no character for a place, or none for a rhyme.
        """
        self.sounds = sounds_of(tokenizer)
        self.places: list[str | int] = []
        rhymes: list[int] = []
        for line in range(1 if first else 0, LINES):
            self.places += pattern.lines[line]
            if line in pattern.rhymes:
                rhymes.append(len(self.places) - 1)
            self.places += tokenizer.encode(layout.ends[line])
        self.rhyming = tuple(rhymes)
        for mark in {place for place in self.places if isinstance(place, str)}:
            if not self.sounds.classes[mark].any():
                raise ConfigError(N_("The model knows no character of the tone {tone}. Choose another one."), tone=mark)
        self.before: tuple[int, ...] = ()
        if first and 0 in pattern.rhymes and level_rhymes(first[-1]):
            self.before = tuple(tokenizer.encode(first[-1]))
        needed = len(rhymes) + len(self.before)
        rich = self.sounds.rhymes.sum(1) >= needed  # (R,)
        self.open_rhymes = self._common(self.before, rich)
        if not self.open_rhymes.any():
            if self.before:
                raise ConfigError(
                    N_("The model knows too few characters that rhyme with {character}. Take another first line."),
                    character=first[-1],
                )
            raise ConfigError(N_("The model knows too few characters that rhyme. Choose another one."))
        self.fixed = {
            place: self._only(what) if isinstance(what, int) else self.sounds.classes[what]
            for place, what in enumerate(self.places)
            if place not in self.rhyming
        }

    def __len__(self) -> int:
        return len(self.places)

    def allowed(self, written: Sequence[int]) -> Tensor:
        """(V,) bool: what may come after so many tokens of the poem, all of them as allowed; all after its end."""
        place = len(written)
        if place >= len(self):
            return torch.ones_like(self.sounds.classes["中"])
        if place in self.fixed:
            return self.fixed[place]
        ends = [*self.before, *(written[earlier] for earlier in self.rhyming if earlier < place)]
        mask = self.sounds.rhymes[self._common(ends, self.open_rhymes)].any(0)
        mask[ends] = False
        return mask

    def _common(self, ends: Sequence[int], rhymes: Tensor) -> Tensor:
        """(R,) bool: those of `rhymes` that all these tokens have."""
        for end in ends:
            rhymes = rhymes & self.sounds.rhymes[:, end]
        return rhymes

    def _only(self, token: int) -> Tensor:
        mask = torch.zeros_like(self.sounds.classes["中"])
        mask[token] = True
        return mask


class PatternProcessor:
    """Leaves only what keeps the pattern, and remembers how much of the probability that was.

    For one text: its tokens are asked for in order, each once.
    """

    def __init__(self, places: Places, start: int, temperature: float = 1.0) -> None:
        """start: tokens before the poem, <begin> included. temperature: of the draw, for `log_shares` alone."""
        self.places, self.start, self.temperature = places, start, temperature
        self.log_shares: list[float] = []
        """ln of the probability, at that temperature, that the model gave to all that is allowed, for every place.

        Its sum is the weight of this text: over texts written so, the mean of exp(sum) is the probability that a text
        written freely keeps the pattern (importance sampling), whatever the model.
        """

    def __call__(self, logits: Tensor, history: Tensor) -> Tensor:
        kept = logits.masked_fill(~self.places.allowed(history[self.start :].tolist()), -torch.inf)
        all_, left = ((scores / self.temperature).logsumexp(0) for scores in (logits, kept))
        self.log_shares.append(float(left - all_))
        return kept

    def stage(self) -> Stage:
        return Stage("pattern", self)
