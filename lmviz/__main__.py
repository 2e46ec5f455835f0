"""The command line: all that the pages do, for scripts and for teachers who prepare a lesson.

Exit status 0; 2 for bad arguments; 1 for a run that failed. Errors are one sentence on standard error. With --json one
JSON document stands on standard output and nothing else.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from lmviz.config import RunConfig
from lmviz.corpora.tasks import TASK
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.memory import CELLS, LAGS, UPDATES, memory_configs, results, table
from lmviz.presets import MODEL_PRESETS, SIZES, preset
from lmviz.runs import Run, Store
from lmviz.settings import apply_settings

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


@app.command()
def train(
    model: ModelOption,
    corpus: CorpusOption = "python-reference",
    size: SizeOption = "small",
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.")] = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    store: StoreOption = None,
    name: Annotated[str, typer.Option(help="A label for people.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Train a model, keep the run, and say how good it is."""
    from lmviz.training.data import check_text

    with spoken():
        config = _train_config(model, corpus, size, steps, seed, name, settings or [])
        check_text(config)
        run = Store(store).create(config)
    _train(run, as_json)


@app.command()
def resume(
    run: RunArgument,
    steps: Annotated[int | None, typer.Option(help="New number of updates in all, to go on beyond the end.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a run that was paused, stopped, killed or that you want longer."""
    from lmviz.training.extend import reopen

    with spoken():
        found = Store(store).get(run)
        reopen(found, steps)
    _train(found, as_json)


@app.command()
def fork(
    run: RunArgument,
    step: Annotated[int, typer.Option(help="Where to branch off: a step whose weights are kept.")],
    settings: SetOption = None,
    name: Annotated[str, typer.Option(help="A label for people.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What if? Go on from the middle of a run with other settings, as a run of its own."""
    from lmviz.forks import fork as branch_off

    with spoken():
        place = Store(store)
        new = branch_off(place, place.get(run), step, settings or [], name=name)
    _train(new, as_json)


@app.command("find-rate")
def find_rate(
    model: ModelOption,
    corpus: CorpusOption = "python-reference",
    size: SizeOption = "small",
    seed: SeedOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which learning rate? Train for a moment with a rising rate (Smith 2017) and say where the loss falls fastest."""
    from lmviz.jobs.questions import ask_learning_rates

    with spoken():
        config = _train_config(model, corpus, size, None, seed, "", settings or [])
        pieces = list(ask_learning_rates(Store(), config.model_dump(mode="json")))
    trials = [trial for piece in pieces for trial in piece["trials"]]
    if as_json:
        return show({"suggestion": pieces[-1]["suggestion"], "trials": trials})
    for trial in trials[::5]:
        typer.echo(f"{trial['rate']:10.2e}  loss {trial['loss']:8.3f}  running mean {trial['smoothed']:8.3f}")
    found = pieces[-1]["suggestion"]
    typer.echo("The loss never fell." if found is None else f"Try learning_rate={found:g}.")


@app.command()
def memory(
    task: Annotated[str, typer.Option(help="remember-first, copy or adding.")] = "remember-first",
    models: Annotated[str, typer.Option(help="Cells: any of " + ", ".join(CELLS) + ".")] = ",".join(CELLS),
    lags: Annotated[str, typer.Option(help="Steps to remember over.")] = ",".join(map(str, LAGS)),
    updates: Annotated[int, typer.Option(help="Updates of every run.")] = UPDATES,
    seed: SeedOption = 1,
    mixed: Annotated[bool, typer.Option("--mixed", help="Curriculum: each batch at a lag up to the largest.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which cell learns from how far back? Trains all of them at every lag; the runs stay."""
    from lmviz.training.foreground import train_here

    with spoken():
        steps = numbers(lags, "--lags")
        group = f"memory-{secrets.token_hex(4)}"
        configs = memory_configs(task, models.split(","), steps, updates, seed or 0, mixed=mixed, group=group)
        runs = [Store(store).create(config) for config in configs]
    start = time.monotonic()
    with spoken(1):
        for run in runs:
            train_here(run, quiet=as_json)
    rows, chance = results(runs), TASK[task].chance
    if not as_json:
        return typer.echo(f"{table(rows)}\nchance {chance:.3f}")
    seconds = round(time.monotonic() - start, 2)
    keys = ("run", "model", "settings", "lag", "accuracy")
    short = [{key: row[key] for key in keys} for row in rows]
    show({"task": task, "updates": updates, "chance": chance, "seconds": seconds, "rows": short})


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


@app.command()
def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    strategy: Annotated[str, typer.Option(help="greedy or sample.")] = "sample",
    temperature: Annotated[float, typer.Option(help="Below 1 surer, above 1 wilder.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the likeliest tokens that together reach p.")] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 makes tokens already there less likely.")] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens to write.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 1,
    step: Annotated[int | None, typer.Option(help="Weights of this step; the newest if left out.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model write."""
    from lmviz.jobs.questions import ask_generate

    decoding = {
        "prompt": prompt, "strategy": strategy, "temperature": temperature, "top_k": top_k, "top_p": top_p,
        "repetition_penalty": repetition_penalty, "max_new_tokens": max_new_tokens, "seed": seed,
    }  # fmt: skip
    with spoken():
        place = Store(store)
        try:
            pieces = list(ask_generate(place, run, step, **decoding))
        except ValidationError as error:
            first = error.errors()[0]
            field = "--" + str(first["loc"][0]).replace("_", "-")
            raise ConfigError(N_("{field} cannot be {value}: {reason}."), field=field, value=str(first["input"]),
                              reason=first["msg"]) from None  # fmt: skip
    tokens = [token for piece in pieces for token in piece["tokens"]]
    text = "".join(token["piece"] for token in tokens)
    if not as_json:
        return typer.echo(prompt + text)
    show({
        "prompt": prompt, "text": text,
        "tokens": [{"id": t["id"], "text": t["piece"], "logprob": t["logprob"]} for t in tokens],
        "logprob": sum(token["logprob"] for token in tokens), "strategy": strategy, "seed": seed,
        "step": pieces[-1]["step"], "tokens_per_second": pieces[-1]["tokens_per_second"], "beams": [],
    })  # fmt: skip


@app.command()
def score(
    run: RunArgument,
    text: Annotated[str | None, typer.Option(help="The text to score.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text file to score.")] = None,
    step: Annotated[int | None, typer.Option(help="Weights of this step; the newest if left out.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """How well a model predicts a text: loss, perplexity, bits per character, and every token."""
    from lmviz.corpora import load_text
    from lmviz.jobs.questions import ask_score
    from lmviz.summary import perplexity_words

    with spoken():
        if (text is None) == (file is None):
            raise ConfigError(N_("Give either --text or --file."))
        place = Store(store)
        passage = text if text is not None else load_text(str(file))
        result = next(ask_score(place, run, passage, step))
    if as_json:
        return show(result)
    typer.echo(
        f"loss {result['loss']:.4f} nats a token  perplexity {perplexity_words(result['loss'], 3)}"
        f"  {result['bits_per_char']:.4f} bits a character  ({len(result['tokens'])} tokens)"
    )


@app.command()
def gradients(
    models: Annotated[
        str, typer.Option(help="Cells, with commas: rnn, nvsi, nvsi+carry, gru, lstm.")
    ] = "rnn,nvsi,gru,lstm",
    run: Annotated[str | None, typer.Option(help="Measure a trained run instead of cells at birth.")] = None,
    step: Annotated[int | None, typer.Option(help="Weights of this step of the run; the newest if left out.")] = None,
    length: Annotated[
        int | None, typer.Option(help="Steps; of a run its context length if left out. [default: 30]")
    ] = None,
    hidden: Annotated[int, typer.Option(help="Numbers in the hidden state.")] = 64,
    init: Annotated[str, typer.Option(help="Initial weights: pytorch, xavier, kaiming or orthogonal.")] = "pytorch",
    gain: Annotated[float, typer.Option(help="Factor on the recurrent weights (not for pytorch).")] = 1.0,
    forget_gate_bias: Annotated[float | None, typer.Option(help="Of the lstm; what init gives if left out.")] = None,
    input_gate_bias: Annotated[float | None, typer.Option(help="Of nvsi; what init gives if left out.")] = None,
    update_gate_bias: Annotated[float | None, typer.Option(help="Of the gru; what init gives if left out.")] = None,
    carry: Annotated[bool, typer.Option(help="Give nvsi the path that the article's cell lacks.")] = False,
    input_scale: Annotated[float, typer.Option(help="Factor on the random input.")] = 1.0,
    every_step: Annotated[bool, typer.Option(help="Loss summed over all steps: looks flat for every cell.")] = False,
    seed: Annotated[int, typer.Option(help="Decides weights and input.")] = 1,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far back does learning reach? Norm of the last loss's gradient at every earlier state, by lag."""
    from lmviz.inspect.command import cells_of, table
    from lmviz.jobs.questions import ask_gradients, ask_run_gradients

    how = {"every_step": every_step, "jacobian": True, "spectra": True}
    with spoken():
        if run is not None:
            *_, document = ask_run_gradients(Store(store), run, step, length, **how)
        else:
            biases = {"lstm": forget_gate_bias, "nvsi": input_gate_bias, "gru": update_gate_bias}
            cells = cells_of(models, hidden, init, gain, biases, carry)
            steps = 30 if length is None else length
            (document,) = ask_gradients(Store(store), cells, steps, seed=seed, input_scale=input_scale, **how)
    if as_json:
        return show(document)
    for line in table(document):
        typer.echo(line)


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


def _train_config(
    model: str, corpus: str, size: str, steps: int | None, seed: int | None, name: str, settings: list[str]
) -> RunConfig:
    from lmviz.corpora.command import usable_corpus

    if model not in MODEL_PRESETS:
        raise ConfigError(
            N_("There is no model {kind}. The models are: {known}."), kind=model, known=", ".join(MODEL_PRESETS)
        )
    if size not in SIZES:
        raise ConfigError(N_("There is no size {size}. The sizes are: {known}."), size=size, known=", ".join(SIZES))
    given = [f"corpus.name={corpus}", f"name={name}"]
    given += [f"training.steps={steps}"] if steps is not None else []
    given += [f"training.seed={seed}"] if seed is not None else []
    config = apply_settings(preset(model, size), [*given, *settings])
    return config.model_copy(update={"corpus": usable_corpus(config.corpus)})


def _train(run: Run, as_json: bool) -> None:
    """Train in this process, with progress on standard error; Ctrl-C leaves a stopped run that can go on."""
    from lmviz.summary import perplexity_words, train_document
    from lmviz.training.foreground import train_here

    with spoken(1):
        train_here(run, quiet=as_json)
    document = train_document(run)
    error = run.status().error
    if error:
        typer.echo(error["message"], err=True)
    if as_json:
        show(document)
    elif document["val_loss"] is not None:
        loss = document["val_loss"]
        if "accuracy" in document:
            last = f"accuracy {document['accuracy']:.3f}"
        else:
            last = f"perplexity {perplexity_words(loss, 3)}  {document['bits_per_char']:.4f} bits a character"
        typer.echo(f"{document['run']}  {document['state']}  step {document['step']}  val loss {loss:.4f}  {last}")
    if document["state"] == "failed":
        raise typer.Exit(1)


def main() -> None:
    app(prog_name="lmviz")


if __name__ == "__main__":
    main()
