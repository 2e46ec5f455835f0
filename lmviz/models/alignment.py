"""How a recurrent decoder looks at its source: which tokens of it matter for the next token of the target.

Additive: Bahdanau, Cho and Bengio 2015, e = v . tanh(W s + U m). Multiplicative: Luong, Pham and Manning 2015, their
"general", e = s . W m. The weights are softmax(e) over the source, the context is their weighted sum of the source's
states. Attention of many heads stands in attention.py. Shapes: B batch, S source time, H decoder state, M source state.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """A source as its encoder left it, ready to be compared with."""

    states: Tensor  # (B, S, M)
    keys: Tensor  # (B, S, H), the part of the scores that is the same at every step
    mask: Tensor  # (B, S) bool


class Looked(NamedTuple):
    """One look at the source."""

    context: Tensor  # (B, M)
    scores: Tensor  # (B, S), -inf beyond the end
    weights: Tensor  # (B, S), rows sum to 1


class Alignment(nn.Module):
    """Base of both. `forced` weights (S,) or (B, S) take the place of its own."""

    def __init__(self, memory_size: int, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, hidden_size, bias=False)

    def remember(self, states: Tensor, mask: Tensor) -> Memory:
        """(B, S, M) and where it has tokens (B, S)."""
        return Memory(states, self.key(states), mask)

    def scores(self, state: Tensor, memory: Memory) -> Tensor:
        """Of a decoder state (B, H) with every token of the source (B, S)."""
        raise NotImplementedError

    def forward(self, state: Tensor, memory: Memory, forced: Tensor | None = None) -> Looked:
        scores = self.scores(state, memory).masked_fill(~memory.mask, -math.inf)
        weights = scores.softmax(-1) if forced is None else forced.expand_as(scores)
        return Looked(torch.bmm(weights[:, None], memory.states)[:, 0], scores, weights)


class Additive(Alignment):
    def __init__(self, memory_size: int, hidden_size: int) -> None:
        super().__init__(memory_size, hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1, bias=False)

    def scores(self, state: Tensor, memory: Memory) -> Tensor:
        energies: Tensor = self.energy(torch.tanh(self.query(state)[:, None] + memory.keys))  # (B, S, 1)
        return energies[..., 0]


class Multiplicative(Alignment):
    def scores(self, state: Tensor, memory: Memory) -> Tensor:
        return torch.bmm(memory.keys, state[..., None])[..., 0]


def alignment(score: str, memory_size: int, hidden_size: int) -> Alignment:
    """additive or multiplicative."""
    return {"additive": Additive, "multiplicative": Multiplicative}[score](memory_size, hidden_size)
