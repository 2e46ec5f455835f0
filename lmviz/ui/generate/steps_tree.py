"""The tree of all that was tried: a lane a branch, its log-probability at its end; a click goes back there."""

import streamlit as st

from lmviz.ui.chart import Click, chart
from lmviz.ui.figures.steps import Node, tree_figure
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.steps_asking import asked
from lmviz.ui.generate.steps_path import Tree, ids
from lmviz.ui.i18n import _
from lmviz.ui.theme import color, plain
from lmviz.ui.tokens import visible_token

WINDOW = 16
"""Tokens of a path that are seen at first."""
LANE_PIXELS, FRAME_PIXELS = 44, 74
SHORT = 12
"""Characters of a token beside its mark."""


def tree_part(scene: Scene, tree: Tree, prompt: str) -> None:
    branches = [ids(path) for path in tree.branches]
    if not any(branches):
        return None
    told = []
    for branch in branches:  # one by one: what is known of a branch is not asked again when another one grows
        answer = asked("step_branch", **scene.question, prompt=prompt, tokens=branch)
        if answer is None:
            return None
        told.append(answer)
    if tree.shorten([len(one["texts"]) for one in told]):  # branches of an address, which may say anything
        return tree_part(scene, tree, prompt)
    nodes, at = _nodes(tree, [one["texts"] for one in told])
    words = _("log-probability {value}")
    ends = [
        (len(branches[lane]), lane, words.format(value=f"{one['logprob']:.2f}"))
        for lane, one in enumerate(told) if branches[lane]
    ]  # fmt: skip
    best = max((lane for lane in range(len(told)) if branches[lane]), key=lambda lane: told[lane]["logprob"])
    title = _("One way so far: its log-probability is {value}").format(value=f"{told[best]['logprob']:.2f}")
    if len(told) > 1:
        words = _("{count} branches; the one that is looked at has log-probability {value} nats over {tokens} tokens")
        title = words.format(
            count=len(told), value=f"{told[tree.current]['logprob']:.2f}", tokens=len(branches[tree.current])
        )
    longest = max(map(len, branches))
    end = min(longest, max(WINDOW, tree.place + WINDOW // 2))
    window = (max(-0.6, end - WINDOW + 0.5), max(end, 6) + 3.5)
    figure = tree_figure(
        nodes, ends, at, color(scene.run.config().model.kind), title=plain(title), x=_("token after the prompt"),
        key=f"{scene.run.id} {window}", window=window,
    )  # fmt: skip

    def clicked(event: Click) -> None:
        data = event.get("customdata")
        if isinstance(data, list) and len(data) == 3:
            st.session_state.pop("steps_playing", None)
            tree.go(int(data[0]), int(data[1]))

    return chart(
        figure, "steps_tree_chart", height=FRAME_PIXELS + LANE_PIXELS * len(told), on_event=clicked, alt=title,
        csv=f"{scene.run.id}-{scene.step}-tree",
        caption=_(
            "All that was tried from this prompt; diamonds were forced by you. Click on a token to go there."
            " Log-probability: the model's own, before all stages, summed over the branch."
        ),
    )  # fmt: skip


def _nodes(tree: Tree, texts: list[list[str]]) -> tuple[list[Node], tuple[int, int]]:
    """The root, then every token once: what branches share is on the first one's lane. And where the person is: depth
    and lane of the token that the next one comes after.
    """
    lanes: dict[tuple[int, ...], int] = {(): 0}
    nodes: list[Node] = []
    here = tree.tokens
    for lane, path in enumerate(tree.branches):
        before: tuple[int, ...] = ()
        for place, ((token, forced), text) in enumerate(zip(path, texts[lane], strict=True)):
            known = (*before, token)
            if known not in lanes:
                lanes[known] = lane
                name = plain(visible_token(text))
                on_path = here[: place + 1] == list(known)
                words = _("forced by you") if forced else _("drawn")
                branch = tree.current if on_path else lane
                nodes.append(Node(
                    place + 1, lane, _short(text), f"<b>{name}</b> {words}", forced, on_path,
                    (place, lanes[before]), (branch, place + 1),
                ))  # fmt: skip
            before = known
    nodes.insert(0, Node(0, 0, _("prompt"), _("the prompt"), False, True, None, (tree.current, 0)))
    return nodes, (tree.place, lanes[tuple(here[: tree.place])])


def _short(text: str) -> str:
    shown = visible_token(text)
    return plain(shown if len(shown) <= SHORT else shown[: SHORT - 1] + "…")
