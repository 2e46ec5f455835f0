"""dL/dh_t for every t, taken from the backward pass that training makes anyway.

Paper: Pascanu et al. 2013, On the difficulty of training recurrent neural networks.
Shapes: B batch, T time, H hidden.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from lmviz.models.cells import Cell, FastCell


def gives_state_gradients(model: nn.Module) -> bool:
    """Whether `watch_state_gradients` can watch it: it has recurrent cells, and all of them have a recipe in fast.py.

    The LSTM does not: torch's fused kernel keeps these gradients to itself.
    """
    cells = [module for module in model.modules() if isinstance(module, Cell)]
    return bool(cells) and all(isinstance(cell, FastCell) for cell in cells)


@contextmanager
def watch_state_gradients(model: nn.Module) -> Iterator[list[list[Tensor]]]:
    """Inside, every backward pass through `model` leaves its dL/dh_t. It changes no result and costs nothing.

    with watch_state_gradients(model) as seen:
        model.loss(batch).backward()
    seen[layer][0]  # (B, T, H): all that arrives at h_t, from its own output and through later steps

    A pass counts if its forward half ran inside; several are in the order of their backward halves.
    With a loss summed over all steps, which is what training has, the norms are flat in t for every cell, for each
    step's own loss is the largest part of them. Whether gradients vanish shows only with the loss of the last step.

    Raises:
        TypeError: the model does not give them; ask `gives_state_gradients`.
    """
    if not gives_state_gradients(model):
        raise TypeError(
            f"{type(model).__name__} gives no gradients of its hidden states: it has no cells with a recipe"
        )
    cells = [module for module in model.modules() if isinstance(module, FastCell)]
    before = [cell.state_gradients for cell in cells]
    seen: list[list[Tensor]] = [[] for _ in cells]
    for cell, found in zip(cells, seen, strict=True):
        cell.state_gradients = found
    try:
        yield seen
    finally:
        for cell, earlier in zip(cells, before, strict=True):
            cell.state_gradients = earlier
