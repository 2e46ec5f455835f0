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

UNKNOWN = "\ufffd"
"""How a tokenizer shows what its vocabulary does not have."""


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

    @property
    def unknown(self) -> int:
        """Tokens that the model's vocabulary does not have."""
        return sum(token == UNKNOWN for token in self.tokens)


def reading_of(label: str, answer: dict[str, Any], state: str) -> Reading:
    """From the answer to the question "dependence"; a model without the state shows its hidden one."""
    maps = answer["maps"]
    rows = maps.get(state, maps["hidden"])
    label = _("{name} (cell state)").format(name=label) if state == "cell" and "cell" in maps else label
    return Reading(label, answer["step"], answer["tokens"], answer["inputs"], answer["losses"], rows)


def shade(share: float) -> int:
    """Per cent of the darkest colour: the logarithm of the share, 1 is darkest, 1/1000 and less is none."""
    return round(100 * min(1.0, max(0.0, 1 - math.log10(max(share, 1e-300)) / math.log10(VANISHED))))


def passage(reading: Reading, tau: int) -> str:
    """The text as HTML: what was read before token tau shaded, the token itself framed, what follows faint."""
    row = reading.rows[tau]
    spans = [_read(reading.inputs[t], row[t], tau - t, mark=t == 0) for t in range(tau + 1)]
    tip = _("{token}: its loss is {nats} nats").format(
        token=visible_token(reading.tokens[tau]), nats=f"{reading.losses[tau]:.3f}"
    )
    token = _shown(reading.tokens[tau])
    spans.append(f'<span class="tok chosen" tabindex="0" data-tip="{html.escape(tip)}">{token}</span>')
    later = html.escape("".join(reading.tokens[tau + 1 :]))
    return (
        f'<div class="passage-head">{html.escape(head(reading, tau))}</div>'
        f'<div class="written passage">{"".join(spans)}<span class="later">{later}</span></div>'
    )


def scale() -> str:
    """What the shades mean."""
    least, most = html.escape(_("1/1000 or less")), html.escape(_("as much as the last state"))
    return f'<div class="scale"><span>{least}</span><i></i><span>{most}</span></div>'


def _read(token: str, share: float, back: int, *, mark: bool) -> str:
    words = ngettext("{token}: {share}, {back} step back", "{token}: {share}, {back} steps back", back)
    tip = words.format(token=visible_token(token), share=f"{share:.3g}", back=back)
    return (
        f'<span class="tok{" special" if mark else ""}" tabindex="0" style="--unsure:{shade(share)}%"'
        f' data-tip="{html.escape(tip)}">{html.escape(token)}</span>'
    )


def _shown(token: str) -> str:
    """The framed token: a line end alone would be a frame around nothing."""
    return html.escape(visible_token(token) + "\n" * token.count("\n") if not token.strip() else token)


def head(reading: Reading, tau: int) -> str:
    return _(
        "{name}, after {step} updates: the loss at {token} is {nats} nats and depends on the last {count} of {all}"
        " states"
    ).format(
        name=reading.label, step=f"{reading.step:,}", token=f"“{visible_token(reading.tokens[tau])}”",
        nats=f"{reading.losses[tau]:.2f}", count=reading.reach(tau), all=len(reading.rows[tau]),
    )  # fmt: skip


def finding(readings: Sequence[Reading], taus: Sequence[int]) -> str:
    """Who looks further back, in one line."""
    first, second = (reading.reach(tau) for reading, tau in zip(readings, taus, strict=True))
    token = f"“{visible_token(readings[0].tokens[taus[0]])}”"
    if first == second:
        return _("For {token} both depend on the last {count} states").format(token=token, count=first)
    order = (0, 1) if first > second else (1, 0)
    return _("For {token} {far} depends on the last {count} states, {near} on {fewer}").format(
        token=token, far=readings[order[0]].label, count=max(first, second), near=readings[order[1]].label,
        fewer=min(first, second),
    )  # fmt: skip


def unknown_words(reading: Reading) -> str:
    """Markdown."""
    words = ngettext(
        "{name} has never met {count} token of this text, shown as {mark}: all such tokens are the same to it.",
        "{name} has never met {count} tokens of this text, shown as {mark}: all such tokens are the same to it.",
        reading.unknown,
    )
    return words.format(name=markdown_safe(reading.label), count=reading.unknown, mark=UNKNOWN)


def names(tokens: Sequence[str]) -> list[str]:
    """A name for each place: its number and its token, so that equal tokens stay apart."""
    return [f"{place} {visible_token(token)}" for place, token in enumerate(tokens, start=1)]


def row_of(event: Mapping[str, Any]) -> int | None:
    """The row of a map that was clicked."""
    point = event.get("point")
    return int(point[0]) if isinstance(point, list) and point else None
