"""One source, what each model makes of it, and where it looked: at any moment of the training, and changed by hand."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.limits import MAX_PAIR_CHARACTERS
from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.attention.heads import place_names
from lmviz.ui.chart import Click, chart
from lmviz.ui.figures.pairs import Curve, shares_figure
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember
from lmviz.ui.pairs.experiment import Learner
from lmviz.ui.pairs.maps import alignment_figure, examples, known_pair, right_share
from lmviz.ui.pairs.names import model_style
from lmviz.ui.player import moment_control
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

FORCED = "pairs_forced"
"""Steps of the target whose attention a person has moved -> place in the source."""


def source_control(name: str) -> str:
    """A source that is typed or taken from the held-out examples."""
    known = [pair.source for pair in examples(name)]
    if st.session_state.get("pairs_source_of") != name:
        typed = st.query_params.get("source", "") if "pairs_source_of" not in st.session_state else ""
        st.session_state["pairs_source"] = typed[:MAX_PAIR_CHARACTERS] or (known[0] if known else "")
        st.session_state["pairs_source_of"] = name
        st.session_state.pop(FORCED, None)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with right:
        st.selectbox(
            _("Held-out examples"), known, index=None, placeholder=_("Choose one"), key="pairs_example",
            on_change=_take_example,
        )  # fmt: skip
    with left:
        source = str(st.text_input(
            _("Source: type your own"), key="pairs_source", max_chars=MAX_PAIR_CHARACTERS, on_change=_forget_forced
        ))  # fmt: skip
    remember("source", source, known[0] if known else "")
    small = known and not any(character.isupper() for one in known for character in one)
    return source.lower() if small else source  # a date that is typed begins with a capital


def _take_example() -> None:
    chosen = st.session_state.get("pairs_example")
    if chosen:
        st.session_state["pairs_source"] = chosen
        _forget_forced()


def _forget_forced() -> None:
    st.session_state.pop(FORCED, None)


def alignment_part(learners: Sequence[Learner]) -> None:
    """What each makes of the source; the first one with attention over its training."""
    source = source_control(learners[0].config.corpus.name)
    main = learners[0]
    steps = main.run.checkpoint_steps()
    if not steps:
        st.info(_("The first weights are kept in a moment."), icon=":material/hourglass_empty:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="pairs_moment"):
        step = moment_control(steps, named=True) if len(steps) > 1 else steps[0]
    columns = st.columns([3, 2], gap="large")
    with columns[0]:
        _answer(main, step, source, "first", map_too=True)
    with columns[1]:
        for number, other in enumerate(learners[1:], start=2):
            if other.run.checkpoint_steps():
                _answer(other, other.run.checkpoint_steps()[-1], source, f"other_{number}", map_too=other.has_attention)
        _share_course(main, step)


def _answer(one: Learner, step: int, source: str, side: str, *, map_too: bool) -> None:
    answer = asked("pair_example", _("Translating"), run=one.run.id, step=step, source=source)
    if answer is None:
        return
    st.html(_written(one, step, answer, source))
    if answer["attention"] is None or not map_too:
        if not one.has_attention:
            st.caption(_(
                "No attention: all that it knows of the source is the one vector that it begins with, so there is"
                " nothing to look at."
            ))  # fmt: skip
        return
    attention = unpack(answer["attention"])
    pair = known_pair(one.config.corpus.name, source)
    _map(one, step, answer, attention, source, side, pair)


def _map(
    one: Learner, step: int, answer: dict[str, Any], attention: NDArray[np.float32], source: str, side: str, pair: Any
) -> None:
    share = right_share(attention, answer["text"], pair)
    title = _("Where it looks while it writes “{text}”").format(text=answer["text"])
    if share is not None:
        title = _("While it writes “{text}”, {share} of its attention is on the right part").format(
            text=answer["text"], share=f"{share:.0%}"
        )
    figure = alignment_figure(
        attention, place_names(answer["target"]), place_names(answer["source"]), pair, title=plain(title),
        x=_("source"), y=_("character written"), key=f"{one.run.id} {source}",
        hover=_("“{row}” looks at “{column}” with {weight}").format(
            row="%{y}", column="%{x}", weight="<b>%{z:.3f}</b>"
        ),
    )  # fmt: skip
    caption = _("Each row is one written character and sums to 1.")
    if one.kind == "transformer":
        caption += " " + _("Mean over all layers and heads; the page Attention shows each.")
    if pair and pair.target_fields:
        caption += " " + _(
            "Dotted: the part of the source that it should come from; grey: punctuation, which comes from nowhere."
        )
    chart(figure, f"pairs_map_{side}", height=max(220, 60 + 19 * len(answer["target"])),
          csv=f"{one.run.id}-{step}-alignment", alt=title, caption=caption)  # fmt: skip


def _written(one: Learner, step: int, answer: dict[str, Any], source: str) -> str:
    """HTML: the model, its moment, and what it writes, each character with its probability."""
    pair = known_pair(one.config.corpus.name, source)
    verdict = ""
    if pair:
        right = answer["text"] == pair.target
        words = _("right") if right else _("should be {target}").format(target=pair.target)
        verdict = f'<span class="{"yes" if right else "no"}">{html.escape(words)}</span>'
    head = _("{name} after {step} updates").format(name=one.name, step=f"{step:,}")
    spans = "".join(_character(*triple) for triple in zip(
        answer["target"], answer["logprobs"], answer["alternatives"], strict=True
    ))  # fmt: skip
    style = model_style(one.kind)
    return (
        f'<div class="passage-head"><i style="--run: {style.color}" class="solid"></i>{html.escape(head)}</div>'
        f'<div class="written pair-output">{spans} {verdict}</div>'
    )


def _character(token: str, logprob: float, alternatives: list[list[Any]]) -> str:
    """Oranger the less sure; pointing shows the likeliest ones."""
    chance = float(np.exp(logprob))
    tip = ", ".join(f"{visible_token(name)} {share:.1%}" for name, share in alternatives)
    shown = html.escape("⏎" if token == "<end>" else visible_token(token))
    return (
        f'<span class="tok" style="--unsure:{round(100 * (1 - chance))}%" data-tip="{html.escape(tip)}">{shown}</span>'
    )


def _share_course(one: Learner, step: int) -> None:
    """The share of attention on the right part, over the training."""
    lines = [line for line in one.lines if line.get("right_share") is not None]
    if len(lines) < 2:
        return
    style = model_style(one.kind)
    last = lines[-1]["right_share"]
    title = _("On average {share} of the attention ends up on the right part").format(share=f"{last:.0%}")
    figure = shares_figure(
        [
            Curve(_("attention on the right part"), style, [line["step"] for line in lines],
                  [line["right_share"] for line in lines]),
            Curve(_("outputs right"), style, [line["step"] for line in lines],
                  [line["exact_match"] for line in lines], dash="dot"),
        ],
        title=title, x=_("updates"), y=_("share"), key=f"share {one.run.id}", marked=step,
    )  # fmt: skip
    chart(
        figure, "pairs_share", height=220, csv=f"{one.run.id}-right-share", alt=title, caption=_(
            "Mean over the characters of right outputs to held-out sources; 0 while none is right. Year digits should"
            " come from the year, and so on. A bidirectional encoder may hand on what it read beside a character, so"
            " that less than 100 % is no mistake."
        ),
    )  # fmt: skip


def edit_part(learners: Sequence[Learner]) -> None:
    """Move the attention of an output to another input, and see what is written then."""
    able = [one for one in learners if one.config.model.kind == "seq2seq-attention" and one.run.checkpoint_steps()]
    if not able:
        st.info(_("This needs a Seq2Seq model with attention. Train one with the button on the left."),
                icon=":material/info:")  # fmt: skip
        return
    one = able[0]
    step = one.run.checkpoint_steps()[-1]
    source = source_control(one.config.corpus.name)
    plain_answer = asked("pair_example", _("Translating"), run=one.run.id, step=step, source=source)
    if plain_answer is None:
        return
    forced: dict[int, int] = dict(st.session_state.get(FORCED, {}))
    width = len(plain_answer["source"])
    forced = {row: place for row, place in forced.items() if place < width}
    weights = {str(row): [float(place == one) for one in range(width)] for row, place in forced.items()}
    answer = asked(
        "pair_example", _("Translating"), run=one.run.id, step=step, source=source, forced=weights
    )  # fmt: skip
    if answer is None:
        return
    _edit_map(one, step, plain_answer, answer, source, forced)
    if forced:
        st.button(
            _("Give it back its own attention"), icon=":material/undo:", key="pairs_undo", on_click=_forget_forced
        )


def _edit_finding(before: dict[str, Any], after: dict[str, Any], forced: dict[int, int]) -> str:
    if not forced:
        return _("It writes “{text}”. Click in the map: where should a character have looked?").format(
            text=before["text"]
        )
    if before["text"] == after["text"]:
        return _("With {moved} of its looks moved it still writes “{text}”").format(
            moved=len(forced), text=after["text"]
        )
    return _("With {moved} of its looks moved “{before}” becomes “{after}”").format(
        moved=len(forced), before=before["text"], after=after["text"]
    )


def _edit_map(
    one: Learner, step: int, before: dict[str, Any], answer: dict[str, Any], source: str, forced: dict[int, int]
) -> None:
    attention = unpack(answer["attention"])

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, list) and len(point) == 2:
            st.session_state[FORCED] = {**forced, int(point[0]): int(point[1])}

    title = _edit_finding(before, answer, forced)
    figure = alignment_figure(
        attention, place_names(answer["target"]), place_names(answer["source"]), None, title=plain(title),
        x=_("source"), y=_("character written"), key=f"edit {one.run.id} {source}", forced=forced,
        hover=_("let “{row}” look at “{column}”").format(row="%{y}", column="%{x}"),
    )  # fmt: skip
    chart(
        figure, "pairs_edit", height=max(260, 60 + 22 * len(answer["target"])), on_event=clicked,
        csv=f"{one.run.id}-{step}-edited", alt=title, caption=_(
            "Click on a cell: the character of its row then looks at that place of the source alone (framed), and"
            " everything is written again from there. With nothing moved this is the model itself."
        ),
    )  # fmt: skip
