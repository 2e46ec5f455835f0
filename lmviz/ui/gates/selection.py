"""The unit, the signal and the token that are chosen: the same in all parts of the page, and in its address."""

import numpy as np
import streamlit as st

from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore


def unit_choice(scene: Scene) -> int:
    """A number field; at first the unit whose output changes most over the text."""
    last = scene.units - 1
    liveliest = int(scene.signals["hidden"].std(0).argmax())
    restore("gates_unit", "unit", range(scene.units), liveliest)
    unit = int(st.number_input(_("Unit (0 to {last})").format(last=last), 0, last, key="gates_unit"))
    st.query_params["unit"] = str(unit)
    return unit


def unit_known(scene: Scene) -> int:
    """The unit that was chosen in any part, for parts without the field."""
    wanted = str(st.session_state.get("gates_unit", st.query_params.get("unit", "0")))
    return min(int(wanted), scene.units - 1) if wanted.isdecimal() and len(wanted) < 7 else 0


def choose_unit(unit: int) -> None:
    """From a click, before the page runs again."""
    st.session_state["gates_unit"] = unit
    st.query_params["unit"] = str(unit)


def signal_choice(scene: Scene, key: str = "signal") -> str:
    """One of the scene's signals; at first what the layer remembers."""
    options = list(scene.signals)
    restore(f"gates_{key}", key, options, scene.state)
    chosen = str(st.selectbox(_("Signal"), options, format_func=signal_name, key=f"gates_{key}"))
    remember(key, chosen, scene.state)
    return chosen


def token_choice(scene: Scene) -> int:
    """The place that was chosen in a map or in the text; at first where the model's memory changes most."""
    state = scene.signals[scene.state]
    jumps = np.abs(np.diff(state, axis=0)).sum(1)
    default = int(jumps.argmax()) + 1 if len(jumps) else 0
    restore("gates_token", "token", range(len(scene.tokens)), default)
    token = int(st.session_state["gates_token"])
    remember("token", token, default)
    return token
