"""Positions: how the model knows which token comes first, and its loss beyond the places that it was trained on."""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.sines import SMOOTH, by_distance, running_mean, sine_table
from lmviz.ui.chart import chart
from lmviz.ui.figures.positions import Likeness, likeness_figure, place_losses_figure, table_figure
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember
from lmviz.ui.theme import MUTED, color

Array = NDArray[np.float32]
MOST_PLACES = 256
"""Rows of a table that are drawn."""
SINE_FILL = "rgba(128,128,128,0.22)"


def positions_part(scene: Scene) -> None:
    kind = _kind(scene)
    if kind == "none":
        st.subheader(
            _("This model is told no places: it knows order only by what each token may look at"), anchor=False
        )
        if scene.causal:
            words = _(
                "Nothing is added for the place of a token. A token sees itself and those before it alone, and there"
                " are more of these later in the text: from this a model can tell places roughly by itself."
            )
        else:
            words = _(
                "Nothing is added for the place of a token, and every token sees all others: to this model a text is a"
                " set of tokens without order."
            )
        st.info(words, icon=":material/info:")
    else:
        _vectors(scene, kind)
    _losses(scene, kind)


def _kind(scene: Scene) -> str:
    """learned, sinusoidal or none."""
    return str(getattr(scene.run.config().model, "position", "none"))


def kind_name(kind: str) -> str:
    names = {"learned": _("learned"), "sinusoidal": _("sine waves"), "none": _("none")}
    return names.get(kind, kind)


def _vectors(scene: Scene, kind: str) -> None:
    """The table, beside sine waves if a person likes, and the cosine of two places."""
    answer = asked("positions", _("Reading"), run=scene.run.id, step=scene.step)
    if answer is None:
        return
    table = unpack(answer["table"])[:MOST_PLACES]
    mean, low, high = by_distance(table)
    st.subheader(_finding(kind, scene.step, mean), anchor=False)
    sines = sine_table(*table.shape) if kind == "learned" and _beside() else None
    left, right = st.columns(2, gap="large")
    with left:
        _table(table, "attention_table", _table_title(kind, len(table)), scene, _table_caption(kind))
    shown = Likeness(kind_name(kind), mean, low, high, color(scene.kind), _faint(color(scene.kind)))
    if sines is None:
        with right:
            _likeness(scene, [shown])
        return
    with right:
        title = _("Sine waves of the same size (Vaswani et al. 2017)")
        _table(sines, "attention_sines", title, scene, _(
            "Not learned and the same for every model: each pair of columns is the sine and the cosine of the place,"
            " fast on the left, slow on the right."
        ))  # fmt: skip
    _likeness(scene, [Likeness(kind_name("sinusoidal"), *by_distance(sines), MUTED, SINE_FILL), shown])


def _beside() -> bool:
    """Whether the theory is shown beside a learned table."""
    if "attention_sine" not in st.session_state:
        st.session_state["attention_sine"] = st.query_params.get("sine") == "1"
    on = bool(st.toggle(_("Beside it: sine waves of the same size"), key="attention_sine"))
    remember("sine", int(on), 0)
    return on


def _finding(kind: str, step: int, mean: list[float]) -> str:
    """What the vectors say of near and far places."""
    far = max(1, len(mean) // 2)
    near_value, far_value = (f"{mean[min(distance, len(mean) - 1)]:.2f}" for distance in (1, far))
    if kind == "sinusoidal":
        words = _("Sine waves tell neighbours from distant places: cosine {near} one place apart, {far} at {distance}")
    elif step == 0:
        words = _(
            "Before training the places have nothing in common: cosine {near} one place apart, {far} at {distance}"
        )
    elif mean[min(1, len(mean) - 1)] - mean[min(far, len(mean) - 1)] > CLEAR:
        words = _("It has learned that neighbours are alike: cosine {near} one place apart, {far} at {distance}")
    else:
        words = _("What it has learned tells little of distance: cosine {near} one place apart, {far} at {distance}")
    return words.format(near=near_value, far=far_value, distance=far)


CLEAR = 0.1
"""Difference of cosines that is called one."""


def _table_title(kind: str, places: int) -> str:
    words = _("The vector that it has learned for each of {count} places") if kind == "learned" else _(
        "The vector that is added at each of {count} places"
    )  # fmt: skip
    return words.format(count=places)


def _table_caption(kind: str) -> str:
    if kind == "learned":
        return _(
            "Each row is added to the embedding of the token at this place. Blue is below 0, orange above; the colours"
            " end where a hundredth of the numbers lies beyond."
        )
    return _(
        "Fixed and not learned: each pair of columns is the sine and the cosine of the place, fast on the left, slow on"
        " the right. Each row is added to the embedding of the token at this place. Blue is below 0, orange above."
    )


def _table(table: Array, key: str, title: str, scene: Scene, caption: str) -> None:
    limit = float(np.quantile(np.abs(table), 0.99)) or 1.0
    figure = table_figure(
        table, limit, title=title, x=_("dimension"), y=_("place"),
        hover=_("place {place}, dimension {dimension}: {value}").format(
            place="%{y}", dimension="%{x}", value="<b>%{z:.4f}</b>"
        ), key=f"{scene.run.id} {table.shape}",
    )  # fmt: skip
    chart(figure, key, height=380, csv=f"{scene.run.id}-{scene.step}-{key[10:]}", alt=title, caption=caption)


def _likeness(scene: Scene, courses: list[Likeness]) -> None:
    title = _("How alike are two places? By the distance between them")
    figure = likeness_figure(
        courses, title=title, x=_("distance, tokens"), y=_("cosine of the two vectors"),
        key=f"{scene.run.id} {len(courses)}",
    )  # fmt: skip
    chart(
        figure, "attention_likeness", height=380, csv=f"{scene.run.id}-{scene.step}-likeness", alt=title, caption=_(
            "Line: mean over all pairs of places at this distance; band: the least and the most of them. A narrow band:"
            " the distance alone decides, wherever the two are. Few pairs are far apart."
        ),
    )  # fmt: skip


def _faint(hex_color: str) -> str:
    red, green, blue = (int(hex_color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def _losses(scene: Scene, kind: str) -> None:
    """What each place costs on held-out text, and beyond the trained length where the model goes on."""
    config = scene.run.config()
    if scene.kind != "gpt" or not config.has_text:
        st.caption(_(
            "The loss by place, beyond the trained length too, is measured on models that go on with a text: choose a"
            " GPT that learned one."
        ))  # fmt: skip
        return
    answer = asked("position_losses", _("Reading windows three times as long"), run=scene.run.id, step=scene.step)
    if answer is None:
        return
    losses, trained = answer["losses"], int(answer["trained"])
    ends, title = kind == "learned", losses_title(losses, trained, kind)
    figure = place_losses_figure(
        losses, running_mean(losses, trained), trained, ends, color(scene.kind), title=title,
        x=_("place in the window"), y=_("loss, nats a token"), name=_("each place"),
        smooth_name=_("mean of {count} places").format(count=SMOOTH), edge=_("trained length"),
        beyond=_("no learned positions here") if ends else "", key=f"{scene.run.id} {len(losses)}",
    )  # fmt: skip
    chart(
        figure, "attention_place_losses", height=340, csv=f"{scene.run.id}-{scene.step}-place-losses",
        alt=title, caption=_losses_caption(answer, kind),
    )  # fmt: skip


def losses_title(losses: list[float], trained: int, kind: str) -> str:
    """In the second half of the trained window, and beyond it."""
    inside = f"{np.mean(losses[trained // 2 : trained]):.2f}"
    if kind == "learned":
        words = _(
            "Learned positions end at place {trained}: there the loss is {inside} nats, and beyond it cannot read"
        )
        return words.format(trained=trained, inside=inside)
    if len(losses) <= trained:
        return _("Up to the trained length of {trained} the loss falls to {inside} nats").format(
            trained=trained, inside=inside
        )
    after = float(np.mean(losses[trained:]))
    words = _("Beyond the trained length of {trained} the loss goes from {inside} to {after} nats")
    return words.format(trained=trained, inside=inside, after=f"{after:.2f}")


def _losses_caption(answer: dict[str, Any], kind: str) -> str:
    words = [_(
        "Mean over {windows} windows of held-out text, each read as a whole from its first token: at place t the model"
        " has read t tokens and predicts the next one."
    ).format(windows=f"{answer['windows']:,}")]  # fmt: skip
    if kind == "learned":
        words.append(_("For places after the trained length there is no vector. Train a GPT with sine waves or without"
                       " positions to see what happens there."))  # fmt: skip
    elif kind == "sinusoidal":
        words.append(_("Sine waves can be computed for any place, but the model has never met those after the line."))
    else:
        words.append(_("Without positions any length can be read, but the model has never met more than the line."))
    return " ".join(words)
