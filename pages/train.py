"""Train: choose a text and architectures, watch them learn side by side."""

import streamlit as st

from lmviz.config import RunConfig
from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.corpus_picker import corpus_picker
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.live import live_panel, view_switch, wait_for_points
from lmviz.ui.setup import setup_form
from lmviz.ui.shell import begin, forget
from lmviz.ui.start import start_runs

begin(
    _("Train"), _("How do architectures learn the same text? Pick a text and up to four models, and watch them live.")
)


def start(configs: list[RunConfig]) -> None:
    """One run a card, under way at once; their ids go into the address, so that a reload shows them again."""
    try:
        st.query_params["runs"] = ",".join(run.id for run in start_runs(configs))
    except LmvizError as error:
        st.session_state["start_error"] = error.to_dict()


def new_comparison() -> None:
    """Back to the cards, as they were left."""
    forget("runs")


cache.jobs()  # workers warm up while the person chooses
chosen = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id]

if chosen:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(_("New comparison"), icon=":material/add:", on_click=new_comparison, key="new_comparison")
        shown = view_switch()
    if st.session_state.pop("just_started", False):
        wait_for_points(chosen)
else:
    with st.container(border=True, key="setup"):
        choice = corpus_picker()
        if choice:
            setup_form(*choice, on_train=start)
        if error := st.session_state.pop("start_error", None):
            show_error(error)
    chosen = [run.id for run in cache.store().sample_runs() if run.config().corpus.name == "python-reference"]
    if chosen:
        st.subheader(_("Trained earlier: five architectures on the Python reference"), anchor=False)
    shown = view_switch()
live_panel(chosen, shown)
