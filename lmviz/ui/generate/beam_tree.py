"""Where each candidate of a beam search stands in its picture, and what is said of it."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lmviz.ui.figures.beam import Tree
from lmviz.ui.i18n import _
from lmviz.ui.theme import plain
from lmviz.ui.tokens import visible_token

SHORT = 9
"""Characters of a token in a node."""
MARKS = {"<end>": "$"}


def beam_tree(answer: Mapping[str, Any], settings: Mapping[str, Any]) -> Tree:
    """The tree of an answer to "beam": groups above each other, below them what greedy search does on its own.

    Of each step the candidates that are drawn are the 2 * beams best and all that went on or finished.
    """
    tree, nodes = Tree(), answer["nodes"]
    size = settings["num_beams"] // settings["beam_groups"]
    shown = [at for at, rank in enumerate(nodes["rank"]) if rank < 2 * size or nodes["fate"][at] != "pruned"]
    rows = _rows(nodes, shown)
    places = {0: (0, (size - 1) / 2), **{nodes["id"][at]: (nodes["step"][at], row) for at, row in rows.items()}}
    tree.node(places[0], "▸", "root", _("the prompt"))
    best = _path(nodes, answer["hypotheses"][0]["node"])
    finished = {one["node"]: number for number, one in enumerate(answer["hypotheses"], 1)}
    parents = set(nodes["parent"])
    for at in shown:
        number, fate = nodes["id"][at], nodes["fate"][at]
        look = "best" if number in best else {"kept": "kept", "finished": "finished"}.get(fate, "dropped")
        edge = "best" if number in best else "dropped" if fate == "pruned" else "kept"
        tree.edges[edge].append((places[nodes["parent"][at]], places[number]))
        words = _why(nodes, at, size, answer["ends"], finished.get(number), number in parents)
        tree.node(places[number], short(nodes["text"][at]), look, _hover(nodes, at, words))
    for group in range(settings["beam_groups"]):
        first = min(row for at, row in rows.items() if nodes["group"][at] == group)
        tree.labels[first] = _("likeliest") if group == 0 else _("group {number}").format(number=group + 1)
    _draw_greedy(tree, answer, places, max(rows.values()) + 2)
    return tree


def _rows(nodes: Mapping[str, Any], shown: Sequence[int]) -> dict[int, float]:
    """Place in the columns of `nodes` -> its row: of each step one below the other, groups apart."""
    at_step: dict[tuple[int, int], list[int]] = {}
    for at in shown:
        at_step.setdefault((nodes["group"][at], nodes["step"][at]), []).append(at)
    rows: dict[int, float] = {}
    first = 0
    for group in range(max(nodes["group"]) + 1):
        columns = [column for (number, _step), column in at_step.items() if number == group]
        rows |= {at: float(first + row) for column in columns for row, at in enumerate(column)}
        first += max(map(len, columns)) + 1
    return rows


def _draw_greedy(tree: Tree, answer: Mapping[str, Any], places: Mapping[int, tuple[int, float]], lane: float) -> None:
    """Along the candidates of the group that goes with it furthest, then in a lane of its own."""
    nodes, greedy = answer["nodes"], answer["greedy"]
    together = max((_followed(nodes, greedy["tokens"], group) for group in range(max(nodes["group"]) + 1)), key=len)
    before, total = places[0], 0.0
    for step, (text, logprob) in enumerate(zip(greedy["texts"], greedy["logprobs"], strict=True), 1):
        total += logprob
        place = places.get(together[step - 1], (step, lane)) if step <= len(together) else (step, lane)
        if place[1] == lane:
            tree.labels[lane] = _("greedy")
            words = [
                _name(text, step), _chance(logprob), _sum(total), _("greedy search went on here; beam search did not")
            ]  # fmt: skip
            tree.node(place, short(text), "greedy", "<br>".join(words))
        tree.edges["greedy"].append((before, place))
        before = place


def _followed(nodes: Mapping[str, Any], tokens: Sequence[int], group: int) -> list[int]:
    """The candidates of a group that are the beginning of a text."""
    columns = zip(nodes["parent"], nodes["token"], nodes["group"], nodes["id"], strict=True)
    children = {(parent, token): number for parent, token, one, number in columns if one == group}
    found: list[int] = []
    for token in tokens:
        number = children.get((found[-1] if found else 0, token))
        if number is None:
            break
        found.append(number)
    return found


def _path(nodes: Mapping[str, Any], node: int) -> set[int]:
    found = set()
    while node:
        found.add(node)
        node = nodes["parent"][node - 1]
    return found


def _name(token: str, step: int) -> str:
    return _("token {step}: {token}").format(step=step, token=f"<b>{plain(visible_token(token))}</b>")


def _hover(nodes: Mapping[str, Any], at: int, why: str) -> str:
    lines = [_name(nodes["text"][at], nodes["step"][at]), _chance(nodes["logprob"][at]), _sum(nodes["total"][at])]
    parent = nodes["parent"][at]
    taken = (nodes["total"][parent - 1] if parent else 0.0) + nodes["logprob"][at] - nodes["total"][at]
    if taken > 1e-9:
        lines.append(_("of it for diversity: −{taken}").format(taken=f"{taken:.2f}"))
    lines.append(_("place {rank} of its step").format(rank=nodes["rank"][at] + 1))
    return "<br>".join([*lines, why])


def _chance(logprob: float) -> str:
    words = _("log-probability {logprob}, {chance}")
    return words.format(logprob=signed(logprob), chance=f"{math.exp(min(0.0, logprob)):.2%}")


def _sum(total: float) -> str:
    return _("sum so far {total}").format(total=signed(total))


def _why(
    nodes: Mapping[str, Any], at: int, size: int, ends: Collection[int], place: int | None, has_children: bool
) -> str:  # fmt: skip
    """What became of a candidate, and why."""
    fate = nodes["fate"][at]
    if fate == "finished":
        if place is None:
            return _("finished, but {size} texts score higher").format(size=size)
        return _("finished: number {place} of the texts found").format(place=place)
    if fate == "kept":
        return _("goes on") if has_children else _("could go on, but the search ended: what is finished scores higher")
    if nodes["rank"][at] >= size and nodes["token"][at] in ends:
        return _("dropped: a text ends only among the best {size} of a step").format(size=size)
    return _("dropped: {size} others are more probable").format(size=size)


def signed(value: float) -> str:
    """With a true minus sign."""
    return f"{value:.2f}".replace("-", "−")


def short(token: str) -> str:
    """In a node."""
    shown = MARKS.get(token) or visible_token(token)
    return plain(shown if len(shown) <= SHORT else shown[: SHORT - 1] + "…")
