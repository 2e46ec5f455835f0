"""Gradients over time steps of cells that have learned nothing: what the equations and the initial weights decide."""

from typing import Any

import torch
from torch import Tensor

from lmviz.config import GRUConfig, LSTMConfig, NVSIConfig, RNNConfig
from lmviz.inspect.decay import SEQUENCES
from lmviz.inspect.describe import describe
from lmviz.inspect.gradients import in_float64
from lmviz.models import build_model
from lmviz.models.recurrent import RecurrentModel

VOCABULARY = 64

CellConfig = RNNConfig | NVSIConfig | GRUConfig | LSTMConfig


def newborn(config: CellConfig, length: int, seed: int, input_scale: float = 1.0) -> tuple[RecurrentModel, Tensor]:
    """A model with its initial weights, in float64, and random tokens (SEQUENCES, length + 1).

    Its input, the embedding, is N(0, 1) times `input_scale`. The seed decides the weights and the tokens; the weights
    are the same for every length.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = in_float64(build_model(config, VOCABULARY, length))
        tokens = torch.randint(VOCABULARY, (SEQUENCES, length + 1))
    with torch.no_grad():
        model.embedding.weight.mul_(input_scale)
    return model, tokens


def gradients_at_birth(
    config: CellConfig, length: int, seed: int, *, input_scale: float = 1.0, **how: bool
) -> list[dict[str, Any]]:
    """What `describe` says (`how` are its switches), with the cell's "model" and "settings".

    length: steps T; norms come at lags 0 to T - 1.
    """
    model, tokens = newborn(config, length, seed, input_scale)
    settings = {**config.model_dump(mode="json"), "seed": seed, "input_scale": input_scale}
    found = describe(model, tokens[:, :-1], tokens[:, 1:], **how)
    return [{"model": config.kind, "settings": settings, **row} for row in found]
