"""The questions about gates and states, by name: what each needs of a run, and who answers it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from lmviz.checkpoints import load_model
from lmviz.errors import RunError
from lmviz.jobs import gate_questions, held_out_questions
from lmviz.jobs.of_run import Answer, model_of, text_of, untrained
from lmviz.models.base import LanguageModel
from lmviz.runs import Run, Store
from lmviz.training.data import Data


def ask_gates(store: Store, run: str, text: str, step: int | None = None, layer: int = 0) -> Answer:
    """One piece: every gate and state of one layer on a text; see gate_questions.on_text."""
    model, tokenizer, step = model_of(store, run, step)
    yield {"run": run, "step": step, **gate_questions.on_text(model, tokenizer, text, layer)}


def ask_step(
    store: Store, run: str, text: str, token: int, unit: int, step: int | None = None, layer: int = 0
) -> Answer:  # fmt: skip
    """One piece: one unit's step at one token, written out; see gate_questions.one_step."""
    model, tokenizer, _ = model_of(store, run, step)
    yield gate_questions.one_step(model, tokenizer, text, layer, token, unit)


def ask_hold(store: Store, run: str, text: str, step: int | None = None, **how: Any) -> Answer:
    """The last piece: the model beside itself with signals held; see gate_questions.held."""
    model, tokenizer, _ = model_of(store, run, step)
    yield from _on_held_out(store, run, partial(gate_questions.held, model, tokenizer, text=text, **how))


def ask_meaning(store: Store, run: str, layer: int, signal: str, step: int | None = None) -> Answer:
    """The last piece: which unit tells which feature of the text; see held_out_questions.meaning_of."""
    models = (model_of(store, run, step)[0], untrained(store, run))
    yield from _on_held_out(store, run, partial(held_out_questions.meaning_of, *models, layer=layer, signal=signal))


def ask_contexts(store: Store, run: str, step: int | None = None, **how: Any) -> Answer:
    """The last piece: where a unit is highest and lowest; see held_out_questions.contexts."""
    model, _, _ = model_of(store, run, step)
    yield from _on_held_out(store, run, partial(held_out_questions.contexts, model, **how))


def ask_similar(store: Store, run: str, step: int | None = None, **how: Any) -> Answer:
    """The last piece: which units stay on over a span, and where else they do; see held_out_questions.similar."""
    model, tokenizer, _ = model_of(store, run, step)
    yield from _on_held_out(store, run, partial(held_out_questions.similar, model, tokenizer, **how))


def ask_openness(store: Store, run: str, layer: int, step: int | None = None) -> Answer:
    """The last piece: how open the gates are; see held_out_questions.openness."""
    model, _, _ = model_of(store, run, step)
    yield from _on_held_out(store, run, partial(held_out_questions.openness, model, layer=layer))


def ask_history(store: Store, run: str, layer: int, signal: str, until: int | None = None) -> Answer:
    """The last piece: features and gates at every kept moment; see held_out_questions.history.

    until: the newest step that counts, so that the answer stays right while the run goes on.
    """
    found = store.get(run)
    steps = sorted((step for step in found.checkpoint_steps() if until is None or step <= until), reverse=True)
    models = _kept(found, steps)
    answers = partial(held_out_questions.history, models, len(steps), layer=layer, signal=signal)
    yield from _on_held_out(store, run, answers)


def _kept(run: Run, steps: list[int]) -> Iterator[tuple[int, LanguageModel]]:
    """Models of these steps, one after the other; a run that goes on may have let go of one meanwhile."""
    for step in steps:
        try:
            model, _, _ = load_model(run, step)
        except RunError:
            continue
        yield step, model


def _on_held_out(store: Store, run: str, answers: Callable[..., Answer]) -> Answer:
    """Pieces of `answers(data=...)`; where the text is not the one that the run began with, they say "changed_text"."""
    text = yield from text_of(store, run)
    data: Data = text.data
    for piece in answers(data=data):
        yield {**piece, "changed_text": True} if text.changed else piece


GATE_QUESTIONS: dict[str, Callable[..., Answer]] = {
    "gates": ask_gates,
    "gate_step": ask_step,
    "hold": ask_hold,
    "gate_meaning": ask_meaning,
    "gate_contexts": ask_contexts,
    "gate_similar": ask_similar,
    "gate_openness": ask_openness,
    "gate_history": ask_history,
}
