"""Which learning rate? The range test in a dialog: a moment of training with a rising rate, and what it suggests."""

import streamlit as st

from lmviz.config import RunConfig
from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.errors import show_error
from lmviz.ui.figures.rates import rate_figure
from lmviz.ui.i18n import _


def find_button(key: str) -> bool:
    """Whether the person asked for the test just now."""
    return st.button(
        _("Find a learning rate"), icon=":material/troubleshoot:", key=f"find_rate_{key}", type="tertiary",
        help=_("Trains a copy for a hundred updates with a rate that rises from one to the next. Nothing is kept."),
    )  # fmt: skip


def find_dialog(config: RunConfig, key: str) -> None:
    """Run the test; `key` is the state of the control that takes the suggestion over."""
    st.dialog(_("Which learning rate?"), width="large")(_find)(config, key)


def _find(config: RunConfig, key: str) -> None:
    try:
        trials, found = _measure(config)
    except LmvizError as error:
        show_error(error)
        return
    figure = rate_figure(
        [trial["rate"] for trial in trials], [trial["loss"] for trial in trials],
        [trial["smoothed"] for trial in trials], found,
        title=_("Where does the loss fall fastest?"), x=_("learning rate"), y=_("loss, nats a token"),
        single=_("one update"), mean=_("running mean"),
    )  # fmt: skip
    words = _("Suggested: {rate}").format(rate=f"{found:g}") if found else _("The loss never fell: nothing to suggest.")
    chart(
        figure, "rate_chart", height=300, csv="learning_rates", alt=words, caption=_(
            "Loss of each update of one copy of the model, the rate rising from update to update (Smith 2017). The"
            " suggestion is twice the rate where the mean falls fastest: a long run with warm-up bears more than a"
            " first moment. It is a place to start, not the best rate."
        ),
    )  # fmt: skip
    if not found:
        st.caption(words)
    elif st.button(
        _("Use {rate}").format(rate=f"{found:g}"), type="primary", key="use_rate", on_click=_use, args=[key, found]
    ):
        st.rerun()  # closes the dialog


def _measure(config: RunConfig) -> tuple[list[dict[str, float]], float | None]:
    """Trials and suggestion; kept in the session, as the dialog runs again when its button is pressed."""
    known = st.session_state.get("rate_trials")
    if known and known[0] == config:
        return known[1], known[2]
    progress = st.progress(0.0, text=_("Training with a rising rate …"))
    trials: list[dict[str, float]] = []
    found: float | None = None
    for piece in cache.ask("learning_rates", config=config.model_dump(mode="json")):
        trials += piece["trials"]
        found = piece.get("suggestion")
        progress.progress(min(1.0, len(trials) / 100), text=_("Training with a rising rate …"))
    progress.empty()
    st.session_state["rate_trials"] = (config, trials, found)
    return trials, found


def _use(key: str, rate: float) -> None:
    st.session_state[key] = rate
