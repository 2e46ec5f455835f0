"""Initial weights: orthogonality, ranges, spreads and gate biases, measured on freshly built models."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from lmviz.config import GPTConfig, GRUConfig, LSTMConfig, NVSIConfig
from lmviz.models import build_model
from lmviz.models.cells import Cell
from lmviz.models.gpt import build as build_gpt
from lmviz.models.recurrent import RecurrentModel
from lmviz.models.recurrent import build as build_recurrent

V = 11


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def layer(**settings: Any) -> Cell:
    model = build_model(LSTMConfig(embedding_dim=10, hidden_size=16, **settings), V, 8)
    assert isinstance(model, RecurrentModel)
    return model.layers[0]


def test_pytorch_init_fills_its_range() -> None:
    cell = layer(init="pytorch", forget_gate_bias=None)
    for parameter in cell.parameters():
        assert parameter.abs().max() <= 1 / 4
        assert parameter.abs().max() > 0.9 / 4
        assert parameter.std().item() == pytest.approx(0.25 / math.sqrt(3), rel=0.2)


def test_orthogonal_init_makes_every_gate_orthogonal_times_gain() -> None:
    cell = layer(init="orthogonal", gain=1.5)
    for block in cell.weight_hh.chunk(4):
        torch.testing.assert_close(block @ block.T, 1.5**2 * torch.eye(16), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("init", "bound_ih", "bound_hh"),
    [("xavier", math.sqrt(6 / 26), 2 * math.sqrt(6 / 32)), ("kaiming", math.sqrt(6 / 10), 2 * math.sqrt(6 / 16))],
)
def test_xavier_and_kaiming_see_a_gate_as_a_layer(init: str, bound_ih: float, bound_hh: float) -> None:
    cell = layer(init=init, gain=2.0, forget_gate_bias=None)
    for weight, bound in ((cell.weight_ih, bound_ih), (cell.weight_hh, bound_hh)):
        assert 0.95 * bound < weight.abs().max() <= bound * (1 + 1e-6)
    assert not cell.bias_ih.any() and not cell.bias_hh.any()


@pytest.mark.parametrize("init", ["pytorch", "orthogonal"])
@pytest.mark.parametrize(
    ("config", "gate"),
    [
        (LSTMConfig(forget_gate_bias=3.0), "gate.forget"),
        (GRUConfig(update_gate_bias=3.0), "gate.update"),
        (NVSIConfig(input_gate_bias=3.0), "gate.input"),
    ],
)
def test_a_gate_bias_is_exactly_what_was_asked(config: Any, gate: str, init: str) -> None:
    model = build_recurrent(config.model_copy(update={"init": init, "num_layers": 2}), V, 8)
    for cell in model.layers:
        total = (cell.bias_ih + cell.bias_hh).chunk(len(cell.blocks))
        for name, bias in zip(cell.blocks, total, strict=True):
            assert (bias == 3.0).all() == (name == gate)


def test_gpt2_init_scales_the_residual_projections() -> None:
    model = build_gpt(GPTConfig(d_model=64, num_layers=8), 100, 32)
    for block in model.layers:
        linears = [module for module in block.modules() if isinstance(module, nn.Linear)]  # qkv, out, up, down
        for linear, std in zip(linears, (0.02, 0.005, 0.02, 0.005), strict=True):
            assert linear.weight.std().item() == pytest.approx(std, rel=0.05)
            assert not linear.bias.any()
    assert model.embedding.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_orthogonal_gpt_init_treats_query_key_and_value_apart() -> None:
    model = build_gpt(GPTConfig(d_model=16, init="orthogonal", gain=0.5), V, 8)
    for block in model.layers[0].attention.qkv.weight.chunk(3):
        torch.testing.assert_close(block @ block.T, 0.25 * torch.eye(16), rtol=0, atol=1e-6)


def test_pytorch_gpt_init_is_torchs_own() -> None:
    model = build_gpt(GPTConfig(d_model=64, init="pytorch"), 100, 8)
    assert model.embedding.weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert 0.95 / 8 < model.layers[0].attention.qkv.weight.abs().max() <= 1 / 8
