"""Masks: who may look at whom, and what a head makes of it; causal beside both ways; and tokens hidden from a BERT."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.packing import unpack
from lmviz.runs import Run
from lmviz.ui.asking import asked
from lmviz.ui.attention import hiding
from lmviz.ui.attention.head import attention_runs
from lmviz.ui.attention.heads import place_names
from lmviz.ui.attention.names import head_name, part_name
from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.selection import choose_query, head_choice, query_known
from lmviz.ui.attention.text import in_figure
from lmviz.ui.chart import Click, chart
from lmviz.ui.figures.attention import map_figure
from lmviz.ui.figures.attention_masks import mask_figure, shares_figure
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.run_picker import steady_title
from lmviz.ui.theme import label, plain

SAMPLES = {"gpt": "sample-bert", "bert": "sample-gpt"}
"""Kind -> the sample of the other one."""


@dataclass(frozen=True)
class Seen:
    """One head of a model on the text: who may look at whom, and who does."""

    run: Run
    step: int
    name: str
    part: str
    causal: bool
    layer: int
    head: int
    rows: list[str]
    columns: list[str]
    weights: NDArray[np.float32]
    """(T, S)."""

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """(T, S)."""
        everywhere = np.ones(self.weights.shape, bool)
        return np.tril(everywhere) if self.causal else everywhere

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of the attention, on average over tokens that look: on earlier ones, on itself, on later ones."""
        count = len(self.weights)
        earlier, later = np.tril(self.weights, -1).sum(), np.triu(self.weights, 1).sum()
        return float(earlier) / count, float(np.trace(self.weights)) / count, float(later) / count


def masks_part(scene: Scene) -> None:
    others = _others(scene)
    left, right = st.columns([5, 6], vertical_alignment="bottom")
    with left:
        layer, head = head_choice(scene)
    with right:
        other = _other(scene, others) if others else None
    query = query_known(scene)
    hidden: list[int] = []
    labels = scene.run.config().learns_labels
    if scene.kind == "bert" and not labels:
        hidden = hiding.hidden_choice(scene)
        query = hiding.looks(hidden, query)
    own = _own(scene, layer, head, hidden)
    if own is None:
        return
    if labels:
        query = 0
        hiding.classes(scene, own.weights[0])
    elif scene.kind == "bert":
        hiding.hidden_text(scene, hidden, own.weights[query], query)
        hiding.guesses(scene, hidden)
    second = _second(scene, other, own) if other else None
    if not scene.reads_text:
        _three(scene, own, query)
        return
    _shares(scene, own, second, bool(hidden))
    _pair(own, query, "first", clicks=not labels)
    if second:
        _pair(second, query if query < len(second.rows) else None, "second", clicks=not labels)


# ---- models ----


def _others(scene: Scene) -> dict[str, Run]:
    """Models that can read the same text, those of the other kind first."""
    if not scene.reads_text:
        return {}
    runs = [run for run in attention_runs().values() if run.id != scene.run.id and not run.config().reads_pairs]
    return {run.id: run for run in sorted(runs, key=lambda run: run.config().model.kind == scene.kind)}


def _other(scene: Scene, others: dict[str, Run]) -> Run:
    default = SAMPLES[scene.kind] if SAMPLES[scene.kind] in others else next(iter(others))
    restore("attention_other", "with", list(others), default)
    chosen = str(st.selectbox(
        _("Beside it, on the same text"), list(others), key="attention_other",
        format_func=lambda one: steady_title(others[one]),
    ))  # fmt: skip
    remember("with", chosen, default)
    return others[chosen]


def _own(scene: Scene, layer: int, head: int, hidden: list[int]) -> Seen | None:
    return _part(scene, scene.part, layer, head, hidden)


def _part(scene: Scene, part: str, layer: int, head: int, hidden: list[int]) -> Seen | None:
    """One kind of attention of the model."""
    answer = asked("attention_head", _("Reading"), **scene.question, part=part, layer=layer, head=head,
                   masked=sorted(hidden))  # fmt: skip
    causal = part == "attention" and scene.kind != "bert"
    return _seen(scene.run, scene.step, label(scene.kind), part, causal, layer, head, answer) if answer else None


def _second(scene: Scene, other: Run, own: Seen) -> Seen | None:
    """The same place in the other model at the end of its training, or the nearest one that it has."""
    model: Any = other.config().model
    layer, head = min(own.layer, model.num_layers - 1), min(own.head, model.num_heads - 1)
    step = other.checkpoint_steps()[-1]
    answer = asked("attention_head", _("Reading"), run=other.id, step=step, text=scene.text, layer=layer, head=head)
    name = label(model.kind) if model.kind != scene.kind else plain(steady_title(other))
    return _seen(other, step, name, "attention", model.kind == "gpt", layer, head, answer) if answer else None


def _seen(
    run: Run, step: int, name: str, part: str, causal: bool, layer: int, head: int, answer: dict[str, Any]
) -> Seen:  # fmt: skip
    weights = unpack(answer["weights"])
    return Seen(run, step, name, part, causal, layer, head, answer["rows"], answer["columns"], weights)


# ---- earlier, itself, later ----


def _shares(scene: Scene, own: Seen, second: Seen | None, hidden: bool) -> None:
    shown = [own, second] if second else [own]
    title = _shares_title(own, second)
    figure = shares_figure(
        [one.name for one in shown], [one.shares for one in shown],
        [_("earlier tokens"), _("itself"), _("later tokens")], title=title, x=_("share of the attention"),
    )  # fmt: skip
    words = [_("Mean over all tokens of the text, {heads}.").format(
        heads="; ".join(f"{one.name}: {head_name(one.layer, one.head)}" for one in shown)
    )]  # fmt: skip
    if second:
        words.append(_("The same place in two models need not have the same task; {model} is at step {step}.").format(
            model=second.name, step=f"{second.step:,}"
        ))  # fmt: skip
    if hidden:
        words.append(_("{model} reads the text with its hidden tokens hidden.").format(model=own.name))
    chart(
        figure, "attention_shares", height=96 + 36 * len(shown), alt=title, caption=" ".join(words),
        csv=f"{scene.run.id}-{scene.step}-shares",
    )  # fmt: skip


def _shares_title(own: Seen, second: Seen | None) -> str:
    if second is None:
        return _("{model} puts {share} of its attention on later tokens").format(
            model=own.name, share=f"{own.shares[2]:.2f}"
        )
    return _("{first} puts {share} of its attention on later tokens, {second} {other}").format(
        first=own.name, share=f"{own.shares[2]:.2f}", second=second.name, other=f"{second.shares[2]:.2f}"
    )


# ---- mask and map ----


def _pair(seen: Seen, query: int | None, side: str, *, clicks: bool) -> None:
    """Who may look at whom, and beside it who does."""
    left, right = st.columns([4, 7], gap="medium")
    height = _height(len(seen.rows))
    with left:
        _mask(seen, query, side, height, clicks=clicks)
    with right:
        _map(seen, query, side, height, clicks=clicks)


def _height(rows: int) -> int:
    return max(280, min(500, 70 + 10 * rows))


def _three(scene: Scene, own: Seen, query: int) -> None:
    """The masks of all three attentions of a Transformer; the map of the chosen one."""
    parts = [own if part == own.part else _part(scene, part, own.layer, own.head, [])
             for part in ("encoder_attention", "attention", "cross_attention")]  # fmt: skip
    height = min(420, max(240, 96 + 11 * max(len(part.rows) for part in parts if part is not None)))
    for column, part in zip(st.columns(3, gap="medium"), parts, strict=True):
        if part is not None:
            with column:
                _mask(part, query if part is own else None, part.part, height, clicks=part is own)
    if own.part != "cross_attention":
        _shares(scene, own, None, False)
    _map(own, query, "first", _height(len(own.rows)), clicks=True)


def _mask(seen: Seen, query: int | None, side: str, height: int, *, clicks: bool) -> None:
    title = _mask_title(seen)
    figure = mask_figure(
        seen.allowed, place_names(seen.rows), place_names(seen.columns), query, title=title, x=_("token looked at"),
        y=_("token that looks"), may=_("“{row}” may look at “{column}”").format(row="%{y}", column="%{x}"),
        may_not=_("“{row}” must not look at “{column}”").format(row="%{y}", column="%{x}"), key=_key(seen),
    )  # fmt: skip
    chart(
        figure, f"attention_mask_{side}", height=height, on_event=_clicked if clicks else None, alt=title,
        caption=_why(seen), csv=f"{seen.run.id}-{seen.step}-mask-{seen.part}",
    )  # fmt: skip


def _mask_title(seen: Seen) -> str:
    if seen.run.config().reads_pairs:
        words = (
            _("{part}: causal mask, itself and what is before it") if seen.causal else
            _("{part}: no mask, all of it may be looked at")
        )  # fmt: skip
        return words.format(part=part_name(seen.part))
    words = (
        _("{model}, causal mask: a token may look at itself and what is before it") if seen.causal else
        _("{model}, no mask: every token may look at every other")
    )  # fmt: skip
    return words.format(model=seen.name)


def _why(seen: Seen) -> str:
    """Which mask this kind of attention has, and what for."""
    if seen.causal:
        return _(
            "Blue: may look; grey: must not. Every token has to predict the next one, all at once in training: could it"
            " look there, it would copy the answer. When it writes, later tokens are not there yet."
        )  # fmt: skip
    if seen.part == "cross_attention":
        return _(
            "Blue: may look. The source is known before anything is written, so nothing of it has to be hidden. Only"
            " padding, in a batch, is."
        )  # fmt: skip
    if seen.part == "encoder_attention":
        return _(
            "Blue: may look. The source is known as a whole, and the encoder predicts none of it. Only padding, in a"
            " batch, is hidden."
        )  # fmt: skip
    if seen.run.config().learns_labels:
        return _("Blue: may look. The text is known as a whole; what is to be told is its class, which is not in it.")
    return _(
        "Blue: may look. It has to guess hidden tokens from both sides: what it must not see is not masked here but"
        " taken out of the text, and a hidden token can be looked at only as {mask}."
    ).format(mask="<mask>")  # fmt: skip


def _map(seen: Seen, query: int | None, side: str, height: int, *, clicks: bool) -> None:
    title = _map_title(seen, query)
    figure = map_figure(
        seen.weights, place_names(seen.rows), place_names(seen.columns), query, title=title, x=_("token looked at"),
        y=_("token that looks"), key=_key(seen),
        hover=_("“{row}” looks at “{column}” with {weight}").format(
            row="%{y}", column="%{x}", weight="<b>%{z:.4f}</b>"
        ),
    )  # fmt: skip
    chart(
        figure, f"attention_masked_map_{side}", height=height, on_event=_clicked if clicks else None, alt=title,
        csv=f"{seen.run.id}-{seen.step}-attention-{seen.layer + 1}-{seen.head + 1}",
        caption=_("What this head makes of it: weights, each row sums to 1. Framed: the chosen token."),
    )  # fmt: skip


def _map_title(seen: Seen, query: int | None) -> str:
    about = {"model": seen.name, "head": head_name(seen.layer, seen.head)}
    if query is None:
        return _("{model}, {head}: who looks at whom").format(**about)
    best = int(seen.weights[query].argmax())
    return _("{model}, {head}: “{token}” looks most at “{other}”, {weight}").format(
        token=in_figure(seen.rows[query]), other=in_figure(seen.columns[best]),
        weight=f"{seen.weights[query, best]:.2f}", **about,
    )  # fmt: skip


def _clicked(event: Click) -> None:
    point = event.get("point")
    if isinstance(point, list) and len(point) == 2:
        choose_query(int(point[0]))


def _key(seen: Seen) -> str:
    return f"{seen.run.id} {seen.part} {len(seen.rows)} {len(seen.columns)}"
