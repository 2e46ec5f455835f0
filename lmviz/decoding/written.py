"""What a model wrote for a source. No torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Written:
    """What became of one source; T steps, S source tokens with <end>."""

    tokens: list[int]
    """Without <end>."""
    text: str
    logprobs: list[float]
    """Natural logarithm of each token's probability; of <end> too, if it came (T,)."""
    attention: NDArray[np.float32] | None
    """Where each step looked (T, S), mean over layers and heads; None where the model has no attention."""
