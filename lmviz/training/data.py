"""From a corpus to batches: tokens for training and validation, random windows, and the pinned validation windows.

A text below limits.LARGE_TEXT_BYTES is held in memory; the tokens of a larger one lie in files (token_files.py), as
arrays mapped into memory, and everything here works on both.
"""

import mmap
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.config import CorpusConfig, TokenizerConfig
from lmviz.corpora import Corpus, LargeCorpus, load_corpus
from lmviz.errors import N_, RunError
from lmviz.limits import LARGE_TEXT_BYTES
from lmviz.models.base import Batch
from lmviz.runs import Run
from lmviz.tokenizers import UNK, Tokenizer, train_tokenizer
from lmviz.training.task_data import TaskData
from lmviz.training.token_files import token_files
from lmviz.turns import Show, Turns, ignore

Tokens = NDArray[np.unsignedinteger[Any]]

MAX_LOGITS = 2**21
"""Logits (numbers) of one batch of validation windows."""


@dataclass(frozen=True)
class Data:
    """A text, tokenized and split."""

    tokenizer: Tokenizer
    train: Tokens
    validation: Tokens
    train_characters: int
    validation_characters: int
    fingerprint: str
    """sha256 of the text: a run goes on only with the text it began with."""
    prompt: str
    """The first words of the validation text."""
    train_unknown: int
    """Training tokens that are <unk>: only a word tokenizer makes any."""
    validation_unknown: int

    @property
    def sizes(self) -> dict[str, int]:
        """What the model must know beyond the vocabulary: nothing."""
        return {}

    @property
    def source(self) -> Tokens:
        """What a Trainer draws its batches from."""
        return self.train

    def facts(self) -> dict[str, Any]:
        """What data.json tells."""
        return {
            "fingerprint": self.fingerprint,
            "vocab_size": self.tokenizer.vocab_size,
            "train_tokens": len(self.train),
            "validation_tokens": len(self.validation),
            "train_characters": self.train_characters,
            "validation_characters": self.validation_characters,
            "unknown_share": {
                "train": self.train_unknown / max(1, len(self.train)),
                "validation": self.validation_unknown / max(1, len(self.validation)),
            },
        }


def check_fingerprint(run: Run, fingerprint: str) -> None:
    """Raises RunError unless the text is the one that the run began with, or it has not begun."""
    known = run.data()
    if known and known["fingerprint"] != fingerprint:
        raise RunError(
            N_("The text {corpus} has changed since this run began. Start a new run on the new text."),
            corpus=run.config().corpus.name,
        )


def open_corpus(config: CorpusConfig) -> Corpus | LargeCorpus:
    """The text of a configuration; a large one is not read yet."""
    return load_corpus(config.name, column=config.column, encoding=config.encoding)


def load_data(
    corpus_config: CorpusConfig, tokenizer_config: TokenizerConfig, show: Show = ignore
) -> Turns[Data | TaskData]:
    """Turns that return the corpus as tokens, or as a task that makes them."""
    if corpus_config.is_task:
        return TaskData.of(corpus_config)
    corpus = open_corpus(corpus_config)
    if isinstance(corpus, LargeCorpus):
        return (yield from _tokenize_large(corpus, corpus_config.validation_fraction, tokenizer_config, show))
    return tokenize(corpus, corpus_config.validation_fraction, tokenizer_config)


def tokenize(corpus: Corpus, validation_fraction: float, tokenizer_config: TokenizerConfig) -> Data:
    """Split and tokenize. The last few are kept, so that four runs on one text prepare it once a process.

    Of texts that are large all the same (tables, folders and archives are never read in pieces) the last one.
    """
    keep = _last_one if corpus.characters >= LARGE_TEXT_BYTES else _last_four
    return keep(corpus, validation_fraction, tokenizer_config)


def _tokenize(corpus: Corpus, validation_fraction: float, tokenizer_config: TokenizerConfig) -> Data:
    train, validation = corpus.split(validation_fraction)
    tokenizer = train_tokenizer(tokenizer_config, train, validation)
    tokens, validation_tokens = tokenizer.encode_documents(train), tokenizer.encode_documents(validation)
    return Data(
        tokenizer=tokenizer,
        train=tokens,
        validation=validation_tokens,
        train_characters=sum(map(len, train)),
        validation_characters=sum(map(len, validation)),
        fingerprint=corpus.fingerprint,
        prompt=_known(opening(validation[0] if validation else ""), tokenizer),
        train_unknown=int(np.count_nonzero(tokens == UNK)),
        validation_unknown=int(np.count_nonzero(validation_tokens == UNK)),
    )


_last_four = lru_cache(maxsize=4)(_tokenize)
_last_one = lru_cache(maxsize=1)(_tokenize)


def _tokenize_large(
    corpus: LargeCorpus, validation_fraction: float, tokenizer_config: TokenizerConfig, show: Show
) -> Turns[Data]:
    files = yield from token_files(corpus, validation_fraction, tokenizer_config, show)
    train, validation = files.meta["train"], files.meta["validation"]
    return Data(
        tokenizer=files.tokenizer,
        train=files.train,
        validation=files.validation,
        train_characters=train["characters"],
        validation_characters=validation["characters"],
        fingerprint=corpus.fingerprint,
        prompt=_known(opening(files.meta["opening"]), files.tokenizer),
        train_unknown=train["unknown"],
        validation_unknown=validation["unknown"],
    )


def _known(prompt: str, tokenizer: Tokenizer) -> str:
    """As much of a prompt as the tokenizer knows; for words without a space at its end, which is the next word's."""
    ids = tokenizer.encode(prompt)
    if UNK in ids:
        prompt = tokenizer.decode(ids[: ids.index(UNK)])
    return prompt.rstrip(" ") if tokenizer.kind == "word" else prompt


def opening(text: str, length: int = 24) -> str:
    """A few words to begin a sample with: the beginning of the first line that starts like a sentence."""
    lines = [line.strip() for line in text[:10_000].split("\n")[1:] if line.strip()] or [text[:length]]
    line = next((line for line in lines if line[:1].isupper() or "\u4e00" <= line[:1] <= "\u9fff"), lines[0])
    words = line[:length]
    cut = words.rfind(" ")
    return words[: cut + 1] if cut > 0 else words[: length // 12]


class Windows:
    """Random windows of a token stream; the same generator state gives the same windows."""

    fresh = True
    """Nothing comes before a batch: its windows begin from an empty state."""
    position = -1
    """Windows have no order to keep."""

    def __init__(self, tokens: Tokens, batch_size: int, context_length: int, generator: torch.Generator) -> None:
        self.tokens = tokens
        self.batch_size = batch_size
        self.generator = generator
        self.tokens_per_step = batch_size * context_length
        self.offsets = np.arange(context_length + 1)

    def next(self) -> Batch:
        """One batch; the targets are the inputs one token later."""
        high = len(self.tokens) - len(self.offsets) + 1
        starts = torch.randint(high, (self.batch_size,), generator=self.generator).numpy()
        return windows_at(self.tokens, starts, self.offsets)


def evaluation_batch_size(vocab_size: int, context_length: int) -> int:
    """Windows measured at once: so many that their logits stay small, whatever the vocabulary."""
    return max(1, min(64, MAX_LOGITS // (vocab_size * context_length)))


def validation_batches(tokens: Tokens, context_length: int, limit: int, batch_size: int = 64) -> list[Batch]:
    """Windows without overlap, about `limit` tokens spread evenly over the whole validation text; always the same."""
    length = min(context_length, len(tokens) - 1)
    count = max(1, min(limit // length, (len(tokens) - 1) // length))
    starts = np.linspace(0, len(tokens) - 1 - length, count).astype(np.int64)
    offsets = np.arange(length + 1)
    return [windows_at(tokens, starts[i : i + batch_size], offsets) for i in range(0, count, batch_size)]


def windows_at(tokens: Tokens, starts: NDArray[np.int64], offsets: NDArray[np.int64]) -> Batch:
    windows: Tensor = torch.from_numpy(tokens[starts[:, None] + offsets].astype(np.int64))  # (B, T+1)
    source: object = tokens.base
    if isinstance(source, mmap.mmap):
        source.madvise(mmap.MADV_DONTNEED)  # pages that were looked at count as memory of this process
    return Batch(inputs=windows[:, :-1].contiguous(), targets=windows[:, 1:].contiguous())
