"""What a model said of a text, for people. And the token or span that was clicked."""

import math
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.packing import unpack
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _
from lmviz.ui.tokens import visible_token

MOST_NATS = 6.0
"""Surprise with the darkest shade."""


class Told:
    """The tokens that are shown, as arrays."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.texts: list[str] = answer["texts"]
        self.logprobs: NDArray[np.float32] = unpack(answer["logprobs"])  # of all tokens
        self.lengths: NDArray[np.int64] = unpack(answer["lengths"]).astype(np.int64)  # of all tokens
        self.ranks, self.entropies = unpack(answer["token_ranks"]), unpack(answer["entropies"])
        self.likeliest, self.chances = unpack(answer["likeliest"]), unpack(answer["chances"])
        self.names: list[str] = answer["names"]
        self.nats = -self.logprobs[: len(self.texts)].astype(np.float64)

    def instead(self, at: int) -> str:
        pairs = zip(self.likeliest[at].tolist(), self.chances[at].tolist(), strict=True)
        return "  ".join(f"{visible_token(self.names[place])} {chance:.1%}" for place, chance in pairs)

    def words(self, at: int) -> str:
        """One line about a token."""
        words = _("{token}: probability {chance}, rank {rank}, {nats} nats (expected {expected}); likeliest: {five}")
        return words.format(
            token=visible_token(self.texts[at]), chance=percent(math.exp(-self.nats[at])), rank=f"{self.ranks[at]:,}",
            nats=f"{self.nats[at]:.2f}", expected=f"{self.entropies[at]:.2f}", five=self.instead(at),
        )  # fmt: skip


def percent(chance: float) -> str:
    """A probability with two digits or more; small ones as 1 in so many."""
    return f"{chance:.1%}" if chance >= 0.001 else f"{chance:.1e}"


def unknown_words(unknown: list[str]) -> str:
    named = " ".join(unknown[:10]) + (" …" if len(unknown) > 10 else "")
    words = _("The model has never read {characters}: each counts as the unknown token, so that the totals say little.")
    return words.format(characters=markdown_safe(visible_token(named)))


def rank_names() -> list[str]:
    return ["1", "2–10", "11–100", _("beyond")]


def chosen_of(count: int) -> int | None:
    """The token that was clicked, if there still are so many."""
    place = st.session_state.get("surprise_chosen")
    return place if isinstance(place, int) and place < count else None


def choose(place: int) -> None:
    st.session_state["surprise_chosen"] = place
