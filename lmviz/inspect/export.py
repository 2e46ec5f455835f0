"""A signal of a model on a text as a file: `lmviz inspect`."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.inspect.gates import tokens_read
from lmviz.limits import MAX_SCORE_TOKENS, MAX_TRACE_NUMBERS
from lmviz.models.base import LanguageModel
from lmviz.models.recurrent import RecurrentModel
from lmviz.tokenizers import Tokenizer


def signal_of(
    model: LanguageModel, tokenizer: Tokenizer, name: str, text: str
) -> tuple[NDArray[Any], tuple[str, ...], list[str]]:
    """A signal while a text is read, the names of its axes, and the tokens that are read, <begin> first.

    Raises:
        ConfigError: the model has no such signal, or the text is too long for it.
    """
    if name not in model.signals:
        known = ", ".join(model.signals)
        raise ConfigError(N_("The model has no signal {signal}. It has: {known}."), signal=name, known=known)
    tokens = tokens_read(tokenizer, text)
    limit = min(MAX_SCORE_TOKENS, MAX_TRACE_NUMBERS // _numbers(model))
    if len(tokens) > limit:
        raise ConfigError(
            N_("The text has {tokens} tokens, and {limit} can be shown of this model. Take a part of it."),
            tokens=len(tokens) - 1, limit=limit - 1,
        )  # fmt: skip
    with evaluating(model):
        values = model.trace(tokens)[name].numpy()
    return values, model.signals[name], [tokenizer.token_text(token) for token in tokens.tolist()]


def _numbers(model: LanguageModel) -> int:
    """In all signals of a token; attention, which grows with the text, is limited by the model's context."""
    layers = model.layers if isinstance(model, RecurrentModel) else []
    return model.vocab_size + sum(len(cell.signals) * cell.hidden_size for cell in layers)


def write_signal(path: Path, name: str, values: NDArray[Any], axes: Sequence[str], tokens: Sequence[str]) -> None:
    """.npz: the array under its name, `axes` (their names) and `tokens`. .csv: a row a value, with a column of its
    index on each axis and, for an axis along the text, the token there; numbers in full.

    Raises:
        ConfigError: the ending is another one.
        LmvizError: the file cannot be written.
    """
    try:
        if path.suffix == ".npz":
            arrays: dict[str, Any] = {name: values, "axes": np.array(axes), "tokens": np.array(tokens)}
            np.savez(path, **arrays)
        elif path.suffix == ".csv":
            _write_csv(path, values, axes, tokens)
        else:
            raise ConfigError(N_("{path} should end in .npz or .csv."), path=str(path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise LmvizError(N_("{path} cannot be written: {reason}."), path=str(path), reason=reason) from None


ALONG_TEXT = ("time", "query", "key")
"""Axes that have a token at each place."""


def _write_csv(path: Path, values: NDArray[Any], axes: Sequence[str], tokens: Sequence[str]) -> None:
    text_axes = [place for place, axis in enumerate(axes) if axis in ALONG_TEXT]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*axes, *("token" if axes[a] == "time" else f"{axes[a]}_token" for a in text_axes), "value"])
        for index in np.ndindex(values.shape):
            writer.writerow([*index, *(tokens[index[place]] for place in text_axes), values[index]])
