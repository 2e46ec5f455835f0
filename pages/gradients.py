"""Gradients: how far back learning reaches, in cells at birth, in models as they learn, and on a text."""

import streamlit as st

from lmviz.errors import N_
from lmviz.ui.gradients.birth import birth
from lmviz.ui.gradients.learning import learning_part
from lmviz.ui.gradients.text import text_part
from lmviz.ui.i18n import _
from lmviz.ui.shell import begin

PARTS = {
    "birth": (N_("At birth"), birth),
    "learning": (N_("While learning"), learning_part),
    "text": (N_("Where it goes"), text_part),
}
"""Part, as the address has it -> its name, and what shows it."""

begin(
    _("Gradients"),
    _("How far back does learning reach? A model can learn from an early step only if the gradient arrives there."),
)


def part_switch() -> str:
    """Which part is shown. It stands in the address; not by `bind`, which would write the words of one language."""
    wanted = st.query_params.get("part")
    st.session_state.setdefault("part", wanted if wanted in PARTS else "birth")
    chosen = st.segmented_control(
        _("What to look at"), list(PARTS), format_func=lambda part: _(PARTS[part][0]), key="part", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen != "birth":
        st.query_params["part"] = str(chosen)
    else:
        st.query_params.pop("part", None)
    return str(chosen)


PARTS[part_switch() if len(PARTS) > 1 else "birth"][1]()
