"""What if? A run that branches off from another at one of its checkpoints, with other settings. No torch.

A fork is a run folder of its own that begins as a copy of the other's up to that step, and then goes on like any run
that was interrupted there. With the state of training kept (`recording.forkable`) and nothing changed it repeats the
losses of the original; without it the weights are taken over, and the optimizer and the order of the data begin anew.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lmviz.config import ForkConfig, RunConfig
from lmviz.costs import window_tokens
from lmviz.errors import N_, ConfigError, RunError
from lmviz.runs import STEP_LINES, Run, Status, Store, now, read_lines, resume_path, write_lines
from lmviz.settings import apply_settings, validated

FIXED = ("corpus", "tokenizer", "model", "schema_version")
"""Sections that make the weights what they are."""
CHANGEABLE = ("model.dropout",)
WHOLE = ("tokenizer.json", "target_tokenizer.json", "data.json")
PLACED = ("gpt", "bert", "transformer")
"""Kinds whose context length is part of the model."""
OF_WINDOWS = ("baselines.json", "breakdown.json", "validation.jsonl")
"""What was measured on the validation windows: it holds as long as these are cut alike."""
SET_LIVE = {"learning_rate": "training.learning_rate", "clip_norm": "training.clip_norm", "dropout": "model.dropout"}
"""Name of an event -> the setting that it changed."""


def fork(store: Store, run: Run, step: int, settings: Iterable[str] = (), *, name: str = "", owner: str = "") -> Run:
    """A queued run that shares the first `step` updates with `run`, with `settings` (`section.field=value`) on top.

    Raises:
        RunError: the run keeps no weights of that step, or is an n-gram model, which has no steps.
        ConfigError: a setting that cannot be, that is fixed by the weights, or no update left to make.
    """
    config = fork_config(run, step, settings, name)
    return store.create(config, owner, fill=lambda folder: _fill(folder, run, step, config, owner))


def fork_config(run: Run, step: int, settings: Iterable[str] = (), name: str = "") -> RunConfig:
    """The configuration of a fork, checked; see `fork`."""
    if run.config().model.kind == "ngram":
        raise RunError(N_("An n-gram model is counted at once; there is no step to branch off from."))
    if step not in run.checkpoint_steps():
        raise RunError(
            N_("The run {run} keeps no weights of step {step}. Kept steps: {steps}."),
            run=run.id, step=step, steps=", ".join(map(str, run.checkpoint_steps())),
        )  # fmt: skip
    before = config_at(run, step)
    after = apply_settings(before, settings)
    rows, old = after.flat(), before.flat()
    fixed = [key for key in rows if key.split(".")[0] in FIXED and key not in CHANGEABLE and rows[key] != old.get(key)]
    if before.model.kind in PLACED and after.training.context_length != before.training.context_length:
        fixed.append("training.context_length")
    if fixed:
        raise ConfigError(
            N_("A fork keeps its text and its model, so {field} cannot change. Start a new run for that."),
            field=", ".join(fixed),
        )
    if after.training.steps <= step:
        raise ConfigError(
            N_("The fork begins at step {step} and is to end at {steps}. Give it more steps."),
            step=step, steps=after.training.steps,
        )  # fmt: skip
    return validated(
        after.model_dump(mode="json") | {"name": name or after.name, "fork": ForkConfig(run=run.id, step=step)}
    )


def config_at(run: Run, step: int) -> RunConfig:
    """The settings in force when the run had made `step` updates: with what was changed while it ran before that, and
    the number of steps it then was to have.
    """
    config, events = run.config(), run.events()
    live = {
        SET_LIVE[event["name"]]: event["value"]
        for event in events
        if event["name"] in SET_LIVE and event["step"] <= step
    }
    extended = [event["before"] for event in events if event["name"] == "steps" and event["step"] > step]
    settings = [f"{name}={value!r}" for name, value in live.items()]
    return apply_settings(config, settings + [f"training.steps={steps}" for steps in extended[:1]])


def is_exact(run: Run, step: int) -> bool:
    """Whether a fork at this step has the whole state of training to go on from."""
    return step in run.resume_steps()


def _fill(folder: Path, run: Run, step: int, config: RunConfig, owner: str) -> None:
    """Put everything up to `step` into the new folder, and the status of a run that waits to go on."""
    before = config_at(run, step)
    same_windows = _windows(config) == _windows(before)
    for name in (*WHOLE, *(OF_WINDOWS if same_windows else ())):
        if (run.path / name).exists() and name.endswith(".json"):
            shutil.copy2(run.path / name, folder / name)
    for name in (*STEP_LINES, "events.jsonl"):
        lines = [line for line in read_lines(run.path / name) if line["step"] <= step]
        if lines and (same_windows or name not in OF_WINDOWS):
            write_lines(folder / name, lines)
    for part in ("checkpoints", "snapshots"):
        for earlier in run.checkpoint_steps():
            if earlier <= step:
                _link(run.path / part / f"{earlier}.safetensors", folder / part)
    _link(resume_path(run, step), folder / "resume")
    Run(folder).write_status(_status(folder, run, step, before, config, owner))


def _windows(config: RunConfig) -> tuple[int, int]:
    return config.training.context_length, config.recording.eval_tokens


def _status(folder: Path, run: Run, step: int, before: RunConfig, config: RunConfig, owner: str) -> Status:
    """Of a run that waits to go on from `step`."""
    last = (read_lines(folder / "metrics.jsonl") or [{"step": 0, "tokens": 0, "seconds": 0.0}])[-1]
    since = round((step - last["step"]) * before.training.batch_size * window_tokens(before))
    old = run.status()
    wanted = ("steps", "early_stopping")
    same_end = all(getattr(config.training, name) == getattr(before.training, name) for name in wanted)
    patience_from = old.patience_from if old.patience_from <= step else 0
    return Status(
        created=now(), owner=owner, step=step, steps=config.training.steps, parameters=old.parameters,
        tokens=last["tokens"] + since, seconds=last["seconds"], product=old.product,
        patience_from=patience_from if same_end else step,
    )  # fmt: skip


def _link(source: Path, folder: Path) -> None:
    """Weights are replaced and never written into, so two runs may share a file on disk."""
    if not source.exists():
        return
    folder.mkdir(exist_ok=True)
    try:
        os.link(source, folder / source.name)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, folder / source.name)
