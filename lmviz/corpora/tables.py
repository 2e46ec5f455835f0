"""The text of one column of a table: .csv, .tsv, .jsonl, and .json that holds rows.

Rows become documents only if they are long: a table of short rows (verses, messages, reviews) is one document with a
row a line, because a <begin> and an <end> around every few words would be a large share of what a model reads.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from lmviz.corpora.text_encoding import NotTextError, tidy
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_CORPUS_FILES, MAX_WHOLE_BYTES

ROW_DOCUMENT = 1000
"""Characters that the rows must have on average to be documents of their own."""
TEXT = "text"
"""The column that is taken if nobody names one, and what rows without columns are called."""
_NAMED = 20
_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"  # a table of one column has none, and its text may well have commas

csv.field_size_limit(MAX_WHOLE_BYTES)  # Python's own limit refuses documents of 128 kB


@dataclass(frozen=True)
class Table:
    """One column of a table."""

    columns: tuple[str, ...]
    column: str
    documents: tuple[str, ...]


def is_table(name: str) -> bool:
    """Whether a file is one by its name; a .json may still turn out to be none."""
    return PurePosixPath(name).suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson", ".json")


def read_table(name: str, text: str, column: str | None = None) -> Table | None:
    """The documents of a column; None for a .json that does not hold rows, which is then a plain text.

    Args:
        name: of the file; its ending says what it is.
        column: None takes `text`, or the column with the most letters.

    Raises:
        CorpusError: the table is broken (the line is named), or has no such column.
        NotTextError: no column has a letter in it.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in (".csv", ".tsv"):
        values = _from_csv(name, text, "\t" if suffix == ".tsv" else _delimiter(text))
    elif suffix == ".json":
        rows = _json_rows(name, text)
        if rows is None:
            return None
        values = _by_column(rows)
    else:
        values = _by_column(list(_json_lines(name, text)))
    taken = _choose(name, values, column)
    return Table(tuple(values), taken, tuple(tidy(document, name) for document in _documents(values[taken])))


def _delimiter(text: str) -> str:
    """The one that cuts most of the first rows into as many fields as the header."""
    head = text[:100_000].split("\n")[:200]

    def agreement(delimiter: str) -> int:
        rows = [row for row in islice(csv.reader(head, delimiter=delimiter), 50) if row]
        return sum(len(row) == len(rows[0]) for row in rows) if rows and len(rows[0]) > 1 else 0

    best = max(_DELIMITERS, key=agreement)
    return best if agreement(best) else _NO_DELIMITER


def _from_csv(name: str, text: str, delimiter: str) -> dict[str, list[str]]:
    """Column -> its fields that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = (row for row in reader if row)
        names = [field.strip() or f"column {i}" for i, field in enumerate(next(rows), 1)]
        values: dict[str, list[str]] = {field: [] for field in names}
        for row in rows:
            if len(row) > len(names):
                raise CorpusError(
                    N_("{name} is broken: line {line} has {count} fields, but there are {columns} columns. Mend it."),
                    name=name, line=reader.line_num, count=len(row), columns=len(names),
                )  # fmt: skip
            for field, value in zip(names, row, strict=False):
                if value.strip():
                    values[field].append(value)
    except csv.Error as error:
        raise CorpusError(
            N_("{name} is broken: line {line} cannot be read ({reason}). Mend it."),
            name=name, line=reader.line_num, reason=str(error),
        ) from error  # fmt: skip
    return values


def _json_rows(name: str, text: str) -> list[Any] | None:
    """The rows of a .json: a list, or lines whose first one is an object by itself."""
    if text.lstrip().startswith("["):
        rows = _parse(name, text, 1)
        return rows if all(isinstance(row, str | dict) for row in rows) else None
    try:
        first = json.loads(text.lstrip().partition("\n")[0])
    except (ValueError, RecursionError):
        return None
    return list(_json_lines(name, text)) if isinstance(first, dict) else None


def _json_lines(name: str, text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _parse(name, line, number)
            if not isinstance(row, str | dict):
                raise CorpusError(
                    N_("{name} is broken: line {line} is neither an object nor a text. Mend it."),
                    name=name,
                    line=number,
                )
            yield row


def _parse(name: str, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        inner = error.lineno - 1 if isinstance(error, json.JSONDecodeError) else 0
        raise CorpusError(
            N_("{name} is broken: line {line} cannot be read ({reason}). Mend it."),
            name=name, line=line + inner, reason=getattr(error, "msg", str(error)),
        ) from error  # fmt: skip


def _by_column(rows: Sequence[Any]) -> dict[str, list[str]]:
    """Column -> its texts that are not blank, columns in the order in which they are first seen."""
    values: dict[str, list[str]] = {}
    for row in rows:
        for column, value in (row if isinstance(row, dict) else {TEXT: row}).items():
            texts = values.setdefault(_whole(column), [])
            text = _text(value)
            if text.strip():
                texts.append(text)
    return values


def _text(value: Any) -> str:
    """A text, or the lines of a list of texts; numbers and objects are none."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    return _whole(value) if isinstance(value, str) else ""


def _whole(text: str) -> str:
    """JSON can spell half of a character (a lone surrogate), which no file can hold: a question mark instead."""
    return text.encode("utf-8", "replace").decode()


def _choose(name: str, values: dict[str, list[str]], column: str | None) -> str:
    letters = {key: sum(map(str.isalpha, "".join(value[:10_000])[:1_000_000])) for key, value in values.items()}
    if column is not None and column not in values:
        raise CorpusError(
            N_("{name} has no column {column}. Take one of these: {known}."),
            name=name, column=column, known=_some(values),
        )  # fmt: skip
    if not any(letters.values()):
        raise NotTextError(N_("{name} has no column with text in it. Add a table with texts."), name=name)
    best = column if column is not None else TEXT if letters.get(TEXT) else max(letters, key=letters.__getitem__)
    if not letters[best]:
        raise CorpusError(
            N_("The column {column} of {name} has no text in it. Take one of these: {known}."),
            name=name, column=best, known=_some(key for key in values if letters[key]),
        )  # fmt: skip
    return best


def _some(columns: Iterable[str]) -> str:
    """Names for a sentence; a table may have hundreds."""
    first = list(islice(columns, _NAMED + 1))
    return ", ".join(first[:_NAMED]) + (", ..." if len(first) > _NAMED else "")


def _documents(texts: list[str]) -> list[str]:
    """Long rows one by one, short ones together; rows of several lines with a blank line between them."""
    if len(texts) <= MAX_CORPUS_FILES and sum(map(len, texts)) >= ROW_DOCUMENT * len(texts):
        return texts
    several_lines = any("\n" in text.strip() for text in texts)
    return [("\n\n" if several_lines else "\n").join(text.strip("\n") for text in texts) + "\n"]
