"""Two runs that show what it takes to form an induction head: one layer and two, on text that repeats itself."""

import secrets
import time

import streamlit as st

from lmviz.config import RunConfig
from lmviz.errors import LmvizError
from lmviz.presets import preset
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.start import start_runs

SAMPLE = "sample-repeat-2"
"""Two layers; its group has the run with one."""
AWAITED = "attention_awaited"
"""In the session: the run that the page goes to as soon as it has kept weights."""
PATIENCE = 3.0
"""Seconds that the press waits for them."""
MOST = 4
"""Runs side by side."""


def pair_configs(group: str) -> list[RunConfig]:
    """One layer, two layers."""
    return [
        preset(
            "gpt", name=name, group=group, corpus={"name": "repeat"}, model={"num_layers": layers}
        )
        for layers, name in ((1, "GPT, 1 layer"), (2, "GPT, 2 layers"))
    ]  # fmt: skip


def beside(run: Run) -> list[Run]:
    """The GPTs of a run's experiment that have kept weights, the run among them, those of fewer layers first."""
    group = run.config().group
    runs = [one for one in cache.store().group(group) if one.config().model.kind == "gpt"] if group else []
    runs = [one for one in runs if one.checkpoint_steps()]
    if run.id not in [one.id for one in runs[:MOST]]:
        return [run]
    return sorted(runs[:MOST], key=lambda one: (int(getattr(one.config().model, "num_layers", 0)), one.id))


def pair_buttons(run: Run) -> None:
    """Train both; or look at those that come with lmviz. A press draws the whole page again."""
    words = _("Train both: one layer and two layers")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(words, type="primary", icon=":material/play_arrow:", key="attention_train_pair"):
            _start()
        if run.config().corpus.name != "repeat" and _sample_is_there():
            look = _("Look at the two that come with lmviz")
            if st.button(look, icon=":material/visibility:", key="attention_sample_pair"):
                go_to(SAMPLE)
                st.rerun()
    st.caption(_(
        "GPTs of width 64 with 4 heads a layer learn random letters in which a passage comes twice; nothing but the"
        " passage itself tells what comes next. It takes about a minute of one core for both."
    ))  # fmt: skip
    if error := st.session_state.pop("attention_pair_error", None):
        show_error(error)


def _sample_is_there() -> bool:
    try:
        return bool(cache.store().get(SAMPLE, allow_paths=False).checkpoint_steps())
    except LmvizError:
        return False


def _start() -> None:
    try:
        runs = start_runs(pair_configs(f"repeat-{secrets.token_hex(4)}"))
    except LmvizError as error:
        st.session_state["attention_pair_error"] = error.to_dict()
        st.rerun()
    st.session_state[AWAITED] = runs[-1].id
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not all(run.checkpoint_steps() for run in runs):
        time.sleep(0.05)
    st.rerun()


def go_to(run_id: str) -> None:
    """The page shows this run from its next turn on."""
    st.query_params["run"] = run_id
    st.session_state.pop("attention_run_seen", None)


def arrive() -> None:
    """Before the model is chosen: go to the awaited run if it has kept weights; wait no more if it never will."""
    run = _awaited()
    if run and run.checkpoint_steps():
        go_to(run.id)
    if not run or run.checkpoint_steps() or not run.status().active:
        st.session_state.pop(AWAITED, None)


def awaiting() -> bool:
    """Whether the page waits for a run to begin."""
    return AWAITED in st.session_state


def has_arrived() -> bool:
    """Whether the whole page has to be drawn again, for `arrive` to find something."""
    run = _awaited()
    return awaiting() and (not run or bool(run.checkpoint_steps()) or not run.status().active)


def _awaited() -> Run | None:
    try:
        return cache.store().get(st.session_state[AWAITED], allow_paths=False) if awaiting() else None
    except LmvizError:
        return None
