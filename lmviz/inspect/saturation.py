"""Are gates open, shut or in between? As in figure 3 of Karpathy, Johnson and Li 2016, Visualizing and understanding
recurrent networks: of each unit the share of tokens at which a gate is nearly shut, and nearly open.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmviz.models.cells import Cell, NVSICell

SHUT, OPEN = 0.1, 0.9

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Saturation:
    """Of each unit of one gate, over all tokens (H,)."""

    low: Numbers
    """Share of tokens at which it is below SHUT."""
    high: Numbers
    """Share of tokens at which it is above OPEN."""
    mean: Numbers


def saturation(parts: Iterable[Mapping[str, NDArray[np.float32]]]) -> dict[str, Saturation]:
    """From pieces of gates, name -> (..., H)."""
    sums: dict[str, list[Numbers]] = {}
    count = 0
    for part in parts:
        for name, values in part.items():
            flat = values.reshape(-1, values.shape[-1])
            new = [(flat < SHUT).sum(0), (flat > OPEN).sum(0), flat.sum(0, dtype=np.float64)]
            sums[name] = [a + b for a, b in zip(sums[name], new, strict=True)] if name in sums else new
        count += len(flat)
    return {name: Saturation(*(np.asarray(one / count) for one in found)) for name, found in sums.items()}


def keep(cell: Cell, found: Mapping[str, Saturation]) -> Numbers | None:
    """Mean share of its old state that each unit keeps a step (H,): the forget gate of an LSTM, the update gate of a
    GRU, 1 - the input gate of NVSI with carry. None for cells whose state is made anew each step.
    """
    if "gate.forget" in found:
        return found["gate.forget"].mean
    if "gate.update" in found:
        return found["gate.update"].mean
    if isinstance(cell, NVSICell) and cell.carry:
        return np.asarray(1 - found["gate.input"].mean)
    return None


def memory(kept: Numbers) -> Numbers:
    """Steps 1 / (1 - k) in which a unit that kept its mean share k at each step would fall to about 1/e, for k near 1.
    What it says of a gate that is nearly always open and shuts at times is too much: shut once, it forgets at once.
    """
    return np.asarray(1 / np.maximum(1 - kept, 1e-6))
