"""Which encoding the bytes of a text are in, if they are not Unicode: the one in which it looks most like a text.

charset-normalizer, which compares frequencies, is right for sentences and often wrong for a few bytes (it reads "José"
in a page of English as Russian), so it decides only between those that look equally like text. Every candidate reads a
sample of the places with bytes above 127. What it makes of them is marked character by character between 0 (nobody
writes that: a rare Chinese character, a Russian letter inside an English word) and 1 (everybody does). A few letters
suffice: one é in a page of English, two curly quotes.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

from charset_normalizer import from_bytes

_PARTS = 8
_PART_BYTES = 4000
"""The sample: so many places spread over the file, so many bytes each."""
_BEFORE = 20
"""Bytes that are kept before the first one above 127: they may be the beginning of its word."""
_TELLING = re.compile(rb"[\x80-\xff][^\n]*")
_VOICE = 0.001
"""What the choice of charset-normalizer adds to a mark: it decides between equals."""
_RUSSIAN = ("cp1251", "koi8_r")
"""They share their quotes and dashes with cp1252; where letters do not tell, it is no Russian text."""
_LEAST = 0.15
"""Mark below which no candidate is believed."""

_FREQUENT_CHINESE = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点"
    "正业外将两高间由问很最重并物手应向头文体美相见被什二等新己制身果加月话回内信表老给世位次门常先海教儿原东声提比水名真走各几口四白山"
    "這個們來為國說時會對於過發後裡種經學當沒動還進樣開從實軍無與長機關點業將兩間問應頭體見書寫讀謝愛風車馬鳥語"
)
_FREQUENT_KOREAN = frozenset(
    "이다는을가에의고를은한로하지기도사리자어시대나서그아인스일들만수해라정부장있보전게상제조안주국여우면구거원과와니요세습것문었였했말"
)
_COMMON_CYRILLIC = frozenset("оеаинтсрвл")
_CYRILLIC = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ")
"""Letters of Russian, Bulgarian and Ukrainian."""
_MARKS = frozenset("，。、；：？！“”‘’（）《》〈〉「」『』【】〔〕—…·～　￥°℃×①②③④⑤")
"""Marks of Chinese, Japanese and Korean texts."""
_SIGNS = frozenset("“”‘’„‚–—…•«»©®°£€§±·½¼¾²³¹¿¡™†\xa0º")
"""Marks and signs that the 8-bit encodings have."""
_JOINED = frozenset("“”‘’„–—…«»¡¿\xa0")
"""Signs that stand side by side, or beside a letter with an accent."""
_WORD = re.compile(r"[^\W\d_¹²³¼½¾]+|[^\x00-\x7f]")


def likeliest(data: bytes) -> Iterator[str]:
    """Python's names of encodings that `data` may be in, the likeliest first; none if it looks like no text in any."""
    sample = list(_telling(data))
    best = from_bytes(b"\n".join(sample), cp_isolation=list(_CANDIDATES), enable_fallback=False).best()
    marks = {name: _mark(sample, name, judge) for name, judge in _CANDIDATES.items()}
    if best and best.encoding not in _RUSSIAN and marks.get(best.encoding, 0.0) >= _LEAST:
        marks[best.encoding] += _VOICE
    marked = [(mark, name) for name, mark in marks.items() if mark >= _LEAST]
    marked.sort(key=lambda row: -row[0])  # stable: of equals the one that stands first below
    return (codecs.lookup(name).name for _, name in marked)


def _telling(data: bytes) -> Iterator[bytes]:
    """Ends of lines from shortly before their first byte above 127 on, so that no character is cut at its beginning."""
    places = (len(data) * part // _PARTS for part in range(1, _PARTS))
    borders = sorted({0, len(data), *(data.find(b"\n", place) + 1 for place in places)})
    for start, end in pairwise(borders):
        yield from _telling_lines(data, start, end)


def _telling_lines(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """Those between two places, until there are enough."""
    taken = 0
    for match in _TELLING.finditer(data, start):
        if match.start() >= end or taken >= _PART_BYTES:
            return
        before = data[max(start, match.start() - _BEFORE) : match.start()].rpartition(b"\n")[2]
        size = match.end() - match.start()
        whole = size <= _PART_BYTES
        # After half a character a line end is an error, as it should be.
        yield before + (match[0] + b"\n" if whole else data[match.start() : match.start() + _PART_BYTES])
        taken += size


def _mark(sample: list[bytes], encoding: str, judge: Callable[[str], Iterator[float]]) -> float:
    """The mean over all characters beyond ASCII; 0 if there are bytes that this encoding does not have."""
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        text = "".join(decoder().decode(line) for line in sample)  # a long line may end in half a character
    except UnicodeDecodeError:
        return 0.0
    marks = list(judge(text))
    return sum(marks) / len(marks) if marks else 0.0


def _beyond(text: str) -> list[str]:
    return [c for c in text if c > "\x7f"]


def _chinese(text: str, encoding: str, first: int, last: int, second: int) -> Iterator[float]:
    """Level 1 of the standard: lead bytes from `first` to `last`, trail bytes from `second` on."""
    for c in _beyond(text):
        code = c.encode(encoding)
        if c in _FREQUENT_CHINESE:
            yield 1.0
        elif c in _MARKS or (code[0] in (0xA3, 0xA8) and encoding == "gb18030" and len(code) == 2 and code[1] >= 0xA1):
            yield 0.9  # in GBK also full-width letters, and those with an accent
        elif len(code) == 2 and first <= code[0] <= last and code[1] >= second:
            yield 0.7
        else:
            yield 0.0


def _japanese(text: str, encoding: str, first: int, last: int) -> Iterator[float]:
    """Kana and level 1; no Japanese without kana."""
    characters = _beyond(text)
    kana = any("ぁ" <= c <= "ヺ" for c in characters)
    for c in characters:
        if "ぁ" <= c <= "ー":
            yield 1.0
        elif c in _MARKS:
            yield 0.9 * kana
        else:
            code = c.encode(encoding)
            yield 0.7 * (kana and len(code) == 2 and first <= code[0] <= last)


def _korean(text: str) -> Iterator[float]:
    """Hangul alone. The quotes have the same codes as in GBK, which is the likelier one for them."""
    for c in _beyond(text):
        yield 1.0 if c in _FREQUENT_KOREAN else 0.7 if "가" <= c <= "힣" else 0.85 if c in _MARKS else 0.0


def _western(text: str) -> Iterator[float]:
    """A word has ASCII letters, too, or is a single letter ("à"); capitals begin it, or all are capitals."""
    for start, word in _words(text):
        if not word[0].isalpha() or word in _SIGNS:
            yield _sign(text, start)
            continue
        shape = 1.0 if word[1:].islower() or word.isupper() or len(word) == 1 else 0.2
        shape *= len(word) == 1 or any(c.isascii() for c in word)
        for c in _beyond(word):
            yield shape * (c not in "ªƒ")


def _cyrillic(text: str) -> Iterator[float]:
    """A word has Cyrillic letters alone, and capitals at its beginning or throughout."""
    for start, word in _words(text):
        if not word[0].isalpha() or word in _SIGNS:
            yield _sign(text, start)
            continue
        shape = 1.0 if word[1:].islower() else 0.95 if word.isupper() else 0.8 if len(word) == 1 else 0.0
        shape *= not any(c.isascii() for c in word)
        for c in _beyond(word):
            yield shape * _cyrillic_letter(c.lower())


def _cyrillic_letter(letter: str) -> float:
    return 1.0 if letter in _COMMON_CYRILLIC else 0.7 if letter in _CYRILLIC else 0.2


def _words(text: str) -> Iterator[tuple[int, str]]:
    """(start, word) of words and single signs that have a character beyond ASCII."""
    return ((m.start(), m[0]) for m in _WORD.finditer(text) if not m[0].isascii())


def _sign(text: str, place: int) -> float:
    """A mark or sign beside others is likelier a part of something that was two bytes."""
    sign = text[place]
    if not sign.isprintable() and sign != "\xa0":
        return 0.0
    if sign in "¡¿" and text[max(0, place - 1) : place].isalnum():
        return 0.0
    beside = [c for c in text[max(0, place - 1) : place] + text[place + 1 : place + 2] if c > "\x7f"]
    joined = sign in _JOINED and all(c.isalpha() or c in _JOINED for c in beside)
    return 0.9 if joined or (sign in _SIGNS and not beside) else 0.2


_CANDIDATES: dict[str, Callable[[str], Iterator[float]]] = {
    "gb18030": partial(_chinese, encoding="gb18030", first=0xB0, last=0xD7, second=0xA1),
    "big5": partial(_chinese, encoding="big5", first=0xA4, last=0xC6, second=0x40),
    "shift_jis": partial(_japanese, encoding="shift_jis", first=0x88, last=0x97),
    "euc_jp": partial(_japanese, encoding="euc_jp", first=0xB0, last=0xCF),
    "euc_kr": _korean,
    "cp1252": _western,
    "latin_1": _western,
    "cp1251": _cyrillic,
    "koi8_r": _cyrillic,
}
