"""What one look at every character of a large text tells: its length, its alphabet, whether it is text at all."""

import json
from dataclasses import dataclass

from lmviz.corpora.facts import Facts
from lmviz.corpora.text_encoding import empty, is_control, not_text
from lmviz.limits import MAX_CONTROL_SHARE


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


def survey_of(facts: Facts) -> Survey:
    """From what was counted."""
    return Survey(facts.characters, facts.bytes, facts.alphabet, facts.frequent())


def known_survey(about: str) -> Survey | None:
    """What corpus.json says, which was counted when the text was added; None if it says too little."""
    try:
        values = json.loads(about)
        seen = values["preview"]
        frequent = tuple((str(character), int(count)) for character, count in seen["frequent"])
        return Survey(int(values["characters"]), int(seen["bytes"]), str(values["alphabet"]), frequent)
    except (ValueError, KeyError, TypeError):
        return None


def refuse_what_is_no_text(facts: Facts, name: str) -> None:
    """Raises CorpusError for what `decode` refuses in a small file."""
    alphabet = facts.alphabet
    if not alphabet.strip():
        raise empty(name)
    controls = int(sum(facts.counts[ord(c)] for c in alphabet if is_control(c)))
    if facts.counts[0] or controls > MAX_CONTROL_SHARE * facts.characters:
        raise not_text(name)
