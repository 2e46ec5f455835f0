"""Dates as people write them -> ISO 8601, in English and in Chinese.

The forms and the names of months and weekdays are CLDR's, by Babel; which of its forms are taken is written here.
Babel formats each part of a date once, so that making a pair is joining a few strings.
"""

import datetime
from dataclasses import dataclass
from itertools import chain

from babel import Locale
from babel.dates import format_date, tokenize_pattern

from lmviz.corpora.pairs_base import Pair, PairSet, symbols
from lmviz.errors import N_

FIRST_DAY = datetime.date(1950, 1, 1)
LAST_DAY = datetime.date(2049, 12, 31)
"""A century: its two-digit years can be told."""
HELD_OUT = 7
"""Every tenth day from here on is held out, in all forms."""
FORMS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("en_US", "full"), ("en_US", "long"), ("en_US", "medium"), ("en_US", "short"), ("en_US", "yMd"),
        ("en_US", "yMEd"), ("en_US", "yMMMEd"),
        ("en_GB", "full"), ("en_GB", "long"), ("en_GB", "medium"), ("en_GB", "yMMMEd"),
    ),
    "zh": (
        ("zh_Hans_CN", "full"), ("zh_Hans_CN", "long"), ("zh_Hans_CN", "short"), ("zh_Hans_CN", "yMEd"),
        ("zh_Hans_CN", "yMMMEd"), ("zh_Hans_SG", "short"), ("zh_Hans_SG", "yMEd"), ("zh_Hans_HK", "yMd"),
        ("zh_Hans_HK", "yMEd"),
    ),
}  # fmt: skip
"""Language -> locales with a style or a skeleton of CLDR. Britain's dd/MM/y is left out: America's M/d/y is in."""
FIELDS = (N_("year"), N_("month"), N_("day"))
_YEAR, _MONTH, _DAY, _WEEKDAY, _LITERAL = range(5)
_KINDS = {"y": _YEAR, "M": _MONTH, "d": _DAY, "E": _WEEKDAY}
_FIRST = FIRST_DAY.toordinal()
_DAYS = LAST_DAY.toordinal() - _FIRST + 1
_TARGET_FIELDS = (0, 0, 0, 0, -1, 1, 1, -1, 2, 2)
_ALL_PARTS = (
    tuple(datetime.date(year, 1, 1) for year in range(FIRST_DAY.year, LAST_DAY.year + 1)),
    tuple(datetime.date(2000, month, 1) for month in range(1, 13)),
    tuple(datetime.date(2000, 1, day) for day in range(1, 32)),
    tuple(datetime.date(2001, 1, day) for day in range(1, 8)),  # the first of them is a Monday
)
"""A date for every year, month, day of a month and weekday."""

Piece = tuple[int, tuple[tuple[str, tuple[int, ...]], ...]]
"""A part of a form: what it tells of a date, and its text and fields for every value of that."""


def patterns(language: str) -> tuple[tuple[str, str], ...]:
    """(locale, pattern) of every form, the pattern in CLDR's letters."""
    return tuple((locale, _pattern(Locale.parse(locale), form)) for locale, form in FORMS[language])


def _pattern(locale: Locale, form: str) -> str:
    known = locale.date_formats if form in locale.date_formats else locale.datetime_skeletons
    return str(known[form].pattern)


def dates(language: str) -> PairSet:
    """All dates in all forms of "en" or "zh"; English ones are in lower case, so that there are fewer letters."""
    known = patterns(language)
    made = _Dates(tuple(_pieces(pattern, locale) for locale, pattern in known))
    held_out = len(range(HELD_OUT, _DAYS, 10))
    return PairSet(
        train_size=(_DAYS - held_out) * len(known),
        test_size=held_out * len(known),
        source_symbols=symbols(text for form in made.forms for _, texts in form for text, _ in texts),
        target_symbols="-0123456789",
        definition=repr(("dates", FIRST_DAY, LAST_DAY, HELD_OUT, known)),
        train_pair=made.train,
        test_pair=made.test,
        fields=FIELDS,
    )


@dataclass(frozen=True)
class _Dates:
    forms: tuple[tuple[Piece, ...], ...]

    def train(self, index: int) -> Pair:
        number, form = divmod(index, len(self.forms))
        tens, place = divmod(number, 9)
        return self._pair(10 * tens + place + (place >= HELD_OUT), form)

    def test(self, index: int) -> Pair:
        number, form = divmod(index, len(self.forms))
        return self._pair(10 * number + HELD_OUT, form)

    def _pair(self, number: int, form: int) -> Pair:
        date = datetime.date.fromordinal(_FIRST + number)
        values = (date.year - FIRST_DAY.year, date.month - 1, date.day - 1, date.weekday(), 0)
        parts = [texts[values[kind]] for kind, texts in self.forms[form]]
        return Pair(
            "".join([text for text, _ in parts]),
            date.isoformat(),
            tuple(chain.from_iterable([fields for _, fields in parts])),
            _TARGET_FIELDS,
        )


def _pieces(pattern: str, locale: str) -> tuple[Piece, ...]:
    return tuple(_piece(kind, value, locale) for kind, value in tokenize_pattern(pattern))


def _piece(kind: str, value: str | tuple[str, int], locale: str) -> Piece:
    if isinstance(value, str):
        return _LITERAL, (_text(value, _LITERAL),)
    letter, count = value
    part = _KINDS[letter]
    return part, tuple(_text(format_date(date, letter * count, locale), part) for date in _ALL_PARTS[part])


def _text(text: str, part: int) -> tuple[str, tuple[int, ...]]:
    text = text.lower()
    return text, (part if part < len(FIELDS) else -1,) * len(text)
