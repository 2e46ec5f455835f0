"""The fast ways through a sequence against the readable step: values, gradients, signals."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from cells import FAST, D, H, close, gradients, inputs_for, make_cell, make_model, randomise, stepped
from torch import Tensor

from lmviz.models.base import Batch
from lmviz.models.cells import Cell, CellState, FastCell


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def by_steps(cell: Cell, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
    """The reference."""
    return Cell.forward_sequence(cell, x, state)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 7, 33])
@pytest.mark.parametrize("kind", [*FAST, "lstm"])
def test_values_equal_the_steps_in_float32(kind: str, length: int, batch: int) -> None:
    cell = make_cell(kind, torch.float32)
    x, state = inputs_for(cell, batch, length)
    close(cell.forward_sequence(x, state), by_steps(cell, x, state), 1e-5)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "outputs": lambda outputs, last: outputs.sin().sum(),
    "last": lambda outputs, last: last.exp().sum(),
    "one": lambda outputs, last: outputs[:, 0].exp().sum(),
    "both": lambda outputs, last: outputs.sin().sum() + (last * outputs[:, 0]).exp().sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 1), (3, 2), (1, 7), (3, 33)])
@pytest.mark.parametrize("kind", FAST)
def test_gradients_equal_autograds(kind: str, batch: int, length: int, loss: str) -> None:
    cell = make_cell(kind)
    x, state = inputs_for(cell, batch, length)
    wanted = [x, *state, *cell.parameters()]
    grads = []
    for way in (cell.forward_sequence, lambda *arguments: by_steps(cell, *arguments)):
        outputs, (last,) = way(x, state)
        grads.append(torch.autograd.grad(LOSSES[loss](outputs, last), wanted))
    close(*grads)
    assert all(grad.abs().max() > 0 for grad in grads[0])


@pytest.mark.parametrize("kind", FAST)
def test_gradients_equal_finite_differences(kind: str) -> None:
    cell = make_cell(kind)
    x, state = inputs_for(cell, 2, 3)

    def everything(x: Tensor, start: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        outputs, (last,) = cell.forward_sequence(x, (start,))
        return outputs, last

    assert torch.autograd.gradcheck(everything, (x, *state, *cell.parameters()))


@pytest.mark.parametrize("kind", FAST)
def test_a_sequence_in_two_parts_is_the_whole(kind: str) -> None:
    """The gradient goes back through the state from the second part into the first."""
    cell = make_cell(kind)
    x, state = inputs_for(cell, 2, 9)
    wanted = [x, *state, *cell.parameters()]
    whole, _ = cell.forward_sequence(x, state)
    first, between = cell.forward_sequence(x[:, :4], state)
    second, _ = cell.forward_sequence(x[:, 4:], between)
    close(torch.cat([first, second], 1), whole)
    close(torch.autograd.grad(second.exp().sum(), wanted), torch.autograd.grad(whole[:, 4:].exp().sum(), wanted))


@pytest.mark.parametrize("kind", FAST)
def test_memory_of_any_layout_goes_in(kind: str) -> None:
    cell = make_cell(kind)
    wide = torch.randn(5, 3, 2 * D, dtype=torch.float64)
    x, start = wide.transpose(0, 1)[..., ::2], torch.randn(H, dtype=torch.float64).expand(3, H)
    close(cell.forward_sequence(x, (start,)), by_steps(cell, x, (start,)))
    projected = cell.project(x)
    assert isinstance(cell, FastCell)
    close(cell.forward_projected(projected, (start,)), by_steps(cell, x, (start,)))


@pytest.mark.parametrize("kind", FAST)
def test_what_goes_in_stays_and_what_comes_out_is_the_callers(kind: str) -> None:
    cell = make_cell(kind)
    x, state = inputs_for(cell, 2, 5)
    before = deepcopy((x, state, cell.state_dict()))
    expected = torch.autograd.grad(cell.forward_sequence(x, state)[0].sum(), [x, *cell.parameters()])
    outputs, (last,) = cell.forward_sequence(x, state)
    loss = outputs.sum()
    with torch.no_grad():
        outputs.zero_()
        last.zero_()
    close(torch.autograd.grad(loss, [x, *cell.parameters()]), expected, 0)
    close((x, state, cell.state_dict()), before, 0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("kind", FAST)
def test_values_without_gradients_are_the_same(kind: str, mode: Any) -> None:
    cell = make_cell(kind)
    x, state = inputs_for(cell, 2, 5)
    expected = cell.forward_sequence(x, state)
    with mode():
        outputs, last = cell.forward_sequence(x, state)
    assert not outputs.requires_grad and not last[0].requires_grad
    close((outputs, last), expected, 0)


@pytest.mark.parametrize("kind", FAST)
def test_a_second_backward_pass_gives_the_same_and_a_second_derivative_is_refused(kind: str) -> None:
    cell = make_cell(kind)
    x, state = inputs_for(cell, 2, 5)
    loss = cell.forward_sequence(x, state)[0].sin().sum()
    wanted = [x, *state, *cell.parameters()]
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    close(torch.autograd.grad(loss, wanted, retain_graph=True), first, 0)
    (slope,) = torch.autograd.grad(loss, [x], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


@pytest.mark.parametrize("std", [10.0, 300.0])
@pytest.mark.parametrize("kind", FAST)
def test_closed_and_open_gates_give_no_nan(kind: str, std: float) -> None:
    """Sigmoids that are exactly 0 and 1 in float32."""
    cell = make_cell(kind, torch.float32)
    randomise(cell, std)
    x, state = inputs_for(cell, 3, 7)
    outputs, _ = cell.forward_sequence(x, state)
    close(outputs, by_steps(cell, x, state)[0], 1e-3)
    for grad in torch.autograd.grad(outputs.sum(), [x, *state, *cell.parameters()]):
        assert grad.isfinite().all()


@pytest.mark.parametrize("vocab", [7, 90], ids=["few kinds of tokens", "more kinds than places"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", FAST)
def test_models_equal_their_steps(kind: str, layers: int, vocab: int) -> None:
    model = make_model(kind, layers, vocab)
    tokens = torch.randint(vocab, (3, 9))
    state = tuple((torch.randn(3, H, dtype=torch.float64, requires_grad=True),) for _ in range(layers))
    outputs, end = model.run(tokens, state)
    expected, _, expected_end = stepped(model, tokens, state)
    close((model.head(outputs), end), (expected, expected_end))
    wanted = [*(part for (part,) in state), *model.parameters()]
    weights = torch.randn_like(expected)
    ours = torch.autograd.grad((model.head(outputs) * weights).sum() + end[-1][0].exp().sum(), wanted)
    close(ours, torch.autograd.grad((expected * weights).sum() + expected_end[-1][0].exp().sum(), wanted))


@pytest.mark.parametrize("kind", FAST)
def test_dropout_is_drawn_place_by_place(kind: str) -> None:
    """The same token at two places has two dropout masks: the product must not be shared then."""
    model = make_model(kind, dropout=0.5).train()
    places = []
    original = model.layers[0].project
    model.layers[0].project = lambda x: places.append(x) or original(x)  # type: ignore[method-assign]
    model(torch.zeros(4, 20, dtype=torch.int64))
    (seen,) = places
    assert seen.shape[:2] == (20, 4)
    assert 0 < (seen == 0).sum() < seen.numel()
    assert seen.flatten(0, 1).unique(dim=0).shape[0] > 1


@pytest.mark.parametrize("kind", FAST)
def test_the_same_numbers_every_time(kind: str) -> None:
    model, batch = make_model(kind, 2).float(), Batch(*torch.randint(7, (2, 3, 33)))
    first, copy = gradients(model, batch), gradients(deepcopy(model), batch)
    for other in (copy, gradients(model, batch)):
        assert all(torch.equal(first[name], other[name]) for name in first)


def stepped_signals(cell: Cell, x: Tensor, state: CellState) -> dict[str, Tensor]:
    """Every signal (B, T, H) by the readable step."""
    rows = []
    for t in range(x.shape[1]):
        state, seen = cell.step(x[:, t], state)
        rows.append(seen)
    return {name: torch.stack([row[name] for row in rows], 1) for name in cell.signals}


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("length", [1, 2, 33])
@pytest.mark.parametrize("kind", [*FAST, "lstm"])
def test_signals_follow_from_the_outputs(kind: str, length: int, dtype: torch.dtype, tolerance: float) -> None:
    cell = make_cell(kind, dtype)
    x, state = inputs_for(cell, 3, length)
    outputs, _ = cell.forward_sequence(x, state)
    expected = stepped_signals(cell, x, state)
    seen = cell.signals_of(x, outputs, state)
    assert tuple(seen) == cell.signals
    close(seen, expected, tolerance)
    one = cell.signals_of(x[1], outputs[1], tuple(part[1] for part in state))  # no batch axis
    close(one, {name: signal[1] for name, signal in expected.items()}, tolerance)
    close(seen["hidden"], outputs, tolerance)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", [*FAST, "lstm"])
def test_a_trace_is_what_the_steps_show(kind: str, layers: int, dtype: torch.dtype, tolerance: float) -> None:
    model = make_model(kind, layers).to(dtype)
    tokens = torch.randint(7, (33,))
    x, expected = model.embedding(tokens)[None], []
    for cell in model.layers:
        expected.append(stepped_signals(cell, x, cell.initial_state(1)))
        x = expected[-1]["hidden"]
    trace = model.trace(tokens)
    for name in model.layers[0].signals:
        close(trace[name], torch.cat([layer[name] for layer in expected]), tolerance)
    close(trace["logits"], model.head(x)[0], tolerance)
