"""Temperature: what it makes of the next token, from almost greedy to almost even."""

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.decoding_controls import prompt_control
from lmviz.ui.figures.temperature import entropy_figure, temperature_map
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

LISTED = 10
"""Tokens in the table."""


def temperature_part(scene: Scene) -> None:
    left, right = st.columns([2, 5], gap="large")
    with left:
        prompt = prompt_control(scene.run)
        answer = asked("temperatures", _("Reading"), **scene.question, prompt=prompt)
        if answer is None:
            return
        temperatures = answer["temperatures"]
        restore("sweep_temperature", "t", temperatures, 1.0)
        chosen = st.select_slider(
            _("Temperature"), temperatures, key="sweep_temperature", format_func=lambda value: f"{value:.2f}"
        )
        remember("t", chosen, 1.0)
        place = temperatures.index(chosen)
        _table(answer, place)
    with right:
        st.subheader(finding(answer, place), anchor=False)
        _map(scene, answer, chosen)
        _entropy(scene, answer, chosen)


def finding(answer: dict[str, Any], place: int) -> str:
    """What the chosen temperature makes of the next token."""
    chances = unpack(answer["chances"])[place]
    needed = answer["needed"][place]
    words = (
        _("At T = {value} “{token}” has {chance}, and this one token reaches 90%")
        if needed == 1
        else _("At T = {value} “{token}” has {chance}, and it takes {count} tokens to reach 90%")
    )
    return words.format(
        value=f"{answer['temperatures'][place]:.2f}", token=visible_token(answer["tokens"][0]),
        chance=f"{chances[0]:.1%}", count=needed,
    )  # fmt: skip


def _table(answer: dict[str, Any], place: int) -> None:
    chances = unpack(answer["chances"])
    own = answer["temperatures"].index(1.0)
    frame = pd.DataFrame({
        "token": [visible_token(token) for token in answer["tokens"][:LISTED]],
        "model": chances[own][:LISTED].astype(float),
        "chosen": chances[place][:LISTED].astype(float),
    })  # fmt: skip
    st.dataframe(frame, hide_index=True, width="stretch", column_config={
        "token": st.column_config.TextColumn(_("token")),
        "model": st.column_config.NumberColumn(_("T = 1"), format="%.4f"),
        "chosen": st.column_config.NumberColumn(_("T chosen"), format="%.4f"),
    })  # fmt: skip


def _map(scene: Scene, answer: dict[str, Any], chosen: float) -> None:
    temperatures = answer["temperatures"]
    tokens = [plain(visible_token(token)) for token in answer["tokens"]]
    title = _("Probability of the likeliest tokens at every temperature")
    figure = temperature_map(
        temperatures, tokens, unpack(answer["chances"]), chosen, title=title, x=_("temperature"),
        hover=_("T {value}, {token}: {chance}").format(
            value="%{x:.2f}", token="%{customdata[0]}", chance="<b>%{customdata[1]}</b>"
        ), key=scene.run.id,
    )  # fmt: skip

    def clicked(event: Click) -> None:
        value = event.get("x")
        if isinstance(value, int | float):
            st.session_state["sweep_temperature"] = min(temperatures, key=lambda one: abs(one - value))

    chart(
        figure, "temperature_map", height=60 + 17 * len(tokens), on_event=clicked, alt=finding(
            answer, temperatures.index(chosen)
        ), csv=f"{scene.run.id}-{scene.step}-temperatures", caption=_(
            "Colour: the logarithm of the probability of the token after the prompt. Temperature divides the logits:"
            " towards 0 the likeliest takes all, as greedy does; at 1 it is the model itself. Click to choose one."
        ),
    )  # fmt: skip


def _entropy(scene: Scene, answer: dict[str, Any], chosen: float) -> None:
    bound = math.log(answer["count"])
    own = answer["entropy"][answer["temperatures"].index(1.0)]
    outside = 1 - np.sum(unpack(answer["chances"])[answer["temperatures"].index(chosen)])
    title = _("Entropy grows with the temperature")
    figure = entropy_figure(
        answer["temperatures"], answer["entropy"], bound, chosen, color(scene.run.config().model.kind), title=title,
        x=_("temperature"), y=_("entropy, nats"), key=scene.run.id,
        bound_name=_("all {count} tokens alike: {bound} nats").format(
            count=f"{answer['count']:,}", bound=f"{bound:.2f}"
        ),
    )  # fmt: skip
    chart(
        figure, "temperature_entropy", height=230, alt=title, csv=f"{scene.run.id}-{scene.step}-entropy",
        caption=_("Over the whole vocabulary: {own} nats at T = 1. Outside the tokens shown above: {outside} at the"
                  " chosen temperature.").format(own=f"{own:.2f}", outside=f"{max(0.0, float(outside)):.2%}"),
    )  # fmt: skip
