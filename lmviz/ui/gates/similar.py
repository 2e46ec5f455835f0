"""Find similar: choose a span of the text; which units stay on over it, and where else do the same units stay on?"""

import re
from typing import Any

import streamlit as st

from lmviz.packing import unpack
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.gates import MapData, MapWords, signal_map
from lmviz.ui.gates import maps
from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.places import line
from lmviz.ui.gates.scene import Scene
from lmviz.ui.gates.selection import choose_unit, signal_choice, unit_known
from lmviz.ui.i18n import _, ngettext
from lmviz.ui.kept import remember, restore
from lmviz.ui.reader import reader
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

THRESHOLDS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
SPAN = 12
"""Tokens of the span at first."""


def similar_part(scene: Scene, other: Scene | None) -> None:
    """The text, the units, the places; of the other model below."""
    left, middle, right = st.columns([4, 4, 4], vertical_alignment="bottom")
    with left:
        signal = signal_choice(scene, "similar_signal")
    with middle:
        restore("gates_threshold", "threshold", THRESHOLDS, 1.0)
        threshold = float(st.select_slider(
            _("On from, standard deviations"), THRESHOLDS, key="gates_threshold",
            help=_("How far from its mean over the held-out text a unit must be to count as on."),
        ))  # fmt: skip
        remember("threshold", threshold, 1.0)
    with right:
        if "gates_only" not in st.session_state:
            st.session_state["gates_only"] = st.query_params.get("only") == "1"
        only = bool(st.toggle(_("Only here: off just before and just after"), key="gates_only"))
        remember("only", int(only), 0)
    start, end = _span(scene)
    _text(scene, start, end)
    _panel(scene, "first", signal, (start, end), threshold, only)
    if other:
        st.markdown(f"**{markdown_safe(other.label)}**")
        if signal in other.signals and other.tokens == scene.tokens:
            _panel(other, "second", signal, (start, end), threshold, only)
        else:
            st.info(_("This model has no such signal, or cuts the text into other tokens."), icon=":material/info:")


def _span(scene: Scene) -> tuple[int, int]:
    """Tokens [start, end) that are chosen: by dragging over the text, or by the slider."""
    last = len(scene.tokens) - 1
    default = (max(0, last - SPAN + 1), last)
    chosen = st.session_state.get("gates_span") or _typed(st.query_params.get("span", ""))
    if not chosen or not 0 <= chosen[0] <= chosen[1] <= last:
        chosen = default
    st.session_state["gates_span"] = (int(chosen[0]), int(chosen[1]))
    st.slider(_("Span: from token to token"), 0, last, key="gates_span")  # a range, as its value is one
    first, end = st.session_state["gates_span"]
    remember("span", f"{first}-{end}", f"{default[0]}-{default[1]}")
    return int(first), int(end) + 1


def _typed(words: str) -> tuple[int, int] | None:
    """The span of an address."""
    match = re.fullmatch(r"(\d{1,6})-(\d{1,6})", words)
    return (int(match[1]), int(match[2])) if match else None


def _text(scene: Scene, start: int, end: int) -> None:
    def choose(first: int, last: int) -> None:
        st.session_state["gates_span"] = (first, last)

    def choose_one(place: int) -> None:
        choose(place, place)

    reader(
        scene.tokens, "gates_span_reader", span=(start, end - 1), marks={0}, on_span=choose, on_choose=choose_one,
        alt=_("The text; a part of it is chosen."),
    )  # fmt: skip
    st.caption(
        _("Drag over a part of the text to choose it, or click on its beginning and press Shift with the arrow keys.")
    )


def _panel(scene: Scene, side: str, signal: str, span: tuple[int, int], threshold: float, only: bool) -> None:
    start, end = span
    answer = asked(
        "gate_similar", _("Searching held-out text"), run=scene.run.id, step=scene.step, text=scene.text,
        layer=scene.layer, signal=signal, start=start, end=end, threshold=threshold, only_here=only,
    )  # fmt: skip
    if answer is None:
        return
    units: list[tuple[int, int]] = [(number, sign) for number, sign in answer["units"]]
    st.subheader(_finding(scene, span, answer), anchor=False)
    if not units:
        less = _("Lower the number of standard deviations, or choose a shorter span.")
        anywhere = _("Switch “Only here” off: then units count that are also on around the span.")
        st.info(anywhere if only else less, icon=":material/tune:")
        return
    _units(scene, side, signal, answer, units, span)
    _matches(answer, len(units))


def _finding(scene: Scene, span: tuple[int, int], answer: dict[str, Any]) -> str:
    text = "".join(visible_token(token) for token in scene.tokens[slice(*span)])
    text = markdown_safe(text if len(text) <= 32 else f"{text[:20]} … {text[-10:]}")
    units = len(answer["units"])
    if not units:
        return _("No unit stays on over “{text}”").format(text=text)
    all_on = sum(match["units_on"] == units for match in answer["matches"])
    words = ngettext(
        "{count} unit stays on over “{text}”; places in held-out text with all of them on: {places}",
        "{count} units stay on over “{text}”; places in held-out text with all of them on: {places}",
        units,
    )
    more = "+" if all_on == len(answer["matches"]) >= answer["most"] else ""
    return words.format(count=units, text=text, places=f"{all_on}{more}")


def _units(
    scene: Scene, side: str, signal: str, answer: dict[str, Any], units: list[tuple[int, int]], span: tuple[int, int]
) -> None:
    """These units over the text."""
    numbers = [number for number, _sign in units]
    chosen = unit_known(scene)

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, list) and len(point) == 2:
            choose_unit(numbers[int(point[0])])
            st.session_state["gates_token"] = int(point[1])

    standard = unpack(answer["standard"])
    row = numbers.index(chosen) if chosen in numbers else None
    columns = maps.place_names(scene.tokens)
    data = MapData(
        standard.T, standard.mean(1), columns, [str(number) for number in numbers], columns, span[0], row,
        (0, len(columns)), limit=3.0,
    )  # fmt: skip
    words = MapWords(
        title=_("Units that stay on, over the text: {units}").format(units=_signed(units)), x=_("token read"),
        y=_("unit"), mean=_("mean of these units"),
        hover=_("after {token}, unit {unit}: {value} standard deviations").format(
            token="%{x}", unit="%{y}", value="<b>%{z:+.2f}</b>"
        ),
        mean_hover=_("after {token}, mean of these units: {value}").format(token="%{x}", value="%{y:+.2f}"),
    )  # fmt: skip
    figure = signal_map(data, words, gate=False, key=f"{scene.run.id} {numbers} {len(scene.tokens)}")
    figure.add_vrect(span[0] - 0.5, span[1] - 0.5, line={"width": 0}, fillcolor="rgba(128,128,128,0.15)")
    chart(
        figure, f"gates_similar_{side}", height=130 + min(220, 14 * len(numbers)),
        csv=f"{scene.run.id}-{scene.step}-similar", on_event=clicked, alt=plain(words.title), caption=_(
            "{signal} in standard deviations from each unit's mean over the held-out text; a minus marks a unit that"
            " stays below it. Shaded: the span. Click to choose a unit for the other parts."
        ).format(signal=signal_name(signal)),
    )  # fmt: skip


def _signed(units: list[tuple[int, int]], most: int = 12) -> str:
    shown = ", ".join(f"−{number}" if sign < 0 else str(number) for number, sign in units[:most])
    return shown if len(units) <= most else f"{shown}, …"


def _matches(answer: dict[str, Any], units: int) -> None:
    """Places of the held-out text, the best first."""
    if not answer["matches"]:
        st.info(
            _("Nowhere in the held-out text are half of these units on together for half as long."),
            icon=":material/search_off:",
        )
        return
    words = _("{on} of {all}")
    lines = [line(one, words.format(on=one["units_on"], all=units)) for one in answer["matches"]]
    st.html("".join(lines))
    st.caption(_(
        "Places in {tokens} tokens of held-out text where most of these units are on at every underlined token; in"
        " front, how many. All of them first, then fewer, down to half; stretches as long as the span come first, none"
        " shorter than half of it. The idea is that of LSTMVis (Strobelt et al. 2018)."
    ).format(tokens=f"{answer['tokens']:,}"))  # fmt: skip
