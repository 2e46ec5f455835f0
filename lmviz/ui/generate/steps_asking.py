"""Questions about single steps: most are answered before a bar could be read, so it comes only where it has a use."""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _


def asked(question: str, **arguments: Any) -> dict[str, Any] | None:
    """The last piece of the answer; None, with a sentence, if there is none."""
    place = st.empty()
    if not cache.is_warm():
        place.caption(_("Reading; a server that has just started needs a moment."))

    def show(piece: dict[str, Any]) -> None:
        if "done" in piece:
            place.progress(min(1.0, float(piece["done"])), text=_("Reading"))

    try:
        return cache.answer(question, show, **arguments)
    except LmvizError as error:
        show_error(error)
        return None
    finally:
        place.empty()
