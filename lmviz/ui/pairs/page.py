"""The page Seq2Seq put together: controls on the left, the comparison on the right, below it what looks closer."""

from collections.abc import Callable, Sequence

import streamlit as st

from lmviz.errors import N_, LmvizError
from lmviz.ui import cache, player
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.live import refresh_every
from lmviz.ui.pairs import controls
from lmviz.ui.pairs.example import alignment_part, edit_part
from lmviz.ui.pairs.experiment import Learner, read_learners
from lmviz.ui.pairs.exposure import exposure_part
from lmviz.ui.pairs.lengths import lengths_part
from lmviz.ui.pairs.panel import live_panel, runs_of

SAMPLE = "sample-pairs"
"""Group of the comparison that comes with lmviz."""

Part = Callable[[Sequence[Learner]], None]
PARTS: dict[str, tuple[str, Part]] = {
    "alignment": (N_("Where it looks"), alignment_part),
    "edit": (N_("Move its attention"), edit_part),
    "lengths": (N_("By length"), lengths_part),
    "exposure": (N_("Its own inputs"), exposure_part),
}
"""Part, as the address has it -> its name, and what shows it."""


def seq2seq() -> None:
    cache.jobs()  # workers warm up while the person reads
    group = controls.restore()
    with st.container(key="pairs"):
        left, right = st.columns([3, 8], gap="large")
    with left:
        view = controls.controls()
        cost = st.empty()
    ids = _ids(group)
    with right:
        if ids:
            live_panel(ids)
        else:
            st.info(_("No comparison is here yet. Press Train."), icon=":material/school:")
    if ids:
        _closer(ids)
    cost.caption(controls.cost(view))


def _ids(group: str) -> tuple[str, ...]:
    """Ids of the experiment's runs, or of the sample's where the address names none."""
    try:
        return cache.group_ids(group or SAMPLE)
    except LmvizError as error:
        if group:
            show_error(error)
            st.query_params.pop("group", None)
        return ()


def _pace(ids: Sequence[str]) -> float | None:
    if player.playing():
        return player.FRAME_SECONDS
    return refresh_every(runs_of(ids)) if st.session_state.get("pairs_part", "alignment") == "alignment" else None


def _closer(ids: Sequence[str]) -> None:
    pace = _pace(ids)
    st.fragment(_part, run_every=pace)(list(ids), pace)


def _part(ids: list[str], pace: float | None) -> None:
    names = {part: _(name) for part, (name, _show) in PARTS.items()}
    part = switch(_("What to look at"), names, "pairs_part", "view")
    learners = read_learners(runs_of(ids))
    if learners:
        with st.container(key="pairs_closer"):
            PARTS[part][1](learners)
    if _pace(ids) != pace:
        st.rerun()
