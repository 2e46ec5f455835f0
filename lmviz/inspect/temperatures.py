"""The next token at every temperature.

Shapes: K temperatures, V vocabulary, R tokens that are named.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TEMPERATURES: NDArray[np.float64] = np.round(np.arange(0.05, 3.001, 0.05), 2)
"""From almost greedy to almost even; 1 is the model itself."""
SHARE = 0.9
"""Of the probability, see `Sweep.needed`."""


@dataclass(frozen=True)
class Sweep:
    """softmax(logits / T) for many T."""

    temperatures: NDArray[np.float64]  # (K,)
    tokens: list[int]  # (R,), the likeliest of the model first
    chances: NDArray[np.float32]  # (K, R)
    entropy: NDArray[np.float64]  # (K,), nats, over the whole vocabulary
    outside: NDArray[np.float64]  # (K,), probability of all tokens that are not named
    needed: NDArray[np.int64]  # (K,), how many of the likeliest tokens it takes to reach `SHARE`


def sweep(logits: Tensor, temperatures: NDArray[np.float64] = TEMPERATURES, named: int = 20) -> Sweep:
    """(V,) logits of the next token -> what each temperature makes of them. A logit of -inf is out at all of them."""
    divided = logits.double() / torch.from_numpy(temperatures)[:, None]  # (K, V)
    chances = divided.softmax(1)
    best = logits.topk(min(named, len(logits))).indices
    ordered = chances.sort(1, descending=True).values.cumsum(1)
    return Sweep(
        temperatures=temperatures, tokens=best.tolist(), chances=chances[:, best].float().numpy(),
        entropy=torch.special.entr(chances).sum(1).numpy(),
        outside=chances.index_fill(1, best, 0.0).sum(1).numpy(),
        needed=(1 + (ordered < SHARE - 1e-12).sum(1)).numpy(),
    )  # fmt: skip
