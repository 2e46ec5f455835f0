"""The head and the token that are chosen: the same in all parts of the page, and in its address. From 0 in the session,
from 1 for people and in the address.
"""

import re

import streamlit as st

from lmviz.ui.attention.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore

HEAD = "attention_head"
QUERY = "attention_query"


def default_head(scene: Scene) -> tuple[int, int]:
    """The most decided one: the least entropy in the highest layer."""
    return scene.layers - 1, int(scene.entropy[-1].argmin())


def head_choice(scene: Scene) -> tuple[int, int]:
    """A selectbox of all heads; (layer, head) from 0."""
    options = [(layer, head) for layer in range(scene.layers) for head in range(scene.heads)]
    if st.session_state.get(HEAD) not in options:
        match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", st.query_params.get("head", ""))
        wanted = (int(match[1]) - 1, int(match[2]) - 1) if match else None
        st.session_state[HEAD] = wanted if wanted in options else default_head(scene)
    words = _("layer {layer}, head {head}")
    chosen: tuple[int, int] = st.selectbox(
        _("Head"), options, key=HEAD, format_func=lambda one: words.format(layer=one[0] + 1, head=one[1] + 1)
    )
    st.query_params["head"] = f"{chosen[0] + 1}.{chosen[1] + 1}"
    return chosen


def choose_head(layer: int, head: int) -> None:
    """From a click, before the page runs again."""
    st.session_state[HEAD] = (layer, head)
    st.query_params["head"] = f"{layer + 1}.{head + 1}"


def query_known(scene: Scene) -> int:
    """The place of the token that looks; the last one at first."""
    last = len(scene.rows) - 1
    restore(QUERY, "query", range(last + 1), last)
    query = int(st.session_state[QUERY])
    remember("query", query, last)
    return query


def choose_query(place: int) -> None:
    """From a click, before the page runs again."""
    st.session_state[QUERY] = place
