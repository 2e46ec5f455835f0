"""Runs as they learn: one chart for all, a card for each, renewed twice a second while something moves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from lmviz.compare import AXES, Axis, RunSet, RunView, labels, read_view, run_sets
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.comparison import (
    alt_text,
    axis_names,
    caption,
    comparison_figure,
    difference_words,
    run_styles,
    set_label,
    verdict,
)
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.run_card import run_card, wish_button
from lmviz.ui.run_picker import corpus_title
from lmviz.ui.shell import forget
from lmviz.ui.surprise import breakdown_panel
from lmviz.ui.theme import RunStyle

PACES = (0.5, 1.0, 2.0)
"""Seconds between two looks at the run folders: the first, unless so many runs share the workers that each has a turn
less often. A few values only, as every change of the pace draws the whole page again."""
PATIENCE = 0.6
"""Seconds that the first look waits for the first points, so that they need not wait for the second."""


def live_panel(run_ids: Sequence[str], shown: str) -> None:
    """Chart, verdict and cards of these runs, live while one of them is active; `shown` as `view_switch` gives it."""
    runs = find(run_ids)
    if not runs:  # all deleted
        forget("runs")
        return
    pace = refresh_every(runs)
    st.fragment(_panel, run_every=pace)([run.id for run in runs], pace, shown)


def refresh_every(runs: Sequence[Run]) -> float | None:
    """Seconds until the next look; None when nothing moves any more."""
    moving = any(run.status().state in ("queued", "running") for run in runs)
    awaited = time.monotonic() < st.session_state.get("watch_until", 0)  # a wish takes a moment to show
    if awaited:
        return PACES[0]
    turn = cache.jobs().turn_seconds()
    return next((pace for pace in PACES if turn <= pace), PACES[-1]) if moving else None


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


def _panel(run_ids: list[str], pace: float | None, shown: str) -> None:
    runs = find(run_ids)
    views = [read_view(run, name) for run, name in zip(runs, labels(runs), strict=True)]
    styles = run_styles(views)
    _what_was_trained(views)
    if shown == "loss":
        with st.container(horizontal=True, vertical_alignment="center"):
            look = _loss_controls()
        _loss(views, styles, look)
    else:
        breakdown_panel(views, styles, shown)
    if words := verdict(views):
        st.success(words, icon=":material/emoji_events:")
    for words in difference_words(views):
        st.caption(words)
    _all_at_once(views)
    style_of = {view.run.id: style for view, style in zip(views, styles, strict=True)}
    sets = run_sets(views)
    for one in sets:
        if len(one.views) > 1:
            st.progress(_share_done(one), text=markdown_safe(set_label(one)))
    _cards([(one.views[0], style_of[one.views[0].run.id]) for one in sets if len(one.views) == 1])
    for one in sets:
        if len(one.views) > 1:
            with st.expander(markdown_safe(set_label(one))):
                _cards([(view, style_of[view.run.id]) for view in one.views])
    if refresh_every(runs) != pace:
        st.rerun()


def view_switch() -> str:
    """What is compared: loss, place, class or passage. It stands in the address."""
    names = {
        "loss": _("Learning curves"), "place": _("By place in the window"), "class": _("By kind of character"),
        "passage": _("Surprise, token by token"),
    }  # fmt: skip
    return switch(_("What to compare"), names, "view", "view")


def _what_was_trained(views: Sequence[RunView]) -> None:
    """Text, tokens and updates of these runs in one line."""
    tokens = {"char": _("Characters"), "word": _("Words"), "bpe": _("Byte pairs")}
    texts = dict.fromkeys(corpus_title(view.config.corpus.name) for view in views)
    kinds = dict.fromkeys(tokens[view.config.tokenizer.kind] for view in views if view.config.has_text)
    steps = dict.fromkeys(f"{view.status.steps:,}" for view in views if view.kind != "ngram")
    parts = [" / ".join(words) for words in (texts, kinds) if words]
    if steps:
        parts.append(_("{steps} steps").format(steps=" / ".join(steps)))
    st.caption(markdown_safe(" · ".join(parts)))


@dataclass(frozen=True)
class Look:
    """How the curves are drawn."""

    axis: Axis
    log_x: bool
    log_y: bool
    smoothing: float


def _loss_controls() -> Look:
    axis = _axis_switch()
    with st.popover(_("Chart"), icon=":material/tune:", key="chart_settings"):
        log_x = st.toggle(_("Logarithmic x-axis"), True, key="log_x", persist_state="session")
        log_y = st.toggle(_("Logarithmic loss"), False, key="log_y", persist_state="session")
        smoothing = st.slider(
            _("Smooth the training loss"), 0.0, 0.95, 0.0, 0.05, key="smoothing", persist_state="session",
            help=_("Weight of what came before in the running mean; the validation loss is never smoothed."),
        )  # fmt: skip
    return Look(axis, log_x, log_y, smoothing)


def _loss(views: Sequence[RunView], styles: Sequence[RunStyle], look: Look) -> None:
    figure = comparison_figure(views, styles, look.axis, log_x=look.log_x, log_y=look.log_y, smoothing=look.smoothing)
    words = caption(views)
    if look.smoothing:
        words += " " + _("The training loss is a running mean in which what came before weighs {weight}.").format(
            weight=f"{look.smoothing:g}"
        )
    chart(figure, "loss_chart", height=380, csv="loss", alt=alt_text(views), caption=words)


def _share_done(one: RunSet) -> float:
    """Of all updates of a set."""
    steps = sum(view.status.steps for view in one.views)
    return min(1.0, sum(view.status.step for view in one.views) / steps) if steps else 0.0


def _all_at_once(views: Sequence[RunView]) -> None:
    """One press for all of one's own runs that move."""
    moving = [view.run.id for view in views if view.status.active and not view.run.read_only]
    if len(moving) < 2:
        return
    jobs = cache.jobs()
    with st.container(horizontal=True, gap="small"):
        wish_button(_("Pause all"), "pause", "all", lambda: [jobs.pause(run_id) for run_id in moving])
        wish_button(_("Stop all"), "stop", "all", lambda: [jobs.stop(run_id) for run_id in moving])


def _cards(pairs: Sequence[tuple[RunView, RunStyle]]) -> None:
    width = 3 if len(pairs) in (3, 5, 6) else max(1, min(len(pairs), 4))
    for start in range(0, len(pairs), width):
        for column, (view, style) in zip(st.columns(width), pairs[start : start + width], strict=False):
            with column, st.container(border=True):
                run_card(view, style)


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
