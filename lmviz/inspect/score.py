"""How well a model predicts a given text, token by token: surprise, perplexity, bits a character."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.limits import MAX_SCORE_TOKENS
from lmviz.models.base import LanguageModel
from lmviz.tokenizers import BEGIN, Tokenizer

PIECE = 2**22
"""Logits (numbers) computed at once where a text can be cut."""
WHOLE = 2**24
"""Logits (numbers) up to which a recurrent model reads a text in one go; it reads a longer one in pieces."""


@dataclass(frozen=True)
class TokenScore:
    """One token of the text, given all before it."""

    text: str
    logprob: float
    """Nats; 0 is certain."""
    rank: int
    """1 + the number of tokens that the model held for more probable."""


@dataclass(frozen=True)
class Score:
    """A text as the model sees it."""

    loss: float
    """Mean of -logprob, nats a token."""
    perplexity: float
    """exp(loss)."""
    bits_per_char: float
    """All nats / ln 2 / characters: comparable between tokenizers, but too low where words are `unknown`."""
    tokens: tuple[TokenScore, ...]
    unknown: tuple[str, ...]
    """Characters (or words) that the tokenizer does not know, scored as <unk>; only word training ever shows that."""


def score(model: LanguageModel, tokenizer: Tokenizer, text: str) -> Score:
    """Score a text as the beginning of a document: the first token is given <begin>, no <end> is expected.

    A text that fits into the model's context is scored exactly. A longer one is read in overlapping windows so that
    every token has at least half a window before it; models without such a limit are exact for any length.

    Raises:
        ConfigError: the text is empty or has more than MAX_SCORE_TOKENS tokens.
    """
    ids = tokenizer.encode(text)
    if not ids:
        raise ConfigError(N_("There is no text to score. Type or choose one."))
    if len(ids) > MAX_SCORE_TOKENS:
        raise ConfigError(
            N_("The text has {tokens} tokens, and {limit} can be scored. Take a part of it."),
            tokens=len(ids),
            limit=MAX_SCORE_TOKENS,
        )
    logprobs, ranks = surprise(model, torch.tensor([BEGIN, *ids]))
    nats = -math.fsum(logprobs)
    loss = nats / len(ids)
    return Score(
        loss=loss,
        perplexity=math.exp(loss) if loss < 700 else math.inf,
        bits_per_char=nats / math.log(2) / len(text),
        tokens=tuple(
            TokenScore(tokenizer.token_text(token), logprob, rank)
            for token, logprob, rank in zip(ids, logprobs, ranks, strict=True)
        ),
        unknown=tuple(tokenizer.unknown_characters(text)),
    )


def surprise(model: LanguageModel, tokens: Tensor) -> tuple[list[float], list[int]]:
    """(N + 1,) -> log-probability and rank of each of the last N tokens."""
    logprobs: list[float] = []
    ranks: list[int] = []
    with evaluating(model):
        for logits in logits_in_pieces(model, tokens[:-1], PIECE, WHOLE):  # (n, V)
            done = len(logprobs)
            target = tokens[done + 1 : done + 1 + len(logits), None]  # (n, 1)
            logprobs += logits.double().log_softmax(1).gather(1, target)[:, 0].tolist()
            ranks += (1 + (logits > logits.gather(1, target)).sum(1)).tolist()
    return logprobs, ranks


def logits_in_pieces(model: LanguageModel, tokens: Tensor, piece: int, whole: int) -> Iterator[Tensor]:
    """(N,) -> pieces (n, V), one after the other, that make (N, V). To be called within `evaluating`.

    piece, whole: numbers, as PIECE and WHOLE.
    """
    context = model.context_length
    if context is None:
        at_once = len(tokens) * model.vocab_size <= whole
        yield from [model(tokens[None])[0]] if at_once else _carried(model, tokens, max(1, piece // model.vocab_size))
    elif model.learns_by == "counting":  # reads any length but looks at `context` tokens: this overlap loses nothing
        yield from _windows(model, tokens, context + max(1, piece // model.vocab_size), context, piece)
    else:
        yield from _windows(model, tokens, context, context // 2, piece)


def _carried(model: LanguageModel, tokens: Tensor, at_once: int) -> Iterator[Tensor]:
    """So many tokens at a time, the state carried along; token by token if that is how the model carries one."""
    state = model.initial_state(1)
    for start in range(0, len(tokens), at_once):
        some = tokens[start : start + at_once]
        if model.carries_state:
            logits, state = model.read(some[None], state)  # (1, n, V)
            yield logits[0]
            continue
        rows = []
        for token in some[:, None]:  # (1,)
            logits, state = model.step(token, state)  # (1, V)
            rows.append(logits)
        yield torch.cat(rows)


def _windows(model: LanguageModel, tokens: Tensor, length: int, overlap: int, piece: int) -> Iterator[Tensor]:
    """Windows of `length`; of each but the first, the first `overlap` or more tokens are only context."""
    if len(tokens) <= length:
        yield model(tokens[None])[0]
        return
    last = len(tokens) - length
    starts = [*range(0, last, length - overlap), last]
    at_once = max(1, piece // (length * model.vocab_size))
    done = 0
    for i in range(0, len(starts), at_once):
        some = starts[i : i + at_once]
        batch = torch.stack([tokens[start : start + length] for start in some])  # (B, T)
        for start, logits in zip(some, model(batch), strict=True):  # (T, V)
            yield logits[done - start :]
            done = start + length
