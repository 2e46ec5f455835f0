"""The controls of "At birth". Each keeps its value under its field's name in the session; all of them are in the
address, written by hand: `bind` would log a warning when a preset sets them, and write words of one language.
"""

from typing import Any, get_args

import streamlit as st

from lmviz.config import Init
from lmviz.ui.address import to_address
from lmviz.ui.gradients.findings import cell_label
from lmviz.ui.gradients.view import (
    CELL_NAMES,
    CLAIM_LENGTH,
    HIDDEN_SIZES,
    PRESETS,
    View,
    from_address,
)
from lmviz.ui.i18n import _

KEY = "birth_"
"""The keys of the controls in the session begin like this."""


LAST = "birth_view"
"""The view as it was when the page was left; its controls forget their values there."""


def restore() -> None:
    """Before the controls: their values; from the address, or as this person left them."""
    if KEY + "length" not in st.session_state:
        address = st.query_params.to_dict()
        known = View.model_fields.keys() & address.keys()
        _put(from_address(address) if known or LAST not in st.session_state else st.session_state[LAST])


def current() -> View:
    """After the controls: what they say; the address says the same from now on."""
    values = {name: st.session_state[KEY + name] for name in View.model_fields}
    values["cells"] = tuple(name for name in CELL_NAMES if name in values["cells"])
    if values["claims"] == (values["length"] <= CLAIM_LENGTH):
        values["claims"] = None
    view = View.model_validate(values)
    st.session_state[LAST] = view
    wanted = to_address(view)
    for name in View.model_fields:
        if name in wanted and st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
        elif name not in wanted:
            st.query_params.pop(name, None)
    return view


def _put(view: View) -> None:
    for name, value in view:
        st.session_state[KEY + name] = value
    st.session_state[KEY + "claims"] = view.claims_shown
    st.session_state[KEY + "cells"] = list(view.cells)


def presets() -> None:
    """A row of buttons, each leads to one view."""
    with st.container(horizontal=True, gap="small", key="presets"):
        for name, (words, view) in PRESETS.items():
            st.button(_(words), key=f"preset_{name}", on_click=_put, args=(view,))


def cell_controls() -> None:
    """Everything that makes the curves what they are."""
    st.pills(_("Cells"), CELL_NAMES, selection_mode="multi", format_func=cell_label, key=KEY + "cells", wrap=True)
    _slider("length", _("Length of the sequences"), on_change=_length_changed)
    st.selectbox(_("Initial weights"), get_args(Init), key=KEY + "init", help=_(
        "pytorch: U(±1/√H) for everything; xavier, kaiming: every block as if it were a layer; orthogonal: recurrent"
        " weights that neither stretch nor shrink, times the gain."
    ))  # fmt: skip
    _slider("gain", _("Gain of the recurrent weights"), 0.05, **_gain_words())
    cells = st.session_state[KEY + "cells"]
    words = _("0 leaves what the initialisation gives.")
    _slider("forget", _("Forget-gate bias (LSTM)"), 0.5, disabled="lstm" not in cells, help=words)
    _slider("update", _("Update-gate bias (GRU)"), 0.5, disabled="gru" not in cells, help=words)
    no_gate = not {"nvsi", "carry"} & set(cells)
    _slider("input", _("Input-gate bias (NVSI-RNN)"), 0.5, disabled=no_gate, help=words)
    st.select_slider(_("Hidden size"), HIDDEN_SIZES, key=KEY + "hidden")
    _slider("scale", _("Size of the inputs"), 0.1, help=_(
        "Standard deviation of the random inputs. Large ones push the units to their ends, where they pass on less."
    ))  # fmt: skip
    st.number_input(_("Seed"), 0, 9999, key=KEY + "seed", help=_("Draws the initial weights and the sequences."))


def _gain_words() -> dict[str, Any]:
    if st.session_state[KEY + "init"] == "pytorch":
        return {"disabled": True, "help": _("PyTorch's default takes no gain. Choose other initial weights first.")}
    return {"help": _("Factor on the initial recurrent weights.")}


def _length_changed() -> None:
    """The article's curves come and go with the length for which they were drawn."""
    st.session_state[KEY + "claims"] = st.session_state[KEY + "length"] <= CLAIM_LENGTH


def _slider(name: str, label: str, step: float = 1, **more: Any) -> None:
    """A slider of one field within its limits."""
    low, high = (
        getattr(limit, side) for limit, side in zip(View.model_fields[name].metadata, ("ge", "le"), strict=True)
    )
    kind = type(View.model_fields[name].default)
    st.slider(label, kind(low), kind(high), step=kind(step), format="%g", key=KEY + name, **more)


def figure_controls() -> None:
    """What is drawn, and how."""
    names = {"norm": _("Gradient norm"), "jacobian": _("Jacobian product"), "spectrum": _("Singular values of W_hh")}
    st.segmented_control(
        _("What is drawn"), list(names), format_func=names.__getitem__, key=KEY + "show", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    norm = st.session_state[KEY + "show"] == "norm"
    losses = {False: _("Loss at the last step"), True: _("Loss at every step")}
    st.segmented_control(
        _("Loss"), list(losses), format_func=losses.__getitem__, key=KEY + "every_step", required=True,
        label_visibility="collapsed", disabled=not norm,
    )  # fmt: skip
    st.toggle(_("The article's claim"), key=KEY + "claims", disabled=not norm, help=_(
        "The two curves that the article on NVSI-RNN prints. They are not measured here."
    ))  # fmt: skip
    st.toggle(_("Whole range"), key=KEY + "whole", disabled=st.session_state[KEY + "show"] == "spectrum", help=_(
        "Down to the smallest number; otherwise the figure ends where no training could use what is left."
    ))  # fmt: skip
