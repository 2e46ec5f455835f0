"""What all parts of the page Attention share: which model, on which text, at which moment, and which kind of attention.
All of it stands in the address.
"""

from collections.abc import Mapping

import streamlit as st

from lmviz.corpora.pairs import pair_set
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.attention.names import part_name
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore, switch
from lmviz.ui.player import moment_control
from lmviz.ui.recurrent_runs import default_text
from lmviz.ui.run_picker import steady_title

KINDS = ("gpt", "bert", "transformer")
SAMPLE = "sample-gpt"
TEXT_TOKENS = 48
MOST_CHARACTERS = 5000
ADDRESS_CHARACTERS = 400


def attention_runs() -> dict[str, Run]:
    """Runs with heads that have kept weights, by id, the newest first."""
    return {run.id: run for run in cache.store().runs() if run.config().model.kind in KINDS and run.checkpoint_steps()}


def choose_model(runs: Mapping[str, Run]) -> Run:
    """The run of the address, else the newest one of the person's own, else the sample."""
    own = [run_id for run_id, run in runs.items() if not run.read_only]
    default = next(run_id for run_id in (*own[:1], SAMPLE, *runs) if run_id in runs)
    wanted = st.query_params.get("run")
    if wanted and wanted not in runs and st.session_state.get("attention_run") not in runs:
        words = _("The run {run} has no attention heads to look at; {instead} is shown instead.")
        st.info(words.format(run=markdown_safe(wanted[:60]), instead=markdown_safe(steady_title(runs[default]))),
                icon=":material/info:")  # fmt: skip
    if wanted in runs and st.session_state.get("attention_run_seen") != wanted:
        st.session_state["attention_run"] = wanted
    restore("attention_run", "run", list(runs), default)
    chosen = str(st.selectbox(
        _("Model"), list(runs), format_func=lambda one: steady_title(runs[one]), key="attention_run"
    ))  # fmt: skip
    st.query_params["run"] = st.session_state["attention_run_seen"] = chosen
    return runs[chosen]


def text_control(run: Run) -> str:
    """What is typed; at first held-out text of the run, or a held-out source."""
    default = first_text(run)
    if "attention_text" not in st.session_state:
        st.session_state["attention_text"] = st.query_params.get("text", "")[:MOST_CHARACTERS] or default
    elif st.session_state["attention_text"] == st.session_state.get("attention_text_default"):  # nobody has typed
        st.session_state["attention_text"] = default
    elif run.config().reads_pairs != st.session_state.get("attention_pairs", run.config().reads_pairs):
        st.session_state["attention_text"] = default  # a text is no source
    st.session_state["attention_text_default"] = default
    st.session_state["attention_pairs"] = run.config().reads_pairs
    words = _("The model translates") if run.config().reads_pairs else _("The model reads")
    with st.popover(_("Text"), icon=":material/edit:", width="stretch"):
        text = str(st.text_area(words, key="attention_text", height=200, max_chars=MOST_CHARACTERS))
    remember("text", text if len(text) <= ADDRESS_CHARACTERS else default, default)
    return text


def first_text(run: Run) -> str:
    """Something that the model has not learned from."""
    config = run.config()
    if config.reads_pairs:
        try:
            return pair_set(config.corpus.name, allow_paths=False).test(0).source
        except LmvizError:
            return ""
    if config.corpus.name == "repeat":
        return "qcMfhBxAtKejwLqcMfhBxAtKejw"
    longest = config.training.context_length - 1
    return default_text(run, min(TEXT_TOKENS, longest))


def moment(run: Run) -> int:
    """The kept step that is looked at."""
    steps = run.checkpoint_steps()
    return moment_control(steps, named=True) if len(steps) > 1 else steps[0]


def part_switch(run: Run) -> str:
    """Encoder, decoder and what lies between, on one switch; only a Transformer has all three."""
    if run.config().model.kind != "transformer":
        return "attention"
    names = {part: part_name(part) for part in ("cross_attention", "encoder_attention", "attention")}
    return switch(_("Which attention"), names, "attention_part_of", "part")
