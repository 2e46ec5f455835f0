"""Steps of a training along a logarithmic axis with room for step 0, and the moment that is looked at."""

import math
from collections.abc import Sequence
from typing import Any

from lmviz.ui.theme import ACCENT


def place(step: int) -> float:
    """Where a step stands."""
    return math.log10(step + 1)


def steps_axis(steps: Sequence[int], title: str) -> dict[str, Any]:
    """An x-axis on which traces have their `place`, with a label at 0 and at powers of ten."""
    ticks = [step for step in (0, *(10**power for power in range(1, 7))) if step <= max(steps)]
    return {
        "title": {"text": title}, "tickvals": [place(step) for step in ticks],
        "ticktext": [f"{step:,}" for step in ticks],
    }  # fmt: skip


def moment_line(x: float) -> dict[str, Any]:
    """The shape that marks it."""
    line = {"color": ACCENT, "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}
