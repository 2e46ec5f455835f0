"""dL/dh_t and dL/dc_t out of the backward pass, against autograd on the readable steps."""

from copy import deepcopy

import pytest
import torch
from cells import CONFIGS, FAST, close, gradients, make_model, stepped
from torch import Tensor, nn

from lmviz.config import GPTConfig
from lmviz.models import build_model
from lmviz.models.base import Batch
from lmviz.models.state_gradients import gives_state_gradients, watch_state_gradients


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


@pytest.mark.parametrize("where", ["every step", "last step"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", list(CONFIGS))
def test_watched_gradients_are_autograds(kind: str, layers: int, where: str) -> None:
    model = make_model(kind, layers)
    tokens, targets = torch.randint(7, (2, 3, 8))

    def loss(logits: Tensor) -> Tensor:
        rows = slice(-1, None) if where == "last step" else slice(None)
        return nn.functional.cross_entropy(logits[:, rows].flatten(0, 1), targets[:, rows].flatten(), reduction="sum")

    with watch_state_gradients(model) as seen:
        loss(model(tokens)).backward()
    assert [len(layer) for layer in seen] == [1] * layers
    for number, name in enumerate(["hidden", "cell"] if kind == "lstm" else ["hidden"]):
        logits, states, _ = stepped(model, tokens, model.initial_state(3))
        flat = [state[number] for layer in states for state in layer]
        expected = torch.stack(torch.autograd.grad(loss(logits), flat)).unflatten(0, (layers, -1))  # (L, T, B, H)
        close(torch.stack([layer[0][name] for layer in seen]), expected.transpose(1, 2))
        assert expected.abs().amax((0, 2, 3)).min() > 0


@pytest.mark.parametrize("kind", FAST)
def test_watching_changes_nothing_and_leaves_nothing(kind: str) -> None:
    model, batch = make_model(kind, 2), Batch(*torch.randint(7, (2, 3, 8)))
    expected = gradients(model, batch)
    with watch_state_gradients(model) as outer:
        close(gradients(model, batch), expected, 0)
        with pytest.raises(ZeroDivisionError), watch_state_gradients(model) as inner:
            gradients(model, batch)
            raise ZeroDivisionError
        gradients(model, batch)
    gradients(model, batch)
    assert [len(layer) for layer in outer] == [2, 2] and [len(layer) for layer in inner] == [1, 1]
    assert all(cell.state_gradients is None for cell in model.layers)
    close(gradients(deepcopy(model), batch), expected, 0)
    assert [len(layer) for layer in outer] == [2, 2]


def test_watching_an_lstm_gives_the_same_gradients() -> None:
    """It takes another way than torch's kernel then: the weights' gradients and a carried state agree all the same."""
    model, batch = make_model("lstm", 2), Batch(*torch.randint(7, (2, 3, 8)))
    expected = gradients(model, batch)
    with watch_state_gradients(model):
        close(gradients(model, batch), expected)
    start = tuple((torch.randn(3, 6).double(), torch.randn(3, 6).double()) for _ in range(2))
    model.zero_grad()
    logits, after = model.read(batch.inputs, start)
    (logits.sum() + after[0][1].sum() + after[1][0].sum()).backward()
    kernel = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    with watch_state_gradients(model):
        ours, ours_after = model.read(batch.inputs, start)
        (ours.sum() + ours_after[0][1].sum() + ours_after[1][0].sum()).backward()
    close([ours, ours_after], [logits, after])
    close({name: p.grad for name, p in model.named_parameters()}, kernel)


def test_a_model_that_gives_no_state_gradients_says_so() -> None:
    model = build_model(GPTConfig(d_model=8, num_heads=2), 7, 8)
    assert not gives_state_gradients(model)
    with pytest.raises(TypeError, match="no gradients of its hidden states"), watch_state_gradients(model):
        pass
    assert gives_state_gradients(make_model("gru"))
