"""Vanishing is not forgetting: what a network that learned on mixed lags remembers, and how little gradient it has."""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.memory import REMEMBERED
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.figures.gradients import VANISHED
from lmviz.ui.i18n import _
from lmviz.ui.memory.experiment import Experiment, Line
from lmviz.ui.memory.names import cell_name
from lmviz.ui.memory.view import MIXED_LAG


def lesson(experiment: Experiment) -> None:
    """Of the first cell that learned on mixed lags, the RNN if it is among them; where none did, how it is done."""
    line = next((line for line in experiment.lines if line.mixed), None)
    if line is None and any(row["accuracy"] is not None and row["accuracy"] < REMEMBERED for row in experiment.rows):
        st.caption(_("Can it be learned where it was not? Switch on “Curriculum: mixed lags”, and train once more."))
    row = line.at(MIXED_LAG) if line else None
    if line is None or row is None or row["accuracy"] is None or row["state"] != "finished":
        return
    try:
        cells = cache.run_gradients(row["run"], row["step"], MIXED_LAG)
    except LmvizError as error:
        show_error(error)
        return
    left = next(cell for cell in cells if cell["state"] == "hidden")["norms"][MIXED_LAG]
    st.info(lesson_words(line, row, left, experiment), icon=":material/lightbulb:")


def lesson_words(line: Line, row: dict[str, Any], left: float, experiment: Experiment) -> str:
    """What was measured, and what it means where it does (Markdown).

    Args:
        row: the accuracy at the largest lag.
        left: of the gradient at the answer, what reaches the start over that lag.
    """
    name, lag, right = cell_name(line.cell), row["lag"], f"{row['accuracy']:.0%}"
    if row["accuracy"] < REMEMBERED or left >= VANISHED:
        return _(
            "Trained on mixed lags, the {cell} answers right at lag {lag} in {share}; {left} of the gradient at the"
            " answer reaches the start."
        ).format(cell=name, lag=lag, share=right, left=power(left))
    words = [
        _(
            "**A vanishing gradient is not forgetting.** Trained on mixed lags, the {cell} answers right at lag {lag}"
            " in {share}, while only {left} of the gradient at the answer reaches the start. It learned on short lags,"
            " where the gradient arrives, and the state it found holds on its own."
        ).format(cell=name, lag=lag, share=right, left=power(left))
    ]
    alone = next((other for other in experiment.lines if other.cell == line.cell and not other.mixed), None)
    failed = next((r for r in reversed(alone.rows) if r["accuracy"] is not None), None) if alone else None
    if failed and failed["accuracy"] < REMEMBERED:
        words.append(
            _("From long lags alone it did not learn it: trained at lag {lag} only, it is right in {share}.").format(
                lag=failed["lag"], share=f"{failed['accuracy']:.0%}"
            )
        )
    return " ".join(words)


def power(share: float) -> str:
    """A share for people: per cent down to a thousandth, then a power of ten (Markdown)."""
    if share == 0:
        return "0"
    if share >= VANISHED:
        return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
    digits, exponent = f"{share:.0e}".split("e")
    return rf"${digits}\cdot 10^{{{int(exponent)}}}$"
