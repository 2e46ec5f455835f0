"""Home: what lmviz is, in one picture and three sentences, and the way to every page."""

import streamlit as st

from lmviz.compare import labels, read_view
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.comparison import alt_text, caption, comparison_figure, run_styles
from lmviz.ui.i18n import _
from lmviz.ui.run_picker import on_text
from lmviz.ui.runs_table import runs_table
from lmviz.ui.shell import begin

begin(
    _("Language models, live"),
    _(
        "Pick a text, put a few architectures side by side, and watch them learn it. Open any of them up at any moment"
        " of its training. Every figure is measured from the model you see; what an article claims is drawn as a claim."
    ),
)

cache.jobs()
with st.container(horizontal=True):
    if st.button(_("Train models"), icon=":material/play_circle:", type="primary"):
        st.switch_page("pages/train.py")
    if st.button(_("See how far back they learn"), icon=":material/trending_down:"):
        st.switch_page("pages/gradients.py")
    if st.button(_("Read along inside a network"), icon=":material/sensor_door:"):
        st.switch_page("pages/gates.py")
    if st.button(_("Let a model write"), icon=":material/edit_note:"):
        st.switch_page("pages/generate.py")
    if st.button(_("See all runs"), icon=":material/folder_open:"):
        st.switch_page("pages/runs.py")

samples = [run for run in cache.store().sample_runs() if run.config().corpus.name == "python-reference"]
if samples:
    views = [read_view(run, name) for run, name in zip(samples, labels(samples), strict=True)]
    picture, text = st.columns([3, 2], gap="large")
    with picture:
        figure = comparison_figure(views, run_styles(views), "seconds")
        figure.update_layout(title=_("Five architectures learn the same text"))
        chart(figure, "home_chart", height=360, alt=alt_text(views), caption=caption(views))
    with text:
        st.subheader(_("What one of them writes as it learns"), anchor=False)
        written = next((view for view in views if view.kind == "lstm"), views[0]).run.samples()
        for line in [written[0], written[len(written) // 6], written[-1]]:
            st.caption(_("after step {step}").format(step=f"{line['step']:,}"))
            st.code((line["prompt"] + line["text"])[:160], language=None, wrap_lines=True)

st.subheader(_("Latest runs"), anchor=False)
texts = [run for run in cache.store().runs() if on_text(run)]
runs_table(texts[:6], key="latest", brief=True)
