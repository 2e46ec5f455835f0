"""Where a person is in a text that is written step by step, and what was tried before. Plain values but for the
session and the address, which hold them.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

Path = tuple[int, ...]
"""Tokens after the prompt."""

PATH, TRIED, OF, PLAYS = "steps_path", "steps_tried", "steps_of", "steps_playing"
ADDRESS = "tokens"
MOST_TRIED = 40
"""Branches that are kept."""


def begin(about: Any) -> None:
    """Before anything is drawn. about: model, moment and prompt; another one of these is another text."""
    if OF not in st.session_state:
        st.session_state[PATH] = read_path(st.query_params.get(ADDRESS, ""))
        st.session_state[TRIED] = [st.session_state[PATH]]
    elif st.session_state[OF] != about:
        start_again()
    st.session_state[OF] = about
    remember()


def read_path(text: str) -> Path:
    """`12,5,33`, as far as it is one."""
    found = []
    for part in text.split(",")[:500]:
        if not part.isdecimal() or len(part) > 9:
            break
        found.append(int(part))
    return tuple(found)


def remember() -> None:
    """The address says where one is."""
    path = ",".join(map(str, here()))
    if path and len(path) <= 2000:
        if st.query_params.get(ADDRESS) != path:
            st.query_params[ADDRESS] = path
    else:
        st.query_params.pop(ADDRESS, None)


def here() -> Path:
    path: Path = st.session_state[PATH]
    return path


def tried() -> list[Path]:
    """The ends of all branches, the first that was gone first."""
    found: list[Path] = st.session_state[TRIED]
    return found


def go(path: Sequence[int]) -> None:
    """Be at this text; it is remembered as a branch unless one that was tried goes through it."""
    st.session_state[PATH] = now = tuple(path)
    ends = tried()
    if any(end[: len(now)] == now for end in ends):
        return
    grown = [i for i, end in enumerate(ends) if now[: len(end)] == end]
    if grown:
        ends[grown[-1]] = now
    else:
        ends.append(now)
    del ends[:-MOST_TRIED]


def start_again() -> None:
    st.session_state[PATH] = ()
    st.session_state[TRIED] = [()]
    st.session_state.pop(PLAYS, None)


def tree(ends: Sequence[Path], now: Path) -> list[tuple[Path, int, int | None]]:
    """Every text on the way to one of the ends: (text, row, place of the text before it in this list)."""
    places: dict[Path, int] = {(): 0}
    nodes: list[tuple[Path, int, int | None]] = [((), 0, None)]
    row = -1
    for end in ends:
        new = False
        for length in range(1, len(end) + 1):
            text = end[:length]
            if text in places:
                continue
            if not new:
                row, new = row + 1, True
            nodes.append((text, row, places[text[:-1]]))
            places[text] = len(nodes) - 1
    return nodes
