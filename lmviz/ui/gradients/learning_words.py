"""What is said of gradients while models learn: findings, captions, sentences for what is missing."""

from collections.abc import Sequence

from lmviz.compare import RunView
from lmviz.errors import N_
from lmviz.inspect.decay import RECORDED_WINDOWS
from lmviz.ui.errors import markdown_safe
from lmviz.ui.gradients.history import History, clipped_share
from lmviz.ui.i18n import _, listed, ngettext
from lmviz.ui.theme import plain

LONGEST_NAME = 24
"""Characters of a name above a map."""
LEAD = 1.25
"""By which factor one run has to lead to be named: below it the windows that were measured may make the difference."""

HARDLY = 0.01
"""Share of clipped updates below which hardly any was."""


def name_of(history: History) -> str:
    return _("{name} (cell state)").format(name=history.label) if history.state == "cell" else history.label


def reach_text(history: History, index: int) -> str:
    """Steps back at which less than 1/1000 is left; more than the window has are not known."""
    reach = int(history.reach[index])
    return f"≥ {reach}" if history.is_beyond(index) else str(reach)


def map_title(histories: Sequence[History]) -> str:
    """The finding in one line: how the reach changed from birth to the newest moment."""
    if len(histories) == 1:
        return plain(_change(histories[0]))
    best, *others = rivals = _furthest(histories)
    names = listed([name_of(history) for history in rivals])
    if not others:
        words = _("{name} reaches furthest: from {first} steps at birth to {last}").format(
            name=name_of(best), first=reach_text(best, 0), last=reach_text(best, -1)
        )
    elif any(history.is_beyond(-1) for history in rivals):
        reaches = ", ".join(_reach_or_window(history) for history in rivals)
        words = _("Which one reaches furthest is not known: {reaches}").format(reaches=reaches)
    elif len(rivals) == len(histories):
        words = _("{names} reach about equally far").format(names=names)
    else:
        words = _("{names} reach furthest, about equally far").format(names=names)
    return plain(words)


def _furthest(histories: Sequence[History]) -> list[History]:
    """Those of which any may reach furthest: less than LEAD behind the furthest, or beyond the end of their window."""
    best = max(int(history.reach[-1]) for history in histories)
    return [history for history in histories if history.is_beyond(-1) or best <= LEAD * history.reach[-1]]


def _reach_or_window(history: History) -> str:
    steps = int(history.reach[-1])
    if history.is_beyond(-1):
        words = ngettext("{name} beyond its window of {steps} step", "{name} beyond its window of {steps} steps", steps)
    else:
        words = ngettext("{name} {steps} step", "{name} {steps} steps", steps)
    return words.format(name=name_of(history), steps=steps)


def _change(history: History) -> str:
    first, last = int(history.reach[0]), int(history.reach[-1])
    if history.is_beyond(0) and history.is_beyond(-1):
        words = _("{name}: reach is beyond its window of {last} steps, as at birth")
        return words.format(name=name_of(history), last=last)
    if first == last:
        words = _("{name}: reach stays at {last} steps")
    elif first < last:
        words = _("{name}: reach grows from {first} to {last} steps")
    else:
        words = _("{name}: reach shrinks from {first} to {last} steps")
    return words.format(name=name_of(history), first=reach_text(history, 0), last=reach_text(history, -1))


def heading(history: History) -> str:
    """Above one of several maps: two short lines, as a map on a phone is small."""
    name = name_of(history)
    name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    reaches = _("{first} → {last} steps").format(first=reach_text(history, 0), last=reach_text(history, -1))
    return f"<b>{plain(name)}</b><br>{plain(reaches)}"


def map_caption(histories: Sequence[History]) -> str:
    windows = " / ".join(str(lags) for lags in sorted({history.lags for history in histories}))
    return _(
        "Gradient of the last step's loss with respect to the state so many steps before, relative to that at the last"
        " state; mean over the first {count} windows of {steps} tokens of the validation text, float64. Each column is"
        " a recorded moment. Line: the reach, the first lag with less than 1/1000; at the upper edge there is more"
        " everywhere. Vertical: the moment whose curve is shown."
    ).format(count=RECORDED_WINDOWS, steps=windows)


def map_alt(histories: Sequence[History]) -> str:
    return _("Maps of training step by lag. {findings}.").format(findings="; ".join(_change(one) for one in histories))


def moment_title(histories: Sequence[History], step: int) -> str:
    """The reaches at the newest moment of each run up to this step; where runs are at others, each with its own."""
    steps = {history.step(step) for history in histories}
    reach = "{name} {reach}" if len(steps) == 1 else _("{name} {reach} (step {step})")
    reaches = ", ".join(
        reach.format(name=name_of(one), reach=reach_text(one, one.index(step)), step=f"{one.step(step):,}")
        for one in histories
    )
    if steps == {0}:
        words = _("At birth 1/1000 is left after so many steps: {reaches}")
    elif len(steps) == 1:
        words = _("After {step} updates 1/1000 is left after so many steps: {reaches}")
    else:
        words = _("1/1000 is left after so many steps: {reaches}")
    return plain(words.format(step=f"{max(steps):,}", reaches=reaches))


def moment_names(histories: Sequence[History], step: int) -> list[str]:
    """Each run's name in the legend, with its own step where not all are at the same one."""
    if len({history.step(step) for history in histories}) == 1:
        return [name_of(history) for history in histories]
    return [_("{name}, step {step}").format(name=name_of(one), step=f"{one.step(step):,}") for one in histories]


def missing_words(views: Sequence[RunView]) -> list[str]:
    """Why these runs have no norms over the lag, and what they can show: a sentence a reason (Markdown)."""
    reasons: dict[str, list[str]] = {}
    for view in views:
        reasons.setdefault(_reason(view), []).append(f"**{markdown_safe(view.label)}**")
    return [_(reason).format(names=listed(names)) for reason, names in reasons.items()]


def _reason(view: RunView) -> str:
    """Not yet translated."""
    if view.kind == "gpt":
        return N_(
            "{names}: a GPT has no state that goes from step to step, so there is no norm over the lag. The gradient of"
            " its updates stands below."
        )
    if view.status.active:
        return N_("{names}: the first norms are on their way.")
    return N_(
        "{names}: no gradient norms over the lag, as this was trained by an earlier version or without recording them."
        " The gradient of the updates stands below."
    )


def update_title(views: Sequence[RunView]) -> str:
    """How often updates were clipped; one run is named only if it leads the others."""
    shares = sorted(((clipped_share(view) or 0.0, view.label) for view in views), reverse=True)
    most, name = shares[0]
    if most == 0:
        return _("No update had to be clipped")
    if most < HARDLY:
        return _("Hardly any update was clipped")
    if len(shares) == 1:
        return _("{share} of the updates were clipped").format(share=f"{most:.1%}")
    if most <= LEAD * shares[1][0]:
        return _("None was clipped clearly more than the others: at most {share} of the updates").format(
            share=f"{most:.1%}"
        )
    return plain(_("{name} was clipped most: {share} of its updates").format(name=name, share=f"{most:.1%}"))


def update_caption(views: Sequence[RunView]) -> str:
    """What is measured, and the share of clipped updates."""
    known = [(view.label, share) for view in views if (share := clipped_share(view)) is not None]
    shares = ", ".join(f"{label} {share:.1%}" for label, share in known) or "–"
    return _(
        "Norm of the gradient of all parameters together, mean since the point before. Thick: before clipping; thin:"
        " after it. Updates clipped so far: {shares}."
    ).format(shares=shares)
