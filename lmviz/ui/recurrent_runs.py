"""Runs whose state goes from step to step, what is said where one of an address is none, and a text to begin with."""

import itertools

import streamlit as st

from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _
from lmviz.ui.live import find
from lmviz.ui.run_picker import steady_title

RECURRENT = ("rnn", "nvsi", "gru", "lstm")
DEFAULT_TOKENS = 80
SOME_LETTERS = 24
"""In a line that is worth reading."""


def recurrent_runs() -> dict[str, Run]:
    """Those that have kept weights, by id, the newest first."""
    return {
        run.id: run for run in cache.store().runs() if run.config().model.kind in RECURRENT and run.checkpoint_steps()
    }


def not_shown(run_id: str, instead: Run) -> None:
    """Why a run of the address is not among the models, and which one takes its place."""
    if not find([run_id]):  # says that it is gone
        words = _("{instead} is shown instead.")
    elif cache.store().get(run_id, allow_paths=False).config().model.kind in RECURRENT:
        words = _("The run {run} has kept no weights yet; {instead} is shown instead.")
    else:
        words = _("The run {run} has no state that goes from step to step; {instead} is shown instead.")
    name = steady_title(instead)
    st.info(words.format(run=markdown_safe(run_id), instead=markdown_safe(name)), icon=":material/info:")


def default_text(run: Run, count: int = DEFAULT_TOKENS) -> str:
    """About so many tokens of its held-out passage, from the first line that has some words."""
    tokens = run.breakdown().get("tokens", [])
    lines = "".join(tokens).splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if sum(map(str.isalpha, line)) >= SOME_LETTERS), 0)
    start = len("".join(lines[:first]))
    ends = itertools.accumulate(map(len, tokens))
    later = [token for token, end in zip(tokens, ends, strict=True) if end > start]
    return "".join(later[:count]).strip() or _("Type a sentence here.")
