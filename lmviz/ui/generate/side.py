"""Side by side: one prompt and one seed; up to six ways to choose, models, or moments of one training."""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.decoding_controls import penalty_controls, prompt_control, seed_control, strategy_controls
from lmviz.ui.errors import markdown_safe, show_error
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.side_choice import Side, choose_runs, choose_ways, moments
from lmviz.ui.generate.side_table import as_csv, table_html
from lmviz.ui.generate.side_words import finding, spans
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore, switch
from lmviz.ui.tokens import token_html

LENGTHS = [40, 80, 120, 200, 300, 500]
AT_ONCE = 200
"""Tokens of a text that are written without being asked for: about a second for six texts of a sample."""


def side_part(scene: Scene) -> None:
    names = {"ways": _("Ways to choose"), "runs": _("Models"), "moments": _("Moments of its training")}
    which = switch(_("What differs"), names, "side_which", "differs")
    left, right = st.columns([2, 5], gap="large")
    with left:
        prompt = prompt_control(scene.run)
        settings = _settings() if which != "ways" else {}
        restore("side_length", "tokens_each", LENGTHS, 120)
        length = st.select_slider(_("Length, tokens"), LENGTHS, key="side_length")
        remember("tokens_each", length, 120)
        common = {"prompt": prompt, "max_new_tokens": length, "seed": seed_control()}
        if which == "runs":
            chosen = choose_runs(scene, settings)
    with right:
        if which == "ways":
            chosen = choose_ways(scene)
        elif which == "moments":
            chosen = moments(scene, settings)
        if not chosen:
            st.info(_("Choose at least one."), icon=":material/info:")
            return
        sides = [{**common, **side.settings} for side in chosen]
        if length > AT_ONCE and not cache.is_known("side", sides=sides):
            place = st.empty()
            if not place.button(_("Write"), type="primary", icon=":material/edit_note:", key="side_write"):
                words = _("Texts of more than {count} tokens are written when you ask for them.")
                st.caption(words.format(count=AT_ONCE))
                return
            place.empty()
        _show(scene, prompt, chosen, sides, judged=which != "moments")


def _settings() -> dict[str, Any]:
    """The same for all, where models or moments differ."""
    values = strategy_controls()
    with st.expander(_("More"), key="side_more"):
        values |= penalty_controls()
    return values


def _show(scene: Scene, prompt: str, chosen: list[Side], sides: list[dict[str, Any]], *, judged: bool) -> None:
    """The sentence and the table above, the texts below; they fill in while they are written."""
    titles = [side.title for side in chosen]
    head, table = st.empty(), st.empty()
    cards = []
    for first in range(0, len(titles), 2):
        for column, title in zip(st.columns(2), titles[first : first + 2], strict=False):
            with column:
                st.markdown(f"**{markdown_safe(title)}**")
                cards.append(st.empty())
    notes = st.container()
    tokens: list[list[dict[str, Any]]] = [[] for _side in sides]

    def grow(piece: dict[str, Any]) -> None:
        for place, new in piece.get("new", ()):
            tokens[place] += new
            cards[place].html(token_html(prompt, tokens[place], writing=True))
        if "done" in piece:
            measuring = all(tokens) and not piece.get("new")
            words = _("Looking for copies in what was learned from") if measuring else _("Writing")
            head.progress(min(1.0, piece["done"]), text=words)
        table.html(table_html(titles, [{"count": len(some)} for some in tokens], judged=False))

    try:
        if not cache.is_known("side", sides=sides):
            grow({"done": 0.0})
        found = cache.answer("side", grow, sides=sides)["sides"]
    except LmvizError as error:
        head.empty()
        table.empty()
        show_error(error)
        return
    head.subheader(finding([markdown_safe(title) for title in titles], found), anchor=False)
    found = [{**side, "count": len(side["tokens"])} for side in found]
    table.html(table_html(titles, found, judged=judged))
    for card, side in zip(cards, found, strict=True):
        card.html(token_html(prompt, side["tokens"], writing=False))
    with notes:
        _notes(scene, prompt, titles, found, judged=judged)


def _notes(scene: Scene, prompt: str, titles: list[str], found: list[dict[str, Any]], *, judged: bool) -> None:
    words = [_(
        "One prompt, one seed. Perplexity and log-probability: of the text under the whole distribution of the model"
        " that wrote it. Distinct-n: different runs of n tokens as a share of all. Copied: share in spans of at least"
        " {span} characters that stand word for word in the training text, spaces included; underlined above."
    ).format(span=spans(found))]  # fmt: skip
    if judged:
        words.append(_("Bold: least repeated, least copied, most varied, which alone makes no good text."))
    if any(side["together"] > 1 for side in found):
        words.append(_("Ways of one model were written together, each until its own end; beam search alone."))
    if any(side["copied"] is None for side in found):
        words.append(_("Where nothing is said of copies, the text that was learned from is not at hand, or too long."))
    st.caption(" ".join(words))
    st.download_button(
        _("Download as CSV"), as_csv(titles, found, prompt), f"{scene.run.id}-side-by-side.csv", "text/csv",
        icon=":material/download:", on_click="ignore", key="side_csv",
    )  # fmt: skip
