"""A whole sequence through an LSTM with its backward pass by hand, for looking inside.

Torch's fused kernel is faster but keeps dL/dh_t and dL/dc_t to itself. The equations are those of LSTMCell.
Shapes: B batch, T time, H hidden. All is time-major in here.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Gradients = dict[str, Tensor]
"""State name, `hidden` or `cell` -> dL/d(state after step t) for all t (B, T, H)."""


def run(
    projected: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor, seen: list[Gradients]
) -> tuple[Tensor, Tensor, Tensor]:
    """All steps; equals the loop over LSTMCell.step_from. Can be differentiated once.

    Args:
        projected: the input's share of every block (B, T, 4*H).
        state: hidden and cell before the first step (B, H) each.
        weight, bias: weight_hh (4*H, H) and bias_hh (4*H,).
        seen: the backward pass appends dL/dh_t and dL/dc_t: all that arrives there, through later steps as well.

    Returns:
        Hidden states (B, T, H), the last hidden and the last cell state (B, H) each.
    """
    results = _Sequence.apply(projected.transpose(0, 1), *state, weight, bias, seen)  # type: ignore[no-untyped-call]
    return cast(tuple[Tensor, Tensor, Tensor], results)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, bias: Tensor, seen: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps = len(projected)
        hiddens, cells = (start.new_empty(steps + 1, *start.shape) for start in (hidden, cell))
        hiddens[0], cells[0] = hidden, cell
        blocks = projected + bias  # (T, B, 4H), which become i, f, g, o
        recurrent = weight.T.contiguous()
        for t, block in enumerate(blocks.unbind()):
            block.addmm_(hiddens[t], recurrent)
            i, f, g, o = block.chunk(4, -1)
            g.tanh_()
            for gate in (i, f, o):
                gate.sigmoid_()
            torch.addcmul(f * cells[t], i, g, out=cells[t + 1])
            torch.mul(o, cells[t + 1].tanh(), out=hiddens[t + 1])
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(hiddens, cells, blocks, weight)
        outputs = hiddens[1:].transpose(0, 1)  # copies leave, as in fast.py
        return outputs.clone(memory_format=torch.contiguous_format), hiddens[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, outputs_grad: Tensor | None, hidden_grad: Tensor | None, cell_grad: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        hiddens, cells, blocks, weight = ctx.saved_tensors
        for_hidden, for_cell = torch.zeros_like(hiddens), torch.zeros_like(cells)  # (T+1, B, H)
        if outputs_grad is not None:
            for_hidden[1:] = outputs_grad.transpose(0, 1)
        if hidden_grad is not None:
            for_hidden[-1] += hidden_grad
        if cell_grad is not None:
            for_cell[-1] += cell_grad
        deltas = _go_back(blocks, cells, for_hidden, for_cell, weight)
        ctx.seen.append({
            "hidden": for_hidden[1:].transpose(0, 1), "cell": for_cell[1:].transpose(0, 1),
        })  # fmt: skip
        if not ctx.needs_input_grad[3]:  # the states' gradients alone are wanted
            return deltas, for_hidden[0], for_cell[0], None, None, None
        for_weight = deltas.flatten(0, 1).T @ hiddens[:-1].flatten(0, 1)  # (4H, H)
        return deltas, for_hidden[0], for_cell[0], for_weight, deltas.sum((0, 1)), None


def _go_back(blocks: Tensor, cells: Tensor, for_hidden: Tensor, for_cell: Tensor, weight: Tensor) -> Tensor:
    """Backpropagation through time; returns dL/d(recurrent share) (T, B, 4*H).

    for_hidden and for_cell (T+1, B, H) hold what arrives at each state from outside and become dL/dh_t and dL/dc_t.
    """
    i, f, g, o = blocks.chunk(4, -1)
    tanh = cells[1:].tanh()
    into_cell = o * (1 - tanh**2)  # dh_t / dc_t within one step
    # dc_t by the sums behind i, f, g, and dh_t by that behind o: (T, B, 4H)
    factors = torch.cat([g * i * (1 - i), cells[:-1] * f * (1 - f), i * (1 - g**2), tanh * o * (1 - o)], -1)
    parts = factors.view(*factors.shape[:2], 4, -1)  # (T, B, 4, H)
    by_cell, by_hidden = parts[:, :, :3], parts[:, :, 3:]
    for t in reversed(range(len(blocks))):
        for_cell[t + 1].addcmul_(for_hidden[t + 1], into_cell[t])
        by_cell[t].mul_(for_cell[t + 1].unsqueeze(1))
        by_hidden[t].mul_(for_hidden[t + 1].unsqueeze(1))
        for_hidden[t].addmm_(factors[t], weight)
        for_cell[t].addcmul_(for_cell[t + 1], f[t])
    return factors
