"""The networks against independent truth: torch.nn, equations written out, finite differences. In float64."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmviz.config import GPTConfig, GRUConfig, LSTMConfig, RNNConfig
from lmviz.errors import ConfigError
from lmviz.models import build_model
from lmviz.models.base import LanguageModel
from lmviz.models.cells import CELLS, Cell, NVSICell, RNNCell
from lmviz.models.gpt import GPT
from lmviz.models.gpt import build as build_gpt
from lmviz.models.positions import sinusoids
from lmviz.models.recurrent import build as build_recurrent

V = 11
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def assert_equal(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def randomise(module: nn.Module) -> None:
    """No zero bias, no unit norm: a wrong place for any parameter then shows."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)


def stepped(model: LanguageModel, tokens: Tensor) -> Tensor:
    state, rows = model.initial_state(len(tokens)), []
    for column in tokens.unbind(1):
        logits, state = model.step(column, state)
        rows.append(logits)
    return torch.stack(rows, 1)


@pytest.mark.parametrize("way", ["forward", "step"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("config", [RNNConfig, GRUConfig, LSTMConfig])
def test_recurrent_models_equal_torch(config: Any, layers: int, way: str) -> None:
    settings = config(embedding_dim=5, hidden_size=7, num_layers=layers)
    model = build_recurrent(settings, V, 8).double()
    randomise(model)
    theirs = TORCH[settings.kind](5, 7, layers, batch_first=True).double()
    pairs = [(getattr(c, p), getattr(theirs, f"{p}_l{i}")) for i, c in enumerate(model.layers) for p in PARTS]
    with torch.no_grad():
        for ours, other in pairs:
            other.copy_(ours)
    tokens = torch.randint(V, (3, 9))
    logits = model(tokens) if way == "forward" else stepped(model, tokens)
    expected = model.head(theirs(model.embedding(tokens))[0])
    assert_equal(logits, expected)
    weights = torch.randn_like(logits)
    grads = torch.autograd.grad((logits * weights).sum(), [a for a, _ in pairs] + [model.embedding.weight])
    others = torch.autograd.grad((expected * weights).sum(), [b for _, b in pairs] + [model.embedding.weight])
    for ours, other in zip(grads, others, strict=True):
        assert_equal(ours, other)


def make_cell(kind: str) -> Cell:
    cell = (NVSICell(4, 6, carry=True) if kind == "carry" else CELLS[kind](4, 6)).double()
    randomise(cell)
    return cell


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [*CELLS, "carry"])
def test_a_sequence_is_the_readable_step_repeated(kind: str, training: bool) -> None:
    cell = make_cell(kind).train(training)
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    start = tuple(torch.randn_like(part).requires_grad_() for part in cell.initial_state(2))
    fast, fast_end = cell.forward_sequence(x, start)
    state, rows = start, []
    for t in range(5):
        state, seen = cell.step(x[:, t], state)
        assert tuple(seen) == cell.signals
        assert seen["hidden"] is state[0]
        rows.append(state[0])
    slow = torch.stack(rows, 1)
    assert_equal(fast, slow)
    assert_equal(fast_end, state)
    inputs = [x, *start, *cell.parameters()]
    weights = torch.randn_like(fast)
    ours = torch.autograd.grad((fast * weights).sum() + fast_end[-1].sum(), inputs)
    assert_equal(ours, torch.autograd.grad((slow * weights).sum() + state[-1].sum(), inputs))


BLOCKS = {
    "rnn": ("hidden",),
    "nvsi": ("gate.input", "candidate"),
    "gru": ("gate.reset", "gate.update", "candidate"),  # torch's r, z, n
    "lstm": ("gate.input", "gate.forget", "candidate", "gate.output"),  # torch's i, f, g, o
}


@pytest.mark.parametrize("kind", CELLS)
def test_a_signal_shows_the_block_it_is_named_after(kind: str) -> None:
    cell = make_cell(kind)
    assert cell.blocks == BLOCKS[kind]
    biases = torch.tensor([0.2, -0.7, 1.1, -1.6], dtype=torch.float64)[: len(cell.blocks)]
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih.copy_(biases.repeat_interleave(6))
    _, seen = cell.step(torch.ones(1, 4, dtype=torch.float64), cell.initial_state(1))
    for name, bias in zip(cell.blocks, biases, strict=True):
        assert_equal(seen[name], (bias.sigmoid() if name.startswith("gate") else bias.tanh()).expand(1, 6))
    if kind == "lstm":
        assert_equal(seen["cell"], seen["gate.input"] * seen["candidate"])


@pytest.mark.parametrize("carry", [False, True])
def test_nvsi_equals_its_equations(carry: bool) -> None:
    cell = NVSICell(4, 6, carry=carry).double()
    randomise(cell)
    w_xi, w_xh, w_hi, w_hh = (w.detach().requires_grad_() for m in (cell.weight_ih, cell.weight_hh) for w in m.chunk(2))
    b_i, b_h = (b.detach().requires_grad_() for b in (cell.bias_ih + cell.bias_hh).chunk(2))
    x = torch.randn(2, 7, 4, dtype=torch.float64)
    h, rows = torch.zeros(2, 6, dtype=torch.float64), []
    for t in range(7):
        i = 1 / (1 + torch.exp(-(x[:, t] @ w_xi.T + h @ w_hi.T + b_i)))
        n = torch.tanh(x[:, t] @ w_xh.T + h @ w_hh.T + b_h)
        h = (1 - i) * h + i * n if carry else i * n
        rows.append(h)
    expected = torch.stack(rows, 1)
    outputs, _ = cell.forward_sequence(x, cell.initial_state(2))
    assert_equal(outputs, expected)
    weights = torch.randn_like(outputs)
    ours = torch.autograd.grad((outputs * weights).sum(), [cell.weight_ih, cell.weight_hh, cell.bias_ih])
    xi, xh, hi, hh, bi, bh = torch.autograd.grad((expected * weights).sum(), [w_xi, w_xh, w_hi, w_hh, b_i, b_h])
    assert_equal(ours, (torch.cat([xi, xh]), torch.cat([hi, hh]), torch.cat([bi, bh])))


@pytest.mark.parametrize("kind", [*CELLS, "carry"])
def test_gradients_equal_finite_differences(kind: str) -> None:
    cell = make_cell(kind)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)

    def last(x: Tensor, *_: Tensor) -> Tensor:
        return cell.forward_sequence(x, cell.initial_state(2))[0][:, -1]

    assert torch.autograd.gradcheck(last, (x, *cell.parameters()))


def test_nvsi_with_an_open_gate_is_the_plain_rnn() -> None:
    nvsi, rnn = NVSICell(4, 6).double(), RNNCell(4, 6).double()
    with torch.no_grad():
        nvsi.bias_ih[:6] = 50.0
        for name in PARTS:
            getattr(rnn, name).copy_(getattr(nvsi, name)[6:])
    x = torch.randn(2, 20, 4, dtype=torch.float64)
    assert_equal(nvsi.forward_sequence(x, nvsi.initial_state(2)), rnn.forward_sequence(x, rnn.initial_state(2)))


def torch_gpt(model: GPT, heads: int) -> tuple[nn.TransformerEncoder, list[tuple[Tensor, Tensor]]]:
    width = model.embedding.weight.shape[1]
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, len(model.layers), nn.LayerNorm(width), enable_nested_tensor=False).double()
    modules: list[tuple[Any, Any]] = [(model.norm, theirs.norm)]
    pairs: list[tuple[Tensor, Tensor]] = []
    others: list[Any] = list(theirs.layers)
    for ours, other in zip(model.layers, others, strict=True):
        pairs.append((ours.attention.qkv.weight, other.self_attn.in_proj_weight))
        pairs.append((ours.attention.qkv.bias, other.self_attn.in_proj_bias))
        modules.append((ours.attention.projection, other.self_attn.out_proj))
        modules += [(ours.attention_norm, other.norm1), (ours.mlp_norm, other.norm2)]
        modules += [(ours.mlp[0], other.linear1), (ours.mlp[2], other.linear2)]
    pairs += [pair for a, b in modules for pair in ((a.weight, b.weight), (a.bias, b.bias))]
    with torch.no_grad():
        for source, target in pairs:
            target.copy_(source)
    return theirs, pairs


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "none"])
def test_gpt_equals_torch(position: str) -> None:
    model = build_gpt(GPTConfig(d_model=12, num_layers=2, num_heads=3, position=position), V, 8).double()
    randomise(model)
    theirs, pairs = torch_gpt(model, 3)
    tokens = torch.randint(V, (3, 8))
    x = model.embedding(tokens) * (math.sqrt(12) if position == "sinusoidal" else 1)
    if model.position_table is not None:
        x = x + model.position_table
    mask = nn.Transformer.generate_square_subsequent_mask(8, dtype=torch.float64)
    expected = theirs(x, mask=mask, is_causal=True) @ model.embedding.weight.T
    logits = model(tokens)
    assert_equal(logits, expected)
    assert_equal(model.trace(tokens[1])["logits"], expected[1].detach())
    weights = torch.randn_like(logits)
    shared: list[Tensor] = [p for name, p in model.named_parameters() if name in ("embedding.weight", "position_table")]
    ours = torch.autograd.grad((logits * weights).sum(), [a for a, _ in pairs] + shared)
    assert_equal(ours, torch.autograd.grad((expected * weights).sum(), [b for _, b in pairs] + shared))


def test_gpt_attention_is_a_distribution_over_the_past() -> None:
    seen = build_model(GPTConfig(d_model=8, num_heads=2), V, 8).trace(torch.randint(V, (6,)))
    scores, weights = seen["attention.scores"], seen["attention.weights"]
    future = torch.ones(6, 6, dtype=torch.bool).triu(1)
    assert (weights[..., future] == 0).all() and (scores[..., future] == -math.inf).all()
    assert scores[..., ~future].isfinite().all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 6))


def test_sine_positions_follow_the_paper() -> None:
    table = sinusoids(5, 6)
    for pos in range(5):
        for i in range(3):
            angle = pos / 10000 ** (2 * i / 6)
            assert table[pos, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-7)
            assert table[pos, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-7)


def test_gpt_refuses_a_window_that_is_too_long() -> None:
    model = build_model(GPTConfig(d_model=8, num_heads=2), V, 8)
    for call in (lambda: model(torch.zeros(1, 9, dtype=torch.int64)), lambda: model.trace(torch.zeros(9).long())):
        with pytest.raises(ConfigError, match="9 tokens and the model can look at 8"):
            call()


def drop_everything(model: LanguageModel) -> None:
    for module in model.train().modules():
        if isinstance(module, nn.Dropout):
            module.p = 1.0


def test_recurrent_dropout_acts_after_the_embedding_and_after_each_layer() -> None:
    model = build_recurrent(RNNConfig(embedding_dim=5, hidden_size=7, num_layers=2, dropout=0.5), V, 8)
    widths: list[int] = []
    model.dropout.register_forward_hook(lambda _module, _inputs, output: widths.append(output.shape[-1]))
    drop_everything(model)
    logits = model(torch.randint(V, (2, 4)))
    assert widths == [5, 7, 7]
    assert_equal(logits, model.head.bias.expand(2, 4, V))


def test_gpt_dropout_acts_on_the_embedding_and_on_what_each_block_adds() -> None:
    model = build_gpt(GPTConfig(d_model=12, num_heads=3, dropout=0.5), V, 8)
    randomise(model)
    drop_everything(model)
    only_bias = model.norm.bias @ model.embedding.weight.T
    torch.testing.assert_close(model(torch.randint(V, (2, 4))), only_bias.expand(2, 4, V))


def test_gpt_dropout_acts_on_the_attention_weights() -> None:
    attention = build_gpt(GPTConfig(d_model=12, num_heads=3, dropout=0.5), V, 8).layers[0].attention.train()
    randomise(attention)
    attention.dropout.p = 1.0
    torch.testing.assert_close(attention(torch.randn(2, 4, 12)), attention.projection.bias.expand(2, 4, 12))
