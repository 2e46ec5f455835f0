"""Start runs in a person's name, within what one person may ask for."""

from collections.abc import Sequence

import streamlit as st

from lmviz.config import RunConfig
from lmviz.costs import check_costs
from lmviz.errors import N_, LmvizError
from lmviz.forks import fork, fork_config
from lmviz.limits import MAX_ACTIVE_RUNS, MAX_LABEL
from lmviz.runs import Run
from lmviz.ui import cache


def start_runs(configs: Sequence[RunConfig]) -> list[Run]:
    """Make the runs and put them under way.

    Raises:
        LmvizError: this person has too many runs under way.
    """
    _check_room(len(configs))
    runs = [cache.store().create(config, cache.owner()) for config in configs]
    _begin(runs)
    return runs


def start_fork(run: Run, step: int, settings: Sequence[str], name: str) -> Run:
    """Branch off a run and put the branch under way.

    Raises:
        LmvizError: it cannot branch off so, or this person has too many runs under way.
    """
    _check_room(1)
    check_costs(fork_config(run, step, settings), run.data()["vocab_size"])
    new = fork(cache.store(), run, step, settings, name=name[:MAX_LABEL], owner=cache.owner())
    _begin([new])
    return new


def _begin(runs: Sequence[Run]) -> None:
    for run in runs:
        cache.jobs().start(run.id, cache.owner())
    st.session_state["just_started"] = True


def _check_room(count: int) -> None:
    statuses = [run.status() for run in cache.store().runs() if not run.read_only]
    mine = sum(status.active and status.owner == cache.owner() for status in statuses)
    if mine + count > MAX_ACTIVE_RUNS:
        raise LmvizError(
            N_("You have {count} runs under way; {limit} are allowed at a time. Stop one first."),
            count=mine,
            limit=MAX_ACTIVE_RUNS,
        )
