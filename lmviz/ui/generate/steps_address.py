"""The settings that a step depends on, in the address, so that a link shows the same view. Those that the shared
controls bind themselves (prompt, temperature) are not here.
"""

from typing import Any

import streamlit as st
from pydantic import ValidationError

from lmviz.decoding.config import DecodingConfig
from lmviz.ui.kept import remember

KEYS = {
    "strategy": "strategy", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
    "repetition_penalty": "repetition_penalty", "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty", "no_repeat_ngram": "no_repeat_ngram", "seed": "decoding_seed",
}  # fmt: skip
"""Setting, as the address has it -> key of its control."""
ALLOWED = {
    "strategy": ("sample", "greedy"), "top_k": (1, 2, 3, 5, 10, 20, 40),
}  # fmt: skip
"""Choices of controls that do not take every valid value."""
DEFAULTS: dict[str, Any] = {
    "strategy": "sample", "top_k": None, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0,
    "frequency_penalty": 0.0, "presence_penalty": 0.0, "no_repeat_ngram": 0, "seed": 1,
}  # fmt: skip
SPANS = {"repetition_penalty": (1.0, 2.0), "frequency_penalty": (0.0, 2.0), "presence_penalty": (0.0, 2.0),
         "no_repeat_ngram": (0, 20), "top_p": (0.05, 1.0), "min_p": (0.0, 1.0)}  # fmt: skip
"""Ends of the sliders."""


def restore_settings() -> None:
    """Before the controls: what the address says, unless the session knows better."""
    for name, key in KEYS.items():
        text = st.query_params.get(name)
        if text is not None and key not in st.session_state and (value := _value(name, text)) is not None:
            st.session_state[key] = value


def keep_settings(decoding: dict[str, Any]) -> None:
    """After them."""
    for name, default in DEFAULTS.items():
        remember(name, decoding.get(name, default), default)


def _value(name: str, text: str) -> Any:
    """As the control wants it; None if it cannot have it."""
    try:
        value = getattr(DecodingConfig.model_validate_strings({name: text}), name)
    except ValidationError:
        return None
    low, high = SPANS.get(name, (value, value))
    return value if low <= value <= high and value in ALLOWED.get(name, (value,)) else None
