"""Keep a person's texts as a corpus. What a person typed becomes a label; names of folders and files are made here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from lmviz.corpora.containers import check_size
from lmviz.corpora.draft import Draft
from lmviz.corpora.labels import clean, file_name
from lmviz.corpora.readers import Reading, is_plain_utf8, read_files, read_path
from lmviz.corpora.text_encoding import is_control, not_text
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_CONTROL_SHARE, MAX_FILE_BYTES, MAX_UPLOAD_BYTES, MAX_WHOLE_BYTES

_PIECE = 4_000_000


def add_corpus(
    store: Path, label: str, files: Sequence[tuple[str, bytes]], encoding: str | None = None, column: str | None = None
) -> str:
    """Read (name, bytes) as `readers.read_files` does and keep them below `store`. Returns the name that lmviz gave.

    The folder appears complete or not at all.

    Raises:
        CorpusError: no label, no files, too large, too short, or a file that cannot be used.
    """
    return keep(store, label, read_files(files, column=column, encoding=encoding))


def keep(store: Path, label: str, reading: Reading) -> str:
    """Keep what was read, a file a document or several. Returns the name that lmviz gave it.

    Raises:
        CorpusError: no label, too short, or the disk is full.
    """
    title = _title(label)
    with Draft(store) as draft:
        for file in reading.files:
            for document in file.documents:
                draft.add([document], file.name, file.encoding, file.column)
        return draft.publish(title, left_out=dict(reading.left_out))


def add_path(
    store: Path, path: Path, label: str = "", *, column: str | None = None, encoding: str | None = None
) -> str:
    """Keep a file or a folder; a large UTF-8 text is read in pieces, so it may be larger than the memory.

    Raises:
        CorpusError: as `add_corpus`, or the path cannot be read.
    """
    label = label or path.resolve().name
    try:
        return _add_path(store, path, label, column, encoding)
    except OSError as error:
        raise CorpusError(N_("The file {path} cannot be read. Check its permissions."), path=str(path)) from error


def _add_path(store: Path, path: Path, label: str, column: str | None, encoding: str | None) -> str:
    if _fits_in_pieces(path, column, encoding):
        try:
            return _keep_large(store, label, path)
        except _NotUtf8:
            if path.stat().st_size > MAX_WHOLE_BYTES:
                raise CorpusError(
                    N_("{name} is not UTF-8 and too large to be converted here. Save it as UTF-8 first."),
                    name=file_name(path.name),
                ) from None
    return keep(store, label, read_path(path, column=column, encoding=encoding))


def _fits_in_pieces(path: Path, column: str | None, encoding: str | None) -> bool:
    return is_plain_utf8(path, column, encoding) and path.stat().st_size > MAX_UPLOAD_BYTES


class _NotUtf8(Exception):
    """A large file that may be a text in another encoding."""


def _keep_large(store: Path, label: str, path: Path) -> str:
    """Text mode turns all line ends into one, and utf-8-sig leaves a byte order mark out, as `decode` does."""
    check_size(path.stat().st_size, MAX_FILE_BYTES)
    title = _title(label)
    with path.open(encoding="utf-8-sig", newline=None) as text, Draft(store) as draft:
        draft.add(_pieces(text), file_name(path.name), "utf-8")
        controls = sum(int(draft.facts.counts[code]) for code in range(0xA0) if is_control(chr(code)))
        if controls > MAX_CONTROL_SHARE * draft.facts.characters:
            raise not_text(file_name(path.name))
        return draft.publish(title)


def _pieces(text: TextIO) -> Iterator[str]:
    """All of it. Zero bytes are valid UTF-8, but a text that has them is in another encoding or none."""
    try:
        while piece := text.read(_PIECE):
            if "\0" in piece:
                raise _NotUtf8
            yield piece
    except UnicodeDecodeError:
        raise _NotUtf8 from None


def _title(label: str) -> str:
    title = clean(label)
    if not title:
        raise CorpusError(N_("The corpus has no name. Give it one."))
    return title
