"""A person's own pairs, from the first two columns of a .csv or .tsv: the source, then the target."""

from pathlib import Path, PurePosixPath

from lmviz.corpora.containers import check_size
from lmviz.corpora.labels import clean, file_name
from lmviz.corpora.rows import fields_of
from lmviz.corpora.text_encoding import decode
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_PAIR_CHARACTERS, MAX_PAIRS, MAX_UPLOAD_BYTES, MIN_PAIRS

SUFFIXES = (".csv", ".tsv")
_HEADERS = (
    frozenset(
        (
            "source", "src", "input", "from", "question", "prompt", "original", "x",
            "target", "tgt", "output", "to", "answer", "response", "translation", "y",
            "en", "zh", "de", "fr", "es", "ru", "ja", "english", "chinese", "german", "french", "spanish", "russian",
            "japanese",
        )
    ),
    frozenset(
        (
            "源", "源文", "原文", "来源", "输入", "问题", "英文", "英语", "目标", "目标文", "译文", "输出", "答案",
            "回答", "翻译", "中文", "汉语",
        )
    ),
)  # fmt: skip
"""What columns of pairs are called, in lower case. A first row of two such names in one language is a header; of two
languages it may be the first pair of a dictionary."""


def read_pairs(name: str, data: bytes, encoding: str | None = None) -> tuple[tuple[tuple[str, str], ...], str]:
    """(pairs, encoding): every row once, white space in it as single spaces, and the encoding that it was in.

    Args:
        name: of the file; its ending says what it is.
        data: all of it.
        encoding: None finds it out.

    Raises:
        CorpusError: no table, too large, too few or too many pairs, or a row that is no pair (its line is named).
    """
    name = file_name(name)
    if PurePosixPath(name).suffix.lower() not in SUFFIXES:
        raise CorpusError(
            N_("{name} is no table. Save the pairs as a .csv or .tsv file, a source and its target in every row."),
            name=name,
        )
    check_size(len(data), MAX_UPLOAD_BYTES)
    text, used = decode(data, encoding, name=name)
    pairs: dict[tuple[str, str], None] = {}
    for number, (line, fields) in enumerate(fields_of(name, text)):
        sides = [" ".join(field.split()) for field in fields[:2]]
        if not any(sides) or (number == 0 and _is_header(sides)):
            continue
        pairs[_pair(name, number, line, sides)] = None
        if len(pairs) > MAX_PAIRS:
            raise CorpusError(
                N_("{name} has more than {limit:,} pairs. Take a part of it."), name=name, limit=MAX_PAIRS
            )
    if len(pairs) < MIN_PAIRS:
        raise CorpusError(
            N_("{name} has {count} different pairs; at least {limit} are needed. Add more rows."),
            name=name, count=len(pairs), limit=MIN_PAIRS,
        )  # fmt: skip
    return tuple(pairs), used


def read_file(path: Path) -> bytes:
    """All of a file that may be a table of pairs.

    Raises:
        CorpusError: there is none, it is too large, or it cannot be read.
    """
    try:
        if not path.is_file():
            raise CorpusError(
                N_("There is no file {path}. Give the path of a .csv or .tsv file."), path=clean(str(path))
            )
        check_size(path.stat().st_size, MAX_UPLOAD_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(
            N_("The file {path} cannot be read. Check its permissions."), path=clean(str(path))
        ) from error


def _is_header(sides: list[str]) -> bool:
    found = {side.lower() for side in sides}
    return len(found) == 2 and any(found <= known for known in _HEADERS)


def _pair(name: str, number: int, line: int, sides: list[str]) -> tuple[str, str]:
    if len(sides) < 2 and number == 0:
        raise CorpusError(
            N_(
                "{name} has one column, but pairs need two. Write the source and the target of every row with a comma"
                " between them, or a tab in a .tsv."
            ),
            name=name,
        )
    source, target = (*sides, "")[:2]
    if not source or not target:
        raise CorpusError(
            N_("Line {line} of {name} has only one side of a pair. Write the other one, or take the line out."),
            name=name, line=line,
        )  # fmt: skip
    longest = max(len(source), len(target))
    if longest > MAX_PAIR_CHARACTERS:
        raise CorpusError(
            N_(
                "Line {line} of {name} has a text of {count} characters; {limit} are allowed. Shorten it, or take the"
                " line out."
            ),
            name=name, line=line, count=longest, limit=MAX_PAIR_CHARACTERS,
        )  # fmt: skip
    return source, target
