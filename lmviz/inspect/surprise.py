"""How surprised a model is by a text, token by token, and what it held for likelier: GLTR (Gehrmann, Strobelt and Rush
2019) for the models trained here, with the exact rank in the whole vocabulary.

Shapes: N tokens of the text, n of a piece of it, V vocabulary, K likeliest tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, LmvizError
from lmviz.inspect.score import logits_in_pieces
from lmviz.models.base import LanguageModel

LIKELIEST = 5
AT_ONCE = 2**19
"""Logits (numbers) between two turns, in which others are served."""


@dataclass(frozen=True)
class Piece:
    """n tokens in a row, each given all before it (or what its model's context holds of it)."""

    logprobs: NDArray[np.float64]
    """(n,), nats."""
    ranks: NDArray[np.int64]
    """(n,): 1 + the number of tokens held for more probable."""
    entropies: NDArray[np.float64]
    """(n,), nats: the surprise that the model itself expected."""
    likeliest: NDArray[np.int64]
    """(n, K) tokens, the likeliest first."""
    chances: NDArray[np.float64]
    """(n, K), their probabilities."""


def surprises(model: LanguageModel, tokens: Tensor) -> Iterator[Piece]:
    """(N + 1,) with <begin> first -> the last N of them in pieces. What a model sees before each is as in `score`.

    Raises:
        LmvizError: the logits are not finite.
    """
    done = 0
    with evaluating(model):
        pieces = logits_in_pieces(model, tokens[:-1], AT_ONCE, AT_ONCE)
    while True:
        with evaluating(model):  # never held across a yield
            logits = next(pieces, None)
            if logits is None:
                return
            piece = _describe(logits, tokens[done + 1 : done + 1 + len(logits)])
        done += len(logits)
        yield piece


def _describe(logits: Tensor, targets: Tensor) -> Piece:
    """(n, V) and (n,) -> what is said of the targets."""
    logprobs = logits.double().log_softmax(1)  # (n, V)
    if logprobs.isnan().any():
        raise LmvizError(N_("The model gives no numbers any more: its training diverged. Take an earlier step."))
    best = logprobs.topk(min(LIKELIEST, logits.shape[1]))
    own = targets[:, None]
    return Piece(
        logprobs.gather(1, own)[:, 0].numpy(),
        (1 + (logits > logits.gather(1, own)).sum(1)).numpy(),
        torch.special.entr(logprobs.exp()).sum(1).numpy(),
        best.indices.numpy(),
        best.values.exp().numpy(),
    )
