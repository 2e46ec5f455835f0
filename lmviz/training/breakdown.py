"""Where a model is surprised: its validation loss by place in the window, by kind of character, and on one passage.

Measured from the same token losses as the validation loss, so looking costs next to nothing. Shapes: B batch, T time.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmviz.inspect.score import surprise
from lmviz.models.base import LanguageModel
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer
from lmviz.training.data import Tokens

CLASSES = ("letter", "digit", "space", "punctuation", "chinese", "control", "part", "unknown", "mark")
"""part: byte pairs that begin inside a character; unknown: <unk>; mark: <begin> and <end>. Files of earlier versions
have `other` for these three and for control characters.
"""
PLACES = 64
"""Places in the window that are told apart; longer windows are told in pieces of equal length."""
PASSAGE = 280
"""Characters of held-out text that are shown token by token."""


def character_class(character: str) -> str:
    """letter (and accents), digit (any number), space, punctuation (and symbols), chinese (any CJK ideograph) or
    control (also unassigned: Unicode's category C).
    """
    if character.isspace():
        return "space"
    category = unicodedata.category(character)
    if "CJK" in unicodedata.name(character, "") and category == "Lo":
        return "chinese"
    kinds = {"L": "letter", "M": "letter", "N": "digit", "Z": "space", "P": "punctuation", "S": "punctuation"}
    return kinds.get(category[0], "control")


def token_classes(tokenizer: Tokenizer) -> NDArray[np.uint8]:
    """Index into CLASSES for every token id (V,): the class of its first character that is no space, if it has one."""
    return np.array([CLASSES.index(_token_class(tokenizer, token)) for token in range(tokenizer.vocab_size)], np.uint8)


def _token_class(tokenizer: Tokenizer, token: int) -> str:
    if token == UNK:
        return "unknown"
    if token in (BEGIN, END):
        return "mark"
    text = tokenizer.token_bytes(token).decode("utf-8", "surrogateescape")
    first = text.strip()[:1] or text[0]
    return "part" if "\udc80" <= first <= "\udcff" else character_class(first)  # what a stray byte is decoded as


class Breakdown:
    """Splits the validation losses of one run, always in the same way."""

    def __init__(self, tokenizer: Tokenizer, validation: Tokens, targets: Sequence[NDArray[np.int64]]) -> None:
        """`targets` are those of the validation batches, (B, T) each, in order."""
        classes = token_classes(tokenizer)[np.concatenate([batch.ravel() for batch in targets])]
        self.members = {name: np.flatnonzero(classes == i) for i, name in enumerate(CLASSES)}
        length = targets[0].shape[1]
        self.length = length
        self.edges = np.unique(np.linspace(0, length, min(PLACES, length) + 1).astype(int))
        self.passage = _passage(tokenizer, validation)

    def facts(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """What breakdown.json tells: the tokens of the passage that are predicted (all but the first), the first place
        of each piece of the window, and how many validation tokens are of each class.
        """
        return {
            "tokens": [tokenizer.token_text(int(token)) for token in self.passage[1:]],
            "places": [int(edge) + 1 for edge in self.edges[:-1]],
            "class_tokens": {name: len(members) for name, members in self.members.items() if len(members)},
        }

    def line(self, model: LanguageModel, losses: NDArray[np.float64]) -> dict[str, Any]:
        """A line of validation.jsonl from the token losses (all of them, flat), and the surprise on the passage."""
        windows = losses.reshape(-1, self.length)
        by_place = [windows[:, a:b].mean() for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]
        by_class = {name: losses[members].mean() for name, members in self.members.items() if len(members)}
        logprobs, _ranks = surprise(model, torch.from_numpy(self.passage.astype(np.int64)))
        return {
            "by_place": [round(float(value), 4) for value in by_place],
            "by_class": {name: round(float(value), 4) for name, value in by_class.items()},
            "passage": [round(-value, 4) for value in logprobs],
        }


def _passage(tokenizer: Tokenizer, validation: Tokens) -> Tokens:
    """The first tokens of the validation part, about PASSAGE characters of text, 2 at least."""
    head = np.array(validation[: PASSAGE + 1])
    lengths = [len(tokenizer.token_bytes(int(token)).decode("utf-8", "ignore")) for token in head]
    return head[: max(2, int(np.searchsorted(np.cumsum(lengths), PASSAGE)) + 1)]
