"""Write: the model goes on with a prompt; every token with how sure it was."""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.summary import perplexity_words
from lmviz.ui import cache
from lmviz.ui.decoding_controls import decoding_controls
from lmviz.ui.errors import show_error
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.tokens import token_html


def write_part(scene: Scene) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        decoding = decoding_controls(scene.run)
        pressed = st.button(_("Write"), type="primary", icon=":material/edit_note:", key="write", width="stretch")
    with right:
        place, facts = st.empty(), st.empty()
        key = f"written_{scene.run.id}"
        if pressed and (written := _write(scene, decoding, place)):
            st.session_state[key] = written
        if key in st.session_state:
            _show(scene, place, facts, *st.session_state[key])
        elif not pressed:
            _invite(scene, place, facts)


def _write(scene: Scene, decoding: dict[str, Any], place: Any) -> tuple[Any, ...] | None:
    """What was asked, the tokens, and the last piece; None, with a sentence, if it cannot be written."""
    tokens: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    try:
        for last in cache.ask("generate", **scene.question, **decoding):
            tokens += last["tokens"]
            place.html(token_html(decoding["prompt"], tokens, writing=True))
    except LmvizError as error:
        show_error(error)
        return None
    return decoding, tokens, last


def _invite(scene: Scene, place: Any, facts: Any) -> None:
    samples = scene.run.samples()
    place.info(_("Press Write, and the text appears here as it is made."))
    if samples:
        facts.caption(_("What it wrote at the end of its training:"))
        st.code(samples[-1]["prompt"] + samples[-1]["text"], language=None, wrap_lines=True)


def _show(
    scene: Scene, place: Any, facts: Any, asked: dict[str, Any], tokens: list[dict[str, Any]], last: dict[str, Any]
) -> None:  # fmt: skip
    place.html(token_html(asked["prompt"], tokens, writing=False))
    mean = -sum(token["logprob"] for token in tokens) / max(1, len(tokens))
    facts.caption(
        _("{count} tokens after step {step} · {speed} tokens/s · perplexity of its own text {perplexity}").format(
            count=len(tokens),
            step=f"{last['step']:,}",
            speed=f"{last['tokens_per_second'] or 0:,.0f}",
            perplexity=perplexity_words(mean, 2),
        )
    )
    st.caption(
        _("Shade: how unsure the model was, 1 − its probability of the token. Point at a token for its alternatives.")
    )
    st.download_button(
        _("Download the text"), asked["prompt"] + "".join(token["piece"] for token in tokens), f"{scene.run.id}.txt",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
