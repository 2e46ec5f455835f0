"""Why this token: the whole distribution at every step, before and after each stage, and what would be drawn.

The lottery of `generate` gives every token of the vocabulary a number from an exponential distribution at every step,
and takes the token with the largest probability / number. The numbers depend on the seed and on how many steps came
before, not on what was written: who forces another token and goes on draws with the same numbers.
Shapes: V vocabulary, N tokens before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, opening
from lmviz.decoding.processors import Stage, stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.models.base import LanguageModel
from lmviz.models.decoder import Decoder
from lmviz.tokenizers import Tokenizer

RAW = "raw"


@dataclass(frozen=True)
class StepTrace:
    """The choice of one token."""

    stages: tuple[str, ...]
    """raw, then the stages that are on, in their order."""
    logits: Tensor  # (stages, V), of the model and after each stage
    drawn: int
    """What `generate` would take here: the likeliest of the last stage for greedy, else what the lottery says."""

    @property
    def probabilities(self) -> Tensor:
        """(stages, V), each row sums to 1."""
        return self.logits.softmax(1)


def trace(
    model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, tokens: Sequence[int] = ()
) -> Iterator[StepTrace]:  # fmt: skip
    """How each of `tokens`, which were written after the prompt in whatever way, would have been chosen, and what
    comes after them: one more step than there are tokens.

    Raises:
        ConfigError: as `generate`; also if a token is not in the vocabulary, or the strategy is beam.
        LmvizError: the logits are not finite, or no token is left.
    """
    if config.strategy == "beam":
        raise ConfigError(N_("Beam search keeps several texts at once. Take greedy or sample."))
    if not all(0 <= token < tokenizer.vocab_size for token in tokens):
        raise ConfigError(N_("The text has a token that this model does not know. Start again."))
    history, decoder = opening(model, tokenizer, config.prompt)
    return _trace(model, config, history, tokens, decoder)


def _trace(
    model: LanguageModel, config: DecodingConfig, history: list[int], tokens: Sequence[int],
    decoder: Callable[[], Decoder],
) -> Iterator[StepTrace]:  # fmt: skip
    stages = stages_for(config, len(history))
    generator = torch.Generator().manual_seed(config.seed)
    before = torch.tensor([*history, *tokens])
    with evaluating(model):
        reader = decoder()
        logits = reader.prefill(before[None, : len(history)])[0]
    for end in range(len(history), len(before) + 1):
        with evaluating(model):
            step = _step(stages, logits, before[:end], config.strategy == "greedy", generator)
            if end < len(before):
                logits = reader.step(before[end : end + 1])[0]
        yield step


def _step(
    stages: Sequence[Stage], logits: Tensor, history: Tensor, greedy: bool, generator: torch.Generator
) -> StepTrace:  # fmt: skip
    if not logits.isfinite().all():
        raise LmvizError(N_("The model gives no numbers any more: its training diverged. Take an earlier step."))
    rows = [logits]
    for stage in stages:
        rows.append(stage.function(rows[-1], history))
    last = rows[-1]
    if last.isnan().any() or not last.isfinite().any():
        raise LmvizError(N_("These settings leave no token to choose from. Raise the temperature."))
    if greedy:
        drawn = last.argmax()
    else:
        race = torch.empty_like(last).exponential_(generator=generator)  # as in generate
        drawn = last.softmax(0).div_(race).argmax()
    return StepTrace((RAW, *(stage.name for stage in stages)), torch.stack(rows), int(drawn))
