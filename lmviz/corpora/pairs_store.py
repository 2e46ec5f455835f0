"""Tables of pairs that a person added: <data>/pairs/<name>.jsonl, a line of facts, then a line a pair."""

import datetime
import json
import os
import tempfile
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmviz.corpora.draft import disk_errors
from lmviz.corpora.pairs_base import PairSet
from lmviz.corpora.pairs_listed import listed
from lmviz.errors import N_, CorpusError

FOLDER = "pairs"
"""Below the data folder."""
_SUFFIX = ".jsonl"
_SCHEMA = 1

Pairs = tuple[tuple[str, str], ...]


def place_of(name: str, data: Path) -> Path:
    """Where an added table lies, or would."""
    return data / FOLDER / f"{name}{_SUFFIX}"


def names_in(data: Path) -> list[str]:
    """Added tables, damaged ones too."""
    return sorted(path.stem for path in (data / FOLDER).glob(f"*{_SUFFIX}") if not path.name.startswith("."))


def checked(name: str, pairs: Pairs) -> PairSet:
    """The pairs in two parts.

    Raises:
        CorpusError: nothing can be held out; `name` is what the sentence calls them.
    """
    made = listed(pairs)
    if not made.test_size:
        raise CorpusError(
            N_(
                "Every source of {name} comes more than once, so none can be held out to test with. Add pairs whose"
                " source comes once."
            ),
            name=name,
        )
    return made


def keep(data: Path, base: str, reserved: Collection[str], pairs: Pairs, **facts: Any) -> str:
    """Write a table under a free name like `base`. It appears complete or not at all.

    Raises:
        CorpusError: the disk is full or cannot be written to.
    """
    folder = data / FOLDER
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"schema_version": _SCHEMA, **facts, "created": created, "pairs": len(pairs)}
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (about, *pairs))
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".draft-", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(lines)
            Path(draft).chmod(0o644)
            name = _claim(base, reserved, lambda name: place_of(name, data))
            Path(draft).replace(place_of(name, data))
        finally:
            Path(draft).unlink(missing_ok=True)
    return name


def _claim(base: str, reserved: Collection[str], place: Callable[[str], Path]) -> str:
    """A name whose file is now there and empty, so that no other writer takes it."""
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        number += 1
        if name in reserved:
            continue
        try:
            place(name).open("x").close()
            return name
        except FileExistsError:
            continue


def read_facts(path: Path) -> dict[str, Any]:
    """The first line of an added table.

    Raises:
        OSError, ValueError: it cannot be read, or is none.
    """
    with path.open(encoding="utf-8") as file:
        about = json.loads(file.readline())
    if not isinstance(about, dict) or not isinstance(about.get("pairs"), int):
        raise ValueError(f"{path.name} does not begin with facts")
    return about


@lru_cache(maxsize=4)
def load(path: Path, modified: int) -> PairSet:
    """An added table; `modified` makes a changed file a new entry.

    Raises:
        CorpusError: it is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        pairs = tuple((str(source), str(target)) for source, target in map(json.loads, lines[1:-1]))
        if len(pairs) != read_facts(path)["pairs"]:
            raise ValueError("pairs are missing")
    except (OSError, ValueError, TypeError) as error:
        raise CorpusError(
            N_("The pairs {name} are damaged. Remove the file {path}, then add them again."),
            name=path.stem, path=f"{FOLDER}/{path.name}",
        ) from error  # fmt: skip
    return checked(path.stem, pairs)
