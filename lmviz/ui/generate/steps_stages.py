"""The bars of one step: every token's chance after each stage, and the draw."""

import html
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.packing import unpack
from lmviz.ui.chart import Click, chart
from lmviz.ui.figures.steps import Column, stages_figure
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.steps_path import END, Tree
from lmviz.ui.generate.steps_words import alike, did, draw_words, finding, percent, stage_names
from lmviz.ui.i18n import _
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

ROWS = (12, 24, 40)
SHORT = 12
SMALL = 0.0005
"""What <unk> and <begin> had, above which taking them out has a column of its own."""
ROW_PIXELS, HEAD_PIXELS = 23, 84
COLUMN_PIXELS = 82


def stages_part(
    scene: Scene, tree: Tree, answer: dict[str, Any], decoding: dict[str, Any], take: Callable[[int], None]
) -> None:  # fmt: skip
    chances, kept = unpack(answer["probabilities"]), unpack(answer["kept"]).astype(bool)  # (R, S)
    of_token = {token: chances[row].tolist() for row, token in enumerate(answer["ids"])}
    rows = _rows(answer, chances, st.session_state.get("steps_rows", ROWS[0]))
    taken = answer["path"][tree.place]["token"] if tree.place < len(answer["path"]) else None
    labels = _labels([answer["texts"][row] for row in rows])
    ids = [answer["ids"][row] for row in rows]
    others = len(answer["ids"]) - len(rows)
    stages = stage_names(answer, decoding)
    columns = _columns(answer, chances, kept, rows, stages)
    unseen = answer["vocabulary"] - len(rows)
    if unseen:
        labels.append(_("{count} others").format(count=f"{unseen:,}"))
        ids.append(-1)
    title = finding(answer, of_token)
    figure = stages_figure(
        columns, labels, ids, drawn=ids.index(answer["drawn"]), chosen=ids.index(taken) if taken in ids else None,
        color=color(scene.run.config().model.kind), title=plain(title), x=_("chance"), y="", key=scene.run.id,
    )  # fmt: skip

    def clicked(event: Click) -> None:
        data = event.get("customdata")
        token = data[0] if isinstance(data, list) and data else -1
        if isinstance(token, int | float) and token in choices(answer):
            take(int(token))

    wide = 70 + COLUMN_PIXELS * len(columns)
    st.html(f"<style>.st-key-steps_figure .plot {{ min-width: {wide}px; }}</style>")
    with st.container(key="steps_figure"):
        chart(
            figure, "steps_stages", height=HEAD_PIXELS + ROW_PIXELS * len(labels), on_event=clicked, alt=title,
            csv=f"{scene.run.id}-{scene.step}-step-{tree.place}",
            caption=_(
                "Chance of each token after each stage, from the model to the draw. Click on a token to go on with it"
                " instead. Hatched: taken out by this stage. Coloured row: drawn; dotted: taken in this text."
            ),
        )  # fmt: skip
    _lines(answer, decoding, stages, of_token)
    if others > 0 or len(rows) > ROWS[0]:
        st.segmented_control(
            _("Tokens shown"), list(ROWS), default=ROWS[0], key="steps_rows", required=True, width="content"
        )


def choices(answer: dict[str, Any]) -> list[int]:
    """Tokens that a text can go on with: <unk> and <begin> never come."""
    return [token for token in answer["ids"] if token >= END]


def _rows(answer: dict[str, Any], chances: NDArray[Any], count: int) -> list[int]:
    """Places of the tokens that are shown: the most probable before or after the stages, and what is marked."""
    ranks = np.minimum(*(np.argsort(np.argsort(-chances[:, at], kind="stable")) for at in (0, -1)))
    marked = {answer["drawn"], *(token["token"] for token in answer["path"][answer["place"] : answer["place"] + 1])}
    first = set(np.argsort(ranks, kind="stable")[:count].tolist())
    return sorted(first | {row for row, token in enumerate(answer["ids"]) if token in marked})


def _labels(texts: list[str]) -> list[str]:
    """One a row, all different: an axis of words knows its rows by their words."""
    labels: list[str] = []
    for text in texts:
        shown = visible_token(text)
        label = plain(shown if len(shown) <= SHORT else shown[: SHORT - 1] + "…")
        while label in labels:
            label += "\u200b"
        labels.append(label)
    return labels


def _columns(
    answer: dict[str, Any], chances: NDArray[Any], kept: NDArray[Any], rows: list[int], stages: list[str]
) -> list[Column]:  # fmt: skip
    """chances, kept: (R, S)."""
    hidden = np.setdiff1d(np.arange(len(chances)), rows)
    columns: list[Column] = []
    before = 0
    for at, stage in enumerate(answer["stages"]):
        if stage["name"] == "special" and stage["removed"] < SMALL:
            continue
        out = np.where(kept[rows, before] & ~kept[rows, at], chances[rows, before], 0)
        gone = ~kept[rows, at]
        texts = ["×" if gone[n] else percent(chances[row, at]) for n, row in enumerate(rows)]
        hovers = _hovers(answer, rows, at, chances, kept, stages)
        tail = answer["tail"][at]
        share = tail["probability"] + float(chances[hidden, at].sum())
        count = tail["count"] + int(kept[hidden, at].sum())
        head = f"<b>{stages[at]}</b><br>"
        head += _("{count} tokens").format(count=f"{stage['left']:,}") + f"<br>{stage['entropy']:.2f} nats"
        values = np.where(gone, 0, chances[rows, at]).tolist()
        columns.append(Column(head, values, out.tolist(), texts, hovers))
        if answer["vocabulary"] > len(rows):
            had = float((chances[hidden, before] * (kept[hidden, before] & ~kept[hidden, at])).sum())
            had += 0.0 if count else answer["tail"][before]["probability"]
            words = _("other {count} tokens share {share}").format(count=f"{count:,}", share=percent(share))
            if not count:
                words = _("all others are out; before this stage they shared {share}").format(share=percent(had))
            columns[-1] = Column(
                head, [*values, share], [*out.tolist(), 0.0 if count else had],
                [*texts, percent(share) if count else "×"], [*hovers, words],
            )  # fmt: skip
        before = at
    columns.append(_draw(answer, chances, kept, rows))
    return columns


def _hovers(
    answer: dict[str, Any], rows: list[int], at: int, chances: NDArray[Any], kept: NDArray[Any], stages: list[str]
) -> list[str]:  # fmt: skip
    """Of every row, its exact chance after a stage and before it."""
    out, before = _("out since {stage}"), _("before: {share}")
    hovers = []
    for row in rows:
        lines = [f"<b>{plain(visible_token(answer['texts'][row]))}</b> ({answer['ids'][row]}), {stages[at]}"]
        first = int(np.argmin(kept[row]))
        lines.append(f"{chances[row, at]:.6%}" if kept[row, at] else out.format(stage=stages[first]))
        if at:
            lines.append(before.format(share=f"{chances[row, at - 1]:.6%}"))
        hovers.append("<br>".join(lines))
    return hovers


def _draw(answer: dict[str, Any], chances: NDArray[Any], kept: NDArray[Any], rows: list[int]) -> Column:
    """The last column: every token's result in the lottery, the winner's as 1."""
    greedy = answer["noise"] is None
    scores = [answer["scores"][row] for row in rows]
    texts, hovers = [], []
    chance, luck = (
        _("chance {chance}"),
        _("its random number {noise}; chance / number, as a share of the winner's: {score}"),
    )
    for row, score in zip(rows, scores, strict=True):
        name = f"<b>{plain(visible_token(answer['texts'][row]))}</b>"
        won = answer["ids"][row] == answer["drawn"]
        texts.append("<b>" + _("drawn") + "</b>" if won and not greedy else "<b>" + _("next") + "</b>" if won else
                     "×" if not kept[row, -1] else f"{score:.2f}")  # fmt: skip
        lines = [name, chance.format(chance=f"{chances[row, -1]:.6%}")]
        if not greedy:
            lines.append(luck.format(noise=f"{answer['noise'][row]:.4g}", score=f"{score:.4f}"))
        hovers.append("<br>".join(lines))
    head = "<b>" + _("Draw") + "</b><br>" + (_("the likeliest") if greedy else _("chance ÷ luck")) + "<br>"
    head += _("winner = 1")
    more = answer["vocabulary"] > len(rows)
    return Column(
        head, [*scores, 0.0] if more else scores, [0.0] * (len(rows) + more), [*texts, ""] if more else texts,
        [*hovers, _("none of these was drawn")] if more else hovers,
    )  # fmt: skip


def _lines(
    answer: dict[str, Any], decoding: dict[str, Any], stages: list[str], chances: dict[int, list[float]]
) -> None:
    """A line a stage that says what it did."""
    rows = [
        f"<tr><th>{html.escape(stages[at])}</th>"
        f"<td>{html.escape(did(answer, at, decoding))}</td><td>{html.escape(alike(stage['entropy']))}</td></tr>"
        for at, stage in enumerate(answer["stages"])
    ]
    words = html.escape(draw_words(answer, chances, int(decoding["seed"])))
    name = html.escape(_("Draw"))
    rows.append(f"<tr><th>{name}</th><td colspan=2>{words}</td></tr>")
    st.html(f'<table class="steps">{"".join(rows)}</table>')
