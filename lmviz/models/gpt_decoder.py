"""Generation from a GPT with the keys and values of all earlier positions kept.

Flat torch functions on weights that are taken out of their modules once: at one token a step, the calls cost more than
the arithmetic. Until the context is full a token is one pass over one position. From then on the model looks at exactly
the last C tokens: the window moves on, every position in it changes, and it is computed anew.
Shapes: B batch, T time, C context length, V vocabulary, L layers, N heads, D model width, K = D / N head width.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models.attention import Block
from lmviz.models.decoder import Decoder


class GPTState(NamedTuple):
    """The texts so far, written in place: go on from a state once, and copy it to go on twice."""

    tokens: Tensor  # (B, C) int64, filled from the left
    cache: Tensor  # (L, C, B, 3, N, K): of every position its query, key and value, as one product gives them
    length: int

    def select(self, rows: Tensor) -> "GPTState":
        """These sequences (R,), in memory of their own."""
        cache = self.cache.new_empty((*self.cache.shape[:2], len(rows), *self.cache.shape[3:]))
        torch.index_select(self.cache[:, : self.length], 2, rows, out=cache[:, : self.length])
        return GPTState(self.tokens.index_select(0, rows), cache, self.length)


class Norm(NamedTuple):
    """A layer norm's numbers."""

    weight: Tensor  # (D,)
    bias: Tensor  # (D,)
    eps: float

    @classmethod
    def of(cls, module: nn.LayerNorm) -> "Norm":
        return cls(module.weight, module.bias, module.eps)

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Layer(NamedTuple):
    """A block's weights, transposed views (inputs, outputs), so that they cost no memory."""

    attention_norm: Norm
    qkv: Tensor  # (D, 3 D)
    qkv_bias: Tensor
    projection: Tensor  # (D, D)
    projection_bias: Tensor
    mlp_norm: Norm
    up: Tensor  # (D, 4 D)
    up_bias: Tensor
    down: Tensor  # (4 D, D)
    down_bias: Tensor

    @classmethod
    def of(cls, block: Block) -> "Layer":
        products = block.attention.qkv, block.attention.projection, block.mlp[0], block.mlp[2]
        qkv, projection, up, down = ((p.weight.t(), p.bias) for p in cast(tuple[nn.Linear, ...], products))
        return cls(Norm.of(block.attention_norm), *qkv, *projection, Norm.of(block.mlp_norm), *up, *down)


class GPTDecoder(Decoder):
    """See Decoder. Without dropout, whatever the model's mode.

    Args:
        embedding: (V, D), the output layer.
        scale: factor on the embedding as input.
        positions: (C, D), or None.
        blocks: the lowest first.
        norm: the last one.
        context_length: C.
    """

    def __init__(
        self,
        embedding: Tensor,
        scale: float,
        positions: Tensor | None,
        blocks: Sequence[Block],
        norm: nn.LayerNorm,
        context_length: int,
    ) -> None:
        self.inputs = embedding * scale if scale != 1 else embedding  # (V, D)
        self.outputs = embedding.t()  # (D, V)
        self.positions = positions
        self.blocks = blocks
        self.layers = [Layer.of(block) for block in blocks]
        self.norm = Norm.of(norm)
        self.context_length = context_length
        self.state = self.empty(1)

    def empty(self, batch_size: int) -> GPTState:
        """The state before the first token."""
        width, heads = self.inputs.shape[1], self.blocks[0].attention.num_heads
        tokens = self.inputs.new_zeros((batch_size, self.context_length), dtype=torch.int64)
        shape = (len(self.blocks), self.context_length, batch_size, 3, heads, width // heads)
        return GPTState(tokens, self.inputs.new_empty(shape), 0)

    def prefill(self, tokens: Tensor) -> Tensor:
        """One pass over the last C tokens."""
        self.state = self.empty(len(tokens))
        return self._read(tokens[:, -self.context_length :])

    def step(self, tokens: Tensor) -> Tensor:
        written, cache, at = self.state
        if at == self.context_length:
            return self._read(torch.cat([written[:, 1:], tokens[:, None]], 1))
        self.state = GPTState(written, cache, at + 1)
        written.select(1, at).copy_(tokens)
        x = self.inputs.index_select(0, tokens)  # (B, D)
        if self.positions is not None:
            x += self.positions[at]
        rows = cache.select(1, at).flatten(2)  # (L, B, 3 D), a view
        heads = cache.permute(3, 0, 2, 4, 1, 5)  # (3, L, B, N, C, K)
        queries, keys, values = heads.narrow(4, 0, at + 1).unbind(0)  # (L, B, N, at + 1, K)
        seen = zip(self.layers, rows.unbind(0), queries.narrow(3, at, 1).unbind(0), keys, values, strict=True)
        for layer, row, query, key, value in seen:
            torch.addmm(layer.qkv_bias, layer.attention_norm(x), layer.qkv, out=row)  # fills query, key and value
            mixed = F.scaled_dot_product_attention(query, key, value).flatten(1)  # (B, D)
            x = x.addmm_(mixed, layer.projection).add_(layer.projection_bias)
            wide = F.gelu(torch.addmm(layer.up_bias, layer.mlp_norm(x), layer.up))  # (B, 4 D)
            x = x.addmm_(wide, layer.down).add_(layer.down_bias)
        return self.norm(x) @ self.outputs

    def reorder(self, rows: Tensor) -> None:
        """In place where rows that stay are all that others come from, as most often in beam search."""
        written, cache, length = self.state
        moves = {to: row for to, row in enumerate(rows.tolist()) if to != row}
        if len(rows) != len(written) or not moves.keys().isdisjoint(moves.values()):
            self.state = self.state.select(rows)
            return
        filled = cache[:, :length]
        for to, row in moves.items():
            written[to] = written[row]
            filled.select(2, to).copy_(filled.select(2, row))

    def _read(self, window: Tensor) -> Tensor:
        """A whole window (B, T) from its first position on -> logits of the next token (B, V)."""
        length = window.shape[1]
        self.state.tokens[:, :length] = window
        self.state = self.state._replace(length=length)
        x = F.embedding(window, self.inputs)  # (B, T, D)
        if self.positions is not None:
            x = x + self.positions[:length]
        for i, block in enumerate(self.blocks):
            queries, keys, values = heads = block.attention.split(block.attention_norm(x))  # (B, N, T, K) each
            self.state.cache[i, :length] = heads.permute(3, 1, 0, 2, 4)  # (T, B, 3, N, K)
            last = i + 1 == len(self.blocks)
            if last:  # of the highest block nobody reads any position but the newest
                queries, x = queries[:, :, -1:], x[:, -1:]
            x = x + block.attention.merge(F.scaled_dot_product_attention(queries, keys, values, is_causal=not last))
            x = x + block.mlp(block.mlp_norm(x))
        return self.norm(x[:, -1]) @ self.outputs
