"""Texts that are fetched on request: what each is, and a button."""

import streamlit as st

from lmviz.corpora import FETCHABLE, data_dir, list_fetchable
from lmviz.corpora.fetch import fetch
from lmviz.errors import LmvizError
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _


def more_texts() -> None:
    """One block a text; a fetched one is chosen at once."""
    missing = {row.name for row in list_fetchable()}
    st.caption(_("Each of these is fetched once over the network and stays on this server."))
    for name, known in FETCHABLE.items():
        with st.container(border=True, key=f"more_{name}"):
            st.markdown("**" + _(known.title) + "**")
            st.caption(_(known.description))
            size = _("{size} MB to fetch").format(size=f"{known.size / 1e6:.0f}")
            st.caption(" · ".join([size, _(known.source), _(known.licence)]))
            if name not in missing:
                st.caption(_("It is here: choose it above."))
            elif st.button(_("Fetch"), icon=":material/download:", key=f"fetch_{name}", width="stretch"):
                _fetch(name)


def _fetch(name: str) -> None:
    """Seconds, in the script itself, so leaving the page gives it up."""
    bar = st.progress(0.0, _("Downloading"))
    try:
        fetch(name, data_dir(), progress=lambda share, text: bar.progress(share, _(text)))
    except LmvizError as error:
        bar.empty()
        show_error(error)
        return
    st.session_state["corpus_added"] = name
    st.rerun()
