"""Writes what a training gives into the run folder. Recording draws no random number of the training's and changes none
of its tensors, so the losses are the same with and without it.
"""

import math
import shutil
from typing import Any

import torch

from lmviz.checkpoints import checkpoint_path, read_tensors, save_weights, write_tensors
from lmviz.config import RunConfig
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, generate
from lmviz.errors import LmvizError
from lmviz.models.base import Batch
from lmviz.models.ngram import NgramModel
from lmviz.runs import Run, append_line, read_lines, write_json, write_lines
from lmviz.training.data import Data, validation_batches
from lmviz.training.plan import checkpoint_steps, eval_steps, log_steps
from lmviz.training.trainer import Step, Trainer, evaluate

SAMPLE_TEMPERATURE = 0.8
BASELINE_TOKENS = 2_000_000
"""Training tokens that the n-grams of the baselines are counted on: 0.3 s and 200 MB for five orders."""


class Recorder:
    """Metrics, samples, checkpoints and the state to go on from, each at its planned steps."""

    def __init__(self, run: Run, config: RunConfig, data: Data, steps: int) -> None:
        self.run, self.config, self.data = run, config, data
        self.log_steps = log_steps(config.recording, steps)
        self.eval_steps = eval_steps(config.recording, steps)
        self.checkpoint_steps = checkpoint_steps(config.recording, steps)
        self.validation = validation_batches(
            data.validation, config.training.context_length, config.recording.eval_tokens
        )
        self.interval: list[Step] = []
        """Updates since the last line of metrics.jsonl."""

    def record(self, trainer: Trainer, step: Step, *, always: bool = False) -> None:
        """Called after every update. `always` writes a full line whatever the plan says (single steps by hand)."""
        self.interval.append(step)
        evaluated = always or step.step in self.eval_steps
        if evaluated or step.step in self.log_steps:
            self.log(trainer, evaluated)
        if step.step in self.checkpoint_steps:
            self.checkpoint(trainer)

    def log(self, trainer: Trainer, evaluated: bool) -> None:
        """One line of metrics.jsonl: means over the updates since the line before, and the validation loss if due."""
        last, count = self.interval[-1], len(self.interval)
        val_loss = evaluate(trainer.model, self.validation) if evaluated else None
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
        }
        append_line(self.run.path / "metrics.jsonl", line)
        self.interval = []
        if evaluated:
            self.sample(trainer)

    def sample(self, trainer: Trainer) -> None:
        """What the model writes now, always from the same prompt and the same seed."""
        length = self.config.recording.sample_tokens
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
        self.save_resume(trainer)

    def save_resume(self, trainer: Trainer) -> None:
        """What it takes to go on from here; the newest one is enough."""
        tensors, values = trainer.state()
        values["interval"] = [vars(step) for step in self.interval]
        folder = self.run.path / "resume"
        write_tensors(folder / f"{trainer.step}.safetensors", tensors, values)
        for file in folder.glob("*.safetensors"):
            if file.stem != str(trainer.step):
                file.unlink()

    def snapshot(self, trainer: Trainer) -> None:
        """The signals that the configuration asks for, on the first validation window."""
        model = trainer.model
        wanted = [name for name in self.config.recording.signals if name in model.signals]
        if not wanted:
            return
        with evaluating(model):
            signals = model.trace(self.validation[0].inputs[0])
        write_tensors(
            self.run.path / "snapshots" / f"{trainer.step}.safetensors",
            {name: signals[name].half() for name in wanted},
            {"step": trainer.step, "axes": {name: list(model.signals[name]) for name in wanted}},
        )

    def restore(self, trainer: Trainer) -> bool:
        """Put the trainer where the newest resume file was taken, and forget what was written after it."""
        step = self.run.resume_step()
        if step is None:
            return False
        tensors, values = read_tensors(self.run.path / "resume" / f"{step}.safetensors")
        trainer.load_state(tensors, values)
        self.interval = [Step(**line) for line in values["interval"]]
        self.forget_after(step)
        return True

    def forget_after(self, step: int) -> None:
        """Drop lines and checkpoints later than `step`."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.run.path / name
            if path.exists():  # written anew in any case: a crash may have left half a line at its end
                write_lines(path, [line for line in read_lines(path) if line["step"] <= step])
        for later in self.run.checkpoint_steps():
            if later > step:
                checkpoint_path(self.run, later).unlink()
                (self.run.path / "snapshots" / f"{later}.safetensors").unlink(missing_ok=True)

    def forget_bad(self, last_good: int) -> None:
        """After a divergence: keep only weights that still gave a sensible loss. The lines stay as evidence."""
        for later in self.run.checkpoint_steps():
            if later > last_good:
                checkpoint_path(self.run, later).unlink()
        if (self.run.resume_step() or 0) > last_good:
            shutil.rmtree(self.run.path / "resume")


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
