"""Numbers in words -> digits, from 0 to 999,999, in English (num2words) and in Chinese.

A number of one digit comes as often as one of six, or a model would see hardly any short ones.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from lmviz.corpora.pairs_base import Pair, PairSet, Tens, symbols

DIGITS = 6
"""Of the longest number."""
_CHINESE = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_LENGTHS = tuple(Tens(10 ** (digits - 1), 9 * 10 ** (digits - 2)) for digits in range(2, DIGITS + 1))
"""Numbers of two digits, of three, ... Those of one are all for training: there are but ten."""


def numbers(language: str) -> PairSet:
    """All numbers, in the words of "en" or "zh"."""
    words = {"en": english, "zh": chinese}[language]
    made = _Numbers(words)
    return PairSet(
        train_size=DIGITS * _LENGTHS[-1].train_size,
        test_size=len(_LENGTHS) * _LENGTHS[-1].test_size,
        source_symbols=symbols(_all_words(language)),
        target_symbols="0123456789",
        definition=repr(("numbers", language, DIGITS, _LENGTHS)),
        train_pair=made.train,
        test_pair=made.test,
    )


@dataclass(frozen=True)
class _Numbers:
    words: Callable[[int], str]

    def train(self, index: int) -> Pair:
        index, length = divmod(index, DIGITS)
        if length == 0:
            return self._pair(index % 10)
        known = _LENGTHS[length - 1]
        return self._pair(known.train(index % known.train_size))

    def test(self, index: int) -> Pair:
        index, length = divmod(index, len(_LENGTHS))
        known = _LENGTHS[length]
        return self._pair(known.test(index % known.test_size))

    def _pair(self, number: int) -> Pair:
        return Pair(self.words(number), str(number))


def english(number: int) -> str:
    """British words, as num2words has them: one thousand, two hundred and three."""
    below = _english_below_1000()
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return below[rest]
    if not rest:
        return below[thousands] + " thousand"
    return below[thousands] + (" thousand, " if rest >= 100 else " thousand and ") + below[rest]


@cache
def _english_below_1000() -> tuple[str, ...]:
    from num2words import num2words  # loads all of its languages

    return tuple(num2words(number, lang="en") for number in range(1000))


def chinese(number: int) -> str:
    """Chinese numerals as they are read: 十五, 一百一十, 一千零五, 二十万零五百."""
    ten_thousands, rest = divmod(number, 10_000)
    words = _below_10_000(ten_thousands) + "万" if ten_thousands else ""
    if ten_thousands and 0 < rest < 1000:
        words += "零"  # one for all zeros in between
    if rest or not number:
        words += _below_10_000(rest)
    return words[1:] if words.startswith("一十") else words  # 十五, but 一百一十五


@cache
def _below_10_000(number: int) -> str:
    if number == 0:
        return _CHINESE[0]
    words = ""
    for place, digit in zip(range(len(str(number)) - 1, -1, -1), str(number), strict=True):
        if digit != "0":
            words += _CHINESE[int(digit)] + _UNITS[place]
        elif not words.endswith("零"):
            words += "零"
    return words.rstrip("零")


def _all_words(language: str) -> Iterable[str]:
    if language == "en":
        return (*_english_below_1000(), english(1001), english(1100))
    return (_CHINESE, *_UNITS, "万")
