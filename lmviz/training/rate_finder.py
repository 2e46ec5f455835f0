"""The learning-rate range test (Smith 2017): a fresh copy of the model trains for a moment while the rate rises.

Each update has a rate a little higher than the one before, evenly on a logarithmic scale. Too small: nothing happens;
then the loss falls; then it flies off. Nothing of it is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lmviz.config import RunConfig
from lmviz.errors import DivergenceError
from lmviz.models import build_model
from lmviz.training.data import Data
from lmviz.training.made import MadeData
from lmviz.training.trainer import Trainer, randomness

UPDATES = 100
RANGES = {"adamw": (1e-5, 1.0), "sgd": (1e-3, 100.0)}
SMOOTHING = 0.9
"""Share of the running mean that stays, as the loss of a single batch is noisy."""
ABOVE_STEEPEST = 2.0
"""A whole run with warm-up and decay bears more than the steepest point: the presets' rates, found by training with
several, lie 1.4 to 3.6 times above it (all kinds, on python-reference)."""
FLOWN_OFF = 1.5
"""The test ends when the smoothed loss is that many times its lowest."""


@dataclass(frozen=True)
class Trial:
    """One update: its rate, its loss in nats a token, and the running mean of the losses up to it."""

    rate: float
    loss: float
    smoothed: float


def trials(config: RunConfig, data: Data | MadeData) -> Iterator[Trial]:
    """Losses at rising rates; it ends early when the loss flies off. The same config gives the same trials."""
    rates = np.geomspace(*RANGES[config.training.optimizer], UPDATES)
    with randomness(torch.Generator().manual_seed(config.training.seed)):
        model = build_model(config.model, data.tokenizer.vocab_size, config.training.context_length, **data.sizes)
    trainer = Trainer(
        model, config.training.model_copy(update={"schedule": "constant", "warmup_steps": 0}), data.source
    )
    mean, lowest = 0.0, float("inf")
    for count, rate in enumerate(rates.tolist(), start=1):
        trainer.learning_rate = rate
        try:
            loss = trainer.advance().loss
        except DivergenceError:
            return
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING**count)
        lowest = min(lowest, smoothed)
        yield Trial(rate, loss, smoothed)
        if smoothed > FLOWN_OFF * lowest:
            return


def suggestion(seen: Sequence[Trial]) -> float | None:
    """ABOVE_STEEPEST times the rate at which the smoothed loss falls fastest, to one digit; None if it never fell."""
    smoothed = np.array([trial.smoothed for trial in seen])
    if len(seen) < 3 or smoothed.argmin() == 0:
        return None
    slope = np.gradient(smoothed, np.log([trial.rate for trial in seen]))
    return float(f"{ABOVE_STEEPEST * seen[int(slope.argmin())].rate:.0e}")
