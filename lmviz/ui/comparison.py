"""The words and curves of a comparison: from what was read of the runs to the loss figure and its verdict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmviz.compare import Axis, Lead, RunSet, RunView, changes, leads, run_sets, same_text, same_tokens
from lmviz.errors import N_
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.loss import Curve, Words, loss_figure
from lmviz.ui.i18n import _
from lmviz.ui.theme import RunStyle, plain, run_style
from lmviz.ui.theme import label as kind_label

LEVEL = 5e-4
"""Losses nearer than this are shown as equal."""


def run_styles(views: Sequence[RunView]) -> list[RunStyle]:
    """A line style for each run: its architecture's colour, its own dash among equals; one for all of a set."""
    sets = run_sets(views)
    kinds = [one.kind for one in sets]
    styles = [run_style(kind, kinds[:i].count(kind)) for i, kind in enumerate(kinds)]
    of_run = {view.run.id: style for one, style in zip(sets, styles, strict=True) for view in one.views}
    return [of_run[view.run.id] for view in views]


def axis_names() -> dict[Axis, str]:
    return {"step": _("Steps"), "tokens": _("Tokens"), "seconds": _("Seconds")}


def axis_titles() -> dict[Axis, str]:
    return {
        "step": _("updates of the weights"),
        "tokens": _("training tokens read"),
        "seconds": _("seconds of training"),
    }


def comparison_figure(
    views: Sequence[RunView],
    styles: Sequence[RunStyle],
    axis: Axis,
    *,
    log_x: bool = True,
    log_y: bool = False,
    smoothing: float = 0.0,
) -> go.Figure:
    """The loss of all runs, sets over seeds as bands; in bits a character where their tokens differ."""
    bits = _in_bits(views)
    words = Words(
        title=_title(views),
        x=axis_titles()[axis],
        y=_loss_axis(views),
        train=_("training"), validation=_("validation"), empty=_("The first points are on their way"),
        floors={} if bits else _floors(views),
    )  # fmt: skip
    style_of = {view.run.id: style for view, style in zip(views, styles, strict=True)}
    curves = [
        _curve(one, style_of[one.views[0].run.id], axis, (one.views[0].bits(1.0) or 1.0) if bits else 1.0)
        for one in run_sets(views)
        if one.kind != "ngram"
    ]
    return loss_figure(curves, words, log_x=log_x, log_y=log_y, smoothing=smoothing)


def _on_tasks(views: Sequence[RunView]) -> bool:
    return any(not view.config.writes_text for view in views)


def _in_bits(views: Sequence[RunView]) -> bool:
    """Where tokens differ, losses are compared a character; the answers to a task have no characters to count."""
    return not same_tokens(views) and not _on_tasks(views)


def _loss_axis(views: Sequence[RunView]) -> str:
    if _on_tasks(views):
        return _("loss, nats an answer")
    return _("loss, bits a character") if _in_bits(views) else _("loss, nats a token")


def _unit(views: Sequence[RunView]) -> str:
    if _on_tasks(views):
        return _("nats an answer")
    return _("nats a token") if same_tokens(views) else _("bits a character")


def _curve(one: RunSet, style: RunStyle, axis: Axis, scale: float) -> Curve:
    """The line of a run, or the mean and the band of a set."""
    view = one.views[0]
    if len(one.views) == 1:
        train, validation = view.column("train_loss") * scale, view.column("val_loss") * scale
        return Curve(one.label, style, view.column(axis), train, validation, _events(view, axis))
    x, losses = one.validation(axis)
    nothing = np.full(len(x), np.nan)
    rows = losses * scale
    band = (x, rows.mean(0), rows.min(0), rows.max(0)) if len(x) else None
    return Curve(set_label(one), style, x, nothing, nothing, band=band)


def set_label(one: RunSet) -> str:
    """The name of a run, or of a set and how many it has."""
    if len(one.views) == 1:
        return one.label
    return _("{name}, {count} seeds").format(name=one.label, count=len(one.views))


def _events(view: RunView, axis: Axis) -> tuple[tuple[float, str], ...]:
    """Settings that a person changed, at their place on the x-axis."""
    found = []
    for event in view.run.events():
        later = view.column(axis)[view.column("step") >= event["step"]]
        if len(later):
            found.append((float(later[0]), f"{event['name']} → {event['value']:g}"))
    return tuple(found)


def _floors(views: Sequence[RunView]) -> dict[str, float]:
    """Losses that need no training: guessing, the best n-gram counted on the same text, n-gram runs by their name."""
    floors: dict[str, float] = {}
    first = next((view for view in views if view.baselines), None)
    if first:
        floors[_("guessing")] = first.baselines["uniform"]
    if first and first.baselines["ngram"]:  # none of a task
        order, loss = min(first.baselines["ngram"].items(), key=lambda item: item[1])
        floors[_("best n-gram ({order}-gram)").format(order=order)] = loss
    for view in views:
        if view.kind == "ngram" and view.metrics:
            loss = view.metrics[-1]["val_loss"]
            same = next((name for name, value in floors.items() if abs(value - loss) < 5e-3), None)
            floors.pop(same or "", None)  # one line, one label
            floors[view.label] = loss
    return floors


def _title(views: Sequence[RunView]) -> str:
    found = leads(views)
    if not found:
        return _("How fast does it learn?") if len(views) == 1 else _("Who learns fastest?")
    lead = found[0]
    if lead.margin < LEVEL or is_luck(lead):
        return _("No clear difference after {steps} steps").format(steps=f"{lead.at:,.0f}")
    return _("{name} is ahead after {steps} steps").format(name=plain(lead.best.label), steps=f"{lead.at:,.0f}")


def alt_text(views: Sequence[RunView]) -> str:
    parts = [f"{view.label}: {view.validation('step')[1][-1]:.3f}" for view in views if len(view.validation("step")[1])]
    return _("Loss over training. Newest validation losses: {losses}").format(losses=", ".join(parts) or "-")


def caption(views: Sequence[RunView]) -> str:
    """What is measured and over what."""
    if _on_tasks(views):
        return _task_caption(views)
    if not same_text(views):
        return _("These runs learned different texts, so their losses cannot be compared with each other.")
    counts = {validation_tokens(view) for view in views if view.data}
    bold = _("Bold: validation loss, always on the same {tokens} tokens, spread over the text kept for it.")
    words = [bold.format(tokens=" / ".join(f"{count:,}" for count in sorted(counts)) or "–")]
    sizes = {len(one.views) for one in run_sets(views)}
    if 1 in sizes:
        words.append(_("Thin: training loss, mean since the point before."))
    if sizes - {1}:
        words.append(
            _("Bands: from the lowest to the highest of the runs that differ in their seed alone; line: their mean.")
        )
    words.append(_("Grey dashes: what needs no training."))
    unknown = max((view.data.get("unknown_share", {}).get("validation", 0.0) for view in views), default=0.0)
    if unknown and not same_tokens(views):
        words.append(
            _(
                "{share} of the words are unknown to a word tokenizer: each counts as one easy token, so its bits a"
                " character are too low."
            ).format(share=f"{unknown:.1%}")
        )
    return " ".join(words)


def _task_caption(views: Sequence[RunView]) -> str:
    words = []
    if not same_text(views):
        words.append(_("Not the same task at the same lag, so these losses cannot be compared with each other."))
    counts = sorted({validation_tokens(view) for view in views if view.data})
    bold = _("Bold: loss of the answers, always to the same {count} test questions.")
    words.append(bold.format(count=" / ".join(map(str, counts)) or "–"))
    words.append(_("Thin: training loss, mean since the point before."))
    return " ".join(words)


def validation_tokens(view: RunView) -> int:
    """How many tokens each validation loss is measured on (see lmviz.training.data.validation_batches)."""
    if not view.config.writes_text:
        return int(view.data["validation_tokens"])
    known = int(view.data["validation_tokens"]) - 1
    length = min(view.config.training.context_length, known)
    return length * max(1, min(view.config.recording.eval_tokens // length, known // length))


def verdict(views: Sequence[RunView]) -> str:
    """Once all have ended: who won, by how much, at equal steps, tokens and time (Markdown); empty before."""
    found = leads(views)
    if not found or any(view.status.active for view in views):
        return ""
    unit = _unit(views)
    sentences = [_sentence(lead, unit) for lead in found]
    if len({view.config.training.batch_size * view.config.training.context_length for view in views}) > 1:
        sentences.append(_("The models read different amounts of text at each step."))
    sentences += _chance(found[0], unit)
    changed = [view.label for view in views if view.run.events()]
    if changed:
        names = ", ".join(markdown_safe(name) for name in changed)
        sentences.append(_("Settings of {names} were changed on the way.").format(names=names))
    return " ".join(sentences)


def is_luck(lead: Lead) -> bool:
    """Whether the lead is no larger than what seeds alone do, where that was measured."""
    return lead.spread is not None and lead.margin <= 2 * lead.spread


def _chance(lead: Lead, unit: str) -> list[str]:
    """Whether the lead is more than the luck of a seed, where that was measured."""
    if lead.spread is None:
        return [_("One run each: repeat over seeds to see how much of that is luck.")]
    template = (
        N_("Seeds alone move a run by {spread} {unit} (standard deviation), less than half of the lead.")
        if not is_luck(lead)
        else N_("Seeds alone move a run by {spread} {unit} (standard deviation): the lead may be luck.")
    )
    return [_(template).format(spread=f"{lead.spread:.3f}", unit=unit)]


def difference_words(views: Sequence[RunView]) -> list[str]:
    """What sets each of the later runs (or sets) apart from the first, in words (Markdown)."""
    sets = run_sets(views)
    first = sets[0].views[0].config
    lines = []
    for one in sets[1:]:
        other = one.views[0].config
        parts = []
        if other.model.kind != first.model.kind:
            parts.append(
                _("{kind} instead of {other}").format(
                    kind=kind_label(other.model.kind), other=kind_label(first.model.kind)
                )
            )
        for name, old, new in changes(first, other):
            if name != "model.kind":
                field = markdown_safe(name.split(".")[-1])
                parts.append(f"{field} {markdown_safe(_value(old))} → {markdown_safe(_value(new))}")
        branch = other.fork or first.fork
        if branch and not parts:
            parts.append(_("nothing but the branch at step {step}").format(step=f"{branch.step:,}"))
        text = ", ".join(parts) or _("nothing")
        lines.append(
            _("**{name}** differs from **{first}** in: {parts}").format(
                name=markdown_safe(one.label), first=markdown_safe(sets[0].label), parts=text
            )
        )
    return lines


def _value(value: Any) -> str:
    return "–" if value is None else str(value)


def _sentence(lead: Lead, unit: str) -> str:
    if lead.margin < LEVEL:
        return _("At {at} {unit} the best two are level.").format(
            at=f"{lead.at:,.0f}", unit=axis_names()[lead.axis].lower()
        )
    template = {
        "step": _("After {at} steps {name} is best, {margin} {unit} ahead."),
        "tokens": _("After {at} tokens it is {name}, by {margin}."),
        "seconds": _("After {at} seconds of training it is {name}, by {margin}."),
    }[lead.axis]
    name = f"**{markdown_safe(lead.best.label)}**"
    return template.format(at=f"{lead.at:,.0f}", name=name, margin=f"{lead.margin:.3f}", unit=unit)
