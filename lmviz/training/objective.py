"""What an update minimises: cross-entropy, with label smoothing, L1, and the model's own guesses among its inputs.

Scheduled sampling: Bengio et al. 2015. Label smoothing: Szegedy et al. 2016.
Shapes: B batch, T time, V vocabulary.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.config import TrainingConfig
from lmviz.models.base import Batch, LanguageModel, State

SIGMOID_STEEPNESS = 10.0


@dataclass(frozen=True)
class Losses:
    """Of one batch."""

    objective: Tensor
    """What is differentiated; L1 is added to the gradient instead (`add_l1`)."""
    plain: float
    """Mean cross-entropy in nats a token, without smoothing. It is that of the inputs as they were read: with own
    guesses among them it is higher than on the text itself, which the validation loss is measured on.
    """
    state: State
    """After the last token."""


def losses(model: LanguageModel, batch: Batch, state: State, config: TrainingConfig, guess: float) -> Losses:
    """Read a batch from a state on. `guess` is the probability of reading an own guess instead of the text."""
    if model.reads_source:
        assert batch.source is not None
        state = model.encode(batch.source)
    inputs = with_guesses(model, batch, state, guess) if guess else batch.inputs
    targets = batch.targets.flatten()
    with half_products(config.precision):
        logits, after = model.read(inputs, state)  # (B, T, V)
    logits = logits.float().flatten(0, 1)
    objective = F.cross_entropy(logits, targets, label_smoothing=config.label_smoothing)
    plain = F.cross_entropy(logits.detach(), targets) if config.label_smoothing else objective
    return Losses(objective, plain.item(), after)


def half_products(precision: str) -> contextlib.AbstractContextManager[object]:
    """bfloat16: torch's autocast, which rounds what goes into products; weights and sums stay float32."""
    if precision == "bfloat16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


@torch.no_grad()
def with_guesses(model: LanguageModel, batch: Batch, state: State, probability: float) -> Tensor:
    """The batch's inputs (B, T) in which each token but the first is, with that probability, drawn from what the model
    expects there, given all that it has read before, its own guesses included.

    No gradient flows through a draw, so reading the result once more is the same as guessing on the way. The guesses
    are made without dropout.
    """
    training = model.training
    model.eval()
    inputs = batch.inputs
    if model.reads_source and batch.source is not None:
        state = model.encode(batch.source)
    elif state is None:
        state = model.initial_state(len(inputs))
    mixed = [inputs[:, 0]]
    own = torch.rand(inputs.shape) < probability  # (B, T)
    for place in range(1, inputs.shape[1]):
        logits, state = model.step(mixed[-1], state)  # (B, V)
        guesses = logits.softmax(-1).multinomial(1)[:, 0]  # (B,)
        mixed.append(torch.where(own[:, place], guesses, inputs[:, place]))
    model.train(training)
    return torch.stack(mixed, 1)


def guess_probability(step: int, config: TrainingConfig) -> float:
    """Of reading an own guess in update number `step`, counted from 0: from none to the highest, or constant.

    sigmoid is the paper's inverse sigmoid decay of reading the text, scaled to the length of the run.
    """
    highest = config.scheduled_sampling
    if not highest or config.sampling_schedule == "constant":
        return highest
    progress = step / max(1, config.steps - 1)
    if config.sampling_schedule == "linear":
        return highest * progress
    low, high = (1 / (1 + math.exp(-SIGMOID_STEEPNESS * (x - 0.5))) for x in (0.0, 1.0))
    return highest * (1 / (1 + math.exp(-SIGMOID_STEEPNESS * (progress - 0.5))) - low) / (high - low)


@torch.no_grad()
def add_l1(parameters: list[nn.Parameter], strength: float) -> None:
    """Add the gradient of strength * sum |w| over the weight matrices; zero where a weight is zero."""
    for parameter in parameters:
        if parameter.dim() >= 2 and parameter.grad is not None:
            parameter.grad.add_(parameter.sign(), alpha=strength)


def leaves(state: State) -> list[Tensor]:
    """The tensors of a state, in order."""
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state or () for tensor in leaves(part)]


def filled(state: State, tensors: Iterator[Tensor]) -> State:
    """A state of the same form with other tensors."""
    if isinstance(state, Tensor):
        return next(tensors)
    return tuple(filled(part, tensors) for part in state)


def detached(state: State) -> State:
    """The state's values without what they were computed from: tensors in tuples, or None. Products in bfloat16 leave
    a bfloat16 state; it is carried on in float32.
    """
    if isinstance(state, Tensor):
        return state.detach().float() if state.dtype == torch.bfloat16 else state.detach()
    return tuple(detached(part) for part in state) if isinstance(state, tuple) else state
