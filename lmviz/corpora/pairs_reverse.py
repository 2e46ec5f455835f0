"""Letters -> the same letters in reverse order: the alignment is known of every character."""

from lmviz.corpora.pairs_base import Pair, PairSet, Tens

LETTERS = "abcdefghij"
SHORTEST, LONGEST = 3, 12
_TO_LETTERS = str.maketrans("0123456789", LETTERS)
_LENGTHS = tuple(Tens(0, 10 ** (length - 1)) for length in range(SHORTEST, LONGEST + 1))
"""Words of each length as numbers; of ten that differ in their last letter one is held out."""


def reverse() -> PairSet:
    """Words of 3 to 12 letters, each length as often as another."""
    return PairSet(
        train_size=len(_LENGTHS) * _LENGTHS[-1].train_size,
        test_size=len(_LENGTHS) * _LENGTHS[-1].test_size,
        source_symbols=LETTERS,
        target_symbols=LETTERS,
        definition=repr(("reverse", LETTERS, _LENGTHS)),
        train_pair=_train,
        test_pair=_test,
        fields=tuple(str(place) for place in range(1, LONGEST + 1)),
    )


def _train(index: int) -> Pair:
    index, length = divmod(index, len(_LENGTHS))
    known = _LENGTHS[length]
    return _pair(known.train(index % known.train_size), SHORTEST + length)


def _test(index: int) -> Pair:
    index, length = divmod(index, len(_LENGTHS))
    known = _LENGTHS[length]
    return _pair(known.test(index % known.test_size), SHORTEST + length)


def _pair(number: int, length: int) -> Pair:
    word = str(number).zfill(length).translate(_TO_LETTERS)
    places = tuple(range(length))
    return Pair(word, word[::-1], places, places[::-1])
