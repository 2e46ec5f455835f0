"""What pairs of texts are: a finite collection from which a trainer draws by number. It knows nothing of files.

Nothing here is random. A pair is made when it is asked for, so that a collection may be larger than the memory.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property

_PROBES = 300
"""Pairs of either part that a fingerprint reads."""
_GOLDEN = (math.sqrt(5) - 1) / 2
_MIX = 0x9E3779B97F4A7C15  # the golden ratio again, as 64 bits: neighbours get hashes far apart


@dataclass(frozen=True)
class Pair:
    """A text and what it is to become."""

    source: str
    target: str
    source_fields: tuple[int, ...] = ()
    """A field for every character of the source, -1 if it belongs to none; () where no alignment is known."""
    target_fields: tuple[int, ...] = ()
    """The same for the target: the right source characters of one of its characters are those of its field."""


@dataclass(frozen=True, eq=False)
class PairSet:
    """A training and a held-out part. No source of the held-out part is in the training part."""

    train_size: int
    test_size: int
    source_symbols: str
    """Every character that a source can have, sorted; "" where that is not known in advance."""
    target_symbols: str
    """The same for targets."""
    definition: str
    """What decides the pairs, besides the pairs that a fingerprint reads."""
    train_pair: Callable[[int], Pair]
    """Makes a pair of the training part, in whichever order is natural to make them in."""
    test_pair: Callable[[int], Pair]
    fields: tuple[str, ...] = ()
    """English names of the fields; () if the pairs have none."""

    @property
    def aligned(self) -> bool:
        """Whether the pairs have fields."""
        return bool(self.fields)

    def train(self, index: int) -> Pair:
        """A training pair, 0 <= index < train_size; neighbours are no more alike than others.

        Raises:
            IndexError: there is none.
        """
        return self.train_pair(_spread(index, self.train_size, self._train_stride))

    def test(self, index: int) -> Pair:
        """A held-out pair, 0 <= index < test_size: the first hundred are as good as any hundred.

        Raises:
            IndexError: there is none.
        """
        return self.test_pair(_spread(index, self.test_size, self._test_stride))

    @cached_property
    def _train_stride(self) -> int:
        return _stride(self.train_size)

    @cached_property
    def _test_stride(self) -> int:
        return _stride(self.test_size)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all that decides the pairs, hexadecimal: the same pairs, the same fingerprint."""
        pairs = [self.train(index) for index in range(min(_PROBES, self.train_size))]
        pairs += [self.test(index) for index in range(min(_PROBES, self.test_size))]
        facts = [
            self.definition, self.train_size, self.test_size, self.source_symbols, self.target_symbols, self.fields,
            [asdict(pair) for pair in pairs],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _stride(size: int) -> int:
    """A step that visits all places once, neighbours far apart."""
    step = max(1, round(size * _GOLDEN))
    while math.gcd(step, size) != 1:
        step += 1
    return step


def _spread(index: int, size: int, stride: int) -> int:
    if not 0 <= index < size:
        raise IndexError(f"there is no pair {index}: there are {size}")
    return index * stride % size


@dataclass(frozen=True)
class Tens:
    """Numbers in blocks of ten, one of each held out: which one decides a hash of the block.

    So both parts are counted without a list of them, and no last digit is more often held out than another.
    """

    first: int
    """The first number, a multiple of ten."""
    blocks: int

    @property
    def train_size(self) -> int:
        return 9 * self.blocks

    @property
    def test_size(self) -> int:
        return self.blocks

    def train(self, index: int) -> int:
        """One of the numbers that are kept, 0 <= index < train_size."""
        block, place = divmod(index, 9)
        start = self.first + 10 * block
        return start + place + (place >= _hash(start))

    def test(self, index: int) -> int:
        """One of the numbers that are held out, 0 <= index < test_size."""
        start = self.first + 10 * index
        return start + _hash(start)


def _hash(number: int) -> int:
    """0 to 9."""
    return (((number + 1) * _MIX & (1 << 64) - 1) >> 40) % 10


def symbols(texts: Iterable[str]) -> str:
    """Every character of some texts once, sorted."""
    return "".join(sorted(set().union(*texts)))
