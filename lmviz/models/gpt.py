"""GPT: a decoder-only Transformer, pre-norm, with the output layer tied to the token embedding.

Not BERT (every position sees only itself and what came before) and not the translation Transformer (no encoder).
Papers: Vaswani et al. 2017 (attention, sine positions), Radford et al. 2018 and 2019 (GPT, GPT-2: pre-norm, GELU),
Press and Wolf 2017 (tied output layer).
Shapes: B batch, T time, C context length, V vocabulary, L layers, N heads, D model width, K = D / N head width.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.config import GPTConfig
from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel
from lmviz.models.init import init_transformer
from lmviz.models.linear import Linear, Product, linear


class Cache(NamedTuple):
    """One layer's keys and values, (B, N, C, K) each, filled from the left."""

    keys: Tensor
    values: Tensor

    def store(self, keys: Tensor, values: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Write (B, N, T, K) at `start`, in place; returns all keys and values up to there."""
        end = start + keys.shape[2]
        self.keys[:, :, start:end] = keys
        self.values[:, :, start:end] = values
        return self.keys[:, :, :end], self.values[:, :, :end]


class GPTState(NamedTuple):
    """What generation carries on: the window of tokens and, as long as it is not full, the caches."""

    tokens: Tensor  # (B, C) int64, filled from the left
    caches: tuple[Cache, ...]
    length: int


class Attention(nn.Module):
    """Causal multi-head self-attention: softmax(Q K^T / sqrt(K)) V, each position over itself and those before."""

    def __init__(self, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(d_model, 3 * d_model)
        self.projection = Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) -> queries, keys and values, (B, N, T, K) each."""
        heads = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, N, K)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # (B, N, T, K)
        return queries, keys, values

    def merge(self, mixed: Tensor) -> Tensor:
        """(B, N, T, K) -> (B, T, D)."""
        out: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return out

    def forward(self, x: Tensor, cache: Cache | None = None, start: int = 0) -> Tensor:
        """(B, T, D) -> (B, T, D). With a cache, x begins at position `start`, and T is 1 or `start` is 0."""
        queries, keys, values = self.split(x)
        if cache is not None:
            keys, values = cache.store(keys, values, start)
        mixed = F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            is_causal=x.shape[1] > 1,  # a single query is the newest and may see every key
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        return self.merge(mixed)

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

    def forward(self, x: Tensor, cache: Cache | None = None, start: int = 0) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), cache, start))
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x

    def explicit(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) -> output, attention scores and weights; without dropout."""
        mixed, scores, weights = self.attention.explicit(self.attention_norm(x))
        x = x + mixed
        return x + self.mlp(self.mlp_norm(x)), scores, weights


class GPT(LanguageModel):
    """The model; its constructor leaves torch's default weights, `build` follows the config's init.

    Args:
        vocab_size: number of tokens V.
        context_length: tokens in the longest window C.
        d_model: width D, a multiple of num_heads.
        num_layers: blocks L.
        num_heads: heads N in a block.
        dropout: share set to zero in training mode: embedding, attention weights, and what each block adds.
        position: learned, sinusoidal (the token embedding is then multiplied by sqrt(D), as in the paper) or none.
    """

    position_table: Tensor | None
    context_length: int
    product: Product = "torch"
    """Who multiplies for the output layer."""

    def __init__(
        self,
        *,
        vocab_size: int,
        context_length: int,
        d_model: int,
        num_layers: int,
        num_heads: int,
        dropout: float = 0.0,
        position: str = "learned",
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.embedding_scale = math.sqrt(d_model) if position == "sinusoidal" else 1.0
        if position == "learned":
            self.position_table = nn.Parameter(torch.randn(context_length, d_model))
        else:
            table = sinusoids(context_length, d_model) if position == "sinusoidal" else None
            self.register_buffer("position_table", table, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(d_model, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(d_model)

    @property
    def layers(self) -> list[Block]:
        """The blocks, the lowest first."""
        return [block for block in self.blocks if isinstance(block, Block)]

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        """attention.scores are scaled and masked: -inf where the key comes after the query."""
        square = ("layer", "head", "query", "key")
        return {"attention.scores": square, "attention.weights": square, "logits": ("time", "token")}

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """(B, T) at positions start, start + 1, ... -> (B, T, D)."""
        x: Tensor = self.embedding(tokens) * self.embedding_scale
        if self.position_table is not None:
            x = x + self.position_table[start : start + tokens.shape[1]]
        return x

    def head(self, x: Tensor) -> Tensor:
        """(..., D) -> logits (..., V), by the token embedding."""
        return linear(self.norm(x), self.embedding.weight, None, self.product)

    def forward(self, tokens: Tensor) -> Tensor:
        """As the contract says.

        Raises:
            ConfigError: T is more than the context length.
        """
        self._check_length(tokens.shape[1])
        x = self.dropout(self.embed(tokens))
        for block in self.layers:
            x = block(x)
        return self.head(x)  # (B, T, V)

    def initial_state(self, batch_size: int) -> GPTState:
        weight = self.embedding.weight
        heads = self.layers[0].attention.num_heads
        shape = (batch_size, heads, self.context_length, weight.shape[1] // heads)  # (B, N, C, K)
        caches = tuple(Cache(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self.layers)
        tokens = torch.zeros(batch_size, self.context_length, dtype=torch.int64, device=weight.device)
        return GPTState(tokens, caches, 0)

    @torch.no_grad()
    def prefill(self, tokens: Tensor) -> tuple[Tensor, GPTState]:
        """One forward pass over the last C tokens; no gradient."""
        window = tokens[:, -self.context_length :]
        state = self.initial_state(len(tokens))
        state.tokens[:, : window.shape[1]] = window
        return self._advance(window, state)

    @torch.no_grad()
    def step(self, tokens: Tensor, state: GPTState) -> tuple[Tensor, GPTState]:
        """As the contract says; no gradient.

        Up to C tokens, keys and values come from the state's cache, which is written in place: go on from a state
        once, and copy it to go on twice. From then on the model looks at exactly the last C tokens: the window moves
        on, every position in it changes, and it is computed anew; each token then costs a forward pass.
        """
        if state.length < self.context_length:
            state.tokens[:, state.length] = tokens
            return self._advance(tokens[:, None], state)
        window = torch.cat([state.tokens[:, 1:], tokens[:, None]], 1)  # (B, C)
        return self._advance(window, state._replace(tokens=window, length=0))

    def _advance(self, tokens: Tensor, state: GPTState) -> tuple[Tensor, GPTState]:
        """Tokens (B, T) that follow the state's -> logits of the next one (B, V) and the state after them."""
        x = self.dropout(self.embed(tokens, state.length))
        for block, cache in zip(self.layers, state.caches, strict=True):
            x = block(x, cache, state.length)
        return self.head(x[:, -1]), state._replace(length=state.length + tokens.shape[1])

    @torch.no_grad()
    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        """As the contract says, with attention computed in plain steps; without dropout, whatever the mode.

        Raises:
            ConfigError: T is more than the context length.
        """
        self._check_length(len(tokens))
        x = self.embed(tokens[None])  # (1, T, D)
        scores, weights = [], []
        for block in self.layers:
            x, block_scores, block_weights = block.explicit(x)
            scores.append(block_scores[0])  # (N, T, T)
            weights.append(block_weights[0])
        return {
            "attention.scores": torch.stack(scores),  # (L, N, T, T)
            "attention.weights": torch.stack(weights),
            "logits": self.head(x)[0],  # (T, V)
        }

    def _check_length(self, length: int) -> None:
        if length > self.context_length:
            raise ConfigError(
                N_(
                    "This text has {tokens} tokens and the model can look at {context_length}: "
                    "give it a shorter text, or train one with a larger context_length."
                ),
                tokens=length,
                context_length=self.context_length,
            )


def sinusoids(length: int, width: int) -> Tensor:
    """Vaswani et al.'s positions (length, width): sin(pos / 10000^(2i/width)) in dimension 2i, cos in 2i + 1."""
    frequencies = 10000.0 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)  # (D/2,)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies  # (C, D/2)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).to(torch.get_default_dtype())  # (C, D)


def build(config: GPTConfig, vocab_size: int, context_length: int) -> GPT:
    """The model of `config`, which can look at `context_length` tokens."""
    model = GPT(
        vocab_size=vocab_size,
        context_length=context_length,
        d_model=config.d_model,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        dropout=config.dropout,
        position=config.position,
    )
    attentions = [block.attention for block in model.layers]
    outputs = [linear for block in model.layers for linear in block.mlp if isinstance(linear, nn.Linear)][1::2]
    init_transformer(
        model,
        config.init,
        config.gain,
        stacked=[attention.qkv for attention in attentions],
        residual=[attention.projection for attention in attentions] + outputs,
    )
    return model
