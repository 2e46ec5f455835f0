"""The controls of the page Seq2Seq. Each keeps its value under its field's name in the session; all are in the address,
written by hand, as on the page Memory.
"""

import secrets

import streamlit as st

from lmviz.corpora.pairs import add_pairs, list_pairs
from lmviz.corpora.pairs_facts import pair_facts
from lmviz.errors import LmvizError
from lmviz.limits import MAX_LABEL
from lmviz.ui import cache
from lmviz.ui.address import from_address, to_address
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _, ngettext
from lmviz.ui.pairs.names import model_name, pairs_title
from lmviz.ui.pairs.view import ALL_KINDS, LONGER, View
from lmviz.ui.setup import duration
from lmviz.ui.start import check_text, start_runs

KEY = "pairs_"
KEPT = "kept_pairs"
"""The session has the view and the experiment here, for whoever comes back from another page."""


def restore() -> str:
    """Before the controls: their values, from the address where the session has none. Returns the experiment's group,
    empty if there is none.
    """
    if "group" not in st.query_params and KEY + "pairs" not in st.session_state:
        for name, value in st.session_state.get(KEPT, {}).items():
            st.query_params[name] = value
    if KEY + "pairs" not in st.session_state:
        for name, value in from_address(View, st.query_params.to_dict()):
            st.session_state[KEY + name] = list(value) if isinstance(value, tuple) else value
    if st.session_state[KEY + "pairs"] not in _known():
        st.session_state[KEY + "pairs"] = View().pairs
    return st.query_params.get("group", "")


def _known() -> list[str]:
    return [row.name for row in list_pairs()]


def controls() -> View:
    """All controls; the button at their end starts the runs."""
    st.selectbox(_("Pairs"), _known(), format_func=pairs_title, key=KEY + "pairs")
    _examples(st.session_state[KEY + "pairs"])
    _own_table()
    st.pills(_("Models"), ALL_KINDS, selection_mode="multi", format_func=model_name, key=KEY + "models", wrap=True)
    st.segmented_control(_("Cell"), ("gru", "lstm"), format_func=str.upper, key=KEY + "cell", required=True)
    left, right = st.columns(2, vertical_alignment="bottom")
    left.selectbox(_("Updates"), LONGER, format_func=lambda n: f"× {n}", key=KEY + "longer", help=_(
        "1 is enough for dates. Numbers, names and your own pairs may want more."
    ))  # fmt: skip
    right.number_input(_("Seed"), 0, 9999, key=KEY + "seed", help=_("Draws the initial weights and the pairs."))
    view = _current()
    st.button(
        _("Train"), type="primary", icon=":material/play_arrow:", key="pairs_train", width="stretch",
        disabled=not view.models, on_click=_start, args=[view],
    )  # fmt: skip
    if error := st.session_state.pop("pairs_error", None):
        show_error(error)
    return view


def _examples(name: str) -> None:
    try:
        facts = pair_facts(name)
    except LmvizError as error:
        show_error(error)
        return
    rows = [{_("source"): source, _("target"): target} for source, target in facts["examples"][:4]]
    st.table(rows, hide_index=True, border="horizontal")
    words = _("{pairs} pairs to learn from, {held_out} others to be tested on.")
    st.caption(words.format(pairs=f"{facts['pairs']:,}", held_out=f"{facts['held_out']:,}"))


def _own_table() -> None:
    with st.popover(_("Your own pairs"), icon=":material/upload_file:", width="stretch"):
        st.markdown(_("A table of two columns (.csv or .tsv): the source, and what it is to become; 20 pairs or more."))
        file = st.file_uploader(_("Table"), type=["csv", "tsv"], key="pairs_file", label_visibility="collapsed")
        label = st.text_input(_("Name"), max_chars=MAX_LABEL, key="pairs_label")
        st.button(_("Add"), key="pairs_add", disabled=file is None, on_click=_add, args=[file, label])
        if error := st.session_state.pop("pairs_file_error", None):
            show_error(error)


def _add(file: object, label: str) -> None:
    try:
        name = add_pairs((file.name, file.getvalue()), label)  # type: ignore[attr-defined]
    except LmvizError as error:
        st.session_state["pairs_file_error"] = error.to_dict()
        return
    st.session_state[KEY + "pairs"] = name


def _current() -> View:
    """What the controls say; the address says the same from now on."""
    values = {name: st.session_state[KEY + name] for name in View.model_fields}
    values["models"] = tuple(name for name in ALL_KINDS if name in values["models"])
    view = View.model_validate(values)
    wanted = to_address(view)
    for name in View.model_fields:
        if name in wanted and st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
        elif name not in wanted:
            st.query_params.pop(name, None)
    group = {"group": st.query_params["group"]} if "group" in st.query_params else {}
    st.session_state[KEPT] = wanted | group
    return view


def _start(view: View) -> None:
    """A run for every model, under way at once; the experiment's name goes into the address."""
    group = f"pairs-{secrets.token_hex(4)}"
    try:
        configs = view.configs(group)
        for config in configs:
            check_text(config)
        start_runs(configs)
    except LmvizError as error:
        st.session_state["pairs_error"] = error.to_dict()
        return
    st.query_params["group"] = group
    for name in ("moment", "play", "pairs_forced"):
        st.session_state.pop(name, None)


def cost(view: View) -> str:
    """How many runs, and how long they take here, measured; only once the server is warm."""
    configs = view.configs()
    if not configs:
        return _("Choose at least one model.")
    runs = ngettext("{count} run", "{count} runs", len(configs)).format(count=len(configs))
    total = 0.0
    for config in configs:
        measured = cache.estimate(config, 0)
        if measured is None:
            return runs
        total += measured["seconds_per_step"] * config.training.steps
    return f"{runs} · " + _("about {time} of one core").format(time=duration(total))
