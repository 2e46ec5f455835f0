"""The text that is measured: typed or pasted, held-out text of the run, or what the model writes itself."""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.limits import MAX_SURPRISE_CHARACTERS
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember
from lmviz.ui.recurrent_runs import default_text

FIRST_TOKENS = 280
ADDRESS_CHARACTERS = 400
OWN_TOKENS = 280
TEMPERATURE = 0.8
TEXT, OWN, FAILED = "surprise_text", "surprise_own", "surprise_failed"
"""Keys in the session: the text; what was taken from the model, (text, how); an error of that."""


def held_out(run: Run) -> str:
    """What the run has not learned from."""
    return default_text(run, FIRST_TOKENS)


def text_control(scene: Scene) -> str:
    """What is typed; at first held-out text of the run."""
    default = held_out(scene.run)
    if TEXT not in st.session_state:
        st.session_state[TEXT] = st.query_params.get("text", "")[:MAX_SURPRISE_CHARACTERS] or default
    elif st.session_state[TEXT] == st.session_state.get("surprise_default"):  # nobody has typed
        st.session_state[TEXT] = default
    st.session_state["surprise_default"] = default
    text = str(st.text_area(
        _("Text"), key=TEXT, height=230, max_chars=MAX_SURPRISE_CHARACTERS, persist_state="session",
        help=_("Any text: type it, paste it, or take one with the buttons below."),
    ))  # fmt: skip
    remember("text", text if len(text) <= ADDRESS_CHARACTERS else default, default)
    with st.container(horizontal=True, key="surprise_texts"):
        st.button(_("Take what the model writes"), icon=":material/edit_note:", on_click=_take, args=(scene, "sample"),
                  help=_("So many tokens from an empty prompt, drawn at temperature {temperature}; each press draws"
                         " anew.").format(temperature=TEMPERATURE))  # fmt: skip
        st.button(_("Its likeliest"), icon=":material/trending_up:", on_click=_take, args=(scene, "greedy"),
                  help=_("What it writes if it always takes the likeliest token."))  # fmt: skip
        st.button(_("Held-out text"), icon=":material/restart_alt:", on_click=_restore, args=(default,))
    if error := st.session_state.pop(FAILED, None):
        show_error(error)
    return text


def written_how(text: str, scene: Scene) -> str | None:
    """How the model wrote this text, if it is what was taken from this very model."""
    own = st.session_state.get(OWN)
    return own["how"] if own and own["of"] == [scene.run.id, scene.step] and own["text"] == text else None


def _restore(default: str) -> None:
    st.session_state[TEXT] = default


def _take(scene: Scene, strategy: str) -> None:
    seed = st.session_state["surprise_seed"] = st.session_state.get("surprise_seed", 0) + 1
    how: dict[str, Any] = {"strategy": strategy, "max_new_tokens": OWN_TOKENS}
    if strategy == "sample":
        how |= {"temperature": TEMPERATURE, "seed": seed}
    try:
        answer = list(cache.ask("generate", **scene.question, **how))
    except LmvizError as error:
        st.session_state[FAILED] = error
        return
    text = "".join(token["piece"] for piece in answer for token in piece["tokens"])
    st.session_state[TEXT] = text
    st.session_state[OWN] = {"of": [scene.run.id, scene.step], "text": text, "how": strategy}
