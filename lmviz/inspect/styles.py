"""What a label changes for a model that learned from several texts with labels: the loss of each text under each label.

Shapes: B texts, T tokens of the longest.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lmviz.decoding.generate import evaluating
from lmviz.models.base import UNSCORED, LanguageModel
from lmviz.tokenizers import BEGIN, END, Tokenizer

AT_ONCE = 16


def losses_under(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], before: str
) -> Iterator[list[tuple[float, int]]]:  # fmt: skip
    """What each text costs after `before`, which is not counted: (sum in nats, tokens), some texts at a time.

    A text is cut where the model can look no further back.
    """
    prefix = [BEGIN, *tokenizer.encode(before)]
    for start in range(0, len(texts), AT_ONCE):
        rows = [tokenizer.encode(text) for text in texts[start : start + AT_ONCE]]
        if model.context_length is not None:
            rows = [row[: max(1, model.context_length - len(prefix) + 1)] for row in rows]
        with evaluating(model):
            yield _sums(model, prefix, rows)


def _sums(model: LanguageModel, prefix: list[int], rows: list[list[int]]) -> list[tuple[float, int]]:
    longest = max(map(len, rows))
    whole = torch.tensor([[*prefix, *row, *[END] * (longest - len(row))] for row in rows])  # (B, P + T)
    targets = whole[:, len(prefix) :].clone()
    for row, target in zip(rows, targets, strict=True):
        target[len(row) :] = UNSCORED
    logits: Tensor = model(whole[:, :-1])[:, len(prefix) - 1 :].double()
    losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")  # (B, T)
    return [(float(loss.sum()), len(row)) for loss, row in zip(losses, rows, strict=True)]
