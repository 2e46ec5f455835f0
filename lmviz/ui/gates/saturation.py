"""Saturation: are the gates open, shut or in between, how long would they remember, and since when."""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.saturation import Course, Openness, course_figure, memory_figure, openness_figure
from lmviz.ui.gates.history import history
from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.scene import Scene
from lmviz.ui.gates.selection import choose_unit, unit_known
from lmviz.ui.i18n import _
from lmviz.ui.theme import color, plain

COLORS = ("#4296ea", "#e06c26", "#2a905a")
"""Of the gates in their order."""


def saturation_part(scene: Scene, other: Scene | None) -> None:
    """Of both models, if there are two; the course over the training of the first."""
    scenes = [scene, other] if other and not other.is_start_of(scene) else [scene]
    for side, one in zip(("first", "second"), scenes, strict=False):
        if len(scenes) > 1:
            st.markdown(f"**{markdown_safe(one.label)}**")
        _panel(one, side)
    if scene.gates and len(scene.run.checkpoint_steps()) > 1:
        _over_training(scene)


def _panel(scene: Scene, side: str) -> None:
    if not scene.gates:
        st.info(_("A plain RNN has no gates: its state is made anew at every step."), icon=":material/info:")
        return
    now = _measured(scene, scene.step)
    before = _measured(scene, 0) if scene.untrained is not None and scene.step != 0 else None
    if now is None:
        return
    st.subheader(_finding(scene, now, before), anchor=False)
    unit = unit_known(scene)
    for column, gate in zip(st.columns(3 if len(scene.gates) > 1 else 2), scene.gates, strict=False):
        with column:
            first = _openness(before, gate) if before else None
            _gate(scene, side, gate, _openness(now, gate), first, unit)
    st.caption(_(
        "Each point is a unit: the share of {tokens} tokens of held-out text at which its gate was nearly shut (below"
        " 0.1) and nearly open (above 0.9). At the lower left it is mostly in between, on the dotted line never. After"
        " figure 3 of Karpathy, Johnson and Li (2016). Click on a unit to choose it."
    ).format(tokens=f"{now['tokens']:,}"))  # fmt: skip
    _memory(scene, side, now, before)


def _measured(scene: Scene, step: int) -> dict[str, Any] | None:
    return asked("gate_openness", _("Measuring on held-out text"), run=scene.run.id, step=step, layer=scene.layer)


def _openness(answer: dict[str, Any], gate: str) -> Openness:
    found = answer["gates"][gate]
    return Openness(*(unpack(found[name]) for name in ("low", "high", "mean")))


def _finding(scene: Scene, now: dict[str, Any], before: dict[str, Any] | None) -> str:
    """How often the gate that keeps (or the first one) is open or shut, over all units and tokens."""
    gate = next((name for name in ("gate.forget", "gate.update") if name in scene.gates), scene.gates[0])
    words = _("{gate}: open at {high} of all places, shut at {low}")
    if before is not None:
        words = _("{gate}: open at {high} of all places, shut at {low}; before training {high_before} and {low_before}")
    one, first = _openness(now, gate), _openness(before, gate) if before else None
    return words.format(
        gate=signal_name(gate), high=f"{one.high.mean():.0%}", low=f"{one.low.mean():.0%}",
        high_before=f"{first.high.mean():.0%}" if first else "", low_before=f"{first.low.mean():.0%}" if first else "",
    )  # fmt: skip


def _gate(scene: Scene, side: str, gate: str, now: Openness, before: Openness | None, unit: int) -> None:
    def clicked(event: Click) -> None:
        if event.get("customdata"):
            choose_unit(int(event["customdata"][0]))

    figure = openness_figure(
        now, before, color(scene.run.config().model.kind), unit, title=plain(signal_name(gate)),
        x=_("share of tokens below 0.1"), y=_("share above 0.9"), after_name=_("now"), before_name=_("before training"),
        hover=_("unit {unit}: shut {low}, open {high}, mean {mean}").format(
            unit="%{customdata[0]}", low="%{x:.1%}", high="%{y:.1%}", mean="%{customdata[1]}"
        ),
    )  # fmt: skip
    chart(
        figure, f"gates_open_{side}_{gate.replace('.', '_')}", height=300,
        csv=f"{scene.run.id}-{scene.step}-{gate}-shares", on_event=clicked,
        alt=_("{gate}: mean share of tokens below 0.1 {low}, above 0.9 {high}.").format(
            gate=signal_name(gate), low=f"{now.low.mean():.1%}", high=f"{now.high.mean():.1%}"
        ),
    )  # fmt: skip


def _memory(scene: Scene, side: str, now: dict[str, Any], before: dict[str, Any] | None) -> None:
    """1 / (1 - mean of the gate that keeps), unit by unit."""
    if now["memory"] is None:
        words = _("No gate of this cell keeps its old state, so none implies a memory: each step makes it anew.")
        st.info(words, icon=":material/info:")
        return
    values = unpack(now["memory"])
    first = unpack(before["memory"]) if before and before["memory"] else None
    figure = memory_figure(
        values, first, color(scene.run.config().model.kind), title=_memory_finding(values), x=_("units, sorted"),
        y=_("steps"), after_name=_("now"), before_name=_("before training"),
        hover=_("unit {unit}: {steps} steps").format(unit="%{customdata}", steps="%{y}"),
    )  # fmt: skip
    chart(
        figure, f"gates_memory_{side}", height=280, csv=f"{scene.run.id}-{scene.step}-memory",
        alt=_memory_finding(values), caption=_(
            "Implied memory 1 / (1 − k), with k the mean over the held-out tokens of the share that a step keeps (the"
            " forget gate f; in a GRU the update gate z, in NVSI-RNN with carry 1 − i). If the gate stood still at its"
            " mean, that many steps would leave about 1/e, for k near 1. It says too much of a gate that is nearly"
            " always open and shuts at times: shut once, it forgets at once."
        ),
    )  # fmt: skip


def _memory_finding(values: NDArray[np.float32]) -> str:
    return _("Implied memory: half of the units keep {middle} steps or less, the longest {most}").format(
        middle=f"{np.median(values):.1f}", most=f"{values.max():,.0f}"
    )


def _over_training(scene: Scene) -> None:
    """The same at every kept moment, once a person asks for it."""
    st.subheader(_("Over the training"), anchor=False)
    answer = history(scene, run=scene.run.id, layer=scene.layer, signal=scene.state)
    if answer is None:
        return
    moments = answer["moments"]
    steps = [moment["step"] for moment in moments]
    words = {"high": _("{gate}, above 0.9"), "low": _("{gate}, below 0.1")}
    courses = [
        Course(
            plain(words[key].format(gate=signal_name(gate))),
            [moment["gates"][gate][key] for moment in moments],
            line,
            dash,
        )
        for gate, line in zip(scene.gates, COLORS, strict=False)
        for key, dash in (("high", "solid"), ("low", "dot"))
    ]
    columns = st.columns(2)
    with columns[0]:
        figure = course_figure(
            steps, courses, scene.step, title=_("How much is saturated?"), x=_("updates"), y=_("share of all places")
        )  # fmt: skip
        chart(
            figure, "gates_open_history", height=320, csv=f"{scene.run.id}-saturation-history",
            alt=_("Shares of saturated gates at every kept moment of the training."),
            caption=_("Mean over all units, on {tokens} tokens of held-out text.").format(
                tokens=f"{answer['tokens']:,}"
            ),
        )  # fmt: skip
    if moments[-1]["memory"] is None:
        return
    names = (_("a tenth of the units keep less"), _("half of the units keep less"), _("nine tenths keep less"))
    kind = color(scene.run.config().model.kind)
    memory = [
        Course(name, [moment["memory"][place] for moment in moments], kind, dash)
        for place, (name, dash) in enumerate(zip(names, ("dot", "solid", "dash"), strict=True))
    ]
    with columns[1]:
        figure = course_figure(
            steps, memory, scene.step, title=_("How long is the implied memory?"), x=_("updates"), y=_("steps"),
            log=True,
        )  # fmt: skip
        chart(
            figure, "gates_memory_history", height=320, csv=f"{scene.run.id}-memory-history",
            alt=_("Quantiles of the implied memory over the units at every kept moment of the training."),
            caption=_("Quantiles over the units of 1 / (1 − k), as above."),
        )  # fmt: skip
