"""Side by side: what was measured of the texts, as a table and as a file. No Streamlit."""

import csv
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmviz.errors import N_
from lmviz.ui.i18n import _

HYPHEN = "\u2011"
"""At which no line is broken."""


@dataclass(frozen=True)
class Column:
    """A measure."""

    key: str
    name: str
    show: Callable[[Any], str]
    best: Callable[[Sequence[float]], float] | None = None
    """The better of its values; None if neither more nor less is better."""


COLUMNS = (
    Column("perplexity", N_("perplexity"), "{:.2f}".format),
    Column("logprob", N_("log-probability, nats"), "{:.1f}".format),
    Column("distinct_1", N_("distinct-1"), "{:.2f}".format, max),
    Column("distinct_2", N_("distinct-2"), "{:.2f}".format, max),
    Column("repeated", N_("longest repeat, characters"), "{:,}".format, min),
    Column("copied", N_("copied"), "{:.0%}".format, min),
    Column("count", N_("tokens"), "{:,}".format),
    Column("seconds", N_("seconds"), "{:.2f}".format),
    Column("tokens_per_second", N_("tokens/s"), "{:,.0f}".format),
)


def table_html(titles: Sequence[str], sides: Sequence[Mapping[str, Any]], *, judged: bool) -> str:
    """A row a text; what is not measured yet, or cannot be, is a dash. judged: the best values stand out."""
    names = [html.escape(_(column.name)).replace("-", HYPHEN) for column in COLUMNS]
    heads = "".join(f"<th>{name}</th>" for name in names)
    best = {column.key: _best(column, sides) for column in COLUMNS} if judged else {}
    rows = []
    for title, side in zip(titles, sides, strict=True):
        cells = []
        for column in COLUMNS:
            value = side.get(column.key)
            words = "–" if value is None else html.escape(column.show(value))
            mark = ' class="best"' if value is not None and value == best.get(column.key) else ""
            cells.append(f"<td{mark}>{words}</td>")
        rows.append(f"<tr><th>{html.escape(title)}</th>{''.join(cells)}</tr>")
    return f'<div class="sides-box"><table class="sides"><tr><th></th>{heads}</tr>{"".join(rows)}</table></div>'


def _best(column: Column, sides: Sequence[Mapping[str, Any]]) -> float | None:
    """None where nothing is better than the rest."""
    values = [value for side in sides if (value := side.get(column.key)) is not None]
    if column.best is None or len(set(values)) < 2:
        return None
    return column.best(values)


def as_csv(titles: Sequence[str], sides: Sequence[Mapping[str, Any]], prompt: str) -> str:
    """A line a text, with all that was measured to all digits, the model, its moment, and the text."""
    file = io.StringIO()
    writer = csv.writer(file)
    names = [column.key for column in COLUMNS]
    writer.writerow(["name", "run", "step", *names, "entropy", "copied_from_characters", "prompt", "text"])
    for title, side in zip(titles, sides, strict=True):
        measures = ["" if side[name] is None else side[name] for name in names]
        writer.writerow([
            _plain(title), side["run"], side["step"], *measures, side["entropy"], side["span"], _plain(prompt),
            _plain(side["text"]),
        ])  # fmt: skip
    return file.getvalue()


def _plain(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
