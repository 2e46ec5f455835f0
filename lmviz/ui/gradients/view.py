"""What the part "At birth" shows, as plain values: read from the address, written to it, and asked of the models.

Not here: the controls (controls.py) and Streamlit.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lmviz.config import Init, Settings
from lmviz.errors import N_
from lmviz.ui.address import from_address as address_view

CellName = Literal["rnn", "nvsi", "carry", "gru", "lstm"]
"""A kind of recurrent model; carry is NVSI-RNN with the path that the article's cell lacks."""
CELL_NAMES: tuple[CellName, ...] = ("rnn", "nvsi", "carry", "gru", "lstm")

Quantity = Literal["norm", "jacobian", "spectrum"]

HIDDEN_SIZES = (16, 32, 64, 128, 256)
JACOBIAN_COST = 100 * 128**3
"""Steps times units cubed up to which a Jacobian product is shown: five cells then take about two seconds."""

CLAIM_LENGTH = 40
"""The article's curves end at 30 steps; in a longer figure they would be a stub, so they are not shown at first."""


class View(Settings):
    """Every field has its own name in the address; a value that is as at first is left out there."""

    cells: tuple[CellName, ...] = CELL_NAMES
    length: int = Field(default=100, ge=10, le=200)
    """Steps in a sequence."""
    hidden: Annotated[Literal[16, 32, 64, 128, 256], BeforeValidator(int)] = 64
    """Numbers in the hidden state."""
    init: Init = "pytorch"
    gain: float = Field(default=1.0, ge=0.1, le=4)
    forget: float = Field(default=0.0, ge=-6, le=6)
    """Bias of the LSTM's forget gate; 0 leaves what the initialisation gives. The same for the next two."""
    update: float = Field(default=0.0, ge=-6, le=6)
    input: float = Field(default=0.0, ge=-6, le=6)
    scale: float = Field(default=1.0, ge=0, le=3)
    """Standard deviation of the random inputs."""
    seed: int = Field(default=1, ge=0, le=9999)
    show: Quantity = "norm"
    every_step: bool = False
    """A loss at every step instead of at the last step alone."""
    claims: bool | None = None
    """The article's curves; None: shown where the sequences are short enough for them."""
    whole: bool = False
    """The y-axis down to the smallest number instead of to the figure's floor."""

    @property
    def jacobian_is_slow(self) -> bool:
        return self.length * self.hidden**3 > JACOBIAN_COST

    @property
    def claims_shown(self) -> bool:
        return self.length <= CLAIM_LENGTH if self.claims is None else self.claims


PRESETS: dict[str, tuple[str, View]] = {
    "pytorch": (N_("PyTorch defaults"), View()),
    "article": (N_("The article's claim"), View(cells=("rnn", "nvsi"), length=30, claims=True)),
    "bias": (N_("Forget bias 3"), View(forget=3, update=3)),
    "edge": (N_("Edge of chaos"), View(init="orthogonal", gain=1.85)),
    "exploding": (N_("Exploding"), View(init="orthogonal", gain=3)),
    "carry": (N_("The missing carry"), View(cells=("rnn", "nvsi", "carry"), input=-4)),
}
"""Name -> what its button says, and the view that it leads to. With orthogonal weights and a gain of 1.85 the gradient
of the RNN stays closest to its size: 0.99 a step (1.8: 0.97, 1.9: 1.01; mean of 5 seeds, 64 units, 100 steps)."""


def from_address(address: Mapping[str, str]) -> View:
    """The view of an address; what it does not say, or says wrongly, is as at first."""
    return address_view(View, address)


def question(view: View) -> dict[str, Any]:
    """The arguments of the question "gradients" (lmviz.jobs.questions)."""
    return {
        "cells": [_cell(name, view) for name in view.cells],
        "length": view.length,
        "seed": view.seed,
        "input_scale": view.scale,
        "every_step": view.every_step and view.show == "norm",
        "jacobian": view.show == "jacobian",
        "spectra": view.show == "spectrum",
    }


def _cell(name: CellName, view: View) -> dict[str, Any]:
    """The model's settings; a bias of 0 is none, which leaves what the initialisation gives."""
    biases = {
        "lstm": {"forget_gate_bias": view.forget or None},
        "gru": {"update_gate_bias": view.update or None},
        "nvsi": {"input_gate_bias": view.input or None},
        "carry": {"input_gate_bias": view.input or None, "carry": True},
    }
    return {
        "kind": "nvsi" if name == "carry" else name,
        "hidden_size": view.hidden,
        "embedding_dim": view.hidden,
        "init": view.init,
        "gain": view.gain,
        **biases.get(name, {}),
    }
