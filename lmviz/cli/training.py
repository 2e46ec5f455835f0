"""train, resume, fork, find-rate and memory: what makes runs."""

import secrets
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from lmviz.cli.common import (
    CorpusOption,
    JsonOption,
    ModelOption,
    RunArgument,
    SeedOption,
    SetOption,
    SizeOption,
    StoreOption,
    app,
    numbers,
    show,
    spoken,
)
from lmviz.config import LABELLED, MEMORY_TASKS, RunConfig
from lmviz.corpora.tasks import TASK
from lmviz.errors import N_, ConfigError
from lmviz.memory import CELLS, LAGS, UPDATES, memory_configs, results, table
from lmviz.presets import MODEL_PRESETS, SIZES, preset
from lmviz.runs import Run, Status, Store
from lmviz.settings import apply_settings


@app.command()
def train(
    model: ModelOption,
    corpus: CorpusOption = "",
    size: SizeOption = "small",
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.")] = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    store: StoreOption = None,
    name: Annotated[str, typer.Option(help="A label for people.")] = "",
    pretrained: Annotated[str | None, typer.Option("--from", help="Fine-tune this bert run on labelled texts.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model, keep the run, and say how good it is."""
    from lmviz.training.sources import check_text

    with spoken():
        place = Store(store)
        if pretrained:
            run = _finetune(place, pretrained, model, corpus, steps, seed, name, settings or [])
        else:
            config = _train_config(model, corpus, size, steps, seed, name, settings or [])
            check_text(config)
            run = place.create(config)
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
    corpus: CorpusOption = "",
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
    with spoken():
        steps = numbers(lags, "--lags")
        group = f"memory-{secrets.token_hex(4)}"
        configs = memory_configs(task, models.split(","), steps, updates, seed or 0, mixed=mixed, group=group)
    start = time.monotonic()
    runs, failed = _train_all(Store(store), configs, as_json)
    rows, chance = results(runs), TASK[task].chance
    if as_json:
        seconds = round(time.monotonic() - start, 2)
        keys = ("run", "model", "settings", "lag", "accuracy")
        short = [{key: row[key] for key in keys} for row in rows]
        show({"task": task, "updates": updates, "chance": chance, "seconds": seconds, "rows": short})
    else:
        typer.echo(f"{table(rows)}\nchance {chance:.3f}")
    if failed:
        raise typer.Exit(1)


def _finetune(
    place: Store, run: str, model: str, corpus: str, steps: int | None, seed: int | None, name: str, settings: list[str]
) -> Run:
    from lmviz.finetune import finetune

    if model != "bert":
        raise ConfigError(N_("Only bert can begin with the weights of another run."))
    given = [f"training.steps={steps}"] if steps is not None else []
    given += [f"training.seed={seed}"] if seed is not None else []
    return finetune(place, place.get(run), corpus or LABELLED[0], [*given, *settings], name=name)


def _train_config(
    model: str, corpus: str, size: str, steps: int | None, seed: int | None, name: str, settings: list[str]
) -> RunConfig:
    from lmviz.corpora.command import usable_corpus, usable_pairs

    if model not in MODEL_PRESETS:
        raise ConfigError(
            N_("There is no model {kind}. The models are: {known}."), kind=model, known=", ".join(MODEL_PRESETS)
        )
    if size not in SIZES:
        raise ConfigError(N_("There is no size {size}. The sizes are: {known}."), size=size, known=", ".join(SIZES))
    given = [f"name={name}"]
    given += [f"training.steps={steps}"] if steps is not None else []
    given += [f"training.seed={seed}"] if seed is not None else []
    usual = preset(model, size, corpus={"name": corpus}) if corpus not in ("", *MEMORY_TASKS) else preset(model, size)
    given += [f"corpus.name={corpus}"] if corpus in MEMORY_TASKS else []
    config = apply_settings(usual, [*given, *settings])
    if config.reads_pairs:
        return config.model_copy(update={"corpus": usable_pairs(config.corpus)})
    return config.model_copy(update={"corpus": usable_corpus(config.corpus)})


def _train_all(store: Store, configs: Sequence[RunConfig], quiet: bool) -> tuple[list[Run], bool]:
    """Make and train a run for each, up to Ctrl-C. Returns them, and whether one failed."""
    runs, failed = [], False
    for config in configs:
        runs.append(store.create(config))  # each in its turn: after Ctrl-C none is left for a server to take up
        state = _train_here(runs[-1], quiet).state
        failed = failed or state == "failed"
        if state == "stopped":
            break
    return runs, failed


def _train_here(run: Run, quiet: bool) -> Status:
    """Train in this process, with progress on standard error; Ctrl-C leaves a stopped run that can go on. Why a run
    failed is said as well.
    """
    from lmviz.training.foreground import train_here

    with spoken(1):
        status = train_here(run, quiet=quiet)
    if status.error:
        typer.echo(status.error["message"], err=True)
    return status


def _train(run: Run, as_json: bool) -> None:
    """Train in this process and say how good the model is."""
    from lmviz.summary import perplexity_words, train_document

    _train_here(run, as_json)
    document = train_document(run)
    if as_json:
        show(document)
    elif document["val_loss"] is not None:
        loss = document["val_loss"]
        if "exact_match" in document:
            last = f"exact match {document['exact_match']:.3f}"
        elif "accuracy" in document:
            last = f"accuracy {document['accuracy']:.3f}"
        else:
            last = f"perplexity {perplexity_words(loss, 3)}  {document['bits_per_char']:.4f} bits a character"
        typer.echo(f"{document['run']}  {document['state']}  step {document['step']}  val loss {loss:.4f}  {last}")
    if document["state"] == "failed":
        raise typer.Exit(1)
