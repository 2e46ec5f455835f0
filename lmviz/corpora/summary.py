"""What a person wants to see of a corpus before training on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmviz.config import TokenizerConfig
from lmviz.corpora.corpus import Corpus
from lmviz.tokenizers import code_points, train_tokenizer


@dataclass(frozen=True)
class Preview:
    """Sizes and a first impression of a corpus."""

    characters: int
    documents: int
    distinct_characters: int
    vocab_size: int | None
    """Tokens the tokenizer would have; None if no tokenizer was asked about."""
    bytes: int
    """Size in UTF-8."""
    frequent: tuple[tuple[str, int], ...]
    """The most frequent characters and how often they occur, most frequent first."""
    lines: tuple[str, ...]
    """The first lines, cut where they are long."""
    train_characters: int
    validation_characters: int


def preview(
    corpus: Corpus,
    tokenizer: TokenizerConfig | None = None,
    *,
    validation_fraction: float = 0.1,
    num_frequent: int = 20,
    num_lines: int = 8,
    line_length: int = 200,
) -> Preview:
    """Look at a corpus. A bpe `tokenizer` is trained to know its size, which takes seconds on a large text.

    Raises:
        CorpusError: the corpus is too short to be split.
    """
    train, validation = corpus.split(validation_fraction)
    counts = _count(corpus.documents)
    frequent = np.argsort(-counts, kind="stable")[:num_frequent]
    first = next(document for document in corpus.documents if document)
    head = first[: num_lines * line_length * 4].split("\n")
    return Preview(
        characters=corpus.characters,
        documents=len(corpus.documents),
        distinct_characters=int(np.count_nonzero(counts)),
        vocab_size=train_tokenizer(tokenizer, train, validation).vocab_size if tokenizer else None,
        bytes=sum(len(document.encode()) for document in corpus.documents),
        frequent=tuple((chr(code), int(counts[code])) for code in frequent if counts[code]),
        lines=tuple(line[:line_length] for line in head[:num_lines]),
        train_characters=sum(map(len, train)),
        validation_characters=sum(map(len, validation)),
    )


def _count(documents: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How often each code point occurs, indexed by code point."""
    counts = np.zeros(0x110000, dtype=np.int64)
    for document in documents:
        found = np.bincount(code_points(document))
        counts[: len(found)] += found
    return counts
