"""One token of one head in numbers, and what is said of it: a finding, formulas, a sentence for each step."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmviz.ui.attention.scene import Scene
from lmviz.ui.attention.text import in_figure, quoted
from lmviz.ui.i18n import _, ngettext
from lmviz.ui.tokens import visible_token


@dataclass(frozen=True)
class Step:
    """One query of one head. model: with all steps, as the model does it; shown: with those that are on."""

    scene: Scene
    layer: int
    head: int
    query: int
    scaled: bool
    use_mask: bool
    model: dict[str, Any]
    shown: dict[str, Any]

    @property
    def width(self) -> int:
        """Of the head."""
        return len(self.model["query"])

    @property
    def root(self) -> str:
        return f"√{self.width}"

    @property
    def later(self) -> list[bool]:
        """Keys that the mask hides."""
        return [not allowed for allowed in self.model["allowed"]]

    @property
    def divided(self) -> list[float]:
        """Scores before the mask."""
        return [product / self.shown["divisor"] for product in self.shown["products"]]

    @property
    def leaked(self) -> float:
        """Weight on keys that the mask hides."""
        return float(np.array(self.shown["weights"])[self.later].sum())


def entropy(weights: list[float]) -> float:
    """Nats."""
    return -sum(weight * math.log(weight) for weight in weights if weight > 0)


# ---- the finding ----


def finding(step: Step) -> str:
    """The title of the steps: what the head does, or what has changed with a step switched off."""
    hidden = sum(step.later)
    if not step.use_mask and hidden:
        return _leak(step, hidden)
    if not step.scaled:
        return _sharper(step)
    if not step.use_mask:
        words = _("Nothing comes after “{token}”: the mask hides nothing from it")
        return words.format(token=in_figure(step.scene.rows[step.query]))
    return _most(step)


def _most(step: Step) -> str:
    weights = step.shown["weights"]
    best = int(np.argmax(weights))
    return _("“{token}” looks most at “{other}”, with {weight}; entropy {nats} nats").format(
        token=in_figure(step.scene.rows[step.query]), other=in_figure(step.scene.columns[best]),
        weight=f"{weights[best]:.2f}", nats=f"{entropy(weights):.2f}",
    )  # fmt: skip


def _sharper(step: Step) -> str:
    before, after = step.model["weights"], step.shown["weights"]
    words = _(
        "Not divided by {root}, the largest weight goes from {before} to {after}, the entropy from {nats} to {new} nats"
    )
    return words.format(
        root=step.root, before=f"{max(before):.2f}", after=f"{max(after):.2f}", nats=f"{entropy(before):.2f}",
        new=f"{entropy(after):.2f}",
    )  # fmt: skip


def _leak(step: Step, hidden: int) -> str:
    if step.scaled:
        words = ngettext(
            "Without the mask {share} of the attention goes to {count} later token",
            "Without the mask {share} of the attention goes to {count} later tokens", hidden,
        )  # fmt: skip
    else:
        words = ngettext(
            "Without the mask {share} of the attention goes to {count} later token; not divided by {root} either, the"
            " largest weight goes from {before} to {after}",
            "Without the mask {share} of the attention goes to {count} later tokens; not divided by {root} either, the"
            " largest weight goes from {before} to {after}", hidden,
        )  # fmt: skip
    return words.format(
        share=f"{step.leaked:.0%}", count=hidden, root=step.root, before=f"{max(step.model['weights']):.2f}",
        after=f"{max(step.shown['weights']):.2f}",
    )  # fmt: skip


# ---- the caption ----


def caption(step: Step) -> str:
    """What the panels show; for a step that is off, what that does."""
    token = visible_token(step.scene.rows[step.query])
    words = [_(
        "A column is a token that “{token}” can look at; the first three panels are on one scale. Click on a column to"
        " see its numbers."
    ).format(token=token)]  # fmt: skip
    if step.scene.part != "cross_attention":
        words.append(_("Dotted: “{token}” itself.").format(token=token))
    if any(step.later):
        words.append(_("Orange: tokens that come later."))
    if not step.scaled:
        words.append(_without_division(step))
    if not step.use_mask and any(step.later):
        words.append(_without_mask(step))
    return " ".join(words)


def _without_division(step: Step) -> str:
    return _(
        "Queries and keys are those of the model, which learned with the division. Scores that are {root} times as"
        " large always make the largest weight larger; in training hardly any gradient would reach the other keys."
    ).format(root=step.root)  # fmt: skip


def _without_mask(step: Step) -> str:
    words = _(
        "Among them is “{next}”, which the model has to predict here, with {weight}. Trained with this view it would"
        " learn to copy the answer; this model was not, so nothing has taught it what these scores should be."
    )  # fmt: skip
    place = step.query + 1
    return words.format(next=visible_token(step.scene.rows[place]), weight=f"{step.shown['weights'][place]:.3f}")


# ---- formulas ----


def equations(step: Step, key: int) -> list[str]:
    """LaTeX: the formula with the steps that are on, and the chosen key's weight with its numbers."""
    inside = r"\frac{q \cdot k_j}{\sqrt{d}}" if step.scaled else r"q \cdot k_j"
    out, word = _("out"), _("mask")
    mask = rf" + \text{{{word}}}_j" if step.use_mask and step.scene.causal else ""
    return [
        rf"\text{{{out}}} = \sum_j a_j v_j,\quad a_j = \mathrm{{softmax}}\Big({inside}{mask}\Big)",
        _weight(step, key),
    ]


def _weight(step: Step, key: int) -> str:
    score = step.shown["scores"][key]
    if score is None:
        return rf"a_{{{key}}} = \frac{{e^{{-\infty}}}}{{\sum_j e^{{s_j}}}} = \mathbf{{0}}"
    product = step.shown["products"][key]
    power = rf"{_n(product)}/\sqrt{{{step.width}}}" if step.scaled else _n(product)
    total = log_sum([one for one in step.shown["scores"] if one is not None])
    return (
        rf"a_{{{key}}} = \frac{{e^{{{power}}}}}{{\sum_j e^{{s_j}}}} = \frac{{{exponential(score)}}}"
        rf"{{{exponential(total)}}} = \mathbf{{{step.shown['weights'][key]:.4f}}}"
    )


def log_sum(scores: list[float]) -> float:
    """log(sum(exp(scores))), also of scores whose powers are no numbers of the computer any more."""
    largest = max(scores)
    return largest + math.log(sum(math.exp(score - largest) for score in scores))


def exponential(power: float) -> str:
    """e to this power, LaTeX with three digits."""
    tens = math.floor(power / math.log(10))
    if -3 <= tens <= 4:
        return f"{math.exp(power):.{max(0, 2 - tens)}f}"
    return rf"{math.exp(power - tens * math.log(10)):.2f} \cdot 10^{{{tens}}}"


def _n(value: float) -> str:
    return f"{value:.2f}"


# ---- a sentence for each step ----


def explained(step: Step, key: int) -> list[str]:
    """Markdown: what each step is for, with the numbers of the chosen key."""
    return [_product(step, key), _division(step, key), _mask(step, key), _softmax(step, key)]


def _product(step: Step, key: int) -> str:
    words = _(
        "**q·k = {product}**: how well what “{token}” looks for (q) matches what “{key}” offers (k), the products of"
        " their {width} numbers added up."
    )  # fmt: skip
    token, other = quoted(step.scene.rows[step.query]), quoted(step.scene.columns[key])
    return words.format(product=_n(step.shown["products"][key]), token=token, key=other, width=step.width)


def _division(step: Step, key: int) -> str:
    words = (
        _("**1. Divided by {root}: {score}**. The wider the head, the larger such sums; divided, they keep their size,"
          " and several keys can share the weight.")
        if step.scaled else
        _("**1. Not divided: {score}**. The wider the head, the larger such sums, and the larger they are, the more of"
          " the weight the best key takes.")
    )  # fmt: skip
    return words.format(root=step.root, score=_n(step.divided[key]))


def _mask(step: Step, key: int) -> str:
    if step.scene.part == "cross_attention":
        return _("**2. No mask**: the source is known before anything is written; nothing has to be hidden.")
    if step.scene.part == "encoder_attention":
        return _("**2. No mask**: the source is there as a whole before anything is written.")
    if not step.scene.causal:
        return _("**2. No mask**: the model fills gaps, so it may look at both sides of them.")
    if not step.use_mask:
        return _("**2. Not masked**: the model would see the tokens that it has to predict.")
    hidden = sum(step.later)
    if not hidden:
        words = _(
            "**2. Masked**: nothing comes after “{token}”, so nothing is hidden from it. Choose an earlier token."
        )
        return words.format(token=quoted(step.scene.rows[step.query]))
    if step.later[key]:
        return _("**2. Masked: −∞**. “{key}” comes later; the model has to predict it and must not see it.").format(
            key=quoted(step.scene.columns[key])
        )
    words = ngettext(
        "**2. Masked**: “{key}” stays; {count} later token gets −∞, as the model has to predict it, not to see it.",
        "**2. Masked**: “{key}” stays; {count} later tokens get −∞, as the model has to predict them, not to see them.",
        hidden,
    )
    return words.format(key=quoted(step.scene.columns[key]), count=hidden)


def _softmax(step: Step, key: int) -> str:
    return _("**3. Softmax: {weight}**. e to the power of each score (s), divided by the sum of all: weights above 0"
             " that sum to 1. What is looked at adds its value, times its weight.").format(
        weight=f"{step.shown['weights'][key]:.4f}"
    )  # fmt: skip
