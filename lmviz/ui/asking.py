"""Questions that take a moment: a bar shows how far the answer is; while the training is played none is begun that
takes longer than a frame.
"""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.ui import cache, player
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _

QUICK = ("pair_example", "attention_head", "attention_steps", "attention_lens", "masked", "classes")
"""Questions that a model answers within a frame of a play."""


def asked(question: str, words: str, **arguments: Any) -> dict[str, Any] | None:
    """The last piece of the answer; None, with a sentence, if there is none now.

    words: beside the bar.
    """
    quick = player.playing() and question in QUICK
    if player.playing() and not quick and not cache.is_known(question, **arguments):
        st.caption(_("This moment is not measured yet. Press Stop to measure it."))
        return None
    place = st.empty()

    def show(piece: dict[str, Any]) -> None:
        place.progress(min(1.0, float(piece.get("done", 0.0))), text=words)

    try:
        if not quick and not cache.is_known(question, **arguments):
            show({})
        answer = cache.answer(question, None if quick else show, **arguments)
    except LmvizError as error:
        show_error(error)
        return None
    finally:
        place.empty()
    if answer.get("changed_text"):
        st.caption(_(
            "The built-in text is another one than the model learned from, as it follows Python's version: what is"
            " called held-out may be text that it knows."
        ))  # fmt: skip
    return answer
