"""Sizes that are known to train well, measured on one core; the place where a page's first values come from.

`small` learns `python-reference` in about a minute of one core, `tiny` in seconds, `medium` in several minutes.
"""

from typing import Any, Literal

from lmviz.config import RunConfig

Size = Literal["tiny", "small", "medium"]
SIZES: tuple[Size, ...] = ("tiny", "small", "medium")

_RECURRENT: dict[Size, dict[str, int]] = {
    "tiny": {"embedding_dim": 32, "hidden_size": 64},
    "small": {"embedding_dim": 64, "hidden_size": 128},
    "medium": {"embedding_dim": 128, "hidden_size": 256},
}

MODEL_PRESETS: dict[str, dict[Size, dict[str, int]]] = {
    "ngram": {"tiny": {"order": 2}, "small": {"order": 3}, "medium": {"order": 5}},
    "rnn": _RECURRENT,
    "nvsi": _RECURRENT,
    "gru": _RECURRENT,
    "lstm": _RECURRENT,
    "gpt": {
        "tiny": {"d_model": 32, "num_layers": 1, "num_heads": 2},
        "small": {"d_model": 64, "num_layers": 2, "num_heads": 4},
        "medium": {"d_model": 128, "num_layers": 4, "num_heads": 4},
    },
}
"""kind -> size -> model settings."""

TRAINING_PRESETS: dict[str, dict[Size, dict[str, float]]] = {
    "ngram": {size: {"steps": 1} for size in SIZES},
    "rnn": {
        "tiny": {"learning_rate": 4e-3, "steps": 2000},
        "small": {"learning_rate": 3e-3, "steps": 4000},
        "medium": {"learning_rate": 2e-3, "steps": 6000},
    },
    "nvsi": {
        "tiny": {"learning_rate": 4e-3, "steps": 2000},
        "small": {"learning_rate": 3e-3, "steps": 3000},
        "medium": {"learning_rate": 2e-3, "steps": 4000},
    },
    "gru": {
        "tiny": {"learning_rate": 6e-3, "steps": 2000},
        "small": {"learning_rate": 4e-3, "steps": 2200},
        "medium": {"learning_rate": 3e-3, "steps": 4000},
    },
    "lstm": {
        "tiny": {"learning_rate": 8e-3, "steps": 2000},
        "small": {"learning_rate": 6e-3, "steps": 5000},
        "medium": {"learning_rate": 4e-3, "steps": 6000},
    },
    "gpt": {
        "tiny": {"learning_rate": 8e-3, "batch_size": 16, "steps": 2000},
        "small": {"learning_rate": 6e-3, "batch_size": 16, "steps": 4200},
        "medium": {"learning_rate": 3e-3, "batch_size": 16, "steps": 6000},
    },
}
"""kind -> size -> training settings that differ from TrainingConfig's defaults."""


def preset(kind: str, size: Size = "small", *, name: str = "", **sections: dict[str, Any]) -> RunConfig:
    """The configuration of a kind at a size; `sections` (corpus={...}, training={...}) go on top.

    Raises:
        KeyError: kind or size is unknown.
    """
    values: dict[str, Any] = {
        "name": name,
        "model": {"kind": kind, **MODEL_PRESETS[kind][size]},
        "training": dict(TRAINING_PRESETS[kind][size]),
    }
    for section, settings in sections.items():
        values[section] = {**values.get(section, {}), **settings}
    return RunConfig.model_validate(values)
