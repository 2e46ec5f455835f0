"""Read along: the text, a map for every signal, and one step of one unit in numbers."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.inspect.features import FEATURES
from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.gates import Line, MapWords, signal_map, unit_figure
from lmviz.ui.gates import maps
from lmviz.ui.gates.contexts import contexts_panel
from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.scene import Scene
from lmviz.ui.gates.selection import choose_unit, signal_choice, token_choice, unit_choice
from lmviz.ui.gates.step import step_panel
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.reader import reader
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3}
"""Maps -> how many stand side by side."""
MAP_HEIGHT = 246
ZOOM = "gates_zoom"


def read_part(scene: Scene, other: Scene | None) -> None:
    """The text coloured by one unit; the maps, those of the other model below; the chosen step and unit."""
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    with left:
        unit = unit_choice(scene)
    with middle:
        signal = signal_choice(scene)
    with right:
        sort = _sort()
    token = token_choice(scene)
    _text(scene, token, unit, signal)
    scenes = [scene, other] if other else [scene]
    shown = sum(len(one.signals) for one in scenes)
    together = len({tuple(one.tokens) for one in scenes}) == 1
    for side, one in zip(("first", "second"), scenes, strict=False):
        if other:
            st.markdown(f"**{markdown_safe(one.label)}**")
        _maps(one, side, "gates" if together else f"gates_{side}", sort, shown, token, unit)
    st.subheader(
        _("Step {token}: unit {unit} reads “{text}”").format(
            token=token, unit=unit, text=markdown_safe(visible_token(scene.tokens[token]))
        ),
        anchor=False,
    )
    columns = st.columns(2, gap="large")
    with columns[0], st.container(key="gates_step"):
        step_panel(scene, token, unit)
    with columns[1]:
        _unit(scene, token, unit)
    contexts_panel(scene, signal, unit)


def _sort() -> str:
    """In which order the units stand, the first at the top."""
    names = {"similar": _("similar ones together"), "index": _("by their number"), "mean": _("by their mean")}
    words = _("by how well they tell “{feature}”")
    names |= {name: words.format(feature=_(feature.title)) for name, feature in FEATURES.items()}
    restore("gates_sort", "sort", list(names), "similar")
    chosen = str(st.selectbox(_("Units in the maps"), list(names), format_func=names.__getitem__, key="gates_sort"))
    remember("sort", chosen, "similar")
    return chosen


def _text(scene: Scene, token: int, unit: int, signal: str) -> None:
    """What is read, every token coloured by what the unit has after it; a click or the arrow keys choose one."""

    def choose(place: int) -> None:
        st.session_state["gates_token"] = place

    values = scene.signals[signal][:, unit]
    gate = signal in scene.gates
    places = zip(scene.tokens, values, strict=True)
    reader(
        scene.tokens, "gates_reader", chosen=token, marks={0}, on_choose=choose,
        shades=values if gate else values / (float(np.abs(values).max()) or 1.0),
        tips=[f"{place}: {visible_token(name)}  {value:.4f}" for place, (name, value) in enumerate(places)],
        alt=_("The text; each token is coloured by unit {unit}.").format(unit=unit),
    )  # fmt: skip
    if gate:
        words = _("Colour: {signal} of unit {unit}, from white at 0 to dark at 1.")
    else:
        words = _("Colour: {signal} of unit {unit}, blue above zero, orange below.")
    how = _("Click on a character, or walk with the arrow keys.")
    st.caption(f"{words.format(signal=signal_name(signal), unit=unit)} {how}")


def _maps(scene: Scene, side: str, along: str, sort: str, shown: int, token: int, unit: int) -> None:
    """A map a signal. `along`: maps of this name share their tokens."""
    units = maps.ordered_units(scene, sort, _aucs(scene) if sort in FEATURES else None)
    window = maps.window_of(scene, st.session_state.get(f"{ZOOM}_{side}"), shown)
    token, unit = min(token, len(scene.tokens) - 1), min(unit, scene.units - 1)

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, list) and len(point) == 2:
            choose_unit(maps.unit_of(window, units, int(point[0])))
            st.session_state["gates_token"] = window.tokens[0] + int(point[1])

    def zoomed(event: Click) -> None:
        st.session_state[f"{ZOOM}_{side}"] = maps.zoomed_to(window, event)

    names = list(scene.signals)
    width = COLUMNS[len(names)]
    for start in range(0, len(names), width):
        for column, name in zip(st.columns(width), names[start : start + width], strict=False):
            with column:
                data = maps.map_data(scene, name, units, window, token, unit)
                figure = signal_map(
                    data, _words(name), gate=name in scene.gates,
                    key=f"{scene.run.id} {scene.layer} {len(scene.tokens)} {window}",
                )  # fmt: skip
                mean = float(scene.signals[name].mean())
                chart(
                    figure, f"gates_{side}_{name.replace('.', '_')}", height=MAP_HEIGHT,
                    csv=f"{scene.run.id}-{scene.step}-{name}", on_event=clicked,
                    on_zoom=None if window.whole and not st.session_state.get(f"{ZOOM}_{side}") else zoomed,
                    link={"x": along, "y": f"gates_{side}"},
                    alt=_("{signal} of {units} units at {tokens} tokens; its mean is {mean}.").format(
                        signal=signal_name(name), units=scene.units, tokens=len(scene.tokens), mean=f"{mean:.3f}"
                    ),
                )  # fmt: skip
    _map_words(scene, side, window)


def _aucs(scene: Scene) -> dict[str, NDArray[np.float32]]:
    """Feature -> how well each unit's state tells it; none of what the held-out text lacks."""
    answer = asked(
        "gate_meaning", _("Measuring on held-out text"), run=scene.run.id, step=scene.step, layer=scene.layer,
        signal=scene.state,
    )  # fmt: skip
    return dict(zip(answer["names"], unpack(answer["aucs"]), strict=True)) if answer else {}


def _words(name: str) -> MapWords:
    return MapWords(
        title=plain(signal_name(name)), x=_("token read"), y=_("unit"),
        hover=_("after {token}, unit {unit}: {value}").format(token="%{x}", unit="%{y}", value="<b>%{z:.6~g}</b>"),
        mean=_("mean of all units"),
        mean_hover=_("after {token}, mean of all units: {value}").format(token="%{x}", value="%{y:.4f}"),
    )  # fmt: skip


def _map_words(scene: Scene, side: str, window: maps.Window) -> None:
    """What the maps show, and how finely."""
    words = _("Each column is the state after a token was read, each row a unit of layer {layer}; the line above is the"
              " mean of all units. Zoom, and all maps follow.").format(layer=scene.layer + 1)  # fmt: skip
    if maps.colour_limit(scene.signals[scene.state]) == maps.STATE_LIMIT:
        words += " " + _("The cell state's colours end at {limit}, where tanh is 0.995.").format(
            limit=f"±{maps.STATE_LIMIT:g}"
        )
    if not window.whole:
        words += " " + _("So many cells do not fit: a row is the mean of {count} units. Zoom in for each one.").format(
            count=window.group
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(words, width="stretch")
        if st.session_state.get(f"{ZOOM}_{side}"):
            st.button(
                _("Show all"), icon=":material/zoom_out_map:", key=f"gates_all_{side}", type="tertiary",
                on_click=st.session_state.pop, args=(f"{ZOOM}_{side}", None),
            )  # fmt: skip


def _unit(scene: Scene, token: int, unit: int) -> None:
    """All signals of the unit over the text."""

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, int):
            st.session_state["gates_token"] = point

    lines = [Line(signal_name(name), values[:, unit], name == "cell") for name, values in scene.signals.items()]
    figure = unit_figure(
        lines, maps.place_names(scene.tokens), token, title=_("Unit {unit} over the text").format(unit=unit),
        x=_("token read"), y=_("value"), hover="%{y:.4f}", key=f"{scene.run.id} {scene.layer} {len(scene.tokens)}",
    )  # fmt: skip
    values = scene.signals[scene.state][:, unit]
    chart(
        figure, "gates_unit_chart", height=320, csv=f"{scene.run.id}-{scene.step}-unit-{unit}", on_event=clicked,
        alt=_("{signal} of unit {unit} lies between {low} and {high}.").format(
            signal=signal_name(scene.state), unit=unit, low=f"{values.min():.3f}", high=f"{values.max():.3f}"
        ),
        caption=_("Every signal of this unit after each token; the dotted line is the chosen one. Click to choose."),
    )  # fmt: skip
