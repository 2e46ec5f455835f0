"""Preference: a copy of the model learns from which of two texts is better, by a person's choice or by a rule."""

from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.inspect.rewards import RULES
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.decoding_controls import prompt_control
from lmviz.ui.errors import markdown_safe, show_error
from lmviz.ui.figures.preference import learning_figure
from lmviz.ui.generate.preference_words import finding, live_html
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore, switch
from lmviz.ui.theme import color

BETAS = [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
RATES = [1e-4, 3e-4, 1e-3, 3e-3]
LENGTHS = [20, 40, 60, 100]
UPDATES = [10, 20, 40, 60, 100, 200]
ENOUGH = 3
"""Choices from which it can learn."""


def preference_part(scene: Scene) -> None:
    names = {"rule": _("A rule chooses"), "person": _("You choose")}
    who = switch(_("Who says what is better"), names, "preference_who", "who")
    left, right = st.columns([2, 5], gap="large")
    with left:
        asks = {"prompt": prompt_control(scene.run), "length": _select(_("Length, tokens"), LENGTHS, "length", 40)}
        with right:
            pairs = _choose(scene, asks) if who == "person" else []
        asks |= _rule() if who == "rule" else {"method": "dpo", "pairs": pairs}
        asks |= _settings(asks["method"])
        ready = who == "rule" or len(pairs) >= ENOUGH
        words = _("Learn") if who == "rule" else _("Learn from {count} choices").format(count=len(pairs))
        pressed = st.button(
            words, type="primary", icon=":material/model_training:", key="preference_learn", width="stretch",
            disabled=not ready,
        )  # fmt: skip
        if not ready:
            st.caption(_("Choose at least {count} times.").format(count=ENOUGH))
    with right:
        key = f"preference_{scene.run.id}_{scene.step}_{who}"
        if pressed:
            st.session_state[key] = _learn(scene, asks)
            if st.session_state[key]:
                st.rerun()  # without the Stop button
        if st.session_state.get(key):
            _show(scene, *st.session_state[key])
        elif who == "rule" and not pressed:
            st.info(_(
                "A copy of the model writes {count} texts an update; the rule scores each, and what scored well becomes"
                " likelier. KL holds the copy near the model: it is the leash. Press Learn."
            ).format(count=16), icon=":material/pets:")  # fmt: skip


def _select(words: str, options: list[Any], name: str, default: Any, **how: Any) -> Any:
    key = f"preference_{name}"
    restore(key, name, options, default)
    value = st.select_slider(words, options, key=key, **how)
    remember(name, value, default)
    return value


def _rule() -> dict[str, Any]:
    rules = list(RULES)
    restore("preference_rule", "rule", rules, rules[0])
    rule = st.selectbox(_("The rule rewards"), rules, format_func=lambda one: _(RULES[one][0]), key="preference_rule")
    remember("rule", rule, rules[0])
    typed = ""
    if rule == "letters":
        if "preference_letters" not in st.session_state:
            st.session_state["preference_letters"] = st.query_params.get("letters", "e")[:20]
        typed = str(st.text_input(_("Letters"), key="preference_letters", max_chars=20))
        remember("letters", typed, "e")
    methods = {"reinforce": "REINFORCE", "dpo": "DPO"}
    restore("preference_method", "method", list(methods), "reinforce")
    method = st.segmented_control(
        _("Method"), list(methods), format_func=methods.__getitem__, key="preference_method", required=True, help=_(
            "REINFORCE raises the probability of texts by how much better than the others they scored. DPO pairs the"
            " best texts of an update with its worst and widens the difference between them."
        ),
    )  # fmt: skip
    remember("method", method, "reinforce")
    return {"rule": rule, "letters": typed, "method": method}


def _settings(method: str) -> dict[str, Any]:
    default = 0.02 if method == "reinforce" else 0.1
    beta = _select(_("Leash, beta"), BETAS, f"beta_{method}", default, help=_(
        "How much distance from the model it began with costs: nothing at 0. In DPO the larger it is, the less it takes"
        " to tell the texts of a pair apart."
    ))  # fmt: skip
    with st.expander(_("More"), key="preference_more"):
        updates = _select(_("Updates"), UPDATES, "updates", 60)
        rate = _select(_("Learning rate"), RATES, "rate", 1e-3, format_func=lambda value: f"{value:g}")
        seed = int(st.number_input(_("Seed"), 0, 20_000, 1, key="preference_seed"))
    return {"beta": beta, "updates": updates, "learning_rate": rate, "seed": seed}


def _choose(scene: Scene, asks: dict[str, Any]) -> list[Any]:
    """Two texts to choose from; the choices so far, as pairs of tokens."""
    about = [scene.run.id, scene.step, asks["prompt"], asks["length"]]
    if st.session_state.get("preference_about") != about:
        st.session_state["preference_about"], st.session_state["preference_pairs"] = about, []
        st.session_state["preference_round"] = 0
    pairs: list[Any] = st.session_state["preference_pairs"]
    seeds = [2 * st.session_state["preference_round"], 2 * st.session_state["preference_round"] + 1]
    answer = asked("preference_texts", _("Writing"), **scene.question, **asks, seeds=seeds)
    if answer is None:
        return []
    texts = answer["texts"]

    def choose(better: int | None) -> None:
        if better is not None:
            pairs.append([texts[better]["tokens"], texts[1 - better]["tokens"]])
        st.session_state["preference_round"] += 1

    st.subheader(_("Which is better? Choice {number}").format(number=len(pairs) + 1), anchor=False)
    for place, (name, column) in enumerate(zip(("A", "B"), st.columns(2), strict=True)):
        with column:
            st.code(asks["prompt"] + texts[place]["text"], language=None, wrap_lines=True)
            st.button(_("{name} is better").format(name=name), key=f"preference_{name}", on_click=choose, args=(place,),
                      width="stretch")  # fmt: skip
    with st.container(horizontal=True):
        st.button(_("Neither"), key="preference_neither", on_click=choose, args=(None,))
        st.button(_("Take the last choice back"), key="preference_undo", disabled=not pairs, icon=":material/undo:",
                  on_click=lambda: pairs.pop())  # fmt: skip
    return list(pairs)


def _learn(scene: Scene, asks: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]] | None:
    """What was asked, its updates and its end; shown as it comes. Whatever is pressed meanwhile ends it."""
    place = st.empty()
    st.button(_("Stop"), key="preference_stop", icon=":material/stop:")
    updates: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    try:
        for last in cache.ask("preference", **scene.question, **asks):
            if "update" in last:
                updates.append(last["update"])
                place.html(live_html(updates, asks["updates"]))
    except LmvizError as error:
        show_error(error)
        return None
    finally:
        place.empty()
    return asks, updates, last


def _show(scene: Scene, asks: dict[str, Any], updates: list[dict[str, Any]], end: dict[str, Any]) -> None:
    title = finding(asks, updates)
    by_rule = not asks.get("pairs")
    gained = [one["reward"] if by_rule else one["margin"] for one in updates]
    figure = learning_figure(
        gained, [one["kl"] for one in updates], color(scene.run.config().model.kind), title=title, x=_("update"),
        y=_("mean reward") if by_rule else _("mean margin"), y_kl=_("KL, nats a text"), key=f"{scene.run.id}",
    )  # fmt: skip
    chart(
        figure, "preference_chart", height=300, alt=title, csv=f"{scene.run.id}-preference", caption=_(
            "Reward: by the rule, from 0 to 1, mean of the 16 texts of the update. Margin: beta times how much more the"
            " copy prefers the better text than the model did. KL: from the copy to the model, exact over the"
            " vocabulary at every place of these texts, before the update."
        ),
    )  # fmt: skip
    for heading, texts, column in zip(
        (_("Before"), _("After, same seeds")), (end["before"], end["after"]), st.columns(2), strict=True
    ):
        with column:
            st.markdown(f"**{heading}**")
            for text in texts:
                st.code(asks["prompt"] + text["text"], language=None, wrap_lines=True)
                if text["reward"] is not None:
                    st.caption(_("reward {value}").format(value=f"{text['reward']:.2f}"))
    _keep(scene, asks)


def _keep(scene: Scene, asks: dict[str, Any]) -> None:
    """The copy as a run: it learns the same once more, and is written down."""
    key = f"preference_kept_{scene.run.id}"
    name = _("{name}, after preference").format(name=scene.run.config().name or scene.run.id)
    if st.button(_("Keep the copy as a run"), icon=":material/save:", key="preference_keep", help=_(
        "It learns the same once more, to the same weights, and can then be opened on every page."
    )):  # fmt: skip
        try:
            with st.spinner(_("Learning once more")):
                *_pieces, end = cache.ask("preference", **scene.question, **asks, keep=name[:120])  # makes a run: anew
            st.session_state[key] = [asks, end["kept"]]
        except LmvizError as error:
            show_error(error)
    known = st.session_state.get(key)
    if known and known[0] == asks and (kept := known[1]):
        words = _("Kept as {run}. Choose it above, or compare both in Side by side.")
        st.success(words.format(run=markdown_safe(kept)))
