"""The page Generate put together: model and moment above; below, one of its parts."""

from collections.abc import Callable

import streamlit as st

from lmviz.errors import N_
from lmviz.ui import cache
from lmviz.ui.generate.beam import beam_part
from lmviz.ui.generate.code import code_part
from lmviz.ui.generate.poem import poem_part
from lmviz.ui.generate.preference import preference_part
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.side import side_part
from lmviz.ui.generate.steps import steps_part
from lmviz.ui.generate.style import style_part
from lmviz.ui.generate.surprise import surprise_part
from lmviz.ui.generate.temperature import temperature_part
from lmviz.ui.generate.write import write_part
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.run_picker import checkpoint_slider, run_picker

Part = Callable[[Scene], None]

PARTS: dict[str, tuple[str, Part]] = {
    "write": (N_("Write"), write_part),
    "steps": (N_("Step by step"), steps_part),
    "side": (N_("Side by side"), side_part),
    "beam": (N_("Beam search"), beam_part),
    "temperature": (N_("Temperature"), temperature_part),
    "surprise": (N_("How surprised?"), surprise_part),
    "poem": (N_("Poem"), poem_part),
    "code": (N_("Code"), code_part),
    "style": (N_("Style"), style_part),
    "preference": (N_("Preference"), preference_part),
}
"""Part, as the address has it -> its name, and what shows it."""


def generate() -> None:
    cache.jobs()  # workers warm up while the person reads
    left, right = st.columns([3, 2], gap="large", vertical_alignment="bottom")
    with left:
        run = run_picker()
    if run is None:
        return
    with right:
        step = checkpoint_slider(run)
    part = switch(_("What to do"), {part: _(name) for part, (name, _show) in PARTS.items()}, "generate_part", "part")
    PARTS[part][1](Scene(run, step))
