"""Runs as they learn: one chart for all, a card for each, renewed twice a second while something moves."""

import time
from collections.abc import Sequence

import streamlit as st

from lmviz.compare import AXES, Axis, labels, read_view
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.comparison import (
    alt_text,
    axis_names,
    caption,
    comparison_figure,
    markdown_safe,
    run_styles,
    verdict,
)
from lmviz.ui.i18n import _
from lmviz.ui.run_card import run_card
from lmviz.ui.shell import forget

REFRESH = 0.5
"""Seconds between two looks at the run folders."""
PATIENCE = 0.6
"""Seconds that the first look waits for the first points, so that they need not wait for the second."""


def live_panel(run_ids: Sequence[str]) -> None:
    """Chart, verdict and cards of these runs, live while one of them is active."""
    runs = find(run_ids)
    if not runs:  # all deleted
        forget("runs")
        return
    pace = refresh_every(runs)
    st.fragment(_panel, run_every=pace)([run.id for run in runs], pace)


def refresh_every(runs: Sequence[Run]) -> float | None:
    """Seconds until the next look; None when nothing moves any more."""
    moving = any(run.status().state in ("queued", "running") for run in runs)
    awaited = time.monotonic() < st.session_state.get("watch_until", 0)  # a wish takes a moment to show
    return REFRESH if moving or awaited else None


def wait_for_points(run_ids: Sequence[str]) -> None:
    """Just after the press: until every run has a point, or PATIENCE is over."""
    files = [cache.store().root / run_id / "metrics.jsonl" for run_id in run_ids]
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not all(file.exists() for file in files):
        time.sleep(0.02)


def find(run_ids: Sequence[str]) -> list[Run]:
    """The runs with these ids; a sentence for each that is not there."""
    runs = []
    for run_id in dict.fromkeys(run_ids):
        try:
            run = cache.store().get(run_id, allow_paths=False)
            run.config()
            runs.append(run)
        except LmvizError:
            st.warning(_("The run {run} is no longer there.").format(run=markdown_safe(run_id[:60])))
    return runs


def _panel(run_ids: list[str], pace: float | None) -> None:
    runs = find(run_ids)
    views = [read_view(run, name) for run, name in zip(runs, labels(runs), strict=True)]
    styles = run_styles(views)
    with st.container(horizontal=True, vertical_alignment="center"):
        axis = _axis_switch()
        log_x = st.toggle(_("Logarithmic"), True, key="log_x", persist_state="session")
    chart(
        comparison_figure(views, styles, axis, log_x=log_x), "loss_chart", height=380, csv="loss", alt=alt_text(views),
        caption=caption(views),
    )  # fmt: skip
    if words := verdict(views):
        st.success(words, icon=":material/emoji_events:")
    width = 3 if len(views) in (3, 5, 6) else min(len(views), 4)
    for start in range(0, len(views), width):
        for column, view, style in zip(st.columns(width), views[start : start + width], styles[start:], strict=False):
            with column, st.container(border=True):
                run_card(view, style)
    if refresh_every(runs) != pace:
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
