"""What all parts of the page Gates share: which model, beside which other one, on which text, at which moment, which
layer. All of it stands in the address.
"""

from collections.abc import Mapping

import streamlit as st

from lmviz.corpora.tasks import TASK
from lmviz.runs import Run
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.player import moment_control
from lmviz.ui.recurrent_runs import default_text, not_shown
from lmviz.ui.run_picker import steady_title

SAMPLE = "sample-gates-lstm"
TEXT_TOKENS = 160
MOST_CHARACTERS = 10_000
"""That can be typed; how many tokens can be shown is said by the model."""
ADDRESS_CHARACTERS = 400
"""Of a text that goes into the address."""
ALONE, UNTRAINED = "alone", "untrained"
"""What can stand beside the model but another run: nothing, and itself before its training."""


def choose_model(runs: Mapping[str, Run]) -> Run:
    """The run of the address, else the newest one of the person's own, else the sample."""
    own = [run_id for run_id, run in runs.items() if not run.read_only and run.config().corpus.name not in TASK]
    default = next(run_id for run_id in (*own[:1], SAMPLE, *runs) if run_id in runs)
    wanted = st.query_params.get("run")
    if wanted and wanted not in runs and st.session_state.get("gates_run") not in runs:
        not_shown(wanted, runs[default])
    if wanted in runs and st.session_state.get("gates_run_seen") != wanted:
        st.session_state["gates_run"] = wanted
    restore("gates_run", "run", list(runs), default)
    chosen = str(st.selectbox(
        _("Model"), list(runs), format_func=lambda one: steady_title(runs[one]), key="gates_run"
    ))  # fmt: skip
    st.query_params["run"] = st.session_state["gates_run_seen"] = chosen
    return runs[chosen]


def choose_other(runs: Mapping[str, Run], first: Run) -> str:
    """ALONE, UNTRAINED or the id of another run."""
    names = {ALONE: _("no other model"), UNTRAINED: _("the same model before training")}
    options = [
        ALONE,
        *([UNTRAINED] if 0 in first.checkpoint_steps() else []),
        *(one for one in runs if one != first.id),
    ]
    restore("gates_other", "second", options, ALONE)
    chosen = str(st.selectbox(
        _("Beside it"), options, key="gates_other",
        format_func=lambda one: names[one] if one in names else steady_title(runs[one]),
    ))  # fmt: skip
    remember("second", chosen, ALONE)
    return chosen


def text_control(run: Run) -> str:
    """What is typed; at first the beginning of the run's own held-out text."""
    default = default_text(run, TEXT_TOKENS)
    if "gates_text" not in st.session_state:
        st.session_state["gates_text"] = st.query_params.get("text", "")[:MOST_CHARACTERS] or default
    elif st.session_state["gates_text"] == st.session_state.get("gates_text_default"):  # nobody has typed
        st.session_state["gates_text"] = default
    st.session_state["gates_text_default"] = default
    with st.popover(_("Text"), icon=":material/edit:", width="stretch"):
        text = str(st.text_area(_("The model reads"), key="gates_text", height=220, max_chars=MOST_CHARACTERS))
    remember("text", text if len(text) <= ADDRESS_CHARACTERS else default, default)
    return text


def moment(run: Run) -> int:
    """The kept step that is looked at."""
    steps = run.checkpoint_steps()
    return moment_control(steps, named=True) if len(steps) > 1 else steps[0]


def layer_switch(count: int) -> int:
    """0 is the lowest; only where there is more than one, the highest at first."""
    if count == 1:
        return 0
    options = list(range(1, count + 1))
    restore("gates_layer", "layer", options, count)
    st.segmented_control(
        _("Layer"), options, format_func=lambda number: _("Layer {number}").format(number=number), key="gates_layer",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    layer = int(st.session_state["gates_layer"])
    remember("layer", layer, count)
    return layer - 1
