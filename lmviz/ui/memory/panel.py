"""An experiment as it comes in: progress, accuracy over the lag, the table; renewed while something moves."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from lmviz.corpora.tasks import TASK, measured_lags, sequences_tested
from lmviz.errors import LmvizError
from lmviz.memory import REMEMBERED
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.errors import show_error
from lmviz.ui.figures.memory import Points, accuracy_figure
from lmviz.ui.i18n import _
from lmviz.ui.live import refresh_every
from lmviz.ui.memory.experiment import Experiment, Line, finding, read_experiment
from lmviz.ui.memory.lesson import lesson
from lmviz.ui.run_card import wish_button
from lmviz.ui.setup import duration

HEIGHT = 330
SLOWEST = 1.0
"""Seconds between two looks at most; one takes 3 ms for twenty runs, and the figure."""


def experiment_panel(run_ids: Sequence[str]) -> Experiment | None:
    """The experiment of these runs, live while one of them is active; None if all of them are gone."""
    runs = runs_of(run_ids)
    if not runs:
        return None
    pace = _pace(runs)
    st.fragment(_panel, run_every=pace)([run.id for run in runs], pace)
    return read_experiment(runs)


def _pace(runs: Sequence[Run]) -> float | None:
    """Seconds until the next look. Each run has its turn seldom, but of so many some have moved meanwhile."""
    pace = refresh_every(runs)
    return None if pace is None else min(pace, SLOWEST)


def runs_of(run_ids: Sequence[str]) -> list[Run]:
    """Those of the runs that are still there, and on a task."""
    runs = []
    for run_id in run_ids:
        try:
            run = cache.store().get(run_id, allow_paths=False)
            if run.config().corpus.is_task:
                runs.append(run)
        except LmvizError:
            continue  # deleted since
    return runs


def _panel(run_ids: list[str], pace: float | None) -> None:
    runs = runs_of(run_ids)
    if not runs:
        st.rerun()
    experiment = read_experiment(runs)
    if experiment.active:
        _progress(experiment)
    _figure(experiment)
    place = st.container()
    st.html(table(experiment))
    for run in runs:
        if error := run.status().error:
            show_error(error)
            break  # most likely the same for all
    if not experiment.active:
        with place:
            lesson(experiment)
    if _pace(runs) != pace:
        st.rerun()


def _progress(experiment: Experiment) -> None:
    words = _("{done} of {count} runs").format(done=experiment.done, count=len(experiment.runs))
    seconds = experiment.seconds_left()
    if seconds is not None:
        words += " · " + _("{time} left").format(time=duration(seconds))
    jobs = cache.jobs()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, experiment.share_done), text=words)
        wish_button(_("Stop"), "stop", "memory", lambda: [jobs.stop(run_id) for run_id in experiment.active])


def _figure(experiment: Experiment) -> None:
    task = TASK[experiment.runs[0].config().corpus.name]
    title = finding(experiment)
    figure = accuracy_figure(
        [_points(line) for line in experiment.lines], experiment.lags, title=title,
        x=_("lag, steps"), y=_("right answers"),
        chance=task.chance, chance_name=_("guessing: {share}").format(share=f"{task.chance:.1%}"),
    )  # fmt: skip
    chart(figure, "memory_chart", height=HEIGHT, csv="memory", alt=alt_text(experiment, title),
          caption=caption(experiment))  # fmt: skip


def _points(line: Line) -> Points:
    rows = [row for row in line.rows if row["accuracy"] is not None]
    notes = [
        _("lag {lag}, after {step} of {steps} updates").format(lag=r["lag"], step=r["step"], steps=r["steps"])
        for r in rows
    ]
    lags, shares = [row["lag"] for row in rows], [row["accuracy"] for row in rows]
    return Points(line.name, line.style, lags, shares, notes)


def alt_text(experiment: Experiment, title: str) -> str:
    parts = [
        f"{line.name} " + ", ".join(f"{row['lag']}: {_percent(row['accuracy'])}" for row in line.rows)
        for line in experiment.lines
    ]
    return _("{finding}. Right answers by lag: {rows}.").format(finding=title, rows="; ".join(parts))


def caption(experiment: Experiment) -> str:
    """What is measured and over what."""
    config = experiment.runs[0].config()
    words = [
        _(
            "{task}: a run for every mark, {updates} updates, 64 units, seed {seed}. Share of right answers on the same"
            " {count} sequences that are not trained on; a cell remembers if it is {enough} or more. Marks at one lag"
            " stand side by side."
        ).format(
            count=tested(experiment),
            enough=f"{REMEMBERED:.0%}",
            task=_(TASK[config.corpus.name].title),
            updates=config.training.steps,
            seed=config.training.seed,
        )
    ]
    if any(line.mixed for line in experiment.lines):
        words.append(_("Dotted: one run, trained on short lags often and on long ones seldom (a curriculum)."))
    if not experiment.active and any(row["state"] != "finished" for row in experiment.single):
        words.append(_("Some runs were stopped before their end."))
    return " ".join(words)


def tested(experiment: Experiment) -> str:
    """How many sequences an accuracy is measured on, from the fewest to the most: "256", "64–227"."""
    corpora = [run.config().corpus for run in experiment.runs]
    counts = {sequences_tested(corpus, lag) for corpus in corpora for lag in measured_lags(corpus)}
    return "–".join(map(str, sorted({min(counts), max(counts)})))


def table(experiment: Experiment) -> str:
    """HTML: a row a cell, a column a lag; the accuracy, and after how many updates it remembered."""
    heads = [_("Cell"), *(_("lag {lag}").format(lag=lag) for lag in experiment.lags)]
    rows = "".join(
        f"<tr>{_head(line)}{''.join(_cell(line.at(lag)) for lag in experiment.lags)}</tr>" for line in experiment.lines
    )
    note = _("Small: updates until {share} of the answers were right.").format(share=f"{REMEMBERED:.0%}")
    return (
        f"<table class='paths lags'><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>{rows}</table>"
        f"<div class='table-note'>{escape(note)}</div>"
    )


def _head(line: Line) -> str:
    mark = {"dash": "dashed", "dot": "dotted"}.get(line.style.dash, "solid")
    return f"<th><i class='{mark}' style='--run: {line.style.color}'></i>{escape(line.name)}</th>"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "<td></td>"
    kind = "yes" if (row["accuracy"] or 0) >= REMEMBERED else "no"
    solved = f"<small>{row['solved']:,}</small>" if row["solved"] is not None else ""
    moving = " …" if row["state"] == "running" else ""
    return f"<td class='{kind}'>{_percent(row['accuracy'])}{moving} {solved}</td>"


def _percent(share: float | None) -> str:
    """Rounded down: 89.9 % is not the 90 % from which a cell counts as one that remembers."""
    return "–" if share is None else f"{math.floor(100 * share + 1e-9)}%"
