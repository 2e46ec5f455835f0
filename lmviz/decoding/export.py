"""Every step's distributions, stage by stage, as a file for notebooks."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lmviz.checkpoints import load_model
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.processors import stages_for
from lmviz.decoding.trace import trace
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.limits import MAX_TRACE_BYTES
from lmviz.runs import Store


def write_trace(
    store: Store, run: str, step: int, decoding: Mapping[str, Any], tokens: Sequence[int], path: Path
) -> None:  # fmt: skip
    """An .npz with `probabilities` (steps, stages, vocabulary) float32, `stages` (names), `chosen` (steps) and `tokens`
    (text of every chosen one), of a text that was written with these settings.

    Raises:
        ConfigError: the file has another ending or would be too large, or the strategy is beam.
        LmvizError: the file cannot be written.
    """
    if path.suffix != ".npz":
        raise ConfigError(N_("{name} is no .npz. Give a file that ends in .npz."), name=path.name)
    config = DecodingConfig.model_validate(decoding)
    model, tokenizer, _ = load_model(store.get(run), step)
    size = len(tokens) * (1 + len(stages_for(config))) * tokenizer.vocab_size * 4
    if size > MAX_TRACE_BYTES:
        raise ConfigError(
            N_("The trace would have {size} MB, and {limit} are allowed. Write fewer tokens."),
            size=round(size / 1e6), limit=round(MAX_TRACE_BYTES / 1e6),
        )  # fmt: skip
    steps = list(islice(trace(model, tokenizer, config, tokens), len(tokens)))
    arrays: dict[str, Any] = {
        "probabilities": np.stack([now.probabilities.numpy() for now in steps]),
        "stages": np.array(steps[0].stages),
        "chosen": np.array(tokens),
        "tokens": np.array([tokenizer.token_text(token) for token in tokens]),
    }
    try:
        np.savez_compressed(path, **arrays)
    except OSError as error:
        raise LmvizError(
            N_("{name} cannot be written: {reason}. Choose another place."), name=path.name, reason=error.strerror
        ) from error
