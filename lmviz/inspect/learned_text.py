"""Tokens that a model learned from, as text again. No torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.tokenizers import BEGIN, END, Tokenizer
from lmviz.turns import Turns

PIECE = 2**18
"""Tokens in a turn."""
BORDER = b"\xff"
"""In no UTF-8."""


def learned_text(tokenizer: Tokenizer, tokens: NDArray[np.unsignedinteger[Any]], piece: int = PIECE) -> Turns[str]:
    """Turns that return the text of many tokens (N,); U+FFFD stands between two documents, for <unk>, and for broken
    UTF-8.
    """
    names = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    names[BEGIN] = names[END] = BORDER
    letters = np.frombuffer(b"".join(names), np.uint8)
    lengths = np.array([len(name) for name in names])  # (V,)
    starts = np.cumsum(lengths) - lengths  # (V,)
    parts: list[bytes] = []
    for first in range(0, len(tokens), piece):
        some = np.asarray(tokens[first : first + piece]).astype(np.int64)
        sizes = lengths[some]
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1]) + np.repeat(starts[some] - (ends - sizes), sizes)
        parts.append(letters[places].tobytes())
        yield None
    return b"".join(parts).decode("utf-8", "replace")
