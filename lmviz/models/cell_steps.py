"""A recurrent cell's step for generation: the equations of cells.py, written for few calls and no new memory.

At one sequence and 128 units a call of torch costs more than its arithmetic. So both biases are added in advance, the
sum over the hidden state lands in a buffer whose blocks are cut once, and gates are made in place. A cell without a
fast step takes its own `step_from`. That each equals `step_from` is tested.
Shapes: B batch, V vocabulary, D input width, H hidden, G blocks of rows.
"""

import torch
from torch import Tensor

from lmviz.models.cells import Cell, CellState, GRUCell, LSTMCell, NVSICell, RNNCell


class CellStep:
    """One cell with the state of B sequences; for any cell."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.state: CellState = ()

    def begin(self, state: CellState) -> None:
        """Go on from here; the tensors stay the caller's."""
        self.state = state

    def reorder(self, rows: Tensor) -> None:
        """Go on with the states of these sequences (R,)."""
        self.state = tuple(part.index_select(0, rows) for part in self.state)

    def project(self, x: Tensor) -> Tensor:
        """What the step wants of the input: (B, D) -> (B, G*H)."""
        return self.cell.project(x)

    def __call__(self, projected: Tensor) -> Tensor:
        """The next hidden state (B, H), good until the next call."""
        self.state, _ = self.cell.step_from(projected, self.state)
        return self.state[0]


class FastStep(CellStep):
    """What the fast ones share: sums = W_ih x + b_ih + W_hh h + b_hh, cut into blocks."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.weight_ih = self.arranged(cell.weight_ih).t()  # (D, G*H)
        self.weight_hh = self.arranged(cell.weight_hh).t().contiguous()  # (H, G*H), the faster layout for one row
        self.bias = self.arranged(cell.bias_ih + cell.bias_hh)  # (G*H,)

    def arranged(self, weight: Tensor) -> Tensor:
        """(G*H, ...) with its blocks in the order in which the step wants them."""
        return weight

    def begin(self, state: CellState) -> None:
        self.hidden, *rest = (part.clone() for part in state)
        self.memory = rest[0] if rest else self.hidden
        self.sums = self.hidden.new_empty(len(self.hidden), len(self.bias))  # (B, G*H)
        self.blocks = self.sums.chunk(len(self.cell.blocks), 1)  # (B, H) each

    def reorder(self, rows: Tensor) -> None:
        parts = (self.hidden,) if self.memory is self.hidden else (self.hidden, self.memory)
        chosen = [part.index_select(0, rows) for part in parts]
        if len(rows) != len(self.hidden):
            return self.begin(tuple(chosen))  # buffers of another size
        for part, of_rows in zip(parts, chosen, strict=True):
            part.copy_(of_rows)

    def project(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight_ih)

    def add(self, projected: Tensor) -> None:
        """Fill the sums."""
        torch.addmm(projected, self.hidden, self.weight_hh, out=self.sums)


class RNNStep(FastStep):
    def __call__(self, projected: Tensor) -> Tensor:
        self.add(projected)
        return torch.tanh(self.sums, out=self.hidden)


class NVSIStep(FastStep):
    def __call__(self, projected: Tensor) -> Tensor:
        self.add(projected)
        gate, candidate = self.blocks
        return torch.mul(gate.sigmoid_(), candidate.tanh_(), out=self.hidden)


class CarryStep(FastStep):
    """NVSI with carry: (1 - i) * h + i * n = h + i * (n - h)."""

    def __call__(self, projected: Tensor) -> Tensor:
        self.add(projected)
        gate, candidate = self.blocks
        return self.hidden.lerp_(candidate.tanh_(), gate.sigmoid_())


class LSTMStep(FastStep):
    """The candidate comes last here, so that the three gates lie side by side."""

    def arranged(self, weight: Tensor) -> Tensor:
        gate_input, gate_forget, candidate, gate_output = weight.chunk(4)
        return torch.cat([gate_input, gate_forget, gate_output, candidate])

    def begin(self, state: CellState) -> None:
        super().begin(state)
        self.gates = self.sums[:, : 3 * self.hidden.shape[1]]

    def __call__(self, projected: Tensor) -> Tensor:
        self.add(projected)
        gate_input, gate_forget, gate_output, candidate = self.blocks
        self.gates.sigmoid_()
        self.memory.mul_(gate_forget).addcmul_(gate_input, candidate.tanh_())
        return torch.tanh(self.memory, out=self.hidden).mul_(gate_output)


class GRUStep(FastStep):
    """The reset gate acts on W_hn h + b_hn alone, so the sums here are those over the hidden state."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.bias, self.bias_hh = cell.bias_ih, cell.bias_hh

    def begin(self, state: CellState) -> None:
        super().begin(state)
        self.gates = self.sums[:, : 2 * self.hidden.shape[1]]

    def __call__(self, projected: Tensor) -> Tensor:
        torch.addmm(self.bias_hh, self.hidden, self.weight_hh, out=self.sums)
        reset, update, hidden_candidate = self.blocks
        gates, candidate = projected.split_with_sizes([self.gates.shape[1], self.hidden.shape[1]], 1)
        self.gates.add_(gates).sigmoid_()
        candidate = torch.addcmul(candidate, reset, hidden_candidate).tanh_()
        return torch.lerp(candidate, self.hidden, update, out=self.hidden)  # (1 - z) * n + z * h = n + z * (h - n)


def step_of(cell: Cell) -> CellStep:
    """The fastest step there is for a cell."""
    if cell.edit is not None:
        return CellStep(cell)
    if isinstance(cell, NVSICell):
        return CarryStep(cell) if cell.carry else NVSIStep(cell)
    return _STEPS.get(type(cell), CellStep)(cell)


_STEPS: dict[type[Cell], type[CellStep]] = {RNNCell: RNNStep, GRUCell: GRUStep, LSTMCell: LSTMStep}
