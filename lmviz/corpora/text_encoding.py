"""From the bytes of a file to text. It never guesses in silence: the encoding it took is part of the answer."""

import codecs
import unicodedata

from lmviz.corpora.guessing import likeliest
from lmviz.corpora.labels import clean
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_CONTROL_SHARE

ENCODINGS: tuple[str, ...] = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii", "gb18030", "gbk", "gb2312", "big5", "big5hkscs",
    "shift_jis", "cp932", "euc_jp", "iso2022_jp", "euc_kr", "cp949", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254",
    "koi8-r", "latin-1", "iso8859-2", "iso8859-15", "mac-roman",
)  # fmt: skip
"""Encodings that a person may name; aliases of them are welcome."""

_BOMS = (  # UTF-32's begins with UTF-16's, so it is looked for first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP, DOCX, XLSX, EPUB"),
    (b"\xd0\xcf\x11\xe0", "DOC, XLS"),
    (b"\x1f\x8b", "GZIP"),
)
_PLAIN_CONTROLS = frozenset("\t\n\v\f\r")
_CONTROLS = bytes(code for code in range(32) if chr(code) not in _PLAIN_CONTROLS)


class NotTextError(CorpusError):
    """A file that holds something else than text. Among many files it is left out."""


class EmptyTextError(CorpusError):
    """A file with nothing in it. Among many files it is left out."""


def decode(data: bytes, encoding: str | None = None, *, name: str = "text") -> tuple[str, str]:
    r"""(text, encoding): the text with \n as its only line end, and Python's name of the encoding it was in.

    Without `encoding`: a byte order mark decides, then UTF-8, then UTF-16 without a mark (known by its zero bytes),
    then the likeliest of some others (lmviz.corpora.guessing). `name` is how errors call the file.

    Raises:
        EmptyTextError, NotTextError: there is no text in it.
        CorpusError: an unknown encoding, or bytes that do not fit the encoding.
    """
    refuse_known_formats(data, name)
    text, used = _decode_as(data, encoding, name) if encoding else _decode_unnamed(data, name)
    return tidy(text, name), used


def refuse_known_formats(data: bytes, name: str) -> None:
    """Raises CorpusError if a file that begins like this is a picture, an archive or the like."""
    kind = next((kind for start, kind in _SIGNATURES if data.startswith(start)), None)
    if kind:
        raise NotTextError(
            N_("{name} is not a text file but looks like {kind}. Save its text as a .txt file and add that."),
            name=name,
            kind=kind,
        )


def tidy(text: str, name: str) -> str:
    r"""The text without a byte order mark and with \n as its only line end.

    Raises:
        EmptyTextError: nothing but white space.
        NotTextError: too many control characters.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise empty(name)
    controls = [c for c in set(text) if is_control(c)]
    if "\0" in controls or sum(map(text.count, controls)) > MAX_CONTROL_SHARE * len(text):
        raise not_text(name)
    return text


def is_control(character: str) -> bool:
    """A control character that does not belong into text."""
    return unicodedata.category(character) == "Cc" and character not in _PLAIN_CONTROLS


def codec_name(encoding: str) -> str:
    """Python's name of one of ENCODINGS.

    Raises:
        CorpusError: there is no such encoding.
    """
    try:
        codec = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in {codecs.lookup(known).name for known in ENCODINGS}:
        raise CorpusError(
            N_("There is no text encoding {encoding}. Take one of these: {known}."),
            encoding=clean(encoding),
            known=", ".join(ENCODINGS),
        )
    return codec


def _decode_as(data: bytes, encoding: str, name: str) -> tuple[str, str]:
    codec = codec_name(encoding)
    try:
        return data.decode(codec), codec
    except UnicodeError as error:
        raise CorpusError(
            N_("{name} is not in the encoding {encoding}. Choose another encoding, or let lmviz find it out."),
            name=name,
            encoding=encoding,
        ) from error


def _decode_unnamed(data: bytes, name: str) -> tuple[str, str]:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decode_as(data, encoding, name)
    if 0 in data:
        return _decode_with_zeros(data, name)
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _guess(data, name)


def _decode_with_zeros(data: bytes, name: str) -> tuple[str, str]:
    """UTF-16 without a mark, or nothing: the high bytes of a text are fewer different ones than the low bytes."""
    low_first = (len(set(data[1::2])), -data[1::2].count(0))
    high_first = (len(set(data[0::2])), -data[0::2].count(0))
    orders = ("utf-16-le", "utf-16-be") if low_first < high_first else ("utf-16-be", "utf-16-le")
    for encoding in () if _is_bytes_with_zeros(data) else orders:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        unknown = any(unicodedata.category(c) in ("Cn", "Co") for c in set(text))
        if not unknown and "\0" not in text and any(" " <= c <= "~" or c == "\n" for c in text):
            return text, encoding
    raise not_text(name)


def _is_bytes_with_zeros(data: bytes) -> bool:
    """UTF-8 with a few stray zeros, which would be Chinese in UTF-16. Cyrillic in UTF-16 is full of other controls."""
    controls = len(data) - data.count(0) - len(data.translate(None, _CONTROLS))
    return data.count(0) < len(data) / 4 and controls < len(data) / 4 and _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _guess(data: bytes, name: str) -> tuple[str, str]:
    """The likeliest encoding that has all of these bytes."""
    for encoding in likeliest(data):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise NotTextError(
        N_("The encoding of {name} cannot be told. Name it, or save the file as UTF-8."),
        name=name,
    )


def empty(name: str) -> EmptyTextError:
    """The error that says a file has nothing in it."""
    return EmptyTextError(N_("{name} is empty. Add a file with text in it."), name=name)


def not_text(name: str) -> NotTextError:
    """The error that says a file is not text."""
    return NotTextError(
        N_("{name} is not a text file: it holds binary data. Save its text as a .txt file and add that."), name=name
    )
