"""runs list, show and delete."""

import typer

from lmviz.cli.common import JsonOption, RunArgument, StoreOption, runs_app, show, spoken
from lmviz.runs import Store


@runs_app.command("list")
def runs_list(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """All runs, newest first, then the samples."""
    from lmviz.summary import run_row

    with spoken():
        rows = [run_row(run) for run in Store(store).runs()]
    if as_json:
        return show(rows)
    for row in rows:
        loss = f"{row['val_loss']:.3f}" if row["val_loss"] is not None else "-"
        typer.echo(
            f"{row['run']:24} {row['state']:9} {row['step']:>7}/{row['steps']:<7} val {loss:>6}"
            f"  {row['model']:6} {row['corpus']}  {row['name']}"
        )


@runs_app.command("show")
def runs_show(run: RunArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """One run: settings, state and result."""
    from lmviz.summary import train_document

    with spoken():
        found = Store(store).get(run)
        document = {**train_document(found), "config": found.config().model_dump(mode="json")}
    if as_json:
        return show(document)
    for key, value in document.items():
        if key not in ("history", "config"):
            typer.echo(f"{key:18} {value}")
    for key, value in found.config().flat().items():
        typer.echo(f"  {key:30} {value}")


@runs_app.command("delete")
def runs_delete(run: RunArgument, store: StoreOption = None) -> None:
    """Remove a run and everything in its folder."""
    with spoken():
        place = Store(store)
        place.delete(place.get(run))
