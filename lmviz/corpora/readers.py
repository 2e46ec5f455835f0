"""From files to documents: plain texts, tables, .zip files and folders. What is left out is counted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lmviz.corpora.containers import EMPTY, HIDDEN, NOT_TEXT, check_count, check_size, folder_files, zip_files
from lmviz.corpora.labels import clean, file_name
from lmviz.corpora.rows import is_table
from lmviz.corpora.tables import read_table
from lmviz.corpora.text_encoding import EmptyTextError, NotTextError, codec_name, decode
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_DOCUMENTS, MAX_UPLOAD_BYTES, MAX_WHOLE_BYTES


@dataclass(frozen=True)
class TextFile:
    """A file as it was read."""

    name: str
    documents: tuple[str, ...]
    encoding: str
    size: int
    """Bytes of the file."""
    columns: tuple[str, ...] = ()
    """What columns a table has; empty for a plain text."""
    column: str | None = None
    """The column that was taken."""

    @property
    def characters(self) -> int:
        return sum(map(len, self.documents))


@dataclass(frozen=True)
class Reading:
    """All files of a corpus."""

    files: tuple[TextFile, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Files in folders and .zip files that were passed over: "hidden", "empty", "not text" -> how many."""

    @property
    def characters(self) -> int:
        return sum(file.characters for file in self.files)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of all tables, each once."""
        return tuple(dict.fromkeys(column for file in self.files for column in file.columns))


def read_files(
    files: Sequence[tuple[str, bytes]], *, column: str | None = None, encoding: str | None = None,
    limit: int = MAX_UPLOAD_BYTES,
) -> Reading:  # fmt: skip
    """Read (name, bytes): a .zip gives the texts in it, a table one of its columns, anything else is a plain text.

    Args:
        column: of tables; None takes `text`, or the column with the most letters.
        encoding: of all files; None finds it out for each.
        limit: bytes that all files together may have, packed and unpacked.

    Raises:
        CorpusError: no files, too many, too large, or one that cannot be used; the sentence names it.
    """
    if not files:
        raise CorpusError(N_("There is no file to add. Choose at least one text file."))
    check_count(len(files))
    check_size(sum(len(data) for _, data in files), limit)
    found: list[TextFile] = []
    left_out: Counter[str] = Counter()
    for name, data in files:
        name = file_name(name)
        if PurePosixPath(name).suffix.lower() == ".zip":
            room = limit - sum(file.size for file in found)
            found += _texts_in(name, zip_files(name, data, room, left_out), column, encoding, left_out)
        else:
            found.append(_read_file(name, data, column, encoding))
    return _checked(found, left_out, column)


def read_path(path: Path, *, column: str | None = None, encoding: str | None = None) -> Reading:
    """Read a file of any kind, or every text in a folder.

    Raises:
        CorpusError: as `read_files`.
        OSError: it cannot be read.
    """
    if not path.is_dir():
        check_size(path.stat().st_size, MAX_WHOLE_BYTES)
        data = path.read_bytes()
        return read_files([(path.name, data)], column=column, encoding=encoding, limit=MAX_WHOLE_BYTES)
    left_out: Counter[str] = Counter()
    files = folder_files(path, MAX_WHOLE_BYTES, left_out)
    return _checked(_texts_in(path.name or str(path), files, column, encoding, left_out), left_out, column)


def is_plain_utf8(path: Path, column: str | None, encoding: str | None) -> bool:
    """Whether a path may be a plain text in UTF-8, as far as its name and what was said of it tell."""
    plain = path.is_file() and not is_table(path.name) and path.suffix.lower() != ".zip"
    return plain and column is None and (encoding is None or codec_name(encoding) == "utf-8")


def _texts_in(
    container: str, files: Iterable[tuple[str, bytes]], column: str | None, encoding: str | None, left_out: Counter[str]
) -> list[TextFile]:
    """The texts among `files`; what is none is counted in `left_out`."""
    found = []
    for name, data in files:
        try:
            found.append(_read_file(file_name(name), data, column, encoding))
        except EmptyTextError:
            left_out[EMPTY] += 1
        except NotTextError:
            left_out[NOT_TEXT] += 1
    if not found:
        raise CorpusError(N_("There is no text in {name}. Put .txt files into it."), name=container)
    return found


def _read_file(name: str, data: bytes, column: str | None, encoding: str | None) -> TextFile:
    text, used = decode(data, encoding, name=name)
    table = read_table(name, text, column) if is_table(name) else None
    if table is None:
        return TextFile(name, (text,), used, len(data))
    return TextFile(name, table.documents, used, len(data), table.columns, table.column)


def _checked(files: list[TextFile], left_out: Counter[str], column: str | None) -> Reading:
    check_count(len(files))
    documents = sum(len(file.documents) for file in files)
    if documents > MAX_DOCUMENTS:
        raise CorpusError(
            N_("{count} documents are too many; a corpus may have {limit}. Join some of them."),
            count=documents,
            limit=MAX_DOCUMENTS,
        )
    if column is not None and not any(file.columns for file in files):
        raise CorpusError(
            N_("{name} is not a table, so it has no column {column}. Leave the column out."),
            name=files[0].name,
            column=clean(column),
        )
    return Reading(tuple(files), {kind: left_out[kind] for kind in (HIDDEN, EMPTY, NOT_TEXT) if left_out[kind]})
