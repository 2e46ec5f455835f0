"""The n-gram model: how far counting alone goes, and a floor for what a network has to beat.

Not trained by gradients: `fit` counts once. Probabilities are interpolated Witten-Bell (Witten and Bell 1991) down to
the uniform distribution:

    p_k(w | context) = (c(context, w) + T(context) * p_{k-1}(w)) / (c(context) + T(context)),   p_0 = 1 / V

with c the counts and T the number of distinct tokens seen after the context of k - 1 tokens; a context that was never
seen leaves p_{k-1} as it is.

How counts are kept: the distinct k-grams are sorted, and a k-gram's place in that order is its rank. Its key is
rank(first k - 1 tokens) * V + last token, so keys stay far below 2^63 and all followers of a context lie side by side.
Shapes: B batch, T time, V vocabulary, n length of a text, M contexts, U_k distinct k-grams.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from lmviz.config import NgramConfig
from lmviz.models.base import Batch, LanguageModel

UNSEEN = -1
"""Rank of a context that was never counted. As an index it finds the zero that ends `totals` and `followers`."""


class NgramModel(LanguageModel):
    """Counts of all n-grams of 1 to `order` tokens; before `fit` every token is equally likely."""

    learns_by: ClassVar[str] = "counting"
    context_length: int

    def __init__(self, vocab_size: int, order: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.order = order
        self.context_length = order - 1
        for k in range(1, order + 1):
            self.register_buffer(f"keys_{k}", torch.zeros(0, dtype=torch.int64))  # (U_k,) sorted
            self.register_buffer(f"counts_{k}", torch.zeros(0, dtype=torch.int64))  # (U_k,)
        self._index()

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        return {"logits": ("time", "token")}

    def fit(self, tokens: Tensor) -> None:
        """Count a text, (n,) int64 with 0 <= token < V; what was counted before is forgotten."""
        ranks = torch.zeros(len(tokens) + 1, dtype=torch.int64)  # of the empty context before each token
        for k in range(1, self.order + 1):
            places = max(0, len(tokens) - k + 1)
            keys = ranks[:places] * self.vocab_size + tokens[len(tokens) - places :]
            distinct, ranks, counts = torch.unique(keys, return_inverse=True, return_counts=True)
            setattr(self, f"keys_{k}", distinct)
            setattr(self, f"counts_{k}", counts)
        self._index()

    def _index(self) -> None:
        """What follows from the counts: for each context of k - 1 tokens, where its followers lie, T and c."""
        contexts = 1
        for k in range(1, self.order + 1):
            keys, counts = self.get_buffer(f"keys_{k}"), self.get_buffer(f"counts_{k}")
            starts = torch.searchsorted(keys, torch.arange(contexts + 1) * self.vocab_size)
            sums = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            zero = counts.new_zeros(1)
            self.register_buffer(f"starts_{k}", starts, persistent=False)
            self.register_buffer(f"followers_{k}", torch.cat([starts.diff(), zero]), persistent=False)
            self.register_buffer(f"totals_{k}", torch.cat([sums[starts].diff(), zero]), persistent=False)
            contexts = len(keys)

    def _find(self, k: int, keys: Tensor) -> Tensor:
        """Rank of each k-gram key; UNSEEN where it was never counted. Keys made from UNSEEN are below zero."""
        known = self.get_buffer(f"keys_{k}")
        if not len(known):
            return torch.full_like(keys, UNSEEN)
        ranks = torch.searchsorted(known, keys).clamp_(max=len(known) - 1)
        return ranks.masked_fill_(known[ranks] != keys, UNSEEN)

    def _contexts(self, tokens: Tensor) -> Iterator[Tensor]:
        """(B, T) -> for k = 1..order the ranks (B, T) of the k - 1 tokens that end at each place."""
        ranks = torch.zeros_like(tokens)
        for k in range(1, self.order + 1):
            yield ranks
            if k < self.order:
                before = ranks.roll(1, -1)  # the context one place earlier; nothing comes before the first place
                before[..., :1] = 0 if k == 1 else UNSEEN
                ranks = self._find(k, before * self.vocab_size + tokens)

    def _target_probabilities(self, tokens: Tensor, targets: Tensor) -> Iterator[Tensor]:
        """For k = 1..order: p_k of each target (B, T) after the tokens up to its place, float64; never (T, V)."""
        p = torch.full(targets.shape, 1 / self.vocab_size, dtype=torch.float64)
        for k, ranks in enumerate(self._contexts(tokens), 1):
            counts = torch.cat([self.get_buffer(f"counts_{k}"), torch.zeros(1, dtype=torch.int64)])
            count = counts[self._find(k, ranks * self.vocab_size + targets)]
            followers, totals = self.get_buffer(f"followers_{k}")[ranks], self.get_buffer(f"totals_{k}")[ranks]
            p = torch.where(totals > 0, (count + followers * p) / (totals + followers), p)
            yield p

    def _mix(self, k: int, ranks: Tensor, lower: Tensor) -> Tensor:
        """p_k for all tokens: contexts (M,) and their p_{k-1} (M, V) -> (M, V) float64."""
        followers, totals = self.get_buffer(f"followers_{k}")[ranks], self.get_buffer(f"totals_{k}")[ranks]
        weight = torch.where(totals > 0, followers / (totals + followers).double(), 1.0)  # of the lower order
        p = lower * weight[:, None]
        rows = torch.repeat_interleave(torch.arange(len(ranks)), followers)  # a row for each follower of each context
        first = followers.cumsum(0) - followers
        places = torch.arange(len(rows)) + (self.get_buffer(f"starts_{k}")[ranks] - first)[rows]
        columns = self.get_buffer(f"keys_{k}")[places] % self.vocab_size
        p[rows, columns] += self.get_buffer(f"counts_{k}")[places] / (totals + followers)[rows].double()
        return p

    def _probabilities(self, contexts: list[Tensor]) -> Tensor:
        """Ranks (M,) for each order -> p_order (M, V) float64."""
        uniform = torch.full((1, self.vocab_size), 1 / self.vocab_size, dtype=torch.float64)
        p = self._mix(1, torch.zeros(1, dtype=torch.int64), uniform).expand(len(contexts[0]), -1)
        for k, ranks in enumerate(contexts[1:], 2):
            p = self._mix(k, ranks, p)
        return p

    def probabilities(self, tokens: Tensor) -> Tensor:
        """(B, T) -> probabilities of the next token (B, T, V), float64."""
        contexts = [ranks.flatten() for ranks in self._contexts(tokens)]
        return self._probabilities(contexts).view(*tokens.shape, self.vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """As the contract says; the logits are log-probabilities, in torch's default type."""
        return self.probabilities(tokens).log().to(torch.get_default_dtype())  # (B, T, V)

    def token_losses(self, batch: Batch) -> Tensor:
        *_, p = self._target_probabilities(batch.inputs, batch.targets)
        return -p.log()  # (B, T) float64

    def loss(self, batch: Batch) -> Tensor:
        return self.token_losses(batch).mean().to(torch.get_default_dtype())

    def target_log_probs(self, tokens: Tensor) -> Tensor:
        """Log-probability of each token but the first, given all before it: (n,) -> (n - 1,) float64 nats."""
        *_, p = self._target_probabilities(tokens[:-1], tokens[1:])
        return p.log()

    def losses_by_order(self, tokens: Tensor) -> list[float]:
        """Mean nats a token on a text (n,), n >= 2, for the orders 1 to `order`, all from the one fit."""
        return [-p.log().mean().item() for p in self._target_probabilities(tokens[:-1], tokens[1:])]

    def initial_state(self, batch_size: int) -> Tensor:
        """No token yet: (B, 0). Later the last order - 1 tokens."""
        return torch.zeros(batch_size, 0, dtype=torch.int64)

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        window = torch.cat([state, tokens[:, None]], 1)  # (B, up to order)
        p = self._probabilities([ranks[:, -1] for ranks in self._contexts(window)])
        return p.log().to(torch.get_default_dtype()), window[:, max(0, window.shape[1] - self.order + 1) :]

    def prefill(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        last = tokens.shape[1] - 1
        return self.step(tokens[:, last], tokens[:, max(0, last - self.order + 1) : last])

    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        return {"logits": self(tokens[None])[0]}  # (T, V)

    def parameter_count(self) -> int:
        """Stored counts: distinct n-grams of all orders."""
        return sum(len(self.get_buffer(f"counts_{k}")) for k in range(1, self.order + 1))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Take counts of any size: a fresh model has none, a saved one as many as its text had."""
        for name in self.state_dict():
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._index()


def build(config: NgramConfig, vocab_size: int, context_length: int) -> NgramModel:
    """The model of `config`, not yet fitted; it looks at order - 1 tokens, whatever the `context_length`."""
    return NgramModel(vocab_size, config.order)
