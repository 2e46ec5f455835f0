"""Questions about gradients over time steps: of cells at birth, of a run's model, and on one text. See questions.py.

What takes long gives empty pieces on the way, so that other questions have their turn in between.
"""

import math
from collections.abc import Generator
from typing import Any

import torch

from lmviz.config import RecurrentConfig
from lmviz.errors import N_, ConfigError
from lmviz.inspect.at_birth import gradients_at_birth
from lmviz.inspect.decay import SEQUENCES, Array
from lmviz.inspect.describe import describe
from lmviz.inspect.gradients import (
    DEFINITION,
    EVERY_STEP,
    RECURRENT_ONLY,
    dependence_map,
    in_float64,
    map_operations,
)
from lmviz.limits import MAX_GRADIENT_LENGTH, MAX_INPUT_SCALE, MAX_MAP_OPERATIONS, MAX_MAP_TOKENS, MAX_SEED
from lmviz.models.base import Batch, LanguageModel
from lmviz.models.recurrent import RecurrentModel
from lmviz.settings import validated
from lmviz.tokenizers import BEGIN, Tokenizer
from lmviz.training.data import Data, validation_batches
from lmviz.training.task_data import TEST_SEED, TaskData

Pieces = Generator[dict[str, Any], None, None]


def at_birth(
    cells: list[dict[str, Any]], length: int, *, seed: int = 1, input_scale: float = 1.0, every_step: bool = False,
    **how: bool,
) -> Pieces:  # fmt: skip
    """The last piece: {"definition", "length", "cells": [...]}, the cells as `gradients_at_birth` gives them, in order.

    Raises:
        ConfigError: a cell, the length, the seed or the scale cannot be.
    """
    _check_length(length)
    if not 0 <= input_scale <= MAX_INPUT_SCALE:
        raise ConfigError(N_("The input scale must lie between 0 and {limit}."), limit=MAX_INPUT_SCALE)
    if not 0 <= seed < MAX_SEED:
        raise ConfigError(N_("The seed must lie between 0 and {limit}."), limit=MAX_SEED - 1)
    rows = []
    for settings in cells:
        config = validated({"model": settings}).model
        if not isinstance(config, RecurrentConfig):
            raise ConfigError(RECURRENT_ONLY)
        rows += gradients_at_birth(config, length, seed, input_scale=input_scale, every_step=every_step, **how)
        yield {}
    yield {"definition": _definition(every_step), "length": length, "cells": rows}


def of_run(
    model: LanguageModel, data: Data | TaskData, length: int, *, every_step: bool = False, **how: bool
) -> dict[str, Any]:
    """{"definition", "length", "cells": [...]} of a trained model on windows of its validation text, or on sequences of
    its task with `length` steps between what is to be remembered and the question. `how`: see `describe`.
    """
    _check_length(length)
    batch = _sequences(data, length)
    return {
        "definition": _definition(every_step),
        "length": batch.inputs.shape[1],
        "cells": describe(in_float64(model), batch.inputs, batch.targets, every_step=every_step, **how),
    }


def on_text(model: LanguageModel, tokenizer: Tokenizer, text: str) -> Pieces:
    """On which earlier tokens the loss at each token depends; the last piece:

    {"tokens": text of each predicted token, "losses": nats of each, "inputs": text of what was read at each step,
    "maps": {state: rows}}; entry t of row tau, t <= tau, is |dL_tau / ds_t| of the top layer as a share of that at
    t = tau.

    Raises:
        ConfigError: the model has no such states, or the text is too short or too long for it.
    """
    twin = in_float64(model)
    ids = tokenizer.encode(text)
    _check_text(twin, len(ids))
    read = torch.tensor([BEGIN, *ids])
    turns = dependence_map(twin, read[:-1], read[1:])
    while True:
        try:
            next(turns)
        except StopIteration as end:
            maps, losses = end.value
            break
        yield {}
    names = [tokenizer.token_text(token) for token in read.tolist()]
    rows = {state: _shares(layers[-1]) for state, layers in maps.items()}
    yield {"tokens": names[1:], "inputs": names[:-1], "losses": losses.tolist(), "maps": rows}


def _shares(rows: Array) -> list[list[float]]:
    """Lower triangle of a map (T, T), each row as shares of its diagonal."""
    return [(row[: tau + 1] / (row[tau] or 1)).tolist() for tau, row in enumerate(rows)]


def _definition(every_step: bool) -> str:
    return EVERY_STEP if every_step else DEFINITION


def _sequences(data: Data | TaskData, length: int) -> Batch:
    if isinstance(data, TaskData):
        return data.draw(length, SEQUENCES, torch.Generator().manual_seed(TEST_SEED))
    return validation_batches(data.validation, length, SEQUENCES * length, SEQUENCES)[0]


def _check_length(length: int) -> None:
    if not 2 <= length <= MAX_GRADIENT_LENGTH:
        raise ConfigError(N_("The length must lie between 2 and {limit} steps."), limit=MAX_GRADIENT_LENGTH)


def _check_text(model: RecurrentModel, tokens: int) -> None:
    """A text that a map can be made of, within what this model allows."""
    if tokens < 2:
        raise ConfigError(N_("A text of two tokens or more is needed. Type or choose one."))
    limit = min(MAX_MAP_TOKENS, math.floor(math.sqrt(MAX_MAP_OPERATIONS / map_operations(model, 1))))
    if tokens > limit:
        raise ConfigError(
            N_("The text has {tokens} tokens, and {limit} can be shown of this model. Take a part of it."),
            tokens=tokens, limit=limit,
        )  # fmt: skip
