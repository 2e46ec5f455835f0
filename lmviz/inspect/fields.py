"""Does attention look where it should? The share of it that lies on the right part of the source. No torch."""

from collections.abc import Sequence

import numpy as np

from lmviz.corpora.pairs import Pair
from lmviz.decoding.written import Written


def right_share(written: Sequence[Written], pairs: Sequence[Pair]) -> float | None:
    """Mean over all characters of right outputs that have a field, such as the digits of a year: the attention, when
    each was written, on the characters of the source that have the same field. None if no output was right;
    characters are tokens here.
    """
    shares = [share for one, pair in zip(written, pairs, strict=True) for share in shares_of(one, pair)]
    return float(np.mean(shares)) if shares else None


def shares_of(written: Written, pair: Pair) -> list[float]:
    """Of one pair, a share a character; none if the output is wrong or nothing is known of its places."""
    if written.attention is None or written.text != pair.target or not pair.target_fields:
        return []
    fields = np.array(pair.source_fields)
    return [
        float(written.attention[step, : len(fields)][fields == field].sum())
        for step, field in enumerate(pair.target_fields)
        if field >= 0
    ]
