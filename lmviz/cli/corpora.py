"""corpora list, show and add."""

from pathlib import Path
from typing import Annotated

import typer

from lmviz.cli.common import ColumnOption, EncodingOption, JsonOption, corpora_app, show, spoken


@corpora_app.command("list")
def corpora_list(as_json: JsonOption = False) -> None:
    """Every text by name; also those that `corpora add` can fetch (kind fetchable), and the tasks."""
    from lmviz.corpora import list_corpora, list_fetchable, list_tasks
    from lmviz.corpora.labelled import list_labelled
    from lmviz.corpora.pairs import list_pairs

    texts = [*list_corpora(), *list_fetchable(), *list_tasks(), *list_labelled()]
    pairs = [{**vars(row), "kind": "pairs"} for row in list_pairs()]
    rows = [*(dict(vars(row)) for row in texts), *pairs]
    if as_json:
        return show(rows)
    for row in rows:
        typer.echo(f"{row['name']:24} {row['kind']:10} {row['title']}")


@corpora_app.command("show")
def corpora_show(
    name: Annotated[str, typer.Argument(help="Name of a corpus, or path of a text, a table, a folder or a .zip.")],
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Size, vocabulary, commonest characters and first lines of a text."""
    from lmviz.corpora import load_corpus, preview
    from lmviz.corpora.pairs import list_pairs
    from lmviz.corpora.pairs_facts import pair_facts

    with spoken():
        if name in {row.name for row in list_pairs()}:
            document = pair_facts(name)
        else:
            document = dict(vars(preview(load_corpus(name, column=column, encoding=encoding))))
    if as_json:
        return show(document)
    for key, value in document.items():
        typer.echo(f"{key:24} {value}")


@corpora_app.command("add")
def corpora_add(
    source: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="What can be fetched, or a text, a table, a folder, a .zip.")
    ],
    name: Annotated[str, typer.Option("--name", help="A label for people.")] = "",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="It is a table of two columns: a source, and what it is to become.")
    ] = False,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a text under a name: your own, or one that is fetched over the network. With --pairs a table of pairs."""
    from lmviz.corpora.command import add
    from lmviz.corpora.pairs import add_pairs
    from lmviz.corpora.pairs_facts import pair_facts

    with spoken():
        if pairs:
            document = pair_facts(add_pairs(Path(source), name, encoding=encoding))
        else:
            document = add(source, name, column=column, encoding=encoding)
    if as_json:
        return show(document)
    for key, value in document.items():
        typer.echo(f"{key:24} {value}")
