"""A text whose tokens can be chosen, one or a span, by mouse, finger and keyboard: an element of its own, as HTML in a
page sends no clicks back. The JavaScript is in reader.js; every token is set as text, never as HTML.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike

_HERE = Path(__file__).resolve().parent

_element = st.components.v2.component(
    "lmviz_reader",
    css=(_HERE / "reader.css").read_text("utf-8"),
    js=(_HERE / "reader.js").read_text("utf-8"),
    isolate_styles=False,
)


def reader(
    tokens: Sequence[str],
    key: str,
    *,
    alt: str,
    shades: ArrayLike | None = None,
    chosen: int | None = None,
    span: tuple[int, int] | None = None,
    marks: Collection[int] = (),
    tips: Sequence[str] | None = None,
    height: int | None = None,
    on_choose: Callable[[int], None] | None = None,
    on_span: Callable[[int, int], None] | None = None,
) -> None:
    """Show a text. A click or the arrow keys choose a token; dragging, or Shift with either, chooses a span.

    Args:
        tokens: the text of each.
        key: unique on the page.
        alt: what it is, for those who cannot see it.
        shades: -1 to 1 a token: blue above zero, orange below, as strong as its size.
        chosen: index of the token that is marked.
        span: first and last index of the span that is framed.
        marks: indices of tokens that are no text, such as <begin>; shown faintly.
        tips: a line for each token, shown below the text while a person points at it.
        height: most pixels; a longer text scrolls.
        on_choose, on_span: called before the page runs again, with an index, or with the first and the last one.
    """
    colours = np.zeros(len(tokens)) if shades is None else np.nan_to_num(np.asarray(shades, np.float64))
    data: dict[str, Any] = {
        "id": key,
        "tokens": list(tokens),
        "shades": np.round(100 * np.clip(colours, -1, 1)).astype(int).tolist(),
        "chosen": chosen,
        "span": list(span) if span else None,
        "marks": sorted(marks),
        "tips": list(tips) if tips is not None else None,
        "height": height,
        "alt": alt,
        "heard": st.session_state.get(_heard(key), 0),
        "chooses": on_choose is not None,
        "spans": on_span is not None,
    }

    def choose() -> None:
        places = _told(key, "choose", len(tokens))
        if on_choose and len(places) == 1:
            on_choose(places[0])

    def choose_span() -> None:
        ends = _told(key, "span", len(tokens))
        if on_span and len(ends) == 2:
            on_span(ends[0], ends[1])

    _element(key=key, data=data, on_choose_change=choose, on_span_change=choose_span)


def _told(key: str, name: str, tokens: int) -> list[int]:
    """The places that the browser speaks of; none if one of them is no token."""
    event = st.session_state[key].get(name)
    if not event:
        return []
    # With it the next update says what it answers, so the browser knows an older one that is still on its way.
    st.session_state[_heard(key)] = max(st.session_state.get(_heard(key), 0), event["at"])
    places = [int(place) for place in event["places"]]
    return places if all(0 <= place < tokens for place in places) else []


def _heard(key: str) -> str:
    """Where the session keeps the browser's time of the newest thing it heard from this reader."""
    return f"{key}_heard"
