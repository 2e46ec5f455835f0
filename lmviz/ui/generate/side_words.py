"""What a comparison of texts shows, in a sentence. No Streamlit."""

from collections.abc import Sequence
from typing import Any

from lmviz.ui.i18n import _


def finding(names: Sequence[str], sides: Sequence[dict[str, Any]]) -> str:
    """Who repeats and copies most, and who is most varied."""
    if len(sides) == 1:
        return _("{name}: perplexity {perplexity}, longest repeated span {repeated} characters").format(
            name=names[0], perplexity=f"{sides[0]['perplexity']:.2f}", repeated=sides[0]["repeated"]
        )
    repeats = max(range(len(sides)), key=lambda i: sides[i]["repeated"])
    varied = max(range(len(sides)), key=lambda i: sides[i]["distinct_2"] or 0)
    words = _("{first} repeats most, {repeated} characters; {second} is most varied, {share} of its pairs differ")
    return words.format(
        first=names[repeats], repeated=sides[repeats]["repeated"], second=names[varied],
        share=f"{sides[varied]['distinct_2'] or 0:.0%}",
    )  # fmt: skip
