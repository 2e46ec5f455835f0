"""AdamW (Loshchilov and Hutter 2019): torch's own fused kernel, called as a function.

Not `torch.optim.AdamW`: constructing any torch.optim.Optimizer imports torch's compiler, which costs a worker as much
time and memory as torch itself. A test compares the two.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


@dataclass
class Group:
    """Parameters that decay alike, and AdamW's memory of each."""

    parameters: list[nn.Parameter]
    weight_decay: float
    steps: list[Tensor] = field(default_factory=list)
    averages: list[Tensor] = field(default_factory=list)
    squares: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = [torch.zeros(()) for _ in self.parameters]
        self.averages = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]


class AdamW:
    """Matrices decay, vectors (biases, norms) do not. Every parameter must get a gradient."""

    def __init__(self, model: nn.Module, betas: tuple[float, float], weight_decay: float, eps: float = 1e-8) -> None:
        parameters = list(model.parameters())
        self.betas, self.eps = betas, eps
        self.groups = [
            Group([p for p in parameters if p.dim() >= 2], weight_decay),
            Group([p for p in parameters if p.dim() < 2], 0.0),
        ]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter from its gradient."""
        for group in self.groups:
            if not group.parameters:
                continue
            adamw(
                list(group.parameters), [_gradient(p) for p in group.parameters], group.averages, group.squares, [],
                group.steps, fused=True, amsgrad=False, beta1=self.betas[0], beta2=self.betas[1], lr=learning_rate,
                weight_decay=group.weight_decay, eps=self.eps, maximize=False,
            )  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, by name."""
        return {
            f"{name}.{g}.{i}": tensor
            for g, group in enumerate(self.groups)
            for name in ("steps", "averages", "squares")
            for i, tensor in enumerate(getattr(group, name))
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        raise RuntimeError("a parameter took no part in the loss")
    return parameter.grad
