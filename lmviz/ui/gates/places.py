"""Places of the held-out text as HTML: a line each, with what stands before and after. All text is escaped."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from lmviz.ui.tokens import visible_token


def line(place: Mapping[str, Any], head: str, values: Sequence[float | None] | None = None, scale: float = 1.0) -> str:
    """One place, its own tokens underlined. head: what stands before the line.

    values: of every token shown, blue above zero and orange below, darkest at `scale`.
    """
    before, here, after = place["before"], place["tokens"], place["after"]
    shown = [*before, *here, *after]
    colours = values if values is not None else [None] * len(shown)
    spans = []
    for at, (token, value) in enumerate(zip(shown, colours, strict=True)):
        inside = len(before) <= at < len(before) + len(here)
        spans.append(_span(token, value, scale, inside))
    return f'<div class="place"><b>{html.escape(head)}</b><span class="words">{"".join(spans)}</span></div>'


def _span(token: str, value: float | None, scale: float, inside: bool) -> str:
    """Line ends are shown as signs, so that a place stays one line."""
    text = html.escape(visible_token(token) if "\n" in token or "\t" in token else token)
    names = " ".join(name for name, wanted in (("here", inside), ("ahead", (value or 0) > 0)) if wanted)
    if value is None:
        return f'<span class="{names}">{text}</span>'
    share = min(100, round(100 * abs(value) / (scale or 1.0)))
    tip = html.escape(f"{visible_token(token)}  {value:.4f}")
    return f'<span class="tok {names}" style="--unsure:{share}%" data-tip="{tip}">{text}</span>'
