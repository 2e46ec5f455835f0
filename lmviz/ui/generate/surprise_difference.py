"""Two models on one text: which of them expected what, over the spans that both cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.inspect.spans import shared_spans, span_sums
from lmviz.limits import MAX_SHOWN_TOKENS
from lmviz.packing import unpack
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.chart import Click, chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.surprise import difference_figure, ranks_figure
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.surprise_told import choose, chosen_of, rank_names, unknown_words
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore
from lmviz.ui.reader import reader
from lmviz.ui.run_picker import on_text, steady_title
from lmviz.ui.theme import label, plain, run_style
from lmviz.ui.tokens import visible_token

NONE = ""
MOST = 3.0
"""Difference, in nats, with the strongest colour."""


def other_run(scene: Scene) -> Run | None:
    """The run to compare with, in the address as ?with=."""
    runs = {
        run.id: run
        for run in cache.store().runs()
        if run.checkpoint_steps() and on_text(run) and run.id != scene.run.id
    }
    names = {NONE: _("no other model"), **{run_id: steady_title(run) for run_id, run in runs.items()}}
    restore("surprise_with", "with", list(names), NONE)
    chosen = str(st.selectbox(
        _("Compare with"), list(names), format_func=names.__getitem__, key="surprise_with",
        help=_("Another model at the end of its training reads the same text."),
    ))  # fmt: skip
    remember("with", chosen, NONE)
    return runs.get(chosen)


@dataclass(frozen=True)
class Difference:
    """Two models over the spans (S) that both cut."""

    texts: list[str]
    first: NDArray[np.float64]
    """Log-probability of each span, nats."""
    second: NDArray[np.float64]

    @property
    def gains(self) -> NDArray[np.float64]:
        """Above zero: the second model expected it more."""
        return self.second - self.first


def differences(text: str, first: dict[str, Any], second: dict[str, Any]) -> Difference:
    """From two answers about one text; all spans."""
    lengths = [unpack(answer["lengths"]).astype(np.int64) for answer in (first, second)]
    starts = shared_spans(*lengths)
    cuts = [0, *np.cumsum(lengths[0])[starts[0][1:] - 1].tolist()]  # bytes
    data = text.encode()
    texts = [data[a:b].decode("utf-8", "replace") for a, b in zip(cuts, [*cuts[1:], len(data)], strict=True)]
    sums = [span_sums(unpack(answer["logprobs"]), one) for answer, one in zip((first, second), starts, strict=True)]
    return Difference(texts, sums[0], sums[1])


def names_of(run: Run, other: Run) -> tuple[str, str]:
    """Short names of both: architectures, or the runs' own names where these are the same."""
    kinds = [label(one.config().model.kind) for one in (run, other)]
    if kinds[0] != kinds[1]:
        return kinds[0], kinds[1]
    own = [one.config().name or one.id for one in (run, other)]
    return (own[0], own[1]) if own[0] != own[1] else (run.id, other.id)


@dataclass(frozen=True)
class Compared:
    """Two runs on one text, and what is said of it."""

    runs: tuple[Run, Run]
    answers: tuple[dict[str, Any], dict[str, Any]]
    found: Difference
    names: tuple[str, str]
    tips: list[str]
    """A line for each span that is shown."""


def compare(scene: Scene, text: str, answer: dict[str, Any], other: Run) -> Compared | None:
    """None, with a sentence, if the other model cannot read it."""
    question = {"run": other.id, "step": other.checkpoint_steps()[-1]}
    second = asked("surprise", _("Reading with the other model"), **question, text=text)
    if second is None:
        return None
    found, names = differences(text, answer, second), names_of(scene.run, other)
    tips = [_words(found, place, names) for place in range(min(len(found.texts), MAX_SHOWN_TOKENS))]
    return Compared((scene.run, other), (answer, second), found, names, tips)


def show_text(of: Compared) -> None:
    """The finding, both totals, and the text in two colours."""
    st.subheader(finding(*of.answers, of.names), anchor=False)
    _totals(*of.answers, of.names)
    shown = len(of.tips)
    chosen = chosen_of(shown)
    reader(
        of.found.texts[:shown], "surprise_reader", shades=of.found.gains[:shown] / MOST, chosen=chosen, height=260,
        tips=of.tips, on_choose=choose, alt=_("The text; blue: the second model expected it more, orange: the first."),
    )  # fmt: skip
    if chosen is not None:
        st.caption(markdown_safe(of.tips[chosen]))
    st.caption(_about(of.found, *of.answers, of.names))


def show_figures(of: Compared) -> None:
    left, right = st.columns([5, 2], gap="large")
    with left:
        _along(of)
    with right:
        _ranks(of)


def finding(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str]) -> str:
    bits = (first["bits_per_char"], second["bits_per_char"])
    safe = [markdown_safe(name) for name in names]
    if abs(bits[0] - bits[1]) < 0.005:  # the same in the two digits that are shown
        words = _("{first} and {second} expect this text alike: {bits} bits a character")
        return words.format(first=safe[0], second=safe[1], bits=f"{bits[0]:.2f}")
    better = int(bits[1] < bits[0])
    words = _("{better} expects this text more: {bits} bits a character, {worse} needs {more}")
    return words.format(
        better=safe[better], worse=safe[1 - better], bits=f"{bits[better]:.2f}", more=f"{bits[1 - better]:.2f}"
    )


def _totals(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str]) -> None:
    safe = [markdown_safe(name) for name in names]
    head = f"| | {safe[0]} | {safe[1]} |\n|---|---:|---:|\n"
    rows = (
        (_("all surprise, nats"), "nats", ",.2f"), (_("bits a character"), "bits_per_char", ".4f"),
        (_("tokens"), "tokens", ","), (_("loss, nats a token"), "loss", ".4f"),
    )  # fmt: skip
    st.markdown(head + "\n".join(f"| {name} | {first[key]:{how}} | {second[key]:{how}} |" for name, key, how in rows))


def _words(found: Difference, place: int, names: tuple[str, str]) -> str:
    return _("{token}: {first} {one} nats, {second} {two} nats, difference {gain}").format(
        token=visible_token(found.texts[place]), first=names[0], one=f"{-found.first[place]:.3f}", second=names[1],
        two=f"{-found.second[place]:.3f}", gain=f"{found.gains[place]:+.3f}",
    )  # fmt: skip


def _about(found: Difference, first: dict[str, Any], second: dict[str, Any], names: tuple[str, str]) -> str:
    words = [_("Blue: {second} expected it more; orange: {first} did. Strongest: {nats} nats or more.").format(
        first=markdown_safe(names[0]), second=markdown_safe(names[1]), nats=f"{MOST:g}"
    )]  # fmt: skip
    if first["tokens"] != second["tokens"] or len(found.texts) < first["tokens"]:
        words.append(_(
            "They cut the text into different tokens: compared are the {count} shortest pieces whose ends both have, by"
            " the sum over each one's tokens."
        ).format(count=f"{len(found.texts):,}"))  # fmt: skip
    if len(found.texts) > MAX_SHOWN_TOKENS:
        words.append(_("The first {shown} of {count} pieces are shown; the totals are of all.").format(
            shown=f"{MAX_SHOWN_TOKENS:,}", count=f"{len(found.texts):,}"
        ))  # fmt: skip
    unknown = list(dict.fromkeys([*first["unknown"], *second["unknown"]]))
    if unknown:
        words.append(unknown_words(unknown))
    return " ".join(words)


def _along(of: Compared) -> None:
    found, tips, names = of.found, of.tips, of.names
    shown = len(tips)

    def clicked(event: Click) -> None:
        place = event.get("x")
        if isinstance(place, int | float) and 0 <= place < shown:
            choose(int(place))

    title = _("Where do they differ?")
    gains = found.gains[:shown]
    at = int(np.abs(gains).argmax())
    figure = difference_figure(
        gains, [plain(tip) for tip in tips], [plain(visible_token(text)) for text in found.texts[:shown]],
        chosen_of(shown), MOST,
        title=title, x=_("piece of the text"), y=_("nats more than {name}").format(name=plain(names[0])),
        key=f"{of.runs[0].id} {of.runs[1].id} {shown}",
    )  # fmt: skip
    chart(
        figure, "surprise_difference", height=240, on_event=clicked, csv=f"{of.runs[0].id}-{of.runs[1].id}-difference",
        alt=_("They differ most at {token}.").format(token=tips[at]),
        caption=_("Log-probability by {second} minus that by {first}; above zero {second} expected it more.").format(
            first=names[0], second=names[1]
        ),
    )  # fmt: skip


def _ranks(of: Compared) -> None:
    kinds = [run.config().model.kind for run in of.runs]
    colors = [run_style(kinds[0], 0).color, run_style(kinds[1], int(kinds[0] == kinds[1])).color]
    title = _("Rank of the right token")
    rows = zip(map(plain, of.names), (answer["ranks"] for answer in of.answers), colors, strict=True)
    figure = ranks_figure(
        list(rows), rank_names(), title=title, x=_("rank of the right token"), y=_("share of the tokens"),
        key=f"{of.runs[0].id} {of.runs[1].id}",
    )  # fmt: skip
    chart(
        figure, "surprise_ranks", height=220, csv=f"{of.runs[0].id}-{of.runs[1].id}-ranks", alt=title,
        caption=_("Each model over its own tokens."),
    )  # fmt: skip
