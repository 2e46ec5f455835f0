"""GPT: a decoder-only Transformer, pre-norm, with the output layer tied to the token embedding.

Not BERT (every position sees only itself and what came before) and not the translation Transformer (no encoder).
Papers: Vaswani et al. 2017 (attention, sine positions), Radford et al. 2018 and 2019 (GPT, GPT-2: pre-norm, GELU),
Press and Wolf 2017 (tied output layer).
Shapes: B batch, T time, C context length, V vocabulary, L layers, N heads, D model width, K = D / N head width.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lmviz.config import GPTConfig
from lmviz.errors import N_, ConfigError
from lmviz.models.attention import Block, attention_signals, stacked, watched
from lmviz.models.base import LanguageModel, without_dropout
from lmviz.models.gpt_decoder import GPTDecoder, GPTState
from lmviz.models.init import init_transformer
from lmviz.models.linear import Product, linear
from lmviz.models.positions import sinusoids


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
        return {**attention_signals("attention"), "logits": ("time", "token")}

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D)."""
        x: Tensor = self.embedding(tokens) * self.embedding_scale
        if self.position_table is not None:
            x = x + self.position_table[: tokens.shape[1]]
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

    def decoder(self) -> GPTDecoder:
        return GPTDecoder(
            self.embedding.weight,
            self.embedding_scale,
            self.position_table,
            self.layers,
            self.norm,
            self.context_length,
        )

    @torch.no_grad()
    def initial_state(self, batch_size: int) -> GPTState:
        return self.decoder().empty(batch_size)

    @torch.no_grad()
    def prefill(self, tokens: Tensor) -> tuple[Tensor, GPTState]:
        """One forward pass over the last C tokens; no gradient and no dropout."""
        decoder = self.decoder()
        return decoder.prefill(tokens), decoder.state

    @torch.no_grad()
    def step(self, tokens: Tensor, state: GPTState) -> tuple[Tensor, GPTState]:
        """As the contract says, with a window that moves on beyond C tokens; no gradient and no dropout."""
        decoder = self.decoder()
        decoder.state = state
        return decoder.step(tokens), decoder.state

    def reorder_state(self, state: GPTState, rows: Tensor) -> GPTState:
        return state.select(rows)

    @torch.no_grad()
    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        """As the contract says, with attention computed in plain steps; without dropout, whatever the mode.

        Raises:
            ConfigError: T is more than the context length.
        """
        self._check_length(len(tokens))
        x = self.embed(tokens[None])  # (1, T, D)
        with watched(self) as seen, without_dropout(self):
            for block in self.layers:
                x = block(x)
        return {**stacked(list(seen.values()), "attention"), "logits": self.head(x)[0]}  # logits (T, V)

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
