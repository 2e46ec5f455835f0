"""Small recurrent cells and models for tests, and the readable step as the reference."""

from typing import Any

import torch
from torch import Tensor, nn

from lmviz.config import GRUConfig, LSTMConfig, NVSIConfig, RNNConfig
from lmviz.models import build_model
from lmviz.models.base import Batch
from lmviz.models.cells import CELLS, Cell, CellState, NVSICell
from lmviz.models.recurrent import RecurrentModel

D, H = 4, 6
FAST = ["rnn", "nvsi", "carry", "gru"]
CONFIGS: dict[str, Any] = {
    "rnn": RNNConfig,
    "nvsi": NVSIConfig,
    "carry": lambda **settings: NVSIConfig(carry=True, **settings),
    "gru": GRUConfig,
    "lstm": LSTMConfig,
}


def close(ours: Any, theirs: Any, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def randomise(module: nn.Module, std: float = 0.4) -> None:
    """No zero bias: a wrong place for any parameter then shows."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std)


def make_cell(kind: str, dtype: torch.dtype = torch.float64) -> Cell:
    cell = NVSICell(D, H, carry=True) if kind == "carry" else CELLS[kind](D, H)
    randomise(cell)
    return cell.to(dtype)


def make_model(kind: str, layers: int = 1, vocab: int = 7, **settings: Any) -> RecurrentModel:
    config = CONFIGS[kind](embedding_dim=D, hidden_size=H, num_layers=layers, **settings)
    model = build_model(config, vocab, 8)
    assert isinstance(model, RecurrentModel)
    randomise(model)
    return model.double()


def inputs_for(cell: Cell, batch: int, length: int) -> tuple[Tensor, CellState]:
    """A sequence (B, T, D) and a state that is not zero; gradients are wanted."""
    like = {"dtype": cell.weight_hh.dtype, "requires_grad": True}
    state = tuple(torch.randn(batch, H, **like) for _ in range(cell.state_size))
    return torch.randn(batch, length, D, **like), state


def stepped(model: RecurrentModel, tokens: Tensor, state: Any) -> tuple[Tensor, list[list[CellState]], Any]:
    """Logits (B, T, V) by `step_from`, every state by layer and time, and the last state."""
    rows: list[Tensor] = []
    states: list[list[CellState]] = [[] for _ in model.layers]
    for column in tokens.unbind(1):
        logits, state = model.step(column, state)
        rows.append(logits)
        for layer, after in zip(states, state, strict=True):
            layer.append(after)
    return torch.stack(rows, 1), states, state


def gradients(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    model.zero_grad()
    loss: Any = model.loss(batch)  # type: ignore[operator]
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
