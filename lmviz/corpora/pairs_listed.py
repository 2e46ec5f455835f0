"""Pairs that someone wrote: a list of them, in an order that is always the same, the end of it held out."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lmviz.corpora.pairs_base import Pair, PairSet, symbols

SHUFFLE_SEED = 1


@dataclass(frozen=True)
class _Listed:
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]

    def train_pair(self, index: int) -> Pair:
        return Pair(*self.train[index])

    def test_pair(self, index: int) -> Pair:
        return Pair(*self.test[index])


def listed(pairs: Sequence[tuple[str, str]]) -> PairSet:
    """A tenth of the pairs is held out; those whose source comes more than once are for training only."""
    pairs = _shuffled(pairs)
    times = Counter(source for source, _ in pairs)
    alone = [place for place, (source, _) in enumerate(pairs) if times[source] == 1]
    held_out = set(alone[len(alone) - min(len(alone), len(pairs) // 10) :])
    made = _Listed(
        tuple(pair for place, pair in enumerate(pairs) if place not in held_out),
        tuple(pairs[place] for place in sorted(held_out)),
    )
    return PairSet(
        train_size=len(made.train),
        test_size=len(made.test),
        source_symbols=symbols(source for source, _ in pairs),
        target_symbols=symbols(target for _, target in pairs),
        definition=hashlib.sha256(json.dumps(pairs).encode()).hexdigest(),
        train_pair=made.train_pair,
        test_pair=made.test_pair,
    )


def _shuffled(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each pair once, always in the same order."""
    order = list(dict.fromkeys(pairs))
    random.Random(SHUFFLE_SEED).shuffle(order)
    return order
