"""How the next token is chosen: the controls of the Generate page."""

from typing import Any

import streamlit as st

from lmviz.corpora.tasks import TASK
from lmviz.decoding.config import DecodingConfig
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.i18n import _, field_help


def decoding_controls(run: Run) -> dict[str, Any]:
    """Settings for `lmviz.decoding`, as plain values."""
    samples = run.samples()
    prompt = st.text_area(
        _("Prompt"), samples[-1]["prompt"] if samples else _task_prompt(run), height=80, key="prompt",
        bind="query-params", help=field_help(DecodingConfig, "prompt"), max_chars=2000,
    )  # fmt: skip
    if task := TASK.get(run.config().corpus.name):
        st.caption(_(task.definition))
    names = {"sample": _("Draw by chance"), "greedy": _("Always the likeliest")}
    strategy = st.segmented_control(
        _("Next token"), list(names), default="sample", format_func=names.__getitem__, key="strategy", required=True,
        persist_state="session", width="stretch", help=field_help(DecodingConfig, "strategy"),
    )  # fmt: skip
    values: dict[str, Any] = {"prompt": prompt, "strategy": strategy}
    if strategy == "sample":
        values["temperature"] = st.slider(
            _("Temperature"), 0.1, 2.0, 0.8, 0.05, key="temperature", bind="query-params",
            help=field_help(DecodingConfig, "temperature"),
        )  # fmt: skip
        values["top_k"] = _unless_off(
            st.select_slider(
                _("Top-k"), [1, 2, 3, 5, 10, 20, 40, 0], 0, key="top_k", persist_state="session",
                format_func=lambda k: f"{k}" if k else _("all"), help=field_help(DecodingConfig, "top_k"),
            )
        )  # fmt: skip
        values["top_p"] = st.slider(
            _("Top-p"), 0.05, 1.0, 1.0, 0.05, key="top_p", persist_state="session",
            help=field_help(DecodingConfig, "top_p"),
        )  # fmt: skip
    with st.expander(_("More"), key="more_decoding"):
        values["repetition_penalty"] = st.slider(
            _("Repetition penalty"), 1.0, 2.0, 1.0, 0.05, key="repetition_penalty", persist_state="session",
            help=field_help(DecodingConfig, "repetition_penalty"),
        )  # fmt: skip
        if task:  # what would follow the answer was never trained
            values["max_new_tokens"] = task.scored
        else:
            values["max_new_tokens"] = st.slider(
                _("Length, tokens"), 20, 1000, 300, 20, key="max_new_tokens", persist_state="session"
            )
        values["seed"] = st.number_input(
            _("Seed"), 0, 2**31 - 1, 1, key="decoding_seed", persist_state="session",
            help=field_help(DecodingConfig, "seed"),
        )  # fmt: skip
    return values


def _task_prompt(run: Run) -> str:
    """A sequence up to its question, of a run on a memory task; what other runs begin with is in their samples."""
    corpus = run.config().corpus
    if not corpus.is_task:
        return ""
    example = cache.task_example(corpus)
    return example["read"] + example["asked"]


def _unless_off(value: int) -> int | None:
    return value or None
