"""Questions about gates and states over the held-out text: what units mean, where they are extreme, where the same ones
stay on, how open gates are, and all of that over the training.

Pieces before the last are {"done": share}, so that other questions have their turn and a page can show how far it is.
"""

from collections import OrderedDict
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.errors import N_, ConfigError
from lmviz.inspect import features, meaning, saturation
from lmviz.inspect.contexts import APART, around, extremes
from lmviz.inspect.gates import recurrent, signals
from lmviz.inspect.held_out import REACH, Array, Passages, passages, read, read_whole
from lmviz.inspect.similar import matches, only_place, scale_of, units_on
from lmviz.jobs.gate_questions import check_layer, read_text
from lmviz.models.base import LanguageModel
from lmviz.models.recurrent import RecurrentModel
from lmviz.packing import pack
from lmviz.tokenizers import BEGIN, END, Tokenizer
from lmviz.training.data import Data

Pieces = Generator[dict[str, Any], None, None]

HISTORY_TOKENS = 16_384
MAX_MATCHES = 12


def meaning_of(model: LanguageModel, untrained: LanguageModel, data: Data, layer: int, signal: str) -> Pieces:
    """The last piece: {"tokens": how many were measured, "features": rows as `feature_rows` gives them, "names" of
    those with numbers, "aucs": packed (names, units)}.
    """
    stack, floor = recurrent(model), recurrent(untrained)
    _check(stack, layer, signal)
    rows = passages(data.validation, stack.layers[layer].hidden_size)
    now = yield from _halves((yield from _states(stack, rows, layer, signal, 0.0, 0.1)), rows, 0.15)
    before = yield from _halves((yield from _states(floor, rows, layer, signal, 0.15, 0.25)), rows, 0.3)
    flags, grades = _labels(data, rows)
    found: list[dict[str, Any]] = []
    for row in meaning.feature_rows(now, before, flags, grades):
        if row is not None:
            found.append(row)
        yield {"done": 0.3 + 0.7 * len(found) / len(flags)}
    aucs = {row["feature"]: row.pop("aucs") for row in found if "aucs" in row}
    table = np.stack(list(aucs.values())) if aucs else np.empty((0, stack.layers[layer].hidden_size))
    yield {"tokens": rows.count, "features": found, "names": list(aucs), "aucs": pack(table.astype(np.float32))}


def contexts(model: LanguageModel, data: Data, layer: int, signal: str, unit: int) -> Pieces:
    """The last piece: {"tokens", "highest": [...], "lowest": [...]}, each place as `around` gives it, with "values" of
    the unit at all its tokens and "value" at the middle one.
    """
    stack = recurrent(model)
    _check(stack, layer, signal)
    if not 0 <= unit < stack.layers[layer].hidden_size:
        raise ConfigError(N_("There is no such unit or token any more. Choose another one."))
    rows = passages(data.validation, stack.layers[layer].hidden_size)
    parts = []
    for part in read(stack, rows, layer, [signal]):
        parts.append(part[signal][..., unit].copy())
        yield {"done": sum(map(len, parts)) / len(rows.tokens)}
    values = np.concatenate(parts)  # (R, T)
    names = _names(data.tokenizer)
    found = {
        side: [_place(rows, names, values, row, column) for row, column in places]
        for side, places in extremes(values).items()
    }
    yield {"tokens": rows.count, "apart": APART, "scale": float(np.abs(values).max()), **found}


def similar(
    model: LanguageModel, tokenizer: Tokenizer, data: Data, text: str, layer: int, signal: str, start: int, end: int,
    threshold: float, only_here: bool = False,
) -> Pieces:  # fmt: skip
    """Units that stay on over tokens [start, end) of what is read of a text, and where else they do. The last piece:

    {"tokens", "units": [[number, sign], ...], "standard": packed (T, units), their values over the text in standard
    deviations from their mean, "matches": places as `around` gives them, with "units_on"; "most" of them at most}.
    threshold: in standard deviations. A text that stands in the held-out text once is taken from there: its own span
    is no other place.
    """
    stack = recurrent(model)
    _check(stack, layer, signal)
    tokens = read_text(stack, tokenizer, text)
    here = signals(stack, tokens)[signal][layer]
    if not 0 <= start < end <= len(here):
        raise ConfigError(N_("There is no such part of the text any more. Choose another one."))
    rows = passages(data.validation, stack.layers[layer].hidden_size)
    states = yield from _states(stack, rows, layer, signal, 0.0, 0.9)
    scale = scale_of(states)
    standard = scale.standard(here)
    units = units_on(standard, start, end, threshold, only_here)
    elsewhere = scale.standard(states).reshape(*rows.places.shape, -1)
    yield {"done": 0.95}
    names = _names(data.tokenizer)
    own = _own_span(data, rows, tokens[1:].numpy(), start - 1, end - 1)  # without <begin>
    places = [
        {**around(rows, names, match.row, match.start, match.end), "units_on": match.units_on}
        for match in matches(elsewhere, units, end - start, threshold, MAX_MATCHES, own)
    ]
    yield {
        "tokens": rows.count,
        "units": [list(unit) for unit in units],
        "standard": pack(standard[:, [unit.number for unit in units]].astype(np.float32)),
        "matches": places,
        "most": MAX_MATCHES,
    }


def openness(model: LanguageModel, data: Data, layer: int) -> Pieces:
    """The last piece: {"tokens", "gates": {name: {"low", "high", "mean"}}, "memory" or None}, all of it packed (H,)."""
    stack = recurrent(model)
    check_layer(stack, layer)
    gates = _gates(stack)
    rows = passages(data.validation, stack.layers[layer].hidden_size)
    parts: list[Mapping[str, Array]] = []
    if gates:
        done = 0
        for part in read(stack, rows, layer, gates):
            parts.append(part)
            done += len(part[gates[0]])
            yield {"done": done / len(rows.tokens)}
    found = saturation.saturation(parts)
    kept = saturation.keep(stack.layers[layer], found)
    yield {
        "tokens": rows.count,
        "gates": {
            name: {"low": _packed(one.low), "high": _packed(one.high), "mean": _packed(one.mean)}
            for name, one in found.items()
        },
        "memory": None if kept is None else _packed(saturation.memory(kept)),
    }


def history(
    models: Iterable[tuple[int, LanguageModel]], count: int, data: Data, layer: int, signal: str
) -> Pieces:  # fmt: skip
    """Features and gates at every kept moment. models: so many (step, model), the newest first, made as they are
    asked for.

    The last piece is {"tokens", "moments": all, sorted by step}. A moment: {"step",
    "features": {name: {"unit", "auc": of the best unit then, "followed": of the newest moment's best unit}}, "gates":
    {name: {"low", "high": mean shares over units}}, "memory": quantiles 0.1, 0.5, 0.9 over units, or None}.
    """
    rows: Passages | None = None
    newest: dict[str, meaning.Best] = {}
    moments: list[dict[str, Any]] = []
    for step, model in models:
        stack = recurrent(model)
        _check(stack, layer, signal)
        if rows is None:
            rows = passages(data.validation, stack.layers[layer].hidden_size, HISTORY_TOKENS)
            flags, _grades = _labels(data, rows)
        states, gates = yield from _read_both(stack, rows, layer, signal)
        halves = yield from _halves(states, rows, len(moments) / count)
        found = _features(halves, flags, newest)
        moment: dict[str, Any] = {"step": step, "features": found, **_gate_means(stack, layer, gates)}
        moments.append(moment)
        yield {"done": len(moments) / count}
    yield {"tokens": rows.count if rows else 0, "moments": sorted(moments, key=lambda one: int(one["step"]))}


def _read_both(
    stack: RecurrentModel, rows: Passages, layer: int, signal: str
) -> Generator[dict[str, Any], None, tuple[Array, dict[str, saturation.Saturation]]]:  # fmt: skip
    """A signal (N, H) and how open the gates are, in one reading."""
    gates = _gates(stack)
    parts = []
    for part in read(stack, rows, layer, list(dict.fromkeys([signal, *gates]))):
        parts.append(part)
        yield {}
    found = np.concatenate([part[signal] for part in parts])
    return found.reshape(-1, found.shape[-1]), saturation.saturation(
        [{name: part[name] for name in gates} for part in parts] if gates else []
    )


def _features(
    halves: tuple[meaning.Half, meaning.Half], flags: Mapping[str, NDArray[np.bool_]], newest: dict[str, meaning.Best]
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Best units; `newest` is filled at the first call, and followed by all others."""
    first, second = halves
    middle = len(first.values)
    found = {}
    for name, flag in flags.items():
        both = (flag[:middle], flag[middle:])
        if meaning.too_few(*both):
            continue
        judged = meaning.aucs(second.ranks, both[1])
        best = meaning.best_unit(meaning.aucs(first.ranks, both[0]), judged)
        last = newest.setdefault(name, best)
        followed = 0.5 + last.direction * (float(judged[last.unit]) - 0.5)
        found[name] = {"unit": best.unit, "auc": best.auc, "followed": followed}
    return found


def _gate_means(stack: RecurrentModel, layer: int, found: Mapping[str, saturation.Saturation]) -> dict[str, Any]:
    kept = saturation.keep(stack.layers[layer], found)
    return {
        "gates": {name: {"low": float(one.low.mean()), "high": float(one.high.mean())} for name, one in found.items()},
        "memory": None if kept is None else np.quantile(saturation.memory(kept), (0.1, 0.5, 0.9)).tolist(),
    }


def _check(model: RecurrentModel, layer: int, signal: str) -> None:
    """Raises ConfigError unless the model has this signal in this layer."""
    known = model.layers[check_layer(model, layer)].signals
    if signal not in known:
        raise ConfigError(
            N_("The model has no signal {signal}. It has: {known}."), signal=signal, known=", ".join(known)
        )  # fmt: skip


def _gates(model: RecurrentModel) -> list[str]:
    return [name for name in model.layers[0].signals if name.startswith("gate.")]


def _states(
    model: RecurrentModel, rows: Passages, layer: int, signal: str, start: float, end: float
) -> Generator[dict[str, Any], None, Array]:  # fmt: skip
    """One signal at all counted tokens (N, H); `start` and `end`: shares of the whole answer."""
    whole = np.empty((0, 0), np.float32)
    for found in read_whole(model, rows, layer, signal):
        if isinstance(found, float):
            yield {"done": start + (end - start) * found}
        else:
            whole = found
    return whole.reshape(-1, whole.shape[-1])


def _halves(
    states: Array, rows: Passages, done: float
) -> Generator[dict[str, Any], None, tuple[meaning.Half, meaning.Half]]:  # fmt: skip
    """Both halves of (N, H), with a turn for others between them. `done`: share of the whole answer."""
    first = meaning.half(states[: rows.middle])
    yield {"done": done}
    return first, meaning.half(states[rows.middle :])


def _labels(
    data: Data, rows: Passages
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.int64]]]:  # fmt: skip
    """Features and grades at the counted tokens (N,)."""
    flags, grades = _all_labels(data)
    places = rows.places.ravel()
    return {name: one[places] for name, one in flags.items()}, {name: one[places] for name, one in grades.items()}


_LABELS: OrderedDict[tuple[str, int, str], Any] = OrderedDict()
"""The last ones, by the text's fingerprint, its length and its tokenizer."""


def _all_labels(data: Data) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.int64]]]:
    """Of the held-out text up to REACH. It may begin in the middle of a document, with which the training text ends:
    what was opened there is still open.
    """
    key = (data.fingerprint, len(data.validation), data.tokenizer.backend.to_str())
    if key not in _LABELS:
        before = _last_document(np.asarray(data.train[-REACH:]))
        tokens = np.asarray(data.validation[:REACH])
        joined = np.concatenate([before, tokens[1:] if tokens[0] == BEGIN else tokens])
        cut = len(joined) - len(tokens)  # one less than `before`, where <begin> was left out
        flags, grades = features.token_labels(data.tokenizer, joined)
        _LABELS[key] = tuple({name: _from(one, cut) for name, one in found.items()} for found in (flags, grades))
        while len(_LABELS) > 4:
            _LABELS.popitem(last=False)
    found: tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.int64]]] = _LABELS[key]
    return found


def _last_document(tokens: NDArray[Any]) -> NDArray[Any]:
    """What stands after the last <begin>, without marks."""
    begins = np.flatnonzero(tokens == BEGIN)
    last = tokens[begins[-1] + 1 :] if len(begins) else tokens
    return np.asarray(last[last != END])


def _from(values: NDArray[Any], cut: int) -> NDArray[Any]:
    """Labels from a place on; before the first one, at <begin>, nothing holds."""
    if cut >= 0:
        kept = values[cut:].copy()
        kept[0] = 0
        return kept
    return np.concatenate([np.zeros(-cut, values.dtype), values])


def _names(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.token_text(token) for token in range(tokenizer.vocab_size)]


def _own_span(data: Data, rows: Passages, text: NDArray[Any], start: int, end: int) -> NDArray[np.bool_]:
    """Counted tokens that are tokens [start, end) of this very text, where it is taken from the held-out text."""
    place = only_place(np.asarray(data.validation[:REACH]), text)
    if place is None:
        return np.zeros(rows.places.shape, np.bool_)
    return (rows.places >= place + max(0, start)) & (rows.places < place + end)


def _place(rows: Passages, names: list[str], values: Array, row: int, column: int) -> dict[str, Any]:
    """A place of one unit, with its values around."""
    found = around(rows, names, row, column, column + 1)
    first, last = column - len(found["before"]), column + 1 + len(found["after"])
    shown = [float(values[row, at]) if 0 <= at < values.shape[1] else None for at in range(first, last)]
    return {**found, "value": float(values[row, column]), "values": shown}


def _packed(values: NDArray[np.float64]) -> dict[str, Any]:
    return pack(values.astype(np.float32))
