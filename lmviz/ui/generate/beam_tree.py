"""Where each candidate of a beam search stands in its picture, and what is said of it."""

import math
from collections.abc import Mapping
from typing import Any

from lmviz.ui.figures.beam import Tree
from lmviz.ui.i18n import _
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

SHORT = 9
"""Characters of a token in a node."""
MARKS = {"<end>": "$"}


def beam_tree(answer: Mapping[str, Any], settings: Mapping[str, Any]) -> Tree:
    """The tree of an answer to "beam": groups above each other, below them what greedy search does on its own."""
    tree, nodes = Tree(), answer["nodes"]
    size = settings["num_beams"] // settings["beam_groups"]
    rows = 2 * size + 1
    places = {0: (0, (size - 1) / 2)}
    tree.node(places[0], "▸", "root", _("the prompt"))
    best = _path(nodes, answer["hypotheses"][0]["node"])
    finished = {one["node"]: number for number, one in enumerate(answer["hypotheses"], 1)}
    parents = set(nodes["parent"])
    for at, number in enumerate(nodes["id"]):
        places[number] = (nodes["step"][at], nodes["group"][at] * rows + nodes["rank"][at])
        fate = nodes["fate"][at]
        look = "best" if number in best else {"kept": "kept", "finished": "finished"}.get(fate, "dropped")
        edge = "best" if number in best else "dropped" if fate == "pruned" else "kept"
        tree.edges[edge].append((places[nodes["parent"][at]], places[number]))
        words = _why(nodes, at, size, finished.get(number), number in parents)
        tree.node(places[number], short(nodes["text"][at]), look, _hover(nodes, at, 2 * size, words))
    for group in range(settings["beam_groups"]):
        tree.labels[group * rows] = _("likeliest") if group == 0 else _("group {number}").format(number=group + 1)
    _draw_greedy(tree, answer, places, settings["beam_groups"] * rows)
    return tree


def _draw_greedy(tree: Tree, answer: Mapping[str, Any], places: Mapping[int, tuple[int, float]], lane: float) -> None:
    """Along the candidates as far as these are greedy's, then in a lane of its own."""
    nodes, greedy = answer["nodes"], answer["greedy"]
    children = {
        (parent, token): number for parent, token, number in zip(nodes["parent"], nodes["token"], nodes["id"],
                                                                 strict=True)
    }  # fmt: skip
    at: int | None = 0
    before = places[0]
    total = 0.0
    for step, (token, text, logprob) in enumerate(
        zip(greedy["tokens"], greedy["texts"], greedy["logprobs"], strict=True), 1
    ):
        total += logprob
        at = children.get((at, token)) if at is not None else None
        place = places[at] if at is not None else (step, lane)
        if at is None:
            tree.labels[lane] = _("greedy")
            words = "<br>".join([
                f"<b>{plain(visible_token(text))}</b>", _chance(logprob), _sum(total),
                _("greedy search went on here; beam search did not"),
            ])  # fmt: skip
            tree.node(place, short(text), "greedy", words)
        tree.edges["greedy"].append((before, place))
        before = place


def _path(nodes: Mapping[str, Any], node: int) -> set[int]:
    found = set()
    while node:
        found.add(node)
        node = nodes["parent"][node - 1]
    return found


def _hover(nodes: Mapping[str, Any], at: int, candidates: int, why: str) -> str:
    lines = [
        f"<b>{plain(visible_token(nodes['text'][at]))}</b>",
        _chance(nodes["logprob"][at]),
        _sum(nodes["total"][at]),
    ]
    parent = nodes["parent"][at]
    taken = (nodes["total"][parent - 1] if parent else 0.0) + nodes["logprob"][at] - nodes["total"][at]
    if taken > 1e-9:
        lines.append(_("of it for diversity: −{taken}").format(taken=f"{taken:.2f}"))
    lines.append(_("place {rank} of {candidates} candidates").format(
        rank=nodes["rank"][at] + 1, candidates=candidates
    ))  # fmt: skip
    return "<br>".join([*lines, why])


def _chance(logprob: float) -> str:
    words = _("log-probability {logprob}, {chance}")
    return words.format(logprob=signed(logprob), chance=f"{math.exp(min(0.0, logprob)):.2%}")


def _sum(total: float) -> str:
    return _("sum so far {total}").format(total=signed(total))


def _why(nodes: Mapping[str, Any], at: int, size: int, place: int | None, has_children: bool) -> str:
    """What became of a candidate, and why."""
    fate = nodes["fate"][at]
    if fate == "finished":
        if place is None:
            return _("finished, but {size} texts score higher").format(size=size)
        return _("finished: number {place} of the texts found").format(place=place)
    if fate == "kept":
        return _("goes on") if has_children else _("could go on, but the search ended: what is finished scores higher")
    if nodes["text"][at] == "<end>":
        return _("dropped: a text ends only among the best {size} of a step").format(size=size)
    return _("dropped: {size} others are more probable").format(size=size)


def signed(value: float) -> str:
    """With a true minus sign."""
    return f"{value:.2f}".replace("-", "−")


def short(token: str) -> str:
    """In a node."""
    shown = MARKS.get(token) or visible_token(token)
    return plain(shown if len(shown) <= SHORT else shown[: SHORT - 1] + "…")
