"""A text and what one loss in it depends on: as plain values, and as HTML in which each earlier token is shaded.

Not here: Streamlit. All text is escaped.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.gradients import VANISHED
from lmviz.ui.i18n import _, ngettext
from lmviz.ui.tokens import visible_token
from lmviz.words import cut

UNKNOWN = "\ufffd"
"""How a tokenizer shows what its vocabulary does not have; a page shows what was typed instead."""


@dataclass(frozen=True)
class Reading:
    """One model on one text."""

    label: str
    step: int
    tokens: Sequence[str]
    """The token predicted at each step."""
    inputs: Sequence[str]
    """The token read at each step; the first is the mark of the beginning."""
    losses: Sequence[float]
    """Nats."""
    rows: Sequence[Sequence[float]]
    """Entry t of row tau, t <= tau: |dL_tau/ds_t| as a share of that at t = tau."""
    unknown: frozenset[int] = frozenset()
    """Places of tokens that the model's vocabulary does not have."""

    def reach(self, tau: int) -> int:
        """How many of the tokens read last count: the state after each of them still has 1/1000 or more."""
        row = self.rows[tau]
        return next((back for back, share in enumerate(reversed(row)) if share < VANISHED), len(row))

    def same_place(self, other: "Reading", tau: int) -> int:
        """The token of this reading at token tau of another one of the same text, whose tokens may be others: the one
        that has the other's last character.
        """
        if self.tokens == other.tokens:
            return tau
        end = sum(len(token) for token in other.tokens[: tau + 1])
        return min(int(np.searchsorted(np.cumsum([len(token) for token in self.tokens]), end)), len(self.tokens) - 1)


def reading_of(label: str, answer: dict[str, Any], state: str, kind: str, text: str) -> Reading:
    """From the answer to the question "dependence"; a model without the state shows its hidden one.

    kind: of the model's tokenizer.
    """
    maps = answer["maps"]
    rows = maps.get(state, maps["hidden"])
    label = _("{name} (cell state)").format(name=label) if state == "cell" and "cell" in maps else label
    tokens = answer["tokens"]
    unknown = frozenset(place for place, token in enumerate(tokens) if token == UNKNOWN)
    pieces = typed_pieces(kind, text) if unknown else []
    if len(pieces) == len(tokens):
        tokens = [pieces[place] if place in unknown else token for place, token in enumerate(tokens)]
    inputs = [answer["inputs"][0], *tokens[:-1]]
    return Reading(label, answer["step"], tokens, inputs, answer["losses"], rows, unknown)


def typed_pieces(kind: str, text: str) -> list[str]:
    """A text as a tokenizer of this kind cuts it, whatever its vocabulary; empty for byte pairs, which know all."""
    return list(text) if kind == "char" else list(cut(text)) if kind == "word" else []


def shade(share: float) -> int:
    """Per cent of the darkest colour: the logarithm of the share, 1 is darkest, 1/1000 and less is none."""
    return round(100 * min(1.0, max(0.0, 1 - math.log10(max(share, 1e-300)) / math.log10(VANISHED))))


def passage(reading: Reading, tau: int) -> str:
    """The text as HTML: what was read before token tau shaded, the token itself framed, what follows faint."""
    row = reading.rows[tau]
    spans = [_read(reading, t, row[t], tau - t) for t in range(tau + 1)]
    tip = _("{token}: its loss is {nats} nats").format(
        token=visible_token(reading.tokens[tau]), nats=f"{reading.losses[tau]:.3f}"
    )
    token = _shown(reading.tokens[tau])
    mark = " unknown" if tau in reading.unknown else ""
    spans.append(f'<span class="tok chosen{mark}" tabindex="0" data-tip="{html.escape(tip)}">{token}</span>')
    later = html.escape("".join(reading.tokens[tau + 1 :]))
    return (
        f'<div class="passage-head">{html.escape(head(reading, tau))}</div>'
        f'<div class="written passage">{"".join(spans)}<span class="later">{later}</span></div>'
    )


def scale() -> str:
    """What the shades mean."""
    least, most = html.escape(_("1/1000 or less")), html.escape(_("as much as the last state"))
    return f'<div class="scale"><span>{least}</span><i></i><span>{most}</span></div>'


def _read(reading: Reading, t: int, share: float, back: int) -> str:
    """What was read at step t: first the mark of the beginning, then the token before each step."""
    token, mark = reading.inputs[t], " special" if t == 0 else " unknown" if t - 1 in reading.unknown else ""
    words = ngettext("{token}: {share}, {back} step back", "{token}: {share}, {back} steps back", back)
    tip = words.format(token=visible_token(token), share=f"{share:.3g}", back=back)
    return (
        f'<span class="tok{mark}" tabindex="0" style="--unsure:{shade(share)}%"'
        f' data-tip="{html.escape(tip)}">{html.escape(token)}</span>'
    )


def _shown(token: str) -> str:
    """The framed token: a line end alone would be a frame around nothing."""
    return html.escape(visible_token(token) + "\n" * token.count("\n") if not token.strip() else token)


def head(reading: Reading, tau: int) -> str:
    """The loss at token tau and how far back its gradient reaches."""
    token, states = f"“{visible_token(reading.tokens[tau])}”", len(reading.rows[tau])
    if tau in reading.unknown:
        words = _("{name}, after {step} updates: it does not know {token}; the loss is that of all unknown tokens")
    else:
        words = ngettext(
            "{name}, after {step} updates: the loss at {token} is {nats} nats; its gradient reaches back {count} of"
            " {all} state",
            "{name}, after {step} updates: the loss at {token} is {nats} nats; its gradient reaches back {count} of"
            " {all} states",
            states,
        )
    return words.format(
        name=reading.label, step=f"{reading.step:,}", token=token, nats=f"{reading.losses[tau]:.2f}",
        count=reading.reach(tau), all=states,
    )  # fmt: skip


def titles(readings: Sequence[Reading]) -> list[str]:
    """Names that tell them apart: the same run at two moments is named with both."""
    if len({reading.label for reading in readings}) == len(readings) or len({one.step for one in readings}) == 1:
        return [reading.label for reading in readings]
    return [_("{name} after {step} updates").format(name=one.label, step=f"{one.step:,}") for one in readings]


def finding(readings: Sequence[Reading], taus: Sequence[int]) -> str:
    """Whose gradient reaches further back, in one line; empty if one of them does not know the token."""
    if any(tau in reading.unknown for reading, tau in zip(readings, taus, strict=True)):
        return ""
    first, second = (reading.reach(tau) for reading, tau in zip(readings, taus, strict=True))
    token = f"“{visible_token(readings[0].tokens[taus[0]])}”"
    if first == second:
        words = ngettext(
            "For {token} the gradient of both reaches {count} state back",
            "For {token} the gradient of both reaches {count} states back",
            first,
        )
        return words.format(token=token, count=first)
    (far, most), (near, fewer) = sorted(
        zip(titles(readings), (first, second), strict=True), key=lambda pair: pair[1], reverse=True
    )
    return _("For {token} the gradient of {far} reaches {count} states back, of {near} {fewer}").format(
        token=token, far=far, count=most, near=near, fewer=fewer
    )


def unknown_words(reading: Reading) -> str:
    """Markdown."""
    words = ngettext(
        "{name} has never met {count} token of this text, underlined above: all such tokens are the same to it.",
        "{name} has never met {count} tokens of this text, underlined above: all such tokens are the same to it.",
        len(reading.unknown),
    )
    return words.format(name=markdown_safe(reading.label), count=len(reading.unknown))


def names(tokens: Sequence[str]) -> list[str]:
    """A name for each place: its number and its token, so that equal tokens stay apart."""
    return [f"{place} {visible_token(token)}" for place, token in enumerate(tokens, start=1)]


def row_of(event: Mapping[str, Any]) -> int | None:
    """The row of a map that was clicked."""
    point = event.get("point")
    return int(point[0]) if isinstance(point, list) and point else None
