"""The text of one column of a table. How rows are read from .csv, .tsv, .jsonl and .json: lmviz.corpora.rows.

Rows become documents only if they are long: a table of short rows (verses, messages, reviews) is one document with a
row a line, because a <begin> and an <end> around every few words would be a large share of what a model reads.
The table is read twice, first to look at its columns, then for one of them, so that no more than that is ever held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from lmviz.corpora.labels import clean
from lmviz.corpora.rows import TEXT, NoRowsError, Rows, rows_of
from lmviz.corpora.text_encoding import NotTextError, tidy
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_CORPUS_FILES

ROW_DOCUMENT = 1000
"""Characters that the rows must have on average to be documents of their own."""
_NAMED = 20
_LOOKED_AT = 1_000_000
"""Characters of a column in which letters are counted."""
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Table:
    """One column of a table."""

    columns: tuple[str, ...]
    column: str
    documents: tuple[str, ...]


@dataclass
class _Column:
    """What is known of a column after the first reading."""

    rows: int = 0
    """Those that are not blank."""
    characters: int = 0
    letters: int = 0
    several_lines: bool = False

    def add(self, text: str) -> None:
        if not text.strip():
            return
        self.rows += 1
        if self.characters < _LOOKED_AT:
            self.letters += sum(map(str.isalpha, text[:_LOOKED_AT]))
        self.characters += len(text)
        self.several_lines = self.several_lines or "\n" in text.strip()


def read_table(name: str, text: str, column: str | None = None) -> Table | None:
    """The documents of a column; None for a .json that does not hold rows, which is then a plain text.

    Args:
        name: of the file; its ending says what it is.
        column: None takes `text`, or the column with the most letters.

    Raises:
        CorpusError: the table is broken (the line is named), or has no such column.
        NotTextError: no column has a letter in it.
    """
    columns: dict[str, _Column] = {}
    try:
        rows = rows_of(name, text)
        for row in rows():
            for key, value in row.items():
                columns.setdefault(key, _Column()).add(value)
    except NoRowsError:
        return None
    taken = _choose(name, columns, column)
    documents = _documents(rows, taken, columns[taken])
    return Table(tuple(columns), taken, tuple(tidy(document, name) for document in documents))


def _choose(name: str, columns: dict[str, _Column], column: str | None) -> str:
    if column is not None and column not in columns:
        raise CorpusError(
            N_("{name} has no column {column}. Take one of these: {known}."),
            name=name, column=clean(column), known=_some(columns),
        )  # fmt: skip
    if not any(known.letters for known in columns.values()):
        raise NotTextError(N_("{name} has no column with text in it. Add a table with texts."), name=name)
    if column is None:
        has_text = TEXT in columns and columns[TEXT].letters
        column = TEXT if has_text else max(columns, key=lambda key: columns[key].letters)
    if not columns[column].letters:
        raise CorpusError(
            N_("The column {column} of {name} has no text in it. Take one of these: {known}."),
            name=name, column=clean(column), known=_some(key for key in columns if columns[key].letters),
        )  # fmt: skip
    return column


def _some(columns: Iterable[str]) -> str:
    """Names for a sentence; a table may have hundreds."""
    first = [clean(column) for column in islice(columns, _NAMED + 1)]
    return ", ".join(first[:_NAMED]) + (", ..." if len(first) > _NAMED else "")


def _documents(rows: Rows, column: str, known: _Column) -> Iterator[str]:
    """Long rows one by one, short ones together; rows of several lines with a blank line between them."""
    texts = (text for row in rows() if (text := row.get(column, "")).strip())
    if known.rows <= MAX_CORPUS_FILES and known.characters >= ROW_DOCUMENT * known.rows:
        yield from texts
        return
    between = "\n\n" if known.several_lines else "\n"
    parts = []
    while some := between.join(text.strip("\n") for text in islice(texts, _ROWS_AT_ONCE)):
        parts.append(some)  # a few long strings take much less memory than a million short ones
    yield between.join(parts) + "\n"
