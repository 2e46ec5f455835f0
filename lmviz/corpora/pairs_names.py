"""English names of countries, languages and currencies -> their Chinese names, as CLDR has them, by Babel."""

import re

from babel import Locale

from lmviz.corpora.pairs_base import PairSet
from lmviz.corpora.pairs_listed import listed

_KINDS = ("territories", "languages", "currencies")
_HAN = re.compile("[\u4e00-\u9fff]")


def names() -> PairSet:
    """Every English name once, with the first Chinese one."""
    return listed(tuple(english_to_chinese().items()))


def english_to_chinese() -> dict[str, str]:
    """By kind, then by code; a name that CLDR does not have in Chinese is left out."""
    english, chinese = Locale("en"), Locale("zh")
    found: dict[str, str] = {}
    for kind in _KINDS:
        there = getattr(chinese, kind)
        for code, name in sorted(getattr(english, kind).items()):
            if _HAN.search(there.get(code, "")):
                found.setdefault(name, there[code])
    return found
