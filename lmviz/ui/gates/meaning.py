"""Find meaning: which unit knows where in the text it is, and since when."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmviz.inspect.features import FEATURES
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.meaning import Judged, JudgedWords, meaning_figure, meaning_history_figure
from lmviz.ui.gates import meaning_words as words
from lmviz.ui.gates.history import history
from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.scene import Scene
from lmviz.ui.gates.selection import choose_unit, signal_choice
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.reader import reader
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

Row = dict[str, Any]


def meaning_part(scene: Scene, other: Scene | None) -> None:
    """Features of the text and the units that tell them; of the other model below, if there is one."""
    with st.container(key="gates_meaning_controls", width=360):
        signal = signal_choice(scene, "meaning_signal")
    beside = other if other and not other.is_start_of(scene) else None  # that is in the figure already
    if beside:
        st.markdown(f"**{markdown_safe(scene.label)}**")
    shown = _panel(scene, signal, "first")
    if beside:
        st.markdown(f"**{markdown_safe(beside.label)}**")
        _panel(beside, signal if signal in beside.signals else beside.state, "second")
    if shown:
        _feature(scene, signal, shown)


def _panel(scene: Scene, signal: str, side: str) -> list[Row]:
    """Headline, figure and table of one model; the rows that have numbers, the largest gain first."""
    answer = asked(
        "gate_meaning", _("Measuring on held-out text"), run=scene.run.id, step=scene.step, layer=scene.layer,
        signal=signal,
    )  # fmt: skip
    if answer is None:
        return []
    rows = sorted((row for row in answer["features"] if not row["too_few"]), key=words.gain, reverse=True)
    missing = [row for row in answer["features"] if row["too_few"]]
    if not rows:
        st.info(_("The held-out text of this model is too short, or has none of the features."))
        return []
    st.subheader(words.finding(rows), anchor=False)
    kind = scene.run.config().model.kind
    if side == "first":  # what it frames is chosen below it
        names = [row["feature"] for row in rows]
        restore("gates_feature", "feature", names, names[0])
    chosen = str(st.session_state.get("gates_feature", rows[0]["feature"]))

    def clicked(event: Click) -> None:
        name = next((row["feature"] for row in rows if plain(words.title(row)) == event.get("y")), None)
        if name:
            choose_feature(name, rows if side == "first" else [])

    figure = meaning_figure(
        [_judged(row) for row in rows],
        JudgedWords(
            title=_("Which features of the text do its units know?"), x=_("AUC on held-out text"),
            unit=_("best unit"), unit_before=_("best unit before training"), probe=_("all units, linear probe"),
            probe_before=_("the same before training"), chance=_("about 95 % of what chance gives the best unit"),
            hover_unit=_("unit {unit}: {auc}").format(unit="%{customdata}", auc="%{x:.3f}"),
        ),
        color(kind), plain(words.title({"feature": chosen})),
    )  # fmt: skip
    chart(
        figure, f"gates_meaning_{side}", height=112 + 34 * len(rows), csv=f"{scene.run.id}-{scene.step}-meaning",
        on_event=clicked, alt=words.finding(rows), caption=words.caption(answer["tokens"], signal_name(signal)),
    )  # fmt: skip
    with st.expander(_("All numbers, and what each feature is")):
        st.dataframe(_table(rows), hide_index=True)
    if missing:
        st.caption(words.missing(missing))
    return rows


def choose_feature(name: str, rows: list[Row]) -> None:
    """The feature, and with it its best unit among `rows`, also for the other parts of the page."""
    st.session_state["gates_feature"] = name
    for row in rows:
        if row["feature"] == name:
            choose_unit(row["unit"])


def _judged(row: Row) -> Judged:
    return Judged(
        plain(words.title(row)), row["unit"], row["auc"], row["floor_auc"], row["probe"], row["floor_probe"],
        (row["band"][0], row["band"][1]),
    )  # fmt: skip


def _table(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame([
        {
            _("feature"): words.title(row), _("definition"): _(FEATURES[row["feature"]].definition),
            _("needs memory"): _("yes") if FEATURES[row["feature"]].needs_memory else _("no"),
            _("share of tokens"): f"{row['share']:.1%}", _("best unit"): row["unit"],
            _("high or low"): _("high") if row["direction"] > 0 else _("low"), _("AUC"): round(row["auc"], 3),
            _("before training"): round(row["floor_auc"], 3), _("gain"): round(words.gain(row), 3),
            _("probe"): round(row["probe"], 3), _("probe before training"): round(row["floor_probe"], 3),
            _("rank correlation"): words.correlation(row),
        }
        for row in rows
    ])  # fmt: skip


def _feature(scene: Scene, signal: str, rows: list[Row]) -> None:
    """One feature: its unit on the text, and over the training."""
    names = [row["feature"] for row in rows]
    chosen = str(st.selectbox(
        _("Feature"), names, format_func=lambda name: words.title({"feature": name}), key="gates_feature", width=360,
        on_change=lambda: choose_feature(st.session_state["gates_feature"], rows),
    ))  # fmt: skip
    remember("feature", chosen, names[0])
    row = next(row for row in rows if row["feature"] == chosen)
    st.caption(_(FEATURES[chosen].definition))
    _on_text(scene, signal, row)
    _over_training(scene, signal, row)


def _on_text(scene: Scene, signal: str, row: Row) -> None:
    """The text, coloured by the feature's best unit."""
    values = scene.signals[signal][:, row["unit"]]
    spread = values - np.median(values) if signal == "cell" else values
    shades = values if signal in scene.gates else spread / (float(np.abs(spread).max()) or 1.0)
    reader(
        scene.tokens, "gates_meaning_reader", shades=shades, marks={0},
        tips=[f"{visible_token(token)}  {value:.4f}" for token, value in zip(scene.tokens, values, strict=True)],
        alt=_("The text; each token is coloured by unit {unit}.").format(unit=row["unit"]),
    )  # fmt: skip
    text = _("{signal} of unit {unit}, the best one for “{feature}”; blue is high, orange low.")
    if signal == "cell":
        text = _("{signal} of unit {unit}, the best one for “{feature}”; blue is above its median here, orange below.")
    st.caption(text.format(signal=signal_name(signal), unit=row["unit"], feature=words.title(row)))


def _over_training(scene: Scene, signal: str, row: Row) -> None:
    """When did it appear? Measured at every kept moment when a person asks for it."""
    if len(scene.run.checkpoint_steps()) < 2:
        return
    arguments = {"run": scene.run.id, "layer": scene.layer, "signal": signal}
    answer = history(scene, **arguments)
    if answer is None:
        return
    moments = answer["moments"]
    if row["feature"] not in moments[-1]["features"]:
        st.caption(words.too_rare(row, answer["tokens"]))
        return
    names = {name: None for moment in moments for name in moment["features"]}
    courses = {
        plain(words.title({"feature": name})): (_course(moments, name, "auc"), _course(moments, name, "followed"))
        for name in names
    }
    figure = meaning_history_figure(
        [moment["step"] for moment in moments], courses, plain(words.title(row)), scene.step,
        color(scene.run.config().model.kind), title=words.appearance(row, moments), x=_("updates"),
        y=_("AUC on held-out text"), best=_("best unit at each moment"),
        followed=_("unit {unit}, the best one at the end").format(unit=moments[-1]["features"][row["feature"]]["unit"]),
    )  # fmt: skip
    chart(
        figure, "gates_meaning_history", height=300, csv=f"{scene.run.id}-meaning-history",
        alt=words.appearance(row, moments), caption=_(
            "At every kept moment of the training, on {tokens} tokens of held-out text: the best unit for this feature"
            " then, and the one that is best at the end, followed back. Faint: the best units of the other features."
        ).format(tokens=f"{answer['tokens']:,}"),
    )  # fmt: skip


def _course(moments: list[dict[str, Any]], feature: str, key: str) -> list[float | None]:
    return [moment["features"].get(feature, {}).get(key) for moment in moments]
