"""How a token knows its place: a learned table, sine waves, or not at all. Used by all models without recurrence.

Shapes: B batch, T time, C context length, D model width, V vocabulary.
"""

import math

import torch
from torch import Tensor, nn

LEARNED_STD = 0.02


class Embedding(nn.Module):
    """Tokens (B, T) -> vectors (B, T, D) that know their place.

    Args:
        longest: places that a learned table has; the others have no such limit, their table grows as needed.
        position: learned; sinusoidal, which multiplies the token's vector by sqrt(D) as Vaswani et al. 2017 do; none.
    """

    positions: Tensor | None

    def __init__(self, vocab_size: int, width: int, longest: int, position: str) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.scale = math.sqrt(width) if position == "sinusoidal" else 1.0
        self.grows = position == "sinusoidal"
        nn.init.normal_(self.tokens.weight, std=width**-0.5 if self.grows else LEARNED_STD)
        if position == "learned":
            self.positions = nn.Parameter(torch.randn(longest, width) * LEARNED_STD)
        else:
            table = sinusoids(longest, width) if self.grows else None
            self.register_buffer("positions", table, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.tokens(tokens) * self.scale
        if self.positions is None:
            return x
        length = tokens.shape[1]
        if self.grows and length > len(self.positions):
            self.positions = sinusoids(2 * length, x.shape[-1]).to(x.dtype)
        return x + self.positions[:length]


def sinusoids(length: int, width: int) -> Tensor:
    """Vaswani et al.'s positions (length, width): sin(pos / 10000^(2i/width)) in dimension 2i, cos in 2i + 1."""
    frequencies = 10000.0 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)  # (D/2,)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies  # (C, D/2)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).to(torch.get_default_dtype())  # (C, D)
