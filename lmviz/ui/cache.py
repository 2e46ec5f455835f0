"""Everything that is kept between reruns, in one place. Keys are names, numbers and file times, never arrays."""

import json
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Lock
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lmviz.config import CorpusConfig, RunConfig, TokenizerConfig
from lmviz.corpora import Corpus, Preview, load_corpus, preview
from lmviz.errors import N_, RunError
from lmviz.jobs.base import Jobs
from lmviz.jobs.inline import InlineJobs
from lmviz.jobs.pool import LocalPool
from lmviz.packing import unpack
from lmviz.runs import Store
from lmviz.tokenizers import train_tokenizer


def store() -> Store:
    """The runs that this server shows."""
    return Store()


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """Who trains and answers, one for the whole server. LMVIZ_JOBS=inline trains in the script itself (tests)."""
    return InlineJobs(store()) if os.environ.get("LMVIZ_JOBS") == "inline" else LocalPool(store())


def owner() -> str:
    """A name for this session, by which turns are shared out."""
    if "owner" not in st.session_state:
        st.session_state["owner"] = secrets.token_hex(4)
    return str(st.session_state["owner"])


def ask(question: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Ask in this session's name; the answer in pieces. Closing the iterator gives the question up."""
    return jobs().ask(question, owner(), **arguments)


def is_warm() -> bool:
    """Whether an answer comes at once; a fresh server needs two seconds until then."""
    pool = jobs()
    return not isinstance(pool, LocalPool) or pool.answerer.ready.is_set()


@st.cache_data(max_entries=64, show_spinner=False)
def corpus_preview(name: str) -> Preview:
    """What a text is like. Added texts never change under their name.

    Raises:
        CorpusError: there is no such text.
    """
    return preview(load_corpus(name, allow_paths=False), num_lines=12)


@st.cache_data(max_entries=16, show_spinner=False)
def vocabulary_size(name: str, tokenizer: TokenizerConfig) -> int:
    """Tokens in the vocabulary; what is aimed at in words and byte pairs is reached but for short texts."""
    if tokenizer.kind == "word":
        with closing(ask("vocabulary", corpus=name, tokenizer=tokenizer.model_dump(mode="json"))) as answer:  # type: ignore[type-var]
            return int(next(answer)["vocab_size"])
    return tokenizer.vocab_size if tokenizer.kind == "bpe" else corpus_preview(name).distinct_characters + 3


@st.cache_data(max_entries=64, show_spinner=False)
def token_counts(corpus: CorpusConfig, tokenizer: TokenizerConfig) -> tuple[int, int]:
    """Tokens for training and for validation, counted as a training would: for short texts, as it cuts all of it."""
    text = load_corpus(corpus.name, allow_paths=False)
    assert isinstance(text, Corpus)
    train, validation = text.split(corpus.validation_fraction)
    trained = train_tokenizer(tokenizer, train, validation)
    return len(trained.encode_documents(train)), len(trained.encode_documents(validation))


def estimate(config: RunConfig, vocab_size: int) -> dict[str, Any] | None:
    """Seconds an update takes here, measured; None while the server is still warming up."""
    if not is_warm():
        return None
    training = config.training.model_copy(update={"steps": 1, "seed": 1, "learning_rate": 1e-3})
    return _estimate(config.model_copy(update={"training": training, "name": ""}).model_dump_json(), vocab_size)


@st.cache_data(max_entries=512, show_spinner=False)
def _estimate(config_json: str, vocab_size: int) -> dict[str, Any]:
    config = RunConfig.model_validate_json(config_json).model_dump(mode="json")
    with closing(ask("estimate", config=config, vocab_size=vocab_size)) as answer:  # type: ignore[type-var]
        return next(answer)


@st.cache_data(max_entries=512, show_spinner=False)
def group_ids(group: str) -> tuple[str, ...]:
    """Ids of the runs of one experiment, which has all of them from its start: the store is searched once.

    Raises:
        RunError: there is no such experiment; this is not kept.
    """
    ids = tuple(run.id for run in store().group(group))
    if not ids:
        raise RunError(N_("This experiment is no longer there."))
    return ids


@st.cache_data(max_entries=256, show_spinner=False)
def task_example(corpus: CorpusConfig, seed: int = 1) -> dict[str, str]:
    """A sequence of a task: read, asked, answer."""
    with closing(ask("task_example", corpus=corpus.model_dump(mode="json"), seed=seed)) as answer:  # type: ignore[type-var]
        return next(answer)


@st.cache_data(max_entries=128, show_spinner=False)
def run_gradients(run: str, step: int, length: int) -> list[dict[str, Any]]:
    """What "run_gradients" says of each state of a run's model at a step, over so many tokens or at this lag.

    Raises:
        LmvizError: the question cannot be answered.
    """
    *_, last = ask("run_gradients", run=run, step=step, length=length)  # pieces before it: the text is being read
    return list(last["cells"])


@st.cache_data(max_entries=128, show_spinner=False)
def gradients(**question: Any) -> dict[str, Any]:
    """The last piece that answers the question "gradients"; the same question always has the same answer.

    Raises:
        LmvizError: the question cannot be answered.
    """
    *_, last = ask("gradients", **question)
    return last


@st.cache_data(max_entries=64, show_spinner=False)
def dependence(run: str, step: int, text: str) -> dict[str, Any]:
    """The last piece that answers the question "dependence"; kept weights never change.

    Raises:
        LmvizError: the question cannot be answered.
    """
    *_, last = ask("dependence", run=run, step=step, text=text)
    return last


@st.cache_data(max_entries=32, show_spinner=False)
def gates(run: str, step: int, text: str, layer: int) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """What "gates" answers, and its signals (T, H) by name.

    Raises:
        LmvizError: the question cannot be answered.
    """
    *_, last = ask("gates", run=run, step=step, text=text, layer=layer)
    found = {name: unpack(packed) for name, packed in last.pop("signals").items()}
    return last, found


class _Answers:
    """The last answers, for all sessions."""

    def __init__(self, most: int = 256) -> None:
        self.most, self.lock = most, Lock()
        self.known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def get(self, key: str) -> dict[str, Any] | None:
        with self.lock:
            if key in self.known:
                self.known.move_to_end(key)
            return self.known.get(key)

    def put(self, key: str, answer: dict[str, Any]) -> None:
        with self.lock:
            self.known[key] = answer
            while len(self.known) > self.most:
                self.known.popitem(last=False)


@st.cache_resource(show_spinner=False)
def _answers() -> _Answers:
    return _Answers()


def answer(
    question: str, show: Callable[[dict[str, Any]], None] | None = None, /, **arguments: Any
) -> dict[str, Any]:  # fmt: skip
    """The last piece of an answer, kept for whoever asks the same again; not to be changed.

    Args:
        show: is given every piece before the last as it comes, for a progress bar; never for a kept answer.

    Raises:
        LmvizError: the question cannot be answered.
    """
    key = json.dumps([question, arguments], sort_keys=True)
    known = _answers().get(key)
    if known is None:
        for known in ask(question, **arguments):
            if show:
                show(known)
        assert known is not None
        _answers().put(key, known)
    return known


def is_known(question: str, **arguments: Any) -> bool:
    """Whether `answer` would have it at once."""
    return _answers().get(json.dumps([question, arguments], sort_keys=True)) is not None
