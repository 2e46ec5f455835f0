"""Pairs of texts, source -> target, for models that read one text and write another. No torch.

A name leads to built-in pairs, to a table that a person added, or is the path of a table.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from lmviz.config import PAIR_CORPORA, TASKS
from lmviz.corpora import pairs_store
from lmviz.corpora.builtin import BUILTIN
from lmviz.corpora.catalog import FETCHABLE
from lmviz.corpora.draft import slug
from lmviz.corpora.labels import clean, file_name
from lmviz.corpora.pairs_base import Pair, PairSet
from lmviz.corpora.pairs_dates import dates
from lmviz.corpora.pairs_names import names
from lmviz.corpora.pairs_numbers import numbers
from lmviz.corpora.pairs_reverse import reverse
from lmviz.corpora.pairs_table import read_file, read_pairs
from lmviz.corpora.store import data_dir, is_text_path
from lmviz.errors import N_, CorpusError

__all__ = ["PAIRS", "Pair", "PairSet", "PairsInfo", "PairsSummary", "add_pairs", "list_pairs", "pair_set"]

_NAME = re.compile(r"(?=.{1,60}$)[a-z0-9]+(-[a-z0-9]+)*")
_OWN = N_("Pairs that you added.")


@dataclass(frozen=True)
class PairsInfo:
    """What is known of built-in pairs before any is made: English, with translations."""

    title: str
    description: str
    source: str
    licence: str


@dataclass(frozen=True)
class PairsSummary:
    """A line in a list of pairs."""

    name: str
    title: str
    description: str
    kind: Literal["builtin", "added"]
    pairs: int | None
    """None for built-in ones, which are not made for a list."""
    created: str | None
    """UTC, ISO 8601."""


PAIRS: dict[str, PairsInfo] = {
    "dates-en": PairsInfo(
        title=N_("English dates"),
        description=N_("Dates as people write them, in 11 ways -> 1995-05-07. Which characters belong is known."),
        source=N_("made here; forms and names from CLDR, by the package babel"),
        licence="Unicode-3.0",
    ),
    "dates-zh": PairsInfo(
        title=N_("Chinese dates"),
        description=N_("Dates as people write them, in 9 ways -> 1995-05-07. Which characters belong is known."),
        source=N_("made here; forms and names from CLDR, by the package babel"),
        licence="Unicode-3.0",
    ),
    "numbers-en": PairsInfo(
        title=N_("English numbers"),
        description=N_("Numbers in words -> digits, 0 to 999,999, short ones as often as long ones."),
        source=N_("made here; words from the package num2words"),
        licence="LGPL-2.1",
    ),
    "numbers-zh": PairsInfo(
        title=N_("Chinese numbers"),
        description=N_("Chinese numerals -> digits, 0 to 999,999, short ones as often as long ones."),
        source=N_("made here"),
        licence="MIT",
    ),
    "reverse": PairsInfo(
        title=N_("Reversed letters"),
        description=N_("3 to 12 letters -> the same letters, the last one first. Which letter belongs is known."),
        source=N_("made here"),
        licence="MIT",
    ),
    "names-en-zh": PairsInfo(
        title=N_("Names, English to Chinese"),
        description=N_(
            "Names of countries, languages and currencies -> their Chinese names: a real, small translation."
        ),
        source=N_("CLDR, by the package babel"),
        licence="Unicode-3.0",
    ),
}
assert tuple(PAIRS) == PAIR_CORPORA
"""Name -> built-in pairs."""

_MAKERS: dict[str, Callable[[], PairSet]] = {
    "dates-en": lambda: dates("en"),
    "dates-zh": lambda: dates("zh"),
    "numbers-en": lambda: numbers("en"),
    "numbers-zh": lambda: numbers("zh"),
    "reverse": reverse,
    "names-en-zh": names,
}
assert tuple(_MAKERS) == tuple(PAIRS)


def pair_set(name: str, data: Path | None = None, *, allow_paths: bool = True) -> PairSet:
    """Built-in pairs, an added table, or the table in a file, in this order.

    Args:
        name: of the pairs, or path of a .csv or .tsv.
        data: where added tables lie, below `pairs/`; `data_dir()` if None.
        allow_paths: False refuses paths, for names that come from a browser.

    Raises:
        CorpusError: nothing has this name, or it cannot be used.
    """
    if name in PAIRS:
        return _built_in(name)
    store = data or data_dir()
    place = pairs_store.place_of(name, store)
    if _NAME.fullmatch(name) and place.is_file():
        return pairs_store.load(place, place.stat().st_mtime_ns)
    if not (allow_paths and is_text_path(name)):
        raise _unknown(name, store)
    return _from_file(Path(name), Path(name).stat().st_mtime_ns)


@lru_cache(maxsize=len(PAIRS))
def _built_in(name: str) -> PairSet:
    return _MAKERS[name]()


@lru_cache(maxsize=2)
def _from_file(path: Path, modified: int) -> PairSet:
    """`modified` makes a changed file a new entry."""
    pairs, _ = read_pairs(path.name, read_file(path))
    return pairs_store.checked(file_name(path.name), pairs)


def _unknown(name: str, data: Path) -> CorpusError:
    known = [*PAIRS, *pairs_store.names_in(data)]
    close = difflib.get_close_matches(clean(name).lower(), known, n=1)
    if close:
        return CorpusError(
            N_("There are no pairs {name}. Did you mean {suggestion}? Known pairs: {known}."),
            name=clean(name), suggestion=close[0], known=", ".join(known),
        )  # fmt: skip
    return CorpusError(
        N_("There are no pairs {name}. Take one of {known}, or the path of a .csv or .tsv file."),
        name=clean(name), known=", ".join(known),
    )  # fmt: skip


def add_pairs(
    file: Path | tuple[str, bytes], label: str = "", data: Path | None = None, *, encoding: str | None = None
) -> str:
    """Keep a person's table of pairs. Returns the name that lmviz gave it.

    Args:
        file: path of a .csv or .tsv, or its name and its bytes.
        label: what the person calls it; the name of the file if empty.
        data: where it is kept, below `pairs/`; `data_dir()` if None.
        encoding: of the file; None finds it out.

    Raises:
        CorpusError: the table cannot be used, or the disk is full.
    """
    store = data or data_dir()
    original, content = (file.name, read_file(file)) if isinstance(file, Path) else file
    pairs, used = read_pairs(original, content, encoding)
    pairs_store.checked(file_name(original), pairs)
    title = clean(label) or file_name(original)
    # its name is no text's either, so that a run may name texts and pairs in one place
    reserved = {*PAIRS, *BUILTIN, *FETCHABLE, *TASKS, *(path.name for path in store.glob("*"))}
    return pairs_store.keep(
        store, slug(title), reserved, pairs, title=title, original=file_name(original), encoding=used
    )


def list_pairs(data: Path | None = None) -> list[PairsSummary]:
    """Built-in pairs, then added ones by name. Tables are not read; damaged ones are left out."""
    rows = [PairsSummary(name, known.title, known.description, "builtin", None, None) for name, known in PAIRS.items()]
    store = data or data_dir()
    for name in pairs_store.names_in(store):
        if not _NAME.fullmatch(name) or name in PAIRS:
            continue
        try:
            about = pairs_store.read_facts(pairs_store.place_of(name, store))
            rows.append(PairsSummary(name, about["title"], _OWN, "added", about["pairs"], about["created"]))
        except (OSError, ValueError, KeyError):
            continue
    return rows
