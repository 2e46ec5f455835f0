"""The files in a folder or a .zip. Nothing is unpacked to the disk, so no name in an archive can lead anywhere."""

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_CORPUS_FILES

HIDDEN = "hidden"
"""What `left_out` calls files whose name, or whose folder's name, begins with a dot, and those of __MACOSX."""
EMPTY, NOT_TEXT = "empty", "not text"
"""What it calls files with nothing in them, and with something else than text."""

_ENTRY = b"PK\x01\x02"
"""Stands before each file in the list at the end of a .zip; now and then in the data before it, too."""
_ENTRIES = 10 * MAX_CORPUS_FILES
"""Files, hidden ones and folders, too, in an archive that is looked at."""
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, OSError, ValueError,
)  # fmt: skip
"""What zipfile raises at an archive that is damaged, of another kind, or says less of itself than it unpacks to."""


def zip_files(name: str, data: bytes, limit: int, left_out: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the files in an archive, by name; `left_out` counts the hidden ones.

    Args:
        limit: bytes that all files together may have unpacked; no file gives more than it declares.

    Raises:
        CorpusError: not an archive, damaged, with a password, too many or too large files.
    """
    check_count(data.count(_ENTRY), _ENTRIES)  # reading the list of 200,000 files takes seconds
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            shown = [entry for entry in entries if not _is_hidden(entry.filename)]
            kept = [entry for entry in shown if not stat.S_ISLNK(entry.external_attr >> 16)]
            left_out[HIDDEN] += len(entries) - len(shown)
            left_out[NOT_TEXT] += len(shown) - len(kept)  # a link holds a path
            check_count(len(kept))
            check_size(sum(entry.file_size for entry in kept), limit)
            if any(entry.flag_bits & 1 for entry in kept):
                raise CorpusError(N_("{name} has a password. Unpack it and add its texts."), name=name)
            for entry in sorted(kept, key=lambda entry: entry.filename):
                with archive.open(entry) as file:  # never more than it declared: read() alone would inflate a bomb
                    content = file.read(entry.file_size + 1)
                yield _true_name(entry), content
    except _BROKEN as error:
        raise CorpusError(
            N_("{name} is not a .zip that can be read. Pack its texts again, or add them one by one."), name=name
        ) from error


def folder_files(folder: Path, limit: int, left_out: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the files in a folder and the folders in it, by path; `left_out` counts the hidden ones.

    Raises:
        CorpusError: too many or too large files.
        OSError: a file cannot be read.
    """
    paths = folder_paths(folder)
    kept = [path for path in paths if not _is_hidden(path.relative_to(folder).as_posix())]
    left_out[HIDDEN] += len(paths) - len(kept)
    check_count(len(kept))
    check_size(sum(path.stat().st_size for path in kept), limit)
    for path in kept:
        yield path.name, path.read_bytes()


def folder_paths(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; hidden folders are not entered, and links to folders are not followed."""
    found: list[Path] = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [path for name in files if (path := Path(here, name)).is_file()]
    return sorted(found)


def check_count(count: int, limit: int = MAX_CORPUS_FILES) -> None:
    """Raises CorpusError if a corpus cannot have so many files."""
    if count > limit:
        raise CorpusError(
            N_("{count} files are too many; a corpus may have {limit}. Join some of them."),
            count=count,
            limit=MAX_CORPUS_FILES,
        )


def check_size(size: int, limit: int) -> None:
    """Raises CorpusError if `size` bytes are more than `limit`."""
    if size > limit:
        raise CorpusError(
            N_("The text is too large: {size} MB, and {limit} MB are allowed. Take a part of it."),
            size=f"{size / 1e6:.1f}",
            limit=f"{limit / 1e6:g}",
        )


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any((part.startswith(".") and part != "..") or part in ("__MACOSX", "__pycache__") for part in parts)


def _true_name(entry: zipfile.ZipInfo) -> str:
    """Archives from before UTF-8 hold names in the encoding of some computer, which Python reads as cp437."""
    if entry.flag_bits & 0x800 or entry.filename.isascii():
        return entry.filename
    data = entry.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename
