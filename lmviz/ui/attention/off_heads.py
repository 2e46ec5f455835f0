"""Which heads are switched off: kept in the session, and in the address as `1.2,cross_attention.1.4`. From 0 in the
session, from 1 for people and in the address.
"""

import re

import streamlit as st

from lmviz.ui.attention.scene import Scene
from lmviz.ui.kept import remember

Head = tuple[str, int, int]
"""Part, layer, head."""
OFF = "attention_off"


def off_heads(scene: Scene) -> list[Head]:
    """Those of the session, else of the address, that this model has."""
    if OFF not in st.session_state:
        st.session_state[OFF] = read_heads(st.query_params.get("off", ""))
    found = [
        head for head in st.session_state[OFF]
        if head[0] in scene.parts and head[1] < scene.layers and head[2] < scene.heads
    ]  # fmt: skip
    remember("off", ",".join(map(_word, found)), "")
    return found


def read_heads(text: str) -> list[Head]:
    """The heads of an address; what is no head is left out."""
    found = (re.fullmatch(r"(?:([a-z_]{1,30})\.)?(\d{1,3})\.(\d{1,3})", word) for word in text[:2000].split(","))
    heads = {(one[1] or "attention", int(one[2]) - 1, int(one[3]) - 1) for one in found if one}
    return sorted(head for head in heads if min(head[1:]) >= 0)


def set_heads(heads: list[Head]) -> None:
    """From a click, before the page runs again."""
    st.session_state[OFF] = sorted(set(heads))


def toggle_head(head: Head) -> None:
    """Off if it was on, and the other way round."""
    now: list[Head] = st.session_state.get(OFF, [])
    set_heads([one for one in now if one != head] if head in now else [*now, head])


def _word(head: Head) -> str:
    part, layer, number = head
    return f"{layer + 1}.{number + 1}" if part == "attention" else f"{part}.{layer + 1}.{number + 1}"
