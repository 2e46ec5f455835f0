"""Three steps: what one token of one head does, in numbers. Scores are divided, masked and made weights; the weights
mix the values. The first two can be switched off, to see what each is for.
"""

import re

import numpy as np
import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.attention.heads import place_names
from lmviz.ui.attention.names import head_name
from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.selection import QUERY, choose_query, head_choice, query_known
from lmviz.ui.attention.steps_words import Step, caption, equations, explained, finding
from lmviz.ui.attention.text import looking
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import plain_cell
from lmviz.ui.figures.attention_steps import Panel, mixed_figure, steps_figure
from lmviz.ui.i18n import _, ngettext
from lmviz.ui.kept import remember, restore
from lmviz.ui.tokens import visible_token

KEY = "attention_key"
BEGAN = "attention_steps_began"
TOP = 5
"""Keys whose part in the sum is shown by itself."""


def steps_part(scene: Scene) -> None:
    left, middle, right = st.columns([5, 3, 3], vertical_alignment="bottom")
    with left:
        layer, head = head_choice(scene)
    with middle:
        scaled = _toggle(_("Divide by √d"), "scaled")
    with right:
        use_mask = _toggle(_("Mask"), "mask") if scene.causal else True
    query = _query(scene)
    step = _ask(scene, layer, head, query, scaled, use_mask)
    if step is None:
        return
    looking(scene, step.shown["weights"], query, "attention_steps", _choose)
    key = _key(step)
    left, right = st.columns([8, 5], gap="medium")
    with left:
        _panels(step, key)
    with right, st.container(key="attention_steps_words"):
        for line in equations(step, key):
            st.latex(line)
        for words in explained(step, key):
            st.markdown(words)
    _mixed(step)
    with st.expander(_("All numbers")):
        _table(step)


def _toggle(words: str, name: str) -> bool:
    key = f"attention_{name}"
    restore(key, name, [True, False], True)
    on = bool(st.toggle(words, key=key))
    remember(name, on, True)
    return on


def _query(scene: Scene) -> int:
    """At first a token that has later ones, as the mask hides nothing from the last one."""
    if scene.causal and not st.session_state.get(BEGAN) and "query" not in st.query_params:
        st.session_state[QUERY] = 2 * (len(scene.rows) - 1) // 3
    st.session_state[BEGAN] = True
    query = query_known(scene)
    st.query_params["query"] = str(query)
    return query


def _choose(place: int) -> None:
    """From a click: another token that looks, and what it looks at most."""
    choose_query(place)
    st.session_state[KEY] = None
    st.query_params.pop("key", None)


def _ask(scene: Scene, layer: int, head: int, query: int, scaled: bool, use_mask: bool) -> Step | None:
    about = {**scene.question, "part": scene.part, "layer": layer, "head": head, "query": query}
    model = asked("attention_steps", _("Reading"), **about, scaled=True, use_mask=True)
    shown = asked("attention_steps", _("Reading"), **about, scaled=scaled, use_mask=use_mask)
    if model is None or shown is None:
        return None
    return Step(scene, layer, head, query, scaled, use_mask, model, shown)


def _key(step: Step) -> int:
    """The key that is written out; that with the largest weight until one is chosen."""
    if KEY not in st.session_state:
        wanted = st.query_params.get("key", "")
        st.session_state[KEY] = int(wanted) if re.fullmatch(r"\d{1,5}", wanted) else None
    if st.session_state[KEY] not in range(len(step.scene.columns)):
        st.session_state[KEY] = None
    remember("key", st.session_state[KEY], None)
    chosen = st.session_state[KEY]
    return int(np.argmax(step.model["weights"])) if chosen is None else int(chosen)


def _panels(step: Step, key: int) -> None:
    scene, shown = step.scene, step.shown
    divided = (
        Panel(_("1. Divided by {root}").format(root=step.root), f"÷ {step.root}", step.divided) if step.scaled else
        Panel(_("1. Not divided"), "q·k", step.divided, off=True)
    )  # fmt: skip
    if not scene.causal:
        masked = Panel(_("2. No mask: every token may be looked at"), _("score"), shown["scores"], off=True)
    elif step.use_mask:
        masked = Panel(_("2. Masked"), _("score"), shown["scores"])
    else:
        masked = Panel(_("2. Not masked"), _("score"), shown["scores"], off=True)
    weights = [None if hidden and step.use_mask else weight
               for hidden, weight in zip(step.later, shown["weights"], strict=True)]  # fmt: skip
    panels = [
        Panel(_("q·k: how well key and query match"), "q·k", shown["products"]), divided, masked,
        Panel(_("3. Softmax: weights, which sum to 1"), _("weight"), weights, hidden="0"),
    ]  # fmt: skip

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, int):
            st.session_state[KEY] = point

    title = finding(step)
    own = None if scene.part == "cross_attention" else step.query
    hover = _("{key}: {value}").format(key="%{x}", value="<b>%{y:.4f}</b>")
    figure = steps_figure(
        panels, place_names(scene.columns), step.later, own, key, title=title, x=_("token looked at (key)"),
        hover=hover, uirevision=f"{scene.run.id} {scene.part} {len(scene.columns)}",
    )  # fmt: skip
    chart(
        figure, "attention_steps_chart", height=470, on_event=clicked, alt=title, caption=caption(step),
        csv=f"{scene.run.id}-{scene.step}-steps-{step.layer + 1}-{step.head + 1}-{step.query}",
    )  # fmt: skip


def _mixed(step: Step) -> None:
    """The sum of values, and what the keys with most weight add to it."""
    weighted, weights = np.array(step.shown["weighted"], np.float32), np.array(step.shown["weights"])
    order = [int(place) for place in np.argsort(-weights, kind="stable")[:TOP]]
    others = [place for place in range(len(weights)) if place not in order]
    names = place_names(step.scene.columns)
    rows = [weighted[place] for place in order]
    keys = [names[place] for place in order]
    labels = [f"{name}: {weights[place]:.2f}" for name, place in zip(keys, order, strict=True)]
    if others:
        count = ngettext("{count} other", "{count} others", len(others)).format(count=len(others))
        rows.append(weighted[others].sum(0))
        labels.append(f"{count}: {weights[others].sum():.2f}")
        keys.append(count)
    total = _("sum")
    title = ngettext(
        "What {head} hands on: {count} token has {share} of the weight",
        "What {head} hands on: {count} tokens have {share} of the weight", len(order),
    ).format(head=head_name(step.layer, step.head), share=f"{weights[order].sum():.0%}", count=len(order))  # fmt: skip
    figure = mixed_figure(
        np.array([*rows, step.shown["mixed"]], np.float32), [*keys, total], [*labels, total], title=title,
        x=_("number of the value vector"), y="", hover=_("{key}, number {place}: {value}").format(
            key="%{y}", place="%{x}", value="<b>%{z:.4f}</b>"
        ), uirevision=f"{step.scene.run.id} {step.width}",
    )  # fmt: skip
    chart(
        figure, "attention_steps_mixed", height=90 + 26 * (len(rows) + 1), alt=title,
        csv=f"{step.scene.run.id}-{step.scene.step}-sum-{step.layer + 1}-{step.head + 1}-{step.query}",
        caption=_(
            "Each row is the value of a token, {width} numbers, times its weight; blue above zero, orange below. The"
            " rows above the line add up to the last one: it is all that this head passes on to its layer."
        ).format(width=step.width),
    )  # fmt: skip


def _table(step: Step) -> None:
    shown = step.shown
    names = [_("place"), _("token"), "q·k", _("divided"), _("masked"), _("weight")]
    numbers = zip(step.scene.columns, shown["products"], step.divided, shown["scores"], shown["weights"], strict=True)
    rows = [
        dict(zip(names, (place, plain_cell(visible_token(token)), product, score, masked, weight), strict=True))
        for place, (token, product, score, masked, weight) in enumerate(numbers)
    ]
    four = {name: st.column_config.NumberColumn(name, format="%.4f") for name in names[2:]}
    st.dataframe(rows, hide_index=True, column_config=four)
    if not all(score is not None for score in shown["scores"]):
        st.caption(_("Nothing under “{masked}”: −∞, the weight is 0.").format(masked=_("masked")))
