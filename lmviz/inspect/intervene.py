"""What if a gate stood still? A recurrent model with some of its signals held at a value from some token on.

The weights are shared with the model, and the equations are the cells' own: a held signal takes its value as soon as it
is computed, and all that follows goes on from there. Shapes: B batch, T time, V vocabulary, H hidden, L layers.
"""

from collections.abc import Mapping, Sequence
from copy import copy

import torch
from torch import Tensor, nn

from lmviz.config import Settings
from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel, State
from lmviz.models.cells import Cell, Edit
from lmviz.models.recurrent import RecurrentModel


class Hold(Settings):
    """A signal of one layer that keeps a value. A unit is switched off by its hidden state held at 0."""

    signal: str
    value: float
    layer: int = 0
    units: tuple[int, ...] | None = None
    """None: all of them."""


def intervened(model: RecurrentModel, holds: Sequence[Hold], since: int = 0) -> LanguageModel:
    """The model with its signals held at every token from `since` on; the model itself if nothing is held.

    Raises:
        ConfigError: the model has no such signal, layer or unit.
    """
    kept = [hold for hold in holds if hold.units != ()]
    for hold in kept:
        _check(model, hold)
    return Intervened(model, kept, max(0, since)) if kept else model


class Intervened(LanguageModel):
    """Reads with `model` up to token `since`, and from there with a twin whose signals are held."""

    def __init__(self, model: RecurrentModel, holds: Sequence[Hold], since: int = 0) -> None:
        super().__init__()
        self.vocab_size, self.context_length = model.vocab_size, None
        self.plain, self.held, self.since = model, _twin(model, holds), since
        self.training = model.training

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        return self.plain.signals

    def forward(self, tokens: Tensor) -> Tensor:
        state = self.plain.initial_state(len(tokens))
        pieces = []
        for model, part in self._parts(tokens):
            logits, state = model.read(part, state)
            pieces.append(logits)
        return torch.cat(pieces, 1)  # (B, T, V)

    def initial_state(self, batch_size: int) -> State:
        """How many tokens have been read, and the state of the stack."""
        return 0, self.plain.initial_state(batch_size)

    def prefill(self, tokens: Tensor) -> tuple[Tensor, State]:
        state = self.plain.initial_state(len(tokens))
        x = torch.empty(0)
        for model, part in self._parts(tokens):
            x, state = model.run(part, state)
        return self.plain.head(x[:, -1]), (tokens.shape[1], state)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        place, stack = state
        logits, stack = (self.plain if place < self.since else self.held).step(tokens, stack)
        return logits, (place + 1, stack)

    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        state = self.plain.initial_state(1)
        pieces = []
        for model, part in self._parts(tokens[None]):
            piece, state = model.trace_from(part[0], state)
            pieces.append(piece)
        return {name: torch.cat([piece[name] for piece in pieces], -2) for name in pieces[0]}

    def _parts(self, tokens: Tensor) -> list[tuple[RecurrentModel, Tensor]]:
        """Who reads which columns of (B, T)."""
        parts = [(self.plain, tokens[:, : self.since]), (self.held, tokens[:, self.since :])]
        return [(model, part) for model, part in parts if part.shape[1]]


def _twin(model: RecurrentModel, holds: Sequence[Hold]) -> RecurrentModel:
    """The same modules around copies of the cells, which share their weights."""
    cells = []
    for layer, cell in enumerate(model.layers):
        mine = [hold for hold in holds if hold.layer == layer]
        cells.append(copy(cell))
        if mine:
            cells[-1].edit = _edit(mine)
    twin = copy(model)
    twin._modules = {**model._modules, "cells": nn.ModuleList(cells)}
    return twin


def _edit(holds: Sequence[Hold]) -> Edit:
    def edit(name: str, values: Tensor) -> Tensor:
        for hold in holds:
            if hold.signal == name:
                values = values.clone()
                values[..., slice(None) if hold.units is None else list(hold.units)] = hold.value
        return values

    return edit


def _check(model: RecurrentModel, hold: Hold) -> None:
    layers: list[Cell] = model.layers
    if not 0 <= hold.layer < len(layers):
        raise ConfigError(N_("There is no layer {layer}: the model has {count}."), layer=hold.layer, count=len(layers))
    cell = layers[hold.layer]
    if hold.signal not in cell.signals:
        raise ConfigError(
            N_("The model has no signal {signal}. It has: {known}."),
            signal=hold.signal, known=", ".join(cell.signals),
        )  # fmt: skip
    if not all(0 <= unit < cell.hidden_size for unit in hold.units or ()):
        raise ConfigError(N_("The units are numbered from 0 to {last}."), last=cell.hidden_size - 1)
