"""What can be asked of a model: each question is a generator of JSON pieces. Used by the answering worker, and in
process by the command line and by tests.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from lmviz.config import CorpusConfig, RunConfig, TokenizerConfig
from lmviz.corpora import load_corpus, word_vocabulary
from lmviz.corpora.tasks import task_of
from lmviz.costs import check_costs
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.errors import N_, ConfigError
from lmviz.inspect.score import score
from lmviz.jobs import gradient_questions
from lmviz.jobs.attention import ATTENTION_QUESTIONS
from lmviz.jobs.beam_questions import BEAM_QUESTIONS
from lmviz.jobs.gates import GATE_QUESTIONS
from lmviz.jobs.of_run import Answer, in_pieces, model_of
from lmviz.jobs.pair_questions import PAIR_QUESTIONS
from lmviz.jobs.preference_questions import PREFERENCE_QUESTIONS
from lmviz.jobs.side_questions import SIDE_QUESTIONS
from lmviz.jobs.step_questions import STEP_QUESTIONS
from lmviz.jobs.style_questions import STYLE_QUESTIONS
from lmviz.jobs.surprise_questions import SURPRISE_QUESTIONS
from lmviz.jobs.verse_questions import VERSE_QUESTIONS
from lmviz.limits import MAX_GRADIENT_LENGTH
from lmviz.models import build_model
from lmviz.models.base import UNSCORED
from lmviz.models.linear import use_product
from lmviz.runs import Store
from lmviz.training.data import check_fingerprint, load_data
from lmviz.training.product import product_here
from lmviz.training.rate_finder import Trial, suggestion, trials
from lmviz.training.sources import check_length, open_data
from lmviz.training.task_data import TaskData
from lmviz.training.trainer import Trainer

PIECE_SECONDS = 0.08
"""How often a growing text is sent."""


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
    """One piece: how long an update of this configuration takes here, measured on random tokens, or on what it makes.

    {"parameters", "seconds_per_step"}; the best of three updates after one to warm up.
    """
    run_config = RunConfig.model_validate(config)
    training = run_config.training
    if run_config.has_text:
        source: Any = torch.randint(vocab_size, (training.context_length * 20,)).numpy().astype("uint16")
        sizes: dict[str, int] = {}
    else:
        data = yield from in_pieces(open_data(run_config))
        source, sizes, vocab_size = data.source, data.sizes, data.tokenizer.vocab_size
    model = build_model(run_config.model, vocab_size, training.context_length, **sizes)
    use_product(model, product_here())  # as its training would
    if model.learns_by == "counting":
        yield {"parameters": None, "seconds_per_step": None}
        return
    trainer = Trainer(model, training, source)
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


def ask_learning_rates(store: Store, config: dict[str, Any]) -> Answer:
    """Pieces {"trials": [...]} of the range test as it goes on, then {"suggestion"}; see lmviz.training.rate_finder."""
    run_config = RunConfig.model_validate(config)
    if run_config.model.kind == "ngram":
        raise ConfigError(N_("An n-gram model is counted and has no learning rate. Take another kind of model."))
    data = yield from in_pieces(open_data(run_config))
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
    data = yield from in_pieces(load_data(config.corpus, config.tokenizer))
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
    **PREFERENCE_QUESTIONS,
    **SIDE_QUESTIONS,
    "score": ask_score,
    "estimate": ask_estimate,
    "vocabulary": ask_vocabulary,
    "learning_rates": ask_learning_rates,
    "gradients": ask_gradients,
    "run_gradients": ask_run_gradients,
    "dependence": ask_dependence,
    **GATE_QUESTIONS,
    **PAIR_QUESTIONS,
    **ATTENTION_QUESTIONS,
    **STEP_QUESTIONS,
    **BEAM_QUESTIONS,
    **VERSE_QUESTIONS,
    **SURPRISE_QUESTIONS,
    **STYLE_QUESTIONS,
    "task_example": ask_task_example,
}
