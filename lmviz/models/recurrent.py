"""The recurrent language models: embedding, a stack of cells, a linear output layer.

Not the cells themselves (cells.py) and not their initial weights (init.py).
Paper: Mikolov et al. 2010, Recurrent neural network based language model.
Shapes: B batch, T time, V vocabulary, L layers, D input width, H hidden.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.config import GRUConfig, LSTMConfig, NVSIConfig, RNNConfig
from lmviz.models.base import LanguageModel
from lmviz.models.cells import CELLS, STATES, Cell, CellState, FastCell, NVSICell
from lmviz.models.init import init_cell
from lmviz.models.linear import Linear
from lmviz.models.recurrent_decoder import RecurrentDecoder

StackState = tuple[CellState, ...]
"""The state of each layer, the lowest first."""


class RecurrentModel(LanguageModel):
    """Embedding -> cells on top of each other -> logits. Dropout after the embedding and after each layer.

    Args:
        vocab_size: number of tokens V.
        cells: one a layer, of one kind, the lowest first; the lowest cell's input size is the embedding's width.
        dropout: share of activations set to zero in training mode.
    """

    carries_state = True

    def __init__(self, vocab_size: int, cells: Sequence[Cell], dropout: float = 0.0) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.context_length = None
        self.embedding = nn.Embedding(vocab_size, cells[0].input_size)  # N(0, 1)
        self.dropout = nn.Dropout(dropout)
        self.cells = nn.ModuleList(cells)
        self.head = Linear(cells[-1].hidden_size, vocab_size)

    @property
    def layers(self) -> list[Cell]:
        """The cells, the lowest first."""
        return [cell for cell in self.cells if isinstance(cell, Cell)]

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        units = dict.fromkeys(self.layers[0].signals, ("layer", "time", "unit"))
        return {**units, "logits": ("time", "token")}

    def initial_state(self, batch_size: int) -> StackState:
        return tuple(cell.initial_state(batch_size) for cell in self.layers)

    def run(self, tokens: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """(B, T), T >= 1, from a state -> what the top layer gives (B, T, H) and the state after the last token."""
        lowest, *higher = self.layers
        x, last = self._run_lowest(lowest, tokens, state[0])
        after = [last]
        for cell, before in zip(higher, state[1:], strict=True):
            x, last = cell.forward_sequence(self.dropout(x), before)  # (B, T, H)
            after.append(last)
        return self.dropout(x), tuple(after)

    def _run_lowest(self, cell: Cell, tokens: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Every token of one kind has the same product with W_ih: it is taken once a kind, not once a place."""
        dropping = self.training and self.dropout.p > 0
        if isinstance(cell, FastCell) and not dropping and self.vocab_size < tokens.numel():
            table = cell.project(self.embedding.weight)  # (V, G*H)
            projected = F.embedding(tokens.T, table)  # (T, B, G*H): time-major, as the cell wants it in memory
            return cell.forward_projected(projected.transpose(0, 1), state)
        return cell.forward_sequence(self.dropout(self.embedding(tokens)), state)

    def read(self, tokens: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        x, after = self.run(tokens, state)
        return self.head(x), after  # (B, T, V)

    def forward(self, tokens: Tensor) -> Tensor:
        logits, _ = self.read(tokens, self.initial_state(len(tokens)))
        return logits

    def prefill(self, tokens: Tensor) -> tuple[Tensor, StackState]:
        x, state = self.run(tokens, self.initial_state(len(tokens)))
        return self.head(x[:, -1]), state  # (B, V)

    def step(self, tokens: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """As the contract says; gradients flow through it."""
        x: Tensor = self.dropout(self.embedding(tokens))  # (B, D)
        after = []
        for cell, before in zip(self.layers, state, strict=True):
            last, _ = cell.step_from(cell.project(x), before)
            x = self.dropout(last[0])  # (B, H)
            after.append(last)
        return self.head(x), tuple(after)  # (B, V)

    def decoder(self) -> RecurrentDecoder:
        return RecurrentDecoder(self.embedding.weight, self.layers, self.head)

    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        """As the contract says, without dropout, whatever the mode."""
        return self.trace_from(tokens, self.initial_state(1))[0]

    @torch.no_grad()
    def trace_from(self, tokens: Tensor, state: StackState) -> tuple[dict[str, Tensor], StackState]:
        """`trace` from a state of one sequence on, and the state after; signals follow from the fast run's outputs."""
        x: Tensor = self.embedding(tokens[None])  # (1, T, D)
        layers: list[dict[str, Tensor]] = []
        after = []
        for cell, before in zip(self.layers, state, strict=True):
            outputs, _ = cell.forward_sequence(x, before)  # (1, T, H)
            layers.append(cell.signals_of(x, outputs, before))
            after.append(tuple(layers[-1][name][:, -1] for name in STATES[: cell.state_size]))
            x = outputs
        signals = {name: torch.cat([layer[name] for layer in layers]) for name in layers[0]}  # (L, T, H)
        return {**signals, "logits": self.head(x[0])}, tuple(after)  # (T, V)


def build(
    config: RNNConfig | NVSIConfig | GRUConfig | LSTMConfig, vocab_size: int, context_length: int
) -> RecurrentModel:
    """The model of `config`. `context_length` is the length of training windows and no limit for these models."""
    widths = [config.embedding_dim] + [config.hidden_size] * (config.num_layers - 1)
    cells = [_cell(config, width) for width in widths]
    for cell in cells:
        init_cell(cell, config.init, config.gain, _gate_biases(config))
    return RecurrentModel(vocab_size, cells, config.dropout)


def _cell(config: RNNConfig | NVSIConfig | GRUConfig | LSTMConfig, input_size: int) -> Cell:
    if isinstance(config, NVSIConfig):
        return NVSICell(input_size, config.hidden_size, config.carry)
    return CELLS[config.kind](input_size, config.hidden_size)


def _gate_biases(config: RNNConfig | NVSIConfig | GRUConfig | LSTMConfig) -> dict[str, float | None]:
    match config:
        case NVSIConfig():
            return {"gate.input": config.input_gate_bias}
        case GRUConfig():
            return {"gate.update": config.update_gate_bias}
        case LSTMConfig():
            return {"gate.forget": config.forget_gate_bias}
        case RNNConfig():
            return {}
