"""Poem: a quatrain written in the pattern of tones and rhymes of regulated verse, or freely and held against it."""

from typing import Any

import streamlit as st

from lmviz.decoding.verse import PATTERNS, SIZES
from lmviz.errors import LmvizError
from lmviz.inspect.tones import RHYMES, is_chinese
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.decoding_controls import next_seed, seed_control, temperature_control
from lmviz.ui.errors import show_error
from lmviz.ui.generate.idioms import idioms
from lmviz.ui.generate.poem_html import poem_html
from lmviz.ui.generate.poem_rates import rates
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore

SAMPLE = "sample-tang"
AUTO = "auto"


def poem_part(scene: Scene) -> None:
    try:
        verse = cache.answer("verse", run=scene.run.id)
    except LmvizError as error:
        show_error(error)
        return
    if verse["kind"] is None:
        _no_verse()
    elif verse["kind"] == "idioms":
        idioms(scene)
    else:
        _quatrain(scene, verse["line"])


def _no_verse() -> None:
    st.info(_(
        "Poems need a model that learned Chinese, a character a token. Choose one, or the sample that learned stanzas"
        " of the Tang."
    ), icon=":material/info:")  # fmt: skip
    st.button(
        _("Show the Tang poems"),
        type="primary",
        icon=":material/auto_stories:",
        key="poem_sample",
        on_click=_take_sample,
    )


def _take_sample() -> None:
    st.session_state["run_choice"] = SAMPLE
    st.query_params["run"] = SAMPLE


def _quatrain(scene: Scene, usual: str) -> None:
    left, right = st.columns([2, 5], gap="large")
    with left:
        asks = _controls(usual)
    with right:
        answer = asked("poem", _("Writing"), **scene.question, **asks)
        if answer is not None:
            st.subheader(finding(answer), anchor=False)
            st.html(poem_html(answer))
            st.caption(_about(answer))
    if answer is not None:
        del asks["keep"]
        rates(scene, asks)
        st.caption(_(
            "Tones are those of modern Mandarin (pypinyin), rhymes the fourteen of the New Chinese Rhymes (中华新韵,"
            " 2005). Poets of the Tang followed Middle Chinese: characters with the entering tone (入声, such as 白,"
            " 日, 一) were oblique, and some have a level tone today, so their poems break the pattern here and there"
            " by modern readings. Patterns: Wang Li (王力, 诗词格律), without the exceptions that poets allowed"
            " themselves (拗救). A character with several readings in use counts as either (◎)."
        ))  # fmt: skip


def _controls(usual: str) -> dict[str, Any]:
    line = str(st.text_input(
        _("First line"), usual, key="poem_line", bind="query-params", max_chars=40,
        placeholder=_("Five or seven characters, or none"),
        help=_("It is kept as it is. Leave it empty, and the model writes the first line too."),
    ))  # fmt: skip
    characters = sum(map(is_chinese, line))
    known = [pattern for pattern in PATTERNS.values() if characters not in SIZES or pattern.size == characters]
    names = {AUTO: _("nearest to the first line") if characters in SIZES else _("the usual one")}
    names |= {pattern.key: _(pattern.name) for pattern in known}
    restore("poem_form", "form", list(names), AUTO)
    pattern = st.selectbox(_("Pattern"), list(names), format_func=names.__getitem__, key="poem_form")
    remember("form", pattern, AUTO)
    restore("poem_free", "keep", ["yes", "no"], "yes")
    words = {"yes": _("Keep the pattern"), "no": _("Write freely")}
    keep = st.segmented_control(
        _("Tones and rhymes"), list(words), format_func=words.__getitem__, key="poem_free", required=True,
        width="stretch", help=_(
            "Keep: at every place only characters with the right tone and rhyme can be drawn. Free: all can be."
        ),
    )  # fmt: skip
    remember("keep", keep, "yes")
    temperature = temperature_control()
    seed = seed_control()
    st.button(
        _("Write another"), type="primary", icon=":material/edit_note:", key="poem_another", width="stretch",
        on_click=next_seed,
    )  # fmt: skip
    return {"line": line, "pattern": pattern, "temperature": temperature, "seed": seed, "keep": keep == "yes"}


def finding(answer: dict[str, Any]) -> str:
    """Whether what was written keeps the pattern."""
    name = PATTERNS[answer["pattern"]].chinese
    if answer["kept"]:
        words = _("The model's lines keep the pattern {name}: every tone, every rhyme")
        return words.format(name=name)
    if not answer["form"]:
        return _("This is no quatrain of the form {name}").format(name=name)
    words = _("Broken in the model's lines, held against {name}: tones {tones}, rhymes {rhymes}")
    return words.format(name=name, tones=answer["tones_broken"], rhymes=answer["rhymes_broken"])


def _about(answer: dict[str, Any]) -> str:
    words = []
    if answer["given_broken"]:
        words.append(
            _("The first line stays as it was given; it breaks the pattern at {count} places.").format(
                count=answer["given_broken"]
            )
        )
    if answer["nearest"] != answer["pattern"]:
        words.append(_("The whole poem is nearest to {name}.").format(name=PATTERNS[answer["nearest"]].chinese))
    if answer["rhyme"]:
        finals = ", ".join(RHYMES[answer["rhyme"]]).replace("v", "ü")
        words.append(_("Rhyme: {name} ({finals}).").format(name=answer["rhyme"], finals=finals))
    words.append(
        _("Mean log-probability of the characters that the model wrote: {value} nats.").format(
            value=f"{answer['logprob']:.2f}"
        )
    )
    return " ".join(words)
