"""What a person wants to see of a corpus before training on it."""

from dataclasses import dataclass

from lmviz.config import TokenizerConfig
from lmviz.corpora.corpus import Corpus
from lmviz.corpora.facts import Facts
from lmviz.tokenizers import train_tokenizer


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
    facts = Facts.of(corpus.documents)
    return Preview(
        characters=corpus.characters,
        documents=len(corpus.documents),
        distinct_characters=len(facts.alphabet),
        vocab_size=train_tokenizer(tokenizer, train, validation).vocab_size if tokenizer else None,
        bytes=facts.bytes,
        frequent=facts.frequent(num_frequent),
        lines=facts.lines(num_lines, line_length),
        train_characters=sum(map(len, train)),
        validation_characters=sum(map(len, validation)),
    )
