"""At equal seconds of training: one slider for all runs of a comparison."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.pairs.experiment import Learner

PLACES = 10


def seconds_control(learners: Sequence[Learner]) -> float:
    """Seconds of training that are looked at; the end of the longest run at first."""
    last = max((float(one.lines[-1]["seconds"]) for one in learners if one.lines), default=0.0)
    if not last:
        return 0.0
    options = [round(float(value), 1) for value in np.geomspace(max(0.5, last / 60), last, PLACES)]
    restore("pairs_seconds", "at", options, options[-1])
    chosen = float(st.select_slider(
        _("After so many seconds of training"), options, key="pairs_seconds", format_func=lambda one: f"{one:g} s"
    ))  # fmt: skip
    remember("at", chosen, options[-1])
    return chosen


def step_at(one: Learner, seconds: float) -> int | None:
    """The kept step whose time of training is nearest; None if none is kept."""
    steps = one.run.checkpoint_steps()
    if not steps or not one.lines:
        return None
    known = [(0.0, 0.0), *((float(line["step"]), float(line["seconds"])) for line in one.run.metrics())]
    times = np.interp(steps, [step for step, _time in known], [time for _step, time in known])
    return steps[int(np.abs(times - seconds).argmin())]
