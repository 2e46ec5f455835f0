"""Gradients over time steps of cells that have learned nothing: what the equations and the initial weights decide."""

from typing import Any

import torch
from torch import Tensor

from lmviz.config import GRUConfig, LSTMConfig, NVSIConfig, RNNConfig
from lmviz.inspect.gradients import entry, in_float64, state_norms
from lmviz.inspect.jacobian import jacobian_norms, path_factors, spectrum
from lmviz.models import build_model
from lmviz.models.recurrent import RecurrentModel

VOCABULARY = 64
SEQUENCES = 16

CellConfig = RNNConfig | NVSIConfig | GRUConfig | LSTMConfig


def newborn(config: CellConfig, length: int, seed: int, input_scale: float = 1.0) -> tuple[RecurrentModel, Tensor]:
    """A model with its initial weights, in float64, and random tokens (SEQUENCES, length + 1).

    Its input, the embedding, is N(0, 1) times `input_scale`. The seed decides the weights and the tokens.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokens = torch.randint(VOCABULARY, (SEQUENCES, length + 1))
        model = in_float64(build_model(config, VOCABULARY, length))
    with torch.no_grad():
        model.embedding.weight.mul_(input_scale)
    return model, tokens


def gradients_at_birth(
    config: CellConfig, length: int, seed: int, *, input_scale: float = 1.0, every_step: bool = False,
    jacobian: bool = False, spectra: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """One entry for each state of the top layer (an LSTM has two), as JSON; see lmviz.inspect.gradients.

    Args:
        length: steps T; norms come at lags 0 to T - 1.
        jacobian: also the spectral norm of the Jacobian product at each lag, along the first sequence.
        spectra: also singular values and spectral radius of W_hh.
    """
    model, tokens = newborn(config, length, seed, input_scale)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    found = state_norms(model, inputs, targets, every_step=every_step)
    shared = {
        "model": config.kind,
        "settings": {**config.model_dump(mode="json"), "seed": seed, "input_scale": input_scale},
        "jacobian_norm": jacobian_norms(model, inputs[0]).tolist() if jacobian else None,
        "terms": path_factors(model, inputs),
        "spectrum": spectrum(model.layers[-1]) if spectra else None,
    }
    return [{**shared, **entry(found, state)} for state in found]
