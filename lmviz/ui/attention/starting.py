"""Train a model with attention from the page itself: BERT, GPT or a Transformer; and fine-tune a BERT on labels."""

import time
from collections.abc import Callable
from functools import partial

import streamlit as st

from lmviz.corpora import list_corpora
from lmviz.corpora.labelled import label_set, list_labelled
from lmviz.corpora.pairs import list_pairs
from lmviz.errors import LmvizError
from lmviz.finetune import finetune
from lmviz.presets import SIZES, preset
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.attention.pair import AWAITED, PATIENCE
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.run_card import wish_button
from lmviz.ui.setup import duration
from lmviz.ui.start import check_text, start_created, start_runs
from lmviz.ui.theme import label

KINDS = ("bert", "gpt", "transformer")
ERROR = "attention_start_error"


def train_control(run: Run) -> None:
    """A box with what it takes to train another one."""
    with st.popover(_("Train"), icon=":material/play_circle:", width="stretch"):
        kind = str(st.segmented_control(
            _("Model"), KINDS, format_func=label, key="attention_kind", default="bert", required=True
        ))  # fmt: skip
        words = {
            "bert": _("Reads both ways and guesses hidden characters."),
            "gpt": _("Reads from left to right and goes on."), "transformer": _("Turns a source into a target."),
        }  # fmt: skip
        st.caption(words[kind])
        titles = _sources(kind)
        st.selectbox(
            _("Learns from"), list(titles), format_func=titles.__getitem__,
            key=f"attention_source_{kind == 'transformer'}",
        )  # fmt: skip
        st.segmented_control(_("Size"), SIZES, format_func=_size, key="attention_size", default="small", required=True)
        st.button(_("Train"), type="primary", icon=":material/play_arrow:", key="attention_train",
                  on_click=partial(_begin, _new))  # fmt: skip
        if run.config().model.kind == "bert" and run.config().has_text:
            _finetune_control(run)
        if error := st.session_state.pop(ERROR, None):
            show_error(error)


def _size(size: str) -> str:
    return {"tiny": _("tiny"), "small": _("small"), "medium": _("medium")}[size]


def _sources(kind: str) -> dict[str, str]:
    """Name -> title of what this kind can learn from."""
    if kind == "transformer":
        return {row.name: _(row.title) if row.kind == "builtin" else row.title for row in list_pairs()}
    return {row.name: _(row.title) if row.kind != "added" else row.title for row in list_corpora()}


def _finetune_control(run: Run) -> None:
    st.divider()
    titles = {row.name: _(row.title) for row in list_labelled()}
    titles |= {row.name: row.title for row in list_pairs() if row.kind == "added"}
    name = str(st.selectbox(
        _("Fine-tune this BERT to tell labels"), list(titles), format_func=titles.__getitem__, key="attention_labels",
        help=_("Code or prose; or a table of two columns, text and label, that was added on the page Seq2Seq."),
    ))  # fmt: skip
    st.button(_("Fine-tune"), icon=":material/label:", key="attention_finetune",
              on_click=partial(_begin, partial(_tuned, run, name)))  # fmt: skip


def _new() -> Run:
    """What the controls say at the press: they may have moved since they were drawn."""
    kind = st.session_state["attention_kind"]
    source = st.session_state[f"attention_source_{kind == 'transformer'}"]
    config = preset(kind, st.session_state["attention_size"], corpus={"name": source})
    check_text(config)
    (run,) = start_runs([config])
    return run


def _tuned(run: Run, name: str) -> Run:
    label_set(name, allow_paths=False)
    return start_created(lambda owner: finetune(cache.store(), run, name, owner=owner))


def _begin(start: Callable[[], Run]) -> None:
    """Start, and go to the new run as soon as it has kept weights."""
    try:
        run = start()
    except LmvizError as error:
        st.session_state[ERROR] = error.to_dict()
        return
    st.session_state[AWAITED] = run.id
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not run.checkpoint_steps() and run.status().active:
        time.sleep(0.05)


def progress(run: Run) -> None:
    """Of a run that is being trained: how far, how good by now, and a way to stop it."""
    status = run.status()
    if not status.active or run.read_only:
        return
    words = _("{step} of {steps} updates").format(step=f"{status.step:,}", steps=f"{status.steps:,}")
    known = [line for line in run.metrics() if line["val_loss"] is not None]
    if known:
        words += " · " + _("held-out loss {loss}").format(loss=f"{known[-1]['val_loss']:.3f}")
        if "accuracy" in known[-1]:
            words += " · " + _("{share} right").format(share=f"{known[-1]['accuracy']:.1%}")
    if status.seconds_left:
        words += " · " + _("{time} left").format(time=duration(status.seconds_left))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, status.step / max(1, status.steps)), text=words)
        wish_button(_("Stop"), "stop", "attention", lambda: cache.jobs().stop(run.id))
