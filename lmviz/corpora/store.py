"""The corpora a person adds, and where a name leads: <data>/<name>/corpus.json beside 0001.txt, 0002.txt, ...

The folder's name and the files' names are made here; what a person typed is kept inside corpus.json, as a label.
"""

import datetime
import difflib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from lmviz.corpora.builtin import BUILTIN, load_builtin
from lmviz.corpora.corpus import Corpus
from lmviz.corpora.large import File, LargeCorpus
from lmviz.corpora.text_encoding import decode
from lmviz.errors import N_, CorpusError
from lmviz.limits import (
    LARGE_TEXT_BYTES,
    MAX_CORPUS_FILES,
    MAX_FILE_BYTES,
    MAX_LABEL,
    MAX_UPLOAD_BYTES,
    MIN_CORPUS_CHARACTERS,
)

_NAME = re.compile(r"(?=.{1,60}$)[a-z0-9]+(-[a-z0-9]+)*")
_META = "corpus.json"
_OWN_TEXT = N_("A text that you added.")
_OWN_LICENCE = N_("as you have it")


@dataclass(frozen=True)
class CorpusSummary:
    """A line in a list of corpora."""

    name: str
    title: str
    description: str
    kind: Literal["builtin", "added"]
    characters: int | None
    """None for built-in ones, which are not read for a list."""
    documents: int | None
    created: str | None
    """UTC, ISO 8601."""


def data_dir() -> Path:
    """The folder of added corpora: LMVIZ_DATA, or `data/` beside app.py."""
    return Path(os.environ.get("LMVIZ_DATA") or Path(__file__).resolve().parents[2] / "data").resolve()


def add_corpus(store: Path, label: str, files: Sequence[tuple[str, bytes]], encoding: str | None = None) -> str:
    """Keep files as a corpus below `store`; every file is a document. Returns the name that lmviz gave it.

    The folder appears complete or not at all.

    Raises:
        CorpusError: no label, no files, too large, too short, or a file that is not text.
    """
    title = _clean(label)
    if not title:
        raise CorpusError(N_("The corpus has no name. Give it one."))
    texts = _decode_all(files, encoding)
    meta = {
        "schema_version": 1,
        "title": title,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "characters": sum(len(text) for text, _ in texts),
        "files": [
            {"file": f"{i:04}.txt", "original": _file_name(name), "encoding": used, "characters": len(text)}
            for i, ((name, _), (text, used)) in enumerate(zip(files, texts, strict=True), 1)
        ],
    }
    store.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=store))
    try:
        for i, (text, _) in enumerate(texts, 1):
            (draft / f"{i:04}.txt").write_bytes(text.encode())
        (draft / _META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
        draft.chmod(0o755)
        return _publish(draft, store, title)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _decode_all(files: Sequence[tuple[str, bytes]], encoding: str | None) -> list[tuple[str, str]]:
    if not files:
        raise CorpusError(N_("There is no file to add. Choose at least one text file."))
    if len(files) > MAX_CORPUS_FILES:
        raise CorpusError(
            N_("{count} files are too many; a corpus may have {limit}. Join some of them."),
            count=len(files),
            limit=MAX_CORPUS_FILES,
        )
    _check_size(sum(len(data) for _, data in files), MAX_UPLOAD_BYTES)
    texts = [decode(data, encoding, name=_file_name(name)) for name, data in files]
    characters = sum(len(text) for text, _ in texts)
    if characters < MIN_CORPUS_CHARACTERS:
        raise CorpusError(
            N_("The text has {characters} characters; a corpus needs at least {limit}. Add more text."),
            characters=characters,
            limit=MIN_CORPUS_CHARACTERS,
        )
    return texts


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise CorpusError(
            N_("The text is too large: {size} MB, and {limit} MB are allowed. Take a part of it."),
            size=f"{size / 1e6:.1f}",
            limit=f"{limit / 1e6:g}",
        )


def _publish(draft: Path, store: Path, title: str) -> str:
    """Rename the draft to the first free name; renaming onto another's folder fails, so two never share one."""
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", ascii_title)[:40].strip("-") or "text"
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        number += 1
        if name in BUILTIN or (store / name).exists():
            continue
        try:
            draft.rename(store / name)
        except OSError:
            if (store / name).exists():
                continue
            raise
        return name


def _clean(label: str) -> str:
    """One line of printable characters."""
    printable = "".join(c if c.isprintable() else " " for c in label)
    return " ".join(printable.split())[:MAX_LABEL].strip()


def _file_name(name: str) -> str:
    return _clean(PurePosixPath(name.replace("\\", "/")).name) or "text"


def load_corpus(name_or_path: str, data: Path | None = None, *, allow_paths: bool = True) -> Corpus | LargeCorpus:
    """A built-in corpus, an added one, or a text file, in this order. From LARGE_TEXT_BYTES on it is not read yet.

    Args:
        name_or_path: name of a corpus, or path of a text file.
        data: where added corpora lie; `data_dir()` if None.
        allow_paths: False refuses paths, for names that come from a browser.

    Raises:
        CorpusError: nothing has this name, or it cannot be read.
    """
    if name_or_path in BUILTIN:
        return load_builtin(name_or_path)
    store = data or data_dir()
    meta = store / name_or_path / _META if _NAME.fullmatch(name_or_path) else None
    if meta and meta.is_file():
        return _load_added(meta, meta.stat().st_mtime_ns)
    path = Path(name_or_path)
    if not (allow_paths and os.path.isfile(path)):  # noqa: PTH113 (says False to a name too long for a file)
        raise _unknown(name_or_path, store)
    try:
        file = File.at(path)
        _check_size(file.size, MAX_FILE_BYTES)
        return _open_file(file) if file.size >= LARGE_TEXT_BYTES else _load_file(path, file.modified, file.size)
    except OSError as error:
        raise CorpusError(N_("The file {path} cannot be read. Check its permissions."), path=name_or_path) from error


def _unknown(name: str, store: Path) -> CorpusError:
    known = [summary.name for summary in list_corpora(store)]
    close = difflib.get_close_matches(name.lower(), known, n=1)
    if close:
        return CorpusError(
            N_("There is no corpus and no file {name}. Did you mean {suggestion}? Known corpora: {known}."),
            name=name,
            suggestion=close[0],
            known=", ".join(known),
        )
    return CorpusError(
        N_("There is no corpus and no file {name}. Take one of {known}, or the path of a text file."),
        name=name,
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


def _open_file(file: File) -> LargeCorpus:
    path = file.path.resolve()
    corpus = LargeCorpus(
        str(file.path), path.name, _OWN_TEXT, path.name, _OWN_LICENCE, (File(path, file.size, file.modified),)
    )
    corpus.check_beginning()
    return corpus


@lru_cache(maxsize=2)
def _load_file(path: Path, modified: int, size: int) -> Corpus:
    """`modified` and `size` make a changed file a new entry."""
    text, encoding = decode(path.read_bytes(), name=path.name)
    return Corpus(str(path), path.name, _OWN_TEXT, path.name, _OWN_LICENCE, (text,), encoding)


@lru_cache(maxsize=2)
def _load_added(meta: Path, modified: int) -> Corpus | LargeCorpus:
    try:
        about = _read_meta(meta)
        texts = tuple(map(File.at, sorted(meta.parent.glob("*.txt"))))
        size = sum(file.size for file in texts)
        title, files = about["title"], about["files"]
        source = ", ".join(file["original"] for file in files)
        encoding = ", ".join(sorted({file["encoding"] for file in files}))
        _check_size(size, MAX_FILE_BYTES)
        labels = (meta.parent.name, title, _OWN_TEXT, source, _OWN_LICENCE)
        if size >= LARGE_TEXT_BYTES:
            return LargeCorpus(*labels, texts, meta.read_text(encoding="utf-8"), encoding)
        return Corpus(*labels, tuple(file.path.read_bytes().decode() for file in texts), encoding)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(N_("The corpus {name} is damaged. Add its text again."), name=meta.parent.name) from error


def _read_meta(path: Path) -> dict[str, Any]:
    about = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(about, dict):
        raise ValueError(f"{path.name} is not an object")
    return about


def list_corpora(data: Path | None = None) -> list[CorpusSummary]:
    """Built-in corpora, then added ones by name. Texts are not read; damaged folders are left out."""
    rows = [
        CorpusSummary(name, known.title, known.description, "builtin", None, None, None)
        for name, known in BUILTIN.items()
    ]
    for meta in sorted((data or data_dir()).glob(f"*/{_META}")):
        if not _NAME.fullmatch(meta.parent.name) or meta.parent.name in BUILTIN:
            continue
        try:
            about = _read_meta(meta)
            row = CorpusSummary(
                meta.parent.name, about["title"], _OWN_TEXT, "added",
                about["characters"], len(about["files"]), about["created"],
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
        rows.append(row)
    return rows
