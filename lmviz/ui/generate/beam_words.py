"""What is said of a beam search: sentences and rows of tables from its answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lmviz.ui.errors import plain_cell
from lmviz.ui.generate.beam_tree import signed
from lmviz.ui.i18n import _
from lmviz.ui.tokens import visible_token

PENALTIES = {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "no_repeat_ngram": 0}
"""Settings that change what the model gives -> the value at which they do not."""


def penalised(settings: Mapping[str, Any]) -> bool:
    """Whether the search looks at other numbers than the model's own."""
    return any(settings.get(name, off) != off for name, off in PENALTIES.items())


def finding(answer: Mapping[str, Any], changed: bool = False) -> str:
    """Where greedy and beam search part, and which text is more probable. changed: penalties are on."""
    best, greedy = answer["hypotheses"][0], answer["greedy"]
    place = parting(best["tokens"], greedy["tokens"])
    if place is None:
        return _("Beam search finds greedy's text: none that it kept scores higher")
    gain = best["own"] - greedy["own"]
    part = _("Greedy takes “{greedy}” at token {place}, beam search “{best}”").format(
        greedy=_token(greedy, place), best=_token(best, place), place=place + 1
    )
    if gain >= 0:
        words = _("{part}: its text is {times} times as probable as greedy's")
    elif changed:
        words = _("{part}: greedy's text is {times} times as probable for the model, without the penalties")
    elif best["score"] >= greedy["score"]:
        words = _("{part}: greedy's text is {times} times as probable, but scores lower for its length")
    else:
        words = _("{part}: greedy's text is {times} times as probable; beam search had left its beginning")
    return words.format(part=part, times=times(abs(gain)))


def parting(one: Sequence[int], other: Sequence[int]) -> int | None:
    """The first place where two texts differ; None if they do not."""
    if list(one) == list(other):
        return None
    same = [a == b for a, b in zip(one, other, strict=False)]
    return same.index(False) if False in same else len(same)


def _token(text: Mapping[str, Any], place: int) -> str:
    return visible_token(text["texts"][place]) if place < len(text["texts"]) else "…"


def times(nats: float) -> str:
    """e^nats for people."""
    if nats > math.log(1e6):
        return f"10^{nats / math.log(10):.0f}"
    factor = math.exp(nats)
    return f"{factor:.2f}" if factor < 2 else f"{factor:.1f}" if factor < 20 else f"{factor:,.0f}"


def summary_rows(answer: Mapping[str, Any], groups: int) -> list[dict[str, Any]]:
    """A row a text that was found, then greedy's."""
    found = answer["hypotheses"]
    alone = sorted(range(len(found)), key=lambda at: -found[at]["logprob"])
    rows = [
        _row(str(at + 1), one, _place(alone.index(at) + 1, at + 1), one["group"] + 1 if groups > 1 else None)
        for at, one in enumerate(found)
    ]
    rows.append(_row(_("greedy"), answer["greedy"], "", None))
    if groups == 1:
        for row in rows:
            row.pop(_("group"))
    return rows


def _row(name: str, one: Mapping[str, Any], place: str, group: int | None) -> dict[str, Any]:
    return {
        _("place"): name,
        _("text"): plain_cell(visible_token(one["text"])) + ("" if one["finished"] else " …"),
        _("tokens"): one["length"],
        _("log-probability"): signed(one["logprob"]),
        _("a token"): signed(one["logprob"] / one["length"]),
        _("score"): signed_3(one["score"]),
        _("by log-probability"): place,
        _("longest repeat"): one["repeat"],
        _("group"): group,
    }


def signed_3(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _place(alone: int, now: int) -> str:
    """Its place by log-probability alone, and whether the score put it higher or lower."""
    return f"{alone}" if alone == now else f"{alone} {'↑' if now < alone else '↓'}"


def about(answer: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    lengths = {one["length"] for one in answer["hypotheses"]}
    words = [_(
        "Score: the log-probability (nats) divided by the length to the power of the length penalty, as in Hugging"
        " Face's generate; … is a text that did not end by itself, but was cut."
    )]  # fmt: skip
    if len(lengths) == 1:
        words.append(_("All texts found are equally long, so that the length penalty changes no place."))
    else:
        words.append(_(
            "The length penalty decides the order, and also which finished texts are kept and when the search ends: so"
            " every change searches anew."
        ))  # fmt: skip
    if settings["beam_groups"] > 1:
        words.append(_(
            "A group's tokens cost what earlier groups chose at the same step (Vijayakumar et al. 2016); this counts in"
            " the score, not in the log-probability."
        ))  # fmt: skip
    if penalised(settings):
        words.append(_(
            "Log-probabilities here are those after the penalties, as the search adds them up. A repetition penalty"
            " multiplies log-probabilities in beam search, but logits in greedy search, as in Hugging Face's generate."
        ))  # fmt: skip
    return " ".join(words)


def widths_finding(answer: Mapping[str, Any]) -> str:
    """What more beams do to a longer text: measured, whatever it is."""
    *searched, drawn = answer["rows"]
    greedy, widest = searched[0], searched[-1]
    likelier = widest["own"] - greedy["own"]
    share = _("{beams} beams repeat a run of {repeat} tokens, a drawn text one of {drawn}").format(
        beams=widest["beams"], repeat=widest["repeat"], drawn=drawn["repeat"]
    )
    if abs(likelier) < 1e-6:
        return _("More beams find greedy's text; {share}").format(share=share)
    words = _("Longer texts: {times} times as probable with {beams} beams as with one; {share}") if likelier > 0 else _(
        "Longer texts: {times} times as probable with one beam as with {beams}; {share}"
    )  # fmt: skip
    return words.format(times=times(abs(likelier)), beams=widest["beams"], share=share)


def width_rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            _("beams"): _("drawn") if row["beams"] is None else str(row["beams"]),
            _("text"): plain_cell(visible_token(row["text"])),
            _("tokens"): row["length"],
            _("log-probability"): signed(row["own"]),
            _("chance a token"): f"{math.exp(row['own'] / row['length']):.1%}",
            _("longest repeat"): row["repeat"],
        }
        for row in answer["rows"]
    ]
