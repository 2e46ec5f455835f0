"""How a model knows the places of its tokens, and what becomes of its loss beyond those it was trained on.

Shapes: C places (the context length), D model width, T time, W windows.
"""

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel
from lmviz.models.gpt import GPT
from lmviz.models.positions import Embedding, sinusoids
from lmviz.training.data import Tokens, evaluation_batch_size, validation_batches

Array = NDArray[np.float32]

MEASURED_TOKENS = 65_536
"""Of the held-out text, in `loss_by_position`."""


def position_table(model: LanguageModel) -> Array:
    """The vector that is added at each place (C, D): learned, or sine waves.

    Raises:
        ConfigError: the model has none.
    """
    table = _table(model)
    if table is None:
        raise ConfigError(
            N_("This model adds nothing for the place of a token. Choose a gpt, bert or transformer whose positions are"
               " learned or sinusoidal.")
        )  # fmt: skip
    return table.detach()[: model.context_length].float().numpy()


def _table(model: LanguageModel) -> Tensor | None:
    if isinstance(model, GPT):
        return model.position_table
    embedding = getattr(model, "embedding", None)
    return embedding.positions if isinstance(embedding, Embedding) else None


def position_similarity(table: Array) -> dict[str, Array]:
    """How alike the vectors of two places are: table (C, D) -> arrays.

    Returns:
        {"cosines": (C, C), "dots": (C, C), and by their distance 0 .. C - 1 "cosine" and "dot": mean over all pairs of
        places (C,), "cosine_low" and "cosine_high": the least and most of these (C,)}. The cosine with a vector of
        zeros is 0.
    """
    dots = table @ table.T
    norms = np.linalg.norm(table, axis=1)
    unit = table / np.where(norms > 0, norms, 1)[:, None]
    cosines = unit @ unit.T
    diagonals = [(cosines.diagonal(d), dots.diagonal(d)) for d in range(len(table))]
    return {
        "cosines": cosines,
        "dots": dots,
        "cosine": np.array([cosine.mean() for cosine, _ in diagonals]),
        "dot": np.array([dot.mean() for _, dot in diagonals]),
        "cosine_low": np.array([cosine.min() for cosine, _ in diagonals]),
        "cosine_high": np.array([cosine.max() for cosine, _ in diagonals]),
    }


def loss_by_position(model: LanguageModel, tokens: Tokens, longest: int) -> Iterator[float | dict[str, Any]]:
    """Mean loss at each place of windows of held-out tokens, also beyond what the model was trained on.

    Every window is read as a whole from its first token on, so that the token at place t has t before it: no window
    moves on. Learned positions end with the trained context, and so does the answer then.

    Args:
        tokens: of the held-out text.
        longest: places wanted.

    Yields:
        Shares of 1, then {"losses": nats a token by place (T,) float64, "windows": over how many, "trained": places the
        model was trained on, None if it has no limit}. T is `longest` or what the model and the text allow.

    Raises:
        ConfigError: the model does not read from left to right.
    """
    if not model.writes or model.reads_source:
        raise ConfigError(N_("This needs a model that goes on with a text. Choose another run."))
    reader = reaching(model, longest)
    length = longest if reader.context_length is None else min(longest, reader.context_length)
    size = evaluation_batch_size(model.vocab_size, length)
    batches = validation_batches(tokens, length, MEASURED_TOKENS, size)
    total, windows = torch.zeros((), dtype=torch.float64), 0
    for done, batch in enumerate(batches, 1):
        with evaluating(reader):
            total = total + reader.token_losses(batch).double().sum(0)  # (T,)
        windows += len(batch.inputs)
        yield done / len(batches)
    yield {"losses": (total / windows).numpy(), "windows": windows, "trained": model.context_length}


def reaching(model: LanguageModel, longest: int) -> LanguageModel:
    """A twin with the same weights that can look at `longest` tokens; the model itself where that cannot be or need not
    be: its positions are learned, or it looks as far already.
    """
    if not isinstance(model, GPT) or longest <= model.context_length or "position_table" in model._parameters:
        return model
    twin = copy(model)
    twin.context_length = longest
    table = model.position_table
    if table is not None:
        longer = sinusoids(longest, table.shape[1]).to(table)
        twin._buffers = {**model._buffers, "position_table": longer}
    return twin
