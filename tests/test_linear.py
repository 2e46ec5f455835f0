"""The layer that chooses its library, against F.linear, autograd in float64, and whole trainings."""

import json
import os
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pytest
import torch
from texts import prose
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.config import GPTConfig, RunConfig, TrainingConfig
from lmviz.models import build_model
from lmviz.models import linear as linear_module
from lmviz.models.linear import Linear, Product, fastest_product, has_onednn, linear, use_product
from lmviz.runs import ROOT, Run, Store
from lmviz.settings import validated
from lmviz.training import product as product_module
from lmviz.training import session as session_module
from lmviz.training.foreground import train_here
from lmviz.training.product import product_here
from lmviz.training.session import Session
from lmviz.training.trainer import Trainer

torch.set_num_threads(1)
PRODUCTS: list[Product] = ["torch", "onednn"]
needs_onednn = pytest.mark.skipif(not has_onednn(), reason="this torch has no oneDNN")


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Small products go to oneDNN too, and each one that does is noted by its result's shape."""
    monkeypatch.setattr(linear_module, "ENOUGH", 0)
    noted: list[tuple[int, ...]] = []
    original = linear_module._multiply

    def multiply(*args: Any) -> Tensor:
        result = original(*args)
        noted.append(tuple(result.shape))
        return result

    monkeypatch.setattr(linear_module, "_multiply", multiply)
    return noted


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def contiguous(*shape: int) -> Tensor:
    return random(*shape)


def strided(*shape: int) -> Tensor:
    return random(*shape[:-1], 2 * shape[-1])[..., ::2]


def transposed(*shape: int) -> Tensor:
    return random(*reversed(shape)).permute(*reversed(range(len(shape))))


def sliced(*shape: int) -> Tensor:
    return random(shape[0], shape[1] + 3, *shape[2:])[:, 1 : 1 + shape[1]]


def values_and_gradients(x: Tensor, weight: Tensor, bias: Tensor | None, product: Product | None) -> tuple[Tensor, ...]:
    """Output and the gradients of a weighted sum of it; product None is F.linear with autograd."""
    inputs = [tensor.detach().requires_grad_() for tensor in (x, weight, bias) if tensor is not None]
    full = [*inputs, None][:3]
    y = linear(*full, product) if product else F.linear(*full)  # type: ignore[arg-type]
    weights = random(*y.shape, seed=5, dtype=torch.float64).to(y.dtype)
    return (y.detach(), *torch.autograd.grad((y * weights).sum(), inputs))


@needs_onednn
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("make", [contiguous, strided, transposed, sliced])
@pytest.mark.parametrize("shape", [(1, 20), (33, 20), (5, 7, 20), (2, 3, 4, 20)])
@pytest.mark.parametrize("outputs", [6, 70])
def test_onednn_equals_f_linear_in_float64(
    outputs: int, shape: tuple[int, ...], make: Any, with_bias: bool, calls: list[tuple[int, ...]]
) -> None:
    x, weight, bias = make(*shape), make(outputs, 20), random(outputs, seed=3) if with_bias else None
    found = values_and_gradients(x, weight, bias, "onednn")
    assert calls[0] == (*shape[:-1], outputs) and len(calls) == 3  # forward and both products backward
    exact = values_and_gradients(x.double(), weight.double(), None if bias is None else bias.double(), None)
    assert len(found) == len(exact) == 3 + with_bias
    for ours, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


@needs_onednn
def test_only_the_gradients_that_are_asked_for_are_computed(calls: list[tuple[int, ...]]) -> None:
    x, weight = random(9, 20), random(6, 20).requires_grad_()
    linear(x, weight, None, "onednn").sum().backward()  # type: ignore[no-untyped-call]
    assert calls == [(9, 6), (6, 20)]
    torch.testing.assert_close(weight.grad, x.sum(0).expand(6, 20))
    with torch.inference_mode():
        torch.testing.assert_close(linear(x, weight, None, "onednn"), F.linear(x, weight))


@pytest.mark.parametrize("with_bias", [True, False])
def test_float64_falls_back_to_autograd(with_bias: bool, calls: list[tuple[int, ...]]) -> None:
    x, weight = random(5, 20, dtype=torch.float64), random(6, 20, dtype=torch.float64)
    bias = random(6, dtype=torch.float64) if with_bias else None
    found = values_and_gradients(x, weight, bias, "onednn")
    assert all(map(torch.equal, found, values_and_gradients(x, weight, bias, None)))
    assert not calls


def test_autocast_falls_back(calls: list[tuple[int, ...]]) -> None:
    layer = Linear(20, 6)
    use_product(layer, "onednn")
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(random(64, 20)).dtype == torch.bfloat16
    assert not calls
    assert layer(random(64, 20)).dtype == torch.float32


@needs_onednn
def test_small_products_go_to_torch(monkeypatch: pytest.MonkeyPatch, calls: list[tuple[int, ...]]) -> None:
    monkeypatch.setattr(linear_module, "ENOUGH", 8 * 20 * 6)
    linear(random(7, 20), random(6, 20), None, "onednn")
    assert not calls
    linear(random(8, 20), random(6, 20), None, "onednn")
    assert calls == [(8, 6)]


def test_it_is_nn_linear_in_all_else() -> None:
    torch.manual_seed(3)
    ours = Linear(20, 6)
    torch.manual_seed(3)
    theirs = nn.Linear(20, 6)
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight", "bias"]
    x = random(4, 20)
    assert torch.equal(ours(x), theirs(x))  # torch's product is what it begins with, and the weights are the same
    assert list(Linear(20, 6, bias=False).state_dict()) == ["weight"]


@needs_onednn
def test_the_product_belongs_to_the_model_and_to_its_copies(calls: list[tuple[int, ...]]) -> None:
    gpt, other = (build_model(GPTConfig(d_model=12, num_heads=3), 11, 8) for _ in range(2))
    tokens = torch.arange(8)[None] % 11
    plain = gpt(tokens)
    assert not calls
    assert use_product(gpt, "onednn") == "onednn"
    torch.testing.assert_close(gpt(tokens), plain, rtol=1e-5, atol=1e-5)
    assert len(calls) == 4 * 2 + 1  # four layers a block, and the output layer
    copied = deepcopy(gpt)
    assert torch.equal(copied(tokens), gpt(tokens))
    assert len(calls) == 3 * 9
    other(tokens)
    assert len(calls) == 3 * 9
    assert use_product(gpt, "torch") == "torch"
    assert torch.equal(gpt(tokens), plain) and len(calls) == 3 * 9


def test_without_the_operation_everything_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Tensor:
        raise AttributeError("no such operation")

    monkeypatch.setattr(linear_module, "_multiply", missing)
    has_onednn.cache_clear()
    try:
        layer = Linear(20, 6)
        assert (has_onednn(), fastest_product(), use_product(layer, "onednn")) == (False, "torch", "torch")
        layer(random(64, 20))
    finally:
        has_onednn.cache_clear()


def test_an_operation_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_module, "_multiply", lambda x, weight, bias: F.linear(x, weight, bias) * 1.001)
    has_onednn.cache_clear()
    try:
        assert not has_onednn()
    finally:
        has_onednn.cache_clear()


@needs_onednn
@pytest.mark.parametrize(("speedup", "expected"), [(2.0, "onednn"), (1.1, "torch"), (0.5, "torch")])
def test_the_faster_one_is_chosen_and_a_near_draw_is_torch(
    speedup: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_module, "_seconds", lambda product: 1.0 if product == "torch" else 1 / speedup)
    assert fastest_product() == expected


def test_measuring_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    assert fastest_product() in PRODUCTS
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Product], None]:
    """An empty folder of texts; call it with what the next measurement finds, in a process that has not asked yet."""
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path / "data"))

    def found(product: Product) -> None:
        product_module._product.cache_clear()
        monkeypatch.setattr(product_module, "fastest_product", lambda: product)

    return found


def test_what_was_measured_first_is_what_every_process_takes(
    measure: Callable[[Product], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in ("onednn", "torch", "onednn"):
        measure(found)
        assert product_here() == "onednn"
    monkeypatch.setattr(product_module, "_processor", lambda: "another")
    measure("torch")
    assert product_here() == "torch", "another machine on the same folder measures for itself"
    monkeypatch.undo()
    kept = tmp_path / "data" / product_module.FILE
    assert sorted(json.loads(kept.read_text()).values()) == ["onednn", "torch"]


@pytest.mark.parametrize("content", ["", "[]", "{", "{}", '{"MACHINE": "abacus"}'])
def test_a_damaged_choice_is_made_anew(content: str, measure: Callable[[Product], None], tmp_path: Path) -> None:
    kept = tmp_path / "data" / product_module.FILE
    kept.parent.mkdir()
    kept.write_text(content.replace("MACHINE", product_module._machine()))
    measure("onednn")
    assert product_here() == "onednn"
    measure("torch")
    assert product_here() == "onednn"


def test_where_nothing_can_be_written_it_is_measured(
    measure: Callable[[Product], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path / "file" / "data"))
    for found in PRODUCTS:
        measure(found)
        assert product_here() == found


def test_processes_that_start_together_choose_alike(tmp_path: Path) -> None:
    """Though they measure differently, and each sees an empty folder when it begins."""
    code = (
        "import sys, time; from lmviz.training import product\n"
        "product.fastest_product = lambda: time.sleep(0.5) or sys.argv[1]\n"
        "print('ready', flush=True); input(); print(product.product_here())"
    )
    environment = {**os.environ, "LMVIZ_DATA": str(tmp_path), "PYTHONPATH": str(ROOT)}
    started = [
        Popen([sys.executable, "-c", code, found], stdin=PIPE, stdout=PIPE, env=environment, text=True)
        for found in PRODUCTS
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert len(answers) == 1 and answers <= {"torch\n", "onednn\n"}


def gpt_losses(product: Product, steps: int = 5) -> list[float]:
    torch.manual_seed(1)
    model = build_model(GPTConfig(d_model=16, num_heads=2), 20, 16)
    use_product(model, product)
    tokens = np.random.default_rng(0).integers(0, 20, 500).astype(np.uint16)
    trainer = Trainer(model, TrainingConfig(batch_size=4, context_length=16, warmup_steps=0), tokens)
    return [trainer.advance().loss for _ in range(steps)]


@needs_onednn
def test_either_product_gives_the_same_losses_again_and_the_other_s_up_to_rounding() -> None:
    found = {product: gpt_losses(product) for product in PRODUCTS}
    assert found == {product: gpt_losses(product) for product in PRODUCTS}
    assert found["onednn"] == pytest.approx(found["torch"], abs=1e-4)


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    path = tmp_path / "prose.txt"
    path.write_text(prose(), encoding="utf-8")
    return validated(
        {
            "corpus": {"name": str(path)},
            "model": {"kind": "gpt", "d_model": 16, "num_heads": 2},
            "training": {"steps": 12, "batch_size": 4, "context_length": 16},
            "recording": {"sample_tokens": 0, "eval_tokens": 64, "log_every": 1},
        }
    )


def losses(run: Run) -> list[float]:
    return [line["train_loss"] for line in run.metrics()]


@needs_onednn
@pytest.mark.parametrize(("first", "later"), [("onednn", "torch"), ("torch", "onednn")])
def test_a_run_goes_on_with_the_product_it_began_with(
    first: str, later: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    store = Store(tmp_path / "runs", samples=None)
    monkeypatch.setattr(session_module, "product_here", lambda: first)
    whole, broken = store.create(config), store.create(config)
    train_here(whole, quiet=True)
    assert whole.status().product == first
    turns = (session := Session(broken)).work()
    while not session.trainer or session.trainer.step < 6:
        next(turns)
    session.rest("paused")
    turns.close()
    calls.clear()
    monkeypatch.setattr(session_module, "product_here", lambda: later)
    train_here(broken, quiet=True)
    assert bool(calls) == (first == "onednn")
    assert broken.status().product == first
    assert losses(broken) == losses(whole)


@needs_onednn
def test_a_run_from_before_there_was_a_choice_goes_on_with_torch(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    run = Store(tmp_path / "runs", samples=None).create(config)
    run.write_status(run.status().model_copy(update={"step": 3}))
    monkeypatch.setattr(session_module, "product_here", lambda: "onednn")
    train_here(run, quiet=True)
    assert run.status().product == "torch" and not calls


def test_a_run_begun_with_onednn_goes_on_without_it(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Store(tmp_path / "runs", samples=None).create(config)
    run.write_status(run.status().model_copy(update={"product": "onednn"}))
    monkeypatch.setattr(linear_module, "has_onednn", lambda: False)
    train_here(run, quiet=True)
    assert run.status().product == "torch" and run.status().state == "finished"
