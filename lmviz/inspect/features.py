"""What can be read off a text at each of its characters: inside a string, how far in the line, and so on. No torch.

A feature at a character is what holds once that character has been read: after an opening quote one is inside, after
the closing one no longer. So it does not depend on what follows, and a model can know it; but for the second of three
quotes, of which Python's rules say more than can be known there.
Shapes: C characters of a document, N tokens.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmviz.errors import N_
from lmviz.tokenizers import BEGIN, END, StreamDecoder, Tokenizer

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]

BRACKETS = dict(zip("([{（【《〈", ")]}）】》〉", strict=True))
CURLY_QUOTES = {"“": "”", "「": "」", "『": "』"}
CHINESE_PUNCTUATION = "，。、；：？！“”‘’（）《》〈〉【】「」『』—…·"
INDENT, DEEP_INDENT, LATE = 4, 8, 40

_STRING_OR_COMMENT = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>
        '{3}(?:\\.|[^\\])*?(?:'{3}|\Z) | "{3}(?:\\.|[^\\])*?(?:"{3}|\Z)
        |(?:(?<!\w)|(?<=\b[rbufRBUF])|(?<=\b[rbufRBUF]{2}))'(?:\\.|[^'\\\n])*(?:'|(?=\n)|\Z)
        |"(?:\\.|[^"\\\n])*(?:"|(?=\n)|\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)


class Reading:
    """What is known of a document at each character."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def characters(self) -> NDArray[np.str_]:
        """(C,) one each."""
        return np.array(list(self.text), "<U1")

    @cached_property
    def column(self) -> Numbers:
        """Characters of the line so far (C,); none once its end has been read."""
        ends = self.characters == "\n"
        places = np.arange(1, len(ends) + 1)
        return np.asarray(places - np.maximum.accumulate(np.where(ends, places, 0)))

    @cached_property
    def indentation(self) -> Numbers:
        """Blanks at the beginning of the line (C,), a tab counts four; so far, where nothing else has come yet."""
        found = np.zeros(len(self.text), np.int64)
        for match in re.finditer(r"(?m)^([ \t]*)([^\n]*)", self.text):
            blanks = np.cumsum([INDENT if one == "\t" else 1 for one in match[1]])
            found[match.start(1) : match.end(1)] = blanks
            found[match.start(2) : match.end(2)] = blanks[-1] if len(blanks) else 0
        return found

    @cached_property
    def depth(self) -> Numbers:
        """Brackets that were opened and not closed (C,); an empty line closes all of them."""
        found, depth, before = [], 0, ""
        for character in self.text:
            if character in BRACKETS:
                depth += 1
            elif character in _CLOSING:
                depth = max(0, depth - 1)
            elif character == before == "\n":
                depth = 0
            before = character
            found.append(depth)
        return np.array(found, np.int64)

    @cached_property
    def quotes(self) -> Flags:
        """Between double quotes, straight or curly, or 「」, on one line (C,)."""
        found, closing = [], ""
        for character in self.text:
            if closing:
                closing = "" if character in (closing, "\n") else closing
            else:
                closing = '"' if character == '"' else CURLY_QUOTES.get(character, "")
            found.append(bool(closing))
        return np.array(found, np.bool_)

    @cached_property
    def openings(self) -> Numbers:
        """At a character that closes a bracket or quotes: the index of the one that opened it; -1 elsewhere (C,).

        By the rules of `depth` and `quotes`. A closing bracket of another kind closes the bracket but has no opening.
        """
        found, stack = np.full(len(self.text), -1), list[int]()
        quotes, opened = self.quotes, -1
        for at, character in enumerate(self.text):
            if character in BRACKETS:
                stack.append(at)
            elif character in _CLOSING and stack:
                opening = stack.pop()
                found[at] = opening if BRACKETS[self.text[opening]] == character else -1
            elif character == "\n" and self.text[at - 1 : at] == "\n":
                stack.clear()
            inside = at > 0 and quotes[at - 1]
            if quotes[at] and not inside:
                opened = at
            elif inside and not quotes[at] and character != "\n":
                found[at] = opened
        return found

    @cached_property
    def python(self) -> tuple[Flags, Flags]:
        """Inside a string, and inside a comment (C,), by the rules of Python. An apostrophe in a word opens none."""
        string, comment = np.zeros((2, len(self.text)), np.bool_)
        for match in _STRING_OR_COMMENT.finditer(self.text):
            if match.lastgroup == "comment":
                comment[match.start() : match.end()] = True
            else:
                closed = match.end() > match.start() + 1 and match[0][-1] == match[0][0]
                string[match.start() : match.end() - closed] = True
        return string, comment

    def any_of(self, characters: str) -> Flags:
        return np.asarray(np.isin(self.characters, list(characters)))

    def each(self, test: Callable[[str], bool]) -> Flags:
        return np.fromiter(map(test, self.text), np.bool_, len(self.text))

    @cached_property
    def word(self) -> Flags:
        """Letters, digits and _ (C,)."""
        return self.each(lambda one: one.isalnum() or one == "_")


_CLOSING = frozenset(BRACKETS.values())


@dataclass(frozen=True)
class Feature:
    title: str
    definition: str
    label: Callable[[Reading], Flags]
    needs_memory: bool = True
    """Whether more than the last two characters is needed to know it."""


def _word_start(reading: Reading) -> Flags:
    before = np.concatenate([[False], reading.word[:-1]])
    return np.asarray(reading.word & ~before[: len(reading.word)])


FEATURES: dict[str, Feature] = {
    "string": Feature(N_("in a string"), N_("Inside a Python string, of one line or of several."),
                      lambda text: text.python[0]),
    "comment": Feature(N_("in a comment"), N_("Between # and the end of the line, in Python code."),
                       lambda text: text.python[1]),
    "quotes": Feature(N_("in quotes"), N_("Between double quotes, straight or curly, or 「」, on one line."),
                      lambda text: text.quotes),
    "brackets": Feature(N_("in brackets"), N_("A bracket was opened and not yet closed; an empty line closes all."),
                        lambda text: text.depth >= 1),
    "deep_brackets": Feature(N_("in brackets in brackets"), N_("Two or more brackets are open."),
                             lambda text: text.depth >= 2),
    "indented": Feature(N_("indented line"), N_("The line begins with four blanks or more."),
                        lambda text: text.indentation >= INDENT),
    "deeply_indented": Feature(N_("deeply indented line"), N_("The line begins with eight blanks or more."),
                               lambda text: text.indentation >= DEEP_INDENT),
    "late": Feature(N_("late in the line"), N_("The line has more than 40 characters so far."),
                    lambda text: text.column > LATE),
    "word_start": Feature(N_("start of a word"), N_("A letter, digit or _ after something else."), _word_start, False),
    "upper_case": Feature(N_("upper case"), N_("An upper-case letter."), lambda text: text.each(str.isupper), False),
    "digit": Feature(N_("digit"), N_("A digit."), lambda text: text.each(str.isdigit), False),
    "chinese_punctuation": Feature(N_("Chinese punctuation"), N_("Such as ， 。 、 “ ” 《 》."),
                                   lambda text: text.any_of(CHINESE_PUNCTUATION), False),
}  # fmt: skip

GRADES: dict[str, Callable[[Reading], Numbers]] = {
    "brackets": lambda text: text.depth,
    "indented": lambda text: text.indentation,
    "late": lambda text: text.column,
}
"""Features of which there is more or less: depth, indentation, position in the line."""


def labels(text: str) -> dict[str, Flags]:
    """Every feature at every character of a document (C,)."""
    reading = Reading(text)
    return {name: feature.label(reading) for name, feature in FEATURES.items()}


def token_labels(tokenizer: Tokenizer, tokens: NDArray[np.integer]) -> tuple[dict[str, Flags], dict[str, Numbers]]:
    """Features and grades at every token (N,): what holds at its last character, or for what a character itself tells,
    at any of its characters. <begin> begins a new document; nothing holds at it and at <end>.
    """
    flags = {name: np.zeros(len(tokens), np.bool_) for name in FEATURES}
    grades = {name: np.zeros(len(tokens), np.int64) for name in GRADES}
    for start, text, ends in _documents(tokenizer, tokens.tolist()):
        reading, known = Reading(text), ends > 0
        here = np.arange(start, start + len(ends))[known]
        last = ends[known] - 1
        for name, feature in FEATURES.items():
            found = feature.label(reading)
            flags[name][here] = found[last] if feature.needs_memory else _in_token(found, ends[known])
        for name, grade in GRADES.items():
            grades[name][here] = grade(reading)[last]
    return flags, grades


def token_openings(tokenizer: Tokenizer, tokens: NDArray[np.integer]) -> Numbers:
    """At a token with a character that closes a bracket or quotes: the index of the token, before it, that opened it;
    -1 elsewhere (N,). The last one counts where a token closes several.
    """
    found = np.full(len(tokens), -1)
    for start, text, ends in _documents(tokenizer, tokens.tolist()):
        openings = Reading(text).openings
        closing = np.flatnonzero(openings >= 0)
        here, there = (np.searchsorted(ends, at, "right") for at in (closing, openings[closing]))
        apart = there < here
        found[start + here[apart]] = start + there[apart]
    return found


def _in_token(found: Flags, ends: Numbers) -> Flags:
    """Whether it holds at any character of each token; ends: how much of the text there is after each."""
    before = np.concatenate([[0], ends[:-1]])
    so_far = np.concatenate([[0], np.cumsum(found)])
    return np.asarray(so_far[ends] > so_far[before])


def _documents(tokenizer: Tokenizer, tokens: list[int]) -> Iterator[tuple[int, str, Numbers]]:
    """Runs of tokens without a mark: index of the first, their text, and how much of it there is after each of them."""
    marks = [-1, *(at for at, token in enumerate(tokens) if token in (BEGIN, END)), len(tokens)]
    for before, after in pairwise(marks):
        if after - before < 2:
            continue
        decoder = StreamDecoder(tokenizer)
        pieces = [decoder.feed(token) for token in tokens[before + 1 : after]]
        yield before + 1, "".join(pieces), np.cumsum([len(piece) for piece in pieces])
