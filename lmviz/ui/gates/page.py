"""The page Gates put together: model, text and moment above; below, one of its parts."""

from collections.abc import Callable, Mapping

import streamlit as st

from lmviz.compare import labels
from lmviz.errors import N_, LmvizError
from lmviz.runs import Run
from lmviz.ui import cache, player
from lmviz.ui.errors import markdown_safe, show_error
from lmviz.ui.gates import head
from lmviz.ui.gates.hold import hold_part
from lmviz.ui.gates.meaning import meaning_part
from lmviz.ui.gates.read import read_part
from lmviz.ui.gates.saturation import saturation_part
from lmviz.ui.gates.scene import Scene, read_scene
from lmviz.ui.gates.similar import similar_part
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.live import find, refresh_every
from lmviz.ui.recurrent_runs import recurrent_runs
from lmviz.ui.tokens import visible_token

Part = Callable[[Scene, Scene | None], None]
"""What is shown of the model, and of the one beside it if there is one."""

PARTS: dict[str, tuple[str, Part]] = {
    "read": (N_("Read along"), read_part),
    "meaning": (N_("Find meaning"), meaning_part),
    "similar": (N_("Find similar"), similar_part),
    "saturation": (N_("Saturation"), saturation_part),
    "hold": (N_("Hold a gate"), hold_part),
}
"""Part, as the address has it -> its name, and what shows it."""


def gates() -> None:
    cache.jobs()  # workers warm up while the person reads
    runs = recurrent_runs()
    if not runs:
        st.info(_("No recurrent model has been trained yet. Train one first."), icon=":material/school:")
        st.page_link("pages/train.py", label=_("Train"), icon=":material/play_circle:")
        return
    left, middle, right = st.columns([5, 5, 2], vertical_alignment="bottom")
    with left:
        run = head.choose_model(runs)
    with middle:
        other = head.choose_other(runs, run)
    with right:
        text = head.text_control(run)
    if st.session_state.get("gates_moment_of", run.id) != run.id:
        player.forget()
    st.session_state["gates_moment_of"] = run.id
    pace = _pace(run)
    st.fragment(_body, run_every=pace)(run.id, other, text, pace)


def _pace(run: Run) -> float | None:
    """Seconds until the next look. A run that trains is followed by the part that answers at once."""
    if player.playing():
        return player.FRAME_SECONDS
    return refresh_every([run]) if st.session_state.get("gates_part", "read") == "read" else None


def _body(run_id: str, other: str, text: str, pace: float | None) -> None:
    """All that the part and the moment change. A run may be deleted between two looks."""
    found = find([run_id])
    if not found:
        return
    run = found[0]
    layers = getattr(run.config().model, "num_layers", 1)
    left, right = st.columns([13, 11], vertical_alignment="bottom")
    with left:
        names = {part: _(name) for part, (name, _show) in PARTS.items()}
        part = switch(_("What to look at"), names, "gates_part", "part")
        layer = head.layer_switch(layers)
    with right, st.container(horizontal=True, vertical_alignment="bottom", key="gates_moment"):
        step = head.moment(run)
    scenes = _scenes(run, step, other, text, layer)
    for scene in scenes:
        if scene.unknown:
            st.warning(_unknown_words(scene), icon=":material/font_download_off:")
    if scenes:
        PARTS[part][1](scenes[0], scenes[1] if len(scenes) > 1 else None)
    if _pace(run) != pace:
        st.rerun()


def _unknown_words(scene: Scene) -> str:
    """Which tokens of the text its vocabulary does not have. Markdown."""
    tokens = dict.fromkeys(visible_token(scene.tokens[place]) for place in sorted(scene.unknown))
    some = " ".join(list(tokens)[:10])
    return _("{name} has never met {tokens}: all such tokens are the same to it.").format(
        name=markdown_safe(scene.label), tokens=markdown_safe(some)
    )


def _scenes(run: Run, step: int, other: str, text: str, layer: int) -> list[Scene]:
    """The model, and the one beside it; a sentence for one that cannot be shown. None if the first cannot."""
    wanted = [(run, step), *_beside(run, step, other)]
    names = _names(wanted)
    scenes = []
    for (one, at), name in zip(wanted, names, strict=True):
        count = getattr(one.config().model, "num_layers", 1)
        try:
            with st.spinner(_("Reading; a server that has just started needs a moment."), width="content"):
                scenes.append(read_scene(one, at, name, text, min(layer, count - 1)))
        except LmvizError as error:
            show_error(error)
            if one is run and at == step:
                return []
    return scenes


def _beside(run: Run, step: int, other: str) -> list[tuple[Run, int]]:
    """The second model at its moment: the kept one nearest to the first's."""
    if other == head.ALONE or (other == head.UNTRAINED and step == 0):
        return []
    if other == head.UNTRAINED:
        return [(run, 0)]
    found = find([other])
    steps = found[0].checkpoint_steps() if found else []
    return [(found[0], min(steps, key=lambda one: abs(one - step)))] if steps else []


def _names(wanted: list[tuple[Run, int]]) -> list[str]:
    """Labels; the same run at two moments is named with both."""
    runs: Mapping[str, Run] = {run.id: run for run, _step in wanted}
    names = dict(zip(runs, labels(list(runs.values())), strict=True))
    words = _("{name} after {step} updates")
    return [words.format(name=names[run.id], step=f"{step:,}") for run, step in wanted]
