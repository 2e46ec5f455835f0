"""Teacher forcing against own inputs: what a model that was always shown the right past makes of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.figures.pairs import Curve, losses_by_place_figure
from lmviz.ui.i18n import _
from lmviz.ui.pairs.experiment import Learner
from lmviz.ui.pairs.moment import seconds_control, step_at
from lmviz.ui.pairs.names import model_style


def exposure_part(learners: Sequence[Learner]) -> None:
    seconds = seconds_control(learners)
    found = []
    for one in learners:
        step = step_at(one, seconds)
        answer = None if step is None else asked("pair_exposure", _("Reading and writing"), run=one.run.id, step=step)
        if answer:
            found.append((one, answer))
    if not found:
        st.info(_("The first weights are kept in a moment."), icon=":material/hourglass_empty:")
        return
    curves = []
    for one, answer in found:
        places, style = list(range(1, len(answer["forced"]) + 1)), model_style(one.kind)
        right, own = _("{name}: after right characters"), _("{name}: after its own")
        curves.append(Curve(right.format(name=one.name), style, places, answer["forced"], dash="solid"))
        curves.append(Curve(own.format(name=one.name), style, places, answer["own"], dash="dot"))
    title = _finding(found)
    figure = losses_by_place_figure(
        curves, title=title, x=_("place in the output"), y=_("loss of the right character, nats"), key="exposure"
    )
    chart(figure, "pairs_exposure", height=340, csv="exposure", alt=title, caption=_(
        "On {count} held-out pairs, with the weights of each that were kept nearest to this time. Solid: the model has"
        " read the right characters before each place, as in training (teacher forcing). Dotted: it has read what it"
        " drew itself from its own distribution; after a mistake it is where training never put it (exposure bias)."
        " “{name}” was at times shown its own guesses while it learned (scheduled sampling, Bengio et al. 2015): tick"
        " it on the left, train, and compare."
    ).format(count=max(found[0][1]["pairs"]), name=_("with attention, reads own guesses")))  # fmt: skip


def _finding(found: Sequence[tuple[Learner, dict[str, Any]]]) -> str:
    parts = []
    for one, answer in found:
        words = _("{name} {forced} → {own}")
        forced, own = (float(np.average(answer[side], weights=answer["pairs"])) for side in ("forced", "own"))
        parts.append(words.format(name=one.name, forced=f"{forced:.3f}", own=f"{own:.3f}"))
    return _("Mean loss after right characters → after its own: {parts}").format(parts="; ".join(parts))
