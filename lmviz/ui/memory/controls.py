"""The controls of the page Memory. Each keeps its value under its field's name in the session; all are in the address,
written by hand: `bind` would write the words of one language.
"""

import secrets
from collections.abc import Sequence
from html import escape

import streamlit as st

from lmviz.config import MEMORY_TASKS, CorpusConfig, RunConfig
from lmviz.corpora.tasks import LETTERS, MARKED, TASK
from lmviz.costs import window_tokens
from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.address import from_address, to_address
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _, ngettext
from lmviz.ui.memory.experiment import STEP_COST
from lmviz.ui.memory.names import cell_name
from lmviz.ui.memory.view import ALL_CELLS, LAG_CHOICES, UPDATE_CHOICES, View
from lmviz.ui.setup import duration
from lmviz.ui.start import start_runs

KEY = "memory_"
"""The keys of the controls in the session begin like this."""
KEPT = "kept_memory"
"""The session has the view and the experiment here, for whoever comes back from another page."""


def restore() -> str:
    """Before the controls: their values, from the address where the session has none. Returns the experiment's group,
    empty if there is none.
    """
    if "group" not in st.query_params and KEY + "task" not in st.session_state:
        for name, value in st.session_state.get(KEPT, {}).items():
            st.query_params[name] = value
    if KEY + "task" not in st.session_state:
        for name, value in from_address(View, st.query_params.to_dict()):
            st.session_state[KEY + name] = list(value) if isinstance(value, tuple) else value
    return st.query_params.get("group", "")


def current() -> View:
    """After the controls: what they say; the address says the same from now on."""
    values = {name: st.session_state[KEY + name] for name in View.model_fields}
    values["cells"] = tuple(name for name in ALL_CELLS if name in values["cells"])
    values["lags"] = tuple(lag for lag in LAG_CHOICES if lag in values["lags"])
    view = View.model_validate(values)
    wanted = to_address(view)
    for name in View.model_fields:
        if name in wanted and st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
        elif name not in wanted:
            st.query_params.pop(name, None)
    group = {"group": st.query_params["group"]} if "group" in st.query_params else {}
    st.session_state[KEPT] = wanted | group
    return view


def controls() -> View:
    """All controls; the button at their end starts the runs."""
    st.selectbox(_("Task"), list(MEMORY_TASKS), format_func=lambda name: _(TASK[name].title), key=KEY + "task")
    st.pills(_("Cells"), ALL_CELLS, selection_mode="multi", format_func=cell_name, key=KEY + "cells", wrap=True)
    st.pills(
        _("Lags: steps between what is to be remembered and the question"), LAG_CHOICES, selection_mode="multi",
        key=KEY + "lags", disabled=st.session_state[KEY + "mixed"],
    )  # fmt: skip
    st.toggle(_("Curriculum: mixed lags"), key=KEY + "mixed", help=_(
        "Each batch has another lag, short ones often and long ones seldom, up to 200: one run for every cell."
    ))  # fmt: skip
    steps, seed = st.columns([3, 2], vertical_alignment="bottom")
    steps.select_slider(_("Updates"), UPDATE_CHOICES, key=KEY + "updates", format_func=lambda n: f"{n:,}", help=_(
        "The same number for every cell, and not the same time: with equal time the fastest cell, which is the weakest,"
        " would win by sheer repetition."
    ))  # fmt: skip
    seed.number_input(_("Seed"), 0, 9999, key=KEY + "seed", help=_("Draws the initial weights and the sequences."))
    view = current()
    _train(view)
    return view


def _train(view: View) -> None:
    st.button(
        _("Train"), type="primary", icon=":material/play_arrow:", key="memory_train", width="stretch",
        disabled=not view.configs(), on_click=start, args=[view],
    )  # fmt: skip
    if error := st.session_state.pop("memory_error", None):
        show_error(error)


def start(view: View) -> None:
    """A run for every cell and lag, under way at once; the experiment's name goes into the address."""
    group = f"memory-{secrets.token_hex(4)}"
    try:
        start_runs(view.configs(group))
    except LmvizError as error:
        st.session_state["memory_error"] = error.to_dict()
        return
    st.query_params["group"] = group


def leave() -> None:
    """Back to the experiment that comes with lmviz."""
    st.query_params.pop("group", None)


def cost(view: View) -> str:
    """How many runs, and how long they take."""
    configs = view.configs()
    if not configs:
        return _("Tick at least one cell and one lag.")
    runs = ngettext("{count} run", "{count} runs", len(configs)).format(count=len(configs))
    seconds = _seconds(configs)
    if seconds is None:
        return runs
    return f"{runs} · " + _("about {time} of one core").format(time=duration(seconds))


def _seconds(configs: Sequence[RunConfig]) -> float | None:
    """Measured here for the longest sequences of each cell, and from that for the shorter ones; None while the server
    is still warming up. What is measured scores every step, which takes about as long as validating and recording.
    """
    vocab_size = len(TASK[configs[0].corpus.name].symbols) + 3
    longest = {config.model.model_dump_json(): config for config in configs}  # lags rise
    total = 0.0
    for config in configs:
        measured = longest[config.model.model_dump_json()]
        cost = cache.estimate(measured, vocab_size)
        if cost is None:
            return None
        share = (STEP_COST + window_tokens(config)) / (STEP_COST + measured.training.context_length)
        total += cost["seconds_per_step"] * config.training.steps * share
    return total


def example(view: View) -> str:
    """One sequence of the task at the shortest lag, as HTML: what is to be remembered, the question, the answer."""
    lag = min(view.lags, default=5)
    found = cache.task_example(CorpusConfig(name=view.task, lag=lag), view.seed)
    read = "".join(f"<b>{c}</b>" if c in LETTERS + MARKED else c for c in map(escape, found["read"]))
    tip = _("A sequence at lag {lag}; bold: what is to be remembered").format(lag=lag)
    return (
        f'<div class="task-example" title="{escape(tip)}"><span>{read}</span><mark>{escape(found["asked"])}</mark>'
        f"<i>→</i><b>{escape(found['answer'])}</b></div>"
    )
