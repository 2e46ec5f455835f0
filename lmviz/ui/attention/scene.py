"""One model at one moment of its training, on one text: what all parts of the page Attention look at. Not here:
Streamlit controls.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmviz.packing import unpack
from lmviz.runs import Run
from lmviz.ui import cache


@dataclass(frozen=True)
class Scene:
    """Shapes: L layers, N heads, T tokens that look (rows), S that are looked at (columns)."""

    run: Run
    step: int
    text: str
    """What is read; of a Transformer the source."""
    part: str
    """attention, encoder_attention or cross_attention."""
    parts: tuple[str, ...]
    """Those that the model has."""
    masked: tuple[int, ...]
    """Places that a bert does not see."""
    rows: list[str]
    columns: list[str]
    layers: int
    heads: int
    entropy: NDArray[np.float32]
    """Mean over rows, nats (L, N)."""
    longest: int | None
    """Tokens that the model can look at."""
    written: str | None
    """The target that a Transformer wrote."""
    picture: NDArray[np.uint8]
    """All maps, see inspect.attention_overview."""

    @property
    def kind(self) -> str:
        return self.run.config().model.kind

    @property
    def causal(self) -> bool:
        """Whether a token sees itself and those before it alone."""
        return self.part == "attention" and self.kind != "bert"

    @property
    def reads_text(self) -> bool:
        """gpt and bert, whose attention is over their own text."""
        return self.kind in ("gpt", "bert")

    @property
    def question(self) -> dict[str, Any]:
        """Arguments that most questions about it share."""
        return {"run": self.run.id, "step": self.step, "text": self.text}


def read_scene(run: Run, step: int, text: str, part: str, masked: tuple[int, ...] = ()) -> Scene:
    """Ask the model.

    Raises:
        LmvizError: it cannot read this text, or has no such attention.
    """
    answer = cache.answer("attention", run=run.id, step=step, text=text, part=part, masked=list(masked))
    return Scene(
        run=run, step=step, text=text, part=part, parts=tuple(answer["parts"]), masked=masked, rows=answer["rows"],
        columns=answer["columns"], layers=answer["layers"], heads=answer["heads"], entropy=unpack(answer["entropy"]),
        longest=answer["longest"], written=answer["written"], picture=unpack(answer["picture"]),
    )  # fmt: skip
