"""A corpus folder in the making: <store>/<name>/corpus.json beside 0001.txt, 0002.txt, ...; complete or not there."""

import datetime
import json
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from lmviz.config import LABELLED, PAIR_CORPORA, TASKS
from lmviz.corpora.builtin import BUILTIN
from lmviz.corpora.catalog import FETCHABLE
from lmviz.corpora.facts import Facts
from lmviz.errors import N_, CorpusError
from lmviz.limits import MIN_CORPUS_CHARACTERS

META = "corpus.json"
_LOCK = "lock"
_QUIET = 10.0
"""Seconds after which a draft without a lock has no writer who is about to take it."""

RESERVED = {*BUILTIN, *FETCHABLE, *TASKS, *PAIR_CORPORA, *LABELLED, "pairs"}
"""Names that a person's text does not get."""


class Draft:
    """`with Draft(store) as draft`: add documents, then publish; without that nothing stays.

    Its writer holds a lock that the system frees when it dies; the next draft removes what it left.
    A full disk raises a CorpusError.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.facts = Facts()
        self._files: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with disk_errors():
            self.store.mkdir(parents=True, exist_ok=True)
            _remove_dead(self.store)
            self._folder = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.store))
            self._lock = FileLock(self._folder / _LOCK)
            self._lock.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)  # not there any more if it was published

    def add(self, pieces: Iterable[str], original: str, encoding: str, column: str | None = None) -> None:
        """One document, in pieces; `original` is the name of the file it comes from."""
        self.facts.begin_document()
        before = self.facts.characters
        name = f"{len(self._files) + 1:04}.txt"
        with disk_errors(), (self._folder / name).open("w", encoding="utf-8", newline="\n") as file:
            for piece in pieces:
                file.write(piece)
                self.facts.add(piece)
        entry = {"file": name, "original": original, "encoding": encoding}
        entry |= {"column": column} if column else {}
        self._files.append({**entry, "characters": self.facts.characters - before})

    def publish(self, title: str, name: str | None = None, **more: Any) -> str:
        """Write corpus.json and give the folder its name: `name`, or a free one like `title`. Returns the name.

        Raises:
            CorpusError: too short, the disk is full, or `name` is taken.
        """
        if self.facts.characters < MIN_CORPUS_CHARACTERS:
            raise CorpusError(
                N_("The text has {characters} characters; a corpus needs at least {limit}. Add more text."),
                characters=self.facts.characters,
                limit=MIN_CORPUS_CHARACTERS,
            )
        meta = {
            "schema_version": 1,
            "kind": "added",
            "title": title,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "characters": self.facts.characters,
            **more,
            "files": self._files,
            "preview": self.facts.preview(),
            "alphabet": self.facts.alphabet,
        }
        with disk_errors():
            (self._folder / META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
            self._folder.chmod(0o755)
            self._lock.release()
            (self._folder / _LOCK).unlink(missing_ok=True)
            return self._rename(title, name)

    def _rename(self, title: str, fixed: str | None) -> str:
        """Renaming onto another's folder fails, so two never share one."""
        base = fixed or slug(title)
        number = 1
        while True:
            name = base if number == 1 else f"{base}-{number}"
            number += 1
            used = (self.store / name).exists() or (fixed is None and name in RESERVED)
            try:
                if not used:
                    self._folder.rename(self.store / name)
                    return name
            except OSError:
                if not (self.store / name).exists():
                    raise
            if fixed:
                raise taken(name)


def _remove_dead(store: Path) -> None:
    """Drafts of writers that were killed."""
    for draft in store.glob(".draft-*"):
        try:
            if time.time() - draft.stat().st_mtime > _QUIET:
                with FileLock(draft / _LOCK, timeout=0):
                    shutil.rmtree(draft, ignore_errors=True)
        except (OSError, Timeout):
            continue  # it is being written, or is gone by now


def taken(name: str) -> CorpusError:
    """The error that says a name is not free."""
    return CorpusError(N_("There is already a folder {name} among the texts. Remove it first."), name=name)


def slug(title: str) -> str:
    """A name for a folder that is like a title; "text" if nothing of it is left."""
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_title)[:40].strip("-") or "text"


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns what a full or read-only disk raises into a sentence."""
    try:
        yield
    except OSError as error:
        raise CorpusError(
            N_("The text cannot be kept: {reason}. Make room on the disk, or choose another folder (LMVIZ_DATA)."),
            reason=error.strerror or str(error),
        ) from error
