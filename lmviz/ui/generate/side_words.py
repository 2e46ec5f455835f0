"""What a comparison of texts shows, in a sentence. No Streamlit."""

from collections.abc import Sequence
from typing import Any

from lmviz.ui.i18n import _

WORTH_TELLING = 0.1
"""Share of a text that is copied."""


def finding(names: Sequence[str], sides: Sequence[dict[str, Any]]) -> str:
    """Who repeats and copies most, and who is most varied."""
    if len(sides) == 1:
        return _("{name}: perplexity {perplexity}, longest repeated span {repeated} characters").format(
            name=names[0], perplexity=f"{sides[0]['perplexity']:.2f}", repeated=sides[0]["repeated"]
        )
    if len({side["text"] for side in sides}) == 1:
        return _("All {count} texts are the same").format(count=len(sides))
    repeats = max(range(len(sides)), key=lambda i: sides[i]["repeated"])
    varied = max(range(len(sides)), key=lambda i: sides[i]["distinct_2"] or 0)
    copies = max(range(len(sides)), key=lambda i: sides[i]["copied"] or 0)
    if (sides[copies]["copied"] or 0) >= WORTH_TELLING:
        words = _(
            "Copies most: {copier}, {copied} of its text. Repeats most: {first}, {repeated} characters. Most varied:"
            " {second}, {share} of its pairs differ"
        )
    else:
        words = _("Repeats most: {first}, {repeated} characters. Most varied: {second}, {share} of its pairs differ")
    return words.format(
        copier=names[copies], copied=f"{sides[copies]['copied'] or 0:.0%}", first=names[repeats],
        repeated=sides[repeats]["repeated"], second=names[varied], share=f"{sides[varied]['distinct_2'] or 0:.0%}",
    )  # fmt: skip


def spans(sides: Sequence[dict[str, Any]]) -> str:
    """From how many characters on a span counts as copied, in these texts."""
    lengths = sorted({side["span"] for side in sides})
    if len(lengths) == 1:
        return f"{lengths[0]}"
    return _("{letters} ({characters} in Chinese)").format(letters=lengths[1], characters=lengths[0])
