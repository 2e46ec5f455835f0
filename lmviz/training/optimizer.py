"""AdamW (Loshchilov and Hutter 2019) and SGD with momentum: torch's own kernels, called as functions.

Not `torch.optim.AdamW`: constructing any torch.optim.Optimizer imports torch's compiler, which costs a worker as much
time and memory as torch itself. Tests compare both with torch.optim.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from lmviz.config import TrainingConfig


@dataclass
class Group:
    """Parameters that decay alike, and the optimizer's memory of each, by name."""

    parameters: list[nn.Parameter]
    weight_decay: float
    memory: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def gradients(self) -> list[Tensor]:
        return [_gradient(parameter) for parameter in self.parameters]


class Optimizer(ABC):
    """Matrices decay, vectors (biases, norms) do not. Every parameter must get a gradient."""

    def __init__(self, model: nn.Module, weight_decay: float) -> None:
        parameters = list(model.parameters())
        self.groups = [
            Group([p for p in parameters if p.dim() >= 2], weight_decay),
            Group([p for p in parameters if p.dim() < 2], 0.0),
        ]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter from its gradient."""
        for group in self.groups:
            if group.parameters:
                self._update(group, learning_rate)

    @abstractmethod
    def _update(self, group: Group, learning_rate: float) -> None: ...

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, by name."""
        return {
            f"{name}.{g}.{i}": tensor
            for g, group in enumerate(self.groups)
            for name, tensors in group.memory.items()
            for i, tensor in enumerate(tensors)
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


class AdamW(Optimizer):
    """Adam with decoupled weight decay; torch's fused kernel."""

    def __init__(self, model: nn.Module, betas: tuple[float, float], weight_decay: float, eps: float = 1e-8) -> None:
        super().__init__(model, weight_decay)
        self.betas, self.eps = betas, eps
        for group in self.groups:
            group.memory["steps"] = [torch.zeros(()) for _ in group.parameters]
            group.memory["averages"] = [torch.zeros_like(p) for p in group.parameters]
            group.memory["squares"] = [torch.zeros_like(p) for p in group.parameters]

    def _update(self, group: Group, learning_rate: float) -> None:
        adamw(
            list(group.parameters), group.gradients, group.memory["averages"], group.memory["squares"], [],
            group.memory["steps"], fused=True, amsgrad=False, beta1=self.betas[0], beta2=self.betas[1],
            lr=learning_rate, weight_decay=group.weight_decay, eps=self.eps, maximize=False,
        )  # fmt: skip


class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum * v + gradient, w = w - rate * v, as torch.optim.SGD does."""

    def __init__(self, model: nn.Module, momentum: float, weight_decay: float) -> None:
        super().__init__(model, weight_decay)
        self.momentum = momentum
        for group in self.groups:
            group.memory["velocities"] = [torch.zeros_like(p) for p in group.parameters]

    def _update(self, group: Group, learning_rate: float) -> None:
        velocities: list[Tensor | None] = list(group.memory["velocities"])
        sgd(
            list(group.parameters), group.gradients, velocities, fused=True, weight_decay=group.weight_decay,
            momentum=self.momentum, lr=learning_rate, dampening=0.0, nesterov=False, maximize=False,
        )  # fmt: skip


def build_optimizer(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """The one that the configuration names."""
    if config.optimizer == "sgd":
        return SGD(model, config.momentum, config.weight_decay)
    return AdamW(model, (config.beta1, config.beta2), config.weight_decay)


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        raise RuntimeError("a parameter took no part in the loss")
    return parameter.grad
