"""At which steps something is written: pure functions of the configuration, so that watching a run changes nothing."""

import math

from lmviz.config import RecordingConfig

EARLY = (1, 2, 4, 8, 16, 32, 64)
"""The first moments, where a model learns fastest, are always logged."""
EARLY_EVALUATIONS = (1, 4, 16, 64)
"""Fewer of them, as a validation costs as much as several updates."""


def log_steps(recording: RecordingConfig, steps: int) -> set[int]:
    """Steps with a line in metrics.jsonl."""
    return _steps(_log_every(recording, steps), EARLY, steps) | eval_steps(recording, steps)


def _log_every(recording: RecordingConfig, steps: int) -> int:
    return recording.log_every or min(25, max(1, steps // 200))


def eval_steps(recording: RecordingConfig, steps: int) -> set[int]:
    """Steps with a validation loss and a sample of text."""
    every = recording.eval_every or min(500, max(1, steps // 40))
    return _steps(every, EARLY_EVALUATIONS, steps)


def gradient_steps(recording: RecordingConfig, steps: int, batch_size: int) -> set[int]:
    """Logging steps with gradient norms as well: one in 50 updates, a hundred a run. Measuring costs about as much as
    an update of a batch of 32, so with smaller batches it comes less often.
    """
    if not recording.gradients:
        return set()
    logged, wanted = _log_every(recording, steps), max(50, steps // 100) * math.ceil(32 / batch_size)
    return _steps(logged * math.ceil(wanted / logged), EARLY_EVALUATIONS, steps)


def checkpoint_steps(recording: RecordingConfig, steps: int) -> set[int]:
    """Steps whose weights are kept: the first, the last, and between them dense early, sparse late."""
    last = recording.checkpoints - 1
    return {0, steps} | {max(1, round(steps * (i / last) ** 2.5)) for i in range(1, last)}


def _steps(every: int, early: tuple[int, ...], steps: int) -> set[int]:
    return {*range(every, steps + 1, every), *(step for step in early if step <= steps), steps}
