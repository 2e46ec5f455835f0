"""What a person wants to see of a corpus before training on it."""

from dataclasses import dataclass

from lmviz.config import TokenizerConfig
from lmviz.corpora.corpus import Corpus
from lmviz.corpora.facts import Facts, first_lines
from lmviz.corpora.large import LargeCorpus
from lmviz.limits import TOKENIZER_SAMPLE
from lmviz.pieces import text_chunks
from lmviz.tokenizers import SPECIAL_TOKENS, train_tokenizer
from lmviz.words import count_words

WORDS_COUNTED_IN = 1_000_000
"""Characters that a text may have for its words to be counted, which takes a second then."""


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
    corpus: Corpus | LargeCorpus,
    tokenizer: TokenizerConfig | None = None,
    *,
    validation_fraction: float = 0.1,
    num_frequent: int = 20,
    num_lines: int = 8,
    line_length: int = 200,
) -> Preview:
    """Look at a corpus. A bpe `tokenizer` is trained to know its size, which takes seconds on a large text.

    A large text is read in pieces, or not at all if its sizes were written down when it was added.

    Raises:
        CorpusError: the corpus is too short to be split.
    """
    if isinstance(corpus, LargeCorpus):
        return _preview_large(corpus, tokenizer, validation_fraction, num_frequent, num_lines, line_length)
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


def _preview_large(
    corpus: LargeCorpus, tokenizer: TokenizerConfig | None, validation_fraction: float,
    num_frequent: int, num_lines: int, line_length: int,
) -> Preview:  # fmt: skip
    seen = corpus.survey
    border = corpus.border(validation_fraction)
    size = None
    if tokenizer and tokenizer.kind == "char":
        size = len(seen.alphabet) + len(SPECIAL_TOKENS)
    elif tokenizer:
        size = train_tokenizer(tokenizer, list(corpus.sample(border, TOKENIZER_SAMPLE))).vocab_size
    return Preview(
        characters=seen.characters,
        documents=len(corpus.files),
        distinct_characters=len(seen.alphabet),
        vocab_size=size,
        bytes=seen.bytes,
        frequent=seen.frequent[:num_frequent],
        lines=first_lines(corpus.beginning(4 * num_lines * line_length), num_lines, line_length),
        train_characters=border,
        validation_characters=seen.characters - border,
    )


def word_vocabulary(corpus: Corpus | LargeCorpus, config: TokenizerConfig, validation_fraction: float = 0.1) -> int:
    """Tokens that a word tokenizer of this text would have; of a long text, which is not read for it, at most.

    Raises:
        CorpusError: the corpus is too short to be split.
    """
    if isinstance(corpus, LargeCorpus) or corpus.characters > WORDS_COUNTED_IN:
        return config.vocab_size
    train, _ = corpus.split(validation_fraction)
    return len(SPECIAL_TOKENS) + count_words(text_chunks(train), config.vocab_size - len(SPECIAL_TOKENS))
