"""How the share of valid code grew over the training."""

from typing import Any

import streamlit as st

from lmviz.inspect.shares import wilson
from lmviz.limits import MAX_COMPLETIONS
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.figures.code import training_figure
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.theme import color


def over_training(scene: Scene, settings: dict[str, Any]) -> None:
    many = MAX_COMPLETIONS if settings["count"] > 1 else 1  # so that a change can be told from chance
    question = {"run": scene.run.id, **settings, "count": many, "steps": scene.run.checkpoint_steps()}
    count = len(question["steps"])
    if count < 2:
        return
    if not cache.is_known("code_training", **question):
        pressed = st.button(
            _("Measure over training"), icon=":material/timeline:", key="code_measure",
            help=_("{many} completions at each of the {count} kept moments.").format(many=many, count=count),
        )  # fmt: skip
        if not pressed:
            return
    answer = asked("code_training", _("Writing at every kept moment"), **question)
    if answer is not None:
        _show(scene, answer)


def finding(moments: list[dict[str, Any]]) -> str:
    """From the first to the last moment; a rise or a fall only where the intervals do not meet."""
    first, last = moments[0], moments[-1]
    one, other = wilson(first["parses"], first["count"]), wilson(last["parses"], last["count"])
    if other[0] > one[1]:
        words = _("The share of valid code rises from {first} to {last} over training")
    elif other[1] < one[0]:
        words = _("The share of valid code falls from {first} to {last} over training")
    else:
        words = _("The share of valid code goes from {first} to {last}: too few texts to tell a change")
    return words.format(first=_share(first), last=_share(last))


def _share(moment: dict[str, Any]) -> str:
    return f"{moment['parses'] / moment['count']:.0%}"


def _show(scene: Scene, answer: dict[str, Any]) -> None:
    moments = answer["moments"]
    intervals = [wilson(moment["parses"], moment["count"]) for moment in moments]
    losses = [(line["step"], line["val_loss"]) for line in scene.run.metrics() if line["val_loss"] is not None]
    title = finding(moments)
    figure = training_figure(
        [moment["step"] for moment in moments], [moment["parses"] / moment["count"] for moment in moments],
        [low for low, _high in intervals], [high for _low, high in intervals],
        [moment["balanced"] / moment["count"] for moment in moments], losses, scene.step,
        color(scene.run.config().model.kind), title=title, x=_("steps of training"), y=_("share of the texts"),
        y_loss=_("loss, nats a token"), name=_("valid Python"), balanced_name=_("brackets balanced"),
        loss_name=_("validation loss"), key=scene.run.id,
    )  # fmt: skip
    chart(
        figure, "code_training", height=340, csv=f"{scene.run.id}-code-training",
        alt=title + ". " + ", ".join(f"{moment['step']:,}: {_share(moment)}" for moment in moments), caption=_(
            "{count} completions of the snippet at each kept moment, the same seeds at all; bars: 95% interval of each"
            " share. Below: the loss on the text kept for validation."
        ).format(count=moments[0]["count"]),
    )  # fmt: skip
