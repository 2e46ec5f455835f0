"""What the gradient says: how far it reaches back in each cell, before and after training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from lmviz.inspect.decay import RECORDED_WINDOWS, Array, decay, relative
from lmviz.limits import MAX_CARDS
from lmviz.memory import REMEMBERED
from lmviz.runs import Run
from lmviz.ui.chart import chart
from lmviz.ui.figures.memory import before_after_figure
from lmviz.ui.i18n import _
from lmviz.ui.memory.experiment import Experiment, Line
from lmviz.ui.memory.lesson import power

LAG = 20
"""At which the gradient is shown, or the nearest that was trained: long enough to vanish, short enough to learn."""


@dataclass(frozen=True)
class Change:
    """The gradient of one run over the lag, relative to lag 0, before its first update and after its last."""

    line: Line
    run: str
    lag: int
    """It was trained at."""
    accuracy: float | None
    before: Array
    after: Array

    @property
    def title(self) -> str:
        first, last = (decay(values) for values in (self.before, self.after))
        return f"{self.line.name}: {_factor(first)} → {_factor(last)}"

    @property
    def remembers(self) -> bool:
        return self.accuracy is not None and self.accuracy >= REMEMBERED


def _factor(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2f}"


def gradient_section(experiment: Experiment) -> None:
    """A small figure for each cell at one lag, and what they say."""
    found = changes(experiment)
    if not found:
        return
    lag = found[0].lag
    st.subheader(_("What the gradient says, before and after training"), anchor=False)
    st.markdown(change_words(found, lag))
    lowest = min(float(values[values > 0].min(initial=1.0)) for c in found for values in (c.before, c.after))
    with st.container(key="memory_changes"):
        for column, change in zip(st.columns(len(found)), found, strict=True):
            with column:
                _small(change, lowest)
    st.caption(_(
        "Gradient of the answer's loss with respect to the state so many steps before it, relative to the last state;"
        " of the LSTM its cell state. Dotted: at birth; bold: after training at lag {lag}. Above each: its factor a"
        " step before → after. Mean over {count} test sequences, float64."
    ).format(lag=lag, count=RECORDED_WINDOWS))  # fmt: skip
    ids = ",".join(change.run for change in found[-MAX_CARDS:])
    st.page_link(
        "pages/gradients.py", label=_("Watch these gradients while they learn"), icon=":material/trending_down:",
        query_params={"part": "learning", "runs": ids},
    )  # fmt: skip


def changes(experiment: Experiment) -> list[Change]:
    """Of the runs at LAG, or at the lag nearest to it, those that recorded gradients before and after."""
    alone = [line for line in experiment.lines if not line.mixed]
    lags = {row["lag"] for line in alone for row in line.rows}
    if not lags:
        return []
    lag = min(lags, key=lambda trained: abs(trained - LAG))
    runs = {run.id: run for run in experiment.runs}
    found = []
    for line in alone:
        if (row := line.at(lag)) and (curves := _first_and_last(runs[row["run"]])):
            found.append(Change(line, row["run"], lag, row["accuracy"], *curves))
    return found


def _first_and_last(run: Run) -> tuple[Array, Array] | None:
    """Of the top layer, its cell state where it has one; without the state after <begin>, which remembers nothing."""
    lines = run.gradients()
    if len(lines) < 2:
        return None
    state = next((name for name in ("grad.cell", "grad.hidden") if name in lines[0]), None)
    if state is None:
        return None
    first, last = (relative(np.array(line[state][-1][:-1], np.float64)) for line in (lines[0], lines[-1]))
    return first, last


def change_words(found: Sequence[Change], lag: int) -> str:
    """Who learned a way back for the gradient, measured (Markdown)."""
    parts = []
    for remembers, words in (
        (True, _("Of those that remember {lag} steps, this much of the gradient reaches the start: {shares}.")),
        (False, _("Of those that do not: {shares}. Where it does not arrive, there is nothing to learn from.")),
    ):
        shares = [
            _("{name} {after} (at birth {before})").format(
                name=c.line.name, after=power(float(c.after[-1])), before=power(float(c.before[-1]))
            )
            for c in found
            if c.remembers is remembers
        ]
        if shares:
            parts.append(words.format(lag=lag, shares=", ".join(shares)))
    return " ".join(parts)


def _small(change: Change, lowest: float) -> None:
    figure = before_after_figure(
        change.before.tolist(), change.after.tolist(), change.line.style, title=change.title, x=_("steps back"),
        names=(_("at birth"), _("after training")), lowest=lowest,
    )  # fmt: skip
    right = "–" if change.accuracy is None else f"{change.accuracy:.0%}"
    alt = _("Gradient of {name} over the lag: factor a step before and after training.").format(name=change.title)
    chart(figure, f"change_{change.line.cell.replace('+', '_')}", height=190, alt=alt,
          caption=_("right answers: {share}").format(share=right))  # fmt: skip
