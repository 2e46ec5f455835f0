"""Causal self-attention and the Transformer block around it, pre-norm.

Not the model (gpt.py) and not generation from a cache (gpt_decoder.py).
Papers: Vaswani et al. 2017 (attention), Radford et al. 2019 (pre-norm, GELU).
Shapes: B batch, T time, N heads, D model width, K = D / N head width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models.linear import Linear


class Attention(nn.Module):
    """Causal multi-head self-attention: softmax(Q K^T / sqrt(K)) V, each position over itself and those before."""

    def __init__(self, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(d_model, 3 * d_model)
        self.projection = Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> queries, keys and values in one (3, B, N, T, K)."""
        heads: Tensor = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, N, K)
        return heads.permute(2, 0, 3, 1, 4)

    def merge(self, mixed: Tensor) -> Tensor:
        """(B, N, T, K) -> (B, T, D)."""
        out: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        queries, keys, values = self.split(x)
        dropout = self.dropout.p if self.training else 0.0
        return self.merge(F.scaled_dot_product_attention(queries, keys, values, is_causal=True, dropout_p=dropout))

    def explicit(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same in plain steps, without dropout: (B, T, D) -> output, scores and weights (B, N, T, T).

        Scores are scaled and masked: -inf where a key comes after its query.
        """
        queries, keys, values = self.split(x)
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])  # (B, N, T, T)
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(future, -math.inf)
        weights = scores.softmax(-1)
        return self.merge(weights @ values), scores, weights


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, num_heads, dropout)
        self.mlp_norm = nn.LayerNorm(d_model)
        self.mlp = nn.Sequential(Linear(d_model, 4 * d_model), nn.GELU(), Linear(4 * d_model, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x

    def explicit(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) -> output, attention scores and weights; without dropout."""
        mixed, scores, weights = self.attention.explicit(self.attention_norm(x))
        x = x + mixed
        return x + self.mlp(self.mlp_norm(x)), scores, weights
