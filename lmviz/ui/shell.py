"""What all pages share: the frame, the menu, the language, the style sheet, the way back from a deep link.

`app.py` calls `navigation()`; each page calls `begin(title, question)` first. The frame is the one of style.md: a
folder named `pages/` makes a fresh server run a page on its own, without app.py, when somebody opens its address; such
a page sends itself through app.py once.
"""

import gc
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from lmviz.errors import N_
from lmviz.ui import i18n
from lmviz.ui.i18n import LANGUAGES, _

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

_HERE = Path(__file__).resolve().parent

PAGES = {
    "": [("home", N_("Home"), ":material/home:")],
    N_("Train"): [
        ("train", N_("Train"), ":material/play_circle:"),
        ("runs", N_("Runs"), ":material/folder_open:"),
    ],
    N_("Look inside"): [
        ("gradients", N_("Gradients"), ":material/trending_down:"),
        ("memory", N_("Memory"), ":material/psychology:"),
        ("gates", N_("Gates"), ":material/sensor_door:"),
        ("seq2seq", N_("Seq2Seq"), ":material/swap_horiz:"),
        ("attention", N_("Attention"), ":material/visibility:"),
    ],
    N_("Write"): [("generate", N_("Generate"), ":material/edit_note:")],
}
"""Section -> pages (file in pages/, name, icon). A page stands here when it works, not before."""

KEPT = ("run", "runs", "lang")
"""Parts of the address that go with a person from page to page."""


def navigation() -> "StreamlitPage":
    """The menu, in the person's language; returns the page to run. Called by app.py only."""
    _start_process()
    st.set_page_config(page_title="lmviz", page_icon=str(_HERE / "icon.svg"), layout="wide")
    st.session_state["framed"] = True
    _keep_address()
    _choose_language()
    st.logo(str(_HERE / "logo.svg"), size="large", icon_image=str(_HERE / "icon.svg"))
    page = st.navigation(
        {
            _(section): [
                st.Page(f"pages/{file}.py", title=_(name), icon=icon, url_path=file, default=file == "home")
                for file, name, icon in pages
            ]
            for section, pages in PAGES.items()
        }
    )
    if link := st.session_state.pop("deep_link", None):
        st.switch_page(link["page"], query_params=link["query"])
    return page


def begin(title: str, question: str) -> None:
    """Open a page: its heading and, in one line, the question it answers. Both already translated."""
    if not st.session_state.get("framed"):
        page = Path(sys._getframe(1).f_globals["__file__"])
        st.session_state["deep_link"] = {"page": f"pages/{page.name}", "query": st.query_params.to_dict()}
        st.switch_page("app.py")
    st.html(f"<style>{_colors()}{_style()}</style>")
    with st.sidebar:
        _language_switch()
    st.title(title, anchor=False)
    with st.container(key="lmviz_question"):
        st.markdown(question)


@cache
def _colors() -> str:
    """The theme's colours as `--st-...` for our own style sheet; Streamlit defines these only inside its components."""
    names = ("textColor", "grayTextColor", "backgroundColor", "secondaryBackgroundColor", "borderColor")
    rows = []
    for name in (*names, "primaryColor", "linkColor", "codeBackgroundColor"):
        light, dark = (st.get_option(f"theme.{mode}.{name}") for mode in ("light", "dark"))
        css_name = re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
        rows.append(f"--st-{css_name}: light-dark({light}, {dark});")
    return f".stApp {{ {' '.join(rows)} --st-code-font: {st.get_option('theme.codeFont')}; }}\n"


@cache
def _style() -> str:
    return (_HERE / "style.css").read_text("utf-8")


@cache
def _start_process() -> None:
    """Once a process: what is loaded by now stays, so the garbage collector need not walk through it any more."""
    gc.collect()
    gc.freeze()


def _keep_address() -> None:
    """Streamlit empties the address when the page changes; put back what belongs to the person."""
    for name in KEPT:
        value = st.query_params.get(name) or st.session_state.get(f"kept_{name}")
        if value:
            st.session_state[f"kept_{name}"] = value
            if st.query_params.get(name) != value:
                st.query_params[name] = value


def forget(name: str) -> None:
    """Take one of KEPT out of the address for good."""
    st.session_state.pop(f"kept_{name}", None)
    st.query_params.pop(name, None)


def _choose_language() -> None:
    """The address first, then what this person chose before, then the browser."""
    wishes = (st.query_params.get("lang"), st.session_state.get("kept_lang"), st.context.locale)
    st.session_state["language"] = next((code for wish in wishes if (code := i18n.best_match(wish))), "en")


def _language_switch() -> None:
    st.session_state["language_switch"] = i18n.language()
    st.segmented_control(
        _("Language"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        key="language_switch",
        label_visibility="collapsed",
        required=True,
        on_change=_language_chosen,
    )


def _language_chosen() -> None:
    code = st.session_state["language_switch"]
    st.session_state["kept_lang"] = code
    st.query_params["lang"] = code


def _session_language() -> str:
    """For i18n: the language of the session whose script asks, English outside a session."""
    if not st.runtime.exists():
        return "en"
    return str(st.session_state.get("language", "en"))


i18n.set_provider(_session_language)
