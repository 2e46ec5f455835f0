"""Hold a gate: what if a signal stood still? The model beside itself, on the text, on held-out text and in writing."""

import html
from typing import Any

import numpy as np
import streamlit as st

from lmviz.errors import ConfigError
from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.errors import markdown_safe, show_error
from lmviz.ui.figures.hold import losses_figure, next_figure
from lmviz.ui.gates.holding import HOLDS, OWN, UNITS_OFF, holds, parse_units, possible
from lmviz.ui.gates.maps import place_names
from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.scene import Scene
from lmviz.ui.gates.selection import unit_known
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.reader import reader
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

WRITTEN = 160
"""Tokens that both write."""
PROMPT = 40
"""Characters of the text that stand before it."""
TEMPERATURE = 0.8
MOST_NATS = 3.0
"""Change of a loss with the darkest colour."""


def hold_part(scene: Scene, other: Scene | None) -> None:
    """Controls; then what changes, of the other model below the first one's."""
    chosen = _controls(scene)
    if chosen is None:
        return
    last = len(scene.tokens) - 1
    restore("gates_after", "after", range(last + 1), last)
    token = int(st.session_state["gates_after"])
    remember("after", token, last)
    values, units, since, seed = chosen
    scenes = [scene, other] if other else [scene]
    for side, one in zip(("first", "second"), scenes, strict=False):
        if other:
            st.markdown(f"**{markdown_safe(one.label)}**")
        if values.keys() <= one.signals.keys():
            _compare(one, side, values, units, min(since, len(one.tokens)), min(token, len(one.tokens) - 1), seed)
        else:
            st.info(_("This model has no such signal."), icon=":material/info:")


def _controls(scene: Scene) -> tuple[dict[str, float], list[int] | None, int, int] | None:
    """(value of each held signal, units, first token, seed); None if what was typed cannot be."""
    left, middle, right, last = st.columns([4, 3, 4, 2], vertical_alignment="bottom")
    names = possible(scene.signals)
    with left:
        restore("gates_hold", "hold", names, names[0])
        name = str(st.selectbox(
            _("What is held"), names, format_func=lambda one: _(HOLDS[one][0]), key="gates_hold"
        ))  # fmt: skip
        remember("hold", name, names[0])
    with middle:
        text = _units_field(scene, name)
    with right:
        count = len(scene.tokens)
        restore("gates_since", "since", range(count), count // 2)
        since = int(st.slider(_("Held from token"), 0, count - 1, key="gates_since"))
        remember("since", since, count // 2)
    with last:
        restore("gates_seed", "seed", range(10_000), 1)
        seed = int(st.number_input(_("Seed"), 0, 9999, key="gates_seed"))
        remember("seed", seed, 1)
    values = _own(scene) if name == OWN else dict(HOLDS[name][1])
    try:
        units = parse_units(text, scene.units)
    except ConfigError as error:
        show_error(error)
        return None
    return values, [] if name == UNITS_OFF and units is None else units, since, seed


def _units_field(scene: Scene, name: str) -> str:
    """Kept apart for units that are switched off, where nothing typed means none."""
    key, word = ("gates_units_off", "off") if name == UNITS_OFF else ("gates_units", "units")
    default = str(unit_known(scene)) if name == UNITS_OFF else ""
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(word, default)
    text = str(st.text_input(
        _("Units, such as 3, 17, 20-25"), key=key, placeholder=_("none") if name == UNITS_OFF else _("all"),
        max_chars=200,
    ))  # fmt: skip
    remember(word, text, default)
    return text


def _own(scene: Scene) -> dict[str, float]:
    """Any signal at any value."""
    left, right = st.columns([4, 9], vertical_alignment="bottom")
    names = list(scene.signals)
    with left:
        restore("gates_own", "own", names, names[0])
        name = str(st.selectbox(_("Signal"), names, format_func=signal_name, key="gates_own"))
        remember("own", name, names[0])
    low = 0.0 if name in scene.gates else -1.0
    with right:
        values = [round(low + 0.05 * step, 2) for step in range(round((1 - low) / 0.05) + 1)]
        restore("gates_value", "value", values, 0.5)
        value = float(st.select_slider(_("Its value"), values, key="gates_value"))
        remember("value", value, 0.5)
    return {name: value}


def _compare(
    scene: Scene, side: str, values: dict[str, float], units: list[int] | None, since: int, token: int, seed: int
) -> None:
    answer = asked(
        "hold", _("Reading and writing twice"), run=scene.run.id, step=scene.step, text=scene.text,
        holds=holds(values, scene.layer, units), since=since, token=token,
        decoding={"max_new_tokens": WRITTEN, "temperature": TEMPERATURE, "seed": seed},
    )  # fmt: skip
    if answer is None:
        return
    st.subheader(_finding(answer, nothing=units == []), anchor=False)
    _text(scene, side, answer, since, token)
    left, right = st.columns(2, gap="large")
    with left:
        _next(scene, side, answer, token)
    with right:
        _losses(scene, side, answer, since)
    _writing(scene.text, answer, seed)


def _finding(answer: dict[str, Any], *, nothing: bool) -> str:
    before, after = answer["plain"]["held_out"], answer["held"]["held_out"]
    if nothing:
        return _("Nothing is held, so nothing changes: {loss} nats a token on held-out text").format(
            loss=f"{before:.3f}"
        )
    words = _("On held-out text the loss goes from {before} to {after} nats a token")
    return words.format(before=f"{before:.3f}", after=f"{after:.3f}")


def _text(scene: Scene, side: str, answer: dict[str, Any], since: int, token: int) -> None:
    """Each token coloured by how its loss changes; a click chooses where the next tokens are compared."""

    def choose(place: int) -> None:
        st.session_state["gates_after"] = place

    plain_losses, held_losses = (np.array(answer[name]["losses"]) for name in ("plain", "held"))
    change = np.concatenate([[0.0], plain_losses - held_losses])
    tips = [f"{place}: {visible_token(name)}" for place, name in enumerate(scene.tokens)]
    for place, (before, after) in enumerate(zip(plain_losses, held_losses, strict=True), start=1):
        tips[place] += f"  {before:.2f} → {after:.2f}"
    reader(
        scene.tokens, f"gates_hold_reader_{side}", shades=change / MOST_NATS, chosen=token, marks={0}, tips=tips,
        span=(since, len(scene.tokens) - 1), on_choose=choose,
        alt=_("The text; orange where its loss has grown."),
    )  # fmt: skip
    st.caption(_(
        "Framed: read with the signal held. Orange: the loss of this token has grown, blue: it has shrunk; darkest at"
        " {nats} nats. Click on a token to compare what is expected after it."
    ).format(nats=f"{MOST_NATS:g}"))  # fmt: skip


def _next(scene: Scene, side: str, answer: dict[str, Any], token: int) -> None:
    names = [plain(visible_token(name)) for name, _chance in answer["plain"]["next"]]
    before, after = ([chance for _name, chance in answer[one]["next"]] for one in ("plain", "held"))
    title = _("Expected after token {place}, “{token}”").format(place=token, token=visible_token(scene.tokens[token]))
    figure = next_figure(
        names, before, after, color(scene.run.config().model.kind), title=plain(title), x=_("chance of the next token"),
        plain_name=_("as it is"), held_name=_("held"),
    )  # fmt: skip
    alt = _("As it is {plain} is likeliest with {chance}; held it has {held}.").format(
        plain=visible_token(answer["plain"]["next"][0][0]), chance=f"{before[0]:.1%}", held=f"{after[0]:.1%}"
    )
    chart(figure, f"gates_next_{side}", height=330, csv=f"{scene.run.id}-{scene.step}-next", alt=alt)


def _losses(scene: Scene, side: str, answer: dict[str, Any], since: int) -> None:
    plain_losses, held_losses = answer["plain"]["losses"], answer["held"]["losses"]
    title = _losses_title(plain_losses[since:], held_losses[since:], since)
    figure = losses_figure(
        place_names(scene.tokens)[1:], plain_losses, held_losses, since if since < len(held_losses) else None,
        color(scene.run.config().model.kind), title=title, x=_("token predicted"), y=_("loss, nats"),
        plain_name=_("as it is"), held_name=_("held"),
    )  # fmt: skip
    chart(figure, f"gates_losses_{side}", height=330, csv=f"{scene.run.id}-{scene.step}-held-losses", alt=title)


def _losses_title(plain_losses: list[float], held_losses: list[float], since: int) -> str:
    """What the tokens that are predicted with the signal held cost on average, both ways."""
    if not held_losses:
        return _("Held from the last token on, so no loss on this text changes")
    return _("On this text after token {since}: {before} and {after} nats a token").format(
        since=since, before=f"{np.mean(plain_losses):.2f}", after=f"{np.mean(held_losses):.2f}"
    )


def _writing(read: str, answer: dict[str, Any], seed: int) -> None:
    """What both go on to write after the end of what was read, drawn with the same seed."""
    prompt = html.escape(read[-PROMPT:])
    names = {"plain": _("It goes on to write"), "held": _("It goes on to write, held")}
    for column, name in zip(st.columns(2, gap="large"), names, strict=True):
        with column:
            head, text = html.escape(names[name]), html.escape(answer[name]["text"])
            both = f'<span class="prompt">{prompt}</span>{text}'
            st.html(f'<div class="passage-head">{head}</div><div class="written passage">{both}</div>')
    st.caption(_(
        "Up to {count} tokens after the text, temperature {temperature}, seed {seed} for both. The held-out loss is"
        " that of text in which the signal is held from the first token on."
    ).format(count=WRITTEN, temperature=f"{TEMPERATURE:g}", seed=seed))  # fmt: skip
