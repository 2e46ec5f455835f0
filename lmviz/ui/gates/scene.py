"""One model at one moment of its training, on one text: what all parts of the page Gates look at. Not here: Streamlit
controls.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.gates.names import in_order
from lmviz.ui.gradients.reading import UNKNOWN, typed_pieces


@dataclass(frozen=True)
class Scene:
    """Shapes: T tokens read, <begin> first; H units of the layer."""

    run: Run
    step: int
    label: str
    """A name that tells it from the other scene."""
    text: str
    layer: int
    """0 is the lowest."""
    layers: int
    tokens: list[str]
    """What is read at each step (T,); as typed, also where the model's vocabulary does not have it."""
    unknown: frozenset[int]
    """Places of those that it does not have."""
    signals: dict[str, NDArray[np.float32]]
    """name -> (T, H), in the order in which a step computes them."""
    similar: list[int]
    """The units so that similar ones stand together."""

    @property
    def units(self) -> int:
        return int(self.signals["hidden"].shape[1])

    @property
    def state(self) -> str:
        """The signal that carries what the layer remembers: `cell` of an LSTM, else `hidden`."""
        return "cell" if "cell" in self.signals else "hidden"

    @property
    def gates(self) -> list[str]:
        """Names of its gates; an RNN has none."""
        return [name for name in self.signals if name.startswith("gate.")]

    @property
    def untrained(self) -> int | None:
        """The step of its weights before training, if they are kept."""
        return 0 if 0 in self.run.checkpoint_steps() else None

    def is_start_of(self, other: "Scene") -> bool:
        """Whether it is the same run before its training."""
        return self.run.id == other.run.id and self.step == other.untrained


def read_scene(run: Run, step: int, label: str, text: str, layer: int) -> Scene:
    """Ask the model.

    Raises:
        LmvizError: it cannot read this text, or has no such layer.
    """
    answer, signals = cache.gates(run.id, step, text, layer)
    tokens = list(answer["tokens"])
    unknown = frozenset(place for place, token in enumerate(tokens) if token == UNKNOWN)
    pieces = typed_pieces(run.config().tokenizer.kind, text) if unknown else []
    if len(pieces) == len(tokens) - 1:
        tokens = [tokens[0], *(pieces[at - 1] if at in unknown else tokens[at] for at in range(1, len(tokens)))]
    ordered = {name: signals[name] for name in in_order(signals)}
    return Scene(run, step, label, text, layer, answer["layers"], tokens, unknown, ordered, answer["order"])
