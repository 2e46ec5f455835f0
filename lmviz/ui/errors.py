"""What a person typed, and sentences that may quote it, where Streamlit would read Markdown."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.ui.i18n import translate_error


def markdown_safe(text: str) -> str:
    """A person's text inside Markdown: shown as it is, no links, no pictures."""
    return "".join("\\" + c if c in r"\`*_{}[]()#+-.!|<>~$:" else c for c in text)


def plain_cell(text: str) -> str:
    """A person's text in a table: a picture link in it must not be fetched."""
    return text.replace("![", "! [")


def error_words(error: LmvizError | Mapping[str, Any]) -> str:
    """The sentence of an error, or of its `to_dict()`, as Markdown that shows what it quotes as it is."""
    return markdown_safe(translate_error(error))


def show_error(error: LmvizError | Mapping[str, Any]) -> None:
    """A box with the sentence of an error."""
    st.error(error_words(error))
