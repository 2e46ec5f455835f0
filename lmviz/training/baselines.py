"""Baselines once a text: a class that trains thirty models on one text counts its n-grams once a process."""

from typing import Any

from lmviz.config import RunConfig
from lmviz.models.base import Batch
from lmviz.runs import Run, write_json
from lmviz.training.data import Data
from lmviz.training.made import MadeData
from lmviz.training.recorder import write_baselines

KEPT = 64
"""Texts, with their tokens and windows, whose losses are remembered; each is a handful of numbers."""

_known: dict[tuple[Any, ...], dict[str, Any]] = {}


def share_baselines(run: Run, config: RunConfig, data: Data | MadeData, validation: list[Batch]) -> None:
    """Write baselines.json: counted now, or what was counted for an earlier run on the same tokens and windows."""
    if isinstance(data, MadeData):
        write_json(run.path / "baselines.json", data.baselines())
        return
    key = (
        data.fingerprint, config.corpus.validation_fraction, config.tokenizer, config.training.context_length,
        config.recording.eval_tokens,
    )  # fmt: skip
    if key in _known:
        write_json(run.path / "baselines.json", _known[key])
        return
    write_baselines(run, data, validation)
    if len(_known) >= KEPT:
        del _known[next(iter(_known))]
    _known[key] = run.baselines()
