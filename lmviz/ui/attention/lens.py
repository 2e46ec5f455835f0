"""Layer by layer: what the model would predict if it ended after each of its layers, the logit lens."""

from typing import Any

import numpy as np
import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.selection import choose_query, query_known
from lmviz.ui.chart import Click, chart
from lmviz.ui.figures.lens import depth_figure, grid_figure, guesses_figure
from lmviz.ui.i18n import _
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

SHORT = 12
"""Characters of a token in a cell."""
MARKS = {"<begin>": "^", "<mask>": "?", "<end>": "$"}
"""Special tokens in a cell."""
TOUCHED = "attention_lens_touched"
"""In the session once a token has been chosen here."""
CHARACTER, LEAST = 8, 21
"""Pixels of a character in a cell, and of the narrowest cell."""


def lens_part(scene: Scene) -> None:
    if not scene.reads_text:
        st.info(_(
            "The lens reads models whose layers all stand above one another and end in the vocabulary: choose a GPT or"
            " a BERT."
        ), icon=":material/info:")  # fmt: skip
        return
    query = _chosen(scene)
    masked = list(scene.masked) or ([query] if scene.kind == "bert" and query else [])
    answer = asked("attention_lens", _("Reading"), **scene.question, masked=masked)
    if answer is None:
        return
    depths = depth_names(scene.layers)
    st.subheader(finding(answer, scene.kind), anchor=False)
    _grid(scene, answer, depths, query)
    st.caption(_about(scene))
    left, right = st.columns([6, 5], gap="large")
    with left:
        _guesses(scene, answer, depths, query)
    with right:
        _by_depth(scene, answer, depths, query)


def _chosen(scene: Scene) -> int:
    """The chosen token; of a gpt at first the last but one, as what comes after the last is not known."""
    query = query_known(scene)
    untouched = "query" not in st.query_params and TOUCHED not in st.session_state
    return query - 1 if scene.kind == "gpt" and untouched and query > 0 else query


def depth_names(layers: int) -> list[str]:
    words = _("layer {layer}")
    return [_("embedding"), *(words.format(layer=layer + 1) for layer in range(layers))]


def finding(answer: dict[str, Any], kind: str) -> str:
    """What the right token's chance does from the embedding to the end, on average."""
    mean, _kl = means(answer)
    if kind == "bert":
        return _("Layer by layer, what does it take each token for? The framed one is hidden from it")
    gains = np.diff(mean)
    words = _("The right token's mean chance: {first} at the embedding, {last} at the end; layer {layer} adds most")
    return words.format(first=f"{mean[0]:.0%}", last=f"{mean[-1]:.0%}", layer=int(gains.argmax()) + 1)


def means(answer: dict[str, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Over the text: chance of the right token, where it is known, and distance from the end, by depth (L + 1,)."""
    true, kl = (np.array(answer[name], np.float64) for name in ("true", "kl"))  # None becomes NaN
    return np.nanmean(true, 1), kl.mean(1)


def _grid(scene: Scene, answer: dict[str, Any], depths: list[str], query: int) -> None:
    guesses = answer["guesses"]
    chances = np.array([[place[0][1] for place in row] for row in guesses])
    right = answer["right"]
    texts = [
        [_cell(place[0][0], right[at]) for at, place in enumerate(row)] for row in guesses
    ]  # fmt: skip
    hovers = [
        [_hover(depth, answer, number, at) for at in range(len(row))]
        for number, (depth, row) in enumerate(zip(depths, guesses, strict=True))
    ]  # fmt: skip
    name = _("what came") if scene.kind == "gpt" else _("what it is")
    title = _("The likeliest next token after each layer") if scene.kind == "gpt" else _(
        "The likeliest token of each place after each layer"
    )  # fmt: skip
    figure = grid_figure(
        chances, texts, hovers, [_short(token) for token in answer["read"]],
        [_short(token) if token is not None else "?" for token in right], depths, query, title=title,
        right_name=name, key=f"{scene.run.id} {len(right)}",
    )  # fmt: skip

    def clicked(event: Click) -> None:
        place = event.get("x")
        if isinstance(place, int | float) and 0 <= place < len(right):
            st.session_state[TOUCHED] = True
            choose_query(int(place))

    wide = _width([*answer["read"], *(place[0][0] for row in guesses for place in row)], len(right))
    st.html(f"<style>.st-key-attention_lens_grid .plot {{ min-width: {wide}px; }}</style>")
    with st.container(key="attention_lens_grid"):
        chart(
            figure, "attention_lens", height=46 + 30 * (len(depths) + 1), on_event=clicked,
            csv=f"{scene.run.id}-{scene.step}-lens", alt=title,
        )  # fmt: skip


def _width(tokens: list[str], columns: int) -> int:
    """Pixels at which all columns can be read."""
    longest = max(len(_short(token)) for token in tokens)
    return 130 + columns * max(LEAST, CHARACTER * longest + 8)


def _short(token: str) -> str:
    """In a cell."""
    shown = MARKS.get(token) or visible_token(token)
    return plain(shown if len(shown) <= SHORT else shown[: SHORT - 1] + "…")


def _cell(token: str, right: str | None) -> str:
    return f"<b><u>{_short(token)}</u></b>" if token == right else _short(token)


def _hover(depth: str, answer: dict[str, Any], number: int, at: int) -> str:
    lines = [f"{depth}, {at}: {plain(visible_token(answer['read'][at]))}"]
    lines += [f"{chance:.1%}  {plain(visible_token(token))}" for token, chance in answer["guesses"][number][at]]
    true = answer["true"][number][at]
    if true is not None:
        words = _("right: {token}, {chance}")
        lines.append(words.format(token=plain(visible_token(answer["right"][at])), chance=f"{true:.1%}"))
    return "<br>".join(lines)


def _about(scene: Scene) -> str:
    words = [_(
        "Above the columns the tokens read (^ is the beginning of the text, $ its end), in each cell the likeliest one"
        " if the model ended there; the further from the colour of the page, the surer. Underlined: right. Click on a"
        " column to choose it."
    )]  # fmt: skip
    if scene.kind == "bert":
        words.append(
            _("The framed token is hidden from the model (?); it sees all others, so that it need not guess them.")
        )
    words.append(_(
        "The logit lens (nostalgebraist 2020) reads what flows between two layers with the model's last norm and output"
        " layer, which are trained for the end alone. What it shows is there to be read; where it shows nonsense, the"
        " layer may well know more, written in another way."
    ))  # fmt: skip
    return " ".join(words)


def _guesses(scene: Scene, answer: dict[str, Any], depths: list[str], query: int) -> None:
    """The five likeliest at every depth, for the chosen token."""
    token = visible_token(answer["read"][query])
    title = _("After token {place}, “{token}”") if scene.kind == "gpt" else _("Instead of token {place}, “{token}”")
    title = title.format(place=query, token=token if scene.kind == "gpt" else visible_token(answer["right"][query]))
    right = answer["right"][query]
    if scene.kind == "gpt" and right is not None:
        words = _("After token {place}, “{token}”, came “{right}”")
        title = words.format(place=query, token=token, right=visible_token(right))
    rows = [[(plain(visible_token(name)), chance) for name, chance in row[query]] for row in answer["guesses"]]
    best, chance = answer["guesses"][-1][query][0]
    figure = guesses_figure(
        depths, rows, None if right is None else plain(visible_token(right)), color(scene.kind), title=plain(title),
        x=_("chance"), hover=_("{token}: {chance}").format(token="%{customdata}", chance="<b>%{x:.2%}</b>"),
        key=f"{scene.run.id} {scene.layers}",
    )  # fmt: skip
    chart(
        figure, "attention_lens_guesses", height=70 + 44 * len(depths), csv=f"{scene.run.id}-{scene.step}-lens-top",
        alt=_("At the end {token} is likeliest with {chance}.").format(
            token=visible_token(best), chance=f"{chance:.1%}"
        ), caption=_("The five likeliest tokens at every depth, one after the other; in colour: the right one."),
    )  # fmt: skip


def _by_depth(scene: Scene, answer: dict[str, Any], depths: list[str], query: int) -> None:
    mean, kl = means(answer)
    true = [row[query] for row in answer["true"]]
    chosen = [] if true[0] is None else [float(value) for value in true]
    title = _("Chance of the right token, and distance from the end")
    figure = depth_figure(
        depths, mean.tolist(), chosen, kl.tolist(), [float(row[query]) for row in answer["kl"]], color(scene.kind),
        title=title, y=_("right token"), y_kl=_("KL, nats"), mean_name=_("mean over the text"),
        chosen_name=_("the chosen token"), key=f"{scene.run.id} {scene.layers}",
    )  # fmt: skip
    chart(
        figure, "attention_lens_depth", height=330, csv=f"{scene.run.id}-{scene.step}-lens-depth", alt=title,
        caption=_("KL: how far the prediction after each layer is from that of the whole model, 0 at the end."),
    )  # fmt: skip
