"""What the command line does with texts."""

import sys
from pathlib import Path
from typing import Any

from lmviz.config import LABELLED, CorpusConfig
from lmviz.corpora.adding import add_path
from lmviz.corpora.catalog import FETCHABLE
from lmviz.corpora.fetch import fetch
from lmviz.corpora.labels import clean
from lmviz.corpora.pairs import list_pairs, pair_set
from lmviz.corpora.store import data_dir, is_text_path, list_corpora, load_corpus, read_about
from lmviz.errors import N_, CorpusError


def usable_corpus(corpus: CorpusConfig) -> CorpusConfig:
    """The same text; a path is made whole, so that a run can go on from another folder.

    Raises:
        CorpusError: the text cannot be used.
    """
    if corpus.is_task or corpus.name in LABELLED:
        return corpus
    load_corpus(corpus.name, column=corpus.column, encoding=corpus.encoding)
    if corpus.name in {row.name for row in list_corpora()}:
        return corpus
    return corpus.model_copy(update={"name": str(Path(corpus.name).resolve())})


def usable_pairs(corpus: CorpusConfig) -> CorpusConfig:
    """The same pairs; a path is made whole.

    Raises:
        CorpusError: there are no such pairs.
    """
    pair_set(corpus.name)
    known = {row.name for row in list_pairs()}
    return corpus if corpus.name in known else corpus.model_copy(update={"name": str(Path(corpus.name).resolve())})


def add(source: str, label: str = "", *, column: str | None = None, encoding: str | None = None) -> dict[str, Any]:
    """Fetch a text by its name or keep one by its path, and say what is there now.

    Raises:
        CorpusError: no such text, or it cannot be used.
    """
    if source in FETCHABLE:
        if label or column is not None or encoding is not None:
            raise CorpusError(
                N_("The text {name} is fetched as it is: leave name, column and encoding out."), name=source
            )
        return {
            "new": fetch(source, data_dir(), progress=_show if sys.stderr.isatty() else _silent),
            **_describe(source),
        }
    if not is_text_path(source):
        raise CorpusError(
            N_("There is nothing to fetch and no file named {name}. Take one of {known}, or the path of a text."),
            name=clean(source),
            known=", ".join(FETCHABLE),
        )
    return {"new": True, **_describe(add_path(data_dir(), Path(source), label, column=column, encoding=encoding))}


def _describe(name: str) -> dict[str, Any]:
    about = read_about(name, data_dir())
    files = about["files"]
    return {
        "name": name, "title": about["title"], "kind": about["kind"], "characters": about["characters"],
        "documents": len(files), "distinct_characters": about["preview"]["distinct_characters"],
        "encodings": sorted({file["encoding"] for file in files}),
        "columns": sorted({file["column"] for file in files if "column" in file}),
        "left_out": about.get("left_out", {}),
    }  # fmt: skip


def _show(share: float, text: str) -> None:
    """One line on standard error that overwrites itself."""
    sys.stderr.write(f"\r{text}: {share:4.0%}".ljust(40) + ("\n" if share >= 1 else ""))
    sys.stderr.flush()


def _silent(share: float, text: str) -> None:
    """Nobody is watching."""
