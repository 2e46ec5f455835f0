"""The target that a model writes for a source: the likeliest token at every step, many sources at once.

Shapes: B sources, S source time, T target time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.decoding.written import Written
from lmviz.models.pairs import PairModel, source_lengths
from lmviz.tokenizers import BEGIN, END, Tokenizer


def translate(
    model: PairModel, tokenizer: Tokenizer, sources: Tensor, longest: int, *, look: bool = True
) -> list[Written]:  # fmt: skip
    """Greedily, (B, S) -> B targets of at most `longest` tokens each. look: with where it looked, as long again."""
    longest = min(longest, model.context_length or longest)
    with evaluating(model):
        state = model.encode(sources)
        last = torch.full((len(sources),), BEGIN)
        chosen, logprobs = [], []
        done = torch.zeros(len(sources), dtype=torch.bool)
        for _ in range(longest):
            logits, state = model.step(last, state)  # (B, V)
            last = logits.argmax(1)
            chosen.append(last)
            logprobs.append(logits.log_softmax(1).gather(1, last[:, None])[:, 0])
            done |= last == END
            if done.all():
                break
        tokens, chances = torch.stack(chosen, 1), torch.stack(logprobs, 1)  # (B, T)
        inputs = torch.cat([torch.full_like(tokens[:, :1], BEGIN), tokens[:, :-1]], 1)
        looked = model.look(sources, inputs) if look else None  # (B, T, S)
    lengths = source_lengths(sources).tolist()
    return [
        _written(tokenizer, row, chance, None if looked is None else looked[i, :, : lengths[i]])
        for i, (row, chance) in enumerate(zip(tokens.tolist(), chances.tolist(), strict=True))
    ]


def _written(tokenizer: Tokenizer, row: Sequence[int], chances: list[float], looked: Tensor | None) -> Written:
    end = row.index(END) if END in row else len(row)
    tokens, steps = list(row[:end]), min(end + 1, len(row))
    attention = None if looked is None else looked[:steps].float().numpy()
    return Written(tokens, tokenizer.decode(tokens), chances[:steps], attention)
