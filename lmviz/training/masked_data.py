"""A text with some of its tokens hidden, as BERT learns it (Devlin et al. 2019, section 3.1).

Of the tokens that are to be guessed 80 % are replaced by the mask, 10 % by a random token, 10 % stay as they are.
Shapes: B batch, T time, V vocabulary.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmviz.config import BERTConfig, RunConfig, TrainingConfig
from lmviz.decoding.generate import evaluating
from lmviz.models.base import UNSCORED, Batch, LanguageModel
from lmviz.tokenizers import BEGIN, SPECIAL_TOKENS
from lmviz.training.data import Data, evaluation_batch_size
from lmviz.training.made import Draws, MadeData

HIDDEN, REPLACED = 0.8, 0.1
TEST_SEED = 20_181_011
"""Of what is hidden in every validation: the same for all runs."""


class MaskedData(MadeData):
    """See MadeData. Every window begins with <begin>, as whatever is asked of the model later does."""

    def __init__(self, text: Data, config: RunConfig) -> None:
        assert isinstance(config.model, BERTConfig)
        self.text, self.tokenizer, self.fingerprint = text, text.tokenizer, text.fingerprint
        self.share = config.model.masked_share
        self.length = config.training.context_length
        self.eval_tokens = config.recording.eval_tokens

    def facts(self) -> dict[str, Any]:
        facts = {name: fact for name, fact in self.text.facts().items() if not name.endswith("_characters")}
        hidden = sum(int((batch.targets != UNSCORED).sum()) for batch in self.validation_batches())
        return facts | {"validation_tokens": hidden, "commonest_share": self.commonest_share}

    @cached_property
    def _unigram(self) -> Tensor:
        """Chances of each token in the training text, every one counted once more than it is there (V,)."""
        counts = np.bincount(self.text.train[:2_000_000], minlength=self.tokenizer.vocab_size) + 1.0
        return torch.from_numpy(counts / counts.sum())

    def baselines(self) -> dict[str, Any]:
        """The loss of guessing each hidden token by how often tokens come."""
        targets = torch.cat([batch.targets[batch.targets != UNSCORED] for batch in self.validation_batches()])
        loss = -float(self._unigram[targets].log().mean())
        return {
            "uniform": float(np.log(self.tokenizer.vocab_size)), "ngram": {"1": loss},
            "counted_tokens": len(self.text.train),
        }  # fmt: skip

    @property
    def commonest_share(self) -> float:
        """Share of the hidden tokens that are the commonest one: the best guess that looks at nothing."""
        targets = torch.cat([batch.targets[batch.targets != UNSCORED] for batch in self.validation_batches()])
        return float((targets == self._unigram.argmax()).double().mean())

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Draws:
        def make(generator: torch.Generator) -> Batch:
            high = len(self.text.train) - self.length + 2
            starts = torch.randint(high, (config.batch_size,), generator=generator)
            return self.hide(self._windows(self.text.train, starts), generator)

        return Draws(make, generator, config.batch_size * self.length)

    def _windows(self, tokens: np.ndarray[Any, Any], starts: Tensor) -> Tensor:
        """(B, T), <begin> first."""
        offsets = np.arange(min(self.length - 1, len(tokens)))
        rows = tokens[starts.numpy()[:, None] + offsets].astype(np.int64)
        return torch.cat([torch.full((len(rows), 1), BEGIN), torch.from_numpy(rows)], 1)

    def hide(self, windows: Tensor, generator: torch.Generator) -> Batch:
        """Windows (B, T) -> with tokens hidden, and those tokens as targets; as many in every window."""
        count = max(1, round(self.share * (windows.shape[1] - 1)))
        order = torch.rand(windows.shape[0], windows.shape[1] - 1, generator=generator)
        chosen = order.topk(count).indices + 1  # (B, count), never <begin>
        fate = torch.rand(chosen.shape, generator=generator)
        special = len(SPECIAL_TOKENS)
        drawn = torch.randint(special, max(special + 1, self.tokenizer.vocab_size), chosen.shape, generator=generator)
        true = windows.gather(1, chosen)
        shown = torch.where(fate < HIDDEN, self.mask_token, torch.where(fate < HIDDEN + REPLACED, drawn, true))
        targets = torch.full_like(windows, UNSCORED).scatter(1, chosen, true)
        return Batch(windows.scatter(1, chosen, shown), targets)

    @property
    def mask_token(self) -> int:
        """As models.bert has it."""
        return self.tokenizer.vocab_size

    def validation_batches(self) -> list[Batch]:
        return self._validation

    @cached_property
    def _validation(self) -> list[Batch]:
        hidden = self.hide(self.whole_windows(self.eval_tokens), torch.Generator().manual_seed(TEST_SEED))
        size = evaluation_batch_size(self.tokenizer.vocab_size, self.length)
        pairs = zip(torch.split(hidden.inputs, size), torch.split(hidden.targets, size), strict=True)
        return [Batch(inputs, targets) for inputs, targets in pairs]

    def whole_windows(self, tokens: int) -> Tensor:
        """About so many held-out tokens, spread over the text, nothing hidden (B, T)."""
        text, inside = self.text.validation, min(self.length - 1, len(self.text.validation))
        count = max(1, min(tokens // self.length, len(text) // inside))
        starts = torch.from_numpy(np.linspace(0, len(text) - inside, count).astype(np.int64))
        return self._windows(text, starts)

    def measure(self, model: LanguageModel) -> tuple[float, dict[str, Any]]:
        """Loss in nats a hidden token, and `accuracy`: the share that is guessed right."""
        losses, right = [], []
        with evaluating(model):
            for batch in self.validation_batches():
                scored = batch.targets != UNSCORED
                logits, targets = model(batch.inputs)[scored], batch.targets[scored]
                losses.append(torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
                right.append(logits.argmax(1) == targets)
        return float(torch.cat(losses).double().mean()), {"accuracy": float(torch.cat(right).double().mean())}

    def passage(self) -> list[str]:
        head = self.text.validation[:280]
        return [self.tokenizer.token_text(int(token)) for token in head]
