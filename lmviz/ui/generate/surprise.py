"""How surprised is it? Every token of a text by its log-probability, its rank, and what the model held for likelier."""

import math
from typing import Any

import streamlit as st

from lmviz.limits import MAX_SHOWN_TOKENS
from lmviz.summary import perplexity_words
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.surprise import along_figure, ranks_figure
from lmviz.ui.generate.given_text import TEMPERATURE, held_out, text_control, written_how
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.surprise_difference import compare, other_run, show_figures, show_text
from lmviz.ui.generate.surprise_told import MOST_NATS, Told, choose, chosen_of, rank_names, unknown_words
from lmviz.ui.i18n import _
from lmviz.ui.reader import reader
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

BEFORE = 24
"""Characters that are quoted before a token."""


def surprise_part(scene: Scene) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        text = text_control(scene)
        other = other_run(scene)
    with right:
        answer = asked("surprise", _("Reading"), **scene.question, text=text)
        if answer is None:
            return
        compared = compare(scene, text, answer, other) if other is not None else None
        told = Told(answer)
        if compared is not None:
            show_text(compared)
        elif other is None:
            _show_text(scene, text, answer, told)
        else:
            return
    if compared is not None:
        show_figures(compared)
        return
    _notes(answer)
    left, right = st.columns([5, 2], gap="large")
    with left:
        _along(scene, told)
    with right:
        _ranks(scene, answer)


def _show_text(scene: Scene, text: str, answer: dict[str, Any], told: Told) -> None:
    """The finding, the totals, and the text, every token with its surprise."""
    default = held_out(scene.run)
    usual = answer if text == default else asked("surprise", _("Reading"), **scene.question, text=default)
    st.subheader(finding(answer, told, written_how(text, scene), usual), anchor=False)
    _numbers(answer, usual)
    chosen = chosen_of(len(told.texts))
    reader(
        told.texts, "surprise_reader", shades=-told.nats / MOST_NATS, chosen=chosen, height=300, on_choose=choose,
        tips=[told.words(at) for at in range(len(told.texts))],
        alt=_("The text; the stronger the colour of a token, the more it surprised the model."),
    )  # fmt: skip
    if chosen is not None:
        st.caption(markdown_safe(told.words(chosen)))


def finding(answer: dict[str, Any], told: Told, own: str | None, usual: dict[str, Any] | None) -> str:
    """What the numbers say, in a sentence. own: how the model wrote the text. usual: the answer for held-out text."""
    share, bits = guessed(answer), f"{answer['bits_per_char']:.2f}"
    if own and usual:
        words = {
            "greedy": _("Its own likeliest text: {share} of the tokens were its first guess, {bits} bits a character;"
                        " of held-out text {usual_share}, {usual} bits"),
            "sample": _("Its own text, drawn at temperature {temperature}: {share} of the tokens were its first guess,"
                        " {bits} bits a character; of held-out text {usual_share}, {usual} bits"),
        }[own]  # fmt: skip
        return words.format(share=share, bits=bits, usual_share=guessed(usual), usual=f"{usual['bits_per_char']:.2f}",
                            temperature=TEMPERATURE)  # fmt: skip
    at = int(told.nats.argmax())
    before = "".join(told.texts[:at])[-BEFORE:]
    words = _("It guessed {share} of the tokens and needs {bits} bits a character; “{token}” after “{before}” surprised"
              " it most")  # fmt: skip
    if not before:
        words = _("It guessed {share} of the tokens and needs {bits} bits a character; the first, “{token}”, surprised"
                  " it most")  # fmt: skip
    return words.format(
        share=share, bits=bits, token=markdown_safe(visible_token(told.texts[at])),
        before=markdown_safe(visible_token(before)),
    )  # fmt: skip


def guessed(answer: dict[str, Any]) -> str:
    """Share of the tokens with rank 1."""
    return f"{answer['ranks'][0] / answer['tokens']:.0%}"


def _numbers(answer: dict[str, Any], usual: dict[str, Any] | None) -> None:
    """Totals over the whole text, and those of held-out text."""
    words = _("held-out: {value}")
    against = _totals(usual) if usual and usual is not answer else [("", "")] * 3
    with st.container(horizontal=True, gap="medium"):
        for (name, value), (_name, usually) in zip(_totals(answer), against, strict=True):
            delta = words.format(value=usually) if usually else None
            st.metric(name, value, delta, delta_color="off", delta_arrow="off", width="content")
        st.metric(_("Tokens"), f"{answer['tokens']:,}", width="content")


def _totals(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (_("Loss, nats a token"), f"{answer['loss']:.4f}"),
        (_("Perplexity"), perplexity_words(answer["loss"], 2)),
        (_("Bits a character"), f"{answer['bits_per_char']:.3f}"),
    ]


def _notes(answer: dict[str, Any]) -> None:
    words = [_(
        "Darkest: a probability of 1 in {odds} or less. Point at a token for its number, click to keep it. All numbers"
        " are of the model's own softmax, without temperature; ranks count the whole vocabulary of {vocabulary} tokens."
    ).format(odds=f"{round(math.exp(MOST_NATS), -2):.0f}", vocabulary=f"{answer['vocabulary']:,}")]  # fmt: skip
    if answer["tokens"] > MAX_SHOWN_TOKENS:
        words.append(_("The first {shown} of {count} tokens are shown; the totals are of all.").format(
            shown=f"{MAX_SHOWN_TOKENS:,}", count=f"{answer['tokens']:,}"
        ))  # fmt: skip
    if answer["context"] and answer["tokens"] > answer["context"]:
        words.append(_(
            "The text is longer than the {context} tokens that the model sees at once: before each token it had at"
            " least half of them."
        ).format(context=answer["context"]))  # fmt: skip
    if answer["unknown"]:
        words.append(unknown_words(answer["unknown"]))
    st.caption(" ".join(words))


def _along(scene: Scene, told: Told) -> None:
    def clicked(event: Click) -> None:
        place = event.get("x")
        if isinstance(place, int | float) and 0 <= place < len(told.texts):
            choose(int(place))

    at = int(told.nats.argmax())
    shown = range(len(told.texts))
    figure = along_figure(
        told.nats, told.entropies, [plain(told.words(place)).replace("; ", "<br>") for place in shown],
        [plain(visible_token(text)) for text in told.texts], chosen_of(len(told.texts)),
        color(scene.run.config().model.kind), title=_("Where is it surprised?"), x=_("token of the text"),
        y=_("surprise, nats"), name=_("surprise"), expected_name=_("what it expected itself (entropy)"),
        key=f"{scene.run.id} {len(told.texts)}",
    )  # fmt: skip
    chart(
        figure, "surprise_along", height=250, on_event=clicked, csv=f"{scene.run.id}-{scene.step}-surprise",
        alt=_("The highest bar is token {place}, {token}, with {nats} nats.").format(
            place=at, token=visible_token(told.texts[at]), nats=f"{told.nats[at]:.2f}"
        ), caption=_(
            "Bars: −ln of the probability that the model gave each token after all before it. Line: the entropy of its"
            " distribution there. A bar far above the line is a real surprise; where both are high it knew that it"
            " could not know. Click on a bar to mark the token."
        ),
    )  # fmt: skip


def _ranks(scene: Scene, answer: dict[str, Any]) -> None:
    counts = answer["ranks"]
    words = _("{share} of the tokens were among its ten likeliest")
    title = words.format(share=f"{(counts[0] + counts[1]) / answer['tokens']:.0%}")
    figure = ranks_figure(
        [("", counts, color(scene.run.config().model.kind))], rank_names(), title=title, x=_("rank of the right token"),
        y=_("share of the tokens"), key=scene.run.id,
    )  # fmt: skip
    chart(
        figure, "surprise_ranks", height=250, csv=f"{scene.run.id}-{scene.step}-ranks", alt=title,
        caption=_("Rank 1: no token was held for more probable. Over all {count} tokens.").format(
            count=f"{answer['tokens']:,}"
        ),
    )  # fmt: skip
