"""The rows of a table, one after the other: .csv, .tsv, .jsonl, and .json that holds rows. Nothing is kept of them."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_WHOLE_BYTES

TEXT = "text"
"""What the column of rows without columns is called."""
Rows = Callable[[], Iterator[dict[str, str]]]
"""Begins again at each call. Column -> text of each row; what is no text is empty."""
_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"  # a table of one column has none, and its text may well have commas
_SPACE = re.compile(r"[ \t\n\r]*")

csv.field_size_limit(MAX_WHOLE_BYTES)  # Python's own limit refuses documents of 128 kB


class NoRowsError(Exception):
    """A .json that holds something else."""


def is_table(name: str) -> bool:
    """Whether a file is one by its name; a .json may still turn out to be none."""
    return PurePosixPath(name).suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson", ".json")


def rows_of(name: str, text: str) -> Rows:
    """The rows of a file; its ending says what it is. They raise CorpusError where it is broken.

    Raises:
        NoRowsError: here or among the rows, a .json that is a plain text.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return partial(_csv_rows, name, text, _dialect(suffix, text))
    if suffix == ".json" and text.lstrip().startswith("["):
        return partial(_json_rows, lambda: _json_list(name, text))
    if suffix == ".json" and not _begins_with_object(text):
        raise NoRowsError
    return partial(_json_rows, lambda: _json_lines(name, text))


def fields_of(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of every row of a .csv or .tsv that is not empty, a header like any other row.

    Raises:
        CorpusError: among the rows, where the table is broken.
    """
    return _csv_fields(name, text, _dialect(PurePosixPath(name).suffix.lower(), text))


def _dialect(suffix: str, text: str) -> dict[str, Any]:
    delimiter = "\t" if suffix == ".tsv" else _delimiter(text)
    return {"delimiter": delimiter, **_quotes(text, delimiter)}


def _lines(text: str) -> Iterator[str]:
    """With their ends; `split` would hold all of them."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _delimiter(text: str) -> str:
    """The one that cuts most of the first rows into as many fields as the header."""
    head = text[:100_000].split("\n")[:200]

    def agreement(delimiter: str) -> int:
        rows = [row for row in islice(csv.reader(head, delimiter=delimiter), 50) if row]
        return sum(len(row) == len(rows[0]) for row in rows) if rows and len(rows[0]) > 1 else 0

    best = max(_DELIMITERS, key=agreement)
    return best if agreement(best) else _NO_DELIMITER


def _quotes(text: str, delimiter: str) -> dict[str, Any]:
    """What quotation marks are: around fields if all of them can be. If not, a .tsv has none, others are lenient.

    A mark that is never closed stays an error there: the rest of the file would be one field.
    """
    try:
        for _ in csv.reader(_lines(text), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if delimiter == "\t":
            return {"quoting": csv.QUOTE_NONE}
        if "end of data" not in str(error):
            return {}
    return {"strict": True}


def _csv_rows(name: str, text: str, dialect: dict[str, Any]) -> Iterator[dict[str, str]]:
    rows = _csv_fields(name, text, dialect)
    names = _numbered([field.strip() or f"column {i}" for i, field in enumerate(next(rows)[1], 1)])
    yield dict.fromkeys(names, "")  # a table without rows has columns
    for line, row in rows:
        if len(row) > len(names):
            raise CorpusError(
                N_(
                    "{name} is broken: line {line} has {count} fields, but there are {columns} columns. Put"
                    " quotation marks around fields that have a {delimiter} in them, or save it as .jsonl."
                ),
                name=name, line=line, count=len(row), columns=len(names),
                delimiter={"\t": "tab"}.get(dialect["delimiter"], dialect["delimiter"]),
            )  # fmt: skip
        yield dict(zip(names, row, strict=False))


def _csv_fields(name: str, text: str, dialect: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(text), **dialect)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise CorpusError(
            N_(
                "{name} is broken: line {line} cannot be read ({reason}). Close its quotation marks; inside a field"
                " they are written twice."
            ),
            name=name, line=reader.line_num, reason=str(error),
        ) from error  # fmt: skip


def _numbered(names: list[str]) -> list[str]:
    """Of two columns with one name the second gets a number."""
    found: dict[str, None] = {}
    seen: Counter[str] = Counter()
    for name in names:
        free = name
        while free in found:
            seen[name] += 1
            free = f"{name} {seen[name] + 1}"
        found[free] = None
    return list(found)


def _begins_with_object(text: str) -> bool:
    """Whether the first line is an object by itself."""
    try:
        return isinstance(json.loads(text.lstrip().partition("\n")[0]), dict)
    except (ValueError, RecursionError):
        return False


def _json_rows(items: Callable[[], Iterator[Any]]) -> Iterator[dict[str, str]]:
    for item in items():
        row = item if isinstance(item, dict) else {TEXT: item}
        yield {_whole(column): _text(value) for column, value in row.items()}


def _json_lines(name: str, text: str) -> Iterator[Any]:
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _broken(name, number, error) from error
        if not isinstance(item, str | dict):
            raise CorpusError(
                N_("{name} is broken: line {line} is neither an object nor a text. Mend it."), name=name, line=number
            )
        yield item


def _json_list(name: str, text: str) -> Iterator[Any]:
    """The items of a list, each read by itself."""
    decode = json.JSONDecoder().raw_decode
    place = _after_space(text, text.index("[") + 1)
    more = text[place : place + 1] != "]"
    while more:
        try:
            item, place = decode(text, place)
            place = _after_space(text, place)
            if text[place : place + 1] not in (",", "]"):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else text.count("\n", 0, place) + 1
            raise _broken(name, line, error) from error
        if not isinstance(item, str | dict):
            raise NoRowsError
        yield item
        more = text[place] == ","
        place = _after_space(text, place + 1)


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None  # it matches nothing, too
    return found.end()


def _broken(name: str, line: int, error: Exception) -> CorpusError:
    return CorpusError(
        N_("{name} is broken: line {line} cannot be read ({reason}). Mend it."),
        name=name, line=line, reason=getattr(error, "msg", str(error)),
    )  # fmt: skip


def _text(value: Any) -> str:
    """A text, or the lines of a list of texts; numbers and objects are none."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    return _whole(value) if isinstance(value, str) else ""


def _whole(text: str) -> str:
    """JSON can spell half of a character (a lone surrogate), which no file can hold: a question mark instead."""
    return text.encode("utf-8", "replace").decode()
