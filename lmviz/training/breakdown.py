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

CLASSES = ("letter", "digit", "space", "punctuation", "chinese", "other")
PLACES = 64
"""Places in the window that are told apart; longer windows are told in pieces of equal length."""
PASSAGE = 280
"""Characters of held-out text that are shown token by token."""


def character_class(character: str) -> str:
    """letter, digit, space, punctuation (and symbols), chinese (any CJK ideograph) or other."""
    if "CJK" in unicodedata.name(character, "") and unicodedata.category(character) == "Lo":
        return "chinese"
    if character.isspace():
        return "space"
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "letter"
    return "punctuation" if unicodedata.category(character)[0] in "PS" else "other"


def token_classes(tokenizer: Tokenizer) -> NDArray[np.uint8]:
    """Index into CLASSES for every token id (V,): the class of its first character that is no space, if it has one."""
    return np.array([CLASSES.index(_token_class(tokenizer, token)) for token in range(tokenizer.vocab_size)], np.uint8)


def _token_class(tokenizer: Tokenizer, token: int) -> str:
    if token in (UNK, BEGIN, END):
        return "other"
    text = tokenizer.token_bytes(token).decode("utf-8", "ignore")
    if not text:  # a part of a character
        return "other"
    return character_class(text.strip()[:1] or text[0])


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
