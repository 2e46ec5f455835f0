"""Start runs in a person's name, within what one person may ask for."""

from collections.abc import Callable, Sequence

import streamlit as st

from lmviz.config import RunConfig
from lmviz.corpora import load_corpus
from lmviz.corpora.corpus import training_characters
from lmviz.corpora.labelled import label_set
from lmviz.corpora.pairs import pair_set
from lmviz.costs import check_costs, check_task, check_tokens
from lmviz.errors import N_, LmvizError
from lmviz.forks import fork, fork_config
from lmviz.limits import MAX_ACTIVE_RUNS, MAX_ACTIVE_TASK_RUNS, MAX_LABEL
from lmviz.runs import Run, Status
from lmviz.training.extend import reopen
from lmviz.ui import cache

TOO_MANY = N_("You have {count} runs under way; {limit} are allowed at a time. Stop one first.")
TOO_MANY_ON_TASKS = N_(
    "You have {count} runs on memory tasks under way and want {new} more; {limit} are allowed at a time. Wait until"
    " they have ended, stop them, or tick fewer cells or lags."
)
COUNTED = {"char": 300_000, "word": 300_000, "bpe": 20_000}
"""Characters up to which the tokens of a text are counted before its training. The limits bound the time: byte pairs of
20,000 Chinese characters without a break take a second to learn, of 300,000 four minutes. Beyond them a text is too
short for a window only if its byte pairs have 17 characters on average, its words hundreds."""


def check_text(config: RunConfig) -> None:
    """Whether a visitor may train on this text, and whether it is long enough.

    Raises:
        CorpusError: there is no such text (the server's files are not a visitor's to read), or it is too short.
    """
    corpus = config.corpus
    if corpus.is_task:
        return check_task(config)
    if config.reads_pairs:
        pair_set(corpus.name, allow_paths=False)
        return None
    if config.learns_labels:
        label_set(corpus.name, allow_paths=False)
        return None
    load_corpus(corpus.name, column=corpus.column, encoding=corpus.encoding, allow_paths=False)
    characters = cache.corpus_preview(corpus.name).characters
    if characters <= COUNTED[config.tokenizer.kind]:
        check_tokens(*cache.token_counts(corpus, config.tokenizer), config)
    elif config.tokenizer.kind == "char":
        train = training_characters(characters, corpus.validation_fraction, corpus.name)
        check_tokens(train, characters - train, config)


def start_runs(configs: Sequence[RunConfig]) -> list[Run]:
    """Make the runs and put them under way.

    Raises:
        LmvizError: this person has too many runs under way.
    """
    for on_tasks in (True, False):
        _check_room(sum(config.corpus.is_task is on_tasks for config in configs), on_tasks)
    runs = [cache.store().create(config, cache.owner()) for config in configs]
    _begin(runs)
    return runs


def start_created(create: Callable[[str], Run]) -> Run:
    """Let `create` make a run in this person's name, and put it under way.

    Raises:
        LmvizError: it cannot be made, or this person has too many runs under way.
    """
    _check_room(1, on_tasks=False)
    run = create(cache.owner())
    _begin([run])
    return run


def start_fork(run: Run, step: int, settings: Sequence[str], name: str) -> Run:
    """Branch off a run and put the branch under way.

    Raises:
        LmvizError: it cannot branch off so, or this person has too many runs under way.
    """
    _check_room(1, run.config().corpus.is_task)
    check_costs(fork_config(run, step, settings), run.data()["vocab_size"])
    new = fork(cache.store(), run, step, settings, name=name[:MAX_LABEL], owner=cache.owner())
    _begin([new])
    return new


def start_again(run: Run, steps: int | None = None) -> None:
    """Let a run that rests or has ended go on, with a new number of steps if given.

    Raises:
        LmvizError: it cannot go on, or this person has too many runs under way.
    """
    status = run.status()
    _check_room(0 if status.active else 1, run.config().corpus.is_task)
    if status.state != "paused":  # a paused run is still in its worker's hands
        reopen(run, steps)
        run.write_status(run.status().model_copy(update={"owner": cache.owner()}))  # it counts as this person's now
    _begin([run])


def _begin(runs: Sequence[Run]) -> None:
    for run in runs:
        cache.jobs().start(run.id, cache.owner())
    st.session_state["just_started"] = True


def _check_room(count: int, on_tasks: bool) -> None:
    """Whether so many more fit beside this person's runs; those on tasks, small ones, are counted by themselves."""
    if not count:
        return
    active = [run for run in cache.store().runs() if not run.read_only and _is_mine(run.status())]
    mine = sum(run.config().corpus.is_task is on_tasks for run in active)
    limit = MAX_ACTIVE_TASK_RUNS if on_tasks else MAX_ACTIVE_RUNS
    if mine + count > limit:
        raise LmvizError(TOO_MANY_ON_TASKS if on_tasks else TOO_MANY, count=mine, new=count, limit=limit)


def _is_mine(status: Status) -> bool:
    return status.active and status.owner == cache.owner()
