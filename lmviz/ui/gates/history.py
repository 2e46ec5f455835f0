"""Features and gates over the training, asked for once and used by two parts."""

from typing import Any

import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.gates.scene import Scene
from lmviz.ui.i18n import _


def history(scene: Scene, **arguments: Any) -> dict[str, Any] | None:
    """Over the kept moments; measured once a person has asked, which takes some seconds."""
    key = f"gates_history {scene.run.id} {scene.run.checkpoint_steps()[-1]} {arguments}"
    if not st.session_state.get(key):
        st.button(
            _("Measure over the training"), icon=":material/timeline:", key="gates_history_button",
            on_click=lambda: st.session_state.update({key: True}),
        )  # fmt: skip
        return None
    newest = {**arguments, "until": scene.run.checkpoint_steps()[-1]}
    return asked("gate_history", _("Measuring every kept moment"), **newest)
