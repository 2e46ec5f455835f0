"""Many texts at once from one prompt: a row each, with its own settings and seed.

Every row draws from a generator of its own, so it writes what `generate` writes with the same settings, whatever the
other rows are. (Products of matrices round differently by the number of their rows, so a draw that is decided by the
seventh digit could differ; the tests have seen none.)
Shapes: B rows, V vocabulary.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import Block, Describer, GeneratedToken, Stopper, evaluating, opening
from lmviz.decoding.processors import Stage, stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.models.base import LanguageModel
from lmviz.models.decoder import Decoder
from lmviz.tokenizers import END, Tokenizer

TURN = 8
"""Steps between two turns, in which others are served."""


@dataclass
class Row:
    """One text."""

    tokens: list[int] = field(default_factory=list)
    """With <end> if it came."""
    logprobs: list[float] = field(default_factory=list)
    """Of the model's own softmax, nats."""
    done: bool = False

    @property
    def logprob(self) -> float:
        return math.fsum(self.logprobs)


class Stopping(Protocol):
    """Says, token by token, when a text has to end; `Stopper` is one."""

    def feed(self, token: int) -> bool: ...


class Seen(NamedTuple):
    """What one token of a row was chosen from."""

    logits: Tensor  # (V,) of the model
    staged: Tensor  # (V,) after all stages


class _Line(NamedTuple):
    """How one row is written."""

    row: Row
    greedy: bool
    longest: int
    stages: Sequence[Stage]
    generator: torch.Generator
    stoppers: Sequence[Stopping]
    seen: list[Seen] | None
    """What its tokens were chosen from, kept if somebody takes it out again."""


def write_rows(
    model: LanguageModel, tokenizer: Tokenizer, configs: Sequence[DecodingConfig],
    extra: Sequence[Sequence[Stage]] | None = None, stopping: Sequence[Stopping] | None = None,
) -> Iterator[list[Row]]:  # fmt: skip
    """Go on with one prompt in as many ways as there are configs; the rows as far as they are, every few steps, and
    finished at the end.

    extra: for every row stages of one's own, see `generate`. stopping: for every row what ends it, beside its config.

    Raises:
        ConfigError: the prompts differ, or as `generate`.
        LmvizError: the logits are not finite, or a row has no token left to choose from.
    """
    lines, history, decoder = _begin(model, tokenizer, configs, extra, stopping, watched=False)
    return _write(model, lines, history, decoder)


def write_records(
    model: LanguageModel, tokenizer: Tokenizer, configs: Sequence[DecodingConfig]
) -> Iterator[list[list[GeneratedToken]]]:
    """The same, every few steps with the new records of every row, as `generate` makes them; a row that is finished has
    none any more.

    Raises: as `write_rows`.
    """
    lines, history, decoder = _begin(model, tokenizer, configs, None, None, watched=True)
    return _described(model, tokenizer, lines, history, decoder)


def _described(
    model: LanguageModel, tokenizer: Tokenizer, lines: list[_Line], history: list[int], decoder: Callable[[], Decoder]
) -> Iterator[list[list[GeneratedToken]]]:
    describers = [Describer(tokenizer) for _line in lines]
    for rows in _write(model, lines, history, decoder):
        records: list[list[GeneratedToken]] = []
        for line, row, describe in zip(lines, rows, describers, strict=True):
            assert line.seen is not None
            if not line.seen:
                records.append([])
                continue
            with evaluating(model):
                block = Block(
                    row.tokens[-len(line.seen) :], torch.stack([one.logits for one in line.seen]),
                    torch.stack([one.staged for one in line.seen]),
                )  # fmt: skip
                records.append(list(describe(block, row.done)))
            line.seen.clear()
        yield records


def _begin(
    model: LanguageModel, tokenizer: Tokenizer, configs: Sequence[DecodingConfig],
    extra: Sequence[Sequence[Stage]] | None, stopping: Sequence[Stopping] | None, *, watched: bool,
) -> tuple[list[_Line], list[int], Callable[[], Decoder]]:  # fmt: skip
    if len({config.prompt for config in configs}) != 1 or any(config.strategy == "beam" for config in configs):
        raise ConfigError(N_("Texts that are written together go on with the same prompt, and not by beam search."))
    history, decoder = opening(model, tokenizer, configs[0].prompt)
    lines = [
        _Line(
            Row(), config.strategy == "greedy", config.max_new_tokens,
            stages_for(config, len(history), extra[i] if extra else ()),
            torch.Generator().manual_seed(config.seed),
            [*([Stopper(tokenizer, config.stop)] if config.stop else []), *([stopping[i]] if stopping else [])],
            [] if watched else None,
        )
        for i, config in enumerate(configs)
    ]  # fmt: skip
    return lines, history, decoder


def _write(
    model: LanguageModel, lines: list[_Line], history: list[int], begin: Callable[[], Decoder]
) -> Iterator[list[Row]]:
    rows = [line.row for line in lines]
    before = torch.tensor(history).expand(len(rows), -1)  # (B, N)
    with evaluating(model):
        decoder = begin()
        logits = decoder.prefill(before[:1]).expand(len(rows), -1)  # the prompt, or the source, is read once for all
        if len(rows) > 1:
            decoder.reorder(torch.zeros(len(rows), dtype=torch.int64))
    for steps in itertools.count(1):
        with evaluating(model):
            if not logits.isfinite().all():
                raise LmvizError(
                    N_("The model gives no numbers any more: its training diverged. Take an earlier step.")
                )
            logprobs = logits.log_softmax(1)
            chosen = [_next(line, scores, past) for line, scores, past in zip(lines, logits, before, strict=True)]
            for line, token, own in zip(lines, chosen, logprobs, strict=True):
                _take(line, token, own)
            before = torch.cat([before, torch.tensor(chosen)[:, None]], 1)
        if all(row.done for row in rows):
            break
        if steps == 1 or steps % TURN == 0:  # the first token is seen at once
            yield rows
        with evaluating(model):
            logits = decoder.step(before[:, -1])  # (B, V)
    yield rows


def _next(line: _Line, logits: Tensor, history: Tensor) -> int:
    """The token that a row takes, (V,) and (N,) -> its number; <end> once the row is finished."""
    if line.row.done:
        return END
    own = logits
    for stage in line.stages:
        logits = stage.function(logits, history)
    if line.seen is not None:
        line.seen.append(Seen(own, logits))
    if not math.isfinite(float(logits.max())):  # all are out, or one is not a number
        raise LmvizError(N_("These settings leave no token to choose from. Raise the temperature."))
    if line.greedy:
        return int(logits.argmax())
    race = torch.empty_like(logits).exponential_(generator=line.generator)  # as in generate
    return int(logits.softmax(0).div_(race).argmax())


def _take(line: _Line, token: int, logprobs: Tensor) -> None:
    row = line.row
    if row.done:
        return
    row.tokens.append(token)
    row.logprobs.append(float(logprobs[token]))
    stopped = any(stopper.feed(token) for stopper in line.stoppers)
    row.done = token == END or stopped or len(row.tokens) == line.longest
