"""Why this token: the distribution over the whole vocabulary at every step, after every stage, and what the seed draws.

A `Walk` goes on token by token like `generate`, but the tokens may be anyone's: what was drawn, or what a person
forced. The noise of step n is the n-th draw from the seeded generator, whatever the tokens before it were, so a branch
keeps the luck of its depth, and a walk that takes what is drawn writes what `generate` writes.
Shapes: S the model's distribution and one after each stage, V vocabulary, n steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, opening
from lmviz.decoding.processors import Stage, stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.limits import MAX_STEP_NUMBERS
from lmviz.models.base import LanguageModel
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer

RAW = "raw"
"""The model's own distribution, before all stages."""


@dataclass(frozen=True)
class Moment:
    """What the next token is chosen from."""

    stages: tuple[str, ...]
    """RAW, then the names of the pipeline (S,)."""
    probabilities: Tensor
    """(S, V) float64: softmax of the logits after each stage."""
    kept: Tensor
    """(S, V) bool: what a stage left in, however small its probability."""
    drawn: int
    """What `generate` takes here with this seed: the largest score; of greedy the most probable token."""
    noise: Tensor | None
    """(V,) float32, drawn from an exponential distribution of mean 1; None if nothing is drawn."""
    scores: Tensor
    """(V,) float32: the last probability divided by the noise, or the probability alone. The largest wins."""

    @property
    def entropies(self) -> Tensor:
        """(S,) nats."""
        return torch.special.entr(self.probabilities).sum(1)

    @property
    def left(self) -> Tensor:
        """(S,) how many tokens a stage left."""
        return self.kept.sum(1)

    @property
    def removed(self) -> Tensor:
        """(S,) how much probability the tokens had, before the stage, that it took out; 0 for RAW."""
        lost = self.kept[:-1] & ~self.kept[1:]
        return torch.cat([torch.zeros(1), (self.probabilities[:-1] * lost).sum(1)])

    @property
    def moved(self) -> Tensor:
        """(S,) how much probability a stage gave to other tokens: the total variation distance; 0 for RAW."""
        return torch.cat([torch.zeros(1), self.probabilities.diff(dim=0).abs().sum(1) / 2])


@dataclass(frozen=True)
class Taken:
    """One token of a walk."""

    token: int
    logprob: float
    """Of the model's own softmax, nats."""
    probability: float
    """After all stages; 0 for a forced token that a stage had taken out."""
    drawn: int
    """What the seed would have taken here."""


class Walk:
    """A text that grows by any tokens, and at each place what they were chosen from.

    Nothing is drawn from the global generator; the model is not changed, and must not be trained meanwhile.

    Args:
        extra: stages of one's own, as of `generate`.

    Raises:
        ConfigError: as `generate`.
        LmvizError: the model's logits are not finite, or the stages leave no token.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, extra: Sequence[Stage] = ()
    ) -> None:  # fmt: skip
        history, decoder = opening(model, tokenizer, config.prompt)
        self.model = model
        self.prompt = history  # <begin> included
        self.stages = stages_for(config, len(history), extra)
        self.taken: list[Taken] = []
        self._greedy = config.strategy != "sample"
        self._generator = torch.Generator().manual_seed(config.seed)
        self._logits: list[Tensor] = []  # (V,) at every place, and the noise there
        self._noise: list[Tensor | None] = []
        with evaluating(model):
            self._decoder = decoder()
            self._see(self._decoder.prefill(torch.tensor([history]))[0])

    @property
    def tokens(self) -> list[int]:
        return [one.token for one in self.taken]

    @property
    def ended(self) -> bool:
        """<end> was taken: nothing comes after it."""
        return bool(self.taken) and self.taken[-1].token == END

    def take(self, token: int) -> Taken:
        """Go on with a token.

        Raises:
            ConfigError: the text has ended, or no text has this token.
        """
        if self.ended:
            raise ConfigError(N_("The text has ended. Go back to go on in another way."))
        if not may_follow(token, len(self._logits[-1])):
            raise ConfigError(
                N_("There is no token {token} to go on with. Take one from 2 to {last}."),
                token=token, last=len(self._logits[-1]) - 1,
            )  # fmt: skip
        here = self.moment(len(self.taken))
        logprob = float(self._logits[-1].double().log_softmax(0)[token])
        taken = Taken(token, logprob, float(here.probabilities[-1, token]), here.drawn)
        if token != END:
            with evaluating(self.model):
                self._see(self._decoder.step(torch.tensor([token]))[0])
        self.taken.append(taken)
        return taken

    def moment(self, place: int) -> Moment:
        """What token number `place` (from 0) was chosen from, or is to be chosen from."""
        history = torch.tensor(self.prompt + self.tokens[:place])
        logits = self._logits[place]
        rows = [logits]
        for stage in self.stages:
            rows.append(stage.function(rows[-1], history))
        stacked = torch.stack(rows)  # (S, V)
        kept = stacked > -torch.inf
        if stacked.isnan().any() or not kept.any(1).all():
            raise LmvizError(N_("These settings leave no token to choose from. Raise the temperature."))
        noise = self._noise[place]
        # As `generate` computes it, to the last bit: what wins must be the same.
        scores = rows[-1].softmax(0) if noise is None else rows[-1].softmax(0).div_(noise)
        drawn = int((rows[-1] if noise is None else scores).argmax())
        names = (RAW, *(stage.name for stage in self.stages))
        return Moment(names, stacked.double().softmax(1), kept, drawn, noise, scores)

    def _see(self, logits: Tensor) -> None:
        if not logits.isfinite().all():
            raise LmvizError(N_("The model gives no numbers any more: its training diverged. Take an earlier step."))
        self._logits.append(logits)
        race = None if self._greedy else torch.empty_like(logits).exponential_(generator=self._generator)
        self._noise.append(race)


def may_follow(token: int, vocab_size: int) -> bool:
    """Whether a text can go on with this number: <unk> and <begin> never come."""
    return 0 <= token < vocab_size and token not in (UNK, BEGIN)


def check_size(config: DecodingConfig, vocab_size: int, extra: Sequence[Stage] = ()) -> None:
    """Before a trace of a whole text is made.

    Raises:
        ConfigError: it would have more than MAX_STEP_NUMBERS numbers.
    """
    step = (1 + len(stages_for(config, 0, extra))) * vocab_size
    if config.max_new_tokens * step > MAX_STEP_NUMBERS:
        raise ConfigError(
            N_("A trace of {tokens} tokens has {numbers} numbers, and {limit} are allowed. Write at most {most} tokens."),
            tokens=config.max_new_tokens, numbers=f"{config.max_new_tokens * step:,}", limit=f"{MAX_STEP_NUMBERS:,}",
            most=MAX_STEP_NUMBERS // step,
        )  # fmt: skip


def whole_trace(walk: Walk, tokens: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """Of every step of a text, (S, V): its distribution after each stage."""
    for token in tokens:
        yield walk.moment(len(walk.taken)).probabilities.float().numpy()
        walk.take(token)
