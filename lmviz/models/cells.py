"""The recurrent cells, each as one readable step in which every gate has a name.

Not the model around them (recurrent.py). Weights have torch.nn's layout and gate order, so that they copy over.
The equations of a cell stand in its `step_from`: that is the path to read, and the one that looking inside takes.
Training takes `forward_sequence`, which must equal the loop over `step_from`, by faster ways: fast.py for the RNN, NVSI
and GRU, torch's fused kernel for the LSTM.

Papers: Elman 1990 (RNN), Hochreiter and Schmidhuber 1997 and Gers et al. 2000 (LSTM), Cho et al. 2014 (GRU).
Shapes: B batch, T time, D input width, H hidden, G blocks of rows (one a gate or candidate).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models import fast, lstm_sequence
from lmviz.models.init import init_cell
from lmviz.models.linear import Product, linear
from lmviz.models.lstm_sequence import Gradients

CellState = tuple[Tensor, ...]
"""(hidden,) or (hidden, cell), each (B, H): the hidden state always comes first."""
STATES = ("hidden", "cell")
"""The signals that they are, in this order."""

Edit = Callable[[str, Tensor], Tensor]
"""Name of a signal and its values (..., H) as the equations have them -> the values to go on with."""


class Cell(nn.Module, ABC):
    """What all cells share: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih and bias_hh (G*H,), pytorch's init."""

    blocks: ClassVar[tuple[str, ...]]
    """What each block of H rows in the weights computes, from the top."""
    signals: ClassVar[tuple[str, ...]]
    """Names of what `step` shows, in the order in which `step_from` returns it."""
    state_size: ClassVar[int] = 1
    """Tensors in the state."""
    product: Product = "torch"
    """Who multiplies the input of all steps; see linear.py."""
    state_gradients: list[Gradients] | None = None
    """Where the backward pass puts dL/d(state); set it by `watch_state_gradients` (state_gradients.py)."""
    edit: Edit | None = None
    """Changes signals as they are computed, for experiments (lmviz.inspect.intervene); it takes the loop over steps."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = len(self.blocks) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        init_cell(self, "pytorch")

    def initial_state(self, batch_size: int) -> CellState:
        """Zeros."""
        return (self.weight_hh.new_zeros(batch_size, self.hidden_size),) * self.state_size

    def project(self, x: Tensor) -> Tensor:
        """The input's share of every block: (..., D) -> (..., G*H). It does not depend on the state."""
        return linear(x, self.weight_ih, self.bias_ih, self.product)

    def recur(self, hidden: Tensor) -> Tensor:
        """The hidden state's share of every block: (B, H) -> (B, G*H)."""
        return F.linear(hidden, self.weight_hh, self.bias_hh)

    @abstractmethod
    def step_from(self, projected: Tensor, state: CellState) -> tuple[CellState, tuple[Tensor, ...]]:
        """The equations: projected input (B, G*H) and state -> next state and the values of `signals`, each (B, H)."""

    def edited(self, name: str, values: Tensor) -> Tensor:
        """A signal as it is to be; `step_from` calls this for every one."""
        return values if self.edit is None else self.edit(name, values)

    def step(self, x: Tensor, state: CellState) -> tuple[CellState, dict[str, Tensor]]:
        """One step: x (B, D) and state -> next state and every signal by name, each (B, H)."""
        state, values = self.step_from(self.project(x), state)
        return state, dict(zip(self.signals, values, strict=True))

    def forward_sequence(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """All steps: x (B, T, D), T >= 1, and state -> hidden states (B, T, H) and the last state.

        The seam for faster ways: a subclass may override this as long as it equals `loop`, and takes it while there is
        an `edit`.
        """
        return self.loop(self.project(x), state)  # one product for all steps

    def loop(self, projected: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """`step_from` again and again, from what `project` gives (B, T, G*H)."""
        outputs = []
        for one in projected.unbind(1):  # (B, G*H)
            state, _ = self.step_from(one, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1), state

    def signals_of(self, x: Tensor, outputs: Tensor, state: CellState) -> dict[str, Tensor]:
        """Every signal of a sequence that has been run, all steps at once, by the equations of `step_from`.

        Args:
            x: what went in (..., T, D).
            outputs: the hidden states that `forward_sequence` gave (..., T, H).
            state: the state before the first step, (..., H) each.

        Returns:
            name -> (..., T, H), in the order of `signals`.
        """
        _, values = self.step_from(self.project(x), (_shifted(state[0], outputs),))
        return dict(zip(self.signals, values, strict=True))


def _shifted(first: Tensor, values: Tensor) -> Tensor:
    """What was there before each step: first (..., H) and values (..., T, H) -> (..., T, H)."""
    return torch.cat([first.unsqueeze(-2), values[..., :-1, :]], -2)


class FastCell(Cell):
    """A cell that has a recipe in fast.py."""

    @property
    @abstractmethod
    def recipe(self) -> fast.Recipe:
        """The equations once more, as whole sequences want them."""

    def forward_sequence(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        projected = self.project(x.transpose(0, 1).contiguous())  # (T, B, G*H), as fast.py wants it in memory
        return self.forward_projected(projected.transpose(0, 1), state)

    def forward_projected(self, projected: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """`forward_sequence` from what `project` gives, (B, T, G*H)."""
        if self.edit is not None:
            return self.loop(projected, state)
        outputs, last = fast.run(
            self.recipe, projected, state[0], self.weight_hh, self.bias_hh, seen=self.state_gradients
        )
        return outputs, (last,)


class RNNCell(FastCell):
    """The plain recurrent network (Elman 1990).

    h = tanh(W_ih x + b_ih + W_hh h_before + b_hh)
    """

    blocks = ("hidden",)
    signals = ("hidden",)
    recipe = fast.RNN()

    def step_from(self, projected: Tensor, state: CellState) -> tuple[CellState, tuple[Tensor, ...]]:
        hidden = self.edited("hidden", torch.tanh(projected + self.recur(state[0])))
        return (hidden,), (hidden,)


class NVSICell(FastCell):
    """NVSI-RNN, "non-vanishing sigmoid input"; known from one article only, so its equations are printed here.

    i = sigmoid(W_xi x + W_hi h_before + b_i)       gate.input
    n = tanh(W_xh x + W_hh h_before + b_h)          candidate
    h = i * n
    With carry, which the article does not have (it makes the cell a minimal gated unit, Zhou et al. 2016):
    h = (1 - i) * h_before + i * n
    b_i and b_h are each kept in two parts, b_ih + b_hh, as torch does.
    """

    blocks = ("gate.input", "candidate")
    signals = ("hidden", "gate.input", "candidate")

    def __init__(self, input_size: int, hidden_size: int, carry: bool = False) -> None:
        super().__init__(input_size, hidden_size)
        self.carry = carry

    @property
    def recipe(self) -> fast.Recipe:
        return fast.NVSI(self.carry)

    def step_from(self, projected: Tensor, state: CellState) -> tuple[CellState, tuple[Tensor, ...]]:
        gate, candidate = (projected + self.recur(state[0])).chunk(2, -1)
        gate = self.edited("gate.input", torch.sigmoid(gate))
        candidate = self.edited("candidate", torch.tanh(candidate))
        hidden = gate * candidate
        if self.carry:
            hidden = (1 - gate) * state[0] + hidden
        hidden = self.edited("hidden", hidden)
        return (hidden,), (hidden, gate, candidate)


class GRUCell(FastCell):
    """Gated recurrent unit (Cho et al. 2014), in torch's form: the reset gate acts after the recurrent product.

    r = sigmoid(W_ir x + b_ir + W_hr h_before + b_hr)           gate.reset
    z = sigmoid(W_iz x + b_iz + W_hz h_before + b_hz)           gate.update, 1 keeps the old state
    n = tanh(W_in x + b_in + r * (W_hn h_before + b_hn))        candidate
    h = (1 - z) * n + z * h_before
    """

    blocks = ("gate.reset", "gate.update", "candidate")
    signals = ("hidden", "gate.reset", "gate.update", "candidate")
    recipe = fast.GRU()

    def step_from(self, projected: Tensor, state: CellState) -> tuple[CellState, tuple[Tensor, ...]]:
        (before,) = state
        input_reset, input_update, input_candidate = projected.chunk(3, -1)
        hidden_reset, hidden_update, hidden_candidate = self.recur(before).chunk(3, -1)
        reset = self.edited("gate.reset", torch.sigmoid(input_reset + hidden_reset))
        update = self.edited("gate.update", torch.sigmoid(input_update + hidden_update))
        candidate = self.edited("candidate", torch.tanh(input_candidate + reset * hidden_candidate))
        hidden = self.edited("hidden", (1 - update) * candidate + update * before)
        return (hidden,), (hidden, reset, update, candidate)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i = sigmoid(W_ii x + b_ii + W_hi h_before + b_hi)       gate.input
    f = sigmoid(W_if x + b_if + W_hf h_before + b_hf)       gate.forget, 1 keeps the old cell
    g = tanh(W_ig x + b_ig + W_hg h_before + b_hg)          candidate
    o = sigmoid(W_io x + b_io + W_ho h_before + b_ho)       gate.output
    c = f * c_before + i * g                                cell
    h = o * tanh(c)
    """

    blocks = ("gate.input", "gate.forget", "candidate", "gate.output")
    signals = ("hidden", "cell", "gate.input", "gate.forget", "gate.output", "candidate")
    state_size = 2

    def step_from(self, projected: Tensor, state: CellState) -> tuple[CellState, tuple[Tensor, ...]]:
        before, cell_before = state
        gate_input, gate_forget, candidate, gate_output = self.gates(projected, before)
        cell = self.edited("cell", gate_forget * cell_before + gate_input * candidate)
        hidden = self.edited("hidden", gate_output * torch.tanh(cell))
        return (hidden, cell), (hidden, cell, gate_input, gate_forget, gate_output, candidate)

    def gates(self, projected: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """i, f, g, o from the projected input (..., 4*H) and the hidden state before (..., H); they need no cell."""
        i, f, g, o = (projected + self.recur(before)).chunk(4, -1)
        return (
            self.edited("gate.input", torch.sigmoid(i)),
            self.edited("gate.forget", torch.sigmoid(f)),
            self.edited("candidate", torch.tanh(g)),
            self.edited("gate.output", torch.sigmoid(o)),
        )

    def signals_of(self, x: Tensor, outputs: Tensor, state: CellState) -> dict[str, Tensor]:
        """As for every cell; only the cell state, which the fused kernel does not give, takes a loop over time."""
        hidden_before, cell = _shifted(state[0], outputs), state[1]
        gate_input, gate_forget, candidate, gate_output = self.gates(self.project(x), hidden_before)
        written = gate_input * candidate
        cells = []
        for forget, new in zip(gate_forget.unbind(-2), written.unbind(-2), strict=True):
            cell = self.edited("cell", forget * cell + new)
            cells.append(cell)
        cell = torch.stack(cells, -2)
        hidden = self.edited("hidden", gate_output * torch.tanh(cell))
        values = (hidden, cell, gate_input, gate_forget, gate_output, candidate)
        return dict(zip(self.signals, values, strict=True))

    def forward_sequence(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Torch's fused kernel, the one nn.LSTM calls; while its states' gradients are watched, lstm_sequence.py."""
        if self.edit is not None:
            return super().forward_sequence(x, state)
        if self.state_gradients is not None:
            outputs, hidden, cell = lstm_sequence.run(
                self.project(x), state, self.weight_hh, self.bias_hh, self.state_gradients
            )
            return outputs, (hidden, cell)
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        outputs, hidden, cell = torch.lstm(
            x,
            [part[None] for part in state],  # (1, B, H) each: one layer
            weights,
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )
        return outputs, (hidden[0], cell[0])


CELLS: dict[str, type[Cell]] = {"rnn": RNNCell, "nvsi": NVSICell, "gru": GRUCell, "lstm": LSTMCell}
"""Model kind -> its cell."""
