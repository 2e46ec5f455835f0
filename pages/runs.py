"""Runs: everything that was trained; compare, rename, duplicate, continue, download, delete."""

import streamlit as st

from lmviz.ui import cache
from lmviz.ui.i18n import _
from lmviz.ui.run_actions import run_actions
from lmviz.ui.run_picker import on_text
from lmviz.ui.runs_table import runs_table
from lmviz.ui.shell import begin

begin(_("Runs"), _("What has been trained, and what made the difference? Tick runs to act on them or compare them."))

cache.jobs()
runs = cache.store().runs()
if not runs:
    st.info(_("No model has been trained yet. Train one first."), icon=":material/school:")
    st.page_link("pages/train.py", label=_("Train"), icon=":material/play_circle:")
    st.stop()

tasks = [run for run in runs if not on_text(run)]
if tasks:
    words = _("Memory tasks ({count})").format(count=len(tasks))
    if not st.toggle(words, key="task_runs", persist_state="session", help=_("Runs of the page Memory.")):
        runs = [run for run in runs if on_text(run)]
ticked = runs_table(runs, key="runs_table", select=True)
if not ticked:
    st.caption(_("Tick one run to rename, duplicate, continue, download or delete it; tick several to compare them."))
    st.stop()
run_actions(ticked)
