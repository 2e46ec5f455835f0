"""Runs as they learn: one chart for all, a card for each, renewed twice a second while something moves."""

from collections.abc import Sequence

import streamlit as st

from lmviz.compare import AXES, Axis, labels, read_view
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.comparison import alt_text, axis_names, caption, comparison_figure, run_styles, verdict
from lmviz.ui.i18n import _
from lmviz.ui.run_card import run_card

REFRESH = 0.5
"""Seconds between two looks at the run folders."""


def live_panel(run_ids: Sequence[str]) -> None:
    """Chart, verdict and cards of these runs, live while one of them is active."""
    runs = find(run_ids)
    if not runs:
        return
    moving = any(run.status().state in ("queued", "running") for run in runs)
    st.fragment(_panel, run_every=REFRESH if moving else None)([run.id for run in runs], moving)


def find(run_ids: Sequence[str]) -> list[Run]:
    """The runs with these ids; a sentence for each that is not there."""
    runs = []
    for run_id in dict.fromkeys(run_ids):
        try:
            runs.append(cache.store().get(run_id))
        except LmvizError:
            st.warning(_("The run {run} is no longer there.").format(run=f"`{run_id[:60]}`"))
    return runs


def _panel(run_ids: list[str], moving: bool) -> None:
    runs = find(run_ids)
    views = [read_view(run, name) for run, name in zip(runs, labels(runs), strict=True)]
    styles = run_styles(views)
    axis = _axis_switch()
    chart(
        comparison_figure(views, styles, axis), "loss_chart", height=380, csv="loss", alt=alt_text(views),
        caption=caption(views),
    )  # fmt: skip
    if words := verdict(views):
        st.success(words, icon=":material/emoji_events:")
    for start in range(0, len(views), 4):
        row = views[start : start + 4]
        for column, view in zip(st.columns(len(row)), row, strict=True):
            with column, st.container(border=True):
                run_card(view, styles[views.index(view)])
    if moving and not any(view.status.state in ("queued", "running") for view in views):
        st.rerun()


def _axis_switch() -> Axis:
    names = axis_names()
    chosen = st.segmented_control(
        _("Compare by"), AXES, default="step", format_func=names.__getitem__, key="axis", required=True,
        persist_state="session", label_visibility="collapsed", help=_(
            "Steps: updates of the weights. Tokens: how much text was read. Seconds: time spent training, without"
            " waiting for others."
        ),
    )  # fmt: skip
    return chosen
