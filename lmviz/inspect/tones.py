"""How Chinese characters sound: their readings in modern Mandarin, level or oblique tone, and what they rhyme with.

Level (平) are tones 1 and 2, oblique (仄) tones 3 and 4. The rhymes are the fourteen of 中华新韵 (2005), which groups
the finals of modern Mandarin. Poets of the Tang followed Middle Chinese: characters with the entering tone (入声, a
final -p, -t or -k: 白, 日, 一) were oblique to them, and some of these have tone 1 or 2 today; so a modern reading is
an approximation. The readings are pypinyin's. It is imported when the first character is looked up: it holds 50 MB.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

Tone = Literal["level", "oblique"]

RHYMES: dict[str, tuple[str, ...]] = {
    "麻": ("a", "ia", "ua"),
    "波": ("o", "e", "uo"),
    "皆": ("ie", "ve"),
    "开": ("ai", "uai"),
    "微": ("ei", "uei"),
    "豪": ("ao", "iao"),
    "尤": ("ou", "iou"),
    "寒": ("an", "ian", "uan", "van"),
    "文": ("en", "in", "uen", "vn"),
    "唐": ("ang", "iang", "uang"),
    "庚": ("eng", "ing", "ong", "iong", "ueng"),
    "齐": ("i", "er", "v"),
    "支": ("-i",),
    "姑": ("u",),
}
"""Name of a rhyme -> its finals, as pinyin writes them in full (iou, uei, uen; v is ü); -i is that of zhi and zi."""

_RHYME_OF = {final: rhyme for rhyme, finals in RHYMES.items() for final in finals}
_BUZZING = {"zh", "ch", "sh", "r", "z", "c", "s"}
"""Initials after which pinyin's i is no [i]."""
_CHANGED = {"一": {"yí", "yì"}, "不": {"bú"}}
"""Tones that these have before certain others only (tone sandhi): no readings of their own."""

_SIMPLIFIED = dict(zip(
    "風來歸長爲為應聞將與紅過從難幾離間閒夢鄉關當華漢陰臨經連輕覺涼遲傳蒼興樂親識禪學爭橋漸緣勞蓮徑騎結蟬闕罷鄰論賢軒遺題鴻極種齊濕燭點傾稱燒載淺霧寧錢籠調烏淨孫參厭強縱闌衆觀壇縣澤淒張"
    "灑詔牽達殺簫總濤駕讀廣蕪衝獻灘壓彈嚴壯麗陳蕩約欄紗場窺趨鉤蘆墮錫渾戲寵實誇請墳騷號織義鮮濟溝體慮環單輿鐵資鋪惡擲鴉壘鎮適捲慶漲標築職湯撲礙頃選壞諳規輸亞濺奪喪嗚斂悶頓專淪擊權噴頗漿"
    "決務縫鋤筍塗撫費攢繚澆倉監軋幹構隻膠擔貫釀鄒闢縮槳蔣彊儲蝸暈穩較濫鳩億槍諒創給擇攝療鑽蝦處數發還沒聽勝鬧綠濁盡兩萬轉遠語斷舊淚橫釘蓋澀雜鬥話飲雲",
    "风来归长为为应闻将与红过从难几离间闲梦乡关当华汉阴临经连轻觉凉迟传苍兴乐亲识禅学争桥渐缘劳莲径骑结蝉阙罢邻论贤轩遗题鸿极种齐湿烛点倾称烧载浅雾宁钱笼调乌净孙参厌强纵阑众观坛县泽凄张"
    "洒诏牵达杀箫总涛驾读广芜冲献滩压弹严壮丽陈荡约栏纱场窥趋钩芦堕锡浑戏宠实夸请坟骚号织义鲜济沟体虑环单舆铁资铺恶掷鸦垒镇适卷庆涨标筑职汤扑碍顷选坏谙规输亚溅夺丧呜敛闷顿专沦击权喷颇浆"
    "决务缝锄笋涂抚费攒缭浇仓监轧干构只胶担贯酿邹辟缩桨蒋强储蜗晕稳较滥鸠亿枪谅创给择摄疗钻虾处数发还没听胜闹绿浊尽两万转远语断旧泪横钉盖涩杂斗话饮云",
    strict=True,
))  # fmt: skip
"""Frequent traditional characters -> their simplified form, under which pypinyin's list of words has them."""
_EVIDENCE, _COMMON = 5, 0.02
"""Words with a character from which its readings can be weighed, and the share of them that a reading in use has."""


@dataclass(frozen=True)
class Reading:
    """One way to read a character."""

    pinyin: str
    """With its tone mark."""
    tone: Tone
    rhyme: str | None
    """A key of RHYMES; none for the few sounds outside it, such as 欸."""


def readings(character: str) -> tuple[Reading, ...]:
    """The readings of one character that are in use, the usual one first; none for what is no Chinese character.

    pypinyin lists all that dictionaries know: 春 as chūn and chǔn. In use are the first, and those with which at least
    2 % of the words in its list of 47,000 are read; of a character in fewer than five words all. A reading without a
    tone (le of 了) is left out: it is neither level nor oblique.
    """
    if not is_chinese(character):
        return ()
    return _readings(character)


@lru_cache(maxsize=20_000)
def _readings(character: str) -> tuple[Reading, ...]:
    from pypinyin import Style, pinyin

    (names,) = pinyin(character, style=Style.TONE, heteronym=True, errors="ignore") or [[]]
    names = [name for name in names if name not in _CHANGED.get(character, ())]
    found = [reading for reading in map(_reading, names) if reading]
    counts = _words().get(_SIMPLIFIED.get(character, character), Counter())
    least = _COMMON * counts.total() if counts.total() >= _EVIDENCE else 0
    return tuple(reading for place, reading in enumerate(found) if not place or counts[reading.pinyin] >= least)


@cache
def _words() -> dict[str, Counter[str]]:
    """Character -> how often each reading occurs in pypinyin's list of words."""
    from pypinyin.phrases_dict import phrases_dict

    counts: dict[str, Counter[str]] = {}
    for word, names in phrases_dict.items():
        if len(word) == len(names):
            for character, (name, *_others) in zip(word, names, strict=True):
                counts.setdefault(character, Counter())[name] += 1
    return counts


def _reading(name: str) -> Reading | None:
    from pypinyin.contrib.tone_convert import to_finals, to_initials, to_tone3

    number = to_tone3(name)[-1:]
    if number not in "1234" or not number:
        return None
    final = to_finals(name, strict=True)
    if final == "i" and to_initials(name, strict=False) in _BUZZING:
        final = "-i"
    return Reading(name, "level" if number in "12" else "oblique", _RHYME_OF.get(final))


def is_chinese(character: str) -> bool:
    """Whether this is one Chinese character."""
    return character == "〇" or unicodedata.name(character, "").startswith("CJK UNIFIED IDEOGRAPH")


def tones(character: str) -> frozenset[Tone]:
    """level, oblique, both if it has readings of both, or neither."""
    return frozenset(reading.tone for reading in readings(character))


def level_rhymes(character: str) -> frozenset[str]:
    """Rhymes of its level readings: a regulated verse rhymes in a level tone."""
    return frozenset(r.rhyme for r in readings(character) if r.tone == "level" and r.rhyme is not None)


def in_context(line: str) -> list[str]:
    """The pinyin of every character of a line (Chinese characters only), as words of several characters decide it."""
    from pypinyin import Style, pinyin

    simple = "".join(_SIMPLIFIED.get(character, character) for character in line)
    return [names[0] for names in pinyin(simple, style=Style.TONE, errors=_apart)]


def _apart(text: Any) -> Any:
    """What pypinyin has no reading for, a character each; its types know less than it takes."""
    return [[character] for character in text]


def read_aloud(
    line: str, wanted: Sequence[Tone | None], rhymes: Sequence[frozenset[str] | None] | None = None
) -> list[str]:
    """The pinyin to write under a line: the usual one, but where a character has several, one that is as wanted.

    wanted: tone for every character, None where either will do. rhymes: where the line has to rhyme, with what.
    """
    usual = in_context(line)
    said = []
    for place, (character, name) in enumerate(zip(line, usual, strict=True)):
        every = readings(character)
        known = [*(r for r in every if r.pinyin == name), *(r for r in every if r.pinyin != name)]  # the usual first
        want, rhyme = wanted[place], rhymes[place] if rhymes else None
        fits = (r for r in known if want in (None, r.tone) and (rhyme is None or r.rhyme in rhyme))
        said.append(next((reading.pinyin for reading in fits), name))
    return said


def spoken(line: str) -> list[tuple[str, Tone | None]]:
    """Pinyin and tone of every character of a line as it is usually read; None: it has no tone there."""
    said = []
    for name in in_context(line):
        reading = _reading(name)
        said.append((name, reading.tone if reading else None))
    return said
