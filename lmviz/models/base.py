"""The one contract that training, decoding and inspection rely on.

Shapes: B batch, T time, V vocabulary, L layers, N heads, H hidden.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models.decoder import Decoder

UNSCORED = -100
"""As a target: nothing is to be predicted here. The number that torch's cross_entropy leaves out of sums and means."""
State = Any
"""What a model carries from one token to the next; only the model that made it looks inside."""


@dataclass(frozen=True)
class Batch:
    """Windows of text and what is to be predicted at each place."""

    inputs: Tensor  # (B, T) int64
    targets: Tensor  # (B, T) int64, UNSCORED where nothing is to be predicted
    source: Tensor | None = None  # (B, S) int64 of a pair: ends with <end>, and so does what pads it


class LanguageModel(nn.Module, ABC):
    """Gives, at every position, the logits of the next token."""

    learns_by: ClassVar[str] = "gradient"
    """gradient: trained step by step; counting: has `fit(tokens)` and is done at once."""

    carries_state: ClassVar[bool] = False
    """Whether `read` can go on from the state of the window before (truncated backpropagation through time)."""

    reads_source: ClassVar[bool] = False
    """Whether it writes a target for a source: `encode` gives the state before the first token."""

    writes: ClassVar[bool] = True
    """Whether it can go on with a text, a token after the other."""

    vocab_size: int
    context_length: int | None
    """How many tokens back the model can look; None: no limit by construction."""

    @property
    @abstractmethod
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        """Name of each signal `trace` returns -> names of its axes, such as ("layer", "time", "unit")."""

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) int64 -> logits (B, T, V). Row t depends on tokens 0..t only, if the model `writes`."""

    def encode(self, source: Tensor) -> State:
        """(B, S) int64 -> the state before the first token of the target; only of models with `reads_source`."""
        raise NotImplementedError

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first token."""

    @abstractmethod
    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One token a sequence: (B,) and its state -> logits (B, V) and the next state. Equals `forward` row by row."""

    @abstractmethod
    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        """(T,) int64, one sequence -> every signal, shaped as `signals` declares. No gradient is kept."""

    def read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, T) from a state on -> logits (B, T, V) and the state after the last token; gradients flow through both.

        Only models with `carries_state` go on from a state in training; the others read every window on its own.
        """
        return self(tokens), None

    def token_losses(self, batch: Batch) -> Tensor:
        """Cross-entropy of each target in nats (teacher forcing), (B, T); 0 where it is UNSCORED."""
        logits = self.logits_of(batch)  # (B, T, V)
        return F.cross_entropy(logits.transpose(1, 2), batch.targets, reduction="none")

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy in nats a scored token (teacher forcing), a scalar."""
        logits = self.logits_of(batch)  # (B, T, V)
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())

    def logits_of(self, batch: Batch) -> Tensor:
        """(B, T, V) of a whole batch, from an empty state or from its source."""
        if self.reads_source:
            assert batch.source is not None
            return self.read(batch.inputs, self.encode(batch.source))[0]
        logits: Tensor = self(batch.inputs)
        return logits

    def prefill(self, tokens: Tensor) -> tuple[Tensor, State]:
        """(B, T) with T >= 1 -> logits of the next token (B, V) and the state after the last one."""
        state = self.initial_state(len(tokens))
        logits = torch.empty(0)
        for column in tokens.unbind(1):
            logits, state = self.step(column, state)
        return logits, state

    def decoder(self) -> Decoder:
        """For generation, with the weights as they are now; the one given here goes through `prefill` and `step`."""
        return StepDecoder(self)

    def reorder_state(self, state: State, rows: Tensor) -> State:
        """The state of these sequences, by number (R,); one may come several times, or not at all. Here these rows of
        every tensor in it.
        """
        return rows_of(state, rows)

    def parameter_count(self) -> int:
        """Trainable numbers (shared ones once)."""
        return sum(p.numel() for p in self.parameters())


def rows_of(state: State, rows: Tensor) -> State:
    """These rows of every tensor in nested tuples; what is no tensor belongs to all rows and stays."""
    if isinstance(state, Tensor):
        return state.index_select(0, rows)
    if isinstance(state, tuple):
        parts = [rows_of(part, rows) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, the mode as before after it."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class StepDecoder(Decoder):
    """A model's own `prefill` and `step`, with the state kept."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.state: State = None

    def prefill(self, tokens: Tensor) -> Tensor:
        logits, self.state = self.model.prefill(tokens)
        return logits

    def step(self, tokens: Tensor) -> Tensor:
        logits, self.state = self.model.step(tokens, self.state)
        return logits

    def reorder(self, rows: Tensor) -> None:
        self.state = self.model.reorder_state(self.state, rows)
