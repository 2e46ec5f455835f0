"""All heads as one picture, each named by what it mostly does; then one of them: map, lines, entropy, average."""

from typing import Any

import numpy as np
import streamlit as st

from lmviz.inspect.attention_names import PATTERNS
from lmviz.packing import unpack
from lmviz.ui import cache, player
from lmviz.ui.asking import asked
from lmviz.ui.attention.names import head_name, pattern_name
from lmviz.ui.attention.picture import arranged, png
from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.selection import choose_head, choose_query, head_choice, query_known
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.attention import Tile, entropy_figure, lines_figure, map_figure, overview_figure
from lmviz.ui.i18n import _, listed
from lmviz.ui.kept import remember, restore, switch
from lmviz.ui.reader import reader
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

TALL = {1: 260, 2: 200, 3: 170, 4: 140}
"""Rows of maps -> pixels of each; more rows have 105."""
LINES_TOKENS = 120
"""Tokens up to which the line view is drawn."""


def heads_part(scene: Scene) -> None:
    names = _names_known(scene)
    left, right = st.columns([3, 3], vertical_alignment="bottom")
    with left:
        layer, head = head_choice(scene)
    with right:
        sort = _sort(scene, names)
    _overview(scene, names, sort, (layer, head))
    _one(scene, names, layer, head)
    if names is None and scene.reads_text and not player.playing() and _measure(scene):
        st.rerun()  # now with names


def _question(scene: Scene) -> dict[str, Any]:
    return {"run": scene.run.id, "step": scene.step}


def _names_known(scene: Scene) -> dict[str, Any] | None:
    """What each head mostly does, measured on held-out text; None while that is not known, and for models that do not
    read their own text. Measuring takes longer than drawing, so the maps come first.
    """
    if scene.reads_text and cache.is_known("attention_names", **_question(scene)):
        return cache.answer("attention_names", **_question(scene))
    return None


def _measure(scene: Scene) -> bool:
    words = _("Measuring what each head does, on held-out text")
    return asked("attention_names", words, **_question(scene)) is not None


def _sort(scene: Scene, names: dict[str, Any] | None) -> str:
    options = {"place": _("by layer and head"), "entropy": _("by entropy, the most decided first")}
    if names:
        words = _("by “{pattern}”")
        options |= {pattern: words.format(pattern=pattern_name(pattern)) for pattern in names["patterns"]}
        if names["induction"]:
            options["random"] = _("by induction on random tokens")
    restore("attention_sort", "sort", list(options), "place")
    chosen = str(st.selectbox(_("Order of the maps"), list(options), format_func=options.__getitem__,
                              key="attention_sort"))  # fmt: skip
    remember("sort", chosen, "place")
    return chosen


def _ordered(scene: Scene, names: dict[str, Any] | None, sort: str) -> list[tuple[int, int]]:
    places = [(layer, head) for layer in range(scene.layers) for head in range(scene.heads)]
    if sort == "entropy":
        return sorted(places, key=lambda one: float(scene.entropy[one]))
    if names and sort in names["patterns"]:
        scores = names["scores"][names["patterns"].index(sort)]
        return sorted(places, key=lambda one: -(scores[one[0]][one[1]] or 0.0))
    if names and sort == "random" and names["induction"]:
        return sorted(places, key=lambda one: -(names["induction"][one[0]][one[1]] or 0.0))
    return places


def _overview(scene: Scene, names: dict[str, Any] | None, sort: str, chosen: tuple[int, int]) -> None:
    order = _ordered(scene, names, sort)
    columns = scene.heads if sort == "place" else min(8, max(4, scene.heads), len(order))
    tiles = [Tile(_tile_name(scene, names, sort, one), _tile_hover(scene, names, one), one == chosen) for one in order]
    title = _finding(scene, names)
    source = png(arranged(scene.picture, scene.layers, scene.heads, order, columns))
    figure = overview_figure(
        source, tiles, columns, title=plain(title), key=f"{scene.run.id} {sort} {scene.part}", covered=not scene.causal
    )

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, list) and len(point) == 2:
            place = int(point[0]) * columns + int(point[1])
            if place < len(order):
                choose_head(*order[place])

    rows = -(-len(order) // columns)
    chart(
        figure, "attention_overview", height=30 + rows * TALL.get(rows, 105), on_event=clicked,
        csv=f"{scene.run.id}-{scene.step}-heads", alt=title, caption=_overview_caption(scene, names),
    )  # fmt: skip
    if names:
        with st.expander(_("What the names mean, and all scores")):
            _legend(scene, names)


def _tile_name(scene: Scene, names: dict[str, Any] | None, sort: str, place: tuple[int, int]) -> str:
    layer, head = place
    label = f"{layer + 1}.{head + 1}"
    if not names:
        return label
    if sort == "random":
        return f"{label}<br>{names['induction'][layer][head]:.2f}"
    pattern = sort if sort in names["patterns"] else names["names"][layer][head]
    score = _score(names, pattern, place)
    name = plain(pattern_name(pattern))
    return f"{label} {name}" + ("" if score is None else f"<br>{score:.2f}")


def _score(names: dict[str, Any], pattern: str, place: tuple[int, int]) -> float | None:
    if pattern not in names["patterns"]:
        return None
    value = names["scores"][names["patterns"].index(pattern)][place[0]][place[1]]
    return None if value is None else float(value)


def _tile_hover(scene: Scene, names: dict[str, Any] | None, place: tuple[int, int]) -> str:
    lines = [head_name(*place), _("entropy {nats} nats here").format(nats=f"{scene.entropy[place]:.2f}")]
    if names:
        words = _("{pattern}: {score} (looking everywhere alike: {uniform})")
        for number, pattern in enumerate(names["patterns"]):
            score, uniform = _score(names, pattern, place), names["uniform"][number]
            if score is not None and uniform is not None:
                lines.append(
                    words.format(pattern=pattern_name(pattern), score=f"{score:.2f}", uniform=f"{uniform:.2f}")
                )
        if names["induction"]:
            words = _("induction on random tokens: {score}")
            lines.append(words.format(score=f"{names['induction'][place[0]][place[1]]:.2f}"))
    return "<br>".join(map(plain, lines))


def _finding(scene: Scene, names: dict[str, Any] | None) -> str:
    if not names:
        return _("{heads} heads: the darker, the more a token (down) looks at another (across)").format(
            heads=scene.layers * scene.heads
        )
    counted: dict[str, int] = {}
    for row in names["names"]:
        for name in row:
            counted[name] = counted.get(name, 0) + 1
    parts = [f"{pattern_name(name)} {count}" for name, count in sorted(counted.items(), key=lambda item: -item[1])]
    return _("What {heads} heads mostly look at: {counts}").format(
        heads=scene.layers * scene.heads, counts=listed(parts)
    )


def _overview_caption(scene: Scene, names: dict[str, Any] | None) -> str:
    words = [_(
        "Each map is a head; a row is the token that looks, a column the one looked at; the colour is the square root"
        " of the weight, so that faint attention is seen. Click on a map to choose it."
    )]  # fmt: skip
    if names:
        words.append(_(
            "The name is the pattern furthest above looking everywhere alike, the number its mean attention, measured"
            " on {tokens} tokens of held-out text and not on the text above; mixed: none is 0.1 above it."
        ).format(tokens=f"{names['tokens']:,}"))  # fmt: skip
    if scene.written is not None:
        words.append(_("The model wrote “{text}”.").format(text=scene.written))
    return " ".join(words)


def _legend(scene: Scene, names: dict[str, Any]) -> None:
    for pattern in names["patterns"]:
        meaning = _(PATTERNS[pattern])
        st.markdown(f"**{pattern_name(pattern)}**: {meaning}")
    rows = [
        {
            _("head"): f"{layer + 1}.{head + 1}", _("name"): pattern_name(names["names"][layer][head]),
            **{pattern_name(pattern): _rounded(_score(names, pattern, (layer, head))) for pattern in names["patterns"]},
            _("entropy"): _rounded(names["entropy"][layer][head]),
        }
        for layer in range(scene.layers) for head in range(scene.heads)
    ]  # fmt: skip
    uniform = {
        _("head"): "–", _("name"): _("everywhere alike"),
        **{pattern_name(one): _rounded(value) for one, value in zip(names["patterns"], names["uniform"], strict=True)},
        _("entropy"): _rounded(names["uniform_entropy"]),
    }  # fmt: skip
    st.dataframe([*rows, uniform], hide_index=True)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _one(scene: Scene, names: dict[str, Any] | None, layer: int, head: int) -> None:
    """One head on the text: where the chosen token looks, and the map of all."""
    answer = asked("attention_head", _("Reading"), **scene.question, part=scene.part, layer=layer, head=head)
    if answer is None:
        return
    weights = unpack(answer["weights"])  # (T, S)
    query = query_known(scene)
    st.subheader(_looks(scene, weights[query], query, head_name(layer, head)), anchor=False)
    _text(scene, weights, query)
    views = {"map": _("Map"), "lines": _("Lines"), "entropy": _("Entropy"), "average": _("Average over text")}
    if not scene.reads_text:
        views.pop("average")
    shown = switch(_("How the head is shown"), views, "attention_look", "look")
    row_names, column_names = place_names(scene.rows), place_names(scene.columns)
    key = f"{scene.run.id} {scene.part} {len(scene.rows)}"

    def clicked(event: Click) -> None:
        point = event.get("point")
        if isinstance(point, list) and len(point) == 2:
            choose_query(int(point[0]))

    words = _("“{row}” looks at “{column}” with {weight}").format(row="%{y}", column="%{x}", weight="<b>%{z:.4f}</b>")
    title = _("Who looks at whom: {head}").format(head=head_name(layer, head))
    if shown == "map":
        figure = map_figure(
            weights, row_names, column_names, query, title=title, x=_("token looked at"), y=_("token that looks"),
            hover=words, key=key,
        )  # fmt: skip
        chart(
            figure, "attention_map", height=max(300, min(640, 60 + 13 * len(scene.rows))), on_event=clicked,
            csv=f"{scene.run.id}-{scene.step}-attention-{layer + 1}-{head + 1}", alt=title,
            caption=_("Each row sums to 1. Framed: the chosen token. Click on a row to choose another one."),
        )  # fmt: skip
    elif shown == "lines":
        _lines(scene, weights, query, title, key)
    elif shown == "entropy":
        _entropy(scene, answer["entropy"], query, row_names, key)
    else:
        _average(scene, layer, head)


def place_names(tokens: list[str]) -> list[str]:
    """A different name for each place: its number and its token."""
    return [f"{place} {plain(visible_token(token))}" for place, token in enumerate(tokens)]


def _looks(scene: Scene, row: np.ndarray[Any, Any], query: int, head: str) -> str:
    best = int(row.argmax())
    return _("In {head} “{token}” looks most at “{other}”: {weight}").format(
        head=head, token=_quoted(scene.rows[query]), other=_quoted(scene.columns[best]), weight=f"{row[best]:.2f}"
    )


def _quoted(token: str) -> str:
    return markdown_safe(visible_token(token))


def _text(scene: Scene, weights: np.ndarray[Any, Any], query: int) -> None:
    """The text looked at, shaded by the chosen token's attention; a click chooses the token that looks."""
    marks = {place for place, token in enumerate(scene.columns) if token in ("<begin>", "<end>")}
    tips = [
        f"{visible_token(token)}  {weight:.4f}" for token, weight in zip(scene.columns, weights[query], strict=True)
    ]
    same = scene.part != "cross_attention"
    if not same:
        reader(
            scene.rows, "attention_rows", chosen=query, on_choose=choose_query,
            marks={place for place, token in enumerate(scene.rows) if token == "<begin>"},
            alt=_("What is written; the token that looks is marked."),
        )  # fmt: skip
    reader(
        scene.columns, "attention_columns", shades=weights[query], chosen=query if same else None, marks=marks,
        tips=tips, on_choose=choose_query if same else None,
        alt=_("The text; the bluer a token, the more the chosen one looks at it."),
    )  # fmt: skip
    st.caption(
        _("Click on a token (or use the arrow keys) to see where it looks; the bluer, the more.") if same else
        _("Above: what was written; click on a token to see below where it looks in the source.")
    )  # fmt: skip


def _lines(scene: Scene, weights: np.ndarray[Any, Any], query: int, title: str, key: str) -> None:
    longest = max(len(scene.rows), len(scene.columns))
    if longest > LINES_TOKENS:
        st.info(_("The lines of more than {count} tokens cannot be told apart. Take a shorter text.").format(
            count=LINES_TOKENS), icon=":material/info:")  # fmt: skip
        return
    figure = lines_figure(
        weights, place_names(scene.rows), place_names(scene.columns), query, title=title, left=_("looks"),
        right=_("is looked at"), key=key,
    )  # fmt: skip
    chart(
        figure, "attention_lines", height=80 + 15 * longest, csv=f"{scene.run.id}-{scene.step}-lines", alt=title,
        caption=_("Weights from {least} on; the lines of the chosen token stand out.").format(least="0.02"),
    )  # fmt: skip


def _entropy(scene: Scene, values: list[float], query: int, rows: list[str], key: str) -> None:
    most = np.log(np.arange(1, len(rows) + 1)) if scene.causal else np.full(len(rows), np.log(len(scene.columns)))
    title = _("How spread is each token's attention? On average {nats} nats").format(nats=f"{np.mean(values):.2f}")
    figure = entropy_figure(
        values, most.tolist(), rows, query, title=title, x=_("token that looks"), y=_("entropy, nats"),
        name=_("this head"), most_name=_("everywhere alike"), key=key,
    )  # fmt: skip
    chart(
        figure, "attention_entropy", height=300, csv=f"{scene.run.id}-{scene.step}-entropy", alt=title,
        caption=_("0: all attention on one token. e to the power of the entropy is about how many it looks at."),
    )  # fmt: skip


def _average(scene: Scene, layer: int, head: int) -> None:
    answer = asked("attention_average", _("Reading held-out text"), run=scene.run.id, step=scene.step, layer=layer,
                   head=head)  # fmt: skip
    if answer is None:
        return
    weights = unpack(answer["weights"])
    places = [str(place) for place in range(len(weights))]
    title = _("On average over held-out text: {head}").format(head=head_name(layer, head))
    figure = map_figure(
        weights, places, places, None, title=title, x=_("place looked at"), y=_("place that looks"),
        hover=_("place {row} looks at place {column} with {weight}").format(
            row="%{y}", column="%{x}", weight="<b>%{z:.4f}</b>"
        ), key=f"{scene.run.id} average",
    )  # fmt: skip
    chart(
        figure, "attention_average", height=420, csv=f"{scene.run.id}-{scene.step}-average", alt=title,
        caption=_(
            "Mean weight over {count} windows of held-out text. A line beside the diagonal: a head that looks a fixed"
            " number of tokens back; a first column: one that rests on the first token."
        ).format(count=answer["windows"]),
    )  # fmt: skip
