"""Multi-head attention, and the Transformer block around it: one for encoders, decoders and what lies between them.

Training takes torch's fused kernel. Under `watched` every attention is computed in plain steps instead, and hands out
its queries, keys, values, scores and weights; both give the same output (a test says so).
Not the models (gpt.py, bert.py, transformer.py), and not the attention of recurrent decoders (alignment.py).
Papers: Vaswani et al. 2017 (attention, post-norm, ReLU), Radford et al. 2019 (pre-norm, GELU).
Shapes: B batch, T queries, S keys (T in self-attention), N heads, D model width, K = D / N head width.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models.linear import Linear, linear

NormPlace = Literal["pre", "post"]
Activation = Literal["gelu", "relu"]


class Attended(NamedTuple):
    """What one attention did."""

    queries: Tensor  # (B, N, T, K)
    keys: Tensor  # (B, N, S, K)
    values: Tensor  # (B, N, S, K)
    scores: Tensor  # (B, N, T, S), scaled and masked: -inf where a query must not look
    weights: Tensor  # (B, N, T, S), rows sum to 1


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V for every head side by side, then one linear layer.

    The weights are laid out as in torch.nn.MultiheadAttention: `qkv` holds query, key and value as three blocks of
    rows, also where queries come from one sequence and keys and values from another.

    Args:
        causal: each position looks at itself and those before it.
    """

    def __init__(self, d_model: int, num_heads: int, dropout: float, *, causal: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.causal = causal
        self.qkv = Linear(d_model, 3 * d_model)
        self.projection = Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.seen: list[Attended] | None = None
        """Where `watched` collects what happens; None: nobody watches."""

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> queries, keys and values in one (3, B, N, T, K)."""
        heads: Tensor = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, N, K)
        return heads.permute(2, 0, 3, 1, 4)

    def split_across(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, N, T, K) of x (B, T, D); keys and values (B, N, S, K) of memory (B, S, D)."""
        width, product = x.shape[-1], self.qkv.product
        weight, bias = self.qkv.weight, self.qkv.bias
        queries = linear(x, weight[:width], bias[:width], product)  # (B, T, D)
        both = linear(memory, weight[width:], bias[width:], product)  # (B, S, 2 D)
        keys, values = both.view(*both.shape[:2], 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        return queries.view(*queries.shape[:2], self.num_heads, -1).transpose(1, 2), keys, values

    def merge(self, mixed: Tensor) -> Tensor:
        """(B, N, T, K) -> (B, T, D)."""
        out: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return out

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D).

        Args:
            memory: (B, S, D), what keys and values are made of; x itself if None.
            mask: which keys may be looked at, bool, such as (B, 1, 1, S); all of them (that are not later) if None.
        """
        queries, keys, values = self.split(x) if memory is None else self.split_across(x, memory)
        if self.seen is not None:
            return self.merge(self._watched(queries, keys, values, mask))
        dropout = self.dropout.p if self.training else 0.0
        if mask is not None and self.causal:
            mask = mask & ~_later(queries, keys)
        causal = self.causal and mask is None
        return self.merge(
            F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal, dropout_p=dropout)
        )

    def _watched(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """The same in plain steps, without dropout."""
        assert self.seen is not None
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])  # (B, N, T, S)
        if self.causal:
            scores = scores.masked_fill(_later(queries, keys), -math.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        weights = scores.softmax(-1)
        self.seen.append(Attended(queries, keys, values, scores, weights))
        return weights @ values


def _later(queries: Tensor, keys: Tensor) -> Tensor:
    """Where a key comes after its query, (T, S)."""
    return torch.ones(queries.shape[-2], keys.shape[-2], dtype=torch.bool, device=queries.device).triu(1)


@contextmanager
def watched(model: nn.Module) -> Iterator[dict[str, list[Attended]]]:
    """Inside, every attention of `model` computes in plain steps and keeps what it did, under its name in the model."""
    parts = {name: part for name, part in model.named_modules() if isinstance(part, MultiHeadAttention)}
    seen: dict[str, list[Attended]] = {name: [] for name in parts}
    for name, part in parts.items():
        part.seen = seen[name]
    try:
        yield seen
    finally:
        for part in parts.values():
            part.seen = None


class Block(nn.Module):
    """Attention, then (in a decoder that reads a source) attention over the source, then two linear layers; around each
    a residual connection and a layer norm: pre x + f(norm(x)), post norm(x + f(x)).

    Args:
        causal: of the first attention.
        cross: there is a second attention, over a source.
        d_ff: width between the two linear layers; 4 D if None.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        dropout: float,
        *,
        causal: bool = True,
        cross: bool = False,
        norm: NormPlace = "pre",
        activation: Activation = "gelu",
        d_ff: int | None = None,
    ) -> None:
        super().__init__()
        self.pre = norm == "pre"
        wide = d_ff or 4 * d_model
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = MultiHeadAttention(d_model, num_heads, dropout, causal=causal)
        self.cross_norm = nn.LayerNorm(d_model) if cross else None
        self.cross_attention = MultiHeadAttention(d_model, num_heads, dropout, causal=False) if cross else None
        self.mlp_norm = nn.LayerNorm(d_model)
        between = nn.GELU() if activation == "gelu" else nn.ReLU()
        self.mlp = nn.Sequential(Linear(d_model, wide), between, Linear(wide, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); masks as of MultiHeadAttention, memory (B, S, D) if there is a second attention."""
        x = self._add(x, self.attention_norm, self.attention, None, mask)
        if self.cross_attention is not None and self.cross_norm is not None:
            x = self._add(x, self.cross_norm, self.cross_attention, memory, memory_mask)
        return self._add(x, self.mlp_norm, self.mlp)

    def _add(self, x: Tensor, norm: nn.LayerNorm, part: nn.Module, *context: Tensor | None) -> Tensor:
        if self.pre:
            x = x + self.dropout(part(norm(x), *context))
            return x
        out: Tensor = norm(x + self.dropout(part(x, *context)))
        return out


def stacked(blocks: list[list[Attended]], prefix: str) -> dict[str, Tensor]:
    """Signals of one text from what the attentions of a stack saw in one pass each, the lowest first.

    {prefix}.queries, .keys, .values (L, N, T, K) and {prefix}.scores, .weights (L, N, T, S), of the first of a batch.
    """
    fields = {name: [getattr(once, name)[0] for (once,) in blocks] for name in Attended._fields}
    return {f"{prefix}.{name}": torch.stack(values) for name, values in fields.items()}


def attention_signals(prefix: str, queries: str = "query", keys: str = "key") -> dict[str, tuple[str, ...]]:
    """Axes of what `stacked` gives."""
    square = ("layer", "head", queries, keys)
    return {
        f"{prefix}.queries": ("layer", "head", queries, "dimension"),
        f"{prefix}.keys": ("layer", "head", keys, "dimension"),
        f"{prefix}.values": ("layer", "head", keys, "dimension"),
        f"{prefix}.scores": square,
        f"{prefix}.weights": square,
    }
