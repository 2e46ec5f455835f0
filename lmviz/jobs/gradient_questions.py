"""Questions about gradients over time steps: of cells at birth, of a run's model, and on one text. See questions.py."""

from collections.abc import Generator
from typing import Any

import torch

from lmviz.config import RecurrentConfig
from lmviz.errors import N_, ConfigError
from lmviz.inspect.at_birth import gradients_at_birth
from lmviz.inspect.gradients import (
    DEFINITION,
    EVERY_STEP,
    RECURRENT_ONLY,
    dependence_map,
    entry,
    in_float64,
    state_norms,
)
from lmviz.inspect.jacobian import jacobian_norms, path_factors, spectrum
from lmviz.limits import MAX_GRADIENT_LENGTH, MAX_MAP_TOKENS
from lmviz.models.base import LanguageModel
from lmviz.settings import validated
from lmviz.tokenizers import BEGIN, Tokenizer
from lmviz.training.data import Data, validation_batches

SEQUENCES = 16
"""Windows of the validation text that a run's gradients are measured on."""

Pieces = Generator[dict[str, Any], None, None]


def at_birth(
    cells: list[dict[str, Any]], length: int, *, seed: int = 1, input_scale: float = 1.0, every_step: bool = False,
    jacobian: bool = False, spectra: bool = False,
) -> Pieces:  # fmt: skip
    """One piece: {"definition", "length", "cells": [...]}, the cells as `gradients_at_birth` gives them, in order.

    Raises:
        ConfigError: a cell or the length cannot be.
    """
    check_length(length)
    rows = []
    for settings in cells:
        config = validated({"model": settings}).model
        if not isinstance(config, RecurrentConfig):
            raise ConfigError(RECURRENT_ONLY)
        rows += gradients_at_birth(
            config, length, seed, input_scale=input_scale, every_step=every_step, jacobian=jacobian, spectra=spectra
        )
    yield {"definition": EVERY_STEP if every_step else DEFINITION, "length": length, "cells": rows}


def check_length(length: int) -> None:
    if not 2 <= length <= MAX_GRADIENT_LENGTH:
        raise ConfigError(N_("The length must lie between 2 and {limit} steps."), limit=MAX_GRADIENT_LENGTH)


def of_run(
    model: LanguageModel, data: Data, length: int, *, every_step: bool = False, jacobian: bool = False,
    spectra: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """{"definition", "length", "cells": [...]} of a trained model on windows of its validation text."""
    check_length(length)
    batch = validation_batches(data.validation, length, SEQUENCES * length, SEQUENCES)[0]
    twin = in_float64(model)
    found = state_norms(twin, batch.inputs, batch.targets, every_step=every_step)
    shared = {
        "jacobian_norm": jacobian_norms(twin, batch.inputs[0]).tolist() if jacobian else None,
        "terms": path_factors(twin, batch.inputs),
        "spectrum": spectrum(twin.layers[-1]) if spectra else None,
    }
    return {
        "definition": EVERY_STEP if every_step else DEFINITION,
        "length": batch.inputs.shape[1],
        "cells": [{**shared, **entry(found, state)} for state in found],
    }


def on_text(model: LanguageModel, tokenizer: Tokenizer, text: str) -> dict[str, Any]:
    """On which earlier tokens the loss at each token depends.

    Returns:
        {"tokens": text of each predicted token, "losses": nats of each, "inputs": text of what was read at each step,
        "maps": {state: rows}}; entry t of row tau, t <= tau, is |dL_tau / ds_t| of the top layer as a share of that at
        t = tau.
    """
    ids = tokenizer.encode(text)
    if len(ids) < 2:
        raise ConfigError(N_("A text of two tokens or more is needed. Type or choose one."))
    if len(ids) > MAX_MAP_TOKENS:
        raise ConfigError(
            N_("The text has {tokens} tokens, and {limit} can be shown. Take a part of it."),
            tokens=len(ids), limit=MAX_MAP_TOKENS,
        )  # fmt: skip
    read = torch.tensor([BEGIN, *ids])
    maps, losses = dependence_map(in_float64(model), read[:-1], read[1:])
    names = [tokenizer.token_text(token) for token in read.tolist()]
    rows = {
        state: [(row[: tau + 1] / (row[tau] or 1)).tolist() for tau, row in enumerate(layers[-1])]
        for state, layers in maps.items()
    }
    return {"tokens": names[1:], "inputs": names[:-1], "losses": losses.tolist(), "maps": rows}
