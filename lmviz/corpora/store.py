"""Where a name leads: a built-in corpus, <data>/<name>/corpus.json beside 0001.txt, 0002.txt, ..., or a path."""

import difflib
import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from lmviz.corpora.builtin import BUILTIN, load_builtin
from lmviz.corpora.catalog import FETCHABLE
from lmviz.corpora.containers import check_size, folder_paths
from lmviz.corpora.corpus import Corpus
from lmviz.corpora.draft import META
from lmviz.corpora.labels import clean
from lmviz.corpora.large import File, LargeCorpus
from lmviz.corpora.mixed import mixed_corpus
from lmviz.corpora.readers import is_plain_utf8, read_path
from lmviz.corpora.tasks import TASK
from lmviz.errors import N_, CorpusError
from lmviz.limits import LARGE_TEXT_BYTES, MAX_FILE_BYTES

_NAME = re.compile(r"(?=.{1,60}$)[a-z0-9]+(-[a-z0-9]+)*")
_OWN_TEXT = N_("A text that you added.")
_OWN_LICENCE = N_("as you have it")
_NAMED_SOURCES = 8
"""File names that the source of a corpus tells; of more it tells the number."""


@dataclass(frozen=True)
class CorpusSummary:
    """A line in a list of corpora."""

    name: str
    title: str
    description: str
    kind: Literal["builtin", "added", "fetched", "fetchable", "task", "labelled"]
    """fetchable: it is not here yet; task: sequences are made for it."""
    characters: int | None
    """None for built-in ones, which are not read for a list, and for those that are not here."""
    documents: int | None
    created: str | None
    """UTC, ISO 8601."""


def data_dir() -> Path:
    """The folder of added corpora: LMVIZ_DATA, or `data/` beside app.py."""
    return Path(os.environ.get("LMVIZ_DATA") or Path(__file__).resolve().parents[2] / "data").resolve()


def load_corpus(
    name_or_path: str, data: Path | None = None, *, column: str | None = None, encoding: str | None = None,
    allow_paths: bool = True,
) -> Corpus | LargeCorpus:  # fmt: skip
    """A built-in corpus, an added or fetched one, or a file or folder, in this order.

    An added one, or a plain text in UTF-8, is not read yet from LARGE_TEXT_BYTES on.

    Args:
        name_or_path: name of a corpus, or path of a text file, a table, a .zip, a folder.
        data: where added corpora lie; `data_dir()` if None.
        column: of a table given by its path; None takes `text`, or the column with the most letters.
        encoding: of a file given by its path; None finds it out.
        allow_paths: False refuses paths, for names that come from a browser.

    Raises:
        CorpusError: nothing has this name, or it cannot be read.
    """
    if name_or_path in TASK:
        raise CorpusError(N_("{name} is a task, not a text: it has nothing to look at."), name=name_or_path)
    store = data or data_dir()
    meta = store / name_or_path / META if _NAME.fullmatch(name_or_path) else None
    if name_or_path in BUILTIN or (meta and meta.is_file()):
        if column is not None or encoding is not None:
            raise CorpusError(
                N_("The text {name} has neither column nor encoding to choose; only files have. Leave them out."),
                name=name_or_path,
            )
        return _load_added(meta, meta.stat().st_mtime_ns) if meta and meta.is_file() else load_builtin(name_or_path)
    path = Path(name_or_path)
    if not (allow_paths and is_text_path(name_or_path)):
        if "+" in name_or_path:
            return mixed_corpus(name_or_path, lambda part: load_corpus(part, store, allow_paths=False))
        raise unknown_text(name_or_path, store)
    try:
        if is_plain_utf8(path, column, encoding) and path.stat().st_size >= LARGE_TEXT_BYTES:
            return _open_file(path)
        return _load_path(path, column, encoding, _stamp(path))
    except OSError as error:
        raise CorpusError(N_("The file {path} cannot be read. Check its permissions."), path=name_or_path) from error


def is_text_path(path: str) -> bool:
    """Whether there is a file or a folder; os.path says False to a name that no file can have."""
    return path != "" and (os.path.isfile(path) or os.path.isdir(path))  # noqa: PTH112, PTH113


def unknown_text(name: str, store: Path) -> CorpusError:
    """The error that says what texts there are."""
    if not name:
        return CorpusError(
            N_("No text is named. Take one of {known}, or the path of a text."), known=", ".join(BUILTIN)
        )
    if name in FETCHABLE:
        return CorpusError(N_("The text {name} is not here yet. Fetch it: lmviz corpora add {name}."), name=name)
    known = [summary.name for summary in list_corpora(store)]
    close = difflib.get_close_matches(clean(name).lower(), known, n=1)
    if close:
        return CorpusError(
            N_("There is no corpus and no file {name}. Did you mean {suggestion}? Known corpora: {known}."),
            name=clean(name),
            suggestion=close[0],
            known=", ".join(known),
        )
    return CorpusError(
        N_("There is no corpus and no file {name}. Take one of {known}, or the path of a text."),
        name=clean(name),
        known=", ".join(known),
    )


def load_text(path: str) -> str:
    """A text that is to be read whole.

    Raises:
        CorpusError: as `load_corpus`; the text is too large for that.
    """
    corpus = load_corpus(path)
    if isinstance(corpus, LargeCorpus):
        raise CorpusError(
            N_("The text is too large: {size} MB, and {limit} MB are allowed. Take a part of it."),
            size=f"{corpus.size / 1e6:.1f}",
            limit=f"{LARGE_TEXT_BYTES / 1e6:g}",
        )
    return corpus.text


def _open_file(path: Path) -> LargeCorpus:
    file = File.at(path.resolve())
    check_size(file.size, MAX_FILE_BYTES)
    corpus = LargeCorpus(str(path), path.name, _OWN_TEXT, path.name, _OWN_LICENCE, (file,))
    corpus.check_beginning()
    return corpus


@lru_cache(maxsize=2)
def _load_path(path: Path, column: str | None, encoding: str | None, stamp: object) -> Corpus:
    """`stamp` makes a changed file a new entry."""
    reading = read_path(path, column=column, encoding=encoding)
    return Corpus(
        name=str(path),
        title=path.name or str(path),
        description=_OWN_TEXT,
        source=_sources([file.name for file in reading.files]),
        licence=_OWN_LICENCE,
        documents=tuple(document for file in reading.files for document in file.documents),
        encoding=_joined([file.encoding for file in reading.files]),
    )


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Times and sizes of a file, or of all files in a folder."""
    paths = folder_paths(path) if path.is_dir() else [path]
    return tuple((str(file), (status := file.stat()).st_mtime_ns, status.st_size) for file in paths)


@lru_cache(maxsize=2)
def _load_added(meta: Path, modified: int) -> Corpus | LargeCorpus:
    try:
        about = _read_meta(meta)
        texts = tuple(map(File.at, sorted(meta.parent.glob("*.txt"))))
        size = sum(file.size for file in texts)
        if not _is_whole(about, size):
            raise ValueError("a text was changed")
        check_size(size, MAX_FILE_BYTES)
        files = about["files"]
        labels = (
            meta.parent.name, about["title"], _description(meta.parent.name, about),
            about.get("source") or _sources([file["original"] for file in files]), about.get("licence") or _OWN_LICENCE,
        )  # fmt: skip
        encoding = _joined([file["encoding"] for file in files])
        if size >= LARGE_TEXT_BYTES:
            return LargeCorpus(*labels, texts, meta.read_text(encoding="utf-8"), encoding)
        return Corpus(*labels, tuple(file.path.read_bytes().decode() for file in texts), encoding)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(meta.parent.name) from error


def _description(name: str, about: dict[str, Any]) -> str:
    return FETCHABLE[name].description if about.get("kind") == "fetched" else _OWN_TEXT


def _joined(names: list[str]) -> str:
    return ", ".join(sorted(set(names)))


def _sources(names: list[str]) -> str:
    """Names of files, each once."""
    names = list(dict.fromkeys(names))
    more = [f"... ({len(names)})"] if len(names) > _NAMED_SOURCES else []
    return ", ".join(names[:_NAMED_SOURCES] + more)


def read_about(name: str, data: Path) -> dict[str, Any]:
    """corpus.json of an added or fetched corpus.

    Raises:
        CorpusError: there is none, or it cannot be read.
    """
    try:
        return _read_meta(data / name / META)
    except (OSError, ValueError) as error:
        raise _damaged(name) from error


def _is_whole(about: dict[str, Any], size: int) -> bool:
    """Whether the texts have as many bytes as corpus.json says; one made by hand may not say it."""
    seen = about.get("preview")
    return seen is None or seen["bytes"] == size


def _damaged(name: str) -> CorpusError:
    if name in FETCHABLE:
        return CorpusError(N_("The corpus {name} is damaged. Fetch it again: lmviz corpora add {name}."), name=name)
    return CorpusError(
        N_("The corpus {name} is damaged. Remove its folder from the texts, then add it again."), name=name
    )


def _read_meta(path: Path) -> dict[str, Any]:
    about = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(about, dict):
        raise ValueError(f"{path.name} is not an object")
    return about


def list_corpora(data: Path | None = None) -> list[CorpusSummary]:
    """Built-in corpora, then added and fetched ones by name. Texts are not read; damaged folders are left out."""
    rows = [
        CorpusSummary(name, known.title, known.description, "builtin", None, None, None)
        for name, known in BUILTIN.items()
    ]
    for meta in sorted((data or data_dir()).glob(f"*/{META}")):
        if not _NAME.fullmatch(meta.parent.name) or meta.parent.name in BUILTIN:
            continue
        try:
            about = _read_meta(meta)
            if not _is_whole(about, sum(path.stat().st_size for path in meta.parent.glob("*.txt"))):
                continue
            row = CorpusSummary(
                meta.parent.name, about["title"], _description(meta.parent.name, about),
                "fetched" if about.get("kind") == "fetched" else "added",
                about["characters"], len(about["files"]), about["created"],
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
        rows.append(row)
    return rows


def list_fetchable(data: Path | None = None) -> list[CorpusSummary]:
    """Corpora that can be fetched and are not here yet."""
    here = {row.name for row in list_corpora(data)}
    return [
        CorpusSummary(name, known.title, known.description, "fetchable", None, None, None)
        for name, known in FETCHABLE.items()
        if name not in here
    ]


def list_tasks() -> list[CorpusSummary]:
    """What can be learned besides texts; not among `list_corpora`."""
    return [CorpusSummary(name, task.title, task.description, "task", None, None, None) for name, task in TASK.items()]
