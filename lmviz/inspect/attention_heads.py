"""What does each head mostly do? How much of its attention goes where simple rules point, over many windows of text.

Every rule, a pattern, says for a query (the token that looks) which keys (the tokens looked at) it means; a head's
score is the attention that a query gives to these, averaged over the queries that have any. Beside it stands what a
head would score that looks at all keys alike. A query that may look at itself only has no choice and is left out.
Shapes: B windows, T tokens, S = T keys, L layers, N heads, P patterns.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lmviz.errors import N_, ConfigError
from lmviz.inspect.attention_parts import reader, self_attention
from lmviz.inspect.features import token_openings
from lmviz.models.base import LanguageModel
from lmviz.models.gpt import GPT
from lmviz.tokenizers import Tokenizer

Array = NDArray[np.float32]

ONLY_CAUSAL, ONLY_BOTH_WAYS = ("induction",), ("next",)
MIXED = "mixed"
CLEAR = 0.1
"""A head is named after a pattern if its score is more than this above uniform attention."""
FEWEST_QUERIES = 20
"""Queries from which a pattern may give a head its name: one bracket in a text tells nothing."""
AT_ONCE = 2**22
"""Attention weights held at a time."""
BLOCK, REPEATS = 16, 16
"""Random tokens that come twice, and how many such sequences are read."""


@dataclass(frozen=True)
class Heads:
    """What each head did over some windows."""

    patterns: tuple[str, ...]
    """Names of PATTERNS (P,)."""
    scores: Array
    """Mean attention to the keys of each pattern (P, L, N), 0 to 1; NaN where no query had such a key."""
    uniform: Array
    """The same if all allowed keys got the same attention (P,)."""
    queries: NDArray[np.int64]
    """How many had such a key (P,)."""
    entropy: Array
    """Mean of a query's attention, nats (L, N): 0 looks at one key only."""
    uniform_entropy: float
    """The same for uniform attention: the most there can be."""

    @property
    def names(self) -> list[list[str]]:
        """The pattern that is furthest above uniform attention, if it is by more than CLEAR, else MIXED: L lists of N.

        Patterns with fewer than FEWEST_QUERIES do not count.
        """
        above = self.scores - self.uniform[:, None, None]
        above = np.where(self.queries[:, None, None] >= FEWEST_QUERIES, above, -np.inf)
        best, most = above.argmax(0), above.max(0)
        return [
            [self.patterns[which] if by > CLEAR else MIXED for which, by in zip(*row, strict=True)]
            for row in zip(best.tolist(), most.tolist(), strict=True)
        ]


def measure_heads(model: LanguageModel, tokenizer: Tokenizer, windows: Tensor) -> Iterator[float | Heads]:
    """What each head does over windows (B, T), after the share that is done at each turn.

    Raises:
        ConfigError: the model's attention is not over its own text, or T is more than it can look at.
    """
    attentions = [block.attention for block in reader(model).layers]
    length = windows.shape[1]
    at_once = max(1, AT_ONCE // (len(attentions) * attentions[0].num_heads * length**2))
    tally = _Tally(attentions[0].causal)
    for start in range(0, len(windows), at_once):
        some = windows[start : start + at_once]
        weights = [seen.weights for seen in self_attention(model, some)]
        tally.add(weights, some, openings(tokenizer, some))
        yield min(1.0, (start + at_once) / len(windows))
    yield tally.heads()


def openings(tokenizer: Tokenizer, tokens: Tensor) -> Tensor:
    """Of the closing brackets and quotes of tokens (B, T) the place of the opening one in the same window, else -1."""
    return torch.from_numpy(np.stack([token_openings(tokenizer, row) for row in tokens.numpy()]))


def pattern_keys(tokens: Tensor, opening: Tensor, causal: bool) -> dict[str, Tensor]:
    """Which keys each pattern means for each query of tokens (B, T): name -> (B, T, S) bool.

    previous: s = t - 1. next: s = t + 1. self: s = t. first: s = 0, for t > 0. same: the token of t, s other than t.
    bracket: `opening` (B, T) of t. induction: right after an earlier place with the token of t, before t.
    """
    length = tokens.shape[1]
    s = torch.arange(length)
    t = s[:, None]
    same = tokens[:, :, None] == tokens[:, None]  # (B, T, S)
    keys = {
        "previous": s == t - 1,
        "next": s == t + 1,
        "first": (s == 0) & (t > 0),
        "same": same & (s != t),
        "self": s == t,
        "bracket": opening[:, :, None] == s,
        "induction": F.pad(same[:, :, :-1], (1, 0)) & (s < t),
    }
    may = (s <= t) & (t > 0) if causal else torch.tensor(length > 1)
    without = ONLY_BOTH_WAYS if causal else ONLY_CAUSAL
    return {name: (which & may).expand_as(same) for name, which in keys.items() if name not in without}


def entropy(weights: Tensor) -> Tensor:
    """Of each row of attention (..., S), nats (...): 0 for one key only, ln S for all alike."""
    nats: Tensor = torch.special.entr(weights).sum(-1)
    return nats


class _Tally:
    """Sums over windows."""

    def __init__(self, causal: bool) -> None:
        self.causal = causal
        self.patterns: tuple[str, ...] = ()
        self.scores = self.uniform = self.queries = self.entropy = torch.zeros((), dtype=torch.float64)
        self.uniform_entropy, self.rows = 0.0, 0

    def add(self, weights: list[Tensor], tokens: Tensor, opening: Tensor) -> None:
        """Weights of L layers (B, N, T, S) over tokens (B, T)."""
        size, length = tokens.shape
        named = pattern_keys(tokens, opening, self.causal)
        self.patterns = tuple(named)
        keys = torch.stack(list(named.values()))  # (P, B, T, S)
        first = 1 if self.causal else 0  # the query before it has no choice
        allowed = torch.arange(1, length + 1).double() if self.causal else torch.full((length,), length).double()
        meant = keys.sum(-1)  # (P, B, T)
        self.queries = self.queries + (meant > 0).sum((1, 2))
        self.uniform = self.uniform + (meant / allowed).sum((1, 2))
        flat = keys.flatten(1).to(weights[0].dtype).t()  # (B T S, P)
        sums = [layer.transpose(0, 1).flatten(1) @ flat for layer in weights]  # (N, P) each
        self.scores = self.scores + torch.stack(sums).double()
        self.rows += size * (length - first)
        spread = [entropy(layer[:, :, first:]).sum((0, 2)) for layer in weights]  # (N,) each
        self.entropy = self.entropy + torch.stack(spread).double()
        self.uniform_entropy += size * float(allowed[first:].log().sum())

    def heads(self) -> Heads:
        return Heads(
            patterns=self.patterns,
            scores=(self.scores / self.queries).permute(2, 0, 1).float().numpy(),
            uniform=(self.uniform / self.queries).float().numpy(),
            queries=self.queries.long().numpy(),
            entropy=(self.entropy / self.rows).float().numpy(),
            uniform_entropy=self.uniform_entropy / max(1, self.rows),
        )


def induction_on_random(model: LanguageModel, vocabulary: Tensor, generator: torch.Generator) -> Array:
    """The clean test for induction heads (L, N): the mean attention that a token of the second half of a text gives to
    the token after its first occurrence, where the text is a block of random tokens, twice. 0 to 1.

    Nothing but the repetition tells what comes next, so no other habit of a head can score (Olsson et al. 2022, prefix
    matching; there the block is 25 tokens, four times). Uniform attention scores about ln 2 / the block's length, which
    is BLOCK, or half of what the model can look at. No token comes twice in a block if there are enough of them.

    Args:
        vocabulary: ids to draw from (V,), without special tokens.

    Raises:
        ConfigError: the model does not read from left to right, or can look at less than four tokens.
    """
    if not isinstance(model, GPT):
        raise ConfigError(N_("Induction heads go on with a text: choose a run of a gpt."))
    length = min(BLOCK, model.context_length // 2)
    if length < 2 or len(vocabulary) < 2:
        raise ConfigError(N_("This needs a model that looks at four tokens or more and knows at least two."))
    tokens = _random_blocks(vocabulary, length, generator).repeat(1, 2)  # (B, 2 length)
    seen = self_attention(model, tokens)
    after = torch.stack([layer.weights.diagonal(1 - length, -2, -1)[..., 1:] for layer in seen])  # (L, B, N, length)
    return after.mean((1, 3)).float().numpy()


def _random_blocks(vocabulary: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """(REPEATS, length) ids, without repetition in a row if there are enough."""
    if len(vocabulary) < length:
        return vocabulary[torch.randint(len(vocabulary), (REPEATS, length), generator=generator)]
    return vocabulary[torch.rand(REPEATS, len(vocabulary), generator=generator).argsort(1)[:, :length]]


def uniform_on_random(model: GPT) -> float:
    """What uniform attention scores in `induction_on_random`."""
    length = min(BLOCK, model.context_length // 2)
    return math.fsum(1 / (t + 1) for t in range(length, 2 * length)) / length
