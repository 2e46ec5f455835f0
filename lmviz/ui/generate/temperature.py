"""Temperature: what it makes of the next token, from almost greedy to almost even."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.decoding_controls import prompt_control
from lmviz.ui.figures.temperature import curve_figure, temperature_map
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

LISTED = 10
"""Tokens in the table."""
LINK = {"x": "temperatures"}
"""The pictures show the same temperatures when one is zoomed."""


def temperature_part(scene: Scene) -> None:
    left, middle, right = st.columns([4, 6, 5], gap="medium")
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
        st.subheader(finding(answer, place), anchor=False)
        _table(answer, place)
    with middle:
        _map(scene, answer, chosen)
    with right:
        _entropy(scene, answer, place)
        _outside(scene, answer, place)


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
    """The likeliest tokens with all digits that mean something."""
    chances = unpack(answer["chances"])
    own, chosen = answer["temperatures"].index(1.0), answer["temperatures"][place]
    frame = pd.DataFrame({
        "token": [visible_token(token) for token in answer["tokens"][:LISTED]],
        "model": chances[own][:LISTED].astype(float),
        "chosen": chances[place][:LISTED].astype(float),
    })  # fmt: skip
    number = st.column_config.NumberColumn
    st.dataframe(frame, hide_index=True, width="stretch", height="content", row_height=29, column_config={
        "token": st.column_config.TextColumn(_("token")),
        "model": number(_("T = 1"), format="%.4g", help=_("Probability that the model itself gives it.")),
        "chosen": number(_("T = {value}").format(value=f"{chosen:.2f}"), format="%.4g"),
    })  # fmt: skip


def _map(scene: Scene, answer: dict[str, Any], chosen: float) -> None:
    temperatures = answer["temperatures"]
    tokens = [plain(visible_token(token)) for token in answer["tokens"]]
    title = _("Probability of the likeliest tokens at every temperature")
    figure = temperature_map(
        temperatures, tokens, unpack(answer["chances"]), chosen, title=title, x=_("temperature"),
        scale=_("probability, logarithmic"), hover=_("T {value}, {token}: {chance}").format(
            value="%{x:.2f}", token="%{customdata[0]}", chance="<b>%{customdata[1]}</b>"
        ), key=scene.run.id,
    )  # fmt: skip

    chart(
        figure, "temperature_map", height=60 + 17 * len(tokens), on_event=_chooser(temperatures), link=LINK,
        alt=finding(answer, temperatures.index(chosen)), csv=f"{scene.run.id}-{scene.step}-temperatures", caption=_(
            "Colour: the logarithm of the probability of the token after the prompt. Temperature divides the logits:"
            " towards 0 the likeliest takes all, as greedy does; at 1 it is the model itself. Click to choose one."
        ),
    )  # fmt: skip


def _entropy(scene: Scene, answer: dict[str, Any], place: int) -> None:
    temperatures, entropy, bound = answer["temperatures"], answer["entropy"], math.log(answer["count"])
    title = _("Entropy {now} nats at T = {value}; the model’s own is {own}").format(
        now=f"{entropy[place]:.2f}", value=f"{temperatures[place]:.2f}", own=f"{entropy[temperatures.index(1.0)]:.2f}"
    )
    figure = curve_figure(
        temperatures, entropy, temperatures[place], color(scene.run.config().model.kind), title=title,
        x="", y=_("entropy, nats"), key=scene.run.id, top=bound * 1.2, bound=bound, own=_("T = 1"), own_height=0.1,
        hover=_("T {value}: {entropy} nats").format(value="%{x:.2f}", entropy="<b>%{y:.3f}</b>"),
        bound_name=_("all {count} tokens alike: {bound}").format(
            count=f"{answer['count']:,}", bound=f"{bound:.2f}"
        ),
    )  # fmt: skip
    chart(
        figure, "temperature_entropy", height=170, alt=title, csv=f"{scene.run.id}-{scene.step}-entropy",
        on_event=_chooser(temperatures), link=LINK, caption=_("Over the whole vocabulary; the dashed line is the most"
        " that there can be, the logarithm of its size."),
    )  # fmt: skip


def _outside(scene: Scene, answer: dict[str, Any], place: int) -> None:
    """The tail: what all tokens that are not shown have together; nothing if all are shown."""
    temperatures, outside = answer["temperatures"], answer["outside"]
    if answer["count"] <= len(answer["tokens"]):
        return
    title = _("The other {count} tokens have {share} at T = {value}").format(
        count=f"{answer['count'] - len(answer['tokens']):,}", share=f"{outside[place]:.2%}",
        value=f"{temperatures[place]:.2f}",
    )  # fmt: skip
    figure = curve_figure(
        temperatures, outside, temperatures[place], color(scene.run.config().model.kind), title=title,
        x=_("temperature"), y=_("probability"), key=scene.run.id, top=max(0.01, 1.15 * max(outside)), own=_("T = 1"),
        own_height=0.9, share=True, hover=_("T {value}: {chance}").format(value="%{x:.2f}", chance="<b>%{y:.4~%}</b>"),
    )  # fmt: skip
    chart(
        figure, "temperature_outside", height=150, alt=title, csv=f"{scene.run.id}-{scene.step}-outside",
        on_event=_chooser(temperatures), link=LINK, caption=_("All tokens together that the map does not show."),
    )  # fmt: skip


def _chooser(temperatures: list[float]) -> Callable[[Click], None]:
    """A click chooses the temperature below it."""

    def clicked(event: Click) -> None:
        value = event.get("x")
        if isinstance(value, int | float):
            st.session_state["sweep_temperature"] = min(temperatures, key=lambda one: abs(one - value))

    return clicked
