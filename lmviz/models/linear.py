"""A linear layer whose products can be computed by either of the two libraries inside torch, whichever is faster here.

In float32 on a CPU, torch multiplies matrices with MKL, which takes a slow path on processors not made by Intel.
oneDNN, which torch carries for its other kernels, is then more than twice as fast and as exact. Which one a model uses
is a property of the model and not of the process, so that a run that is resumed elsewhere goes on with the rounding it
began with; training/product.py chooses for a new one.
Shapes: R rows (all axes but the last), I inputs, O outputs.
"""

import math
import time
from functools import cache
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Product = Literal["torch", "onednn"]

FASTER = 1.15
"""oneDNN is chosen if it is this many times as fast: a near draw is not worth a private operation."""
ENOUGH = 2**21
"""Multiplications (R * I * O) from which oneDNN is used: setting it up costs 15 us, which fewer do not earn back."""
_ROUNDS = 40


class Linear(nn.Linear):
    """nn.Linear, with the same weights and names; `use_product` says who multiplies."""

    product: Product = "torch"

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias, self.product)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, product: Product) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), plus bias (O,) -> (..., O).

    oneDNN serves float32 on a CPU outside autocast if there is ENOUGH to do; all else is F.linear, whatever `product`.
    """
    if product == "onednn" and _is_for_onednn(x, weight):
        return cast(Tensor, _OneDNN.apply(x, weight, bias))  # type: ignore[no-untyped-call]
    return F.linear(x, weight, bias)


def use_product(model: nn.Module, product: str) -> Product:
    """Let every part of `model` that can choose (its Linear layers, GPT's output layer) multiply with `product`.

    Returns what it was set to: torch where there is no oneDNN, or for a name that is neither.
    """
    chosen: Product = "onednn" if product == "onednn" and has_onednn() else "torch"
    for module in model.modules():
        if hasattr(module, "product"):
            module.product = chosen  # type: ignore[assignment]
    return chosen


def fastest_product() -> Product:
    """The faster of the two, measured now: both products of a layer of usual size and its gradients.

    Takes about 80 ms. Draws no random numbers. A near draw may come out either way.
    """
    if not has_onednn():
        return "torch"
    best: dict[Product, float] = {"torch": math.inf, "onednn": math.inf}
    for _ in range(_ROUNDS):  # short, in turn, the best of each: on a busy machine some of each are not interrupted
        for product in best:
            best[product] = min(best[product], _seconds(product))
    return "onednn" if best["torch"] >= FASTER * best["onednn"] else "torch"


@cache
def has_onednn() -> bool:
    """Whether this torch has the operation and it gives what F.linear gives. It is private: no version promises it."""
    x = torch.linspace(-1, 1, 24 * 20).sin().view(24, 20)
    weight, bias = torch.linspace(-2, 3, 12 * 20).cos().view(12, 20), torch.linspace(-1, 1, 12)
    try:
        found = _multiply(x, weight, bias)
    except (AttributeError, RuntimeError, TypeError):  # no such operation, not for this processor, other arguments
        return False
    return torch.allclose(found, F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)


def _seconds(product: Product) -> float:
    x, weight, bias = (torch.ones(size, requires_grad=True) for size in ((256, 128), (512, 128), (512,)))
    start = time.perf_counter()
    loss = linear(x, weight, bias, product).square().sum()  # a scalar: torch imports sympy to begin from anything else
    loss.backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def _is_for_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.float32
        and x.is_cpu
        and weight.is_cpu
        and x.numel() * len(weight) >= ENOUGH
        and not torch.is_autocast_enabled("cpu")
    )


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """oneDNN's x (..., I), weight (O, I) -> (..., O); the strides may be any."""
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))


class _OneDNN(torch.autograd.Function):
    """y = x W^T + b and its three gradients, all by oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        rows, grad_rows = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])  # (R, I), (R, O)
        return (
            _multiply(grad, weight.t()) if for_x else None,
            _outer(grad_rows, rows) if for_weight else None,
            grad_rows.sum(0) if for_bias else None,
        )


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    """(R, O) and (R, I) -> grad^T x (O, I). oneDNN is up to 1.6 times as fast if its result is wider than high."""
    if grad.shape[1] > x.shape[1]:
        return _multiply(x.t(), grad.t()).t()
    return _multiply(grad.t(), x.t())
