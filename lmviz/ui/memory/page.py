"""The page Memory put together: controls and task on the left, the experiment on the right, what explains it below."""

from collections.abc import Sequence

import streamlit as st

from lmviz.corpora.tasks import TASK
from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.memory import controls
from lmviz.ui.memory.gradient import gradient_section
from lmviz.ui.memory.panel import experiment_panel
from lmviz.ui.memory.view import View

SAMPLE = "sample-memory"
"""Group of the experiment that comes with lmviz."""


def memory() -> None:
    cache.jobs()  # workers warm up while the person reads
    group = controls.restore()
    with st.container(key="memory"):
        left, right = st.columns([3, 8], gap="large")
    with left:
        view = controls.controls()
        cost = st.empty()
    with right:
        task = st.container(key="task_words")
        ids = _runs(group)
        experiment = experiment_panel(ids)
        if experiment is None:
            st.info(_("No experiment is here yet. Press Train."), icon=":material/school:")
    if experiment and not experiment.active:
        gradient_section(experiment)
    with task:  # last, as a server that has just started needs a moment for it
        _task(view)
    cost.caption(controls.cost(view))


def _runs(group: str) -> Sequence[str]:
    """The experiment of the address, else the sample."""
    if group:
        try:
            ids = cache.group_ids(group)
        except LmvizError as error:
            show_error(error)
        else:
            st.button(_("Show the sample instead"), icon=":material/undo:", on_click=controls.leave, type="tertiary")
            return ids
    try:
        ids = cache.group_ids(SAMPLE)
    except LmvizError:  # samples were not installed
        return ()
    title = TASK[View().task].title
    st.caption(_("Trained earlier: all cells on “{task}”").format(task=_(title)))
    return ids


def _task(view: View) -> None:
    """What is asked, and one sequence of it."""
    task = TASK[view.task]
    words = _(task.description)
    st.html(f"<div class='task-words'>{words}</div>{controls.example(view)}")
    st.caption(_(task.definition))
