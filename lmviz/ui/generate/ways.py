"""Ways to choose tokens, as a few letters in the address: `greedy`, `beam4`, `t0.8,p0.9,r1.2`. No Streamlit."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from lmviz.decoding.config import DecodingConfig
from lmviz.limits import MAX_SIDES
from lmviz.ui.i18n import _

Way = dict[str, Any]
"""Fields of a DecodingConfig that are not as at first."""

LETTERS = {
    "t": ("temperature", float),
    "k": ("top_k", int),
    "p": ("top_p", float),
    "m": ("min_p", float),
    "r": ("repetition_penalty", float),
    "n": ("no_repeat_ngram", int),
}
FIRST = "greedy;beam4;t0.5;t0.8;t0.8,p0.9;t1.2"
_PART = re.compile(r"([a-z]+)(\d+(?:\.\d+)?)?")


def read_ways(text: str) -> list[Way]:
    """Those of an address; what is none is left out."""
    ways = [way for part in text.split(";")[:MAX_SIDES] if (way := _read(part)) is not None]
    return ways or [way for part in FIRST.split(";") if (way := _read(part)) is not None]


def _read(text: str) -> Way | None:
    way: Way = {}
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if not found:
            return None
        name, number = found.groups()
        if name == "greedy" and number is None:
            way["strategy"] = "greedy"
        elif name == "beam" and number:
            way |= {"strategy": "beam", "num_beams": int(float(number))}
        elif name in LETTERS and number:
            field, kind = LETTERS[name]
            way[field] = kind(float(number))
        else:
            return None
    return way if valid(way) else None


def valid(way: Way) -> bool:
    try:
        DecodingConfig.model_validate(way)
    except ValidationError:
        return False
    return True


def write_ways(ways: Sequence[Way]) -> str:
    return ";".join(map(_write, ways))


def _write(way: Way) -> str:
    strategy = way.get("strategy", "sample")
    parts = {"greedy": ["greedy"], "beam": [f"beam{way.get('num_beams', 4)}"]}.get(strategy, [])
    parts += [f"{letter}{way[field]:g}" for letter, (field, _kind) in LETTERS.items() if field in way]
    return ",".join(parts) or "t1"


def way_name(way: Mapping[str, Any]) -> str:
    """For people."""
    strategy = way.get("strategy", "sample")
    parts = []
    if strategy == "greedy":
        parts.append(_("greedy"))
    elif strategy == "beam":
        parts.append(_("{count} beams").format(count=way.get("num_beams", 4)))
    else:
        parts.append(_("T {value}").format(value=f"{way.get('temperature', 1):g}"))
    names = {
        "top_k": _("top-k {value}"),
        "top_p": _("top-p {value}"),
        "min_p": _("min-p {value}"),
        "repetition_penalty": _("repetition penalty {value}"),
        "no_repeat_ngram": _("no repeated {value}"),
    }
    parts += [words.format(value=f"{way[field]:g}") for field, words in names.items() if field in way]
    return ", ".join(parts)
