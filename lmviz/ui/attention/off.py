"""Heads off: what if some heads were not there? Held-out loss, this text, the next token, and what is written."""

import html
from typing import Any

import numpy as np
import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.attention.names import head_name, part_name
from lmviz.ui.attention.off_heads import Head, off_heads, set_heads, toggle_head
from lmviz.ui.attention.scene import Scene
from lmviz.ui.chart import Click, chart
from lmviz.ui.figures.heads_off import missed_figure
from lmviz.ui.figures.hold import next_figure
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.reader import reader
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

WRITTEN = 120
"""Tokens that both write."""
PROMPT = 40
"""Characters of the text that stand before it."""
TEMPERATURE = 0.8
MOST_NATS = 3.0
"""Change of a loss with the darkest colour."""


def off_part(scene: Scene) -> None:
    off = off_heads(scene)
    title = st.empty()
    left, right = st.columns([4, 7], gap="large")
    with left:
        seed = _controls(scene, off)
    with right:
        _ranking(scene, off)
    answer = asked(
        "attention_off", _("Reading and writing twice"), **scene.question, off=[list(head) for head in off],
        max_new_tokens=WRITTEN, temperature=TEMPERATURE, seed=seed,
    )  # fmt: skip
    if answer is None:
        return
    title.subheader(finding(answer, off, _unit(scene)), anchor=False)
    if scene.kind == "gpt":
        _changes(scene, answer, seed, some=bool(off))
    elif scene.kind == "transformer":
        _translation(scene, answer)
    else:
        st.caption(_("BERT goes on with no text: what it takes for hidden tokens is shown by the part about masks."))


def _changes(scene: Scene, answer: dict[str, Any], seed: int, *, some: bool) -> None:
    """Of a model that goes on with a text. some: a head is off."""
    if not some:
        _writing(scene.text, answer, seed, some=False)
        return
    _text(answer)
    left, right = st.columns([4, 7], gap="large")
    with left:
        _next(scene, answer)
    with right:
        _writing(scene.text, answer, seed, some=True)


def _unit(scene: Scene) -> str:
    """Of what a loss is the mean."""
    config = scene.run.config()
    if config.learns_labels:
        return _("text")
    return _("hidden token") if config.model.kind == "bert" else _("token")


def finding(answer: dict[str, Any], off: list[Head], unit: str = "") -> str:
    """The loss on held-out text, before and after. unit: of what it is the mean; a token if empty."""
    unit = unit or _("token")
    before, after = answer["plain"]["held_out"], answer["off"]["held_out"]
    if not off:
        return _("All heads are on, so nothing changes: the held-out loss is {loss} nats a {unit}").format(
            loss=f"{before:.3f}", unit=unit
        )
    heads = head_name(*off[0][1:]) if len(off) == 1 else _("{count} heads").format(count=len(off))
    words = _("Without {heads} the held-out loss goes from {before} to {after} nats a {unit}")
    return words.format(heads=heads, before=f"{before:.3f}", after=f"{after:.3f}", unit=unit)


# ---- which heads ----


def _controls(scene: Scene, off: list[Head]) -> int:
    """A row of heads for each layer; pressed: switched off."""
    st.html(_head(_("Press a head to switch it off")))
    for layer in range(scene.layers):
        _layer(scene, off, layer)
    elsewhere = [head for head in off if head[0] != scene.part]
    if elsewhere:
        names = ", ".join(f"{part_name(part)} {layer + 1}.{head + 1}" for part, layer, head in elsewhere)
        st.caption(_("Off as well: {heads}").format(heads=names))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(_("All on"), icon=":material/restart_alt:", key="attention_all_on", disabled=not off,
                  on_click=set_heads, args=([],))  # fmt: skip
        if scene.kind != "gpt":
            return 1
        restore("attention_seed", "seed", range(10_000), 1)
        seed = int(st.number_input(_("Seed of what is written"), 0, 9999, key="attention_seed", width=180))
        remember("seed", seed, 1)
    return seed


def _layer(scene: Scene, off: list[Head], layer: int) -> None:
    key = f"attention_off_{scene.part}_{layer}"
    st.session_state[key] = [head for part, one, head in off if (part, one) == (scene.part, layer)]

    def changed() -> None:
        kept = [head for head in off if head[:2] != (scene.part, layer)]
        set_heads([*kept, *((scene.part, layer, int(head)) for head in st.session_state[key])])

    st.pills(
        _("Layer {layer}").format(layer=layer + 1), range(scene.heads), selection_mode="multi", key=key,
        format_func=lambda head: f"{layer + 1}.{head + 1}", on_change=changed, wrap=True,
    )  # fmt: skip


def _ranking(scene: Scene, off: list[Head]) -> None:
    """How much the loss rises with each head off alone; a click switches it."""
    answer = asked("attention_rank", _("Switching off each head in turn"), run=scene.run.id, step=scene.step,
                   part=scene.part)  # fmt: skip
    if answer is None:
        return
    rises = np.array(answer["rises"])
    order = [(int(layer), int(head)) for layer, head in np.argwhere(np.isfinite(rises))]
    order.sort(key=lambda one: -rises[one])
    now = {place for place, (layer, head) in enumerate(order) if (scene.part, layer, head) in off}

    def clicked(event: Click) -> None:
        place = event.get("customdata")
        if isinstance(place, int) and 0 <= place < len(order):
            toggle_head((scene.part, *order[place]))

    title = ranking_title(rises)
    figure = missed_figure(
        [f"{layer + 1}.{head + 1}" for layer, head in order], [float(rises[one]) for one in order], now,
        color(scene.kind), title=title, x=_("layer.head, the most missed first"),
        y=_("rise of the loss, nats"), hover=_("head {head} off alone: {rise}").format(
            head="%{x}", rise="<b>%{y:+.4f}</b>"
        ), off_name=_("off now"), on_name=_("on"), key=f"{scene.run.id} {scene.part}",
    )  # fmt: skip
    chart(
        figure, "attention_missed", height=250, on_event=clicked, csv=f"{scene.run.id}-{scene.step}-heads-off",
        alt=title, caption=_(
            "How much the held-out loss rises if this head alone is switched off; below 0 the model is better"
            " without it. Heads that do the same are each missed little. Click on a bar to switch its head."
        ),
    )  # fmt: skip


def ranking_title(rises: np.ndarray[Any, Any]) -> str:
    layer, head = np.unravel_index(int(rises.argmax()), rises.shape)
    most = float(rises.max())
    if most < SMALL:
        return _("No single head is missed: at most {rise} nats").format(rise=f"{most:+.3f}")
    return _("Most missed: {head}, {rise} nats").format(head=head_name(int(layer), int(head)), rise=f"{most:+.2f}")


SMALL = 0.005


# ---- what changes ----


def _text(answer: dict[str, Any]) -> None:
    """Each token coloured by how its loss changes."""
    before, after = (np.array(answer[name]["losses"]) for name in ("plain", "off"))
    names = answer["tokens"]
    tips = [
        f"{visible_token(name)}  {one:.2f} → {other:.2f}" for name, one, other in zip(names, before, after, strict=True)
    ]
    words = _("On this text: from {before} to {after} nats a token")
    st.html(_head(words.format(before=f"{before.mean():.2f}", after=f"{after.mean():.2f}")))
    reader(
        names, "attention_off_reader", shades=(before - after) / MOST_NATS, tips=tips,
        alt=_("The text; orange where its loss has grown."),
    )  # fmt: skip
    st.caption(_(
        "Orange: the loss of this token has grown without the heads, blue: it has shrunk; darkest at {nats} nats. Point"
        " at a token for its numbers."
    ).format(nats=f"{MOST_NATS:g}"))  # fmt: skip


def _next(scene: Scene, answer: dict[str, Any]) -> None:
    names = [plain(visible_token(name)) for name, _chance in answer["plain"]["next"]]
    before, after = ([chance for _name, chance in answer[one]["next"]] for one in ("plain", "off"))
    title = _("Expected after the last token, “{token}”").format(token=visible_token(answer["tokens"][-1]))
    figure = next_figure(
        names, before, after, color(scene.kind), title=plain(title), x=_("chance of the next token"),
        plain_name=_("all heads on"), held_name=_("heads off"),
    )  # fmt: skip
    alt = _("With all heads {token} has {plain}, without those switched off {off}.").format(
        token=visible_token(answer["plain"]["next"][0][0]), plain=f"{before[0]:.1%}", off=f"{after[0]:.1%}"
    )
    chart(figure, "attention_next", height=330, csv=f"{scene.run.id}-{scene.step}-next-heads-off", alt=alt)


def _writing(read: str, answer: dict[str, Any], seed: int, *, some: bool) -> None:
    """What both go on to write after the text, drawn with the same seed. some: a head is off."""
    prompt = html.escape(read[-PROMPT:])
    names = {"plain": _("All heads on: it goes on to write")}
    if some:
        names["off"] = _("Heads off: it goes on to write")
    for name, head in names.items():
        _passage(head, f'<span class="prompt">{prompt}</span>{html.escape(answer[name]["text"])}')
    words = _("Up to {count} tokens after the text, temperature {temperature}, seed {seed}.")
    if some:
        words = _("Up to {count} tokens after the text, temperature {temperature}, seed {seed} for both.")
    st.caption(words.format(count=WRITTEN, temperature=f"{TEMPERATURE:g}", seed=seed))


def _translation(scene: Scene, answer: dict[str, Any]) -> None:
    """What becomes of the source, with and without the heads."""
    names = {"plain": _("All heads on: it makes of “{source}”"), "off": _("Heads off: it makes of “{source}”")}
    for column, (name, words) in zip(st.columns(2, gap="large"), names.items(), strict=True):
        with column:
            _passage(words.format(source=scene.text), html.escape(answer[name]["text"]) or "&nbsp;")
    same = answer["plain"]["text"] == answer["off"]["text"]
    st.caption(
        _("Both write the same here. The loss is that of held-out pairs, a token of the target.") if same else
        _("The likeliest token at each step. The loss is that of held-out pairs, a token of the target.")
    )  # fmt: skip


def _passage(head: str, inner: str) -> None:
    """inner: escaped."""
    st.html(f'{_head(head)}<div class="written passage">{inner}</div>')


def _head(words: str) -> str:
    return f'<div class="passage-head">{html.escape(words)}</div>'
