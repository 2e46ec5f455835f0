"""Step by step: the choice of one token after the other, stage by stage, and what else it could have been."""

import html
import math
from typing import Any

import streamlit as st

from lmviz.errors import N_, LmvizError
from lmviz.ui import cache
from lmviz.ui.chart import Click, chart
from lmviz.ui.decoding_controls import more_controls, prompt_control, strategy_controls
from lmviz.ui.errors import show_error
from lmviz.ui.figures.steps import stages_figure, tree_figure
from lmviz.ui.generate import steps_path as at
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.steps_words import drawn_words, stage_words
from lmviz.ui.i18n import _
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

FRAME_SECONDS = 0.7
"""Between two tokens while it plays."""
ROWS = 14
"""Tokens in the picture."""
SEEN = 26
"""Tokens of the tree that are seen at once."""
UNCHANGED = 5e-4
"""Probability below which a stage is left out of the picture: it takes nothing that could be seen."""

STAGES = {
    "raw": N_("the model"),
    "special": N_("marks out"),
    "repetition_penalty": N_("repetition"),
    "frequency_penalty": N_("frequency"),
    "presence_penalty": N_("presence"),
    "no_repeat_ngram": N_("no repeats"),
    "temperature": N_("temperature"),
    "top_k": N_("top-k"),
    "top_p": N_("top-p"),
    "min_p": N_("min-p"),
}
"""Stage -> its name above its column."""


def steps_part(scene: Scene) -> None:
    left, right = st.columns([2, 5], gap="large")
    with left:
        decoding = {"prompt": prompt_control(scene.run), **strategy_controls(), **more_controls(scene.run)}
    decoding.pop("max_new_tokens")
    at.begin([scene.run.id, scene.step, decoding["prompt"]])
    with right:
        pace = _pace()
        st.fragment(_body, run_every=pace)(scene, decoding, pace)


def _pace() -> float | None:
    return FRAME_SECONDS if at.PLAYS in st.session_state else None


def _body(scene: Scene, decoding: dict[str, Any], pace: float | None) -> None:
    answer = _asked(scene, decoding)
    if answer is not None and at.PLAYS in st.session_state and answer["path"] == st.session_state[at.PLAYS]:
        _advance(answer)  # what was shown for a frame is over
        answer = _asked(scene, decoding)
    if answer is None:
        st.session_state.pop(at.PLAYS, None)
        return
    if at.PLAYS in st.session_state:
        st.session_state[at.PLAYS] = answer["path"]
        if answer["ended"]:
            st.session_state.pop(at.PLAYS)
    at.remember()
    _text(decoding["prompt"], answer)
    _buttons(answer)
    if answer["ended"]:
        st.info(
            _("The model has ended its text with <end>. Go back, or click on another branch."), icon=":material/flag:"
        )
    else:
        _choice(scene, decoding, answer)
    _tree(scene, answer)
    if _pace() != pace:
        st.rerun()


def _asked(scene: Scene, decoding: dict[str, Any]) -> dict[str, Any] | None:
    """The choice at hand; a text of an address that the model cannot have is left."""
    try:
        return cache.answer("step", **scene.question, tokens=list(at.here()), **decoding)
    except LmvizError as error:
        show_error(error)
        if at.here():
            st.button(_("Start again"), on_click=at.start_again, key="steps_again_after_error")
        return None


def _advance(answer: dict[str, Any]) -> None:
    if not answer["ended"]:
        at.go([*at.here(), answer["drawn"]["id"]])


def _text(prompt: str, answer: dict[str, Any]) -> None:
    """The text so far: forced tokens underlined, the place of the next one marked."""
    spans = []
    for token in answer["path"]:
        text = token["piece"] or token["text"]
        tip = _("{token}: the model gave it {chance}").format(
            token=visible_token(token["text"]), chance=f"{math.exp(token['logprob']):.2%}"
        )
        name = "tok forced" if token["forced"] else "tok"
        spans.append(
            f'<span class="{name}" tabindex="0" style="--unsure:0%" data-tip="{html.escape(tip)}">'
            f"{html.escape(text)}</span>"
        )
    st.html(
        f'<div class="written steps-text"><span class="prompt">{html.escape(prompt)}</span>{"".join(spans)}'
        '<span class="caret"></span></div>'
    )
    words = _("{count} tokens, log-probability {logprob} nats").format(
        count=len(answer["path"]), logprob=f"{answer['logprob']:.2f}"
    )
    if any(token["forced"] for token in answer["path"]):
        words += " · " + _("underlined: chosen by you, the draw would have been another")
    st.caption(words)


def _buttons(answer: dict[str, Any]) -> None:
    here = at.here()
    playing = at.PLAYS in st.session_state

    def play() -> None:
        st.session_state[at.PLAYS] = answer["path"]

    with st.container(horizontal=True, key="steps_buttons"):
        st.button(
            _("Next"), type="primary", icon=":material/skip_next:", key="steps_next",
            disabled=answer["ended"] or playing, on_click=at.go, args=([*here, answer["drawn"]["id"]],),
        )  # fmt: skip
        if playing:
            st.button(_("Stop"), icon=":material/stop:", key="steps_stop",
                      on_click=lambda: st.session_state.pop(at.PLAYS, None))  # fmt: skip
        else:
            st.button(
                _("Play"), icon=":material/play_arrow:", key="steps_play", disabled=answer["ended"], on_click=play
            )
        st.button(
            _("Back"), icon=":material/undo:", key="steps_back", disabled=not here or playing, on_click=at.go,
            args=(here[:-1],),
        )  # fmt: skip
        st.button(
            _("Start again"), icon=":material/restart_alt:", key="steps_again", disabled=not here or playing,
            on_click=at.start_again,
        )  # fmt: skip


def _choice(scene: Scene, decoding: dict[str, Any], answer: dict[str, Any]) -> None:
    rows = _rows(answer)
    stages = _shown(answer)
    names = [_(STAGES[answer["stages"][i]["name"]]) for i in stages]
    tokens = [plain(visible_token(row["text"])) for row in rows]
    rest = [1 - sum(row["chances"][i] for row in rows) for i in stages]
    count = answer["vocabulary"] - len(rows)
    tokens.append(_("{count} others").format(count=f"{count:,}"))
    chances = [[row["chances"][i] for row in rows] + [max(0.0, left)] for i, left in zip(stages, rest, strict=True)]
    drawn = next(i for i, row in enumerate(rows) if row["id"] == answer["drawn"]["id"])
    title = plain(drawn_words(answer["drawn"], decoding["strategy"], decoding["seed"]))
    kind = scene.run.config().model.kind
    figure = stages_figure(
        tokens, chances, names, drawn, color(kind), title=title, out=_("out"), key=f"{scene.run.id} {len(names)}",
        hover=_("{token}: {chance}").format(token="%{customdata[0]}", chance="<b>%{customdata[1]}</b>"),
    )  # fmt: skip

    def clicked(event: Click) -> None:
        row = event.get("y")
        if isinstance(row, int | float) and 0 <= row < len(rows):
            st.session_state.pop(at.PLAYS, None)
            at.go([*at.here(), rows[int(row)]["id"]])

    wide = 90 * len(names) + 60
    st.html(f"<style>.st-key-steps_stages .plot {{ min-width: {wide}px }} .st-key-steps_stages {{ overflow-x: auto }}"
            "</style>")  # fmt: skip
    with st.container(key="steps_stages"):
        chart(
            figure, "steps_chart", height=52 + 24 * len(tokens), on_event=clicked, alt=title,
            csv=f"{scene.run.id}-{scene.step}-step", caption=_(
                "Probability of every token after each stage, in the order in which they are applied, all on one scale;"
                " the framed one is taken. Click on another token to take that instead."
            ),
        )  # fmt: skip
    st.caption(" ".join(stage_words(answer, decoding)))


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The likeliest tokens of the model, and the one that is drawn."""
    rows: list[dict[str, Any]] = answer["rows"]
    drawn = answer["drawn"]["id"]
    late = sorted(rows, key=lambda row: -row["chances"][-1])[:ROWS]  # a penalty may lift others
    ids = {row["id"] for row in rows[: ROWS - 4]} | {row["id"] for row in late[:4]} | {drawn}
    return [row for row in rows if row["id"] in ids]


def _shown(answer: dict[str, Any]) -> list[int]:
    """Stages in the picture: the model, what changes something, and at least the last."""
    stages = answer["stages"]
    return [
        i for i, stage in enumerate(stages)
        if i == 0 or stage["name"] != "special" or stage["gone"] > UNCHANGED or len(stages) == 2
    ]  # fmt: skip


def _tree(scene: Scene, answer: dict[str, Any]) -> None:
    ends, here = at.tried(), at.here()
    if len(ends) < 2:
        st.caption(_("Branches that you try appear below as a tree, to which you can go back."))
        return
    names = _names(scene, answer)
    nodes: list[dict[str, Any]] = [
        {
            "x": len(text), "y": row, "parent": parent, "current": here[: len(text)] == text, "here": text == here,
            "text": plain(names(text[-1])) if text else "•", "hover": plain("".join(map(names, text))) or "•",
        }
        for text, row, parent in at.tree(ends, here)
    ]  # fmt: skip
    rows = max(node["y"] for node in nodes) + 1
    last = max(len(here) + 3, min(SEEN, max(map(len, ends))))
    title = _("What you tried: {count} branches").format(count=len(ends))
    figure = tree_figure(
        nodes, color(scene.run.config().model.kind), title=title,
        key=f"{scene.run.id} {len(ends)} {len(here) // 5}", first=max(0, last - SEEN), last=last,
    )  # fmt: skip
    places = [text for text, _row, _parent in at.tree(ends, here)]

    def clicked(event: Click) -> None:
        point = event.get("point")
        if event.get("curve") == 2 and isinstance(point, int) and point < len(places):
            st.session_state.pop(at.PLAYS, None)
            at.go(places[point])

    chart(
        figure, "steps_tree", height=50 + 46 * rows, on_event=clicked, alt=title,
        caption=_("Every branch is a text of its own. Click on a token to go back to it."),
    )  # fmt: skip


def _names(scene: Scene, answer: dict[str, Any]) -> Any:
    """Token -> its text, of all that were seen here."""
    known: dict[int, str] = st.session_state.setdefault(f"steps_names_{scene.run.id}", {})
    known.update({row["id"]: row["text"] for row in (*answer["rows"], *answer["path"], answer["drawn"])})
    return lambda token: visible_token(known.get(token, "?"))
