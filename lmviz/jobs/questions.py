"""What can be asked of a model: each question is a generator of JSON pieces. Used by the answering worker, and in
process by the command line and by tests.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from lmviz.checkpoints import load_model, load_tokenizer
from lmviz.config import CorpusConfig, RunConfig, TokenizerConfig
from lmviz.corpora import load_corpus, word_vocabulary
from lmviz.corpora.tasks import task_of
from lmviz.costs import check_costs
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.errors import N_, ConfigError
from lmviz.inspect.score import score
from lmviz.jobs import gate_questions, gradient_questions, held_out_questions
from lmviz.limits import MAX_GRADIENT_LENGTH
from lmviz.models import build_model
from lmviz.models.base import UNSCORED, LanguageModel
from lmviz.models.linear import use_product
from lmviz.runs import Store
from lmviz.tokenizers import Tokenizer
from lmviz.training.data import Data, check_fingerprint, check_length, load_data
from lmviz.training.product import product_here
from lmviz.training.rate_finder import Trial, suggestion, trials
from lmviz.training.task_data import TaskData
from lmviz.training.trainer import Trainer
from lmviz.turns import IDLE, Result, Turns

Answer = Iterator[dict[str, Any]]

PIECE_SECONDS = 0.08
"""How often a growing text is sent."""
WAITING = "waiting"
"""A piece with this key says that nothing was done but waiting for another process."""


@lru_cache(maxsize=8)
def _model(store_root: str, run_id: str, step: int | None) -> tuple[LanguageModel, Tokenizer, int]:
    return load_model(Store(Path(store_root)).get(run_id), step)


def model_of(store: Store, run_id: str, step: int | None) -> tuple[LanguageModel, Tokenizer, int]:
    """The model at a step (the newest if None); the last few are kept in memory."""
    steps = store.get(run_id).checkpoint_steps()
    return _model(str(store.root), run_id, steps[-1] if step is None and steps else step)


def ask_generate(store: Store, run: str, step: int | None = None, **decoding: Any) -> Answer:
    """Pieces {"tokens": [...]} as they are made; each token a dict, see lmviz.decoding.generate.GeneratedToken."""
    model, tokenizer, step = model_of(store, run, step)
    config = DecodingConfig.model_validate(decoding)
    tokens: list[dict[str, Any]] = []
    start = sent = time.perf_counter()
    count = 0
    for token in generate(model, tokenizer, config):
        tokens.append(vars(token))  # not asdict: its copies cost half as much as the token
        count += 1
        if time.perf_counter() - sent > PIECE_SECONDS:
            yield {"tokens": tokens}
            tokens, sent = [], time.perf_counter()
    seconds = time.perf_counter() - start
    yield {"tokens": tokens, "step": step, "tokens_per_second": count / seconds if seconds else None}


def ask_score(store: Store, run: str, text: str, step: int | None = None) -> Answer:
    """One piece: loss, perplexity, bits_per_char, tokens."""
    model, tokenizer, _ = model_of(store, run, step)
    yield asdict(score(model, tokenizer, text))


def ask_estimate(store: Store, config: dict[str, Any], vocab_size: int) -> Answer:
    """One piece: how long an update of this configuration takes here, measured on random tokens.

    {"parameters", "seconds_per_step"}; the best of three updates after one to warm up.
    """
    run_config = RunConfig.model_validate(config)
    training = run_config.training
    model = build_model(run_config.model, vocab_size, training.context_length)
    use_product(model, product_here())  # as its training would
    if model.learns_by == "counting":
        yield {"parameters": None, "seconds_per_step": None}
        return
    tokens = torch.randint(vocab_size, (training.context_length * 20,)).numpy().astype("uint16")
    trainer = Trainer(model, training, tokens)
    best = float("inf")
    for _ in range(4):
        best = min(best, trainer.advance().seconds)
        if best > 0.2:
            break
    yield {"parameters": model.parameter_count(), "seconds_per_step": best}


def ask_vocabulary(store: Store, corpus: str, tokenizer: dict[str, Any]) -> Answer:
    """One piece {"vocab_size"}: tokens that a word tokenizer has at most. Here, because jieba's dictionary is large."""
    text = load_corpus(corpus, allow_paths=False)
    yield {"vocab_size": word_vocabulary(text, TokenizerConfig.model_validate(tokenizer))}


def _in_pieces(turns: Turns[Result]) -> Generator[dict[str, Any], None, Result]:
    """Long preparations answer with empty pieces, so that other answers have their turns in between; what can only wait
    says so.
    """
    while True:
        try:
            turn = next(turns)
        except StopIteration as end:
            result: Result = end.value
            return result
        yield {"trials": [], WAITING: True} if turn == IDLE else {"trials": []}


def ask_learning_rates(store: Store, config: dict[str, Any]) -> Answer:
    """Pieces {"trials": [...]} of the range test as it goes on, then {"suggestion"}; see lmviz.training.rate_finder."""
    run_config = RunConfig.model_validate(config)
    if run_config.model.kind == "ngram":
        raise ConfigError(N_("An n-gram model is counted and has no learning rate. Take another kind of model."))
    data = yield from _in_pieces(load_data(run_config.corpus, run_config.tokenizer))
    check_length(data, run_config)
    check_costs(run_config, data.tokenizer.vocab_size)
    seen: list[Trial] = []
    sent, told = time.perf_counter(), 0
    for trial in trials(run_config, data):
        seen.append(trial)
        if time.perf_counter() - sent > PIECE_SECONDS:
            yield {"trials": [asdict(trial) for trial in seen[told:]]}
            sent, told = time.perf_counter(), len(seen)
    yield {"trials": [asdict(trial) for trial in seen[told:]], "suggestion": suggestion(seen)}


def ask_gradients(store: Store, cells: list[dict[str, Any]], length: int, **how: Any) -> Answer:
    """The last piece: gradient norms over time steps of cells at birth; see gradient_questions.at_birth."""
    return gradient_questions.at_birth(cells, length, **how)


def ask_run_gradients(store: Store, run: str, step: int | None = None, length: int | None = None, **how: Any) -> Answer:
    """The same of a run's model at a step, over `length` tokens, or a task's lag (as in training if None)."""
    found = store.get(run)
    config = found.config()
    model, _, step = model_of(store, run, step)
    data = yield from _in_pieces(load_data(config.corpus, config.tokenizer))
    check_fingerprint(found, data.fingerprint)
    if length is None:
        usual = config.training.context_length if config.corpus.lag is None else config.corpus.lag
        length = max(2, min(usual, MAX_GRADIENT_LENGTH))
    yield {"run": run, "step": step, **gradient_questions.of_run(model, data, length, **how)}


def ask_dependence(store: Store, run: str, text: str, step: int | None = None) -> Answer:
    """The last piece: on which earlier tokens of a text each loss depends; see gradient_questions.on_text."""
    model, tokenizer, step = model_of(store, run, step)
    for piece in gradient_questions.on_text(model, tokenizer, text):
        yield {"run": run, "step": step, **piece} if piece else piece


def ask_gates(store: Store, run: str, text: str, step: int | None = None, layer: int = 0) -> Answer:
    """One piece: every gate and state of one layer on a text; see gate_questions.on_text."""
    model, tokenizer, step = model_of(store, run, step)
    yield {"run": run, "step": step, **gate_questions.on_text(model, tokenizer, text, layer)}


def ask_gate_step(
    store: Store, run: str, text: str, token: int, unit: int, step: int | None = None, layer: int = 0
) -> Answer:
    """One piece: one unit's step at one token, written out; see gate_questions.one_step."""
    model, tokenizer, _ = model_of(store, run, step)
    yield gate_questions.one_step(model, tokenizer, text, layer, token, unit)


def ask_hold(store: Store, run: str, text: str, step: int | None = None, **how: Any) -> Answer:
    """The last piece: the model beside itself with signals held; see gate_questions.held."""
    model, tokenizer, _ = model_of(store, run, step)
    data = yield from _text_of(store, run)
    yield from gate_questions.held(model, tokenizer, data, text, **how)


def ask_gate_meaning(store: Store, run: str, layer: int, signal: str, step: int | None = None) -> Answer:
    """The last piece: which unit tells which feature of the text; see held_out_questions.meaning_of."""
    model, _, _ = model_of(store, run, step)
    data = yield from _text_of(store, run)
    yield from held_out_questions.meaning_of(model, untrained(store, run), data, layer, signal)


def ask_gate_contexts(store: Store, run: str, layer: int, signal: str, unit: int, step: int | None = None) -> Answer:
    """The last piece: where a unit is highest and lowest; see held_out_questions.contexts."""
    model, _, _ = model_of(store, run, step)
    data = yield from _text_of(store, run)
    yield from held_out_questions.contexts(model, data, layer, signal, unit)


def ask_gate_similar(store: Store, run: str, text: str, step: int | None = None, **how: Any) -> Answer:
    """The last piece: which units stay on over a span, and where else they do; see held_out_questions.similar."""
    model, tokenizer, _ = model_of(store, run, step)
    data = yield from _text_of(store, run)
    yield from held_out_questions.similar(model, tokenizer, data, text, **how)


def ask_gate_openness(store: Store, run: str, layer: int, step: int | None = None) -> Answer:
    """The last piece: how open the gates are; see held_out_questions.openness."""
    model, _, _ = model_of(store, run, step)
    data = yield from _text_of(store, run)
    yield from held_out_questions.openness(model, data, layer)


def ask_gate_history(store: Store, run: str, layer: int, signal: str, until: int | None = None) -> Answer:
    """A piece for each kept moment, the newest first, then all of them; see held_out_questions.history.

    until: the newest step that counts, so that the answer stays right while the run goes on.
    """
    data = yield from _text_of(store, run)
    found = store.get(run)
    steps = sorted((step for step in found.checkpoint_steps() if until is None or step <= until), reverse=True)
    models = ((step, load_model(found, step)[0]) for step in steps)  # not kept: each is looked at once
    yield from held_out_questions.history(models, len(steps), data, layer, signal)


def untrained(store: Store, run: str) -> LanguageModel:
    """A run's model before its training: its kept weights of step 0, or new ones of the same seed."""
    found = store.get(run)
    if 0 in found.checkpoint_steps():
        return model_of(store, run, 0)[0]
    config = found.config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return build_model(config.model, load_tokenizer(found).vocab_size, config.training.context_length).eval()


def _text_of(store: Store, run: str) -> Generator[dict[str, Any], None, Data]:
    """Empty pieces while a run's text is read, then it.

    Raises:
        ConfigError: the run learned a task.
        RunError: the text is not the one it learned.
    """
    found = store.get(run)
    config = found.config()
    data = yield from _in_pieces(load_data(config.corpus, config.tokenizer))
    if not isinstance(data, Data):
        raise ConfigError(N_("This run learned a memory task and has no text. Choose a model of a text."))
    check_fingerprint(found, data.fingerprint)
    return data


def ask_task_example(store: Store, corpus: dict[str, Any], seed: int = 1) -> Answer:
    """One piece: a sequence of a task as text, {"read", "asked", "answer"}; all that is scored is the answer."""
    data = TaskData.of(CorpusConfig.model_validate(corpus))
    _, lag = task_of(data.corpus)
    batch = data.draw(lag, 1, torch.Generator().manual_seed(seed))
    inputs, targets = batch.inputs[0], batch.targets[0]
    scored = targets != UNSCORED
    first = int(scored.nonzero()[0])
    parts = {"read": inputs[:first], "asked": inputs[first : first + 1], "answer": targets[scored]}
    yield {name: data.tokenizer.decode(tokens.tolist()) for name, tokens in parts.items()}


QUESTIONS: dict[str, Callable[..., Answer]] = {
    "generate": ask_generate,
    "score": ask_score,
    "estimate": ask_estimate,
    "vocabulary": ask_vocabulary,
    "learning_rates": ask_learning_rates,
    "gradients": ask_gradients,
    "run_gradients": ask_run_gradients,
    "dependence": ask_dependence,
    "gates": ask_gates,
    "gate_step": ask_gate_step,
    "hold": ask_hold,
    "gate_meaning": ask_gate_meaning,
    "gate_contexts": ask_gate_contexts,
    "gate_similar": ask_gate_similar,
    "gate_openness": ask_gate_openness,
    "gate_history": ask_gate_history,
    "task_example": ask_task_example,
}
