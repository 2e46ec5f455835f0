"""While learning: how the memory of models opens as they learn, live and moment by moment."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lmviz.compare import RunView, labels, read_view
from lmviz.runs import Run
from lmviz.ui import cache, player
from lmviz.ui.chart import chart
from lmviz.ui.comparison import run_styles
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.gradient_training import CurveWords, MapWords, Panel, map_figure, moment_figure
from lmviz.ui.figures.gradient_updates import Updates, UpdateWords, parameter_figure, update_figure
from lmviz.ui.gradients import learning_words as words
from lmviz.ui.gradients.history import STATES, History, has_cell, layers_of, moments, parameter_history, read_history
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.live import find, refresh_every
from lmviz.ui.run_picker import steady_title
from lmviz.ui.shell import forget
from lmviz.ui.theme import RunStyle, plain

MOST_RUNS = 4
HEIGHT = 350


def learning_part() -> None:
    """Runs, player, maps beside the curve at one moment; then the gradient of whole updates."""
    cache.jobs()
    runs = find(_choose())
    if not runs:
        st.info(_("Choose a run to see how far back it learned. Train one first if there is none."))
        st.page_link("pages/train.py", label=_("Train"), icon=":material/play_circle:")
        return
    pace = _pace(runs)
    st.fragment(_panel, run_every=pace)([run.id for run in runs], pace)


def _pace(runs: Sequence[Run]) -> float | None:
    return player.FRAME_SECONDS if player.playing() else refresh_every(runs)


def _choose() -> list[str]:
    """Up to four runs, those of the address first. What a person chooses goes into the address; what is shown at first
    does not, since the page Train takes the runs of the address for its own.
    """
    stored = {run.id: run for run in cache.store().runs()}
    runs = {run_id: run for run_id, run in stored.items() if run.config().model.kind != "ngram"}
    address = st.query_params.get("runs", "")
    if "learning_runs" not in st.session_state or st.session_state.get("learning_runs_seen") != address:
        wanted = list(dict.fromkeys(run_id for run_id in address.split(",") if run_id))
        find([run_id for run_id in wanted if run_id not in stored])  # says what is no longer there
        if any(run_id in stored and run_id not in runs for run_id in wanted):
            st.info(_("An n-gram is counted, so it has no gradient and is left out here."), icon=":material/info:")
        there = [run_id for run_id in wanted if run_id in runs][:MOST_RUNS]
        instead = [] if there else _first(runs)
        st.session_state["learning_runs"] = there or instead
        if wanted and instead:
            names = ", ".join(markdown_safe(steady_title(runs[run_id])) for run_id in instead)
            st.info(_("Shown instead: {names}").format(names=names), icon=":material/info:")
        if st.session_state.get("learning_runs_seen", address) != address:
            player.forget()
        st.session_state["learning_runs_seen"] = address
    st.session_state["learning_runs"] = [one for one in st.session_state["learning_runs"] if one in runs]
    return st.multiselect(
        _("Models"), list(runs), format_func=lambda run_id: steady_title(runs[run_id]), key="learning_runs",
        max_selections=MOST_RUNS, on_change=_runs_chosen, placeholder=_("Choose up to four runs"),
        label_visibility="collapsed",
    )  # fmt: skip


def _first(runs: dict[str, Run]) -> list[str]:
    """The newest run with norms over the lag, else two samples."""
    newest = next((run_id for run_id, run in runs.items() if any("grad.hidden" in g for g in run.gradients())), None)
    return [newest] if newest else [run_id for run_id in ("sample-rnn", "sample-gru") if run_id in runs]


def _runs_chosen() -> None:
    chosen = ",".join(st.session_state["learning_runs"])
    if chosen:
        st.query_params["runs"] = chosen
    else:
        forget("runs")
    st.session_state["learning_runs_seen"] = chosen
    player.forget()
    st.query_params.pop("step", None)


def _panel(run_ids: list[str], pace: float | None) -> None:
    runs = find(run_ids)
    views = [read_view(run, name) for run, name in zip(runs, labels(runs), strict=True)]
    styles = run_styles(views)
    controls = st.container(horizontal=True, vertical_alignment="center", key="learning_controls")
    with controls:
        state, layer = _switches(views)
    found = [read_history(view, style, state, layer) for view, style in zip(views, styles, strict=True)]
    histories = [history for history in found if history]
    if histories:
        _over_lags(histories, controls)
    for sentence in words.missing_words([view for view, one in zip(views, found, strict=True) if not one]):
        st.info(sentence, icon=":material/info:")
    _updates(views, styles)
    if _pace(runs) != pace:
        st.rerun()


def _switches(views: Sequence[RunView]) -> tuple[str, int]:
    """(state, layer) that are shown; a switch only where there is a choice."""
    state, most = "hidden", max((layers_of(view) for view in views), default=1)
    layer = most
    if any(has_cell(view) for view in views):
        names = {"hidden": _("Hidden state"), "cell": _("Cell state, where there is one")}
        restore("learning_state", "state", STATES, "hidden")
        state = str(st.segmented_control(
            _("State"), STATES, format_func=names.__getitem__, key="learning_state", required=True,
            label_visibility="collapsed",
        ))  # fmt: skip
        remember("state", state, "hidden")
    if most > 1:
        options = list(range(1, most + 1))
        restore("learning_layer", "layer", options, most)
        st.segmented_control(
            _("Layer"), options, format_func=lambda number: _("Layer {number}").format(number=number),
            key="learning_layer", required=True, label_visibility="collapsed",
        )  # fmt: skip
        layer = int(st.session_state["learning_layer"])
        remember("layer", layer, most)
    return state, layer


def _over_lags(histories: Sequence[History], controls: DeltaGenerator) -> None:
    """Maps and curves; the player goes among the controls."""
    steps = moments(histories)
    if len(steps) < 2:
        st.info(_("So far only the moment before the first update is recorded. The map begins with the first one."))
        _moment(histories, steps[0])
        return
    with controls:
        step = player.moment_control(steps)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _map(histories, step)
    with right:
        _moment(histories, step)
    with st.expander(_("What is measured"), icon=":material/function:"):
        st.latex(
            r"g(k) = \frac{\operatorname{mean}\,\lVert \partial L_T / \partial s_{T-k} \rVert}"
            r"{\operatorname{mean}\,\lVert \partial L_T / \partial s_T \rVert}"
        )
        st.markdown(_(
            "$L_T$: the loss at the last step of a window alone; $s$: the state after each step; $k$: the lag. Training"
            " itself changes how far back the gradient reaches. A small gradient does not mean that the model has"
            " forgotten: it means that it can hardly learn from there."
        ))  # fmt: skip


def _map(histories: Sequence[History], step: int) -> None:
    figure = map_figure(
        _panels(histories, step),
        MapWords(
            title=words.map_title(histories), x=_("updates, not to scale"), y=_("lag, steps back"),
            hover=_("after {step} updates, {lag} steps back: {share} is left").format(
                step="%{x}", lag="%{y}", share="10<sup>%{z:.2f}</sup>"
            ),
            reach=_("after {step} updates 1/1000 is left at lag {lag}").format(step="%{x}", lag="%{text}"),
            bar=_("share that is left"),
        ),
    )  # fmt: skip
    chart(
        figure, "learning_map", height=HEIGHT if len(histories) < 3 else 440, alt=words.map_alt(histories),
        caption=words.map_caption(histories), csv="gradient-map",
    )  # fmt: skip


def _moment(histories: Sequence[History], step: int) -> None:
    title = words.moment_title(histories, step)
    figure = moment_figure(
        _panels(histories, step),
        CurveWords(
            title=title, x=_("lag, steps back"), y=_("gradient, relative to the last step"),
            birth=_("{name}, at birth"), vanished="1/1000",
        ),
    )  # fmt: skip
    chart(
        figure, "learning_moment", height=HEIGHT, alt=title, csv="gradient-moment",
        caption=_("What is left at each lag at the moment of the slider. Dotted: the first moment."),
    )  # fmt: skip


def _panels(histories: Sequence[History], step: int) -> list[Panel]:
    return [
        Panel(words.name_of(one), one.style, one.steps, one.shares, one.reach,
              words.heading(one) if len(histories) > 1 else "", one.index(step), now)
        for one, now in zip(histories, words.moment_names(histories, step), strict=True)
    ]  # fmt: skip


def _updates(views: Sequence[RunView], styles: Sequence[RunStyle]) -> None:
    """The gradient of whole updates: of all parameters together, and of each."""
    pairs = [(view, style) for view, style in zip(views, styles, strict=True) if view.metrics]
    if not pairs:
        return
    measured = [view for view, _style in pairs]
    clip_norms = sorted({view.config.training.clip_norm for view in measured} - {0.0})
    figure = update_figure(
        [
            Updates(view.label, style, *(view.column(name) for name in ("step", "grad_norm", "grad_norm_clipped")))
            for view, style in pairs
        ],
        clip_norms,
        UpdateWords(
            title=words.update_title(measured), x=_("updates of the weights"), y=_("gradient norm of an update"),
            after=_("{name}, after clipping"), clip=_("clipped to {norm}"),
        ),
    )  # fmt: skip
    chart(figure, "learning_updates", height=280, alt=figure.layout.title.text, csv="gradient-updates",
          caption=words.update_caption(measured))  # fmt: skip
    with st.expander(_("Gradient of each parameter"), icon=":material/grid_on:"):
        _parameters(measured)


def _parameters(views: Sequence[RunView]) -> None:
    known = {view.run.id: view for view in views if any(line.get("parameters") for line in view.run.gradients())}
    if not known:
        st.info(_("None of these runs has recorded them: they were trained by an earlier version, or without."))
        return
    restore("learning_parameters", "of", list(known), next(iter(known)))
    chosen = str(
        st.selectbox(_("Model"), list(known), format_func=lambda one: known[one].label, key="learning_parameters")
    )
    remember("of", chosen, next(iter(known)))
    steps, names, norms = parameter_history(known[chosen])
    finding = _("Which weights does training pull at? {name}").format(name=known[chosen].label)
    figure = parameter_figure(
        steps, names, norms, title=plain(finding), x=_("updates, not to scale"),
        bar=_("log₁₀ of the norm"),
        hover=_("{name} after {step} updates: {norm}").format(name="%{y}", step="%{x}", norm="%{customdata:.3~g}"),
    )  # fmt: skip
    chart(figure, "learning_parameter_map", height=120 + 22 * len(names), alt=finding, csv="gradient-parameters",
          caption=_("Norm of each parameter's gradient, before clipping, at the recorded updates."))  # fmt: skip
