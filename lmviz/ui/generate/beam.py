"""Beam search drawn: which beginnings of a text it keeps at every step, which it drops, and what that finds."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lmviz.corpora.tasks import TASK
from lmviz.decoding.config import DecodingConfig
from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.decoding_controls import penalty_controls, prompt_control
from lmviz.ui.figures.beam import tree_figure
from lmviz.ui.generate.beam_tree import beam_tree
from lmviz.ui.generate.beam_words import PENALTIES, about, finding, penalised, summary_rows, width_rows, widths_finding
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _, field_help
from lmviz.ui.kept import remember, restore
from lmviz.ui.theme import color

MOST_BEAMS, LONGEST = 8, 24
LONG = 100
"""Tokens of the texts in which repetition is measured."""


def beam_part(scene: Scene) -> None:
    left, right = st.columns([2, 7], gap="large")
    with left:
        settings = _controls(scene)
    with right:
        answer = asked("beam", _("Searching"), **scene.question, **settings)
        if answer is None:
            return
        st.subheader(finding(answer, penalised(settings)), anchor=False)
        _tree(scene, answer, settings)
        st.dataframe(summary_rows(answer, settings["beam_groups"]), hide_index=True)
        st.caption(about(answer, settings))
    if not scene.run.config().corpus.is_task:
        _widths(scene, settings)


def _controls(scene: Scene) -> dict[str, Any]:
    """Settings for `DecodingConfig`."""
    values: dict[str, Any] = {"prompt": prompt_control(scene.run)}
    values["num_beams"] = beams = st.slider(
        _("Beams"), 1, MOST_BEAMS, 4, key="num_beams", bind="query-params",
        help=field_help(DecodingConfig, "num_beams"),
    )  # fmt: skip
    task = TASK.get(scene.run.config().corpus.name)
    if task:  # what would follow the answer was never trained
        values["max_new_tokens"] = min(task.scored, LONGEST)
    else:
        values["max_new_tokens"] = st.slider(
            _("Length, tokens"), 4, LONGEST, 20, key="beam_length", bind="query-params"
        )
    values["length_penalty"] = st.slider(
        _("Length penalty"), -2.0, 2.0, 1.0, 0.25, key="length_penalty", bind="query-params",
        help=field_help(DecodingConfig, "length_penalty"),
    )  # fmt: skip
    values["early_stopping"] = st.toggle(
        _("Stop early"), key="early_stopping", bind="query-params", help=field_help(DecodingConfig, "early_stopping")
    )
    if scene.run.config().has_text:
        lines = st.toggle(
            _("A text ends with its line"), key="beam_lines", bind="query-params",
            help=_("A new line then ends a text as <end> does, so that texts of different lengths compete."),
        )  # fmt: skip
        values["stop"] = ["\n"] if lines else []
    with st.expander(_("Groups that differ"), key="beam_more", expanded=st.query_params.get("groups", "1") != "1"):
        sizes = [count for count in range(1, beams + 1) if beams % count == 0]
        restore("beam_groups", "groups", sizes, 1)
        groups = st.segmented_control(
            _("Groups"), sizes, key="beam_groups", required=True, help=field_help(DecodingConfig, "beam_groups")
        )
        assert groups is not None
        values["beam_groups"] = groups
        remember("groups", groups, 1)
        strength = st.slider(
            _("Diversity penalty"), 0.0, 5.0, 1.0, 0.25, key="diversity_penalty", bind="query-params",
            disabled=groups == 1, help=field_help(DecodingConfig, "diversity_penalty"),
        )  # fmt: skip
        values["diversity_penalty"] = strength if groups > 1 else 0.0
    with st.expander(_("Against repetition"), key="beam_penalties"):
        values |= penalty_controls()
    return values


def _tree(scene: Scene, answer: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    tree = beam_tree(answer, settings)
    title = _("What beam search keeps at every step")
    figure = tree_figure(
        tree, color(scene.run.config().model.kind), title=title, x=_("token"), key=f"{scene.run.id} {settings}",
        names={
            "best": _("the best text"), "kept": _("goes on"), "dropped": _("dropped"), "greedy": _("greedy search"),
        },
    )  # fmt: skip
    st.html(f"<style>.st-key-beam_tree_box .plot {{ min-width: {tree.width}px; }}</style>")
    best, greedy = answer["hypotheses"][0], answer["greedy"]
    with st.container(key="beam_tree_box"):
        chart(
            figure, "beam_tree", height=tree.height, csv=f"{scene.run.id}-{scene.step}-beams",
            alt=_("A tree of beginnings. Beam search ends with “{best}”, greedy search with “{greedy}”.").format(
                best=best["text"], greedy=greedy["text"]
            ),
        )  # fmt: skip


def _widths(scene: Scene, settings: Mapping[str, Any]) -> None:
    """Longer texts of more and more beams: how probable they are, and how much they repeat themselves."""
    names = ("prompt", *PENALTIES)
    answer = asked(
        "beam_widths", _("Longer texts with more beams"), **scene.question, **{name: settings[name] for name in names},
        max_new_tokens=LONG,
    )  # fmt: skip
    if answer is None:
        return
    st.subheader(widths_finding(answer), anchor=False)
    st.dataframe(width_rows(answer), hide_index=True)
    st.caption(_(
        "Texts of up to {count} tokens. Longest repeat: the longest run of tokens that comes twice in a text without"
        " overlapping. Chance a token: the geometric mean of the model's own probabilities. Drawn: every token by"
        " chance from the model's own probabilities, with seed 1. That the most probable texts are often dull and"
        " repeat themselves was shown by Holtzman et al. (2020); here it is measured on this model."
    ).format(count=LONG))  # fmt: skip
