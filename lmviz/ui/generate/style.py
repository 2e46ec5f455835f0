"""Style: a model of several texts with labels writes the same beginning under each label."""

from typing import Any

import streamlit as st

from lmviz.corpora import list_corpora
from lmviz.corpora.mixed import MOST_PARTS, label, parts_of
from lmviz.errors import LmvizError
from lmviz.presets import preset
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.chart import chart
from lmviz.ui.decoding_controls import more_controls, strategy_controls
from lmviz.ui.errors import markdown_safe, show_error
from lmviz.ui.figures.styles import styles_figure
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember
from lmviz.ui.start import start_runs
from lmviz.ui.theme import plain
from lmviz.ui.tokens import token_html

SAMPLE = "sample-styles"
ADDRESS_CHARACTERS = 400


def style_part(scene: Scene) -> None:
    parts = parts_of(scene.run.config().corpus.name)
    if len(parts) < 2:
        _invite()
        return
    left, right = st.columns([2, 5], gap="large")
    with left:
        begun = _beginning()
        common = {**strategy_controls(), **more_controls(scene.run)}
        common["max_new_tokens"] = min(common["max_new_tokens"], 300)
    labels = [*parts[:MOST_PARTS], ""]
    names = [label(part).strip() for part in parts] + [_("no label")]
    with right:
        measured = asked("styles", _("Measuring"), **scene.question)
        if measured is not None:
            st.subheader(finding(measured), anchor=False)
        sides = [
            {**scene.question, **common, "prompt": (label(one) if one else "") + begun} for one in labels
        ]  # fmt: skip
        answer = asked("side", _("Writing"), sides=sides)
        if answer is not None:
            _texts(begun, names, answer["sides"])
        if measured is not None:
            _matrix(scene, measured, names)
    with st.expander(_("Train a model of other texts"), key="style_train"):
        _train()


def finding(measured: dict[str, Any]) -> str:
    """What the right label is worth."""
    losses, count = measured["losses"], len(measured["parts"])
    own = sum(losses[i][i] for i in range(count)) / count
    others = [losses[i][j] for i in range(count) for j in range(count) if i != j]
    words = _("The right label makes held-out text {gain} nats a token cheaper than a wrong one; {share} of the pieces"
              " fit their own label best")  # fmt: skip
    return words.format(gain=f"{sum(others) / len(others) - own:.3f}", share=f"{measured['right']:.0%}")


def _beginning() -> str:
    """What comes after the label."""
    if "style_prompt" not in st.session_state:
        st.session_state["style_prompt"] = st.query_params.get("begin", "The ")[:ADDRESS_CHARACTERS]
    text = str(st.text_input(_("Beginning, after the label"), key="style_prompt", max_chars=ADDRESS_CHARACTERS))
    remember("begin", text, "The ")
    return text


def _texts(begun: str, names: list[str], sides: list[dict[str, Any]]) -> None:
    for row in range(0, len(sides), 2):
        columns = st.columns(2)
        for column, name, side in zip(columns, names[row : row + 2], sides[row : row + 2], strict=False):
            with column:
                st.markdown(f"**{markdown_safe(name)}**")
                st.html(token_html(begun, side["tokens"], writing=False))
    st.caption(_(
        "The same beginning and the same seed; only the label before it differs, which is not shown. Pieces of the"
        " training text were short, so the model ends soon. Shade: how unsure it was of the token."
    ))  # fmt: skip


def _matrix(scene: Scene, measured: dict[str, Any], names: list[str]) -> None:
    title = _("Loss of each text under each label, nats a token")
    chart(
        styles_figure(
            [plain(part) for part in measured["parts"]], [plain(name) for name in names], measured["losses"],
            title=title, x=_("label"), y=_("text"), key=scene.run.id,
            hover=_("{part} under {label}: {loss}").format(part="%{y}", label="%{x}", loss="<b>%{z}</b>"),
        ), "style_matrix", height=90 + 62 * len(measured["parts"]), alt=finding(measured),
        csv=f"{scene.run.id}-styles", caption=_(
            "Mean over up to {count} held-out pieces of each text, which the model has not learned from; the label"
            " itself is not counted. Framed: a text under its own label."
        ).format(count=measured["pieces"]),
    )  # fmt: skip


def _invite() -> None:
    st.info(_(
        "This model learned from one text. A model of several texts, each piece with its label in front, writes in the"
        " style that the label names."
    ), icon=":material/info:")  # fmt: skip
    if any(run.id == SAMPLE for run in cache.store().runs()):
        st.button(_("Show the sample with two styles"), key="style_sample", icon=":material/palette:",
                  type="primary", on_click=_open, args=(SAMPLE,))  # fmt: skip
    _train()


def _open(run_id: str) -> None:
    st.session_state["run_choice"] = run_id


def _train() -> None:
    """Choose texts, and train a GRU on them."""
    texts = {row.name: _(row.title) if row.kind != "added" else row.title for row in list_corpora()}
    chosen = st.multiselect(
        _("Texts"), list(texts), [name for name in ("python-reference", "python") if name in texts],
        format_func=texts.__getitem__, key="style_texts", max_selections=MOST_PARTS,
    )  # fmt: skip
    if st.button(_("Train it"), key="style_start", icon=":material/play_arrow:", disabled=len(chosen) < 2):
        try:
            (run,) = start_runs([preset(
                "gru", corpus={"name": "+".join(chosen)},
                training={"steps": 2500, "context_length": 160, "batch_size": 24},
            )])  # fmt: skip
        except LmvizError as error:
            show_error(error)
            return
        words = _("{run} has begun; it takes a few minutes. Choose it above when it has kept its first weights.")
        st.success(words.format(run=markdown_safe(run.id)))
        st.page_link("pages/runs.py", label=_("Runs"), icon=":material/folder_open:")
