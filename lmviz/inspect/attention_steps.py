"""One query of one head in numbers: scores, scaling, mask, softmax and the sum of values, each step on or off.

Shapes: T queries, S keys, K head width.
"""

import math
from typing import Any

import torch
from torch import Tensor

from lmviz.errors import N_, ConfigError
from lmviz.models.attention import Attended


@torch.no_grad()
def one_query(seen: Attended, head: int, query: int, *, scaled: bool = True, masked: bool = True) -> dict[str, Any]:
    """What query `query` of head `head` does, in the first text of a batch. With all steps on, what the model did.

    Args:
        scaled: scores are divided by sqrt(K).
        masked: keys that the query must not look at get no attention.

    Returns:
        Lists with a number for every key (S,): "products" q k^T, "scores" what the softmax reads (None for a key that
        is masked), "weights" its result, "allowed" whether the query may look there; "query" (K,), "keys" and "values"
        (S, K), "weighted" each value times its weight (S, K), and their sum "mixed" (K,). Also "divisor": sqrt(K), or 1
        if not scaled.

    Raises:
        ConfigError: there is no such head or query.
    """
    _, heads, queries, width = seen.queries.shape
    if not 0 <= head < heads or not 0 <= query < queries:
        raise ConfigError(N_("There is no such head or token any more. Choose another one."))
    q, keys, values = seen.queries[0, head, query], seen.keys[0, head], seen.values[0, head]
    allowed = seen.scores[0, head, query] > -math.inf  # (S,)
    products = keys @ q  # (S,)
    divisor = math.sqrt(width) if scaled else 1.0
    scores = products / divisor
    if masked:
        scores = scores.masked_fill(~allowed, -math.inf)
    weights = scores.softmax(0)
    weighted = weights[:, None] * values
    return {
        "query": q.tolist(),
        "keys": keys.tolist(),
        "values": values.tolist(),
        "products": products.tolist(),
        "divisor": divisor,
        "allowed": allowed.tolist(),
        "scores": _finite(scores),
        "weights": weights.tolist(),
        "weighted": weighted.tolist(),
        "mixed": weighted.sum(0).tolist(),
    }


def _finite(values: Tensor) -> list[float | None]:
    """JSON has no infinity."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
