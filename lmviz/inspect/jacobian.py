"""Why a gradient fades or lasts: the product of the Jacobians of a cell's steps, and what it is made of.

The gradient at lag k is the loss's gradient at h_T times the product of k Jacobians ds_t / ds_(t-1); s is the whole
state, of an LSTM (hidden, cell). Papers: Hochreiter 1991, Pascanu et al. 2013, Saxe et al. 2014.
Shapes: B batch, T time, D input width, H hidden, S numbers in the state.
"""

import math
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.inspect.gradients import KEPT, parts
from lmviz.models.cells import Cell, GRUCell, LSTMCell, NVSICell
from lmviz.models.recurrent import RecurrentModel
from lmviz.models.state_gradients import watch_state_gradients

Array = NDArray[np.float64]

MAX_NUMBERS = 2**25
"""Numbers in the Jacobians of all lags, 256 MB: 100 steps of an LSTM with 400 units."""


def fits(cell: Cell, length: int) -> bool:
    """Whether `jacobian_norms` over so many steps stays within MAX_NUMBERS."""
    return length * cell.hidden_size**2 * cell.state_size <= MAX_NUMBERS


def jacobian_norms(model: RecurrentModel, tokens: Tensor, layer: int = -1) -> Array:
    """Spectral norm of dh_T / ds_(T-k) at each lag k: the most by which k steps can stretch a gradient that begins at
    h_T, which is where the loss looks.

    The sequence is repeated H times, and copy j is differentiated from unit j of h_T: one backward pass gives all, or
    a few, each for some of the units.

    Args:
        model: in float64.
        tokens: (T,) int64, one sequence; ask `fits` first.
        layer: whose state; what the layers below give counts as its input.

    Returns:
        (T,), lag 0 first, where it is 1; not a number where one has grown beyond float64.
    """
    cell = model.layers[layer]
    x = _input_of(model, tokens[None], layer).detach().requires_grad_()  # (1, T, D)
    kept = KEPT * len(tokens) * cell.weight_hh.shape[0]
    rows = torch.cat([_rows(cell, x, units) for units in parts(cell.hidden_size, kept)], 1)  # (T, H, S)
    largest = rows.abs().amax((1, 2))  # taken out, so that squares of small numbers do not underflow
    usable = largest.isfinite() & (largest > 0)
    scaled = torch.where(usable[:, None, None], rows / largest[:, None, None], 0.0)
    # The root of the largest eigenvalue of J J^T: as exact as the largest singular value of J, and much faster.
    stretch = torch.linalg.eigvalsh(scaled @ scaled.mT)[:, -1].clamp_min(0).sqrt()
    return cast(Array, (stretch * torch.where(largest.isfinite(), largest, math.nan)).numpy())


def _rows(cell: Cell, x: Tensor, units: Tensor) -> Tensor:
    """dh_T / ds_(T-k) for some units of h_T: x (1, T, D) -> (T, units, S), lag 0 first."""
    copies, count = torch.arange(len(units)), len(units)
    with watch_state_gradients(cell) as seen:
        outputs, _ = cell.forward_sequence(x.expand(count, -1, -1), cell.initial_state(count))
        outputs[copies, -1, units].sum().backward()  # type: ignore[no-untyped-call]
    rows = torch.cat(list(seen[0][0].values()), -1).permute(1, 0, 2).flip(0)  # (T, units, S)
    rows[0, :, cell.hidden_size :] = 0  # at lag 0 the state is where the gradient begins: not counted through c_T
    return rows


@torch.no_grad()
def spectrum(cell: Cell) -> dict[str, dict[str, Any]]:
    """Of each block of W_hh: its singular values, the largest first, and its spectral radius."""
    blocks = cell.weight_hh.double().chunk(len(cell.blocks))
    return {
        name: {
            "singular_values": torch.linalg.svdvals(block).tolist(),
            "spectral_radius": float(torch.linalg.eigvals(block).abs().max()),
        }
        for name, block in zip(cell.blocks, blocks, strict=True)
    }


@torch.no_grad()
def path_factors(model: RecurrentModel, tokens: Tensor, layer: int = -1) -> dict[str, float]:
    """What the gradient is multiplied by in one step, beside W_hh: means over sequences, steps and units.

    The names are those of the equations: h hidden, n candidate, i input gate, z update gate, f forget gate.
    """
    cell = model.layers[layer]
    x = _input_of(model, tokens, layer)
    state = cell.initial_state(len(x))
    outputs, _ = cell.forward_sequence(x, state)
    signals = cell.signals_of(x, outputs, state)
    if isinstance(cell, LSTMCell):
        factors = {"f": signals["gate.forget"]}
    elif isinstance(cell, GRUCell):
        factors = {"z": signals["gate.update"]}
    elif isinstance(cell, NVSICell) and cell.carry:
        factors = {"1-i": 1 - signals["gate.input"]}
    elif isinstance(cell, NVSICell):
        gate, through_tanh = signals["gate.input"], 1 - signals["candidate"] ** 2
        factors = {"i": gate, "1-n^2": through_tanh, "i(1-n^2)": gate * through_tanh}
    else:
        factors = {"1-h^2": 1 - signals["hidden"] ** 2}
    return {name: float(values.mean()) for name, values in factors.items()}


def _input_of(model: RecurrentModel, tokens: Tensor, layer: int) -> Tensor:
    """What enters a layer: (B, T) tokens -> (B, T, D), without dropout."""
    x = cast(Tensor, model.embedding(tokens))
    for cell in model.layers[: layer % len(model.layers)]:
        x, _ = cell.forward_sequence(x, cell.initial_state(len(x)))
    return x
