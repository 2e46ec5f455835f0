"""Choose a run and a moment of its training."""

import streamlit as st

from lmviz.corpora.tasks import TASK
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.i18n import _
from lmviz.ui.theme import label

SAMPLE = "sample-gpt"
"""What is shown before a person has trained anything."""


def run_picker() -> Run | None:
    """A run that keeps weights, by the address (?run=), else the newest of the person's own, else the sample; None,
    with a sentence, if there is none.
    """
    wanted = st.query_params.get("run")
    kept = [run for run in cache.store().runs() if run.checkpoint_steps()]
    runs = {run.id: run for run in kept if on_text(run) or run.id == wanted}
    if not runs:
        st.info(_("No model has been trained yet. Train one first."), icon=":material/school:")
        st.page_link("pages/train.py", label=_("Train"), icon=":material/play_circle:")
        return None
    if wanted in runs and st.session_state.get("run_seen") != wanted:
        st.session_state["run_choice"] = wanted
    if st.session_state.get("run_choice") not in runs:
        own = [run_id for run_id, run in runs.items() if not run.read_only]
        st.session_state["run_choice"] = next(run_id for run_id in (*own[:1], SAMPLE, *runs) if run_id in runs)
    chosen = st.selectbox(_("Model"), list(runs), format_func=lambda run_id: run_title(runs[run_id]), key="run_choice")
    if st.session_state.get("run_seen") not in (None, chosen):  # another model: its own moments, its own prompt
        st.session_state.pop("step", None)
        st.session_state.pop("prompt", None)
    st.query_params["run"] = st.session_state["run_seen"] = chosen
    return runs[chosen]


def run_title(run: Run) -> str:
    """Architecture, text, label and best figure of a run in one line."""
    kind, text, name = _title_parts(run)
    steps = _("{steps} steps").format(steps=f"{run.status().step:,}")
    return f"{kind} · {text} · {steps} · {name}"


def steady_title(run: Run) -> str:
    """The same without its steps: a control that knows its choices by their words loses one whose words change."""
    return " · ".join(_title_parts(run))


def _title_parts(run: Run) -> tuple[str, str, str]:
    config = run.config()
    name = config.name if config.name and config.name != label(config.model.kind) else run.id
    name = f"{name} ({run.id})" if name != run.id else name
    return label(config.model.kind), corpus_title(config.corpus.name), name


def corpus_title(name: str) -> str:
    """A task by its title, a corpus by its name, a file by the last part of its path."""
    return _(TASK[name].title) if name in TASK else name.rsplit("/", 1)[-1]


def on_text(run: Run) -> bool:
    """Whether it learned to go on with a text; runs on tasks and on pairs have pages of their own."""
    return run.config().writes_text


def checkpoint_slider(run: Run) -> int:
    """A slider over the kept steps; the newest at first."""
    steps = run.checkpoint_steps()
    if len(steps) == 1:
        return steps[0]
    return st.select_slider(
        _("Moment of its training (steps)"), steps, steps[-1], format_func=lambda step: f"{step:,}",
        key="step", bind="query-params",
    )  # fmt: skip
