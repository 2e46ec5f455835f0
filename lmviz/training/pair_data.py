"""Pairs of texts as batches, and how good a model is at them: what it writes for sources it has never seen.

Shapes: B batch, S source time, T target time.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmviz.config import RunConfig, TokenizerConfig, TrainingConfig
from lmviz.corpora.pairs import Pair, PairSet, pair_set
from lmviz.decoding.generate import evaluating
from lmviz.decoding.translate import translate
from lmviz.decoding.written import Written
from lmviz.inspect.fields import right_share
from lmviz.inspect.pair_metrics import character_error_rate, exact_match
from lmviz.models.base import UNSCORED, Batch, LanguageModel
from lmviz.models.pairs import PairModel
from lmviz.tokenizers import BEGIN, END, Tokenizer, char_tokenizer, train_tokenizer
from lmviz.training.data import evaluation_batch_size
from lmviz.training.made import Draws, MadeData

TESTED = 256
"""Held-out pairs of every validation: an exact match of one half is then known to 0.03 (one standard deviation)."""
LOOKED = 96
"""Of them, those whose attention is measured."""
USUAL_LENGTH = 16
"""Tokens of a target of which TESTED are written in a turn."""
FEWEST = 32
PROBED = 2000
"""Pairs from which lengths and, where they are not known, vocabularies are taken."""
LISTED = 200_000
"""Pairs of a list that are all read for its vocabulary."""


class PairData(MadeData):
    """See MadeData. `tokenizer` is the target's, and knows the source's as `tokenizer.source`."""

    def __init__(self, name: str, pairs: PairSet, tokenizer: Tokenizer) -> None:
        self.name, self.pairs, self.tokenizer = name, pairs, tokenizer
        assert tokenizer.source is not None
        self.source_tokenizer = tokenizer.source
        self.fingerprint = pairs.fingerprint

    @classmethod
    def of(cls, config: RunConfig) -> "PairData":
        return _prepared(config.corpus.name, config.tokenizer, pair_set(config.corpus.name).fingerprint)

    @property
    def sizes(self) -> dict[str, int]:
        return {"source_vocab_size": self.source_tokenizer.vocab_size}

    @cached_property
    def tests(self) -> list[Pair]:
        """Those of every validation; fewer of long ones, which take longer to write."""
        return self.held_out(TESTED)

    def held_out(self, most: int) -> list[Pair]:
        """So many held-out pairs, or what there is and what can be written in a turn."""
        usual = [len(self.tokenizer.encode(self.pairs.test(i).target)) for i in range(min(64, self.pairs.test_size))]
        affordable = max(FEWEST, most * USUAL_LENGTH // max(USUAL_LENGTH, *usual))
        return [self.pairs.test(i) for i in range(min(most, affordable, self.pairs.test_size))]

    @property
    def longest_written(self) -> int:
        """Tokens after which a model that does not end is stopped."""
        return self.lengths[1] + 8

    @property
    def aligned(self) -> bool:
        """Whether it is known which tokens belong to which: that is said of characters."""
        return self.pairs.aligned and self.tokenizer.kind == self.source_tokenizer.kind == "char"

    @cached_property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the longest source and target among some hundred pairs, <end> included."""
        most = PROBED if self.pairs.source_symbols else LISTED
        some = [self.pairs.train(i) for i in range(min(most, self.pairs.train_size))]
        some += [self.pairs.test(i) for i in range(min(most, self.pairs.test_size))]
        source = max(len(self.source_tokenizer.encode(pair.source)) for pair in some)
        return source + 1, max(len(self.tokenizer.encode(pair.target)) for pair in some) + 1

    def facts(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "vocab_size": self.tokenizer.vocab_size,
            "train_pairs": self.pairs.train_size,
            "test_pairs": self.pairs.test_size,
            "validation_tokens": int(sum((batch.targets != UNSCORED).sum() for batch in self.validation_batches())),
            **self.sizes,
        }

    def baselines(self) -> dict[str, Any]:
        return {"uniform": float(np.log(self.tokenizer.vocab_size)), "ngram": {}, "counted_tokens": 0}

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Draws:
        def make(generator: torch.Generator) -> Batch:
            chosen = torch.randint(self.pairs.train_size, (config.batch_size,), generator=generator)
            return self.batch([self.pairs.train(i) for i in chosen.tolist()])

        return Draws(make, generator, round(config.batch_size * self._mean_length))

    @cached_property
    def _mean_length(self) -> float:
        some = self.batch([self.pairs.train(i) for i in range(min(256, self.pairs.train_size))])
        return float((some.targets != UNSCORED).sum(1).double().mean())

    def batch(self, pairs: Sequence[Pair]) -> Batch:
        """Sources (B, S) that end with <end>; inputs <begin> and the target, targets the target and <end> (B, T)."""
        targets = [self.tokenizer.encode(pair.target) for pair in pairs]
        inputs = _padded([[BEGIN, *one] for one in targets], END)
        wanted = _padded([[*one, END] for one in targets], UNSCORED)
        return Batch(inputs, wanted, self.sources([pair.source for pair in pairs]))

    def sources(self, texts: Sequence[str]) -> Tensor:
        """(B, S)."""
        return _padded([[*self.source_tokenizer.encode(text), END] for text in texts], END)

    def validation_batches(self) -> list[Batch]:
        return self._validation

    @cached_property
    def _validation(self) -> list[Batch]:
        whole = self.batch(self.tests)
        assert whole.source is not None
        size = evaluation_batch_size(self.tokenizer.vocab_size, whole.inputs.shape[1])
        parts = (torch.split(part, size) for part in (whole.inputs, whole.targets, whole.source))
        return [Batch(inputs, targets, source) for inputs, targets, source in zip(*parts, strict=True)]

    def measure(self, model: LanguageModel) -> tuple[float, dict[str, Any]]:
        """`exact_match` and `character_error_rate` of what the model writes by itself, always its likeliest token; and
        `right_share`, where the right places of a source are known: the attention that lies on them.
        """
        with evaluating(model):
            losses = torch.cat([
                model.token_losses(batch)[batch.targets != UNSCORED] for batch in self.validation_batches()
            ])  # fmt: skip
        written = self.write(model, [pair.source for pair in self.tests], look=False)
        outputs, targets = [one.text for one in written], [pair.target for pair in self.tests]
        columns: dict[str, Any] = {
            "exact_match": exact_match(outputs, targets),
            "character_error_rate": character_error_rate(outputs, targets),
        }
        looked = self.write(model, [pair.source for pair in self.tests[:LOOKED]]) if self.aligned else []
        if looked and looked[0].attention is not None:
            columns["right_share"] = right_share(looked, self.tests[:LOOKED])  # None while nothing is right
        return float(losses.double().mean()), columns

    def write(self, model: LanguageModel, sources: Sequence[str], *, look: bool = True) -> list[Written]:
        """What the model makes of sources."""
        assert isinstance(model, PairModel)
        return translate(model, self.tokenizer, self.sources(sources), self.longest_written, look=look)

    def sample(self, model: LanguageModel) -> tuple[str, str]:
        pair = self.tests[0]
        (written,) = self.write(model, [pair.source])
        return pair.source, written.text


@lru_cache(maxsize=8)
def _prepared(name: str, tokenizer: TokenizerConfig, fingerprint: str) -> PairData:
    """fingerprint: a table may have been removed and another one added under its name."""
    pairs = pair_set(name)
    if pairs.source_symbols and tokenizer.kind == "char":
        source, target = char_tokenizer(pairs.source_symbols), char_tokenizer(pairs.target_symbols)
    else:
        train = [pairs.train(i) for i in range(min(LISTED, pairs.train_size))]
        test = [pairs.test(i) for i in range(min(LISTED, pairs.test_size))]
        source = train_tokenizer(tokenizer, [p.source for p in train], [p.source for p in test])
        target = train_tokenizer(tokenizer, [p.target for p in train], [p.target for p in test])
    target.source = source
    return PairData(name, pairs, target)


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """(B, longest) int64."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
