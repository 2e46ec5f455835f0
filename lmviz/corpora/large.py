"""Texts too large to be held in memory: read from their files in pieces, again each time. No torch.

What takes long is done in turns (lmviz.turns). Facts about a text are kept a process; a file that was changed since is
another text.
"""

import codecs
import hashlib
import io
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from lmviz.corpora.corpus import training_characters
from lmviz.corpora.facts import Facts
from lmviz.corpora.survey import Survey, known_survey, refuse_what_is_no_text, survey_of
from lmviz.corpora.text_encoding import not_text, refuse_known_formats
from lmviz.errors import N_, CorpusError
from lmviz.pieces import whole_tokens
from lmviz.turns import Result, Show, Turns, finish, ignore

PIECE_BYTES = 1 << 20
"""Bytes read at once."""
SMALL_PIECE = 1 << 16
"""Characters cut into words or byte pairs at once, which takes longer."""
KEPT = 16
"""Texts whose facts are kept."""


@dataclass(frozen=True)
class File:
    """A document in a file of its own, and what tells that it was changed."""

    path: Path
    size: int
    modified: int

    @classmethod
    def at(cls, path: Path) -> "File":
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class LargeCorpus:
    """A text in files of UTF-8; `Corpus` says what the labels are."""

    name: str
    title: str
    description: str
    source: str
    licence: str
    files: tuple[File, ...]
    about: str = ""
    """corpus.json as text, of an added corpus: its texts need no byte order mark and no line end mended."""
    encoding: str | None = "utf-8"

    def documents(self) -> Iterator[Iterator[str]]:
        """Each document as an iterator over its pieces, as `Corpus` would have it: one kind of line end, no mark.

        Raises:
            CorpusError: a file is gone, cannot be read, or is not UTF-8.
        """
        for file in self.files:
            yield self._pieces(file)

    def _pieces(self, file: File) -> Iterator[str]:
        codec = "utf-8" if self.about else "utf-8-sig"
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)(), translate=not self.about)
        try:
            for data in _read(file.path):
                if text := decoder.decode(data):
                    yield text
            if text := decoder.decode(b"", final=True):
                yield text
        except UnicodeDecodeError:
            raise CorpusError(
                N_(
                    "{name} is a large file and not UTF-8. A file of this size is read from where it lies: save it as"
                    " UTF-8, or add it with `lmviz corpora add`."
                ),
                name=file.path.name,
            ) from None

    def parts(self, border: int) -> Iterator[tuple[tuple[bool, int], str]]:
        """((whether for validation, number of the document), piece): the split of `Corpus.split`, in pieces."""
        left = border
        for number, pieces in enumerate(self.documents()):
            for piece in pieces:
                if head := piece[:left]:
                    yield (False, number), head
                if tail := piece[left:]:
                    yield (True, number), tail
                left -= len(head)

    def grouped(self, border: int, *, whole: bool) -> Iterator[tuple[tuple[bool, int], Iterator[str]]]:
        """As `parts`, all pieces of a part of a document together; `whole`: small ones that cut no token in two."""
        for key, group in groupby(self.parts(border), itemgetter(0)):
            pieces = map(itemgetter(1), group)
            yield key, whole_tokens(small for piece in pieces for small in _small(piece)) if whole else pieces

    def sample(self, border: int, characters: int) -> Iterator[str]:
        """About so many characters of the training part, in pieces spread evenly over it: all of it if it has less."""
        taken = seen = 0
        for (validation, _), pieces in self.grouped(border, whole=True):
            if validation:
                return
            for piece in pieces:
                seen += len(piece)
                if taken * border < seen * characters:
                    taken += len(piece)
                    yield piece

    def beginning(self, characters: int) -> str:
        """So many characters of the first document that has any."""
        for pieces in self.documents():
            text = ""
            for piece in pieces:
                text += piece
                if len(text) >= characters:
                    break
            if text:
                return text[:characters]
        return ""

    def border(self, validation_fraction: float) -> int:
        """Characters for training; looks at the whole text unless its length is known."""
        return training_characters(self.characters, validation_fraction, self.title)

    @property
    def characters(self) -> int:
        return self.survey.characters

    @property
    def fingerprint(self) -> str:
        """As of the `Corpus` with the same documents."""
        return finish(self.fingerprinting())

    @property
    def survey(self) -> Survey:
        return finish(self.surveying())

    def fingerprinting(self, show: Show = ignore) -> Turns[str]:
        """Turns that return the fingerprint."""
        return (yield from _kept(_fingerprints, self.files, self._fingerprint(show)))

    def surveying(self, show: Show = ignore) -> Turns[Survey]:
        """Turns that return the survey; corpus.json may know it already."""
        return (yield from _kept(_surveys, self.files, self._survey(show)))

    def check_beginning(self) -> None:
        """Raises CorpusError for what can be told from the first piece: another encoding is said before training."""
        for file, pieces in zip(self.files, self.documents(), strict=True):
            refuse_known_formats(next(_read(file.path), b""), file.path.name)
            if "\0" in next(pieces, ""):
                raise not_text(file.path.name)

    def check_unchanged(self) -> None:
        """Raises CorpusError if a file is not what it was when this corpus was opened."""
        try:
            same = all(File.at(file.path) == file for file in self.files)
        except OSError:
            same = False
        if not same:
            raise CorpusError(
                N_("The text {name} was changed while it was read. Leave its file alone, then start again."),
                name=self.title,
            )

    @cached_property
    def size(self) -> int:
        """Bytes in the files."""
        return sum(file.size for file in self.files)

    def _fingerprint(self, show: Show) -> Turns[str]:
        digest = hashlib.sha256()
        done = 0
        for file, pieces in zip(self.files, self.documents(), strict=True):
            size = file.size if self.about else (yield from _normal_size(file.path))
            digest.update(size.to_bytes(8, "big"))
            same = size == file.size  # nothing to mend in it: no need to decode it
            for data in _read(file.path) if same else (piece.encode() for piece in pieces):
                digest.update(data)
                done += len(data)
                show(min(1.0, done / self.size))
                yield None
        self.check_unchanged()
        return digest.hexdigest()

    def _survey(self, show: Show) -> Turns[Survey]:
        known = known_survey(self.about)
        if known:
            return known
        facts = Facts()
        for number, pieces in enumerate(self.documents()):
            done = sum(file.size for file in self.files[:number])
            facts.begin_document()
            for piece in pieces:
                facts.add(piece)
                done += len(piece)  # at most its bytes
                show(done / self.size)
                yield None
        self.check_unchanged()
        refuse_what_is_no_text(facts, self.title)
        return survey_of(facts)


_fingerprints: dict[Hashable, str] = {}
_surveys: dict[Hashable, Survey] = {}


def _kept(known: dict[Hashable, Result], key: Hashable, turns: Turns[Result]) -> Turns[Result]:
    """What the turns return, at once if they were taken before."""
    if key not in known:
        result = yield from turns
        known[key] = result
        while len(known) > KEPT:
            del known[next(iter(known))]
    return known[key]


def _small(piece: str) -> Iterator[str]:
    return (piece[i : i + SMALL_PIECE] for i in range(0, len(piece), SMALL_PIECE))


def _read(path: Path) -> Iterator[bytes]:
    """Raises CorpusError if the file cannot be read."""
    try:
        with path.open("rb") as stream:
            while data := stream.read(PIECE_BYTES):
                yield data
    except OSError as error:
        raise CorpusError(N_("The file {path} cannot be read. Check its permissions."), path=str(path)) from error


def _normal_size(path: Path) -> Turns[int]:
    """Bytes of a file without its byte order mark and with one byte for a line end."""
    size = 0
    last = b""
    for data in _read(path):
        mark = len(codecs.BOM_UTF8) if not last and data.startswith(codecs.BOM_UTF8) else 0
        cut_in_two = last == b"\r" and data.startswith(b"\n")
        size += len(data) - mark - data.count(b"\r\n") - cut_in_two
        last = data[-1:]
        yield None
    return size
