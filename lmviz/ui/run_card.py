"""One run on a card: state, progress, figures, what can be done with it, and what it writes."""

import html
import time
from collections.abc import Callable

import streamlit as st

from lmviz.compare import RunView
from lmviz.summary import perplexity_words
from lmviz.ui import cache
from lmviz.ui.branching import fork_control, longer_control
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.setup import duration
from lmviz.ui.theme import RunStyle


def state_names() -> dict[str, str]:
    return {
        "queued": _("waiting"), "running": _("learning"), "paused": _("paused"), "finished": _("finished"),
        "stopped": _("stopped"), "failed": _("failed"),
    }  # fmt: skip


PATIENCE = 8.0
"""Seconds for which the page keeps looking after a wish: a busy worker answers after its slice."""


def run_card(view: RunView, style: RunStyle) -> None:
    status = view.status
    dot = f'<span class="run-dot" style="background:{style.color}"></span>'
    state = f'<span class="run-state">{html.escape(state_names()[status.state])}</span>'
    st.html(f'<div class="run-head">{dot}<b>{html.escape(view.label)}</b>{state}</div>')
    share = status.stage_progress or (status.step / status.steps if status.steps else 0.0)
    st.progress(min(1.0, share), text=_progress(view))
    if status.error:
        show_error(status.error)
    if status.stopped_early:
        st.caption(
            _("Stopped early: {count} validations without a better one. The best: {loss} at step {step}.").format(
                count=view.config.training.early_stopping, loss=f"{status.best_loss:.3f}", step=f"{status.best_step:,}"
            )
        )
    _numbers(view)
    if view.run.read_only:
        st.caption(_("A sample that comes with lmviz."))
    _controls(view)
    _sample(view)


def _progress(view: RunView) -> str:
    status = view.status
    if status.stage:
        share = f" {status.stage_progress:.0%}" if status.stage_progress is not None else ""
        return _(status.stage) + " …" + share
    parts = [_("{step} of {steps} steps").format(step=f"{status.step:,}", steps=f"{status.steps:,}")]
    if status.seconds_left and status.state == "running":
        parts.append(_("{time} left").format(time=duration(status.seconds_left)))
    if status.tokens_per_second:
        parts.append(_("{n} tokens/s").format(n=f"{status.tokens_per_second:,.0f}"))
    return " · ".join(parts)


def _numbers(view: RunView) -> None:
    """The newest figures, in a quiet grid that does not jump while it changes."""
    losses = view.validation("step")[1]
    loss = float(losses[-1]) if len(losses) else None
    last = view.metrics[-1] if view.metrics else None
    bits = view.bits(loss) if loss is not None else None
    facts = [
        (_("validation loss"), f"{loss:.3f}" if loss is not None else "–"),
        (_("perplexity"), perplexity_words(loss, 2) if loss is not None else "–"),
        _accuracy(view) or (_("bits a character"), f"{bits:.3f}" if bits is not None else "–"),
    ]
    unknown = view.data.get("unknown_share", {}).get("validation", 0.0)
    if unknown:
        facts.append((_("unknown words"), f"{unknown:.1%}"))
    if view.kind != "ngram":
        norm = f"{last['grad_norm']:.2f} → {last['grad_norm_clipped']:.2f}" if last else "–"
        facts.append((_("gradient norm, before → after clipping"), norm))
    cells = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts)
    st.html(f'<dl class="run-facts">{cells}</dl>')


def _accuracy(view: RunView) -> tuple[str, str] | None:
    """Of a run that answers (a task, pairs, labels, hidden words): share of right answers so far."""
    if view.config.writes_text:
        return None
    name = "exact_match" if view.config.reads_pairs else "accuracy"
    known = [line[name] for line in view.metrics if name in line]
    return _("right answers"), f"{known[-1]:.0%}" if known else "–"


def _controls(view: RunView) -> None:
    """What can be done with the run in its state."""
    run_id, state, jobs = view.run.id, view.status.state, cache.jobs()
    with st.container(horizontal=True, gap="small"):
        if state in ("queued", "running"):
            wish_button(_("Pause"), "pause", run_id, lambda: jobs.pause(run_id))
        if state == "paused":
            wish_button(_("Resume"), "play_arrow", run_id, lambda: jobs.start(run_id, cache.owner()))
            wish_button(_("One step"), "skip_next", run_id, lambda: jobs.step(run_id, cache.owner()))
        if state in ("queued", "running", "paused"):
            wish_button(_("Stop"), "stop", run_id, lambda: jobs.stop(run_id))
            if view.kind != "ngram":
                _tuning(view)
        elif view.run.checkpoint_steps():
            st.page_link(
                "pages/generate.py", label=_("Let it write"), icon=":material/edit_note:", query_params={"run": run_id}
            )
            if view.kind in ("rnn", "nvsi", "gru", "lstm"):
                st.page_link(
                    "pages/gradients.py", label=_("Its gradients"), icon=":material/trending_down:",
                    query_params={"part": "learning", "runs": run_id},
                )  # fmt: skip
                st.page_link(
                    "pages/gates.py", label=_("Its gates"), icon=":material/sensor_door:", query_params={"run": run_id}
                )
            fork_control(view.run)
            longer_control(view.run)


def wish_button(words: str, icon: str, run_id: str, act: Callable[[], object]) -> None:
    """A wish for a run; the page keeps looking until it shows."""

    def wish() -> None:
        st.session_state["watch_until"] = time.monotonic() + PATIENCE
        act()

    st.button(words, icon=f":material/{icon}:", key=f"{icon}_{run_id}", on_click=wish)


def _tuning(view: RunView) -> None:
    """Learning rate, dropout and clipping of a run under way."""
    run_id = view.run.id
    model = view.config.model
    now = {
        "learning_rate": view.config.training.learning_rate,
        "clip_norm": view.config.training.clip_norm,
        "dropout": getattr(model, "dropout", 0.0),
    }
    now |= {event["name"]: event["value"] for event in view.run.events() if event["name"] in now}
    with st.popover(_("Change"), icon=":material/tune:", key=f"tune_{run_id}"):
        for name, value in now.items():
            high = 0.99 if name == "dropout" else None
            key = f"{name}_{run_id}"
            st.number_input(
                name, 0.0, high, float(value), step=max(float(value) / 5, 1e-4), format="%g", key=key,
                on_change=lambda name=name, key=key: cache.jobs().set(run_id, name, st.session_state[key]),
            )  # fmt: skip
        st.caption(_("Takes effect at the next update. The learning rate is the schedule's highest."))


def _sample(view: RunView) -> None:
    samples = view.run.samples()
    if not samples:
        return
    last = samples[-1]
    head = _("It writes, after {step} steps").format(step=f"{last['step']:,}")
    st.html(
        f'<div class="run-sample"><div class="run-sample-head">{html.escape(head)}</div>'
        f'<pre><span class="prompt">{html.escape(last["prompt"])}</span>{html.escape(last["text"])}</pre></div>'
    )
