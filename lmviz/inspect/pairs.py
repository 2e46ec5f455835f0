"""A model that turns sources into targets, looked at: one example, all by their length, its own inputs.

Shapes: B pairs, S source time, T target time, L layers, N heads.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lmviz.corpora.pairs import Pair
from lmviz.decoding.generate import evaluating
from lmviz.decoding.translate import translate
from lmviz.decoding.written import Written
from lmviz.models.base import UNSCORED, Batch
from lmviz.models.pairs import PairModel
from lmviz.models.seq2seq import Seq2Seq, edited
from lmviz.tokenizers import BEGIN, END
from lmviz.training.pair_data import PairData

AT_ONCE = 128
"""Pairs that go through a model together."""


@dataclass(frozen=True)
class Example:
    """One source and what became of it."""

    source: list[str]
    """Its tokens, <end> last (S,)."""
    target: list[str]
    """What was written, <end> last if it came (T,)."""
    text: str
    logprobs: list[float]
    """Of each token of `target` (T,)."""
    attention: NDArray[np.float32] | None
    """(T, S), mean over layers and heads."""
    alternatives: list[list[tuple[str, float]]]
    """The likeliest tokens at every step, with their probabilities (T, up to 3)."""


def example(
    model: PairModel, data: PairData, source: str, forced: Mapping[int, Sequence[float]] | None = None
) -> Example:  # fmt: skip
    """What the model makes of a source; `forced` are weights over its tokens (S,) for some steps, from 0, in place of
    its own attention (only of Seq2Seq with attention).
    """
    sources = data.sources([source])
    if forced and isinstance(model, Seq2Seq) and model.attention:
        model = edited(model, {step: torch.tensor(weights) for step, weights in forced.items()})
    (written,) = translate(model, data.tokenizer, sources, data.longest_written)
    steps = len(written.logprobs)
    wanted = [*written.tokens, END][:steps]
    with evaluating(model):
        inputs = torch.tensor([[BEGIN, *wanted[:-1]]])
        logits, _ = model.read(inputs, model.encode(sources))
        best = logits[0].softmax(-1).topk(min(3, logits.shape[-1]))
    name = data.tokenizer.token_text
    return Example(
        source=[data.source_tokenizer.token_text(token) for token in sources[0].tolist()],
        target=[name(token) for token in wanted],
        text=written.text,
        logprobs=written.logprobs,
        attention=written.attention,
        alternatives=[
            [(name(token), float(chance)) for token, chance in zip(tokens, chances, strict=True)]
            for tokens, chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
    )


def write_all(model: PairModel, data: PairData, pairs: Sequence[Pair]) -> Iterator[list[Written]]:
    """What the model writes for pairs, some at a time."""
    for start in range(0, len(pairs), AT_ONCE):
        some = [pair.source for pair in pairs[start : start + AT_ONCE]]
        yield data.write(model, some, look=data.aligned)


def by_length(pairs: Sequence[Pair], outputs: Sequence[str], bins: int = 6) -> list[dict[str, Any]]:
    """Share of right outputs by the length of the source in characters: bins of about equally many pairs.

    [{"from", "to" (both included), "pairs", "right"}].
    """
    lengths = np.array([len(pair.source) for pair in pairs])
    right = np.array([output == pair.target for output, pair in zip(outputs, pairs, strict=True)])
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)).astype(int))
    edges = np.append(edges, edges) if len(edges) == 1 else edges  # all of one length
    edges[-1] += 1
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (low <= lengths) & (lengths < high)
        if inside.any():
            rows.append({
                "from": int(low), "to": int(high) - 1, "pairs": int(inside.sum()), "right": float(right[inside].mean()),
            })  # fmt: skip
    return rows


def exposure(model: PairModel, data: PairData, pairs: Sequence[Pair], generator: torch.Generator) -> dict[str, Any]:
    """Loss of the right token at every place of the target, nats: after the right tokens (teacher forcing), and after
    tokens that the model has drawn itself from its own distribution, in which mistakes may have been made.

    The difference is what training on right tokens alone never shows it (exposure bias; Bengio et al. 2015).
    {"forced": (T,), "own": (T,), "pairs": how many have that place (T,)}.
    """
    batch = data.batch(pairs)
    assert batch.source is not None
    with evaluating(model):
        state = model.encode(batch.source)
        forced = _losses(model.read(batch.inputs, state)[0], batch)
        own_inputs = [batch.inputs[:, 0]]
        for _ in range(batch.inputs.shape[1] - 1):
            logits, state = model.step(own_inputs[-1], state)
            own_inputs.append(torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0])
        own = _losses(model.read(torch.stack(own_inputs, 1), model.encode(batch.source))[0], batch)
    counts = (batch.targets != UNSCORED).sum(0)
    return {
        "forced": (forced.sum(0) / counts).tolist(), "own": (own.sum(0) / counts).tolist(), "pairs": counts.tolist(),
    }  # fmt: skip


def _losses(logits: Tensor, batch: Batch) -> Tensor:
    """(B, T), 0 where nothing is scored."""
    return F.cross_entropy(logits.double().transpose(1, 2), batch.targets, reduction="none")
