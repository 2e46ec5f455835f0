"""Two tokenizations of one text, laid over each other: the spans that both have. No torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def shared_spans(one: ArrayLike, other: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths (bytes) of the tokens of both, (N,) and (M,) -> for each span where its first token is, in both, (S,).

    A span ends wherever a token of both ends, so it is as short as it can be; the log-probability of a span is the sum
    over its tokens in each of the two, and all spans together are the whole text. Tokens of no bytes belong to the span
    of the next one, at the end to the last span.

    Raises:
        ValueError: the lengths do not add up to the same text.
    """
    ends, other_ends = np.cumsum(one, dtype=np.int64), np.cumsum(other, dtype=np.int64)
    if (ends[-1] if len(ends) else 0) != (other_ends[-1] if len(other_ends) else 0):
        raise ValueError("the two are not tokens of the same text")
    common = np.intersect1d(ends, other_ends)[:-1]  # the last one is the end of the text
    return _starts(ends, common), _starts(other_ends, common)


def _starts(ends: NDArray[np.int64], common: NDArray[np.int64]) -> NDArray[np.int64]:
    first = np.searchsorted(ends, common, "left") + 1  # the token after the first that ends there
    return np.concatenate([[0], first]).astype(np.int64)


def span_sums(values: ArrayLike, starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) -> (S,), the sum over each span's tokens."""
    return np.asarray(np.add.reduceat(np.asarray(values, np.float64), starts))


def span_texts(tokens: Sequence[str], starts: NDArray[np.int64]) -> list[str]:
    """(N,) -> (S,), the text of each span."""
    ends = [*starts[1:].tolist(), len(tokens)]
    return ["".join(tokens[start:end]) for start, end in zip(starts.tolist(), ends, strict=True)]
