"""Fine-tuning: a run that begins with the weights and the tokenizer of another, and learns labels. No torch."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from lmviz.config import ForkConfig, RunConfig
from lmviz.errors import N_, ConfigError
from lmviz.presets import preset
from lmviz.runs import Run, Store
from lmviz.settings import apply_settings, validated

WEIGHTS = "pretrained.safetensors"
"""Beside config.json: what the run begins with, so that it does not need the other one any more."""


def finetune(
    store: Store, run: Run, corpus: str, settings: Iterable[str] = (), *, name: str = "", group: str = "",
    owner: str = "",
) -> Run:  # fmt: skip
    """A queued run that learns the labels of `corpus`, from the newest weights of `run`.

    Raises:
        ConfigError: the run is no bert that guesses hidden tokens, or a setting cannot be.
    """
    config = finetune_config(run, corpus, settings, name, group)
    assert config.pretrained
    step = config.pretrained.step
    return store.create(config, owner, fill=lambda folder: _fill(folder, run, step))


def finetune_config(
    run: Run, corpus: str, settings: Iterable[str] = (), name: str = "", group: str = ""
) -> RunConfig:  # fmt: skip
    """Its configuration: the model of `run`, and settings known to suit the labels."""
    before, steps = run.config(), run.checkpoint_steps()
    if before.model.kind != "bert" or before.learns_labels or not steps:
        raise ConfigError(N_("{run} is no trained bert that guesses hidden tokens. Train one first."), run=run.id)
    usual = preset("bert", corpus={"name": corpus})
    training = usual.training.model_copy(update={"context_length": before.training.context_length})
    values = usual.model_dump(mode="json") | {
        "name": name, "group": group, "tokenizer": before.tokenizer.model_dump(mode="json"),
        "model": before.model.model_dump(mode="json"), "training": training.model_dump(mode="json"),
        "pretrained": ForkConfig(run=run.id, step=steps[-1]).model_dump(mode="json"),
    }  # fmt: skip
    return apply_settings(validated(values), settings)


def _fill(folder: Path, run: Run, step: int) -> None:
    shutil.copy2(run.path / "tokenizer.json", folder / "tokenizer.json")
    shutil.copy2(run.path / "checkpoints" / f"{step}.safetensors", folder / WEIGHTS)
