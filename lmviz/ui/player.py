"""The moment of a training that is looked at: a slider over the recorded steps, and a button that lets it run.

Where it is follows from the time since the button was pressed, so that a slow page leaves frames out instead of
falling behind. The fragment that shows it has to run again every FRAME_SECONDS while `playing()`.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from lmviz.ui.i18n import _
from lmviz.ui.kept import remember

FRAME_SECONDS = 0.4
FRAMES = 40
"""At most, of a long training every second, third ... moment is shown."""

# In the session: "moment", the step that was chosen, none while the newest is followed; "play", while it runs, when it
# began and from which step; "moment_shown", what is on the page now.


def playing() -> bool:
    return "play" in st.session_state


def forget() -> None:
    """Other runs have other moments."""
    for name in ("play", "moment"):
        st.session_state.pop(name, None)


def frames(count: int, first: int) -> list[int]:
    """Indices that a play from `first` to the last of `count` moments shows."""
    left = count - first
    return [int(index) for index in np.unique(np.linspace(first, count - 1, min(FRAMES, left)).round())]


def moment_control(steps: Sequence[int], *, named: bool = False) -> int:
    """Button and slider; the step that is looked at.

    steps: the recorded ones, two at least.
    named: the slider shows its name.
    """
    shown = _advance(steps) if playing() else _chosen(steps)
    st.session_state["moment_shown"] = shown
    if playing():
        st.button(_("Stop"), icon=":material/stop:", key="moment_stop", on_click=_stop)
        # A slider of its own that tells nothing: a slow browser still speaks of frames that are over.
        _slider(steps, shown, "moment_playing", named=named, disabled=True)
        return shown
    first = 0 if shown == steps[-1] else shown
    st.button(_("Play"), icon=":material/play_arrow:", key="moment_play", type="primary", on_click=_play, args=(first,))
    _slider(steps, shown, "moment_slider", named=named, on_change=_moved, args=(steps[-1],))
    remember("step", shown, steps[-1])
    return shown


def _slider(steps: Sequence[int], shown: int, key: str, *, named: bool, **how: Any) -> None:
    if st.session_state.get(key) != shown:  # written anew, it would take back what was pressed in the meantime
        st.session_state[key] = shown
    st.select_slider(
        _("Moment of the training (steps)"), steps, format_func=lambda step: f"{step:,}", key=key,
        label_visibility="visible" if named else "collapsed", **how,
    )  # fmt: skip


def _chosen(steps: Sequence[int]) -> int:
    """The step that was chosen here, or by the address; the newest if none was."""
    if "moment" not in st.session_state:
        wanted = st.query_params.get("step", "")
        st.session_state["moment"] = int(wanted) if wanted.isdecimal() and len(wanted) < 10 else None
    moment = st.session_state["moment"]
    if moment is None:
        return steps[-1]
    return max((step for step in steps if step <= moment), default=steps[0])


def _advance(steps: Sequence[int]) -> int:
    """Where a play is by now; at its end it stops, and the last moment stays."""
    began, start = st.session_state["play"]
    first = next((index for index, step in enumerate(steps) if step >= start), 0)
    shown = frames(len(steps), first)
    frame = int((time.monotonic() - began) / FRAME_SECONDS)
    if frame >= len(shown) - 1:
        st.session_state.pop("play")
        st.session_state["moment"] = None
        return steps[-1]
    return steps[shown[frame]]


def _play(first: int) -> None:
    st.session_state["play"] = (time.monotonic(), first)


def _stop() -> None:
    st.session_state.pop("play", None)
    st.session_state["moment"] = st.session_state["moment_shown"]


def _moved(newest: int) -> None:
    """A person took the slider; at its right end it follows the newest."""
    step = st.session_state["moment_slider"]
    st.session_state["moment"] = None if step == newest else step
