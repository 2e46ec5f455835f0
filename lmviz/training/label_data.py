"""Labelled texts as batches, and how many a model tells right.

Shapes: B batch, T time.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from lmviz.config import RunConfig, TrainingConfig
from lmviz.corpora.labelled import LabelSet, label_set
from lmviz.decoding.generate import evaluating
from lmviz.models.base import Batch, LanguageModel
from lmviz.tokenizers import BEGIN, END, Tokenizer, train_tokenizer
from lmviz.training.made import Draws, MadeData

AT_ONCE = 64
TESTED = 512


class LabelData(MadeData):
    """See MadeData. Inputs are <begin>, the text, <end>; the one target is the index of the class (B, 1).

    Args:
        longest: tokens that the model can look at; longer texts are cut.
        tokenizer: of the run that this one begins with; None learns one from the texts.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer | None = None) -> None:
        self.texts: LabelSet = label_set(config.corpus.name)
        self.longest = config.training.context_length
        self.tokenizer = tokenizer or train_tokenizer(
            config.tokenizer, [text for text, _ in self.texts.train], [text for text, _ in self.texts.test]
        )
        self.fingerprint = self.texts.fingerprint

    @property
    def sizes(self) -> dict[str, int]:
        return {"classes": len(self.texts.classes)}

    def facts(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint, "vocab_size": self.tokenizer.vocab_size,
            "labels": list(self.texts.classes), "train_texts": len(self.texts.train),
            "validation_tokens": min(TESTED, len(self.texts.test)), **self.sizes,
        }  # fmt: skip

    def baselines(self) -> dict[str, Any]:
        share = torch.bincount(torch.tensor([label for _, label in self.texts.train])).double()
        share /= share.sum()
        return {"uniform": float(torch.special.entr(share).sum()), "ngram": {}, "counted_tokens": 0}

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Draws:
        def make(generator: torch.Generator) -> Batch:
            chosen = torch.randint(len(self.texts.train), (config.batch_size,), generator=generator)
            return self.batch([self.texts.train[i] for i in chosen.tolist()])

        return Draws(make, generator, config.batch_size * self.longest)

    def batch(self, rows: Sequence[tuple[str, int]]) -> Batch:
        """Padded with <end>."""
        ids = [[BEGIN, *self.tokenizer.encode(text)[: self.longest - 2], END] for text, _ in rows]
        longest = max(map(len, ids))
        inputs = torch.tensor([[*row, *[END] * (longest - len(row))] for row in ids])
        return Batch(inputs, torch.tensor([[label] for _, label in rows]))

    def validation_batches(self) -> list[Batch]:
        return self._validation

    @cached_property
    def _validation(self) -> list[Batch]:
        rows = self.texts.test[:TESTED]
        return [self.batch(rows[i : i + AT_ONCE]) for i in range(0, len(rows), AT_ONCE)]

    def measure(self, model: LanguageModel) -> tuple[float, dict[str, Any]]:
        """Loss in nats a text, and `accuracy`."""
        losses, right = [], []
        with evaluating(model):
            for batch in self.validation_batches():
                logits = model(batch.inputs)[:, 0]  # (B, C)
                targets = batch.targets[:, 0]
                losses.append(torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
                right.append(logits.argmax(1) == targets)
        return float(torch.cat(losses).double().mean()), {"accuracy": float(torch.cat(right).double().mean())}

    def passage(self) -> list[str]:
        text, _ = self.texts.test[0]
        return [self.tokenizer.token_text(token) for token in self.tokenizer.encode(text)]
