"""Why this token: the distribution over the whole vocabulary at every step, after every stage, and what the seed draws.

A `Walk` goes on token by token like `generate`, but the tokens may be anyone's: what was drawn, or what a person
forced. The noise of step n is the n-th draw from the seeded generator, whatever the tokens before it were, so a branch
keeps the luck of its depth, and a walk that takes what is drawn writes what `generate` writes.
Shapes: S the model's distribution and one after each stage, V vocabulary, n steps.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, opening
from lmviz.decoding.processors import Stage, stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.models.base import LanguageModel
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer

RAW = "raw"
"""The model's own distribution, before all stages."""


@dataclass(frozen=True)
class Moment:
    """What the next token is chosen from."""

    stages: tuple[str, ...]
    """RAW, then the names of the pipeline (S,)."""
    logits: Tensor
    """(S, V) float32: of the model and after each stage; a token at -inf is out."""
    drawn: int
    """What `generate` takes here with this seed: the largest score; of greedy the most probable token."""
    noise: Tensor | None
    """(V,) float32, drawn from an exponential distribution of mean 1; None if nothing is drawn."""
    scores: Tensor
    """(V,) float32: the last probability divided by the noise, or the probability alone. The largest wins."""

    @property
    def probabilities(self) -> Tensor:
        """(S, V) float32, as `generate` has them; each row sums to 1."""
        return self.logits.softmax(1)

    @property
    def exact(self) -> Tensor:
        """(S, V) float64."""
        return self.logits.double().softmax(1)

    @property
    def kept(self) -> Tensor:
        """(S, V) bool: what a stage left in, however small its probability."""
        kept: Tensor = self.logits > -torch.inf
        return kept

    @property
    def entropies(self) -> Tensor:
        """(S,) nats."""
        entropies: Tensor = torch.special.entr(self.exact).sum(1)
        return entropies

    @property
    def left(self) -> Tensor:
        """(S,) how many tokens a stage left."""
        return self.kept.sum(1)

    @property
    def removed(self) -> Tensor:
        """(S,) how much probability the tokens had, before the stage, that it took out; 0 for RAW."""
        kept = self.kept
        lost = kept[:-1] & ~kept[1:]
        return torch.cat([torch.zeros(1), (self.exact[:-1] * lost).sum(1)])

    @property
    def moved(self) -> Tensor:
        """(S,) how much probability a stage gave to other tokens: the total variation distance; 0 for RAW."""
        return torch.cat([torch.zeros(1), self.exact.diff(dim=0).abs().sum(1) / 2])


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
        if config.strategy == "beam":
            raise ConfigError(N_("Beam search keeps several texts at once. Take greedy or sample."))
        history, decoder = opening(model, tokenizer, config.prompt)
        self.model = model
        self._decoder_of = decoder
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
        _check([token], len(self._logits[-1]))
        here = self.moment(len(self.taken))
        logprob = float(self._logits[-1].double().log_softmax(0)[token])
        taken = Taken(token, logprob, float(here.logits[-1].softmax(0)[token]), here.drawn)
        with evaluating(self.model):
            self._see(self._decoder.step(torch.tensor([token]))[0])
        self.taken.append(taken)
        return taken

    def fork(self, length: int) -> "Walk":
        """Another walk that took the first `length` tokens of this one: what was computed for them is not again."""
        other = copy(self)
        other.taken, other._logits = self.taken[:length], self._logits[: length + 1]
        other._noise, other._generator = list(self._noise), torch.Generator()  # noise does not depend on tokens
        other._generator.set_state(self._generator.get_state())
        with evaluating(self.model):
            other._decoder = self._decoder_of()
            other._decoder.prefill(torch.tensor([self.prompt]))
            for token in other.tokens:
                other._decoder.step(torch.tensor([token]))
        return other

    def moment(self, place: int) -> Moment:
        """What token number `place` (from 0) was chosen from, or is to be chosen from."""
        history = torch.tensor(self.prompt + self.tokens[:place])
        logits = self._logits[place]
        rows = [logits]
        for stage in self.stages:
            rows.append(stage.function(rows[-1], history))
        stacked = torch.stack(rows)  # (S, V)
        if stacked.isnan().any() or not stacked.isfinite().any(1).all():
            raise LmvizError(N_("These settings leave no token to choose from. Raise the temperature."))
        noise = self._noise[place]
        # As `generate` computes it, to the last bit: what wins must be the same.
        scores = rows[-1].softmax(0) if noise is None else rows[-1].softmax(0).div_(noise)
        drawn = int((rows[-1] if noise is None else scores).argmax())
        names = (RAW, *(stage.name for stage in self.stages))
        return Moment(names, stacked, drawn, noise, scores)

    def _see(self, logits: Tensor) -> None:
        if not logits.isfinite().all():
            raise LmvizError(N_("The model gives no numbers any more: its training diverged. Take an earlier step."))
        self._logits.append(logits)
        if len(self._noise) >= len(self._logits):
            return
        race = None if self._greedy else torch.empty_like(logits).exponential_(generator=self._generator)
        self._noise.append(race)


def may_follow(token: int, vocab_size: int) -> bool:
    """Whether a text can go on with this number: <unk> and <begin> never come."""
    return 0 <= token < vocab_size and token not in (UNK, BEGIN)


def trace(
    model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, tokens: Sequence[int] = ()
) -> Iterator[Moment]:  # fmt: skip
    """How each of `tokens`, which were written after the prompt in whatever way, would have been chosen, and what
    comes after them: one more moment than there are tokens.

    Raises:
        ConfigError: as `Walk`, and if a token is one that no text has. At once, not at the first moment.
        LmvizError: as `Walk`.
    """
    _check(tokens, tokenizer.vocab_size)
    return _trace(Walk(model, tokenizer, config), tokens)


def _trace(walk: Walk, tokens: Sequence[int]) -> Iterator[Moment]:
    for place, token in enumerate(tokens):
        yield walk.moment(place)
        walk.take(token)
    yield walk.moment(len(tokens))


def _check(tokens: Sequence[int], vocab_size: int) -> None:
    if not all(may_follow(token, vocab_size) for token in tokens):
        raise ConfigError(N_("The text has a token that this model does not know. Start again."))
