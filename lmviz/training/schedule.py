"""The learning rate over training: a linear warm-up, then constant, linear or cosine (Loshchilov and Hutter 2017)."""

import math

from lmviz.config import TrainingConfig


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Share of the highest learning rate for update number `step`, counted from 0.

    The warm-up is cut to a tenth of the run, so that a short run is not all warm-up; the last update has
    `config.final_learning_rate`.
    """
    warmup = min(config.warmup_steps, config.steps // 10)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, config.steps - 1 - warmup)
    low = config.final_learning_rate
    if config.schedule == "linear":
        return 1 - (1 - low) * progress
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress))
