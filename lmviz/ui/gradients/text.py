"""Where it goes: on which earlier tokens the loss at a chosen token depends, for two models above each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lmviz.compare import labels
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe, show_error
from lmviz.ui.figures.dependence import dependence_figure
from lmviz.ui.gradients import reading as words
from lmviz.ui.gradients.history import STATES
from lmviz.ui.gradients.reading import Reading, reading_of
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.live import find
from lmviz.ui.recurrent_runs import default_text, not_shown, recurrent_runs
from lmviz.ui.run_picker import steady_title
from lmviz.ui.theme import plain

ADDRESS_CHARACTERS = 200
"""Of a text that goes into the address."""
SIDES = ("first", "second")
SAMPLES = {"first": ("sample-rnn",), "second": ("sample-gru", "sample-lstm")}
ADDRESS = {"first": "run", "second": "second"}
"""Where a run stands in the address: the first is the run that other pages show as well."""


def text_part() -> None:
    """Two models, a text, the token; the text shaded for each, and the whole maps below."""
    cache.jobs()
    runs = recurrent_runs()
    if not runs:
        st.info(_("No recurrent model has been trained yet. Train one first."), icon=":material/school:")
        st.page_link("pages/train.py", label=_("Train"), icon=":material/play_circle:")
        return
    chosen: list[tuple[Run, int]] = []
    for side, column in zip(SIDES, st.columns(2), strict=True):
        with column:
            chosen.append(_model(side, runs))
    text = _text(chosen[0][0])
    st.fragment(_answers)(chosen, text)


def _model(side: str, runs: Mapping[str, Run]) -> tuple[Run, int]:
    """A run and the moment of its training."""
    default = next(run_id for run_id in (*SAMPLES[side], *runs) if run_id in runs)
    wanted = st.query_params.get(ADDRESS[side])
    if wanted and wanted not in runs and st.session_state.get(f"text_{side}") not in runs:
        not_shown(wanted, runs[default])
    restore(f"text_{side}", ADDRESS[side], list(runs), default)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        words_of = {"first": _("First model"), "second": _("Second model")}
        run_id = str(
            st.selectbox(
                words_of[side], list(runs), format_func=lambda one: steady_title(runs[one]), key=f"text_{side}"
            )
        )
    remember(ADDRESS[side], run_id, default)
    run = runs[run_id]
    steps = run.checkpoint_steps()
    if len(steps) == 1:
        return run, steps[0]
    restore(f"text_step_{side}", f"{side}_step", steps, steps[-1])
    with right:
        step = int(
            st.select_slider(
                _("Moment of its training (steps)"), steps, format_func=lambda one: f"{one:,}", key=f"text_step_{side}"
            )
        )
    remember(f"{side}_step", step, steps[-1])
    return run, step


def _text(run: Run) -> str:
    """What is typed; at first the beginning of the first run's own validation text."""
    default = default_text(run)
    known = st.session_state.get("text_default")
    if "text_typed" not in st.session_state:
        st.session_state["text_typed"] = st.query_params.get("text") or default
    elif st.session_state["text_typed"] == known:  # nobody has typed: another run brings its own
        st.session_state["text_typed"] = default
    st.session_state["text_default"] = default
    text = str(st.text_area(_("Text"), key="text_typed", height=80))
    remember("text", text if len(text) <= ADDRESS_CHARACTERS else default, default)
    return text


def _answers(chosen: Sequence[tuple[Run, int]], text: str) -> None:
    """Below the controls of models and text: all that a click on a token changes. A run may be deleted between two
    clicks.
    """
    there = {run.id for run in find([run.id for run, _step in chosen])}
    answers = _ask([(run, step) for run, step in chosen if run.id in there], text)
    if not answers:
        return
    state, tau = _controls([answer for _run, _name, answer in answers], text)
    readings = [reading_of(name, answer, state, run.config().tokenizer.kind, text) for run, name, answer in answers]
    taus = [reading.same_place(readings[0], tau) for reading in readings]
    if len(readings) == 2 and (finding := words.finding(readings, taus)):
        st.subheader(markdown_safe(finding), anchor=False)
    for reading, place in zip(readings, taus, strict=True):
        st.html(words.passage(reading, place))
    for sentence in dict.fromkeys(words.unknown_words(reading) for reading in readings if reading.unknown):
        st.warning(sentence, icon=":material/font_download_off:")
    st.html(words.scale())
    st.caption(_(
        "Shade: how much the loss at the framed token changes with the state after each earlier token was read, as a"
        " share of the same for the last state: its logarithm, from 1/1000 to 1. A small share does not mean that the"
        " model has forgotten: what it has learned to hold need not change the loss. Point at a token for its number."
    ))  # fmt: skip
    st.subheader(_("All losses at once"), anchor=False)
    shown = zip(st.columns(2), words.titles(readings), readings, taus, SIDES, strict=False)
    for column, title, reading, place, side in shown:
        with column:
            _map(title, reading, place, side, readings[0])
    st.latex(r"\frac{\lVert \partial L_\tau / \partial s_t \rVert}{\lVert \partial L_\tau / \partial s_\tau \rVert}")
    st.caption(_(
        "L: the loss at one token alone; s: the state after a token was read. A GPT looks back by attention and has no"
        " state that goes from step to step, so it cannot be shown here."
    ))  # fmt: skip


def _ask(chosen: Sequence[tuple[Run, int]], text: str) -> list[tuple[Run, str, dict[str, Any]]]:
    """(run, name, answer) of each model; a sentence for one that cannot answer."""
    runs = {run.id: run for run, _step in chosen}
    names = dict(zip(runs, labels(list(runs.values())), strict=True))
    found: list[tuple[Run, str, dict[str, Any]]] = []
    refused: dict[str, LmvizError] = {}
    for run, step in chosen:
        try:
            with st.spinner(_("Measuring; a server that has just started needs a moment."), width="content"):
                found.append((run, names[run.id], cache.dependence(run.id, step, text)))
        except LmvizError as error:
            refused[str(error)] = error  # the same sentence once
    for reason in refused.values():
        show_error(reason)
    return found


def _controls(answers: Sequence[dict[str, Any]], text: str) -> tuple[str, int]:
    """(state, index of the token in the first model's tokens). Another text, or another number of tokens in it, starts
    at its last token.
    """
    count = len(answers[0]["tokens"])
    state = "hidden"
    with st.container(horizontal=True, vertical_alignment="center", key="text_controls"):
        if any("cell" in answer["maps"] for answer in answers):
            names = {"hidden": _("Hidden state"), "cell": _("Cell state, where there is one")}
            restore("text_state", "state", STATES, "hidden")
            state = str(st.segmented_control(
                _("State"), STATES, format_func=names.__getitem__, key="text_state", required=True,
                label_visibility="collapsed",
            ))  # fmt: skip
            remember("state", state, "hidden")
        if st.session_state.get("text_token_of", (text, count)) != (text, count):
            st.session_state["text_token"] = count
        st.session_state["text_token_of"] = (text, count)
        restore("text_token", "token", range(1, count + 1), count)
        place = int(st.slider(_("Loss at token"), 1, count, key="text_token"))
        remember("token", place, count)
    return state, place - 1


def _map(title: str, reading: Reading, tau: int, side: str, first: Reading) -> None:
    """The whole map; a click in it chooses the token of that row."""

    def clicked(event: Click) -> None:
        row = words.row_of(event)
        if row is not None and row < len(reading.tokens):
            st.session_state["text_token"] = first.same_place(reading, row) + 1

    read, predicted = ([plain(name) for name in words.names(tokens)] for tokens in (reading.inputs, reading.tokens))
    figure = dependence_figure(
        reading.rows, read, predicted, tau, title=plain(title), x=_("state after reading"), bar=_("share that is left"),
        y=_("loss at"), hover=_("loss at {predicted}, state after {read}: {share}").format(
            predicted="%{y}", read="%{x}", share="%{customdata:.3~g}"
        ),
    )  # fmt: skip
    chart(
        figure, f"dependence_{side}", height=360, csv=f"dependence-{side}", on_event=clicked,
        alt=_("Map of {name}: how the loss at each token depends on the state after each earlier one.").format(
            name=title
        ),
        caption=_("Each row is one loss, the framed one that of the text above. Click on a row to choose its token."),
    )  # fmt: skip
