"""A comparison as it comes in: how many outputs are right over the time of training, and a row for every run."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.runs import ACTIVE, Run
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.errors import show_error
from lmviz.ui.figures.pairs import Curve, shares_figure
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.live import refresh_every
from lmviz.ui.pairs.experiment import Learner, finding, read_learners
from lmviz.ui.pairs.names import model_style, pairs_title
from lmviz.ui.run_card import wish_button
from lmviz.ui.setup import duration

HEIGHT = 300


def runs_of(run_ids: Sequence[str]) -> list[Run]:
    """Those of the runs that are still there, and learn pairs."""
    runs = []
    for run_id in run_ids:
        try:
            run = cache.store().get(run_id, allow_paths=False)
            if run.config().reads_pairs:
                runs.append(run)
        except LmvizError:
            continue  # deleted since
    return runs


def live_panel(run_ids: Sequence[str]) -> None:
    """Live while one of the runs is active."""
    runs = runs_of(run_ids)
    st.fragment(_panel, run_every=refresh_every(runs))([run.id for run in runs], refresh_every(runs))


def _panel(run_ids: list[str], pace: float | None) -> None:
    runs = runs_of(run_ids)
    if not runs:
        st.rerun()
    learners = read_learners(runs)
    active = [one.run.id for one in learners if one.status.state in ACTIVE]
    if active:
        _progress(learners, active)
    axis = switch(_("Compare by"), {"seconds": _("Seconds"), "step": _("Updates")}, "pairs_axis", "axis")
    _figure(learners, axis)
    st.html(table(learners))
    for one in learners:
        if one.status.error:
            show_error(one.status.error)
            break
    if refresh_every(runs) != pace:
        st.rerun()


def _progress(learners: Sequence[Learner], active: list[str]) -> None:
    done = sum(one.status.step for one in learners) / max(1, sum(one.status.steps for one in learners))
    left = [one.status.seconds_left for one in learners if one.status.seconds_left]
    words = _("Training")
    if left:
        words += " · " + _("{time} left").format(time=duration(max(left)))
    jobs = cache.jobs()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, done), text=words)
        wish_button(_("Stop"), "stop", "pairs", lambda: [jobs.stop(run_id) for run_id in active])


def _figure(learners: Sequence[Learner], axis: str) -> None:
    title = finding(learners)
    words = _("after {step} updates, {seconds} s; {errors} of the characters wrong")
    curves = [
        Curve(
            one.name, model_style(one.kind), [line[axis] for line in one.lines],
            [line["exact_match"] for line in one.lines],
            [
                words.format(step=f"{line['step']:,}", seconds=f"{line['seconds']:.1f}",
                             errors=f"{line['character_error_rate']:.1%}")
                for line in one.lines
            ],
        )
        for one in learners if one.lines
    ]  # fmt: skip
    names = {"seconds": _("seconds of training"), "step": _("updates")}
    figure = shares_figure(curves, title=title, x=names[axis], y=_("outputs right"), key=f"pairs {axis}")
    caption = _(
        "Share of {count} held-out sources whose output is right in every character; the model writes by itself, always"
        " its likeliest character. Seconds: time spent training, without waiting for others and without measuring."
    ).format(count=_tested(learners))
    chart(figure, "pairs_chart", height=HEIGHT, csv="pairs", alt=title, caption=caption)


def _tested(learners: Sequence[Learner]) -> str:
    """How many held-out pairs each validation measures."""
    counts = {min(256, int(one.run.data().get("test_pairs", 256))) for one in learners}
    return " / ".join(str(count) for count in sorted(counts))


def table(learners: Sequence[Learner]) -> str:
    """HTML: a row a run."""
    heads = [
        _("Model"),
        _("Pairs"),
        _("Outputs right"),
        _("Solved after"),
        _("Updates"),
        _("Seconds"),
        _("Parameters"),
    ]
    rows = "".join(f"<tr>{''.join(_cells(one))}</tr>" for one in learners)
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    note = escape(_("Solved: 98 % of the outputs are right. A Transformer has more parameters and takes longer here."))
    whole = f"<table class='paths pairs'><tr>{head}</tr>{rows}</table>"
    return f"<div class='pairs-table'>{whole}</div><div class='table-note'>{note}</div>"


def _cells(one: Learner) -> list[str]:
    style, status = model_style(one.kind), one.status
    mark = {"dash": "dashed", "dot": "dotted"}.get(style.dash, "solid")
    last: dict[str, Any] = dict(one.lines[-1]) if one.lines else {}
    solved = one.solved
    moving = " …" if status.state == "running" else ""
    texts = [
        pairs_title(one.config.corpus.name),
        f"{last['exact_match']:.1%}{moving}" if last else "–",
        _("{seconds} s, {step} updates").format(seconds=f"{solved['seconds']:.1f}", step=f"{solved['step']:,}")
        if solved else "–",
        f"{status.step:,} / {status.steps:,}",
        f"{status.seconds:.1f}",
        f"{status.parameters:,}" if status.parameters else "–",
    ]  # fmt: skip
    name = f"<th><i class='{mark}' style='--run: {style.color}'></i>{escape(one.name)}</th>"
    return [name, *(f"<td>{escape(text)}</td>" for text in texts)]
