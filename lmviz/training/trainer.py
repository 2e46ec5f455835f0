"""The training loop: one update of the weights at a time, nothing written, nothing drawn.

What is minimised stands in objective.py, the update in optimizer.py; gradients are clipped by their norm (Pascanu et
al. 2013). All randomness comes from the seed through two generators of the run's own, so that many runs can take
turns in one process and each still gives the losses it would give alone.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmviz.config import TrainingConfig
from lmviz.errors import N_, ConfigError, DivergenceError
from lmviz.models.base import UNSCORED, Batch, LanguageModel, State
from lmviz.training.data import Tokens, Windows
from lmviz.training.made import Draws, MadeData
from lmviz.training.objective import add_l1, detached, filled, guess_probability, leaves, losses
from lmviz.training.optimizer import build_optimizer
from lmviz.training.schedule import learning_rate_factor
from lmviz.training.streams import Streams

WEIGHTS = "model."
"""How the names of the model's tensors begin in a state."""
PATIENCE = 5
"""Updates in a row with a loss far above chance before a run counts as diverged."""


@dataclass(frozen=True)
class Step:
    """One update. Loss in nats a scored token; `tokens` were read up to here, scored or not; norms of the whole
    gradient, before and after clipping.
    """

    step: int
    tokens: int
    loss: float
    learning_rate: float
    grad_norm: float
    grad_norm_clipped: float
    seconds: float


@contextlib.contextmanager
def randomness(generator: torch.Generator) -> Iterator[None]:
    """Inside, torch's default generator is `generator`: initial weights and dropout draw from it alone."""
    outside = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(outside)


def batches_of(
    source: Tokens | MadeData, config: TrainingConfig, generator: torch.Generator
) -> Windows | Streams | Draws:
    """What gives the batches of a training, one after the other."""
    if isinstance(source, MadeData):
        return source.batches(config, generator)
    kind: type[Windows | Streams] = Streams if config.batches == "streams" else Windows
    return kind(source, config.batch_size, config.context_length, generator)


class Trainer:
    """A model in training. `advance()` makes one update; `state()` holds all that is needed to go on elsewhere.

    Args:
        source: the tokens of a text, or a task that makes sequences.
    """

    def __init__(self, model: LanguageModel, config: TrainingConfig, source: Tokens | MadeData) -> None:
        self.model = model
        self.config = config
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        self.learning_rate = config.learning_rate
        self.clip_norm = config.clip_norm
        self.data_generator = torch.Generator().manual_seed(config.seed)
        self.noise_generator = torch.Generator().manual_seed(config.seed + 1)
        self.batches = batches_of(source, config, self.data_generator)
        self.carried: State = None
        """State after the last batch; None: begin with an empty one."""
        self.parameters = list(model.parameters())
        self.optimizer = build_optimizer(model, config)
        self.tokens_per_step = self.batches.tokens_per_step
        """Read in one update; on average, where a task mixes lags."""
        self._above_chance = 0
        self._origin = {
            "optimizer": config.optimizer, "seed": config.seed,
            "batches": [config.batches, config.batch_size, config.context_length],
        }  # fmt: skip
        """Settings that the state depends on: where a fork has others, it does not take that part over."""

    def advance(self) -> Step:
        """One update of the weights.

        Raises:
            DivergenceError: the loss or its gradient is no longer a finite number, or stays far above chance; no update
                is made.
        """
        start = time.perf_counter()
        self.model.train()
        rate = self.learning_rate * learning_rate_factor(self.step, self.config)
        batch = self.batches.next()
        loss = self._backward(batch)
        norm, clipped = self._clip()
        self._check(loss, norm)
        self.optimizer.step(rate)
        self.step += 1
        self.tokens += batch.inputs.numel()
        seconds = time.perf_counter() - start
        self.seconds += seconds
        return Step(self.step, self.tokens, loss, rate, norm, clipped, seconds)

    def set(self, name: str, value: float) -> None:
        """Change a setting while it runs: learning_rate (the schedule's highest), clip_norm or dropout."""
        limits = {"learning_rate": (0.0, math.inf), "clip_norm": (0.0, math.inf), "dropout": (0.0, 0.99)}
        if name not in limits:
            raise ConfigError(
                N_("{name} cannot be changed while a run trains; {names} can."), name=name, names=", ".join(limits)
            )
        low, high = limits[name]
        if not (low <= value <= high and math.isfinite(value)):
            raise ConfigError(N_("{name} must lie between {low} and {high}."), name=name, low=low, high=high)
        if name == "dropout":
            for module in self._dropouts:
                module.p = value
        else:
            setattr(self, name, value)

    @property
    def _dropouts(self) -> list[nn.Dropout]:
        return [module for module in self.model.modules() if isinstance(module, nn.Dropout)]

    @property
    def last_good_step(self) -> int:
        """The newest number of updates whose weights are known to give a sensible loss."""
        return self.step - self._above_chance

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that `advance` depends on: weights, optimizer, generators; counters and changed settings."""
        tensors = {f"{WEIGHTS}{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        tensors["generator.data"] = self.data_generator.get_state()
        tensors["generator.noise"] = self.noise_generator.get_state()
        if self.batches.position >= 0:
            tensors |= {f"carried.{i}": tensor for i, tensor in enumerate(leaves(self.carried))}
        values = {
            "step": self.step, "tokens": self.tokens, "seconds": self.seconds, "learning_rate": self.learning_rate,
            "clip_norm": self.clip_norm, "dropouts": [module.p for module in self._dropouts],
            "above_chance": self._above_chance, "position": self.batches.position, "origin": self._origin,
        }  # fmt: skip
        return tensors, values

    def load_state(self, tensors: dict[str, Tensor], values: dict[str, Any], *, own: bool = True) -> None:
        """Go on where `state` was taken; what the settings of this run contradict begins anew.

        `own`: the state is of this run, and so is what was `set` while it ran; a fork has that in its configuration.
        """
        origin = values.get("origin", self._origin)
        same = {name for name, value in self._origin.items() if origin.get(name) == value}
        self.model.load_state_dict(_section(tensors, WEIGHTS))
        self.step, self.tokens, self.seconds = values["step"], values["tokens"], values["seconds"]
        self._above_chance = values["above_chance"]
        if "optimizer" in same:
            self.optimizer.load_state(_section(tensors, "optimizer."))
        if "seed" in same:
            self.data_generator.set_state(tensors["generator.data"])
            self.noise_generator.set_state(tensors["generator.noise"])
        if "batches" in same and values.get("position", -1) >= 0:
            self.batches.position = values["position"]
            carried = iter([tensors[f"carried.{i}"] for i in range(len(_section(tensors, "carried.")))])
            self.carried = filled(self.model.initial_state(self.config.batch_size), carried)
        if own:
            self.learning_rate, self.clip_norm = values["learning_rate"], values["clip_norm"]
            for module, p in zip(self._dropouts, values["dropouts"], strict=True):
                module.p = p

    def load_weights(self, weights: dict[str, Tensor], step: int, tokens: int, seconds: float) -> None:
        """Go on from bare weights, where nothing else was kept: the optimizer and the data begin anew."""
        self.model.load_state_dict(weights)
        self.step, self.tokens, self.seconds = step, tokens, seconds

    def _backward(self, batch: Batch) -> float:
        self.model.zero_grad(set_to_none=True)
        empty = self.batches.fresh or self.carried is None
        state = self.model.initial_state(len(batch.inputs)) if empty and self.model.carries_state else self.carried
        with randomness(self.noise_generator):
            found = losses(self.model, batch, state, self.config, guess_probability(self.step, self.config))
        found.objective.backward()  # type: ignore[no-untyped-call]
        if self.config.l1:
            add_l1(self.parameters, self.config.l1)
        self.carried = detached(found.state)
        return found.plain

    def _clip(self) -> tuple[float, float]:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients).item()
        if self.clip_norm and norm > self.clip_norm:
            torch._foreach_mul_(gradients, self.clip_norm / norm)
            return norm, self.clip_norm
        return norm, norm

    def check_end(self, loss: float) -> None:
        """Raises DivergenceError if the last validation loss is far above chance: no update comes to mend it."""
        if not self._sensible(loss):
            self._above_chance += 1
            raise self._diverged(self.step, loss)

    def _check(self, loss: float, norm: float) -> None:
        finite = math.isfinite(loss) and math.isfinite(norm)
        self._above_chance = 0 if finite and self._sensible(loss) else self._above_chance + 1
        if not finite:
            raise self.not_finite(self.step + 1)
        if self._above_chance >= PATIENCE:
            raise self._diverged(self.step + 1, loss)

    def _sensible(self, loss: float) -> bool:
        return loss < 3 * math.log(self.model.vocab_size) + 5

    def _diverged(self, step: int, loss: float) -> DivergenceError:
        return DivergenceError(
            N_(
                "The run diverged: at step {step} the loss is {loss:.3g}, far above the {chance:.2f} of guessing."
                " Lower the learning rate (now {rate:g}). The last good checkpoint is kept."
            ),
            step=step, loss=loss, chance=math.log(self.model.vocab_size), rate=self.learning_rate,
        )  # fmt: skip

    def not_finite(self, step: int) -> DivergenceError:
        """The error for a loss or gradient that is infinite or not a number."""
        self._above_chance = max(1, self._above_chance)
        return DivergenceError(
            N_(
                "At step {step} the loss or its gradient was no longer a finite number. Lower the learning rate"
                " (now {rate:g}) or clip the gradient. The last good checkpoint is kept."
            ),
            step=step, rate=self.learning_rate,
        )  # fmt: skip


def _section(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@torch.inference_mode()
def token_losses(model: LanguageModel, batches: list[Batch]) -> NDArray[np.float64]:
    """Nats of every scored target of the batches, flat and in order; the model's mode is left as it was."""
    training = model.training
    model.eval()
    losses = torch.cat([model.token_losses(batch)[batch.targets != UNSCORED].double() for batch in batches])
    model.train(training)
    return losses.numpy()
