"""The one loop that writes text with any LanguageModel; a generator of small records, so a page can show it live.

Not beam search: that keeps several texts and lives in its own file when it comes.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.processors import stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.models.base import LanguageModel, State
from lmviz.tokenizers import BEGIN, END, StreamDecoder, Tokenizer

ALTERNATIVES = 5
_NAMED_CHARACTERS = 10


@dataclass(frozen=True)
class GeneratedToken:
    """One token and what the model thought: `logprob`, `alternatives` and `entropy` are of its own softmax."""

    id: int
    text: str
    """For people, as `Tokenizer.token_text`."""
    piece: str
    """What it adds to the text: all pieces together are the text; "" for <end> and for a part of a character."""
    logprob: float
    """Natural logarithm of the model's own probability."""
    probability: float
    """In the distribution it was chosen from, after all stages; 1 if it was the only one left."""
    alternatives: tuple[tuple[str, float], ...]
    """The model's five most probable tokens and their probabilities, most probable first."""
    entropy: float
    """Of the model's own distribution, nats."""


def generate(model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig) -> Iterator[GeneratedToken]:
    """Go on from <begin> and the prompt until <end>, which is the last record then, or max_new_tokens.

    The same model, tokenizer and config give the same tokens. The model's training mode is as before whenever a
    record is handed out. Past its context_length a model forgets what is oldest, as its `step` does.

    Raises:
        ConfigError: the prompt has what the tokenizer does not know. At once, not at the first record.
        LmvizError: the model's logits are not finite.
    """
    unknown = tokenizer.unknown_characters(config.prompt)
    if unknown:
        raise ConfigError(
            N_("The model has never read this: {characters}. Take it out of the prompt."),
            characters=" ".join(unknown[:_NAMED_CHARACTERS]) + (" ..." if len(unknown) > _NAMED_CHARACTERS else ""),
        )
    return _generate(model, tokenizer, config, [BEGIN, *tokenizer.encode(config.prompt)])


def _generate(
    model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, history: list[int]
) -> Iterator[GeneratedToken]:
    choose = _chooser(config)
    writer = StreamDecoder(tokenizer)
    state: State = None
    start = len(history)
    tokens = torch.tensor(history + [0] * config.max_new_tokens)  # (N + max_new_tokens,), filled as they come
    for end in range(start, len(tokens)):
        with evaluating(model):
            if end == start:
                logits, state = model.prefill(tokens[None, :end])  # (1, V)
            else:
                logits, state = model.step(tokens[end - 1 : end], state)  # (1, V)
            thoughts = _thoughts(logits[0], tokenizer)
            token, probability = choose(logits[0], tokens[:end])
            tokens[end] = token
            last = token == END or end + 1 == len(tokens)
            piece = writer.feed(token) + (writer.finish() if last else "")
            logprob = float(thoughts.logprobs[token])
        yield GeneratedToken(
            token, tokenizer.token_text(token), piece, logprob, probability, thoughts.alternatives, thoughts.entropy
        )
        if last:
            return


def _chooser(config: DecodingConfig) -> Callable[[Tensor, Tensor], tuple[int, float]]:
    """From logits (V,) and the tokens before (N,) to the next token and its probability after all stages."""
    stages = stages_for(config)
    generator = torch.Generator().manual_seed(config.seed)

    def choose(logits: Tensor, history: Tensor) -> tuple[int, float]:
        for stage in stages:
            logits = stage.function(logits, history)
        probabilities = logits.softmax(0)  # (V,)
        greedy = config.strategy == "greedy"
        token = int(logits.argmax() if greedy else probabilities.multinomial(1, generator=generator))
        return token, float(probabilities[token])

    return choose


class _Thoughts(NamedTuple):
    """The model's own distribution."""

    logprobs: Tensor  # (V,)
    alternatives: tuple[tuple[str, float], ...]
    entropy: float


def _thoughts(logits: Tensor, tokenizer: Tokenizer) -> _Thoughts:
    """Of logits (V,). Raises LmvizError if they are no distribution."""
    logprobs = logits.log_softmax(0)  # (V,)
    best = logprobs.topk(min(ALTERNATIVES, len(logprobs)))
    most_probable: list[float] = best.values.exp().tolist()
    if math.isnan(most_probable[0]):  # topk holds nan for the largest
        raise LmvizError(N_("The model gives no numbers any more: its training diverged. Take an earlier step."))
    texts = map(tokenizer.token_text, best.indices.tolist())
    entropy = float(torch.special.entr(logprobs.exp()).sum())
    return _Thoughts(logprobs, tuple(zip(texts, most_probable, strict=True)), entropy)


@contextmanager
def evaluating(model: LanguageModel) -> Iterator[None]:
    """Evaluation mode and no gradients inside, the mode as before after it. Never held across a `yield` to a caller."""
    training = model.training
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if training:
            model.train()
