"""Sizes that are known to train well, measured on one core; the place where a page's first values come from.

`small` learns `python-reference` in about a minute of one core, `tiny` in seconds, `medium` in several minutes.
"""

from typing import Any, Literal

from lmviz.config import PAIR_KINDS, RunConfig

Size = Literal["tiny", "small", "medium"]
SIZES: tuple[Size, ...] = ("tiny", "small", "medium")

_RECURRENT: dict[Size, dict[str, int]] = {
    "tiny": {"embedding_dim": 32, "hidden_size": 64},
    "small": {"embedding_dim": 64, "hidden_size": 128},
    "medium": {"embedding_dim": 128, "hidden_size": 256},
}

_PAIRS: dict[Size, dict[str, int]] = {
    "tiny": {"embedding_dim": 32, "hidden_size": 32},
    "small": {"embedding_dim": 32, "hidden_size": 64},
    "medium": {"embedding_dim": 64, "hidden_size": 128},
}

_BLOCKS: dict[Size, dict[str, int]] = {
    "tiny": {"d_model": 32, "num_layers": 1, "num_heads": 2},
    "small": {"d_model": 64, "num_layers": 2, "num_heads": 4},
    "medium": {"d_model": 128, "num_layers": 4, "num_heads": 4},
}

MODEL_PRESETS: dict[str, dict[Size, dict[str, Any]]] = {
    "ngram": {"tiny": {"order": 2}, "small": {"order": 3}, "medium": {"order": 5}},
    "rnn": _RECURRENT,
    "nvsi": _RECURRENT,
    "gru": _RECURRENT,
    "lstm": _RECURRENT,
    "seq2seq": _PAIRS,
    "seq2seq-attention": {size: {**settings, "dropout": 0.1} for size, settings in _PAIRS.items()},
    "transformer": _BLOCKS,
    "bert": _BLOCKS,
    "gpt": _BLOCKS,
}
"""kind -> size -> model settings."""

TEXT_KINDS = tuple(kind for kind in MODEL_PRESETS if kind not in (*PAIR_KINDS, "bert"))
"""Kinds that learn to go on with a text, so that their losses can be compared."""

_LINEAR = {"schedule": "linear", "batch_size": 64}
_ATTENTION = _LINEAR | {"warmup_steps": 20, "learning_rate": 6e-3}
_TRANSFORMER = _LINEAR | {"warmup_steps": 200, "beta2": 0.98, "learning_rate": 3e-3}

TRAINING_PRESETS: dict[str, dict[Size, dict[str, Any]]] = {
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
    "seq2seq": {
        "tiny": _LINEAR | {"learning_rate": 8e-3, "batch_size": 32, "steps": 3600},
        "small": _LINEAR | {"learning_rate": 5e-3, "batch_size": 32, "steps": 3600},
        "medium": _LINEAR | {"learning_rate": 3e-3, "steps": 1400},
    },
    "seq2seq-attention": {
        "tiny": _ATTENTION | {"learning_rate": 8e-3, "batch_size": 32, "steps": 300},
        "small": _ATTENTION | {"steps": 160},
        "medium": _ATTENTION | {"learning_rate": 3e-3, "steps": 160},
    },
    "transformer": {
        "tiny": _TRANSFORMER | {"steps": 2500},
        "small": _TRANSFORMER | {"steps": 1800},
        "medium": _TRANSFORMER | {"learning_rate": 1.5e-3, "steps": 2000},
    },
    "bert": {
        "tiny": {"learning_rate": 4e-3, "steps": 2000},
        "small": {"learning_rate": 3e-3, "steps": 3000},
        "medium": {"learning_rate": 1.5e-3, "steps": 4000},
    },
    "gpt": {
        "tiny": {"learning_rate": 8e-3, "batch_size": 16, "steps": 2000},
        "small": {"learning_rate": 6e-3, "batch_size": 16, "steps": 4200},
        "medium": {"learning_rate": 3e-3, "batch_size": 16, "steps": 6000},
    },
}
"""kind -> size -> training settings that differ from TrainingConfig's defaults."""


RECORDING_PRESETS: dict[str, dict[str, Any]] = {"seq2seq-attention": {"eval_every": 12}}
"""kind -> recording: a validation of pairs costs as much as two updates, and a short training would have forty."""

CORPORA: dict[str, str] = dict.fromkeys(PAIR_KINDS, "dates-en")
"""kind -> its corpus where the usual one will not do."""

ON_CORPUS: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("gpt", "repeat"): {  # an induction head forms in about 20 s; with gpt2's small weights it takes minutes
        "model": {"init": "xavier", "position": "sinusoidal"},
        "training": {"learning_rate": 3e-3, "batch_size": 32, "context_length": 48, "steps": 2000},
    },
    ("bert", "code-or-prose"): {"training": {"learning_rate": 1e-3, "steps": 400, "schedule": "linear"}},
}
"""(kind, corpus) -> sections that go on top of the kind's."""


def preset(
    kind: str, size: Size = "small", *, name: str = "", group: str = "", **sections: dict[str, Any]
) -> RunConfig:  # fmt: skip
    """The configuration of a kind at a size, on the corpus that `sections` name or the kind's own; `sections`
    (corpus={...}, training={...}) go on top.

    Raises:
        KeyError: kind or size is unknown.
    """
    values: dict[str, Any] = {
        "name": name,
        "group": group,
        "model": {"kind": kind, **MODEL_PRESETS[kind][size]},
        "training": dict(TRAINING_PRESETS[kind][size]),
        "recording": dict(RECORDING_PRESETS.get(kind, {})),
    }
    corpus = sections.get("corpus", {}).get("name") or CORPORA.get(kind, "")
    if corpus:
        values["corpus"] = {"name": corpus}
    for section, settings in (*ON_CORPUS.get((kind, corpus), {}).items(), *sections.items()):
        values[section] = {**values.get(section, {}), **settings}
    return RunConfig.model_validate(values)
