"""Questions about a given text (how surprised a model is by it) and about written code (whether it is Python).

Pieces before the last are {"done": share}, so that other questions have their turn and a page can show how far it is.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmviz.checkpoints import load_tokenizer
from lmviz.decoding.batch import write_rows
from lmviz.decoding.config import DecodingConfig
from lmviz.errors import N_, ConfigError
from lmviz.inspect.code import BlockEnd, check, cut, python_share
from lmviz.inspect.surprise import surprises
from lmviz.jobs.of_run import Answer, model_of, text_of
from lmviz.limits import MAX_CODE_TOKENS, MAX_COMPLETIONS, MAX_SHOWN_TOKENS, MAX_SURPRISE_CHARACTERS
from lmviz.models.base import LanguageModel
from lmviz.packing import pack
from lmviz.runs import Store
from lmviz.tokenizers import BEGIN, END, StreamDecoder, Tokenizer

RANKS = (1, 10, 100)
"""Last rank of each class but the last one."""
TURN_SECONDS = 0.05
"""After which others have their turn."""
LOOKED_AT = 20_000
"""Held-out tokens by which it is decided whether a text is Python."""


def ask_surprise(store: Store, run: str, text: str, step: int | None = None) -> Answer:
    """The last piece: {"run", "step", "tokens", "characters", "nats" (all), "loss", "bits_per_char", "ranks" (counts of
    the classes by RANKS), "unknown"}; of every token packed "logprobs" (N,) and "lengths" in bytes (N,); of the first
    MAX_SHOWN_TOKENS "texts", "token_ranks", "entropies", "likeliest" (n, K) as places in "names", and their "chances".

    Raises:
        ConfigError: there is no text, too much of it, or the model goes on with no text.
    """
    model, tokenizer, step = model_of(store, run, step)
    check_writes(model)
    if not text:
        raise ConfigError(N_("There is no text. Type or paste one."))
    if len(text) > MAX_SURPRISE_CHARACTERS:
        raise ConfigError(
            N_("The text has {count} characters, and {limit} can be measured. Take a part of it."),
            count=len(text), limit=MAX_SURPRISE_CHARACTERS,
        )  # fmt: skip
    ids = tokenizer.encode(text)
    pieces = []
    done, told = 0, time.perf_counter()
    for piece in surprises(model, torch.tensor([BEGIN, *ids])):
        pieces.append(piece)
        done += len(piece.logprobs)
        if time.perf_counter() - told > TURN_SECONDS:
            yield {"done": done / len(ids)}
            told = time.perf_counter()
    logprobs = np.concatenate([piece.logprobs for piece in pieces])
    ranks = np.concatenate([piece.ranks for piece in pieces])
    likeliest = np.concatenate([piece.likeliest for piece in pieces])[:MAX_SHOWN_TOKENS]
    named, places = np.unique(likeliest, return_inverse=True)
    nats = -math.fsum(logprobs.tolist())
    yield {
        "run": run, "step": step, "tokens": len(ids), "characters": len(text), "vocabulary": tokenizer.vocab_size,
        "nats": nats, "loss": nats / len(ids), "bits_per_char": nats / math.log(2) / len(text),
        "ranks": rank_classes(ranks), "unknown": tokenizer.unknown_characters(text), 
        "context": None if model.learns_by == "counting" else model.context_length,
        "logprobs": pack(logprobs.astype(np.float32)), "lengths": pack(_small(tokenizer.byte_lengths(text))),
        "texts": [tokenizer.token_text(token) for token in ids[:MAX_SHOWN_TOKENS]],
        "token_ranks": pack(ranks[:MAX_SHOWN_TOKENS].astype(np.int32)),
        "entropies": pack(np.concatenate([piece.entropies for piece in pieces])[:MAX_SHOWN_TOKENS].astype(np.float32)),
        "likeliest": pack(places.reshape(likeliest.shape).astype(np.int32)),
        "names": [tokenizer.token_text(token) for token in named.tolist()],
        "chances": pack(np.concatenate([piece.chances for piece in pieces])[:MAX_SHOWN_TOKENS].astype(np.float32)),
    }  # fmt: skip


def _small(lengths: NDArray[np.int64]) -> NDArray[Any]:
    return lengths.astype(np.uint8 if lengths.max(initial=0) < 256 else np.int32)


def rank_classes(ranks: NDArray[np.int64]) -> list[int]:
    """How many ranks are 1, 2 to 10, 11 to 100, and beyond."""
    counts = np.bincount(np.searchsorted(RANKS, ranks), minlength=len(RANKS) + 1)
    return [int(count) for count in counts]


def check_writes(model: LanguageModel) -> None:
    if not model.writes or model.reads_source:
        raise ConfigError(N_("This model does not go on with a text. Choose one that writes, such as a GPT."))


def ask_code(
    store: Store, run: str, prompt: str, step: int | None = None, count: int = 16, seed: int = 1, **decoding: Any
) -> Answer:
    """The last piece: {"run", "step", "texts": [{"text", "ended", "logprob", "tokens", "parses", "error", "line",
    "balanced"}], "parses", "balanced", "ended"}: so many continuations of a snippet, of the seeds `seed` and after,
    each cut where the snippet's block ends; see `inspect.code`. Nothing is executed.

    Raises:
        ConfigError: the model does not write, or the snippet has what it does not know.
    """
    model, tokenizer, step = model_of(store, run, step)
    check_writes(model)
    texts = yield from _complete(model, tokenizer, prompt, count, seed, decoding)
    yield {"run": run, "step": step, "texts": texts, **_counts(texts)}


def _counts(texts: list[dict[str, Any]]) -> dict[str, int]:
    return {name: sum(text[name] for text in texts) for name in ("parses", "balanced", "ended")}


class _BlockStopper:
    """BlockEnd for tokens."""

    def __init__(self, tokenizer: Tokenizer, snippet: str) -> None:
        self.decoder, self.block = StreamDecoder(tokenizer), BlockEnd(snippet)

    def feed(self, token: int) -> bool:
        return self.block.feed(self.decoder.feed(token))


def _complete(
    model: LanguageModel, tokenizer: Tokenizer, snippet: str, count: int, seed: int, decoding: dict[str, Any]
) -> Generator[dict[str, Any], None, list[dict[str, Any]]]:
    if not 1 <= count <= MAX_COMPLETIONS:
        raise ConfigError(N_("Write between 1 and {most} texts at once."), most=MAX_COMPLETIONS)
    first = DecodingConfig.model_validate({**decoding, "prompt": snippet, "seed": seed})
    longest = min(first.max_new_tokens, MAX_CODE_TOKENS)
    configs = [
        first.model_copy(update={"seed": (seed + number) % 2**31, "max_new_tokens": longest})
        for number in range(count)
    ]  # fmt: skip
    rows: list[Any] = []
    for rows in write_rows(
        model, tokenizer, configs, stopping=[_BlockStopper(tokenizer, snippet) for _config in configs]
    ):
        yield {"done": max(len(row.tokens) for row in rows) / longest}
    return [_judged(snippet, row, tokenizer) for row in rows]


def _judged(snippet: str, row: Any, tokenizer: Tokenizer) -> dict[str, Any]:
    text, ended = cut(snippet, tokenizer.decode(row.tokens), row.tokens[-1] == END)
    found = check(snippet, text)
    return {"text": text, "ended": ended, "logprob": row.logprob, "tokens": len(row.tokens), **vars(found)}


def ask_code_training(
    store: Store, run: str, prompt: str, count: int = 16, seed: int = 1, steps: Sequence[int] = (), **decoding: Any
) -> Answer:  # fmt: skip
    """The last piece: {"run", "moments": [{"step", "count", "parses", "balanced", "ended"}]}, as `ask_code` at every
    kept step, or at `steps`.
    """
    steps = steps or store.get(run).checkpoint_steps()
    moments: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        model, tokenizer, _step = model_of(store, run, step)
        check_writes(model)
        answer = _scaled(_complete(model, tokenizer, prompt, count, seed, decoding), number, len(steps))
        texts = yield from answer
        moments.append({"step": step, "count": count, **_counts(texts)})
    yield {"run": run, "moments": moments}


def _scaled(
    answer: Generator[dict[str, Any], None, list[dict[str, Any]]], number: int, count: int
) -> Generator[dict[str, Any], None, list[dict[str, Any]]]:
    """The same with its share of the whole."""
    while True:
        try:
            piece = next(answer)
        except StopIteration as end:
            texts: list[dict[str, Any]] = end.value
            return texts
        yield {"done": (number + piece["done"]) / count}


def ask_is_python(store: Store, run: str) -> Iterator[dict[str, Any]]:
    """The last piece: {"python_share"} of the text kept for validation, see `inspect.code.python_share`."""
    text = yield from text_of(store, run)
    tokenizer = load_tokenizer(store.get(run))
    yield {"python_share": python_share(tokenizer.decode(text.data.validation[:LOOKED_AT].tolist()))}


SURPRISE_QUESTIONS: dict[str, Callable[..., Answer]] = {
    "surprise": ask_surprise,
    "code": ask_code,
    "code_training": ask_code_training,
    "is_python": ask_is_python,
}
