"""The questions about attention, by name: what each needs of a run, and who answers it (attention_questions.py)."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lmviz.checkpoints import load_model
from lmviz.config import LABELLED, PAIR_CORPORA
from lmviz.errors import N_, ConfigError, RunError
from lmviz.jobs import attention_questions as answers
from lmviz.jobs.of_run import Answer, in_pieces, model_of, text_of
from lmviz.models.base import Batch, LanguageModel
from lmviz.runs import Run, Store
from lmviz.tokenizers import BEGIN
from lmviz.training.data import Data, check_fingerprint, validation_batches
from lmviz.training.label_data import LabelData
from lmviz.training.made import MadeData
from lmviz.training.masked_data import MaskedData
from lmviz.training.sources import open_data

HELD_OUT_TOKENS = 8192
"""Of the held-out text on which heads are measured."""
LABEL_TOKENS = 40
FURTHER = 3
"""Losses by place are measured up to so many times the trained length."""

Off = Sequence[tuple[str, int, int]]


def ask_attention(
    store: Store, run: str, text: str, part: str = "attention", step: int | None = None, masked: Sequence[int] = ()
) -> Answer:  # fmt: skip
    """One piece: all maps as one picture; see attention_questions.maps."""
    model, tokenizer, step = model_of(store, run, step)
    yield {"run": run, "step": step, **answers.maps(model, tokenizer, text, part, masked)}


def ask_attention_head(
    store: Store, run: str, text: str, layer: int, head: int, part: str = "attention", step: int | None = None,
    masked: Sequence[int] = (),
) -> Answer:  # fmt: skip
    """One piece: one map; see attention_questions.one_head."""
    model, tokenizer, _ = model_of(store, run, step)
    yield answers.one_head(model, tokenizer, text, part, layer, head, masked)


def ask_attention_steps(
    store: Store, run: str, text: str, layer: int, head: int, query: int, part: str = "attention",
    step: int | None = None, **how: Any,
) -> Answer:  # fmt: skip
    """One piece: one query in numbers; see attention_questions.steps."""
    model, tokenizer, _ = model_of(store, run, step)
    yield answers.steps(model, tokenizer, text, part, layer, head, query, **how)


def ask_attention_average(store: Store, run: str, layer: int, head: int, step: int | None = None) -> Answer:
    """The last piece: the mean map of a head over held-out windows; see attention_questions.average."""
    model, _, _ = model_of(store, run, step)
    windows = yield from _windows(store, run)
    yield from answers.average(model, windows, layer, head)


def ask_attention_names(store: Store, run: str, step: int | None = None) -> Answer:
    """The last piece: what each head mostly does; see attention_questions.names."""
    model, tokenizer, _ = model_of(store, run, step)
    windows = yield from _windows(store, run)
    yield from answers.names(model, tokenizer, windows)


def ask_attention_off(store: Store, run: str, text: str, off: Off, step: int | None = None, **decoding: Any) -> Answer:
    """The last piece: the model beside itself without some heads; see attention_questions.heads_off."""
    model, tokenizer, _ = model_of(store, run, step)
    batches = yield from _batches(store, run)
    heads = [(str(part), int(layer), int(head)) for part, layer, head in off]
    yield from answers.heads_off(model, tokenizer, batches, text, heads, decoding)


def ask_attention_rank(store: Store, run: str, part: str = "attention", step: int | None = None) -> Answer:
    """The last piece: how much the loss rises with each head off; see attention_questions.ranking."""
    model, _, _ = model_of(store, run, step)
    batches = yield from _batches(store, run)
    yield from answers.ranking(model, batches, part)


def ask_attention_lens(
    store: Store, run: str, text: str, step: int | None = None, masked: Sequence[int] = ()
) -> Answer:  # fmt: skip
    """One piece: what each layer would predict; see attention_questions.lens."""
    model, tokenizer, _ = model_of(store, run, step)
    yield answers.lens(model, tokenizer, text, masked)


def ask_masked(store: Store, run: str, text: str, places: Sequence[int], step: int | None = None) -> Answer:
    """One piece: what a bert takes for hidden tokens; see attention_questions.guesses."""
    model, tokenizer, _ = model_of(store, run, step)
    yield answers.guesses(model, tokenizer, text, places)


def ask_classes(store: Store, run: str, text: str, step: int | None = None) -> Answer:
    """One piece: which class a fine-tuned bert gives a text; see attention_questions.classes."""
    model, tokenizer, _ = model_of(store, run, step)
    yield answers.classes(model, tokenizer, text, store.get(run).data().get("labels", []))


def ask_positions(store: Store, run: str, step: int | None = None) -> Answer:
    """One piece: how the model knows places; see attention_questions.positions."""
    model, _, _ = model_of(store, run, step)
    yield answers.positions(model)


def ask_position_losses(store: Store, run: str, step: int | None = None) -> Answer:
    """The last piece: loss by place, beyond the trained length too; see attention_questions.position_losses."""
    model, _, _ = model_of(store, run, step)
    data = yield from _data(store, run)
    if not isinstance(data, Data) or model.context_length is None:
        raise ConfigError(N_("This needs a gpt that learned a text. Choose another run."))
    yield from answers.position_losses(model, data.validation, FURTHER * model.context_length)


def ask_attention_history(store: Store, run: str, until: int | None = None, since: int = 0) -> Answer:
    """The last piece: the induction score of every head at every kept moment; see attention_questions.history."""
    found = store.get(run)
    steps = [step for step in found.checkpoint_steps() if since <= step and (until is None or step <= until)]
    _, tokenizer, _ = model_of(store, run, None)
    yield from answers.history(_kept(found, steps), len(steps), tokenizer)


def _kept(run: Run, steps: Sequence[int]) -> Iterator[tuple[int, LanguageModel]]:
    for step in steps:
        try:
            model, _, _ = load_model(run, step)
        except RunError:
            continue  # a run that goes on has let go of it meanwhile
        yield step, model


def _data(store: Store, run: str) -> Generator[dict[str, Any], None, Data | MadeData]:
    """What a run learned from, cut by its own tokenizer.

    Raises:
        RunError: it is another one now, and not a built-in one.
    """
    found = store.get(run)
    config = found.config()
    if config.has_text:
        text = yield from text_of(store, run)
        return MaskedData(text.data, config) if config.model.kind == "bert" else text.data
    tokenizer = model_of(store, run, None)[1] if config.pretrained else None
    data = yield from in_pieces(open_data(config, tokenizer=tokenizer))
    if config.corpus.name not in (*PAIR_CORPORA, *LABELLED):
        check_fingerprint(found, data.fingerprint)
    return data


def _batches(store: Store, run: str) -> Generator[dict[str, Any], None, list[Batch]]:
    """Some of what every validation measures."""
    data = yield from _data(store, run)
    if isinstance(data, Data):
        length = store.get(run).config().training.context_length
        return validation_batches(data.validation, length, HELD_OUT_TOKENS, 16)
    batches: list[Batch] = []
    for batch in data.validation_batches():
        if sum(one.inputs.numel() for one in batches) >= HELD_OUT_TOKENS:
            break
        batches.append(batch)
    return batches


def _windows(store: Store, run: str) -> Generator[dict[str, Any], None, Tensor]:
    """Held-out text as the model reads it (B, T), nothing hidden."""
    data = yield from _data(store, run)
    if isinstance(data, LabelData):
        rows = [[BEGIN, *data.tokenizer.encode(text)][:LABEL_TOKENS] for text, _ in data.texts.test]
        usual = sorted(map(len, rows))[len(rows) // 2]
        length = max(2, min(LABEL_TOKENS, data.longest, usual))
        return torch.tensor([row[:length] for row in rows if len(row) >= length][: HELD_OUT_TOKENS // length])
    if isinstance(data, MaskedData):
        return data.whole_windows(HELD_OUT_TOKENS)
    batches = yield from _batches(store, run)
    return torch.cat([batch.inputs for batch in batches])


ATTENTION_QUESTIONS: dict[str, Callable[..., Answer]] = {
    "attention": ask_attention,
    "attention_head": ask_attention_head,
    "attention_steps": ask_attention_steps,
    "attention_average": ask_attention_average,
    "attention_names": ask_attention_names,
    "attention_off": ask_attention_off,
    "attention_rank": ask_attention_rank,
    "attention_lens": ask_attention_lens,
    "attention_history": ask_attention_history,
    "masked": ask_masked,
    "classes": ask_classes,
    "positions": ask_positions,
    "position_losses": ask_position_losses,
}
