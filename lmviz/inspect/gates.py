"""What goes on inside a recurrent model while it reads a text: every gate and state, as named arrays.

The signals are those of the model's cells (lmviz.models.cells): exact, and as fast as torch's own kernels, because the
gates of a whole text are computed again from the hidden states. "At token t" is always: after token t has been read.
Shapes: T time, H hidden, L layers.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel
from lmviz.models.cells import STATES, Cell
from lmviz.models.recurrent import RecurrentModel
from lmviz.tokenizers import BEGIN, Tokenizer

Array = NDArray[np.float32]
RECURRENT_ONLY = N_("Gates and states from step to step need a recurrent model: rnn, nvsi, gru or lstm.")
LIKELIEST = 5


def recurrent(model: LanguageModel) -> RecurrentModel:
    """The model, if it has gates and states that go from step to step.

    Raises:
        ConfigError: it has none.
    """
    if not isinstance(model, RecurrentModel):
        raise ConfigError(RECURRENT_ONLY)
    return model


def tokens_read(tokenizer: Tokenizer, text: str) -> Tensor:
    """What a model reads of a text: <begin> and its tokens (T,)."""
    return torch.tensor([BEGIN, *tokenizer.encode(text)])


def signals(model: LanguageModel, tokens: Tensor) -> dict[str, Array]:
    """Every signal of every layer at every token: tokens (T,) -> name -> (L, T, H)."""
    with evaluating(model):
        traced = model.trace(tokens)
    return {name: values.numpy() for name, values in traced.items() if name != "logits"}


def similar_order(values: NDArray[Any]) -> list[int]:
    """Units so that those with similar courses stand together: (T, H) -> their indices.

    Agglomerative clustering with average linkage on 1 - the correlation over time (Eisen et al. 1998), the leaves in
    the order in which neighbours are closest (Bar-Joseph et al. 2001).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage  # takes a moment, and only this needs it

    values = np.nan_to_num(values, posinf=0, neginf=0)  # of a training that diverged
    centred = values - values.mean(0)
    norms = np.linalg.norm(centred, axis=0)
    courses = (centred / np.where(norms > 0, norms, 1)).T.astype(np.float64)  # (H, T)
    if len(courses) < 3:
        return list(range(len(courses)))
    above = np.triu_indices(len(courses), 1)
    distances = np.maximum(0, 1 - (courses @ courses.T)[above])
    return [int(unit) for unit in leaves_list(linkage(distances, "average", optimal_ordering=len(courses) <= 256))]


def step_in_numbers(
    model: RecurrentModel, tokenizer: Tokenizer, tokens: Tensor, at: int, layer: int, unit: int
) -> dict[str, Any]:
    """One unit's step at token `at` of `tokens` (T,), written out.

    Returns:
        {"token", "inputs": numbers that the layer reads, "units": of its hidden state,
        "terms": for every gate and candidate {"name", "input": (W_ih x) of its row, "recurrent": (W_hh h_before) of it,
        "bias_input", "bias_recurrent", "value"}, "before" and "after": the states of this unit by name,
        "next": the likeliest next tokens and their probabilities}. A GRU's candidate has its reset gate between the
        two: tanh(input + bias_input + r * (recurrent + bias_recurrent)).
    """
    with evaluating(model):
        before = model.initial_state(1)
        if at:
            _, before = model.run(tokens[None, :at], before)
        logits, after = model.step(tokens[at : at + 1], before)  # (1, V)
        cell = model.layers[layer]
        x = model.embedding(tokens[at]) if layer == 0 else after[layer - 1][0][0]  # (D,)
        _, values = cell.step(x[None], before[layer])
        best = logits[0].softmax(0).topk(min(LIKELIEST, model.vocab_size))
    hidden = before[layer][0][0]  # (H,)
    states = STATES[: cell.state_size]
    chances = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return {
        "token": tokenizer.token_text(int(tokens[at])),
        "inputs": len(x),
        "units": len(hidden),
        "terms": _terms(cell, x, hidden, values, unit),
        "before": {name: float(part[0, unit]) for name, part in zip(states, before[layer], strict=True)},
        "after": {name: float(part[0, unit]) for name, part in zip(states, after[layer], strict=True)},
        "next": [[tokenizer.token_text(token), chance] for token, chance in chances],
    }


@torch.inference_mode()
def _terms(cell: Cell, x: Tensor, hidden: Tensor, values: dict[str, Tensor], unit: int) -> list[dict[str, Any]]:
    """What each block of the cell sums up for one unit, from x (D,) and hidden (H,)."""
    rows = range(unit, len(cell.blocks) * cell.hidden_size, cell.hidden_size)
    return [
        {
            "name": name,
            "input": float(cell.weight_ih[row] @ x),
            "recurrent": float(cell.weight_hh[row] @ hidden),
            "bias_input": float(cell.bias_ih[row]),
            "bias_recurrent": float(cell.bias_hh[row]),
            "value": float(values[name][0, unit]),
        }
        for name, row in zip(cell.blocks, rows, strict=True)
    ]
