"""What questions need of a run: its model at a step, kept for the next question, and its text."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from lmviz.checkpoints import checkpoint_path, load_model, load_tokenizer, new_model
from lmviz.corpora import BUILTIN, Corpus
from lmviz.corpora.mixed import parts_of
from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel
from lmviz.runs import Run, Store
from lmviz.tokenizers import Tokenizer
from lmviz.training.data import Data, Tokens, check_fingerprint, load_data, open_corpus
from lmviz.turns import IDLE, Result, Turns

Answer = Iterator[dict[str, Any]]

WAITING = "waiting"
"""A piece with this key says that nothing was done but waiting for another process."""


@lru_cache(maxsize=8)
def _model(
    store_root: str, run_id: str, step: int | None, written: int
) -> tuple[LanguageModel, Tokenizer, int]:  # fmt: skip
    """`written`: when; a run that is continued from an earlier moment may write other weights of a step."""
    return load_model(Store(Path(store_root)).get(run_id), step)


def model_of(store: Store, run_id: str, step: int | None) -> tuple[LanguageModel, Tokenizer, int]:
    """The model at a step (the newest if None); the last few are kept in memory."""
    run = store.get(run_id)
    steps = run.checkpoint_steps()
    step = steps[-1] if step is None and steps else step
    written = checkpoint_path(run, step).stat().st_mtime_ns if step in steps else 0
    return _model(str(store.root), run_id, step, written)


def untrained(store: Store, run_id: str) -> LanguageModel:
    """A run's model before its training: its kept weights of step 0, or new ones of the same seed."""
    run = store.get(run_id)
    if 0 in run.checkpoint_steps():
        return model_of(store, run_id, 0)[0]
    config = run.config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return new_model(run, load_tokenizer(run)).eval()


def in_pieces(turns: Turns[Result]) -> Generator[dict[str, Any], None, Result]:
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


@dataclass(frozen=True)
class Text:
    """What a run learned from, and what was kept from it."""

    data: Data
    changed: bool
    """It is another text than the one that the run began with: the built-in ones follow Python's version."""


def text_of(store: Store, run_id: str) -> Generator[dict[str, Any], None, Text]:
    """Empty pieces while a run's text is read, then it, cut by the run's own tokenizer.

    Raises:
        ConfigError: the run learned a task.
        RunError: the text is not the one it learned, and not a built-in one.
    """
    run = store.get(run_id)
    config = run.config()
    if not config.has_text:
        raise ConfigError(N_("This run learned no running text. Choose a model of a text."))
    data = yield from in_pieces(load_data(config.corpus, config.tokenizer))
    assert isinstance(data, Data)
    if set(parts_of(config.corpus.name)) <= BUILTIN.keys() and run.data().get("fingerprint") != data.fingerprint:
        train, validation = _as_of_today(run.path, data.fingerprint)
        tokenizer = load_tokenizer(run)
        return Text(replace(data, tokenizer=tokenizer, train=train, validation=validation), changed=True)
    check_fingerprint(run, data.fingerprint)
    return Text(data, changed=False)


@lru_cache(maxsize=4)
def _as_of_today(path: Path, fingerprint: str) -> tuple[Tokens, Tokens]:
    """The last training document and the validation text that there are now, cut by the tokenizer of the text that
    there was. fingerprint: of the text of now.
    """
    run = Run(path)
    corpus, tokenizer = open_corpus(run.config().corpus), load_tokenizer(run)
    assert isinstance(corpus, Corpus)  # built in
    train, validation = corpus.split(run.config().corpus.validation_fraction)
    return tokenizer.encode_documents(train[-1:]), tokenizer.encode_documents(validation)
