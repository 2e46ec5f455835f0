"""How the next token is chosen: controls that parts of the page Generate share. They keep their values when another
part is shown.
"""

from typing import Any

import streamlit as st

from lmviz.corpora.tasks import TASK
from lmviz.decoding.config import DecodingConfig
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.i18n import _, field_help


def decoding_controls(run: Run) -> dict[str, Any]:
    """Settings for `lmviz.decoding`, as plain values."""
    return {"prompt": prompt_control(run), **strategy_controls(), **more_controls(run)}


def prompt_control(run: Run) -> str:
    """What the text begins with, in the address as ?prompt=."""
    samples = run.samples()
    prompt = st.text_area(
        _("Prompt"), samples[-1]["prompt"] if samples else _task_prompt(run), height=80, key="prompt",
        bind="query-params", help=field_help(DecodingConfig, "prompt"), max_chars=2000,
    )  # fmt: skip
    if task := TASK.get(run.config().corpus.name):
        st.caption(_(task.definition))
    return str(prompt)


def strategy_controls() -> dict[str, Any]:
    """Greedy or drawn, and from what is drawn."""
    names = {"sample": _("Draw by chance"), "greedy": _("Always the likeliest")}
    strategy = st.segmented_control(
        _("Next token"), list(names), default="sample", format_func=names.__getitem__, key="strategy", required=True,
        persist_state="session", width="stretch", help=field_help(DecodingConfig, "strategy"),
    )  # fmt: skip
    values: dict[str, Any] = {"strategy": strategy}
    if strategy == "sample":
        values["temperature"] = temperature_control()
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
    return values


def temperature_control() -> float:
    return float(st.slider(
        _("Temperature"), 0.1, 2.0, 0.8, 0.05, key="temperature", bind="query-params",
        help=field_help(DecodingConfig, "temperature"),
    ))  # fmt: skip


def more_controls(run: Run) -> dict[str, Any]:
    """Penalties, length and seed, folded away."""
    values: dict[str, Any] = {}
    with st.expander(_("More"), key="more_decoding"):
        if st.session_state.get("strategy", "sample") == "sample":
            values["min_p"] = st.slider(
                _("Min-p"), 0.0, 1.0, 0.0, 0.05, key="min_p", persist_state="session",
                help=field_help(DecodingConfig, "min_p"),
            )  # fmt: skip
        values |= penalty_controls()
        task = TASK.get(run.config().corpus.name)
        if task:  # what would follow the answer was never trained
            values["max_new_tokens"] = task.scored
        else:
            values["max_new_tokens"] = st.slider(
                _("Length, tokens"), 20, 1000, 300, 20, key="max_new_tokens", persist_state="session"
            )
        values["seed"] = seed_control()
    return values


def penalty_controls() -> dict[str, Any]:
    """What keeps a text from repeating itself."""
    return {
        "repetition_penalty": st.slider(
            _("Repetition penalty"), 1.0, 2.0, 1.0, 0.05, key="repetition_penalty", persist_state="session",
            help=field_help(DecodingConfig, "repetition_penalty"),
        ),
        "frequency_penalty": st.slider(
            _("Frequency penalty"), 0.0, 2.0, 0.0, 0.05, key="frequency_penalty", persist_state="session",
            help=field_help(DecodingConfig, "frequency_penalty"),
        ),
        "presence_penalty": st.slider(
            _("Presence penalty"), 0.0, 2.0, 0.0, 0.05, key="presence_penalty", persist_state="session",
            help=field_help(DecodingConfig, "presence_penalty"),
        ),
        "no_repeat_ngram": st.slider(
            _("No repeated run of"), 0, 20, 0, key="no_repeat_ngram", persist_state="session",
            help=field_help(DecodingConfig, "no_repeat_ngram"),
        ),
    }  # fmt: skip


def seed_control() -> int:
    return int(st.number_input(
        _("Seed"), 0, 2**31 - 1, 1, key="decoding_seed", persist_state="session",
        help=field_help(DecodingConfig, "seed"),
    ))  # fmt: skip


def next_seed() -> None:
    """At a press, before the controls are drawn."""
    st.session_state["decoding_seed"] = (int(st.session_state.get("decoding_seed", 1)) + 1) % 2**31


def _task_prompt(run: Run) -> str:
    """A sequence up to its question, of a run on a memory task; what other runs begin with is in their samples."""
    corpus = run.config().corpus
    if not corpus.is_task:
        return ""
    example = cache.task_example(corpus)
    return example["read"] + example["asked"]


def _unless_off(value: int) -> int | None:
    return value or None
