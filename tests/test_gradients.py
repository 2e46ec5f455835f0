"""Gradients over time steps against a plain unrolled network written here, autograd and separate backward passes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cells import CONFIGS, make_model
from torch import Tensor
from torch.nn import functional as F

from lmviz.config import GPTConfig, GRUConfig, LSTMConfig, NVSIConfig, RNNConfig
from lmviz.errors import ConfigError
from lmviz.inspect import gradients as g
from lmviz.inspect import jacobian
from lmviz.inspect.at_birth import gradients_at_birth, newborn
from lmviz.inspect.jacobian import jacobian_norms, path_factors, spectrum
from lmviz.models import build_model
from lmviz.models.recurrent import RecurrentModel
from lmviz.turns import finish

LENGTH, VOCABULARY = 12, 7


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def unrolled(kind: str, model: RecurrentModel, tokens: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Logits, hidden and cell states of every step: one layer, written from the papers' equations, gate by gate."""
    (cell,) = model.layers
    rows = cell.weight_ih.shape[0] // cell.hidden_size
    w = [part.detach() for part in cell.weight_ih.chunk(rows)]
    u = [part.detach() for part in cell.weight_hh.chunk(rows)]
    b = [part.detach() for part in cell.bias_ih.chunk(rows)]
    c = [part.detach() for part in cell.bias_hh.chunk(rows)]
    x = model.embedding.weight.detach()[tokens]
    h = torch.zeros(len(tokens), cell.hidden_size, dtype=torch.float64, requires_grad=True)
    s = torch.zeros_like(h)
    logits, hidden, cells = [], [], []
    for t in range(tokens.shape[1]):
        a = [x[:, t] @ w[k].T + b[k] + h @ u[k].T + c[k] for k in range(rows)]
        if kind == "rnn":
            h = torch.tanh(a[0])
        elif kind == "nvsi":
            h = torch.sigmoid(a[0]) * torch.tanh(a[1])
        elif kind == "carry":
            i = torch.sigmoid(a[0])
            h = (1 - i) * h + i * torch.tanh(a[1])
        elif kind == "gru":
            r, z = torch.sigmoid(a[0]), torch.sigmoid(a[1])
            n = torch.tanh(x[:, t] @ w[2].T + b[2] + r * (h @ u[2].T + c[2]))
            h = (1 - z) * n + z * h
        else:
            s = torch.sigmoid(a[1]) * s + torch.sigmoid(a[0]) * torch.tanh(a[2])
            h = torch.sigmoid(a[3]) * torch.tanh(s)
        hidden.append(h)
        cells.append(s)
        logits.append(h @ model.head.weight.detach().T + model.head.bias.detach())
    return logits, hidden, cells


def reference(kind: str, model: RecurrentModel, tokens: Tensor, targets: Tensor, step: int | None) -> dict[str, Any]:
    """Norms (B, T) by step; loss at `step` alone, or at every step if None."""
    logits, hidden, cells = unrolled(kind, model, tokens)
    steps = range(len(logits)) if step is None else [step]
    loss = sum(F.cross_entropy(logits[t], targets[:, t], reduction="sum") for t in steps)
    states = {"hidden": hidden, **({"cell": cells} if kind == "lstm" else {})}
    found = {}
    for name, values in states.items():
        grads = torch.autograd.grad(loss, values, retain_graph=True, allow_unused=True)
        found[name] = torch.stack([torch.zeros(len(tokens)) if d is None else d.norm(dim=1) for d in grads], 1).numpy()
    return found


@pytest.mark.parametrize("every_step", [False, True])
@pytest.mark.parametrize("kind", list(CONFIGS))
def test_norms_are_those_of_a_plain_unrolled_network(kind: str, every_step: bool) -> None:
    model = make_model(kind, vocab=VOCABULARY)
    tokens, targets = torch.randint(VOCABULARY, (2, 3, LENGTH))
    found = g.state_norms(g.in_float64(model), tokens, targets, every_step=every_step)
    expected = reference(kind, model, tokens, targets, None if every_step else LENGTH - 1)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        np.testing.assert_allclose(found[name], rows.mean(0)[None, ::-1], rtol=1e-9)


@pytest.mark.parametrize("kind", ["rnn", "nvsi", "carry", "gru", "lstm"])
def test_norms_of_a_whole_model_at_birth(kind: str) -> None:
    """The sizes that the page begins with, from the initial weights that training would have."""
    model, tokens = newborn(CONFIGS[kind](embedding_dim=64, hidden_size=64), 40, seed=3)
    found = g.state_norms(model, tokens[:, :-1], tokens[:, 1:])
    for name, rows in reference(kind, model, tokens[:, :-1], tokens[:, 1:], 39).items():
        np.testing.assert_allclose(found[name][0], rows.mean(0)[::-1], rtol=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", list(CONFIGS))
def test_the_map_equals_separate_backward_passes(kind: str, layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = g.in_float64(make_model(kind, layers, VOCABULARY))
    tokens, targets = torch.randint(VOCABULARY, (2, LENGTH))
    maps, losses = finish(g.dependence_map(model, tokens, targets))
    monkeypatch.setattr(g, "NUMBERS_AT_ONCE", 10_000)  # in parts
    turns = g.dependence_map(model, tokens, targets)
    assert next(turns) is None  # others have their turn in between
    parts, _ = finish(turns)
    for tau in range(LENGTH):
        alone = g.state_norms(model, tokens[None, : tau + 1], targets[None, : tau + 1])
        for name, rows in alone.items():
            expected = np.concatenate([rows[:, ::-1], np.zeros((layers, LENGTH - tau - 1))], 1)
            np.testing.assert_allclose(maps[name][:, tau], expected, rtol=1e-9, atol=0)
            np.testing.assert_allclose(parts[name][:, tau], expected, rtol=1e-9, atol=0)
        loss = F.cross_entropy(model(tokens[None])[0, tau], targets[tau])
        assert losses[tau] == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("at_once", [2**24, 2000])
def test_the_jacobian_product_is_autograds(kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(g, "NUMBERS_AT_ONCE", at_once)
    model = make_model(kind, vocab=VOCABULARY)
    tokens = torch.randint(VOCABULARY, (LENGTH,))
    _, hidden, cells = unrolled(kind, model, tokens[None])
    found = jacobian_norms(g.in_float64(model), tokens)
    assert found[0] == pytest.approx(1)
    for lag in range(1, LENGTH):
        states = [values[-1 - lag] for values in ([hidden, cells] if kind == "lstm" else [hidden])]
        rows = [torch.cat(torch.autograd.grad(unit, states, retain_graph=True), 1) for unit in hidden[-1][0]]
        assert found[lag] == pytest.approx(float(torch.linalg.matrix_norm(torch.cat(rows), 2)), rel=1e-9)


@pytest.mark.parametrize("config", [GRUConfig(), LSTMConfig(forget_gate_bias=3.0)])
def test_the_jacobian_bounds_the_gradient_of_the_hidden_state(config: Any) -> None:
    model, tokens = newborn(config.model_copy(update={"embedding_dim": 16, "hidden_size": 16}), 30, seed=1)
    one = tokens[:1]
    norms = g.relative(g.state_norms(model, one[:, :-1], one[:, 1:])["hidden"][0])
    assert (norms <= jacobian_norms(model, one[0, :-1]) * (1 + 1e-9)).all()


def test_a_batch_in_parts_gives_the_same_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    model = g.in_float64(make_model("lstm", 2, VOCABULARY))
    tokens, targets = torch.randint(VOCABULARY, (2, 5, LENGTH))
    whole = g.state_norms(model, tokens, targets)
    monkeypatch.setattr(g, "NUMBERS_AT_ONCE", 10_000)
    for name, rows in g.state_norms(model, tokens, targets).items():
        np.testing.assert_allclose(rows, whole[name], rtol=1e-12)


def test_jacobians_beyond_the_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobian, "MAX_NUMBERS", 1000)
    (row,) = gradients_at_birth(RNNConfig(hidden_size=16), 20, 1, jacobian=True)
    assert row["jacobian_norm"] is None and len(row["norms"]) == 20


CELLS = {
    "rnn": (RNNConfig(), 0.46),
    "nvsi": (NVSIConfig(), 0.25),
    "gru": (GRUConfig(), 0.61),
    "lstm": (LSTMConfig(forget_gate_bias=None), 0.61),
    "lstm, forget bias 3": (LSTMConfig(forget_gate_bias=3.0), 0.99),
    "nvsi, carry": (NVSIConfig(carry=True, input_gate_bias=-4.0), 0.98),
}


@pytest.mark.parametrize("name", list(CELLS))
def test_the_figures_that_the_page_teaches(name: str) -> None:
    """Decay a step at birth, five seeds, each within a tenth of what was found before, by other code."""
    config, expected = CELLS[name]
    config = config.model_copy(update={"hidden_size": 64, "embedding_dim": 64})
    for seed in range(1, 6):
        for row in gradients_at_birth(config, 30, seed):
            assert row["decay"] == pytest.approx(expected, rel=0.1), (seed, row["state"])


def test_the_article_is_wrong_about_nvsi_for_every_seed() -> None:
    for seed in range(5):
        (rnn,), (nvsi,) = (gradients_at_birth(c, 60, seed) for c in (RNNConfig(), NVSIConfig()))
        assert nvsi["decay"] < 0.7 * rnn["decay"]


@pytest.mark.parametrize("config", [NVSIConfig(), NVSIConfig(init="orthogonal", gain=0.1), RNNConfig()])
def test_nothing_underflows_where_float64_can_say_more(config: Any) -> None:
    (row,) = gradients_at_birth(config, 200, 1, jacobian=True)
    norms = np.array(row["norms"])
    assert len(norms) == 200 and norms[0] == 1
    assert (norms > 0).all() and norms[-1] < 1e-50
    slopes = np.diff(np.log(norms[5:]))
    assert slopes.std() < 1  # no plateau of rounding, no jump to nothing
    assert (np.array(row["jacobian_norm"]) > 0).all()


def test_the_norm_of_tiny_and_huge_numbers() -> None:
    values = torch.tensor([3e-200, 4e-200, 0.0], dtype=torch.float64)
    assert float(g.norms(values)) == pytest.approx(5e-200, rel=1e-14)
    assert float(g.norms(values * 1e200 * 1e200)) == pytest.approx(5e200, rel=1e-14)
    assert float(g.norms(torch.zeros(3))) == 0


def test_what_grows_beyond_float64_is_not_a_number() -> None:
    (row,) = gradients_at_birth(RNNConfig(init="orthogonal", gain=10.0, hidden_size=64), 1000, 1, jacobian=True)
    assert row["norms"][-1] is None and row["jacobian_norm"][-1] is None
    assert row["decay"] > 2 and row["horizon"] is None
    (row,) = gradients_at_birth(RNNConfig(init="orthogonal", gain=1e-4, hidden_size=64), 200, 1, jacobian=True)
    assert row["norms"][-1] == row["jacobian_norm"][-1] == 0


def test_with_the_gate_wide_open_nvsi_is_the_plain_rnn() -> None:
    nvsi, tokens = newborn(NVSIConfig(input_gate_bias=50.0, hidden_size=16, embedding_dim=16), 20, seed=1)
    rnn, _ = newborn(RNNConfig(hidden_size=16, embedding_dim=16), 20, seed=1)
    ours, theirs = nvsi.layers[0], rnn.layers[0]
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(theirs, name).copy_(getattr(ours, name).chunk(2)[1])
        rnn.embedding.weight.copy_(nvsi.embedding.weight)
        rnn.head.load_state_dict(nvsi.head.state_dict())
    rows = [g.state_norms(model, tokens[:, :-1], tokens[:, 1:])["hidden"] for model in (nvsi, rnn)]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-9)


def test_the_loss_at_every_step_looks_flat() -> None:
    (last,) = gradients_at_birth(RNNConfig(), 100, 1)
    (every,) = gradients_at_birth(RNNConfig(), 100, 1, every_step=True)
    assert last["norms"][50] < 1e-10
    assert min(every["norms"]) > 0.5 and max(every["norms"]) < 2


def test_input_scale_weakens_the_drive() -> None:
    config = RNNConfig(init="orthogonal", gain=1.0)
    decays = [gradients_at_birth(config, 60, 1, input_scale=scale)[0]["decay"] for scale in (1.0, 0.1, 0.0)]
    assert decays[0] < decays[1] < decays[2]
    assert decays[2] == pytest.approx(1.0, abs=0.02)  # no input: orthogonal weights keep every norm


def test_decay_and_horizon() -> None:
    lags = np.arange(100)
    assert g.decay(0.5**lags) == pytest.approx(0.5)
    assert g.decay(1.02**lags) == pytest.approx(1.02)
    assert g.decay(np.where(lags < 20, 0.5**lags, 0.0)) == pytest.approx(0.5)
    assert g.decay(0.9 ** np.arange(4)) == pytest.approx(0.9)
    assert g.decay(np.array([1.0, 0.0, 0.0])) is None
    assert g.decay(np.array([1.0])) is None
    assert g.horizon(0.5) == pytest.approx(math.log(1000) / math.log(2))
    assert g.horizon(1.0) is None and g.horizon(None) is None
    assert g.relative(np.array([0.0, 0.0])).tolist() == [0, 0]
    assert np.isnan(g.relative(np.array([np.nan, 1.0]))).all()  # a broken model does not read as one without gradient
    assert np.isnan(g.relative(np.array([np.inf, 1.0]))[0])


def test_spectrum_and_factors() -> None:
    model, tokens = newborn(LSTMConfig(forget_gate_bias=3.0), 20, 1)
    found = spectrum(model.layers[0])
    assert list(found) == ["gate.input", "gate.forget", "candidate", "gate.output"]
    block = model.layers[0].weight_hh[:128].detach().numpy()
    np.testing.assert_allclose(
        found["gate.input"]["singular_values"], np.linalg.svd(block, compute_uv=False), rtol=1e-9
    )
    assert found["gate.input"]["spectral_radius"] == pytest.approx(abs(np.linalg.eigvals(block)).max())
    signals = model.trace(tokens[0, :-1])
    assert path_factors(model, tokens[:1, :-1]) == {"f": pytest.approx(float(signals["gate.forget"].mean()))}
    orthogonal, tokens = newborn(NVSIConfig(init="orthogonal", gain=2.0), 20, 1)
    values = spectrum(orthogonal.layers[0])["candidate"]
    assert values["spectral_radius"] == pytest.approx(2) and values["singular_values"] == pytest.approx([2.0] * 128)
    factors = path_factors(orthogonal, tokens)
    assert 0 < factors["i(1-n^2)"] < factors["i"] < 1


def test_parameter_norms_are_those_of_the_backward_pass() -> None:
    model = make_model("gru", vocab=VOCABULARY)
    tokens, targets = torch.randint(VOCABULARY, (2, 3, LENGTH))
    F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten()).backward()
    found = g.parameter_norms(model, 2.0)
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert found[name] == pytest.approx(2 * float(parameter.grad.norm()))


def test_inspection_leaves_the_model_alone() -> None:
    model = make_model("lstm", 2, VOCABULARY).float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tokens, targets = torch.randint(VOCABULARY, (2, 3, LENGTH))
    g.state_norms(g.in_float64(model), tokens, targets)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_a_model_without_states_is_refused() -> None:
    with pytest.raises(ConfigError, match="need a recurrent model"):
        g.in_float64(build_model(GPTConfig(d_model=8, num_heads=2), 7, 8))
