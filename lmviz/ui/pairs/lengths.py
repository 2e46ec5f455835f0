"""How good each model is on held-out pairs: by the length of the source, in several measures, and its mistakes."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.errors import plain_cell
from lmviz.ui.figures.pairs import Curve, shares_figure
from lmviz.ui.i18n import _
from lmviz.ui.pairs.experiment import Learner
from lmviz.ui.pairs.moment import seconds_control, step_at
from lmviz.ui.pairs.names import model_style


def lengths_part(learners: Sequence[Learner]) -> None:
    seconds = seconds_control(learners)
    found = []
    for one in learners:
        step = step_at(one, seconds)
        words = _("Translating held-out sources")
        report = None if step is None else asked("pair_report", words, run=one.run.id, step=step)
        if report:
            found.append((one, report))
    if not found:
        st.info(_("The first weights are kept in a moment."), icon=":material/hourglass_empty:")
        return
    _figure(found)
    _table(found)
    for one, report in found:
        _mistakes(one, report)


def _figure(found: Sequence[tuple[Learner, dict[str, Any]]]) -> None:
    words = _("sources of {low} to {high} characters: {pairs}")
    curves = [
        Curve(
            one.name, model_style(one.kind), [(row["from"] + row["to"]) / 2 for row in report["by_length"]],
            [row["right"] for row in report["by_length"]],
            [words.format(low=row["from"], high=row["to"], pairs=row["pairs"]) for row in report["by_length"]],
        )
        for one, report in found
    ]  # fmt: skip
    title = _finding(found)
    figure = shares_figure(curves, title=title, x=_("characters of the source"), y=_("outputs right"), key="lengths")
    chart(figure, "pairs_lengths", height=320, csv="by-length", alt=title, caption=_(
        "Share of right outputs to {count} held-out sources, in groups of about equally many by length, with the"
        " weights of each model that were kept nearest to this time. What is longer must go through the same one"
        " vector where there is no attention."
    ).format(count=f"{found[0][1]['pairs']:,}"))  # fmt: skip


def _finding(found: Sequence[tuple[Learner, dict[str, Any]]]) -> str:
    one, report = min(found, key=lambda pair: float(pair[1]["by_length"][-1]["right"]))
    shortest, longest = report["by_length"][0], report["by_length"][-1]
    return _("{name}: {short} right on the shortest sources, {long} on the longest").format(
        name=one.name, short=f"{shortest['right']:.0%}", long=f"{longest['right']:.0%}"
    )


def _table(found: Sequence[tuple[Learner, dict[str, Any]]]) -> None:
    rows = [
        {
            _("model"): one.name, _("exact match"): f"{report['exact_match']:.1%}",
            _("character error rate"): f"{report['character_error_rate']:.2%}", _("BLEU"): f"{report['bleu']:.1f}",
            _("attention on the right part"): _share(report["right_share"]),
            _("if it looked everywhere alike"): _share(report["uniform_share"]),
        }
        for one, report in found
    ]  # fmt: skip
    st.dataframe(rows, hide_index=True)
    st.caption(_(
        "Exact match: every character right. Character error rate: characters to change, over all that there should be."
        " BLEU (sacrebleu, 0 to 100) counts common pieces of up to four words, or characters for Chinese: for dates and"
        " numbers, one word each, it says little more than the exact match."
    ))  # fmt: skip


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _mistakes(one: Learner, report: dict[str, Any]) -> None:
    if not report["mistakes"]:
        return
    with st.expander(_("Mistakes: {name}").format(name=one.name)):
        names = (_("source"), _("output"), _("should be"))
        rows = [dict(zip(names, map(plain_cell, row), strict=True)) for row in report["mistakes"]]
        st.dataframe(rows, hide_index=True)
