"""What if? Branch off a run at one of its checkpoints, or let a finished run train longer."""

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.forks import config_at, is_exact
from lmviz.limits import MAX_STEPS
from lmviz.runs import Run
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.start import start_again, start_fork


def fork_control(run: Run) -> None:
    """A popover: where to branch off, and what is to be different from there on."""
    config = run.config()
    steps = [step for step in run.checkpoint_steps() if step < config.training.steps]
    if config.model.kind == "ngram" or not steps:
        return
    count = st.session_state.get("branches", 0)  # after a branch the popover is another one, and closed
    with st.popover(_("What if?"), icon=":material/fork_right:", key=f"fork_{run.id}_{count}"):
        st.caption(_("Go on from a moment of this run with other settings. The run itself stays as it is."))
        if len(steps) > 1:
            step = st.select_slider(
                _("Branch off after step"), steps, steps[len(steps) // 2], key=f"fork_step_{run.id}",
                format_func=lambda step: f"{step:,}",
            )  # fmt: skip
        else:
            step = steps[0]
        now = config_at(run, step).training  # with what was changed while it ran
        rate = st.number_input(
            "learning_rate", 0.0, None, now.learning_rate, format="%g", step=now.learning_rate / 5,
            key=f"fork_rate_{run.id}",
        )  # fmt: skip
        last = st.number_input(_("Updates in all"), 1, MAX_STEPS, now.steps, 100, key=f"fork_steps_{run.id}")
        more = st.text_area(
            _("Other settings, one a line"), key=f"fork_more_{run.id}", height=80, placeholder="clip_norm=0.5"
        )
        if not is_exact(run, step):
            st.caption(_("Of this step the weights alone were kept: the optimizer begins anew."))
        settings = [line for line in more.splitlines() if line.strip()]
        if rate != now.learning_rate:
            settings.append(f"training.learning_rate={rate!r}")
        if last != now.steps:
            settings.append(f"training.steps={last}")
        if st.button(_("Branch off"), type="primary", key=f"fork_go_{run.id}", width="stretch"):
            _branch_off(run, step, settings)


def _branch_off(run: Run, step: int, settings: list[str]) -> None:
    what = ", ".join(setting.removeprefix("training.").strip() for setting in settings)
    name = _("{name}, from step {step}").format(name=run.config().name or run.id, step=f"{step:,}")
    try:
        new = start_fork(run, step, settings, f"{name}: {what}" if what else name)
    except LmvizError as error:
        show_error(error)
        return
    st.session_state["branches"] = st.session_state.get("branches", 0) + 1
    st.switch_page("pages/train.py", query_params={"runs": ",".join([*_shown_with(run), new.id])})


def _shown_with(run: Run) -> list[str]:
    """The runs on the page if this one is among them, else this one alone."""
    shown = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id]
    return shown if run.id in shown else [run.id]


def longer_control(run: Run) -> None:
    """A popover for a run that has ended: a new number of updates."""
    status = run.status()
    if run.read_only or run.config().model.kind == "ngram" or status.active or status.step >= MAX_STEPS:
        return
    with st.popover(_("Train longer"), icon=":material/more_time:", key=f"longer_{run.id}"):
        st.caption(
            _(
                "The run itself goes on from step {step}, its learning rate by the longer schedule from there on."
            ).format(step=f"{status.step:,}")
        )
        steps = st.number_input(
            _("Updates in all"), status.step + 1, MAX_STEPS, min(MAX_STEPS, max(status.steps, status.step + 1000)),
            100, key=f"longer_steps_{run.id}",
        )  # fmt: skip
        if st.button(_("Go on"), type="primary", key=f"longer_go_{run.id}", width="stretch"):
            try:
                start_again(run, int(steps))
            except LmvizError as error:
                show_error(error)
                return
            st.switch_page("pages/train.py", query_params={"runs": ",".join(_shown_with(run))})
