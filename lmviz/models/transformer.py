"""The Transformer: an encoder that reads the source both ways, a decoder that looks at itself and at the encoder.

Vaswani et al. 2017, with the output layer tied to the target's embedding as there (Press and Wolf 2017); layer norms
before each part by default, which trains without a long warm-up, or after it as in the paper.
Shapes: B batch, S source time, T target time, V target vocabulary, D model width.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lmviz.config import TransformerConfig
from lmviz.errors import N_, ConfigError
from lmviz.models.attention import Block, attention_signals, stacked, watched
from lmviz.models.base import without_dropout
from lmviz.models.init import init_matrix
from lmviz.models.linear import Linear, Product, linear
from lmviz.models.pairs import PairModel, source_mask
from lmviz.models.positions import Embedding


class TransformerState(NamedTuple):
    """What the encoder made of the source, and what was read of the target so far."""

    memory: Tensor  # (B, S, D)
    mask: Tensor  # (B, 1, 1, S) bool
    tokens: Tensor  # (B, T) int64


class Transformer(PairModel):
    """See the module. `longest`: tokens of the longest source or target, if positions are learned."""

    context_length: int | None
    product: Product = "torch"

    def __init__(self, config: TransformerConfig, vocab_size: int, source_vocab_size: int, longest: int) -> None:
        super().__init__()
        d, heads, dropout = config.d_model, config.num_heads, config.dropout
        self.vocab_size, self.source_vocab_size = vocab_size, source_vocab_size
        self.context_length = longest if config.position == "learned" else None
        self.source_embedding = Embedding(source_vocab_size, d, longest, config.position)
        self.embedding = Embedding(vocab_size, d, longest, config.position)
        block = partial(Block, d, heads, dropout, norm=config.norm, activation=config.activation)
        self.encoder = nn.ModuleList(block(causal=False) for _ in range(config.num_layers))
        self.decoder_blocks = nn.ModuleList(block(cross=True) for _ in range(config.num_layers))
        pre = config.norm == "pre"
        self.encoder_norm: nn.Module = nn.LayerNorm(d) if pre else nn.Identity()
        self.norm: nn.Module = nn.LayerNorm(d) if pre else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        """attention: the decoder over itself; cross_attention: the decoder over the source; encoder_attention."""
        return {
            **attention_signals("encoder_attention", "key", "key"),
            **attention_signals("attention", "query", "query"),
            **attention_signals("cross_attention"),
            "logits": ("query", "token"),
        }

    def encode(self, source: Tensor) -> TransformerState:
        self._check(source.shape[1])
        mask = source_mask(source)[:, None, None]  # (B, 1, 1, S)
        x = self.dropout(self.source_embedding(source))
        for block in self.encoder:
            x = block(x, mask)
        return TransformerState(self.encoder_norm(x), mask, source.new_empty((len(source), 0)))

    def read(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """The whole target so far goes through the decoder again: targets are short."""
        whole = torch.cat([state.tokens, tokens], 1)
        self._check(whole.shape[1])
        x = self.dropout(self.embedding(whole))
        for block in self.decoder_blocks:
            x = block(x, None, state.memory, state.mask)
        x = self.norm(x[:, state.tokens.shape[1] :])
        return linear(x, self.embedding.tokens.weight, None, self.product), state._replace(tokens=whole)

    def step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        logits, after = self.read(tokens[:, None], state)
        return logits[:, -1], after

    @torch.no_grad()
    def look(self, source: Tensor, tokens: Tensor) -> Tensor | None:
        with watched(self) as seen, without_dropout(self):
            self.read(tokens, self.encode(source))
        weights = [found[0].weights for name, found in seen.items() if name.endswith("cross_attention")]
        return torch.stack(weights).mean((0, 2))  # (B, T, S)

    @torch.no_grad()
    def trace_pair(self, source: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """As the contract says, without dropout, whatever the mode."""
        with watched(self) as seen, without_dropout(self):
            logits, _ = self.read(tokens[None], self.encode(source[None]))

        encoder = [found for name, found in seen.items() if name.startswith("encoder.")]
        own = [found for name, found in seen.items() if name.startswith("decoder_blocks.") and "cross" not in name]
        cross = [found for name, found in seen.items() if name.endswith("cross_attention")]
        return {
            **stacked(encoder, "encoder_attention"),
            **stacked(own, "attention"),
            **stacked(cross, "cross_attention"),
            "logits": logits[0],
        }

    def _check(self, length: int) -> None:
        if self.context_length is not None and length > self.context_length:
            raise ConfigError(
                N_("This text has {tokens} tokens and the model has {context_length} places: give it a shorter text, or"
                   " train one with a larger context_length."),
                tokens=length, context_length=self.context_length,
            )  # fmt: skip


def build(config: TransformerConfig, vocab_size: int, context_length: int, source_vocab_size: int) -> Transformer:
    """The model of `config`; Xavier weights, as is usual for it. `context_length` is the longest text it can place."""
    model = Transformer(config, vocab_size, source_vocab_size, context_length)
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            init_matrix(module.weight, "xavier", blocks=3 if name.endswith("qkv") else 1)
            nn.init.zeros_(module.bias)
    return model
