"""Writes what a training gives into the run folder. Recording draws no random number of the training's and changes none
of its tensors, so the losses are the same with and without it.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmviz.checkpoints import (
    checkpoint_path,
    forget_only_best,
    read_tensors,
    read_weights,
    save_weights,
    write_tensors,
)
from lmviz.config import RunConfig
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, generate
from lmviz.errors import LmvizError
from lmviz.limits import MAX_STATES_BYTES
from lmviz.models.base import Batch, LanguageModel
from lmviz.models.ngram import NgramModel
from lmviz.models.pairs import PairModel
from lmviz.runs import STEP_LINES, Run, append_line, read_lines, resume_path, write_json, write_lines
from lmviz.training.breakdown import Breakdown
from lmviz.training.data import Data, evaluation_batch_size, validation_batches
from lmviz.training.gradient_recorder import GradientRecorder
from lmviz.training.made import MadeData
from lmviz.training.plan import checkpoint_steps, eval_steps, gradient_steps, log_steps
from lmviz.training.trainer import WEIGHTS, Step, Trainer, token_losses

SAMPLE_TEMPERATURE = 0.8
BASELINE_TOKENS = 2_000_000
"""Training tokens that the n-grams of the baselines are counted on: 0.3 s and 200 MB for five orders."""


class Best:
    """The lowest validation loss so far, and how long ago it was.

    Args:
        lines: those of metrics.jsonl that are already there.
        patience_from: validations up to this step do not count against early stopping.
    """

    def __init__(self, config: RunConfig, lines: Iterable[dict[str, Any]] = (), patience_from: int = 0) -> None:
        self.patience = config.training.early_stopping
        self.kept = config.recording.keep_best or self.patience is not None
        self.patience_from = patience_from
        self.loss = math.inf
        self.step: int | None = None
        self.since = 0
        """Validations without a better one."""
        for line in lines:
            if line["val_loss"] is not None and not line.get("extra"):
                self.add(line["step"], line["val_loss"])

    def add(self, step: int, loss: float) -> bool:
        """Whether this one is the best."""
        if loss < self.loss:
            self.loss, self.step, self.since = loss, step, 0
            return True
        self.since += step > self.patience_from
        return False

    @property
    def exhausted(self) -> bool:
        """Early stopping: it has not got better for too long."""
        return self.patience is not None and self.since >= self.patience


class Recorder:
    """Metrics, samples, checkpoints and the state to go on from, each at its planned steps."""

    def __init__(self, run: Run, config: RunConfig, data: Data | MadeData, steps: int) -> None:
        self.run, self.config, self.data = run, config, data
        self.last_step = steps
        self.log_steps = log_steps(config.recording, steps)
        self.eval_steps = eval_steps(config.recording, steps)
        self.checkpoint_steps = checkpoint_steps(config.recording, steps)
        self.gradient_steps = gradient_steps(config.recording, steps, config.training.batch_size)
        self.breakdown: Breakdown | None = None
        """Of a text; a task asks one kind of question."""
        if isinstance(data, MadeData):
            self.validation = data.validation_batches()
            if passage := data.passage():
                write_json(run.path / "breakdown.json", {"tokens": passage})
        else:
            self.validation = _windows(data, config)
            self.breakdown = Breakdown(
                data.tokenizer, data.validation, [batch.targets.numpy() for batch in self.validation]
            )
            write_json(run.path / "breakdown.json", self.breakdown.facts(data.tokenizer))
        self.gradients = GradientRecorder(run, self.validation)
        self.interval: list[Step] = []
        """Updates since the last line of metrics.jsonl."""
        self.best = Best(config)

    def record(self, trainer: Trainer, step: Step, *, always: bool = False) -> None:
        """Called after every update. `always` writes a full line whatever the plan says (single steps by hand)."""
        self.interval.append(step)
        evaluated = always or step.step in self.eval_steps
        if evaluated or step.step in self.log_steps:
            loss = self.log(trainer, evaluated)
            if loss is not None and (step.step == self.last_step or self.best.exhausted):
                trainer.check_end(loss)
        if step.step in self.gradient_steps:
            self.gradients.write(trainer, step)
        if step.step in self.checkpoint_steps:
            self.checkpoint(trainer)

    def begin(self, trainer: Trainer) -> None:
        """Before the first update: forget what an earlier attempt wrote, keep the weights at birth."""
        self.forget_after(-1)
        if self.gradient_steps:
            self.gradients.write(trainer)
        self.checkpoint(trainer)

    def log(self, trainer: Trainer, evaluated: bool) -> float | None:
        """One line of metrics.jsonl: means over the updates since the line before, and the validation loss if due,
        which is returned.
        """
        last, count = self.interval[-1], len(self.interval)
        losses, val_loss, columns = self._measure(trainer) if evaluated else (None, None, {})
        if val_loss is not None and not math.isfinite(val_loss):
            raise trainer.not_finite(last.step)
        seconds = sum(s.seconds for s in self.interval)
        line: dict[str, Any] = {
            "step": last.step,
            "tokens": last.tokens,
            "seconds": round(trainer.seconds, 4),
            "train_loss": sum(s.loss for s in self.interval) / count,
            "val_loss": val_loss,
            "learning_rate": last.learning_rate,
            "grad_norm": sum(s.grad_norm for s in self.interval) / count,
            "grad_norm_clipped": sum(s.grad_norm_clipped for s in self.interval) / count,
            "clipped": sum(s.grad_norm_clipped < s.grad_norm for s in self.interval) / count,
            "tokens_per_second": trainer.tokens_per_step * count / seconds if seconds else None,
            **columns,
        }
        if evaluated and last.step not in self.eval_steps:
            line["extra"] = True  # somebody wanted to see it: it takes no part in what early stopping decides
        append_line(self.run.path / "metrics.jsonl", line)
        self.interval = []
        if losses is not None and self.breakdown:
            breakdown = {"step": last.step, **self.breakdown.line(trainer.model, losses)}
            append_line(self.run.path / "validation.jsonl", breakdown)
        if val_loss is not None:
            self.sample(trainer)
            if not line.get("extra"):
                self.compare_with_best(trainer, val_loss)
        return val_loss

    def _measure(self, trainer: Trainer) -> tuple[NDArray[np.float64] | None, float, dict[str, Any]]:
        """(losses of the validation tokens of a text, their mean, columns that only a task has)."""
        if isinstance(self.data, MadeData):
            return None, *self.data.measure(trainer.model)
        losses = token_losses(trainer.model, self.validation)
        return losses, float(losses.mean()), {}

    def compare_with_best(self, trainer: Trainer, loss: float) -> None:
        """Keep the weights of the lowest validation loss if that is wanted; the best before them may go, unless they
        are kept for another reason as well.
        """
        before = self.best.step
        if not self.best.add(trainer.step, loss) or not self.best.kept:
            return
        if not checkpoint_path(self.run, trainer.step).exists():
            save_weights(self.run, trainer.model, trainer.step, self.config.recording.weights, only_best=True)
        if before is not None and not (self.config.fork and before == self.config.fork.step):
            forget_only_best(self.run, before)

    def sample(self, trainer: Trainer) -> None:
        """What the model writes now, always from the same prompt and the same seed."""
        length = self.config.recording.sample_tokens
        if isinstance(self.data, MadeData):
            if length and (made := self.data.sample(trainer.model)):
                line = {"step": trainer.step, "prompt": made[0], "text": made[1]}
                append_line(self.run.path / "samples.jsonl", line)
            return
        if not length:
            return
        prompt = self.config.recording.sample_prompt
        decoding = DecodingConfig(
            prompt=self.data.prompt if prompt is None else prompt, strategy="sample",
            temperature=SAMPLE_TEMPERATURE, max_new_tokens=length, seed=0,
        )  # fmt: skip
        try:
            text = "".join(token.piece for token in generate(trainer.model, self.data.tokenizer, decoding))
        except LmvizError:  # a prompt of letters that this text does not have: begin at the beginning
            decoding = decoding.model_copy(update={"prompt": ""})
            text = "".join(token.piece for token in generate(trainer.model, self.data.tokenizer, decoding))
        append_line(self.run.path / "samples.jsonl", {"step": trainer.step, "prompt": decoding.prompt, "text": text})

    def checkpoint(self, trainer: Trainer) -> None:
        """Keep the weights, the wanted signals, and what it takes to go on from here."""
        save_weights(self.run, trainer.model, trainer.step, self.config.recording.weights)
        self.snapshot(trainer)
        self.save_resume(trainer, without_weights=self.config.recording.weights == "float32")

    def save_resume(self, trainer: Trainer, *, without_weights: bool = False) -> None:
        """What it takes to go on from here. The newest one is needed, those of checkpoints serve forks.

        `without_weights`: they stand in the checkpoint of the same step, which nobody deletes before this.
        """
        tensors, values = trainer.state()
        if without_weights:
            tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(WEIGHTS)}
        values["interval"] = [vars(step) for step in self.interval]
        values["run"] = self.run.id
        write_tensors(resume_path(self.run, trainer.step), tensors, values)
        size = sum(tensor.nbytes for tensor in tensors.values()) * self.config.recording.checkpoints
        forkable = self.config.recording.forkable and size <= MAX_STATES_BYTES
        kept = {trainer.step, *(self.run.checkpoint_steps() if forkable else ())}
        for step in set(self.run.resume_steps()) - kept:
            resume_path(self.run, step).unlink()

    def snapshot(self, trainer: Trainer) -> None:
        """The signals that the configuration asks for, on the first validation window."""
        model = trainer.model
        wanted = [name for name in self.config.recording.signals if name in model.signals]
        if not wanted:
            return
        with evaluating(model):
            signals = trace_first(model, self.validation[0])
        write_tensors(
            self.run.path / "snapshots" / f"{trainer.step}.safetensors",
            {name: signals[name].half() for name in wanted},
            {"step": trainer.step, "axes": {name: list(model.signals[name]) for name in wanted}},
        )

    def restore(self, trainer: Trainer) -> bool:
        """Put the trainer where the newest resume file was taken, and forget what was written after it.

        A run that branched off where no such file was kept goes on from the bare weights.
        """
        step = self.run.resume_step()
        fork = self.config.fork
        if step is not None:
            tensors, values = read_tensors(resume_path(self.run, step))
            if not any(name.startswith(WEIGHTS) for name in tensors):
                tensors |= {f"{WEIGHTS}{name}": weights for name, weights in read_weights(self.run, step).items()}
            trainer.load_state(tensors, values, own=values.get("run", self.run.id) == self.run.id)
            self.interval = [Step(**line) for line in values["interval"]]
        elif fork:
            step, status = fork.step, self.run.status()
            trainer.load_weights(read_weights(self.run, step), step, status.tokens, status.seconds)
            self.save_resume(trainer)  # from now on it is a run like any other
        else:
            return False
        self.forget_after(step)
        self.best = Best(self.config, self.run.metrics(), self.run.status().patience_from)
        return True

    def forget_after(self, step: int) -> None:
        """Drop lines, checkpoints and states later than `step`."""
        for name in STEP_LINES:
            path = self.run.path / name
            if path.exists():  # written anew in any case: a crash may have left half a line at its end
                write_lines(path, [line for line in read_lines(path) if line["step"] <= step])
        for later in self.run.checkpoint_steps():
            if later > step:
                checkpoint_path(self.run, later).unlink()
                (self.run.path / "snapshots" / f"{later}.safetensors").unlink(missing_ok=True)
        self.forget_states_after(step)

    def forget_states_after(self, step: int) -> None:
        for later in self.run.resume_steps():
            if later > step:
                resume_path(self.run, later).unlink()

    def forget_bad(self, last_good: int) -> None:
        """After a divergence: keep only weights that still gave a sensible loss. The lines stay as evidence."""
        for later in self.run.checkpoint_steps():
            if later > last_good:
                checkpoint_path(self.run, later).unlink()
        self.forget_states_after(last_good)


def trace_first(model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
    """Every signal on the first of a batch."""
    if isinstance(model, PairModel):
        assert batch.source is not None
        return model.trace_pair(batch.source[0], batch.inputs[0])
    return model.trace(batch.inputs[0])


def _windows(data: Data, config: RunConfig) -> list[Batch]:
    """The validation windows of a text."""
    context = config.training.context_length
    return validation_batches(
        data.validation, context, config.recording.eval_tokens,
        evaluation_batch_size(data.tokenizer.vocab_size, context),
    )  # fmt: skip


def write_baselines(run: Run, data: Data, validation: list[Batch]) -> None:
    """Losses of models that need no training, on the windows of every other loss: uniform, and n-grams by order.

    Of a large text the beginning is counted: ten million tokens would take seconds and 1.5 GB.
    """
    counted = data.train[:BASELINE_TOKENS]
    uniform = math.log(data.tokenizer.vocab_size)
    model = NgramModel(vocab_size=data.tokenizer.vocab_size, order=5)
    model.fit(torch.from_numpy(counted.astype("int64")))
    windows = [
        torch.cat([inputs[:1], targets])
        for batch in validation
        for inputs, targets in zip(batch.inputs, batch.targets, strict=True)
    ]
    losses = torch.tensor([model.losses_by_order(window) for window in windows]).mean(0).tolist()
    write_json(
        run.path / "baselines.json",
        {
            "uniform": uniform,
            "ngram": {str(order): loss for order, loss in enumerate(losses, start=1)},
            "counted_tokens": len(counted),
        },
    )
