"""Where two models are surprised: by place in the window, by kind of character, and on one held-out passage."""

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from lmviz.compare import RunView, same_text, same_tokens
from lmviz.ui.chart import chart
from lmviz.ui.figures.breakdown import Parts, class_figure, place_figure
from lmviz.ui.i18n import _
from lmviz.ui.theme import RunStyle
from lmviz.ui.tokens import visible_token

MOST_NATS = 6.0
"""Surprise with the darkest shade: a probability of 1 in 400."""
MOST_DIFFERENCE = 2.0
"""Difference, in nats, with the darkest shade."""


def class_names() -> dict[str, str]:
    return {
        "letter": _("letters"), "digit": _("digits"), "space": _("spaces and line ends"),
        "punctuation": _("punctuation and symbols"), "chinese": _("Chinese characters"),
        "other": _("marks of beginning and end"),
    }  # fmt: skip


def breakdown_panel(views: Sequence[RunView], styles: Sequence[RunStyle], view_name: str) -> None:
    """One of the views `place`, `class`, `passage`, from the newest validation of each run."""
    measured = [(v, s) for v, s in zip(views, styles, strict=True) if v.run.validation() and v.run.breakdown()]
    if not measured:
        st.info(_("This appears with the first validation of a run."), icon=":material/hourglass_empty:")
        return
    known, looks = [v for v, _s in measured], [s for _v, s in measured]
    if view_name == "passage":
        _passage_panel(known)
    elif view_name == "place":
        _places(known, looks)
    else:
        _classes(known, looks)


def _tokens_words(views: Sequence[RunView]) -> str:
    """A warning where a loss a token does not mean the same for all."""
    if not same_text(views):
        return " " + _("These runs learned different texts, so their losses cannot be compared with each other.")
    if not same_tokens(views):
        return " " + _("Their tokens differ, and so does what a loss a token means.")
    return ""


def _places(views: Sequence[RunView], styles: Sequence[RunStyle]) -> None:
    runs = [
        Parts(v.label, s, v.run.breakdown()["places"], np.array(v.run.validation()[-1]["by_place"]))
        for v, s in zip(views, styles, strict=True)
    ]
    figure = place_figure(
        runs, title=_("How much does it help to have read more?"),
        x=_("place in the window, tokens"), y=_("loss, nats a token"),
    )  # fmt: skip
    alt = "; ".join(f"{run.label}: {run.losses[0]:.2f} → {run.losses[-1]:.2f}" for run in runs)
    chart(
        figure, "place_chart", height=360,
        alt=_("Loss at the first and at the last place: {losses}").format(losses=alt), caption=_(
            "Newest validation loss of each run at each place of the window: at place 1 a model has read one token, and"
            " the further right, the more. Where the curve stays level, more text no longer helps."
        ) + _tokens_words(views),
    )  # fmt: skip


def _classes(views: Sequence[RunView], styles: Sequence[RunStyle]) -> None:
    names = class_names()
    runs = [
        Parts(v.label, s, [names[name] for name in line], np.array(list(line.values())))
        for v, s in zip(views, styles, strict=True)
        for line in [v.run.validation()[-1]["by_class"]]
    ]
    figure = class_figure(runs, title=_("Which characters are hard?"), y=_("loss, nats a token"))
    counts = views[0].run.breakdown()["class_tokens"]
    many = ", ".join(f"{names[name]} {count:,}" for name, count in counts.items())
    alt = "; ".join(
        f"{run.label}: " + ", ".join(f"{name} {loss:.2f}" for name, loss in zip(run.names, run.losses, strict=True))
        for run in runs
    )
    chart(
        figure, "class_chart", height=360, alt=alt,
        caption=_(
            "Newest validation loss of each run, split by the kind of character that was to be predicted (a longer"
            " token counts by its first character that is no space). Tokens measured: {many}."
        ).format(many=many) + _tokens_words(views),
    )  # fmt: skip


def _passage_panel(views: Sequence[RunView]) -> None:
    """The same held-out passage for one or two runs, and their difference."""
    by_id = {view.run.id: view for view in views}
    ids = list(by_id)
    first, second = st.columns(2)
    with first:
        one = by_id[_choice(_("Model above"), ids, 0, by_id, "passage_one")]
    with second:
        other = by_id[_choice(_("Model below"), ids, min(1, len(ids) - 1), by_id, "passage_other")]
    shown = [one] if one is other else [one, other]
    for view in shown:
        st.html(_passage(view))
    if len(shown) == 2 and same_tokens(shown) and same_text(shown):
        st.html(_difference(one, other))
    st.caption(
        _(
            "The beginning of the text kept for validation, which no model has learned from. Shade: surprise, the"
            " negative logarithm of the probability that the model gave the token after all before it, at its newest"
            " validation. Point at a token for its number."
        )
        + _tokens_words(shown)
    )


def _choice(words: str, ids: list[str], index: int, views: dict[str, RunView], key: str) -> str:
    if st.session_state.get(key) not in (None, *ids):
        del st.session_state[key]
    chosen = st.selectbox(words, ids, index, format_func=lambda run_id: views[run_id].label, key=key)
    return str(chosen)


def _passage(view: RunView) -> str:
    line, tokens = view.run.validation()[-1], view.run.breakdown()["tokens"]
    spans = "".join(
        f'<span class="tok" tabindex="0" style="--unsure:{min(100, round(100 * nats / MOST_NATS))}%"'
        f' data-tip="{_tip(token, nats)}">{html.escape(token)}</span>'
        for token, nats in zip(tokens, line["passage"], strict=True)
    )
    head = _("{name}, after {step} steps: {nats} nats a token").format(
        name=view.label, step=f"{line['step']:,}", nats=f"{np.mean(line['passage']):.3f}"
    )
    return f'<div class="passage-head">{html.escape(head)}</div><div class="written passage">{spans}</div>'


def _difference(one: RunView, other: RunView) -> str:
    tokens = one.run.breakdown()["tokens"]
    surprises = [np.array(view.run.validation()[-1]["passage"]) for view in (one, other)]
    spans = "".join(
        f'<span class="tok {"ahead" if gain > 0 else "behind"}" tabindex="0"'
        f' style="--unsure:{min(100, round(100 * abs(gain) / MOST_DIFFERENCE))}%"'
        f' data-tip="{html.escape(visible_token(token))}&#10;{gain:+.3f}">{html.escape(token)}</span>'
        for token, gain in zip(tokens, (surprises[0] - surprises[1]).tolist(), strict=True)
    )
    head = _("Blue: the model below expected the token more. Orange: the model above did.")
    return f'<div class="passage-head">{html.escape(head)}</div><div class="written passage">{spans}</div>'


def _tip(token: str, nats: float) -> str:
    words = _("{token}: surprise {nats} nats, probability {chance}").format(
        token=visible_token(token), nats=f"{nats:.3f}", chance=f"{np.exp(-nats):.1%}"
    )
    return html.escape(words)
