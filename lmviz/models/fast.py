"""Whole sequences through a recurrent cell, with a hand-written backward pass: the way that training takes.

Not the equations (cells.py has them, as one readable step), and not the LSTM, for which torch has a fused kernel.

Backpropagation through time (Werbos 1990) is the same for all of these cells. Let g_t = dL/dh_t be all that arrives at
h_t, from its own output and through later steps. What step t hands on to its blocks is g_t times factors that the
forward pass alone decides, elementwise. So the loop over time is only
    delta_t = g_t * factor_t,    g_(t-1) += delta_t W_hh + g_t * carry_t
and all else, the factors before it and the gradients of the weights after it, is done for all steps at once.

tanh(a) is computed as 2 sigmoid(2 a) - 1: the tanh that torch takes from MKL costs eight times its own sigmoid on
processors that MKL was not made for. The inner 2 is multiplied into what enters the sum, which rounds nothing.

Shapes: B batch, T time, H hidden, G blocks of H columns. All is time-major in here: a step is one piece of memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_MINUS_ONE = torch.tensor(-1.0)


class Recipe(ABC):
    """What differs between the cells.

    `weight` and `bias` are weight_hh (G*H, H) and bias_hh (G*H,); the candidate, which goes through tanh, is the last
    block. `kept` is what the forward pass leaves to the backward pass besides the states.
    """

    @abstractmethod
    def run(self, projected: Tensor, states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """Fills states (T+1, B, H) from the first on, given the input's share (T, B, G*H) of every block; `kept`."""

    @abstractmethod
    def factors(self, states: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """dh_t / d(recurrent share) for every block (T, B, G*H), new memory; and carry, dh_t / dh_(t-1) beside them."""

    def turn_to_input_(self, deltas: Tensor, grads: Tensor, kept: tuple[Tensor, ...]) -> None:
        """Make the deltas (T, B, G*H) of the recurrent share those of the input's share; grads: g_t (T, B, H).

        Nothing to do where a block is the sum of its two shares.
        """
        return


class RNN(Recipe):
    """h = tanh(a)."""

    def run(self, projected: Tensor, states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        torch.add(projected, bias, out=states[1:]).mul_(2)
        recurrent = _with_doubled_candidate(weight)
        for before, hidden in _steps(states[:-1], states[1:]):
            hidden.addmm_(before, recurrent).sigmoid_()
            _make_tanh_(hidden)
        return ()

    def factors(self, states: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        return _through_tanh(states.new_ones(()), states[1:]), None


class NVSI(Recipe):
    """h = i n; with carry h = (1 - i) h_before + i n."""

    def __init__(self, carry: bool) -> None:
        self.carry = carry

    def run(self, projected: Tensor, states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        blocks = projected + bias
        gates, candidates = blocks.chunk(2, -1)
        candidates.mul_(2)
        recurrent = _with_doubled_candidate(weight)
        for before, block, gate, candidate, hidden in _steps(states[:-1], blocks, gates, candidates, states[1:]):
            block.addmm_(before, recurrent).sigmoid_()
            _make_tanh_(candidate)
            if self.carry:
                torch.lerp(before, candidate, gate, out=hidden)
            else:
                torch.mul(gate, candidate, out=hidden)
        return (blocks,)

    def factors(self, states: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        (blocks,) = kept
        gate, candidate = blocks.chunk(2, -1)
        factors = torch.empty_like(blocks)
        for_gate, for_candidate = factors.chunk(2, -1)
        _through_sigmoid(candidate - states[:-1] if self.carry else candidate, gate, out=for_gate)
        _through_tanh(gate, candidate, out=for_candidate)
        return factors, 1 - gate if self.carry else None


class GRU(Recipe):
    """h = (1 - z) n + z h_before, where n = tanh(a + r b) and b is the recurrent share."""

    def run(self, projected: Tensor, states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        width = states.shape[-1]
        candidates = projected[..., -width:] * 2
        blocks = projected + bias
        blocks[..., -width:] = bias[-width:] * 2  # the candidate's two shares meet behind the reset gate
        recurrent = _with_doubled_candidate(weight)
        gates, shares = blocks[..., :-width], blocks[..., -width:]
        resets, updates = gates.chunk(2, -1)
        rows = _steps(states[:-1], blocks, gates, resets, updates, shares, candidates, states[1:])
        for before, block, gate, reset, update, share, candidate, hidden in rows:
            block.addmm_(before, recurrent)
            gate.sigmoid_()
            candidate.addcmul_(reset, share).sigmoid_()
            _make_tanh_(candidate)
            torch.lerp(candidate, before, update, out=hidden)
        return blocks, candidates

    def factors(self, states: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        blocks, candidate = kept
        reset, update, share = blocks.chunk(3, -1)
        factors = torch.empty_like(blocks)
        for_reset, for_update, for_candidate = factors.chunk(3, -1)
        inside = _through_tanh(1 - update, candidate)
        torch.mul(inside, reset, out=for_candidate)
        _through_sigmoid(inside.mul_(share).div_(2), reset, out=for_reset)  # the share is kept doubled
        _through_sigmoid(states[:-1] - candidate, update, out=for_update)
        return factors, update

    def turn_to_input_(self, deltas: Tensor, grads: Tensor, kept: tuple[Tensor, ...]) -> None:
        blocks, candidate = kept
        update, for_candidate = blocks.chunk(3, -1)[1], deltas.chunk(3, -1)[2]
        torch.mul(grads, _through_tanh(1 - update, candidate), out=for_candidate)


def run(
    recipe: Recipe,
    projected: Tensor,
    start: Tensor,
    weight: Tensor,
    bias: Tensor,
    seen: list[dict[str, Tensor]] | None = None,
) -> tuple[Tensor, Tensor]:
    """All steps of a cell; equals the loop over its `step_from`. Can be differentiated once.

    Args:
        projected: the input's share of every block (B, T, G*H), T >= 1; fastest if a view of time-major memory.
        start: hidden state before the first step (B, H).
        weight, bias: weight_hh (G*H, H) and bias_hh (G*H,).
        seen: the backward pass appends {"hidden": dL/dh_t for all t (B, T, H)}.

    Returns:
        Hidden states (B, T, H) and the last one (B, H).
    """
    projected = projected.transpose(0, 1).contiguous()
    results = _Sequence.apply(projected, start, weight, bias, recipe, seen)  # type: ignore[no-untyped-call]
    return cast(tuple[Tensor, Tensor], results)


class _Sequence(torch.autograd.Function):
    """What `run` does, in time-major memory. Without gradients nothing outlives the forward pass but its results."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, start: Tensor, weight: Tensor, bias: Tensor, recipe: Recipe, seen: Any
    ) -> tuple[Tensor, Tensor]:
        states = projected.new_empty(len(projected) + 1, *start.shape)
        states[0] = start
        kept = recipe.run(projected, states, weight, bias)
        ctx.recipe, ctx.seen = recipe, seen
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(states, weight, *kept)
        outputs = states[1:].transpose(0, 1)  # copies leave: `states` is still needed as it is
        return outputs.clone(memory_format=torch.contiguous_format), states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs_grad: Tensor | None, last_grad: Tensor | None) -> tuple[Tensor | None, ...]:
        states, weight, *kept = ctx.saved_tensors
        grads = torch.empty_like(states)  # (T+1, B, H)
        grads[0] = 0
        grads[1:] = 0 if outputs_grad is None else outputs_grad.transpose(0, 1)
        if last_grad is not None:
            grads[-1] += last_grad
        deltas, carry = ctx.recipe.factors(states, kept)
        _go_back(deltas, carry, grads, weight)
        if ctx.seen is not None:
            ctx.seen.append({"hidden": grads[1:].transpose(0, 1)})
        for_weight = for_bias = None
        if ctx.needs_input_grad[2]:
            for_weight = deltas.flatten(0, 1).T @ states[:-1].flatten(0, 1)  # (G*H, H)
            for_bias = deltas.sum((0, 1))
        ctx.recipe.turn_to_input_(deltas, grads[1:], kept)
        return deltas, grads[0], for_weight, for_bias, None, None


def _go_back(deltas: Tensor, carry: Tensor | None, grads: Tensor, weight: Tensor) -> None:
    """The loop over time, in place.

    Args:
        deltas: the factors (T, B, G*H), which become deltas.
        carry: (T, B, H) or None.
        grads: what arrives at each state from outside (T+1, B, H), which becomes dL/dh_t.
        weight: weight_hh (G*H, H).
    """
    blocks = deltas.view(*deltas.shape[:2], -1, grads.shape[-1])  # (T, B, G, H)
    carries: Sequence[Tensor | None] = [None] * len(deltas) if carry is None else carry.unbind()
    steps = list(_steps(grads[:-1], grads[1:], grads[1:].unsqueeze(2), deltas, blocks))
    for (before, after, for_blocks, delta, block), share in zip(reversed(steps), reversed(carries), strict=True):
        block.mul_(for_blocks)
        if share is not None:
            before.addcmul_(after, share)
        before.addmm_(delta, weight)


def _steps(*sequences: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of one step after the other; made at once, as taking them one by one costs as much as a small product."""
    return zip(*(sequence.unbind() for sequence in sequences), strict=True)


def _with_doubled_candidate(weight: Tensor) -> Tensor:
    """(G*H, H) -> its transpose (H, G*H), the candidate's part times two, in memory as a product wants it."""
    transposed = weight.T.contiguous()
    transposed[:, -weight.shape[1] :] *= 2
    return transposed


def _make_tanh_(sigmoid: Tensor) -> None:
    """sigmoid(2 a) -> tanh(a), in place."""
    torch.add(_MINUS_ONE, sigmoid, alpha=2, out=sigmoid)


def _through_sigmoid(grad: Tensor, sigmoid: Tensor, out: Tensor) -> Tensor:
    """grad * s (1 - s)."""
    return cast(Tensor, torch.ops.aten.sigmoid_backward.grad_input(grad, sigmoid, grad_input=out))


def _through_tanh(grad: Tensor, tanh: Tensor, out: Tensor | None = None) -> Tensor:
    """grad * (1 - t^2)."""
    out = torch.empty_like(tanh, memory_format=torch.contiguous_format) if out is None else out
    return cast(Tensor, torch.ops.aten.tanh_backward.grad_input(grad, tanh, grad_input=out))
