"""corpora list, show and add."""

from typing import Annotated

import typer

from lmviz.cli.common import ColumnOption, EncodingOption, JsonOption, corpora_app, show, spoken


@corpora_app.command("list")
def corpora_list(as_json: JsonOption = False) -> None:
    """Every text by name; also those that `corpora add` can fetch (kind fetchable), and the tasks."""
    from lmviz.corpora import list_corpora, list_fetchable, list_tasks

    rows = [dict(vars(row)) for row in [*list_corpora(), *list_fetchable(), *list_tasks()]]
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

    with spoken():
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
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a text under a name: your own, or one that is fetched over the network."""
    from lmviz.corpora.command import add

    with spoken():
        document = add(source, name, column=column, encoding=encoding)
    if as_json:
        return show(document)
    for key, value in document.items():
        typer.echo(f"{key:24} {value}")
