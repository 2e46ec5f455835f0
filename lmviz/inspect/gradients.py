"""How far back does learning reach? Norms of the gradient of a loss with respect to the states before it.

The definition, used everywhere in lmviz: with L_T the cross-entropy at the LAST step alone and s_t the hidden state
after step t (or the cell state of an LSTM),
    g(k) = mean over sequences of |dL_T / ds_(T-k)|, divided by the same at k = 0
is the gradient norm at lag k. It is computed in float64, as float32 loses it below 1e-23, in one backward pass.
Summed over all steps (`every_step`), each state's own loss is the largest part of its gradient, so that the norms look
flat for every cell: a plot of training gradients over time steps shows that nothing vanishes, whatever the network.

Papers: Bengio et al. 1994, Pascanu et al. 2013. Shapes: B batch, T time, H hidden, L layers, V vocabulary.
"""

import math
from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.errors import N_, ConfigError
from lmviz.inspect.decay import Array, decay, horizon, relative
from lmviz.models.base import LanguageModel
from lmviz.models.recurrent import RecurrentModel
from lmviz.models.state_gradients import watch_state_gradients
from lmviz.turns import Turns

DEFINITION = (
    "g(k) = mean over sequences of |dL_T/ds_(T-k)| / mean over sequences of |dL_T/ds_T|; L_T: cross-entropy at the last"
    " step; s: hidden state, or cell state of an LSTM; float64"
)
EVERY_STEP = DEFINITION.replace("L_T: cross-entropy at the last step", "L_T: sum of the cross-entropies at every step")
RECURRENT_ONLY = N_("Gradients over time steps need a recurrent model: rnn, nvsi, gru or lstm.")
NUMBERS_AT_ONCE = 2**24
"""Numbers kept for one backward pass over copies of a sequence: 128 MB."""
KEPT = 8
"""Numbers kept for each row of W_hh, sequence and step, on the way there and back; measured."""


def in_float64(model: LanguageModel) -> RecurrentModel:
    """A copy for looking inside: float64, without dropout. Gradients flow through its states; its weights take none.

    Raises:
        ConfigError: the model has no recurrent states.
    """
    if not isinstance(model, RecurrentModel):
        raise ConfigError(RECURRENT_ONLY)
    twin = deepcopy(model).double().eval()
    twin.requires_grad_(False)
    twin.embedding.weight.requires_grad_(True)  # somewhere the graph has to begin
    return twin


def state_norms(
    model: RecurrentModel, tokens: Tensor, targets: Tensor, *, every_step: bool = False
) -> dict[str, Array]:
    """Mean gradient norm at each lag, not yet divided by the one at lag 0.

    Args:
        model: as `in_float64` gives it.
        tokens, targets: (B, T) int64.
        every_step: differentiate the sum of the losses at all steps instead of the last one's.

    Returns:
        `hidden`, and for an LSTM `cell` -> (L, T), lag 0 first; layers from the lowest.
    """
    kept = KEPT * tokens.shape[1] * sum(cell.weight_hh.shape[0] for cell in model.layers)
    found = [_norms(model, tokens[some], targets[some], every_step) for some in parts(len(tokens), kept)]
    return {name: torch.cat([rows[name] for rows in found], 1).mean(1).flip(1).numpy() for name in found[0]}


def _norms(model: RecurrentModel, tokens: Tensor, targets: Tensor, every_step: bool) -> dict[str, Tensor]:
    """State name -> norms (L, B, T), by step."""
    with watch_state_gradients(model) as seen:
        outputs, _ = model.run(tokens, model.initial_state(len(tokens)))  # (B, T, H)
        read, wanted = (outputs, targets) if every_step else (outputs[:, -1:], targets[:, -1:])
        _loss(model, read.flatten(0, 1), wanted.flatten()).backward()  # type: ignore[no-untyped-call]
    model.embedding.weight.grad = None
    layers = [layer[0] for layer in seen]
    return {name: torch.stack([norms(layer[name]) for layer in layers]) for name in layers[0]}


def norms(gradients: Tensor) -> Tensor:
    """Euclidean norm of the last axis: (..., H) -> (...). Scaled first, so that squares of 1e-200 do not underflow."""
    largest = gradients.abs().amax(-1, keepdim=True)
    scaled = gradients / torch.where(largest > 0, largest, 1.0)
    return scaled.square().sum(-1).sqrt() * largest.squeeze(-1)


def dependence_map(model: RecurrentModel, tokens: Tensor, targets: Tensor) -> Turns[tuple[dict[str, Array], Array]]:
    """|dL_tau / ds_t| for every pair of steps of one sequence, and the loss at each step.

    The sequence is repeated along the batch, and row tau takes the loss at step tau alone: one backward pass gives all
    rows. A map that would need too much memory is made a part of its rows at a time, a turn each.

    Args:
        model: as `in_float64` gives it.
        tokens, targets: (T,) int64.

    Returns:
        State name -> (L, T, T) with axes layer, tau, t, zero for t > tau; and losses (T,) in nats.
    """
    found = []
    for rows in parts(len(tokens), KEPT * sum(len(tokens) * cell.weight_hh.shape[0] for cell in model.layers)):
        found.append(_map_rows(model, tokens, targets, rows))
        yield None
    maps = {name: np.concatenate([rows[name] for rows, _ in found], 1) for name in found[0][0]}
    return maps, np.concatenate([losses for _, losses in found])


def map_operations(model: RecurrentModel, length: int) -> float:
    """Multiplications and additions that a map of so many steps takes, about."""
    return 6.0 * length**2 * sum(cell.weight_hh.numel() + cell.weight_ih.numel() for cell in model.layers)


def parts(count: int, numbers: int) -> list[Tensor]:
    """0 .. count - 1 cut so that a part of them, each of which keeps so many numbers, fits into NUMBERS_AT_ONCE."""
    size = max(1, NUMBERS_AT_ONCE // numbers)
    return [torch.arange(start, min(start + size, count)) for start in range(0, count, size)]


def _map_rows(model: RecurrentModel, tokens: Tensor, targets: Tensor, rows: Tensor) -> tuple[dict[str, Array], Array]:
    """Rows (R,) of the map: state name -> (L, R, T); and their losses (R,)."""
    with watch_state_gradients(model) as seen:
        repeated = tokens.expand(len(rows), -1)
        outputs, _ = model.run(repeated, model.initial_state(len(rows)))  # (R, T, H)
        logits = model.head(outputs[torch.arange(len(rows)), rows])  # (R, V)
        losses = F.cross_entropy(logits, targets[rows], reduction="none")
        losses.sum().backward()  # type: ignore[no-untyped-call]
    model.embedding.weight.grad = None
    layers = [layer[0] for layer in seen]
    maps = {name: torch.stack([norms(layer[name]) for layer in layers]).numpy() for name in layers[0]}
    return maps, losses.detach().numpy()


def parameter_norms(model: nn.Module, scale: float = 1.0) -> dict[str, float]:
    """Norm of the gradient that each parameter has now, by name, times `scale`."""
    return {
        name: scale * float(norms(parameter.grad.flatten()))
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def entry(found: Mapping[str, Array], state: str, layer: int = -1) -> dict[str, object]:
    """What is said of one state of one layer, as JSON: norms by lag relative to lag 0, decay, horizon."""
    curve = relative(found[state][layer])
    rate = decay(curve)
    return {"state": state, "norms": as_json(curve), "decay": rate, "horizon": horizon(rate)}


def as_json(values: Array) -> list[float | None]:
    """Numbers for JSON; None where one has grown beyond float64."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _loss(model: RecurrentModel, outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of cross-entropies: outputs (N, H), targets (N,). Places that are not scored have the target -100."""
    return F.cross_entropy(model.head(outputs), targets, reduction="sum")
