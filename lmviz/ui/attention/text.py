"""The text with one token that looks: where it looks, in blue; a click chooses another one."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike

from lmviz.ui.attention.scene import Scene
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _
from lmviz.ui.reader import reader
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

NO_TEXT = ("<begin>", "<end>")


def quoted(token: str) -> str:
    """A token inside Markdown."""
    return markdown_safe(visible_token(token))


def in_figure(token: str) -> str:
    """A token inside a title of a figure."""
    return plain(visible_token(token))


def marks_of(tokens: Sequence[str]) -> set[int]:
    """Places that are no text."""
    return {place for place, token in enumerate(tokens) if token in NO_TEXT}


def looking(scene: Scene, weights: ArrayLike, query: int, key: str, on_choose: Callable[[int], None]) -> None:
    """weights: of the token at place `query`, a number for every column. key: begins the keys of the elements."""
    values = np.asarray(weights)
    tips = [f"{visible_token(token)}  {weight:.4f}" for token, weight in zip(scene.columns, values, strict=True)]
    same = scene.part != "cross_attention"
    if not same:
        reader(
            scene.rows, f"{key}_rows", chosen=query, on_choose=on_choose, marks=marks_of(scene.rows),
            alt=_("What is written; the token that looks is marked."),
        )  # fmt: skip
    reader(
        scene.columns, f"{key}_columns", shades=values, chosen=query if same else None, marks=marks_of(scene.columns),
        tips=tips, on_choose=on_choose if same else None,
        alt=_("The text; the bluer a token, the more the chosen one looks at it."),
    )  # fmt: skip
    st.caption(
        _("Click on a token (or use the arrow keys) to see where it looks; the bluer, the more.") if same else
        _("Above: what was written; click on a token to see below where it looks in the source.")
    )  # fmt: skip
