"""What every entry of MODELS promises, whatever it is."""

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmviz.config import PAIR_KINDS, GPTConfig, GRUConfig, LSTMConfig, ModelConfig, NgramConfig, NVSIConfig, RNNConfig
from lmviz.models import MODELS, build_model
from lmviz.models.base import Batch, LanguageModel

V, C = 11, 8
SMALL = {"embedding_dim": 5, "hidden_size": 7}
TINY = {"d_model": 12, "num_heads": 3}
CONFIGS: list[ModelConfig] = [
    NgramConfig(order=1),
    NgramConfig(order=3),
    RNNConfig(**SMALL),
    RNNConfig(**SMALL, num_layers=2, init="orthogonal", gain=1.5),
    NVSIConfig(**SMALL),
    NVSIConfig(**SMALL, num_layers=2, carry=True, input_gate_bias=-1.0, init="xavier"),
    GRUConfig(**SMALL, update_gate_bias=1.0),
    GRUConfig(**SMALL, num_layers=2, dropout=0.3, init="kaiming"),
    LSTMConfig(**SMALL),
    LSTMConfig(**SMALL, num_layers=3, dropout=0.3),
    GPTConfig(**TINY),
    GPTConfig(**TINY, num_layers=1, position="sinusoidal", init="xavier"),
    GPTConfig(**TINY, num_layers=3, position="none", dropout=0.3, init="pytorch"),
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


def name(config: ModelConfig) -> str:
    return "-".join(
        [config.kind, *(str(v) for k, v in config.model_dump(exclude_defaults=True).items() if k != "kind")]
    )


@pytest.fixture(params=CONFIGS, ids=name)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    chosen: ModelConfig = request.param
    return chosen


def text(length: int = 200, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(V, (length,), generator=generator) * torch.randint(2, (length,), generator=generator)


def count(model: LanguageModel, tokens: Tensor) -> None:
    cast(Any, model).fit(tokens)


def make(config: ModelConfig, seed: int = 0) -> LanguageModel:
    """In evaluation mode; a model that counts has counted."""
    torch.manual_seed(seed)
    model = build_model(config, V, C).eval()
    if model.learns_by == "counting":
        count(model, text(seed=seed))
    return model


@pytest.fixture
def model(config: ModelConfig) -> LanguageModel:
    return make(config)


@pytest.fixture
def tokens() -> Tensor:
    return text(3 * C, seed=9).view(3, C)


def test_every_kind_is_tried() -> None:
    assert {config.kind for config in CONFIGS} | {"bert", *PAIR_KINDS} == set(MODELS)  # these have their own contracts


def test_shapes(model: LanguageModel, tokens: Tensor) -> None:
    assert model(tokens).shape == (3, C, V)
    logits, _ = model.step(tokens[:, 0], model.initial_state(3))
    assert logits.shape == (3, V)
    loss = model.loss(Batch(tokens, tokens))
    assert loss.shape == () and loss.isfinite()
    assert model(tokens).dtype == logits.dtype == loss.dtype == torch.float32


def test_loss_is_the_cross_entropy_of_the_logits(model: LanguageModel, tokens: Tensor) -> None:
    targets = tokens.flip(0)
    log_probs = model(tokens).log_softmax(-1).gather(-1, targets[..., None])
    torch.testing.assert_close(model.loss(Batch(tokens, targets)), -log_probs.mean())


def test_the_future_does_not_leak(model: LanguageModel, tokens: Tensor) -> None:
    before = model(tokens)
    for t in range(C):
        changed = tokens.clone()
        changed[:, t] = (tokens[:, t] + 1) % V
        after = model(changed)
        torch.testing.assert_close(after[:, :t], before[:, :t], rtol=0, atol=1e-6)
        if model.context_length != 0:
            assert not torch.allclose(after[:, t], before[:, t])


def expected_rows(model: LanguageModel, tokens: Tensor) -> Tensor:
    """What forward gives at each place; for a GPT from the last context_length tokens."""
    if tokens.shape[1] <= C or model.context_length != C:
        logits: Tensor = model(tokens)
        return logits
    return torch.stack([model(tokens[:, max(0, t - C + 1) : t + 1])[:, -1] for t in range(tokens.shape[1])], 1)


@torch.no_grad()
def test_steps_equal_forward_also_beyond_the_window(model: LanguageModel) -> None:
    tokens = text(3 * (2 * C + 3), seed=7).view(3, -1)
    expected = expected_rows(model, tokens)
    state = model.initial_state(3)
    for t, column in enumerate(tokens.unbind(1)):
        logits, state = model.step(column, state)
        torch.testing.assert_close(logits, expected[:, t], rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, C - 2, C, C + 5])
def test_prefill_equals_forward_and_goes_on(model: LanguageModel, length: int) -> None:
    tokens = text(3 * (2 * C + 3), seed=7).view(3, -1)
    expected = expected_rows(model, tokens)
    logits, state = model.prefill(tokens[:, :length])
    torch.testing.assert_close(logits, expected[:, length - 1], rtol=1e-4, atol=1e-5)
    for t in range(length, tokens.shape[1]):
        logits, state = model.step(tokens[:, t], state)
        torch.testing.assert_close(logits, expected[:, t], rtol=1e-4, atol=1e-5)


def test_it_learns(config: ModelConfig, tokens: Tensor) -> None:
    torch.manual_seed(0)
    model = build_model(config, V, C)
    batch = Batch(tokens[:, :-1], tokens[:, 1:])
    before = model.eval().loss(batch).item()
    if model.learns_by == "counting":
        count(model, tokens.flatten())
    else:
        optimizer = torch.optim.Adam(model.train().parameters(), lr=0.02)
        for _ in range(40):
            optimizer.zero_grad()
            cast(Any, model.loss(batch)).backward()
            optimizer.step()
    assert model.eval().loss(batch).item() < before - 0.3


def test_saved_and_loaded_weights_give_equal_logits(
    config: ModelConfig, model: LanguageModel, tokens: Tensor, tmp_path: Path
) -> None:
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    fresh = build_model(config, V, C).eval()
    assert not torch.equal(fresh(tokens), model(tokens))
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(fresh(tokens), model(tokens))
    assert fresh.parameter_count() == model.parameter_count()


def test_a_copy_is_independent(model: LanguageModel, tokens: Tensor) -> None:
    before = model(tokens)
    copy = deepcopy(model)
    assert torch.equal(copy(tokens), before)
    if model.learns_by == "counting":
        count(copy, text(seed=3))
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert not torch.allclose(copy(tokens), before)
    assert torch.equal(model(tokens), before)


def test_the_seed_decides_the_weights(config: ModelConfig, tokens: Tensor) -> None:
    one, same, other = make(config, 0).state_dict(), make(config, 0).state_dict(), make(config, 1).state_dict()
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def sizes(config: ModelConfig) -> dict[str, int]:
    heads = config.num_heads if isinstance(config, GPTConfig) else 0
    layers = getattr(config, "num_layers", 0)
    return {"time": 6, "query": 6, "key": 6, "token": V, "unit": 7, "layer": layers, "head": heads, "dimension": 4}


def test_trace_gives_what_signals_declare(config: ModelConfig, model: LanguageModel, tokens: Tensor) -> None:
    seen = model.trace(tokens[0, :6])
    assert list(seen) == list(model.signals)
    for signal, axes in model.signals.items():
        assert seen[signal].shape == tuple(sizes(config)[axis] for axis in axes), signal
        assert not seen[signal].requires_grad
    torch.testing.assert_close(seen["logits"], model(tokens[:1, :6])[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_trace_changes_nothing(model: LanguageModel, tokens: Tensor, training: bool) -> None:
    expected = model.trace(tokens[0])
    model.train(training)
    weights, random = deepcopy(model.state_dict()), torch.get_rng_state()
    seen = model.trace(tokens[0])
    assert all(module.training == training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(seen[signal], expected[signal]) for signal in expected)


def test_parameter_count_is_the_configs_formula(config: ModelConfig, model: LanguageModel) -> None:
    if isinstance(config, NgramConfig):
        assert config.parameter_count(V, C) is None
        assert model.parameter_count() == sum(
            len({tuple(gram) for gram in text(seed=0).unfold(0, k, 1).tolist()}) for k in range(1, config.order + 1)
        )
    else:
        assert model.parameter_count() == config.parameter_count(V, C)
