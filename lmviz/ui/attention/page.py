"""The page Attention put together: model, text and moment above; below, one of its parts."""

from collections.abc import Callable

import streamlit as st

from lmviz.errors import N_, LmvizError
from lmviz.runs import Run
from lmviz.ui import cache, player
from lmviz.ui.attention import head
from lmviz.ui.attention.heads import heads_part
from lmviz.ui.attention.lens import lens_part
from lmviz.ui.attention.masks import masks_part
from lmviz.ui.attention.off import off_part
from lmviz.ui.attention.pair import arrive, awaiting, beside, has_arrived
from lmviz.ui.attention.positions import positions_part
from lmviz.ui.attention.scene import Scene, read_scene
from lmviz.ui.attention.starting import progress, train_control
from lmviz.ui.attention.steps import steps_part
from lmviz.ui.attention.training import training_part
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.live import PACES, find, refresh_every

Part = Callable[[Scene], None]

PARTS: dict[str, tuple[str, Part]] = {
    "heads": (N_("All heads"), heads_part),
    "steps": (N_("Three steps"), steps_part),
    "masks": (N_("Masks"), masks_part),
    "positions": (N_("Positions"), positions_part),
    "off": (N_("Heads off"), off_part),
    "lens": (N_("Layer by layer"), lens_part),
    "training": (N_("Over training"), training_part),
}
"""Part, as the address has it -> its name, and what shows it."""


def attention() -> None:
    cache.jobs()  # workers warm up while the person reads
    arrive()
    runs = head.attention_runs()
    if not runs:
        st.info(_("No model with attention heads has been trained yet. Train a GPT first."), icon=":material/school:")
        st.page_link("pages/train.py", label=_("Train"), icon=":material/play_circle:")
        return
    left, middle, right = st.columns([8, 2, 2], vertical_alignment="bottom")
    with left:
        run = head.choose_model(runs)
    with middle:
        text = head.text_control(run)
    with right:
        train_control(run)
    if st.session_state.get("attention_moment_of", run.id) != run.id:
        player.forget()
    st.session_state["attention_moment_of"] = run.id
    pace = _pace(run)
    st.fragment(_body, run_every=pace)(run.id, text, pace)


def _pace(run: Run) -> float | None:
    """Seconds until the next look. A run that trains is followed by the parts that answer at once."""
    if player.playing():
        return player.FRAME_SECONDS
    if awaiting():
        return PACES[0]
    followed = {"heads": lambda: [run], "training": lambda: beside(run)}.get(
        str(st.session_state.get("attention_part", "heads"))
    )
    return refresh_every(followed()) if followed else None


def _body(run_id: str, text: str, pace: float | None) -> None:
    """All that the part and the moment change. A run may be deleted between two looks."""
    found = find([run_id])
    if not found:
        return
    run = found[0]
    progress(run)
    names = {part: _(name) for part, (name, _show) in PARTS.items()}
    part = switch(_("What to look at"), names, "attention_part", "view")
    three = run.config().model.kind == "transformer"
    left, right = st.columns([13, 11], vertical_alignment="bottom") if three else (st.container(), st.container())
    with left:
        kind = head.part_switch(run)
    with right, st.container(horizontal=True, vertical_alignment="bottom", key="attention_moment"):
        step = head.moment(run)
    try:
        with st.spinner(_("Reading; a server that has just started needs a moment."), width="content"):
            scene = read_scene(run, step, text, kind)
    except LmvizError as error:
        show_error(error)
        return
    PARTS[part][1](scene)
    if has_arrived() or _pace(run) != pace:
        st.rerun()
