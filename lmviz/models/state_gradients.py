"""dL/dh_t for every t, and an LSTM's dL/dc_t, taken from a backward pass.

Paper: Pascanu et al. 2013, On the difficulty of training recurrent neural networks.
Shapes: B batch, T time, H hidden.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from lmviz.models.cells import Cell
from lmviz.models.lstm_sequence import Gradients


def gives_state_gradients(model: nn.Module) -> bool:
    """Whether `watch_state_gradients` can watch it: it has recurrent cells."""
    return any(isinstance(module, Cell) for module in model.modules())


@contextmanager
def watch_state_gradients(model: nn.Module) -> Iterator[list[list[Gradients]]]:
    """Inside, every backward pass through `model` leaves its dL/dh_t.

    with watch_state_gradients(model) as seen:
        model.loss(batch).backward()
    seen[layer][0]["hidden"]  # (B, T, H): all that arrives at h_t, from its own output and through later steps
    seen[layer][0]["cell"]    # the same of c_t, of an LSTM

    For an RNN, NVSI and GRU it changes no result and costs nothing; an LSTM takes another way than torch's kernel,
    with the same results but for rounding, and slower. A pass counts if its forward half ran inside; several are in
    the order of their backward halves. With a loss summed over all steps, which is what training has, the norms are
    flat in t for every cell, for each step's own loss is the largest part of them. Whether gradients vanish shows only
    with the loss of the last step: lmviz.inspect.gradients.

    Raises:
        TypeError: the model does not give them; ask `gives_state_gradients`.
    """
    cells = [module for module in model.modules() if isinstance(module, Cell)]
    if not cells:
        raise TypeError(f"{type(model).__name__} gives no gradients of its hidden states: it has no recurrent cells")
    before = [cell.state_gradients for cell in cells]
    seen: list[list[Gradients]] = [[] for _ in cells]
    for cell, found in zip(cells, seen, strict=True):
        cell.state_gradients = found
    try:
        yield seen
    finally:
        for cell, earlier in zip(cells, before, strict=True):
            cell.state_gradients = earlier
