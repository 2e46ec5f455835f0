"""Idioms: four characters a line, their tones, and which shapes of tones are common."""

from typing import Any

import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.decoding_controls import next_seed, seed_control, temperature_control
from lmviz.ui.figures.poem import shapes_figure
from lmviz.ui.generate.poem_html import idioms_html
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.theme import color

SHOWN = 12
COUNT = 150


def idioms(scene: Scene) -> None:
    left, right = st.columns([2, 5], gap="large")
    with left:
        temperature = temperature_control()
        seed = seed_control()
        st.button(
            _("Write others"), type="primary", icon=":material/edit_note:", key="poem_another", width="stretch",
            on_click=next_seed,
        )  # fmt: skip
        st.caption(_(
            "Idioms follow no regulated pattern of tones, so nothing is forced here. For quatrains choose a model of"
            " Tang poems."
        ))  # fmt: skip
    with right:
        answer = asked("idiom_tones", _("Writing"), **scene.question, temperature=temperature, seed=seed, count=COUNT)
        if answer is None:
            return
        st.subheader(finding(answer), anchor=False)
        st.html(idioms_html(answer["idioms"][:SHOWN]))
        st.caption(_(
            "○ level (平: tones 1 and 2) · ● oblique (仄: tones 3 and 4), modern Mandarin as the idiom is usually read"
            " (pypinyin). With a line at the left: it is in the list that the model learned from."
        ))  # fmt: skip
    _shapes(scene, answer)


def finding(answer: dict[str, Any]) -> str:
    total = len(answer["idioms"])
    words = _("Of {count} lines, {idioms} have four characters; {known} of these are real idioms")
    return words.format(
        count=total + answer["other"], idioms=total, known=sum(idiom["known"] for idiom in answer["idioms"])
    )


def _shapes(scene: Scene, answer: dict[str, Any]) -> None:
    shapes, total = answer["shapes"], max(1, len(answer["idioms"]))
    names = list(shapes)
    written = [shapes[name][0] / total for name in names]
    learned = [shapes[name][1] / max(1, answer["corpus"]) for name in names]
    best = max(range(len(names)), key=learned.__getitem__)
    title = _("The commonest shape of the list is {shape}, {learned} of it; of those written {written}").format(
        shape=names[best], learned=f"{learned[best]:.0%}", written=f"{written[best]:.0%}"
    )
    figure = shapes_figure(
        names, written, learned, color(scene.run.config().model.kind), title=title, x=_("tones of the four characters"),
        y=_("share"), written_name=_("written"), learned_name=_("the list"), key=scene.run.id,
    )  # fmt: skip
    chart(
        figure, "poem_shapes", height=280, csv=f"{scene.run.id}-{scene.step}-shapes", alt=title, caption=_(
            "All sixteen shapes of four level (平) and oblique (仄) tones: of the {written} idioms written, and of"
            " {learned} from the list, spread evenly over it."
        ).format(written=len(answer["idioms"]), learned=f"{answer['corpus']:,}"),
    )  # fmt: skip
