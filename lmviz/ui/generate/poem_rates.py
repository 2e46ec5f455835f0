"""How often poems that are written freely keep the pattern, and what keeping it costs."""

import math
from typing import Any

import streamlit as st

from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.figures.poem import cost_figure
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.theme import color

COUNTS = (20, 100)


def rates(scene: Scene, asks: dict[str, Any]) -> None:
    """asks: arguments of "poem_rates" but for the count."""
    st.divider()
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    place = left.container()
    with right:
        count = st.segmented_control(
            _("Poems of each kind"), COUNTS, default=COUNTS[0], key="poem_count", required=True,
            persist_state="session", width="stretch",
        )  # fmt: skip
        pressed = st.button(_("Measure"), key="poem_measure", icon=":material/straighten:", width="stretch")
    question = {**scene.question, **asks, "count": count}
    if not pressed and not cache.is_known("poem_rates", **question):
        with place:
            st.subheader(_("Would it keep the pattern by itself, and what does keeping it cost?"), anchor=False)
            st.caption(
                _(
                    "Press Measure: {count} poems are written freely, and {count} with the same seeds in the pattern."
                ).format(count=count)
            )
        return
    answer = asked("poem_rates", _("Writing poems"), **question)
    if answer is None:
        return
    with place:
        st.subheader(finding(answer), anchor=False)
        st.caption(chance_words(answer))
    _facts(answer)
    _costs(scene, answer)


def finding(answer: dict[str, Any]) -> str:
    words = _("Of {count} written freely, {free} keep the pattern; with the constraint {kept} of {count}")
    return words.format(count=answer["count"], free=answer["free"]["kept"], kept=answer["kept"]["kept"])


def chance_words(answer: dict[str, Any]) -> str:
    """What free poems break, and how likely one is to keep all, from the weights of those that had to."""
    broken = _("A free poem breaks {tones} tones and {rhymes} rhymes on average.").format(
        tones=f"{answer['free']['tones']:.1f}", rhymes=f"{answer['free']['rhymes']:.1f}"
    )
    words = _(
        "By the probability that the model gave to what is allowed, one keeps all with a chance of {chance} ± {error}"
        " (standard error)."
    )
    return f"{broken} " + words.format(chance=percent(answer["chance"]), error=percent(answer["chance_error"]))


def percent(share: float) -> str:
    """With two digits that count."""
    digits = 0 if share <= 0 else max(0, -math.floor(math.log10(100 * share)) + 1)
    return f"{100 * share:.{min(digits, 8)}f}%"


def _facts(answer: dict[str, Any]) -> None:
    free, kept = answer["free"], answer["kept"]
    one, two, three, four = st.columns(4)
    one.metric(_("Log-probability a character, free"), f"{free['logprob']:.2f}", help=_(
        "Mean over the poems of the mean over the characters written, by the model's own probabilities, nats."
    ))  # fmt: skip
    two.metric(_("with the pattern"), f"{kept['logprob']:.2f}")
    three.metric(
        _("Difference a character"), f"{answer['difference']:+.2f} ± {answer['difference_error']:.2f}", help=_(
            "Nats, with the standard error of the mean over poems of the same seed. Above 0: what is written in the"
            " pattern is less probable to the model than what it writes freely."
        ),
    )  # fmt: skip
    four.metric(
        _("Cost of the constraint, a poem"), _("{nats} nats").format(nats=f"{sum(answer['places']):.1f}"),
        help=_("Mean of the sum of all bars below."),
    )  # fmt: skip


def _costs(scene: Scene, answer: dict[str, Any]) -> None:
    costs, marks = answer["places"], answer["marks"]
    rhyming = [mark == "韵" for mark in marks]
    rhymes = sum(cost for cost, rhyme in zip(costs, rhyming, strict=True) if rhyme)
    title = _("Where the pattern costs: {share} of it at the rhymes").format(
        share=f"{rhymes / max(sum(costs), 1e-9):.0%}"
    )
    signs = {"平": "○", "仄": "●", "中": "◎", "韵": _("R")}
    figure = cost_figure(
        [signs[mark] for mark in marks], costs, rhyming,
        [_("line {number}").format(number=line + 1) for line in answer["lines"]], color(scene.run.config().model.kind),
        title=title, x=_("tone wanted at each place (R: rhyme)"), y=_("cost, nats"),
        rhyme=_("rhyme"), other=_("tone"), key=f"{scene.run.id} {answer['pattern']} {len(costs)}",
    )  # fmt: skip
    chart(
        figure, "poem_costs", height=260, csv=f"{scene.run.id}-{scene.step}-pattern", alt=title, caption=_(
            "Mean of −ln of the probability, at this temperature, that the model gave to all the characters allowed at"
            " the place: 0 where it would have kept the pattern by itself, 0.69 where it would toss a coin. Over"
            " {count} poems in the pattern; the sum over a poem is its weight in the chance above."
        ).format(count=answer["count"]),
    )  # fmt: skip
