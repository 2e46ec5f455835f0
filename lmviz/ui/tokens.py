"""Generated text as HTML: every token shaded by how unsure the model was, its alternatives on hover or tap."""

import html
import math
from collections.abc import Sequence
from typing import Any

from lmviz.ui.i18n import _


def token_html(prompt: str, tokens: Sequence[dict[str, Any]], *, writing: bool) -> str:
    """The prompt, then each token as a span. All text is escaped."""
    spans = "".join(_span(token) for token in tokens)
    caret = '<span class="caret"></span>' if writing else ""
    sure, unsure = html.escape(_("sure")), html.escape(_("unsure"))
    return (
        f'<div class="written"><span class="prompt">{html.escape(prompt)}</span>{spans}{caret}</div>'
        f'<div class="scale"><span>{sure}</span><i></i><span>{unsure}</span></div>'
    )


def _span(token: dict[str, Any]) -> str:
    text = token["piece"] or token["text"]
    chance = math.exp(token["logprob"])
    rows = "\n".join(f"{p:>6.1%}  {visible_token(name)}" for name, p in token["alternatives"])
    tip = _("chosen: {token}, the model gave it {chance}").format(
        token=visible_token(token["text"]), chance=f"{chance:.1%}"
    )
    shade = round(100 * (1 - chance))
    special = " special" if not token["piece"] else " copied" if token.get("copied") else ""
    return (
        f'<span class="tok{special}" tabindex="0" style="--unsure:{shade}%" '
        f'data-tip="{html.escape(tip)}&#10;{html.escape(rows)}">{html.escape(text)}</span>'
    )


def visible_token(text: str) -> str:
    """Spaces and new lines that can be seen."""
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
