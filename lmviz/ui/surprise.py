"""Where two models are surprised: by place in the window, by kind of character, and on one held-out passage."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from lmviz.compare import RunView, run_sets, same_text, same_tokens
from lmviz.ui.chart import chart
from lmviz.ui.comparison import set_label
from lmviz.ui.figures.breakdown import Parts, class_figure, place_figure
from lmviz.ui.i18n import _
from lmviz.ui.theme import RunStyle
from lmviz.ui.tokens import visible_token

MOST_NATS = 6.0
"""Surprise with the darkest shade."""
FEW = 30
"""Tokens of a kind below which its mean is not drawn."""
MOST_DIFFERENCE = 2.0
"""Difference, in nats, with the darkest shade."""


def class_names() -> dict[str, str]:
    return {
        "letter": _("letters"), "digit": _("digits"), "space": _("spaces and line ends"),
        "punctuation": _("punctuation and symbols"), "chinese": _("Chinese characters"),
        "control": _("control and unassigned characters"), "part": _("parts of a character (bytes)"),
        "unknown": _("unknown words"), "mark": _("marks of beginning and end"),
        "other": _("all others"),  # of runs of earlier versions
    }  # fmt: skip


def breakdown_panel(views: Sequence[RunView], styles: Sequence[RunStyle], view_name: str) -> None:
    """One of the views `place`, `class`, `passage`, from the newest validation of each run."""
    style_of = {view.run.id: style for view, style in zip(views, styles, strict=True)}
    measured = [Measured(view) for view in views if view.run.breakdown() and view.run.validation()]
    if not any(view.config.writes_text for view in views):
        st.info(_("These runs have only their answers to be surprised by."), icon=":material/psychology:")
    elif not measured:
        st.info(_("This appears with the first validation of a run."), icon=":material/hourglass_empty:")
    elif view_name == "passage":
        _passage_panel(measured)
    elif view_name == "place":
        _places(measured, style_of)
    else:
        _classes(measured, style_of)


class Measured:
    """A run with its newest line of validation.jsonl, read once."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.facts = view.run.breakdown()
        self.line = view.run.validation()[-1]


def _parts(
    measured: Sequence[Measured], styles: Mapping[str, RunStyle],
    read: Callable[[Sequence[Measured]], tuple[list[Any], list[list[float]]]],
) -> list[Parts]:  # fmt: skip
    """For every set over seeds what `read` gives of its runs: names of the parts, and a row of losses a run."""
    of_run = {one.view.run.id: one for one in measured}
    parts = []
    for run_set in run_sets([one.view for one in measured]):
        members = [of_run[view.run.id] for view in run_set.views]
        names, rows = read(members)
        style = styles[run_set.views[0].run.id]
        parts.append(Parts(set_label(run_set), style, names, np.array(rows, dtype=np.float64)))
    return parts


def _place_losses(members: Sequence[Measured]) -> tuple[list[Any], list[list[float]]]:
    return members[0].facts["places"], [one.line["by_place"] for one in members]


def _class_losses(members: Sequence[Measured]) -> tuple[list[Any], list[list[float]]]:
    """Of the classes that all of the set have (runs of earlier versions have others) and that have enough tokens for a
    mean: a text has one end, and how surprising that was says nothing.
    """
    names, lines = class_names(), [one.line["by_class"] for one in members]
    counts = members[0].facts["class_tokens"]
    enough = [name for name in lines[0] if counts.get(name, 0) >= FEW] or list(lines[0])
    shared = [name for name in enough if all(name in line for line in lines)]
    return [names[name] for name in shared], [[line[name] for name in shared] for line in lines]


def _tokens_words(measured: Sequence[Measured]) -> str:
    """A warning where a loss a token does not mean the same for all."""
    views = [one.view for one in measured]
    if not same_text(views):
        return " " + _("These runs learned different texts, so their losses cannot be compared with each other.")
    if not same_tokens(views):
        return " " + _("Their tokens differ, and so does what a loss a token means.")
    return ""


def _places(measured: Sequence[Measured], styles: Mapping[str, RunStyle]) -> None:
    runs = _parts(measured, styles, _place_losses)
    figure = place_figure(
        runs, title=_("How much does it help to have read more?"),
        x=_("place in the window, tokens"), y=_("loss, nats a token"),
    )  # fmt: skip
    alt = "; ".join(f"{run.label}: {run.losses[0]:.2f} → {run.losses[-1]:.2f}" for run in runs)
    chart(
        figure, "place_chart", height=380,
        alt=_("Loss at the first and at the last place: {losses}").format(losses=alt), caption=_(
            "Newest validation loss of each run at each place of the window: at place 1 a model has read one token, and"
            " the further right, the more. Where the curve stays level, more text no longer helps."
        ) + _tokens_words(measured),
    )  # fmt: skip


def _classes(measured: Sequence[Measured], styles: Mapping[str, RunStyle]) -> None:
    names = class_names()
    runs = _parts(measured, styles, _class_losses)
    figure = class_figure(runs, title=_("Which characters are hard?"), y=_("loss, nats a token"))
    many = ", ".join(f"{names[name]} {count:,}" for name, count in measured[0].facts["class_tokens"].items())
    alt = "; ".join(
        f"{run.label}: " + ", ".join(f"{name} {loss:.2f}" for name, loss in zip(run.names, run.losses, strict=True))
        for run in runs
    )
    chart(
        figure, "class_chart", height=380, alt=alt, caption=_(
            "Newest validation loss of each run, split by the kind of character that was to be predicted (a longer"
            " token counts by its first character that is no space). Tokens measured: {many}; kinds with fewer than"
            " {few} are not drawn."
        ).format(many=many, few=FEW) + _tokens_words(measured),
    )  # fmt: skip


def _passage_panel(measured: Sequence[Measured]) -> None:
    """The same held-out passage for one or two runs side by side, and their difference."""
    known = {one.view.run.id: one for one in measured}
    sets = run_sets([one.view for one in measured])
    second_set = list(known).index(sets[min(1, len(sets) - 1)].views[0].run.id)
    columns = st.columns(2)
    shown = []
    for column, words, index, key in (
        (columns[0], _("First model"), 0, "passage_one"), (columns[1], _("Second model"), second_set, "passage_other")
    ):  # fmt: skip
        with column:
            one = known[_choice(words, list(known), index, known, key)]
            st.html(_passage(one))
            shown.append(one)
    first, second = shown
    if first is not second and same_tokens([first.view, second.view]) and same_text([first.view, second.view]):
        st.html(_difference(first, second))
    st.caption(_passage_words() + _tokens_words(shown))


def _passage_words() -> str:
    """What is shown, measured and shaded; how far models look back stands in lmviz.inspect.score."""
    return _(
        "The beginning of the text kept for validation, which no model has learned from. Shade: surprise, the negative"
        " logarithm of the probability that the model gave the token after those before it, at its newest validation."
        " A GPT whose window is shorter than the passage looks back half a window at least, or to the beginning."
        " Darkest: {nats} nats or more, a probability of 1 in {odds} or less. Point at a token for its number."
    ).format(nats=f"{MOST_NATS:g}", odds=f"{round(np.exp(MOST_NATS), -2):.0f}")


def _choice(words: str, ids: list[str], index: int, known: Mapping[str, Measured], key: str) -> str:
    if st.session_state.get(key) not in (None, *ids):
        del st.session_state[key]
    return str(st.selectbox(words, ids, index, format_func=lambda run_id: known[run_id].view.label, key=key))


def _passage(one: Measured) -> str:
    line, tokens = one.line, one.facts["tokens"]
    spans = "".join(
        f'<span class="tok" tabindex="0" style="--unsure:{min(100, round(100 * nats / MOST_NATS))}%"'
        f' data-tip="{_tip(token, nats)}">{html.escape(token)}</span>'
        for token, nats in zip(tokens, line["passage"], strict=True)
    )
    head = _("{name}, after {step} steps: {nats} nats a token").format(
        name=one.view.label, step=f"{line['step']:,}", nats=f"{np.mean(line['passage']):.3f}"
    )
    return f'<div class="passage-head">{html.escape(head)}</div><div class="written passage">{spans}</div>'


def _difference(one: Measured, other: Measured) -> str:
    tokens = one.facts["tokens"]
    gains = np.array(one.line["passage"]) - np.array(other.line["passage"])
    spans = "".join(
        f'<span class="tok {"ahead" if gain > 0 else "behind"}" tabindex="0"'
        f' style="--unsure:{min(100, round(100 * abs(gain) / MOST_DIFFERENCE))}%"'
        f' data-tip="{_gain_tip(token, gain)}">{html.escape(token)}</span>'
        for token, gain in zip(tokens, gains.tolist(), strict=True)
    )
    head = _(
        "The difference. Blue: the second model expected the token more. Orange: the first did. Darkest: {nats} nats or"
        " more."
    ).format(nats=f"{MOST_DIFFERENCE:g}")
    return f'<div class="passage-head">{html.escape(head)}</div><div class="written passage">{spans}</div>'


def _tip(token: str, nats: float) -> str:
    words = _("{token}: surprise {nats} nats, probability {chance}").format(
        token=visible_token(token), nats=f"{nats:.3f}", chance=f"{np.exp(-nats):.1%}"
    )
    return html.escape(words)


def _gain_tip(token: str, gain: float) -> str:
    words = _("{token}: {nats} nats").format(token=visible_token(token), nats=f"{gain:+.3f}")
    return html.escape(words)
