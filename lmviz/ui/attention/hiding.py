"""What a BERT makes of a text: the tokens that it takes for hidden ones, or, fine-tuned, the class of the text."""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike

from lmviz.ui.asking import asked
from lmviz.ui.attention.heads import place_names
from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.selection import choose_query
from lmviz.ui.attention.text import in_figure, marks_of
from lmviz.ui.chart import chart
from lmviz.ui.figures.attention_masks import Guessed, classes_figure, guesses_figure
from lmviz.ui.figures.hold import next_figure
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember
from lmviz.ui.reader import reader
from lmviz.ui.theme import color, label, plain
from lmviz.ui.tokens import visible_token

HIDDEN = "attention_hidden"
HIDDEN_OF = "attention_hidden_of"
MOST = 12
"""Tokens that can be hidden at once."""
NONE = "none"
GUESSES = 5
"""Shown for each of them."""
SHOWN_HIDDEN = "▒"


# ---- which are hidden ----


def hidden_choice(scene: Scene) -> list[int]:
    """Places that the model does not see, in the order in which they were hidden; one at first."""
    options = [place for place in range(len(scene.rows)) if place not in marks_of(scene.rows)]
    default = _default(scene, options)
    if st.session_state.get(HIDDEN_OF, scene.text) != scene.text:
        st.session_state[HIDDEN] = default
    elif HIDDEN not in st.session_state:
        st.session_state[HIDDEN] = _of_address(st.query_params.get("hide"), default)
    st.session_state[HIDDEN] = [place for place in st.session_state[HIDDEN] if place in options][:MOST]
    st.session_state[HIDDEN_OF] = scene.text
    names = place_names(scene.rows)
    left, right = st.columns([9, 2], vertical_alignment="bottom")
    with left:
        chosen: list[int] = st.multiselect(
            _("Hidden tokens"), options, key=HIDDEN, format_func=lambda place: names[place], max_selections=MOST,
            placeholder=_("Click on a token of the text below"),
        )  # fmt: skip
    with right:
        st.button(_("Show all"), icon=":material/visibility:", disabled=not chosen, on_click=_show_all, width="stretch")
    remember("hide", ",".join(map(str, chosen)) or NONE, ",".join(map(str, default)))
    return list(chosen)


def _default(scene: Scene, options: list[int]) -> list[int]:
    """A letter in the middle of the text."""
    later = [place for place in options if place >= len(scene.rows) // 2 and scene.rows[place].strip()]
    return later[:1] or options[:1]


def _of_address(wanted: str | None, default: list[int]) -> list[int]:
    if wanted is None:
        return default
    places = [int(part) for part in wanted.split(",")[:MOST] if part.isdecimal() and len(part) < 6]
    return list(dict.fromkeys(places))


def _show_all() -> None:
    st.session_state[HIDDEN] = []


def turn(place: int, rows: list[str]) -> None:
    """From a click: hide a token, or show it again."""
    if place in marks_of(rows):
        return
    hidden = list(st.session_state.get(HIDDEN, []))
    if place in hidden:
        hidden.remove(place)
    else:
        hidden = [*hidden, place][-MOST:]
        choose_query(place)
    st.session_state[HIDDEN] = hidden


def looks(hidden: list[int], query: int) -> int:
    """Whose attention is shown: the token that was chosen, else a hidden one."""
    return query if "query" in st.query_params or not hidden else hidden[-1]


# ---- the text and the guesses ----


def hidden_text(scene: Scene, hidden: list[int], weights: ArrayLike, query: int) -> None:
    """The text with what is hidden; a click hides a token or shows it again."""
    tokens = [SHOWN_HIDDEN if place in hidden else token for place, token in enumerate(scene.rows)]
    tips = [f"{visible_token(token)}  {weight:.4f}"
            for token, weight in zip(scene.rows, np.asarray(weights), strict=True)]  # fmt: skip
    reader(
        tokens, "attention_hiding", shades=weights, chosen=query, marks=marks_of(scene.rows), tips=tips,
        on_choose=lambda place: turn(place, scene.rows),
        alt=_("The text; tokens that are hidden from the model are grey blocks."),
    )  # fmt: skip
    st.caption(_(
        "Click on a token to hide it from the model, on a grey one to show it again. Blue: where the framed one looks"
        " with the chosen head."
    ))  # fmt: skip


def guesses(scene: Scene, hidden: list[int]) -> None:
    """What the model takes for the hidden tokens, and what they are with only one of them hidden."""
    if not hidden:
        st.info(_("Nothing is hidden. Click on a token to hide it."), icon=":material/visibility:")
        return
    answer = asked("masked", _("Reading"), **scene.question, places=sorted(hidden))
    if answer is None:
        return
    found = answer["guesses"]
    if len(found) == 1:
        _grid(scene, found)
        return
    left, right = st.columns([8, 5], gap="medium")
    with left:
        _grid(scene, found)
    with right:
        _alone(scene, found)


def _grid(scene: Scene, found: list[dict[str, Any]]) -> None:
    title = _guess_title(scene, found)
    figure = guesses_figure(
        [_guessed(one) for one in found], title=title, first=_("right one"), x=_("guesses, the likeliest first"),
        y=_("hidden token"), hover=_("{place}, column {column}: {chance}").format(
            place="%{y}", column="%{x}", chance="<b>%{z:.2%}</b>"
        ), key=f"{scene.run.id} {len(found)}",
    )  # fmt: skip
    chart(
        figure, "attention_guesses", height=62 + 46 * len(found), alt=title,
        csv=f"{scene.run.id}-{scene.step}-guesses",
        caption=_(
            "The first column is the chance of the token that stands there, and its rank among all tokens; framed: the"
            " guess that is right. All hidden tokens are hidden at once. Hide its neighbours too and see what is left."
        ),
    )  # fmt: skip


def _guessed(one: dict[str, Any]) -> Guessed:
    shown = one["guesses"][:GUESSES]
    tokens = [token for token, _chance in shown]
    return Guessed(
        name=f"{one['place']} {in_figure(one['token'])}", chance=one["chance"],
        note=_("rank {rank}").format(rank=one["rank"]),
        guesses=[(in_figure(token), chance) for token, chance in shown],
        hit=tokens.index(one["token"]) if one["token"] in tokens else None,
    )  # fmt: skip


def _guess_title(scene: Scene, found: list[dict[str, Any]]) -> str:
    name = label(scene.kind)
    if len(found) == 1:
        (one,) = found
        best, chance = one["guesses"][0]
        words = (
            _("{model} takes the hidden “{token}” for “{guess}” with {chance}: right") if one["rank"] == 1 else
            _("{model} takes the hidden “{token}” for “{guess}” with {chance}; “{token}” is guess number {rank}")
        )  # fmt: skip
        return words.format(model=name, token=in_figure(one["token"]), guess=in_figure(best), chance=f"{chance:.0%}",
                            rank=one["rank"])  # fmt: skip
    right = sum(one["rank"] == 1 for one in found)
    return _("{model} guesses {right} of {count} hidden tokens right; on average they get {chance}").format(
        model=name, right=right, count=len(found), chance=f"{np.mean([one['chance'] for one in found]):.0%}"
    )


def _alone(scene: Scene, found: list[dict[str, Any]]) -> None:
    """The chance of the right token with only it hidden, beside that with all of them."""
    alone = []
    for one in found:
        answer = asked("masked", _("Reading"), **scene.question, places=[one["place"]])
        if answer is None:
            return
        alone.append(float(answer["guesses"][0]["chance"]))
    together = [float(one["chance"]) for one in found]
    title = _("Hidden alone the right token gets {alone} on average, hidden together {together}").format(
        alone=f"{np.mean(alone):.0%}", together=f"{np.mean(together):.0%}"
    )
    figure = next_figure(
        [f"{one['place']} {in_figure(one['token'])}" for one in found], alone, together, color(scene.kind), title=title,
        x=_("chance of the right token"), plain_name=_("hidden alone"), held_name=_("hidden together"),
    )  # fmt: skip
    chart(
        figure, "attention_alone", height=110 + 42 * len(found), csv=f"{scene.run.id}-{scene.step}-alone", alt=title,
        caption=_(
            "Hidden alone: the model sees all the other tokens. Where it gives the right token less with the others"
            " hidden too, they helped to guess it; where more, they misled it."
        ),
    )  # fmt: skip


# ---- classes ----


def classes(scene: Scene, weights: ArrayLike) -> None:
    """The class of the text, and where <begin>, from which it is told, looks."""
    answer = asked("classes", _("Reading"), **scene.question)
    if answer is None:
        return
    found = sorted(answer["classes"], key=lambda one: -float(one[1]))
    best, chance = found[0]
    title = _("{model} takes this text for “{name}” with {chance}").format(
        model=label(scene.kind), name=plain(str(best)), chance=f"{chance:.1%}"
    )
    figure = classes_figure(
        [plain(str(name)) for name, _chance in found], [float(one[1]) for one in found], color(scene.kind), title=title,
        x=_("chance of the class"), key=scene.run.id,
    )  # fmt: skip
    chart(
        figure, "attention_classes", height=64 + 36 * min(len(found), 20), alt=title,
        csv=f"{scene.run.id}-{scene.step}-classes",
        caption=_(
            "Fine-tuned on labels it guesses no tokens any more: the class is told from the state at {begin} after the"
            " last layer. For it, blanks and line ends become single spaces and {end} is added, as in training."
        ).format(begin="<begin>", end="<end>"),
    )  # fmt: skip
    tips = [f"{visible_token(token)}  {weight:.4f}"
            for token, weight in zip(scene.rows, np.asarray(weights), strict=True)]  # fmt: skip
    reader(
        scene.rows, "attention_class_text", shades=weights, marks=marks_of(scene.rows), tips=tips, chosen=0,
        alt=_("The text; the bluer a token, the more {begin} looks at it.").format(begin="<begin>"),
    )  # fmt: skip
    st.caption(_("Blue: where {begin} looks with the chosen head. Type another text above, under Text.").format(
        begin="\\<begin\\>"
    ))  # fmt: skip
