"""Logits processors: pure functions from the logits of the next token to changed logits. No model, no randomness.

Each is what transformers' LogitsProcessor of the same name does. A stage is a processor with a name, a pipeline is a
list of stages, so a page can show the distribution after each and a new rule is one function and one line.
V vocabulary, N tokens before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.tokenizers import BEGIN, UNK

Processor = Callable[[Tensor, Tensor], Tensor]
"""(logits (V,), history (N,) int64) -> logits (V,); a token at -inf is out."""


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline."""

    name: str
    function: Processor


def suppress(tokens: Sequence[int]) -> Processor:
    """Tokens that never come. Also of many rows of logits at once, (B, V)."""
    banned = torch.tensor(tokens, dtype=torch.int64)

    def process(logits: Tensor, history: Tensor) -> Tensor:
        return logits.index_fill(-1, banned, -torch.inf)

    return process


def repetition_penalty(penalty: float) -> Processor:
    """CTRL's penalty (Keskar et al. 2019) on every token in the history, the prompt's too, once however often it came.

    Positive logits are divided by it, negative ones multiplied.
    """

    def process(logits: Tensor, history: Tensor) -> Tensor:
        seen = logits[history]  # (N,)
        return logits.index_put((history,), torch.where(seen < 0, seen * penalty, seen / penalty))

    return process


def temperature(value: float) -> Processor:
    """Divide the logits."""

    def process(logits: Tensor, history: Tensor) -> Tensor:
        return logits / value

    return process


def top_k(k: int) -> Processor:
    """Keep the k largest, and what equals the smallest of these: ties can leave more than k, as in transformers."""

    def process(logits: Tensor, history: Tensor) -> Tensor:
        smallest = logits.topk(min(k, len(logits))).values[-1]
        return logits.masked_fill(logits < smallest, -torch.inf)

    return process


def top_p(p: float) -> Processor:
    """Keep the fewest most probable tokens whose probabilities add up to at least p, one at the least.

    Nucleus sampling, Holtzman et al. 2020. Of equally probable tokens at the border, the sort decides.
    """

    def process(logits: Tensor, history: Tensor) -> Tensor:
        ordered, places = logits.sort()  # (V,), smallest first
        out = ordered.softmax(0).cumsum(0) <= 1 - p  # (V,)
        out[-1] = False
        return logits.masked_fill(out.scatter(0, places, out), -torch.inf)

    return process


def min_p(p: float) -> Processor:
    """Keep what is at least p times as probable as the most probable token (Nguyen et al. 2024)."""

    def process(logits: Tensor, history: Tensor) -> Tensor:
        chances = logits.softmax(0)
        return logits.masked_fill(chances < p * chances.max(), -torch.inf)

    return process


def frequency_penalty(penalty: float, start: int) -> Processor:
    """Take `penalty` from a logit for each time that its token came at place `start` of the history or later.

    As OpenAI's API defines it: what was written counts, the prompt does not.
    """

    def process(logits: Tensor, history: Tensor) -> Tensor:
        written = history[start:]
        return logits.index_add(0, written, logits.new_full(written.shape, -penalty))

    return process


def presence_penalty(penalty: float, start: int) -> Processor:
    """The same once for each token that came, however often."""

    def process(logits: Tensor, history: Tensor) -> Tensor:
        counts = history[start:].bincount(minlength=len(logits))  # (V,)
        return torch.where(counts > 0, logits - penalty, logits)

    return process


def no_repeat_ngram(n: int) -> Processor:
    """No run of n tokens that is in the history comes again."""

    def process(logits: Tensor, history: Tensor) -> Tensor:
        if len(history) < n:
            return logits
        runs = history.unfold(0, n, 1)  # (N - n + 1, n), a view
        again = (runs[:, :-1] == history[len(history) - n + 1 :]).all(1)
        return logits.index_fill(0, runs[again, -1], -torch.inf)

    return process


def stages_for(config: DecodingConfig, start: int = 0, extra: Sequence[Stage] = ()) -> list[Stage]:
    """The pipeline of a configuration, in this order: special, repetition_penalty, frequency_penalty, presence_penalty,
    no_repeat_ngram, temperature, top_k, top_p, min_p; what is off is left out. The order is transformers'.

    start: tokens of the history that are the prompt's, <begin> included. extra: come after `special`.

    `special` is always there: <unk> and <begin> are no text and never come. Only sample needs what comes after the
    penalties: the rest does not change which token is the most probable.
    """
    stages = [Stage("special", suppress((UNK, BEGIN))), *extra]
    if config.repetition_penalty != 1:
        stages.append(Stage("repetition_penalty", repetition_penalty(config.repetition_penalty)))
    if config.frequency_penalty:
        stages.append(Stage("frequency_penalty", frequency_penalty(config.frequency_penalty, start)))
    if config.presence_penalty:
        stages.append(Stage("presence_penalty", presence_penalty(config.presence_penalty, start)))
    if config.no_repeat_ngram:
        stages.append(Stage("no_repeat_ngram", no_repeat_ngram(config.no_repeat_ngram)))
    if config.strategy != "sample":
        return stages
    if config.temperature != 1:
        stages.append(Stage("temperature", temperature(config.temperature)))
    if config.top_k is not None:
        stages.append(Stage("top_k", top_k(config.top_k)))
    if config.top_p is not None and config.top_p < 1:
        stages.append(Stage("top_p", top_p(config.top_p)))
    if config.min_p:
        stages.append(Stage("min_p", min_p(config.min_p)))
    return stages
