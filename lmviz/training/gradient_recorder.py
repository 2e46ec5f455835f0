"""How far back learning reaches, written down as a run trains: a line of gradients.jsonl at some of the logging steps.

Measured on a few pinned windows of the validation text, with a copy of the model in float64, so the training's own
numbers are not touched; see lmviz.inspect.gradients for the definition.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lmviz.inspect.decay import RECORDED_WINDOWS, Array
from lmviz.inspect.gradients import as_json, in_float64, parameter_norms, state_norms
from lmviz.models.base import Batch, LanguageModel
from lmviz.models.recurrent import RecurrentModel
from lmviz.models.state_gradients import gives_state_gradients
from lmviz.runs import Run, append_line
from lmviz.training.trainer import Step, Trainer


class GradientRecorder:
    """Writes gradients.jsonl.

    A line: `step`; `grad.hidden` (and `grad.cell` of an LSTM), of each layer the gradient norm by lag, lag 0 first; and
    of the update that led there `parameters`, the norm of each one's gradient before clipping.

    Args:
        validation: its first windows are what the norms by lag are measured on; a model without recurrent states has
            its parameters alone.
    """

    def __init__(self, run: Run, validation: Sequence[Batch]) -> None:
        self.path = run.path / "gradients.jsonl"
        first = validation[:RECORDED_WINDOWS]  # with a huge vocabulary a batch is a single window
        self.windows = Batch(*(
            torch.cat([getattr(batch, part) for batch in first])[:RECORDED_WINDOWS] for part in ("inputs", "targets")
        ))  # fmt: skip
        self._twin: RecurrentModel | None = None

    def write(self, trainer: Trainer, step: Step | None = None) -> None:
        """`step` is the update that was just made; None before the first."""
        line: dict[str, Any] = {"step": trainer.step}
        if gives_state_gradients(trainer.model):
            found = state_norms(self._copy_of(trainer.model), self.windows.inputs, self.windows.targets)
            line |= {f"grad.{name}": [_short(layer) for layer in norms] for name, norms in found.items()}
        if step:
            unclipped = step.grad_norm / step.grad_norm_clipped if step.grad_norm_clipped else 1.0
            parameters = parameter_norms(trainer.model, unclipped)
            line |= {"parameters": {k: float(f"{norm:.5g}") for k, norm in parameters.items()}} if parameters else {}
        if len(line) > 1:  # a counted n-gram has neither
            append_line(self.path, line)

    @torch.no_grad()
    def _copy_of(self, model: LanguageModel) -> RecurrentModel:
        """The model as it is now, in float64; made once, then filled anew."""
        self._twin = self._twin or in_float64(model)
        for copy, original in zip(self._twin.parameters(), model.parameters(), strict=True):
            copy.copy_(original)
        return self._twin


def _short(norms: Array) -> list[float | None]:
    """Five digits, which is more than a picture shows."""
    return as_json(np.array([float(f"{norm:.5g}") for norm in norms]))
