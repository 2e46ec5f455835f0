"""What the commands share: the app, options of the same name, how errors and answers are printed.

Exit status 0; 2 for bad arguments; 1 for a run that failed. Errors are one sentence on standard error. With --json one
JSON document stands on standard output and nothing else.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.presets import MODEL_PRESETS, SIZES

app = typer.Typer(
    help="Train small language models and look inside them.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
runs_app = typer.Typer(help="List, show and delete runs.", no_args_is_help=True)
corpora_app = typer.Typer(help="The texts there are.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(corpora_app, name="corpora")

StoreOption = Annotated[
    Path | None, typer.Option("--store", help="Folder of all runs (default: LMVIZ_STORE or runs/).")
]
ColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of a table that holds the text (default: text, or the one with most letters)."),
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Encoding of the file, such as gbk (default: found by itself).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelOption = Annotated[str, typer.Option(help="Model kind: " + ", ".join(MODEL_PRESETS) + ".")]
CorpusOption = Annotated[str, typer.Option(help="Name of a corpus, or path of a text, a table, a folder or a .zip.")]
SizeOption = Annotated[str, typer.Option(help="Preset to begin with: " + ", ".join(SIZES) + ".")]
SeedOption = Annotated[int | None, typer.Option(help="Decides weights, data order and dropout.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.field=value, as often as you like.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, or path of a run folder.")]


@contextmanager
def spoken(status: int = 2) -> Iterator[None]:
    """An error becomes its sentence on standard error and an exit status."""
    try:
        yield
    except LmvizError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(status) from None


def numbers(text: str, option: str) -> list[int]:
    """Whole numbers with commas between them.

    Raises:
        ConfigError: they are not.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(N_("{option} takes whole numbers with commas, such as 5,10, not {text}."), option=option,
                          text=text) from None  # fmt: skip


def show(document: Any) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))


def passage(text: str | None, file: Path | None) -> str:
    """What --text or --file gives.

    Raises:
        ConfigError: none of them is given, or both.
        CorpusError: the file cannot be read.
    """
    from lmviz.corpora import load_text

    if (text is None) == (file is None):
        raise ConfigError(N_("Give either --text or --file."))
    return text if text is not None else load_text(str(file))
