"""The one loop that writes text with any LanguageModel; a generator of small records, so a page can show it live.

Beam search, which keeps several texts, is in beam.py, and many texts at once in batch.py.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.processors import Stage, stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.models.base import LanguageModel
from lmviz.models.decoder import Decoder
from lmviz.tokenizers import BEGIN, END, StreamDecoder, Tokenizer

ALTERNATIVES = 5
BLOCK = 32
"""Tokens after which records are made at the latest."""
BLOCK_SECONDS = 0.02
"""Time after which no further token is begun before the records of those that are there are handed out."""
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


def generate(
    model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, extra: Sequence[Stage] = ()
) -> Iterator[GeneratedToken]:
    """Go on from <begin> and the prompt until <end>, which is the last record then, a stop string or max_new_tokens. Of
    a model that reads a source the prompt is the source, and what is written is its target.

    extra: stages of one's own, after `special` and before all others.

    The same model, tokenizer and config give the same tokens. The model's training mode is as before whenever a
    record is handed out. Past its context_length a model forgets what is oldest, as its `step` does. The weights are
    those at the first record: a model must not be trained until the text is finished or given up.

    Raises:
        ConfigError: the prompt has what the tokenizer does not know. At once, not at the first record.
        LmvizError: the model's logits are not finite.
    """
    if config.strategy == "beam":
        raise ConfigError(N_("Beam search keeps several texts at once. Take greedy or sample."))
    history, decoder = opening(model, tokenizer, config.prompt)
    return _generate(model, decoder, tokenizer, config, history, extra)


def opening(model: LanguageModel, tokenizer: Tokenizer, prompt: str) -> tuple[list[int], Callable[[], Decoder]]:
    """The tokens before the first that is written, <begin> included, and what reads them.

    Raises:
        ConfigError: the model does not write, or the prompt has what the tokenizer does not know.
    """
    if not model.writes:
        raise ConfigError(N_("BERT fills gaps in a text; it does not go on with one. Choose a model that writes."))
    reads = tokenizer if not model.reads_source or tokenizer.source is None else tokenizer.source
    unknown = reads.unknown_characters(prompt)
    if unknown:
        raise ConfigError(
            N_("The model has never read this: {characters}. Take it out of the prompt."),
            characters=" ".join(unknown[:_NAMED_CHARACTERS]) + (" ..." if len(unknown) > _NAMED_CHARACTERS else ""),
        )
    if not model.reads_source:
        return [BEGIN, *tokenizer.encode(prompt)], model.decoder
    source = torch.tensor([[*reads.encode(prompt), END]])
    return [BEGIN], lambda: SourceDecoder(model, source)


class SourceDecoder(Decoder):
    """Writes the target of one source (1, S)."""

    def __init__(self, model: LanguageModel, source: Tensor) -> None:
        self.model = model
        self.state = model.encode(source)

    def prefill(self, tokens: Tensor) -> Tensor:
        logits, self.state = self.model.read(tokens, self.state)
        return logits[:, -1]

    def step(self, tokens: Tensor) -> Tensor:
        logits, self.state = self.model.step(tokens, self.state)
        return logits

    def reorder(self, rows: Tensor) -> None:
        self.state = self.model.reorder_state(self.state, rows)


def _generate(
    model: LanguageModel, decoder: Callable[[], Decoder], tokenizer: Tokenizer, config: DecodingConfig,
    history: list[int], extra: Sequence[Stage],
) -> Iterator[GeneratedToken]:  # fmt: skip
    with evaluating(model):
        writer = _Writer(decoder(), config, history, extra, Stopper(tokenizer, config.stop) if config.stop else None)
    describe = Describer(tokenizer)
    while not writer.done:
        with evaluating(model):
            block = writer.write()
        yield from describe(block, writer.done)


class Block(NamedTuple):
    """n tokens in a row, and what they were chosen from."""

    tokens: list[int]
    logits: Tensor  # (n, V) of the model
    staged: Tensor  # (n, V) after all stages


class _Writer:
    """Chooses one token after the other.

    It hands them out in blocks, as what a record tells costs little for many tokens together and much for each alone.
    A block grows from one token, so that the first is there at once, and ends when it has taken long enough.
    """

    def __init__(
        self, decoder: Decoder, config: DecodingConfig, history: list[int], extra: Sequence[Stage],
        stopper: "Stopper | None",
    ) -> None:  # fmt: skip
        self.decoder = decoder
        self.greedy = config.strategy == "greedy"
        self.stages = [stage.function for stage in stages_for(config, len(history), extra)]
        self.stopper = stopper
        self.generator = torch.Generator().manual_seed(config.seed)
        self.tokens = torch.tensor(history + [0] * config.max_new_tokens)  # (N + max_new_tokens,), filled as they come
        self.places = self.tokens[
            len(history) :, None
        ].unbind()  # (1,) each, views: the decoder reads what is put there
        self.start = self.end = len(history)
        self.race: Tensor | None = None  # (V,), a buffer
        self.size = 1
        self.done = False

    def write(self) -> Block:
        """The next block."""
        tokens: list[int] = []
        seen: list[Tensor] = []
        staged: list[Tensor] = []
        deadline = time.perf_counter() + BLOCK_SECONDS
        while not self.done and len(tokens) < self.size and (not tokens or time.perf_counter() < deadline):
            seen.append(self._logits())
            staged.append(self._stage(seen[-1]))
            tokens.append(self._choose(staged[-1]))
            self.end += 1
            self.done = tokens[-1] == END or self.end == len(self.tokens)
            if self.stopper is not None:
                self.done |= self.stopper.feed(tokens[-1])
        self.size = min(2 * self.size, BLOCK)
        return Block(tokens, torch.stack(seen), torch.stack(staged))

    def _logits(self) -> Tensor:
        """Of the next token, (V,)."""
        if self.end == self.start:
            return self.decoder.prefill(self.tokens[None, : self.end])[0]
        return self.decoder.step(self.places[self.end - self.start - 1])[0]

    def _stage(self, logits: Tensor) -> Tensor:
        history = self.tokens[: self.end]
        for stage in self.stages:
            logits = stage(logits, history)
        return logits

    def _choose(self, logits: Tensor) -> int:
        """Write the next token in its place.

        The draw is what multinomial(1) does, without its checks of every probability: with E drawn from an exponential
        distribution for each token, the largest p / E is that of a token with probability p.
        """
        if not self.greedy:
            if self.race is None:
                self.race = torch.empty_like(logits)
            logits = logits.softmax(0).div_(self.race.exponential_(generator=self.generator))
        place = self.places[self.end - self.start]
        torch.argmax(logits, 0, keepdim=True, out=place)
        return int(place)


class Stopper:
    """Says when one of the stop strings is complete, token by token."""

    def __init__(self, tokenizer: Tokenizer, strings: Sequence[str]) -> None:
        self.writer, self.strings = StreamDecoder(tokenizer), strings
        self.longest = max(map(len, strings))
        self.tail = ""

    def feed(self, token: int) -> bool:
        piece = self.writer.feed(token)
        seen = self.tail + piece
        self.tail = seen[max(0, len(seen) - self.longest + 1) :] if self.longest > 1 else ""
        return any(string in seen for string in self.strings)


class Describer:
    """Makes records of blocks."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.writer = StreamDecoder(tokenizer)
        self.text = cache(tokenizer.token_text)

    def __call__(self, block: Block, done: bool) -> Iterator[GeneratedToken]:
        """`done`: nothing comes after this block.

        Raises:
            LmvizError: where the logits were not finite.
        """
        chosen = torch.tensor(block.tokens)[:, None]  # (n, 1)
        logprobs = block.logits.log_softmax(1)  # (n, V)
        best = logprobs.topk(min(ALTERNATIVES, logprobs.shape[1]))
        entropies = torch.special.entr(logprobs.exp()).sum(1)
        rows = zip(
            block.tokens,
            logprobs.gather(1, chosen)[:, 0].tolist(),
            block.staged.softmax(1).gather(1, chosen)[:, 0].tolist(),
            best.indices.tolist(),
            best.values.exp().tolist(),
            entropies.tolist(),
            strict=True,
        )
        for i, (token, logprob, probability, alternatives, probabilities, entropy) in enumerate(rows, 1):
            if math.isnan(probabilities[0]):  # topk holds nan for the largest
                raise LmvizError(
                    N_("The model gives no numbers any more: its training diverged. Take an earlier step.")
                )
            if math.isnan(probability):
                raise LmvizError(N_("These settings leave no token to choose from. Raise the temperature."))
            piece = self.writer.feed(token) + (self.writer.finish() if done and i == len(block.tokens) else "")
            likeliest = tuple(zip(map(self.text, alternatives), probabilities, strict=True))
            yield GeneratedToken(token, self.text(token), piece, logprob, probability, likeliest, entropy)


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
