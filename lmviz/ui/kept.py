"""Controls whose value stands in the address. Written by hand: `bind` does not work inside fragments, and it writes
the words of one language.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st


def restore(key: str, name: str, options: Sequence[Any], default: Any) -> None:
    """Before a control with this key: a value that it can have, its own, else the address's, else the default."""
    if st.session_state.get(key) in options:
        return
    wanted = st.query_params.get(name)
    st.session_state[key] = next((option for option in options if str(option) == wanted), default)


def remember(name: str, value: Any, default: Any) -> None:
    """After it: the address says so, unless it is as at first."""
    if value == default:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != str(value):
        st.query_params[name] = str(value)


def switch(words: str, names: Mapping[str, str], key: str, name: str) -> str:
    """Which of these views is shown, as buttons in a row; the first one at first.

    words: what the row is, for those who cannot see it. names: view, as the address has it -> what its button says.
    """
    first = next(iter(names))
    restore(key, name, list(names), first)
    chosen = str(st.segmented_control(
        words, list(names), format_func=names.__getitem__, key=key, required=True, label_visibility="collapsed",
        wrap=True,
    ))  # fmt: skip
    remember(name, chosen, first)
    return chosen
