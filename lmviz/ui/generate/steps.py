"""Step by step: why this word, and what else it could have been; every stage from the model's chances to the draw."""

import time
from typing import Any

import numpy as np
import streamlit as st

from lmviz.limits import MAX_STEPPED_TOKENS
from lmviz.ui.decoding_controls import more_controls, prompt_control, strategy_controls
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.steps_address import keep_settings, restore_settings
from lmviz.ui.generate.steps_asking import asked
from lmviz.ui.generate.steps_path import Tree, to_address, tree_of
from lmviz.ui.generate.steps_stages import choices, stages_part
from lmviz.ui.generate.steps_tree import tree_part
from lmviz.ui.i18n import _
from lmviz.ui.reader import reader
from lmviz.ui.tokens import visible_token

PLAYING = "steps_playing"
"""In the session while the text goes on by itself: when it did so last."""
FRAME_SECONDS = 0.4


def steps_part(scene: Scene) -> None:
    restore_settings()
    with st.container(key="steps"):
        left, right = st.columns([4, 9], gap="large")
        with left:
            prompt = prompt_control(scene.run)
            decoding = {**strategy_controls(), **more_controls(scene.run)}
        keep_settings(decoding)
        with right:
            pace = _pace()
            st.fragment(_body, run_every=pace)(scene, prompt, decoding, pace)


def _body(scene: Scene, prompt: str, decoding: dict[str, Any], pace: float | None) -> None:
    tree = tree_of(scene.run.id, prompt)
    settings = {**scene.question, **decoding, "prompt": prompt, "max_new_tokens": 1}
    if _due() and not _advance(tree, settings, int(decoding["max_new_tokens"])):
        st.session_state.pop(PLAYING)
    answer = asked("step", **settings, tokens=tree.tokens, place=tree.place)
    if answer is None:
        st.session_state.pop(PLAYING, None)
        return
    if answer["read"] < len(tree.path):
        tree.cut(answer["read"])
        answer = asked("step", **settings, tokens=tree.tokens, place=tree.place) or answer
    _text(scene, tree, answer, prompt)
    _buttons(tree, answer)
    if tree.wrong:
        st.caption(_("The address had tokens that cannot follow here; all from the first of them on were left out."))
    _told(scene, tree, answer)
    stages_part(scene, tree, answer, decoding, lambda token: _take(token, answer["drawn"]))
    tree_part(scene, tree, prompt)
    to_address(tree)
    if _pace() != pace:
        st.rerun()


def _pace() -> float | None:
    return FRAME_SECONDS if PLAYING in st.session_state else None


def _due() -> bool:
    """While it plays: whether what is shown has been there for a moment; a rerun for another reason moves nothing."""
    now = time.monotonic()
    if PLAYING not in st.session_state or now - st.session_state[PLAYING] < 0.75 * FRAME_SECONDS:
        return False
    st.session_state[PLAYING] = now
    return True


def _advance(tree: Tree, settings: dict[str, Any], longest: int) -> bool:
    """One token further, the drawn one at the end of the path; False if there is none."""
    if tree.place < len(tree.path):
        tree.go(tree.current, tree.place + 1)
        return tree.place < len(tree.path) or not _at_end(tree)
    if len(tree.path) >= min(longest, MAX_STEPPED_TOKENS):
        return False
    answer = asked("step", **settings, tokens=tree.tokens, place=tree.place)
    return answer is not None and tree.take(answer["drawn"], forced=False) and not _at_end(tree)


def _at_end(tree: Tree) -> bool:
    """Nothing can come after where the person is."""
    return tree.place == tree.last and (tree.last < len(tree.path) or len(tree.path) >= MAX_STEPPED_TOKENS)


def _text(scene: Scene, tree: Tree, answer: dict[str, Any], prompt: str) -> None:
    """The prompt, the tokens of the path, and the place of the next one."""
    pair = scene.run.config().reads_pairs
    first = _("source: {text} → ").format(text=prompt) if pair else prompt
    texts = [first[-300:] or "^"] + [token["text"] for token in answer["path"]]
    tips = [_("the source") if pair else _("the prompt")] + [_tip(token) for token in answer["path"]]
    if not answer["ended"]:
        texts.append("▁")
        tips.append(_("the next token"))

    def choose(place: int) -> None:
        st.session_state.pop(PLAYING, None)
        tree.go(tree.current, max(0, place - 1))

    reader(
        texts, "steps_text", chosen=tree.place + 1, marks={0}, tips=tips, height=132, on_choose=choose,
        shades=[0.0] + [-0.5 if forced else 0.0 for _token, forced in tree.path] + [0.0] * (not answer["ended"]),
        alt=_("The text so far; click on a token to see what it was chosen from. Orange: forced by you."),
    )  # fmt: skip


def _tip(token: dict[str, Any]) -> str:
    words = _("{token}  the model gave it {raw}; after all stages {last}; drawn here: {drawn}")
    return words.format(
        token=visible_token(token["text"]), raw=f"{np.exp(token['logprob']):.2%}", last=f"{token['probability']:.2%}",
        drawn=visible_token(token["drawn_text"]),
    )  # fmt: skip


def _buttons(tree: Tree, answer: dict[str, Any]) -> None:
    playing = PLAYING in st.session_state
    stuck = _at_end(tree)
    with st.container(horizontal=True, vertical_alignment="bottom", key="steps_buttons"):
        st.button(
            _("Back"), icon=":material/arrow_back:", key="steps_back", on_click=_back,
            disabled=playing or not tree.place,
        )  # fmt: skip
        st.button(
            _("Next"), icon=":material/arrow_forward:", key="steps_next", type="primary", disabled=playing or stuck,
            on_click=_next, args=(answer["drawn"],),
            help=_("Goes on with the drawn token; inside the text, to the token that stands there."),
        )  # fmt: skip
        if playing:
            st.button(_("Stop"), icon=":material/stop:", key="steps_stop", on_click=_play, args=(False,))
        else:
            st.button(
                _("Play"), icon=":material/play_arrow:", key="steps_play", disabled=stuck, on_click=_play, args=(True,)
            )
        st.button(
            _("Start again"), icon=":material/restart_alt:", key="steps_again", on_click=_again,
            disabled=playing or not any(tree.branches), help=_("Forgets all branches."),
        )  # fmt: skip
        names = dict(zip(answer["ids"], answer["texts"], strict=True))
        st.selectbox(
            _("Take another token"), choices(answer), index=None, key="steps_other", label_visibility="collapsed",
            format_func=lambda token: visible_token(names.get(token, "")), placeholder=_("Take another token"),
            on_change=_other, args=(answer["drawn"],), width=210,
        )  # fmt: skip


def _told(scene: Scene, tree: Tree, answer: dict[str, Any]) -> None:
    """What a person should know of this place."""
    if answer["ended"] and tree.place == tree.last:
        st.info(_(
            "The text ended here: <end> was taken. Go back, or click on another token to go on in another way."
        ), icon=":material/flag:")  # fmt: skip
    elif len(tree.path) >= MAX_STEPPED_TOKENS:
        st.info(_("A text of {count} tokens is the longest here. Start again, or go back and branch.").format(
            count=f"{MAX_STEPPED_TOKENS:,}"
        ))  # fmt: skip


def _tree() -> Tree:
    found: Tree = st.session_state["steps_tree"]
    return found


def _back() -> None:
    tree = _tree()
    tree.go(tree.current, tree.place - 1)


def _next(drawn: int) -> None:
    tree = _tree()
    if tree.place < len(tree.path):
        tree.go(tree.current, tree.place + 1)
    else:
        tree.take(drawn, forced=False)


def _take(token: int, drawn: int) -> None:
    """A person's choice; forced unless the seed draws it too."""
    st.session_state.pop(PLAYING, None)
    if not _tree().take(token, forced=token != drawn):
        st.toast(_("There is no room for another branch. Start again to make room."))


def _other(drawn: int) -> None:
    token = st.session_state.get("steps_other")
    st.session_state["steps_other"] = None
    if token is not None:
        _take(int(token), drawn)


def _play(on: bool) -> None:
    if on:
        st.session_state[PLAYING] = time.monotonic()
    else:
        st.session_state.pop(PLAYING, None)


def _again() -> None:
    st.session_state["steps_tree"] = Tree(_tree().of)
