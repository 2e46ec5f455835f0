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
    """Tokens that never come."""
    banned = torch.tensor(tokens, dtype=torch.int64)

    def process(logits: Tensor, history: Tensor) -> Tensor:
        return logits.index_fill(0, banned, -torch.inf)

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


def stages_for(config: DecodingConfig) -> list[Stage]:
    """The pipeline of a configuration: special, repetition_penalty, temperature, top_k, top_p; what is off is left out.

    `special` is always there: <unk> and <begin> are no text and never come. Greedy needs nothing after the penalty,
    as the rest does not change which token is the most probable.
    """
    stages = [Stage("special", suppress((UNK, BEGIN)))]
    if config.repetition_penalty != 1:
        stages.append(Stage("repetition_penalty", repetition_penalty(config.repetition_penalty)))
    if config.strategy == "greedy":
        return stages
    if config.temperature != 1:
        stages.append(Stage("temperature", temperature(config.temperature)))
    if config.top_k is not None:
        stages.append(Stage("top_k", top_k(config.top_k)))
    if config.top_p is not None and config.top_p < 1:
        stages.append(Stage("top_p", top_p(config.top_p)))
    return stages
