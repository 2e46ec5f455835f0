"""Weights in and out of a run folder, as safetensors; nothing is ever unpickled."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lmviz.errors import N_, RunError
from lmviz.finetune import WEIGHTS
from lmviz.models import build_model
from lmviz.models.base import LanguageModel
from lmviz.runs import Run, write_atomic
from lmviz.tokenizers import Tokenizer


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any] | None = None) -> None:
    """Tensors and JSON values in one file, replaced atomically."""
    path.parent.mkdir(exist_ok=True)
    data = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(data, metadata={"values": json.dumps(dict(values or {}))}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with safe_open(os.fspath(path), "pt") as file:
            values = json.loads((file.metadata() or {}).get("values", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise RunError(N_("The weights {file} are missing."), file=path.name) from None
    except SafetensorError:
        raise RunError(N_("The weights {file} are damaged and cannot be read."), file=path.name) from None


def checkpoint_path(run: Run, step: int) -> Path:
    return run.path / "checkpoints" / f"{step}.safetensors"


def save_weights(run: Run, model: LanguageModel, step: int, dtype: str = "float32", *, only_best: bool = False) -> None:
    """Keep the model's weights under their step; integers (counts) keep their type. `only_best`: for no other reason
    than that they are the best so far.
    """
    kind = getattr(torch, dtype)
    weights = {k: v.to(kind) if v.is_floating_point() else v for k, v in model.state_dict().items()}
    write_tensors(checkpoint_path(run, step), weights, {"step": step, "only_best": only_best})


def forget_only_best(run: Run, step: int) -> None:
    """Delete the weights of a step if being the best was the only reason to keep them."""
    path = checkpoint_path(run, step)
    if path.exists() and read_tensors(path)[1].get("only_best"):
        path.unlink()


def read_weights(run: Run, step: int) -> dict[str, Tensor]:
    """The weights of a step by name, in float32 whatever they were kept in.

    Raises:
        RunError: the file is missing or damaged.
    """
    weights, _ = read_tensors(checkpoint_path(run, step))
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}


def load_tokenizer(run: Run) -> Tokenizer:
    """What the model reads and writes with; of pairs the target's, which knows the source's."""
    tokenizer = Tokenizer.load(run.path / "tokenizer.json")
    target = run.path / "target_tokenizer.json"
    if not target.exists():
        return tokenizer
    found = Tokenizer.load(target)
    found.source = tokenizer
    return found


def new_model(run: Run, tokenizer: Tokenizer) -> LanguageModel:
    """As the run's model is at birth, from torch's current default generator."""
    config, known = run.config(), run.data()
    sizes = {name: int(known[name]) for name in ("source_vocab_size", "classes") if name in known}
    return build_model(config.model, tokenizer.vocab_size, config.training.context_length, **sizes)


def begin_with(run: Run, model: LanguageModel) -> None:
    """Put what a fine-tuning begins with into the model: all that both have; the rest stays as it is at birth."""
    weights, _ = read_tensors(run.path / WEIGHTS)
    own = model.state_dict()
    model.load_state_dict(own | {name: value.float() for name, value in weights.items() if name in own})


def load_model(run: Run, step: int | None = None) -> tuple[LanguageModel, Tokenizer, int]:
    """The model as it was after `step` updates (the newest kept ones if None), in evaluation mode, and its tokenizer.

    Raises:
        RunError: the run keeps no weights, or not those of that step.
    """
    steps = run.checkpoint_steps()
    if not steps:
        raise RunError(N_("The run {run} has no weights yet."), run=run.id)
    step = steps[-1] if step is None else step
    if step not in steps:
        raise RunError(
            N_("The run {run} keeps no weights of step {step}. Kept steps: {steps}."),
            run=run.id, step=step, steps=", ".join(map(str, steps)),
        )  # fmt: skip
    tokenizer = load_tokenizer(run)
    model = new_model(run, tokenizer)
    model.load_state_dict(read_weights(run, step))
    return model.eval(), tokenizer, step
