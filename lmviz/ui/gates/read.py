"""Read along."""

import streamlit as st

from lmviz.ui.gates.scene import Scene


def read_part(scene: Scene, other: Scene | None) -> None:
    st.write(scene.label)
