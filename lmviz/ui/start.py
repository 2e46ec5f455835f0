"""Start runs in a person's name, within what one person may ask for."""

from collections.abc import Sequence

import streamlit as st

from lmviz.config import RunConfig
from lmviz.errors import N_, LmvizError
from lmviz.limits import MAX_ACTIVE_RUNS
from lmviz.runs import Run
from lmviz.ui import cache


def start_runs(configs: Sequence[RunConfig]) -> list[Run]:
    """Make the runs and put them under way.

    Raises:
        LmvizError: this person has too many runs under way.
    """
    statuses = [run.status() for run in cache.store().runs() if not run.read_only]
    mine = sum(status.active and status.owner == cache.owner() for status in statuses)
    if mine + len(configs) > MAX_ACTIVE_RUNS:
        raise LmvizError(
            N_("You have {count} runs under way; {limit} are allowed at a time. Stop one first."),
            count=mine,
            limit=MAX_ACTIVE_RUNS,
        )
    runs = [cache.store().create(config, cache.owner()) for config in configs]
    for run in runs:
        cache.jobs().start(run.id, cache.owner())
    st.session_state["just_started"] = True
    return runs
