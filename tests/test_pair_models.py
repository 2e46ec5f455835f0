"""What every model that reads a source promises; and its parts against torch.nn and their equations."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lmviz.config import PAIR_KINDS, ModelConfig, Seq2SeqAttentionConfig, Seq2SeqConfig, TransformerConfig
from lmviz.decoding.generate import SourceDecoder
from lmviz.errors import ConfigError
from lmviz.models import build_model
from lmviz.models.alignment import Additive, Multiplicative
from lmviz.models.attention import MultiHeadAttention
from lmviz.models.base import UNSCORED, Batch
from lmviz.models.pairs import END_OF_SOURCE, PairModel, source_lengths, source_mask
from lmviz.models.seq2seq import Seq2Seq, Seq2SeqState, edited
from lmviz.models.transformer import Transformer
from lmviz.tokenizers import END

V, SV, C = 11, 9, 12
E, H, D, N = 5, 7, 12, 3
SMALL: dict[str, Any] = {"embedding_dim": E, "hidden_size": H}
TINY: dict[str, Any] = {"d_model": D, "num_heads": N}
PLAIN: list[ModelConfig] = [
    Seq2SeqConfig(**SMALL, cell=cell, bidirectional=both) for cell in ("gru", "lstm") for both in (True, False)
]
ATTENDING: list[ModelConfig] = [
    Seq2SeqAttentionConfig(**SMALL, cell=cell, score=score, bidirectional=both)
    for cell in ("gru", "lstm")
    for score in ("additive", "multiplicative")
    for both in (True, False)
]
TRANSFORMERS: list[ModelConfig] = [
    TransformerConfig(**TINY, norm=norm, position=position)
    for norm in ("pre", "post")
    for position in ("learned", "sinusoidal", "none")
]
OTHERS: list[ModelConfig] = [
    Seq2SeqAttentionConfig(**SMALL, dropout=0.3),
    TransformerConfig(**TINY, num_layers=3, activation="gelu", dropout=0.1),
]
CONFIGS = PLAIN + ATTENDING + TRANSFORMERS + OTHERS


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def name(config: ModelConfig) -> str:
    sizes = {"kind", "embedding_dim", "hidden_size", "d_model", "num_heads"}
    return "-".join(
        [config.kind, *(f"{k}={v}" for k, v in config.model_dump(exclude_defaults=True, exclude=sizes).items())]
    )


def close(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def assert_equal(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def randomised(module: nn.Module) -> Any:
    """In float64, with no zero bias and no unit norm: a wrong place for any parameter then shows."""
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def make(config: ModelConfig, seed: int = 0) -> Any:
    """In evaluation mode."""
    torch.manual_seed(seed)
    return build_model(config, V, C, source_vocab_size=SV).eval()


def double(config: ModelConfig) -> Any:
    """For oracles: in float64, with large weights."""
    return randomised(make(config))


@pytest.fixture(params=CONFIGS, ids=name)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    chosen: ModelConfig = request.param
    return chosen


@pytest.fixture
def model(config: ModelConfig) -> Any:
    return make(config)


def padded(*texts: list[int], length: int = 0) -> Tensor:
    """Texts without <end> -> sources that end with it, and so does what pads them."""
    longest = max(length, *(len(text) + 1 for text in texts))
    return torch.tensor([[*text, *[END_OF_SOURCE] * (longest - len(text))] for text in texts])


TEXTS = [[3, 4, 5, 8, 1, 6], [7, 3], [4, 4, 6, 0]]
LENGTHS = [7, 3, 5]


@pytest.fixture
def source() -> Tensor:
    return padded(*TEXTS)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(V, (3, 6), generator=torch.Generator().manual_seed(9))


def logits_of(model: Any, source: Tensor, tokens: Tensor) -> Tensor:
    logits: Tensor = model.read(tokens, model.encode(source))[0]
    return logits


def stepped(model: Any, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
    rows = []
    for column in tokens.unbind(1):
        logits, state = model.step(column, state)
        rows.append(logits)
    return torch.stack(rows, 1), state


def test_every_kind_is_tried() -> None:
    assert {config.kind for config in CONFIGS} == set(PAIR_KINDS)


def test_a_source_ends_with_its_first_end() -> None:
    source = torch.tensor([[3, 4, END, END], [END, END, END, END], [3, END, 5, END], [3, 4, 5, END]])
    assert source_lengths(source).tolist() == [3, 1, 2, 4]
    assert source_mask(source).tolist() == [
        [True, True, True, False], [True, False, False, False], [True, True, False, False], [True] * 4
    ]  # fmt: skip


def test_shapes(model: Any, source: Tensor, tokens: Tensor) -> None:
    assert isinstance(model, PairModel) and model.reads_source and model.writes
    assert model.vocab_size == V and cast(Any, model).source_vocab_size == SV
    state = model.encode(source)
    logits, _ = model.step(tokens[:, 0], state)
    assert logits.shape == (3, V)
    assert logits_of(model, source, tokens).shape == (3, 6, V)
    loss = model.loss(Batch(tokens, tokens, source))
    assert loss.shape == () and loss.isfinite()
    assert logits.dtype == loss.dtype == torch.float32


def test_parameter_count_is_the_configs_formula(config: Any, model: Any) -> None:
    assert model.parameter_count() == config.parameter_count(V, C, SV)
    torch.manual_seed(0)
    same = build_model(config, V, C, source_vocab_size=V)
    assert same.parameter_count() == config.parameter_count(V, C, V) == config.parameter_count(V, C)


def test_loss_is_the_cross_entropy_of_the_scored_targets(model: Any, source: Tensor, tokens: Tensor) -> None:
    targets = tokens.flip(1).clone()
    targets[1, 3:] = UNSCORED
    batch = Batch(tokens, targets, source)
    log_probs = logits_of(model, source, tokens).log_softmax(-1)
    losses = torch.tensor(
        [[0.0 if y == UNSCORED else -log_probs[b, t, y].item() for t, y in enumerate(row)]
         for b, row in enumerate(targets.tolist())]
    )  # fmt: skip
    close(model.token_losses(batch).detach(), losses)
    close(model.loss(batch).detach(), losses.sum() / 15)


@torch.no_grad()
def test_read_equals_steps(model: Any, source: Tensor, tokens: Tensor) -> None:
    whole = logits_of(model, source, tokens)
    rows, state = stepped(model, tokens[:, :4], model.encode(source))
    close(rows, whole[:, :4])
    rest, state = model.read(tokens[:, 4:], state)
    close(rest, whole[:, 4:])
    more, _ = model.step(tokens[:, 0], state)
    close(more, logits_of(model, source, torch.cat([tokens, tokens[:, :1]], 1))[:, -1])


@torch.no_grad()
def test_a_state_can_be_used_twice(model: Any, source: Tensor, tokens: Tensor) -> None:
    state = model.encode(source)
    first, _ = stepped(model, tokens, state)
    stepped(model, tokens.flip(1), state)
    assert torch.equal(stepped(model, tokens, state)[0], first)


@torch.no_grad()
def test_a_target_branches_by_reordering(model: Any, tokens: Tensor) -> None:
    source = padded(TEXTS[0])
    decoder = SourceDecoder(model, source)
    written = tokens[:1, :1]
    decoder.prefill(written)
    for rows in ([0, 0, 0], [2, 0, 1], [1, 1, 0, 2], [3, 0]):
        decoder.reorder(torch.tensor(rows))
        written = torch.cat([written[rows], tokens.flatten()[: len(rows), None]], 1)
        expected = logits_of(model, source.expand(len(rows), -1), written)[:, -1]
        close(decoder.step(written[:, -1]), expected)


def test_steps_carry_gradients(model: Any, source: Tensor, tokens: Tensor) -> None:
    parameters = list(model.parameters())
    weights = torch.randn(3, 6, V)
    ours = torch.autograd.grad((stepped(model, tokens, model.encode(source))[0] * weights).sum(), parameters)
    theirs = torch.autograd.grad((logits_of(model, source, tokens) * weights).sum(), parameters)
    for one, other, (label, _) in zip(ours, theirs, model.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4, msg=label)


@torch.no_grad()
def test_the_future_of_the_target_does_not_leak(config: ModelConfig, source: Tensor, tokens: Tensor) -> None:
    model = double(config)
    before = logits_of(model, source, tokens)
    for t in range(6):
        changed = tokens.clone()
        changed[:, t] = (tokens[:, t] + 1) % V
        after = logits_of(model, source, changed)
        assert_equal(after[:, :t], before[:, :t])
        assert not torch.isclose(after[:, t:], before[:, t:]).all(-1).any()


@torch.no_grad()
def test_every_token_of_the_source_matters(config: ModelConfig, source: Tensor, tokens: Tensor) -> None:
    model = double(config)
    before = logits_of(model, source, tokens)
    for b, text in enumerate(TEXTS):
        for s in range(len(text)):
            changed = source.clone()
            changed[b, s] = (text[s] - 2) % (SV - 3) + 3
            assert changed[b, s] not in (text[s], END)
            after = logits_of(model, changed, tokens)
            assert not torch.isclose(after[b], before[b]).all(-1).any()
            others = [other for other in range(3) if other != b]
            assert_equal(after[others], before[others])


@torch.no_grad()
def test_padding_of_the_source_changes_nothing(model: Any, source: Tensor, tokens: Tensor) -> None:
    expected = [logits_of(model, padded(text), tokens[b : b + 1])[0] for b, text in enumerate(TEXTS)]
    close(logits_of(model, source, tokens), torch.stack(expected))
    close(logits_of(model, padded(*TEXTS, length=C), tokens), torch.stack(expected))
    for b, text in enumerate(TEXTS):
        close(logits_of(model, padded(text, length=11), tokens[b : b + 1])[0], expected[b])


def test_padding_of_the_source_gets_no_gradient(config: ModelConfig, tokens: Tensor) -> None:
    """What stands beyond the first <end> is not looked at, whatever it is."""
    model = double(config)
    source = torch.tensor([[3, 4, END, 5, 5]])
    embedding = model.source_embedding
    table = embedding.weight if isinstance(embedding, nn.Embedding) else embedding.tokens.weight
    (grad,) = torch.autograd.grad(logits_of(model, source, tokens[:1]).sum(), [table])
    assert (grad[5] == 0).all() and all((grad[token] != 0).any() for token in (3, 4, END))


@torch.no_grad()
def test_padding_of_the_target_changes_nothing_before_it(model: Any, source: Tensor, tokens: Tensor) -> None:
    close(logits_of(model, source, tokens)[:, :4], logits_of(model, source, tokens[:, :4]))


@torch.no_grad()
def test_saved_and_loaded_weights_give_equal_logits(
    config: ModelConfig, model: Any, source: Tensor, tokens: Tensor, tmp_path: Path
) -> None:
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    fresh = make(config, 1)
    expected = logits_of(model, source, tokens)
    assert not torch.allclose(logits_of(fresh, source, tokens), expected)
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(logits_of(fresh, source, tokens), expected)
    assert fresh.parameter_count() == model.parameter_count()


@torch.no_grad()
def test_a_copy_is_independent(model: Any, source: Tensor, tokens: Tensor) -> None:
    before = logits_of(model, source, tokens)
    copy = deepcopy(model)
    assert torch.equal(logits_of(copy, source, tokens), before)
    for parameter in copy.parameters():
        parameter.add_(torch.randn_like(parameter))
    assert not torch.allclose(logits_of(copy, source, tokens), before)
    assert torch.equal(logits_of(model, source, tokens), before)


def test_the_seed_decides_the_weights(config: ModelConfig) -> None:
    one, same, other = make(config, 0).state_dict(), make(config, 0).state_dict(), make(config, 1).state_dict()
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def sizes(config: Any) -> dict[str, int]:
    if isinstance(config, TransformerConfig):
        return {"query": 6, "key": 7, "token": V, "layer": config.num_layers, "head": N, "dimension": D // N}
    return {"query": 6, "key": 7, "token": V, "unit": H, "layer": 1, "head": 1}


@torch.no_grad()
def test_trace_gives_what_signals_declare(config: ModelConfig, model: Any, source: Tensor, tokens: Tensor) -> None:
    seen = model.trace_pair(source[0], tokens[0])
    assert set(seen) == set(model.signals)
    for signal, axes in model.signals.items():
        assert seen[signal].shape == tuple(sizes(config)[axis] for axis in axes), signal
        assert not seen[signal].requires_grad
    close(seen["logits"], logits_of(model, source, tokens)[0])


@torch.no_grad()
def test_weights_are_a_distribution_over_what_may_be_looked_at(model: Any, tokens: Tensor) -> None:
    seen = model.trace_pair(padded(TEXTS[1], length=7)[0], tokens[1])
    short = model.trace_pair(padded(TEXTS[1])[0], tokens[1])
    later = torch.ones(6, 6, dtype=torch.bool).triu(1)
    for prefix in ("attention", "cross_attention", "encoder_attention"):
        if f"{prefix}.weights" not in model.signals:
            continue
        weights, scores = seen[f"{prefix}.weights"], seen[f"{prefix}.scores"]
        hidden = later if prefix == "attention" else torch.arange(7).expand(weights.shape[-2], 7) >= 3
        close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert (weights[..., hidden] == 0).all() and (scores[..., hidden] == -torch.inf).all()
        assert (weights[..., ~hidden] > 0).all() and scores[..., ~hidden].isfinite().all()
        if prefix == "cross_attention":
            close(weights[..., :3], short[f"{prefix}.weights"])
    close(seen["logits"], short["logits"])


@pytest.mark.parametrize("training", [True, False])
def test_trace_changes_nothing(model: Any, source: Tensor, tokens: Tensor, training: bool) -> None:
    expected = model.trace_pair(source[1], tokens[1])
    model.train(training)
    weights, random = deepcopy(model.state_dict()), torch.get_rng_state()
    seen = model.trace_pair(source[1], tokens[1])
    assert all(module.training == training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(seen[signal], expected[signal]) for signal in expected)
    assert all(part.seen is None for part in model.modules() if isinstance(part, MultiHeadAttention))


def test_without_a_source_it_says_what_it_needs(model: Any, tokens: Tensor) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: model(tokens),
        lambda: model.initial_state(3),
        lambda: model.prefill(tokens),
        lambda: model.trace(tokens[0]),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match="give it a source"):
            call()


def test_it_learns_three_pairs_by_heart(config: ModelConfig, source: Tensor) -> None:
    model = make(config).train()
    written = torch.tensor([[1, 5, 6, 7, 8, END], [1, 9, 3, END, END, END], [1, 10, 10, 4, END, END]])
    targets = written[:, 1:].clone()
    targets[1, 3:] = targets[2, 4:] = UNSCORED
    batch = Batch(written[:, :-1], targets, source)
    before = model.eval().loss(batch).item()
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(190):
        optimizer.zero_grad()
        cast(Any, model.loss(batch)).backward()
        optimizer.step()
    after = model.eval().loss(batch).item()
    assert before > 1.5 and after < 0.1
    scored = targets != UNSCORED
    assert torch.equal(logits_of(model, source, batch.inputs).argmax(-1)[scored], targets[scored])


# Seq2Seq


@pytest.mark.parametrize("config", PLAIN + ATTENDING, ids=name)
def test_seq2seq_equals_torch_on_a_single_source(config: Any, tokens: Tensor) -> None:
    """Encoder, bridge, decoder and output layer with unpacked nn.GRU or nn.LSTM and the equations of both papers."""
    model: Any = double(config)
    source, target = padded(TEXTS[0]), tokens[:1]
    kind, lstm = (nn.LSTM, True) if config.cell == "lstm" else (nn.GRU, False)
    encoder = kind(E, H, batch_first=True, bidirectional=config.bidirectional).double()
    encoder.load_state_dict(model.encoder.state_dict())
    outputs, last = encoder(model.source_embedding(source))
    final = last[0] if lstm else last
    if config.bidirectional:
        assert_equal(final[0], outputs[:, -1, :H])
        assert_equal(final[1], outputs[:, 0, H:])
        start = torch.tanh(model.bridge(torch.cat([outputs[:, -1, :H], outputs[:, 0, H:]], 1)))
    else:
        start = torch.tanh(model.bridge(outputs[:, -1]))
    h, c = (start[:, :H], start[:, H:]) if lstm else (start, None)

    state = model.encode(source)
    assert_equal(state.hidden, h)
    if lstm:
        assert_equal(state.cell, c)
    if model.attention:
        assert_equal(state.memory.states, outputs)
    else:
        assert state.memory is None

    score = getattr(config, "score", None)
    expected, hidden, looks = [], [], []
    for t in range(target.shape[1]):
        x = model.embedding(target[:, t])
        if score == "additive":
            looks.append(additive(model.attention, h[0], outputs[0]))
            x = torch.cat([x, (looks[-1] @ outputs[0])[None]], 1)
        if lstm:
            h, c = model.cell(x, (h, c))
        else:
            h = model.cell(x, h)
        features = h
        if score == "additive":
            features = torch.cat([h, (looks[-1] @ outputs[0])[None]], 1)
        if score == "multiplicative":
            looks.append(multiplicative(model.attention, h[0], outputs[0]))
            context = (looks[-1] @ outputs[0])[None]
            features = torch.tanh(torch.cat([context, h], 1) @ model.mix.weight.T + model.mix.bias)
        expected.append(features @ model.head.weight.T + model.head.bias)
        hidden.append(h[0])
    logits = torch.stack(expected, 1)
    assert_equal(logits_of(model, source, target), logits)
    seen = model.trace_pair(source[0], target[0])
    assert_equal(seen["logits"], logits[0].detach())
    assert_equal(seen["hidden"], torch.stack(hidden)[None].detach())
    if score:
        assert_equal(seen["cross_attention.weights"], torch.stack(looks)[None, None].detach())


def additive(attention: Any, state: Tensor, states: Tensor) -> Tensor:
    """Bahdanau et al. 2015: v . tanh(W s + U m), softmax over the source; state (H,), states (S, M) -> (S,)."""
    w, u, v = attention.query.weight, attention.key.weight, attention.energy.weight[0]
    powers = []
    for m in states:
        energy = sum(v[i] * torch.tanh(w[i] @ state + u[i] @ m) for i in range(len(v)))
        powers.append(torch.exp(torch.as_tensor(energy)))
    return torch.stack(powers) / torch.stack(powers).sum()


def multiplicative(attention: Any, state: Tensor, states: Tensor) -> Tensor:
    """Luong et al. 2015, general: s . W m, softmax over the source; state (H,), states (S, M) -> (S,)."""
    w = attention.key.weight
    powers = [torch.exp(torch.stack([state[i] * (w[i] @ m) for i in range(len(state))]).sum()) for m in states]
    return torch.stack(powers) / torch.stack(powers).sum()


@pytest.mark.parametrize(("kind", "formula"), [(Additive, additive), (Multiplicative, multiplicative)])
def test_alignment_follows_its_formula(kind: Any, formula: Any) -> None:
    attention = randomised(kind(6, 4))
    state, states = torch.randn(3, 4).double(), torch.randn(3, 5, 6).double()
    lengths = [5, 1, 3]
    looked = attention(state, attention.remember(states, torch.arange(5) < torch.tensor(lengths)[:, None]))
    for b, length in enumerate(lengths):
        weights = formula(attention, state[b], states[b, :length])
        assert_equal(looked.weights[b, :length], weights)
        assert_equal(looked.scores[b, :length].softmax(0), weights)
        assert (looked.weights[b, length:] == 0).all() and (looked.scores[b, length:] == -torch.inf).all()
        assert_equal(looked.context[b], sum(weights[s] * states[b, s] for s in range(length)))


@pytest.mark.parametrize("config", ATTENDING, ids=name)
def test_edited_attention_looks_where_it_is_told(config: ModelConfig, source: Tensor, tokens: Tensor) -> None:
    model: Seq2Seq = make(config)
    assert edited(model, {}) is model
    before = logits_of(model, source[:1], tokens[:1])[0].detach()
    own = model.trace_pair(source[0], tokens[0])["cross_attention.weights"][0, 0]  # (T, S)
    same = edited(model, dict(enumerate(own)))
    close(logits_of(same, source[:1], tokens[:1])[0], before)
    close(stepped(same, tokens[:1], same.encode(source[:1]))[0][0], before)
    close(same.trace_pair(source[0], tokens[0])["logits"], before)

    other = torch.eye(7)[3]
    twin = edited(model, {2: other})
    seen = twin.trace_pair(source[0], tokens[0])
    assert torch.equal(seen["cross_attention.weights"][0, 0, 2], other)
    close(seen["cross_attention.weights"][0, 0, :2], own[:2])
    after = logits_of(twin, source[:1], tokens[:1])[0]
    close(after, seen["logits"])
    close(after[:2], before[:2])
    assert not torch.allclose(after[2], before[2])
    later = torch.allclose(after[3:], before[3:], rtol=0, atol=1e-7)
    assert later == model.looks_after  # only what Bahdanau's cell reads goes on in its state
    assert twin.head.weight is model.head.weight
    close(logits_of(model, source[:1], tokens[:1])[0], before)
    assert not model.forced


def test_edited_weights_serve_every_beam(tokens: Tensor) -> None:
    """Weights (S,) go to all rows of a batch."""
    model = make(ATTENDING[0])
    source = padded(TEXTS[0], TEXTS[0])
    twin = edited(model, {1: torch.eye(7)[0]})
    rows = logits_of(twin, source, tokens[:2])
    for b in range(2):
        close(rows[b], logits_of(twin, source[b : b + 1], tokens[b : b + 1])[0])


@pytest.mark.parametrize("config", [PLAIN[0], ATTENDING[0], ATTENDING[2]], ids=name)
def test_seq2seq_dropout_acts_on_embeddings_and_before_the_output_layer(config: Any, source: Tensor) -> None:
    model: Any = make(config.model_copy(update={"dropout": 0.5})).train()
    widths: list[int] = []
    model.dropout.register_forward_hook(lambda _module, _inputs, output: widths.append(output.shape[-1]))
    model.dropout.p = 1.0
    logits = logits_of(model, source, torch.ones(3, 2, dtype=torch.int64))
    assert widths == [E, E, model.head.in_features]
    close(logits, model.head.bias.expand(3, 2, V))


def test_a_state_counts_the_target(tokens: Tensor) -> None:
    model: Seq2Seq = make(PLAIN[0])
    state: Seq2SeqState = model.encode(padded([3]))
    assert state.place == 0
    _, state = model.step(tokens[:1, 0], state)
    _, state = model.read(tokens[:1, 1:4], state)
    assert state.place == 4


# Transformer


def torch_transformer(model: Any, config: TransformerConfig) -> tuple[Any, list[tuple[Tensor, Tensor]]]:
    """nn.Transformer with the same weights; without its final norms if the model has none. And all pairs of weights."""
    settings: Any = {"batch_first": True, "norm_first": config.norm == "pre", "dtype": torch.float64}
    layers: Any = [
        layer(D, N, 4 * D, 0.0, config.activation, **settings)
        for layer in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
    ]
    norms = [nn.LayerNorm(D, dtype=torch.float64) if config.norm == "pre" else None for _ in layers]
    theirs: Any = nn.Transformer(
        D, N, batch_first=True,
        custom_encoder=nn.TransformerEncoder(layers[0], config.num_layers, norms[0], enable_nested_tensor=False),
        custom_decoder=nn.TransformerDecoder(layers[1], config.num_layers, norms[1]),
    )  # fmt: skip
    pairs: list[tuple[Tensor, Tensor]] = []
    modules: list[tuple[Any, Any]] = []
    if config.norm == "pre":
        modules += [(model.encoder_norm, theirs.encoder.norm), (model.norm, theirs.decoder.norm)]
    for ours, other in zip(model.encoder, theirs.encoder.layers, strict=True):
        pairs += heads(ours.attention, other.self_attn)
        modules += [(ours.attention.projection, other.self_attn.out_proj)]
        modules += [(ours.attention_norm, other.norm1), (ours.mlp_norm, other.norm2)]
        modules += [(ours.mlp[0], other.linear1), (ours.mlp[2], other.linear2)]
    for ours, other in zip(model.decoder_blocks, theirs.decoder.layers, strict=True):
        pairs += heads(ours.attention, other.self_attn) + heads(ours.cross_attention, other.multihead_attn)
        modules += [(ours.attention.projection, other.self_attn.out_proj)]
        modules += [(ours.cross_attention.projection, other.multihead_attn.out_proj)]
        modules += [(ours.attention_norm, other.norm1), (ours.cross_norm, other.norm2), (ours.mlp_norm, other.norm3)]
        modules += [(ours.mlp[0], other.linear1), (ours.mlp[2], other.linear2)]
    pairs += [pair for a, b in modules for pair in ((a.weight, b.weight), (a.bias, b.bias))]
    assert len(pairs) == len(list(theirs.parameters()))
    with torch.no_grad():
        for ours, other in pairs:
            other.copy_(ours)
    return theirs, pairs


def heads(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    return [(ours.qkv.weight, theirs.in_proj_weight), (ours.qkv.bias, theirs.in_proj_bias)]


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("config", TRANSFORMERS, ids=name)
def test_transformer_equals_torch(config: Any, activation: str, source: Tensor, tokens: Tensor) -> None:
    """Whole and layer for layer, with all gradients."""
    config = config.model_copy(update={"activation": activation})
    model: Any = double(config)
    theirs, pairs = torch_transformer(model, config)
    x, y = (place(table, ids, config) for table, ids in ((model.source_embedding, source), (model.embedding, tokens)))
    padding, later = ~source_mask(source), torch.ones(6, 6, dtype=torch.bool).triu(1)
    out = theirs(
        x, y, tgt_mask=later, src_key_padding_mask=padding, memory_key_padding_mask=padding, tgt_is_causal=True
    )
    expected = out @ model.embedding.tokens.weight.T
    logits = logits_of(model, source, tokens)
    assert_equal(logits, expected)

    weights = torch.randn_like(logits)
    shared = [p for label, p in model.named_parameters() if "embedding" in label]
    assert len(shared) + len(pairs) == len(list(model.parameters()))
    ours = torch.autograd.grad((logits * weights).sum(), [a for a, _ in pairs] + shared)
    assert_equal(ours, torch.autograd.grad((expected * weights).sum(), [b for _, b in pairs] + shared))

    mask = source_mask(source)[:, None, None]
    assert_equal(model.source_embedding(source), x)
    assert_equal(model.embedding(tokens), y)
    for block, layer in zip(model.encoder, theirs.encoder.layers, strict=True):
        ahead = layer(x, src_key_padding_mask=padding)
        assert_equal(block(x, mask), ahead)
        x = ahead
    memory = theirs.encoder.norm(x) if theirs.encoder.norm else x
    assert_equal(model.encode(source).memory, memory)
    for block, layer in zip(model.decoder_blocks, theirs.decoder.layers, strict=True):
        ahead = layer(y, memory, tgt_mask=later, memory_key_padding_mask=padding)
        assert_equal(block(y, None, memory, mask), ahead)
        y = ahead


def place(embedding: Any, ids: Tensor, config: TransformerConfig) -> Tensor:
    """Token and place, written out."""
    x: Tensor = embedding.tokens.weight[ids]
    if config.position == "learned":
        learned: Tensor = embedding.positions[: ids.shape[1]]
        return x + learned
    if config.position == "none":
        return x
    angles = torch.tensor([[t / 10000 ** (2 * (i // 2) / D) for i in range(D)] for t in range(ids.shape[1])])
    waves = torch.where(torch.arange(D) % 2 == 0, angles.sin(), angles.cos())
    table: Tensor = embedding.positions[: ids.shape[1]]  # made in float32
    close(table, waves.double())
    x = x * D**0.5 + table
    return x


def test_transformer_weights_are_those_torch_averages(source: Tensor, tokens: Tensor) -> None:
    """What the trace shows of the lowest layer is what nn.MultiheadAttention hands out."""
    config: Any = TRANSFORMERS[0]
    model: Any = double(config)
    theirs, _ = torch_transformer(model, config)
    seen = model.trace_pair(source[0], tokens[0])
    x, layer = model.source_embedding(source[:1]), theirs.encoder.layers[0]
    x = layer.norm1(x)
    _, weights = layer.self_attn(x, x, x, average_attn_weights=False)
    assert_equal(seen["encoder_attention.weights"][0], weights[0].detach())
    layer = theirs.decoder.layers[0]
    y = model.embedding(tokens[:1])
    x, later = layer.norm1(y), torch.ones(6, 6, dtype=torch.bool).triu(1)
    added, weights = layer.self_attn(x, x, x, attn_mask=later, average_attn_weights=False)
    assert_equal(seen["attention.weights"][0], weights[0].detach())
    memory = model.encode(source[:1]).memory
    _, weights = layer.multihead_attn(layer.norm2(y + added), memory, memory, average_attn_weights=False)
    assert_equal(seen["cross_attention.weights"][0], weights[0].detach())


def test_learned_positions_end_and_the_others_go_on(tokens: Tensor) -> None:
    long, target = padded([3] * C), torch.ones(1, C + 1, dtype=torch.int64)
    for config in TRANSFORMERS:
        model: Transformer = make(config)
        if model.context_length is None:
            logits = logits_of(model, long, target)
            assert logits.shape == (1, C + 1, V) and logits.isfinite().all()
            continue
        with pytest.raises(ConfigError, match=f"{C + 1} tokens and the model has {C} places"):
            model.encode(long)
        state = model.encode(padded([3]))
        with pytest.raises(ConfigError, match=f"{C + 1} tokens and the model has {C} places"):
            model.read(target, state)
        _, state = model.read(target[:, :C], state)
        with pytest.raises(ConfigError, match=f"{C + 1} tokens and the model has {C} places"):
            model.step(target[:, 0], state)


@torch.no_grad()
def test_a_grown_table_of_waves_gives_what_a_long_one_gives() -> None:
    config = TransformerConfig(**TINY)
    torch.manual_seed(0)
    long = build_model(config, V, 50, source_vocab_size=SV).eval()
    short = make(config)
    source, tokens = padded([3, 4, 5] * 10), torch.randint(V, (1, 30))
    assert torch.equal(logits_of(short, source, tokens), logits_of(long, source, tokens))
    short.load_state_dict(long.state_dict())  # no table in it: any length fits


def test_transformer_dropout_acts_on_embeddings_and_on_what_each_block_adds(source: Tensor, tokens: Tensor) -> None:
    model: Any = randomised(make(TRANSFORMERS[0].model_copy(update={"dropout": 0.5}))).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            assert module.p == 0.5
            module.p = 1.0
    assert_equal(model.encode(source).memory, model.encoder_norm.bias.expand(3, 7, D))
    only_bias = model.norm.bias @ model.embedding.tokens.weight.T
    assert_equal(logits_of(model, source, tokens), only_bias.expand(3, 6, V))
