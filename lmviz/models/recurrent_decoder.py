"""Generation from a recurrent model: what does not depend on the state is computed once, before the first step.

The input's share of the lowest layer, W_ih x plus biases, has only V different values, so they are looked up in a
table, and a step is one small product a layer.
Shapes: B batch, T time, V vocabulary, D input width, H hidden, G blocks of rows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmviz.models.cell_steps import step_of
from lmviz.models.cells import Cell
from lmviz.models.decoder import Decoder

MAX_TABLE = 2**19
"""Numbers in the table; a larger one takes longer to make than most texts have tokens to earn it back."""


class RecurrentDecoder(Decoder):
    """See Decoder. Without dropout, whatever the model's mode.

    Args:
        embedding: (V, D).
        cells: the lowest first.
        head: from H to V.
    """

    def __init__(self, embedding: Tensor, cells: Sequence[Cell], head: nn.Linear) -> None:
        self.embedding, self.cells = embedding, cells
        self.head_weight, self.head_bias = head.weight.t(), head.bias
        self.lowest, *self.higher = self.steps = [step_of(cell) for cell in cells]
        small = len(embedding) * len(cells[0].weight_ih) <= MAX_TABLE
        self.table = self.lowest.project(embedding) if small else None  # (V, G*H)

    def prefill(self, tokens: Tensor) -> Tensor:
        x = self.embedding[tokens]  # (B, T, D)
        for cell, step in zip(self.cells, self.steps, strict=True):
            x, state = cell.forward_sequence(x, cell.initial_state(len(tokens)))  # (B, T, H)
            step.begin(state)
        return self._logits(x[:, -1])

    def step(self, tokens: Tensor) -> Tensor:
        if self.table is not None:
            projected = self.table.index_select(0, tokens)  # (B, G*H)
        else:
            projected = self.lowest.project(self.embedding.index_select(0, tokens))
        hidden = self.lowest(projected)  # (B, H)
        for step in self.higher:
            hidden = step(step.project(hidden))
        return self._logits(hidden)

    def reorder(self, rows: Tensor) -> None:
        for step in self.steps:
            step.reorder(rows)

    def _logits(self, hidden: Tensor) -> Tensor:
        return torch.addmm(self.head_bias, hidden, self.head_weight)  # (B, V)
