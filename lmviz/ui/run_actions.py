"""What can be done with the runs that are ticked."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lmviz.compare import differences, labels, read_view
from lmviz.config import RunConfig
from lmviz.costs import check_costs, check_tokens
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.settings import apply_settings
from lmviz.ui import cache
from lmviz.ui.branching import fork_control, longer_control
from lmviz.ui.chart import chart
from lmviz.ui.comparison import alt_text, caption, comparison_figure, difference_words, run_styles, verdict
from lmviz.ui.errors import plain_cell, show_error
from lmviz.ui.i18n import _
from lmviz.ui.start import check_text, start_again, start_runs


def run_actions(runs: Sequence[Run]) -> None:
    """Buttons for the ticked runs, and their comparison."""
    with st.container(horizontal=True, gap="small"):
        ids = ",".join(run.id for run in runs)
        st.page_link("pages/train.py", label=_("Watch"), icon=":material/monitoring:", query_params={"runs": ids})
        if len(runs) == 1:
            _single(runs[0])
        _delete(runs)
    _compare(runs)


def _single(run: Run) -> None:
    st.page_link(
        "pages/generate.py", label=_("Let it write"), icon=":material/edit_note:", query_params={"run": run.id}
    )
    if not run.read_only:
        with st.popover(_("Rename"), icon=":material/edit:"):
            name = st.text_input(_("Name"), run.config().name, max_chars=120, key=f"rename_{run.id}")
            if st.button(_("Save"), key=f"save_{run.id}", type="primary"):
                run.rename(name)
                st.rerun()
    fork_control(run)
    _duplicate(run)
    _resume(run)
    longer_control(run)
    st.download_button(
        _("Download (zip)"), run.zip, f"{run.id}.zip", "application/zip", icon=":material/download:", on_click="ignore"
    )


def _duplicate(run: Run) -> None:
    """A new run with the same settings but for those that are changed here."""
    with st.popover(_("Duplicate with changes"), icon=":material/content_copy:"):
        st.caption(_("One setting a line, such as training.learning_rate=0.001"))
        text = st.text_area(_("Changes"), key=f"changes_{run.id}", height=120)
        with st.expander(_("All settings of this run")):
            st.code("\n".join(f"{key}={value}" for key, value in run.config().flat().items()), language=None)
        if st.button(_("Train it"), key=f"duplicate_{run.id}", type="primary"):
            try:
                (new,) = start_runs([changed_config(run, text)])
            except LmvizError as error:
                show_error(error)
                return
            st.switch_page("pages/train.py", query_params={"runs": f"{run.id},{new.id}"})


def changed_config(run: Run, text: str) -> RunConfig:
    """The settings of a run with a person's changes, one a line.

    Raises:
        ConfigError: a change that cannot be.
        CorpusError: the changes name a text that a visitor cannot train on, or want a longer text than there is.
    """
    before, data = run.config(), run.data()
    config = apply_settings(before, [line for line in text.splitlines() if line.strip()])
    if config.corpus != before.corpus:
        check_text(config)
    elif data and config.tokenizer == before.tokenizer and config.has_text:
        check_tokens(data["train_tokens"], data["validation_tokens"], config)
    check_costs(config, data.get("vocab_size", 0))
    if config.group == before.group:  # the copy is no part of the other's experiment
        config = config.model_copy(update={"group": ""})
    if config.name == before.name:  # by its changes the copy can be told from the original
        what = ", ".join(line.strip() for line in text.splitlines() if line.strip()) or _("copy")
        config = config.model_copy(update={"name": f"{config.name} {what}"[:120]})
    return config


def _resume(run: Run) -> None:
    """A run that stopped before its end goes on."""
    status = run.status()
    if run.read_only or status.state not in ("stopped", "failed", "paused") or status.step >= status.steps:
        return
    if st.button(_("Resume"), icon=":material/play_arrow:", key=f"resume_{run.id}"):
        try:
            start_again(run)
        except LmvizError as error:
            show_error(error)
            return
        st.switch_page("pages/train.py", query_params={"runs": run.id})


def _delete(runs: Sequence[Run]) -> None:
    own = [run for run in runs if not run.read_only]
    if not own:
        return
    with st.popover(_("Delete"), icon=":material/delete:"):
        st.text(_("Delete for good:") + "\n" + "\n".join(f"{run.config().name} ({run.id})" for run in own))
        st.button(_("Delete"), key="delete_for_good", type="primary", on_click=_delete_these, args=[own])
    if error := st.session_state.pop("delete_error", None):
        show_error(error)


def _delete_these(runs: Sequence[Run]) -> None:
    """Exactly the runs that were shown beside the button, whatever the table says by now."""
    for run in runs:
        try:
            cache.store().delete(run)
        except LmvizError as error:
            st.session_state["delete_error"] = error.to_dict()
            return


def _compare(runs: Sequence[Run]) -> None:
    """Curves of the ticked runs, and what differs between their settings."""
    views = [read_view(run, name) for run, name in zip(runs, labels(runs), strict=True)]
    figure = comparison_figure(views, run_styles(views), "step")
    chart(figure, "runs_chart", height=340, alt=alt_text(views), caption=caption(views))
    if words := verdict(views):
        st.success(words, icon=":material/emoji_events:")
    if len(views) < 2:
        return
    for words in difference_words(views):
        st.caption(words)
    table = differences([view.config for view in views])
    st.subheader(_("What differs between them"), anchor=False)
    if not table:
        st.caption(_("Nothing: all settings are the same."))
        return
    rows = [["–" if value is None else plain_cell(str(value)) for value in values] for values in table.values()]
    names = [plain_cell(view.label) for view in views]
    st.dataframe(pd.DataFrame(rows, index=list(table), columns=names), width="stretch")
