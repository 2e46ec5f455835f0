"""BERT: what it promises, and the same numbers as Hugging Face's BERT on copied weights."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from lmviz.config import BERTConfig
from lmviz.errors import ConfigError
from lmviz.models import build_model
from lmviz.models.base import UNSCORED, Batch
from lmviz.models.bert import BERT
from lmviz.tokenizers import END

V, C, D, N = 11, 8, 12, 3
TINY: dict[str, Any] = {"d_model": D, "num_heads": N}
CONFIGS = [
    BERTConfig(**TINY),
    BERTConfig(**TINY, norm="post"),
    BERTConfig(**TINY, num_layers=1, position="sinusoidal", activation="relu"),
    BERTConfig(**TINY, num_layers=3, position="none", dropout=0.3),
]
CLASSES = [None, 4]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def name(config: BERTConfig) -> str:
    sizes = {"kind", "d_model", "num_heads"}
    return "-".join(["bert", *(str(v) for v in config.model_dump(exclude_defaults=True, exclude=sizes).values())])


@pytest.fixture(params=CONFIGS, ids=name)
def config(request: pytest.FixtureRequest) -> BERTConfig:
    chosen: BERTConfig = request.param
    return chosen


@pytest.fixture(params=CLASSES, ids=["guesses", "classes"])
def classes(request: pytest.FixtureRequest) -> int | None:
    chosen: int | None = request.param
    return chosen


def make(config: BERTConfig, classes: int | None = None, seed: int = 0) -> Any:
    """In evaluation mode."""
    torch.manual_seed(seed)
    more = {} if classes is None else {"classes": classes}
    return build_model(config, V, C, **more).eval()


def randomised(module: nn.Module) -> Any:
    """In float64, with no zero bias and no unit norm: a wrong place for any parameter then shows."""
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def model(config: BERTConfig, classes: int | None) -> Any:
    return make(config, classes)


@pytest.fixture
def tokens() -> Tensor:
    """With its own token for what is hidden, which is V, and without <end>, after which a classifier reads nothing."""
    drawn = torch.randint(V + 1, (3, C), generator=torch.Generator().manual_seed(9))
    return drawn.where(drawn != END, END + 1)


def assert_equal(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def rows(classes: int | None, time: int = C) -> tuple[int, int]:
    return (time, V) if classes is None else (1, classes)


def test_shapes(model: Any, classes: int | None, tokens: Tensor) -> None:
    assert isinstance(model, BERT) and not model.writes and not model.reads_source and not model.carries_state
    assert (model.context_length, model.classes) == (C, classes)
    assert model.vocab_size == (V if classes is None else classes)
    logits = model(tokens)
    assert logits.shape == (3, *rows(classes)) and logits.dtype == torch.float32
    assert model(tokens[:, :3]).shape == (3, *rows(classes, 3))
    targets = torch.zeros(logits.shape[:2], dtype=torch.int64)
    loss = model.loss(Batch(tokens, targets))
    assert loss.shape == () and loss.isfinite()
    assert model.token_losses(Batch(tokens, targets)).shape == targets.shape


def test_parameter_count_is_the_configs_formula(config: BERTConfig, model: Any, classes: int | None) -> None:
    assert model.parameter_count() == config.parameter_count(V, C, classes)


def test_only_what_is_to_be_guessed_counts(config: BERTConfig, tokens: Tensor) -> None:
    model = make(config)
    targets = torch.full_like(tokens, UNSCORED)
    targets[0, 2], targets[2, 5] = 4, 7
    log_probs = model(tokens).log_softmax(-1)
    torch.testing.assert_close(
        model.loss(Batch(tokens, targets)), -(log_probs[0, 2, 4] + log_probs[2, 5, 7]) / 2
    )  # fmt: skip


@torch.no_grad()
def test_every_place_sees_every_other(config: BERTConfig, classes: int | None, tokens: Tensor) -> None:
    model = randomised(make(config, classes))
    before = model(tokens)
    for t in range(C):
        changed = tokens.clone()
        changed[:, t] = (tokens[:, t] + 1) % V
        after = model(changed)
        assert not torch.isclose(after, before).all(-1).any()


@torch.no_grad()
def test_sentences_of_a_batch_do_not_see_each_other(model: Any, tokens: Tensor) -> None:
    together = model(tokens)
    for b in range(3):
        torch.testing.assert_close(model(tokens[b : b + 1])[0], together[b], rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "none"])
def test_only_positions_tell_an_order(position: Any) -> None:
    model = randomised(make(BERTConfig(**TINY, position=position)))
    tokens = torch.tensor([[3, 4, 5, 6, 7, 8]])
    swapped = torch.tensor([[3, 7, 5, 6, 4, 8]])
    same = torch.allclose(model(tokens)[0, 3], model(swapped)[0, 3], rtol=1e-10, atol=1e-10)
    assert same == (position == "none")


def test_it_learns(config: BERTConfig, classes: int | None, tokens: Tensor) -> None:
    model = make(config, classes).train()
    hidden = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    if classes is None:
        inputs, targets = tokens.masked_fill(hidden, model.mask_token), (tokens % V).masked_fill(~hidden, UNSCORED)
    else:
        inputs, targets = tokens, torch.tensor([[2], [0], [3]])
    batch = Batch(inputs, targets)
    before = model.eval().loss(batch).item()
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        cast(Any, model.loss(batch)).backward()
        optimizer.step()
    assert model.eval().loss(batch).item() < before - 0.8


def test_every_parameter_learns(model: Any, classes: int | None, tokens: Tensor) -> None:
    randomised(model)
    targets = torch.zeros(3, rows(classes)[0], dtype=torch.int64)
    grads = torch.autograd.grad(model.loss(Batch(tokens, targets)), list(model.parameters()), allow_unused=True)
    for (label, _), grad in zip(model.named_parameters(), grads, strict=True):
        assert grad is not None and (grad != 0).any(), label


@torch.no_grad()
def test_saved_and_loaded_weights_give_equal_logits(
    config: BERTConfig, model: Any, classes: int | None, tokens: Tensor, tmp_path: Path
) -> None:
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    fresh = make(config, classes, 1)
    assert not torch.equal(fresh(tokens), model(tokens))
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(fresh(tokens), model(tokens))


@torch.no_grad()
def test_a_classifier_takes_the_body_of_a_model_that_guesses(config: BERTConfig, tokens: Tensor) -> None:
    """Fine-tuning: all parts of the same name fit; only the classifier is new."""
    guesses, tells = make(config, None, 0), make(config, 4, 1)
    missing, unexpected = tells.load_state_dict(guesses.state_dict(), strict=False)
    assert set(missing) == {"classifier.weight", "classifier.bias"}
    assert set(unexpected) == {"guess_norm.weight", "guess_norm.bias", "guess_bias"}
    assert torch.equal(tells.hidden(tokens), guesses.hidden(tokens))


@torch.no_grad()
def test_a_copy_is_independent(model: Any, tokens: Tensor) -> None:
    before = model(tokens)
    copy = deepcopy(model)
    assert torch.equal(copy(tokens), before)
    for parameter in copy.parameters():
        parameter.add_(torch.randn_like(parameter))
    assert not torch.allclose(copy(tokens), before)
    assert torch.equal(model(tokens), before)


def test_the_seed_decides_the_weights(config: BERTConfig, classes: int | None) -> None:
    one, same, other = (make(config, classes, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_trace_gives_what_signals_declare(config: BERTConfig, model: Any, classes: int | None, tokens: Tensor) -> None:
    seen = model.trace(tokens[0, :6])
    sizes = {"query": 6, "key": 6, "time": 6, "token": V, "layer": config.num_layers, "head": N, "dimension": D // N}
    if classes is not None:
        sizes |= {"time": 1, "class": classes}
    assert list(seen) == list(model.signals)
    for signal, axes in model.signals.items():
        assert seen[signal].shape == tuple(sizes[axis] for axis in axes), signal
        assert not seen[signal].requires_grad
    torch.testing.assert_close(seen["logits"], model(tokens[:1, :6])[0].detach(), rtol=1e-4, atol=1e-5)
    weights = seen["attention.weights"]
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert (weights > 0).all() and seen["attention.scores"].isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_trace_changes_nothing(model: Any, tokens: Tensor, training: bool) -> None:
    expected = model.trace(tokens[0])
    model.train(training)
    weights, random = deepcopy(model.state_dict()), torch.get_rng_state()
    seen = model.trace(tokens[0])
    assert all(module.training == training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(seen[signal], expected[signal]) for signal in expected)


def test_it_says_that_it_does_not_write(model: Any, tokens: Tensor) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: model.initial_state(3),
        lambda: model.step(tokens[:, 0], None),
        lambda: model.prefill(tokens),
        lambda: model.decoder().prefill(tokens),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=r"BERT fills gaps in a text; it does not go on with one\..+"):
            call()


def test_it_refuses_a_text_that_is_too_long(model: Any) -> None:
    long = torch.zeros(1, C + 1, dtype=torch.int64)
    calls: list[Callable[[], Any]] = [lambda: model(long), lambda: model.trace(long[0])]
    for call in calls:
        with pytest.raises(ConfigError, match=f"{C + 1} tokens and the model can look at {C}: give it a shorter"):
            call()


def test_dropout_acts_on_the_embedding_and_before_the_classifier(tokens: Tensor) -> None:
    model = randomised(make(BERTConfig(**TINY, dropout=0.5), 4)).train()
    shapes: list[tuple[int, ...]] = []
    model.dropout.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape)))
    model.dropout.p = 1.0
    assert_equal(model(tokens), model.classifier.bias.expand(3, 1, 4))
    assert shapes == [(3, C, D), (3, 1, D)]


# Hugging Face's BERT


def hugging_face(model: Any, config: BERTConfig, kind: Any) -> tuple[Any, list[tuple[Tensor, Tensor]]]:
    """Theirs with our weights, and pairs of both; a slice of ours where they hold queries, keys and values apart."""
    settings = BertConfig(
        vocab_size=V + 1, hidden_size=D, num_hidden_layers=config.num_layers, num_attention_heads=N,
        intermediate_size=4 * D, hidden_act=config.activation, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, max_position_embeddings=C, type_vocab_size=1, layer_norm_eps=1e-5,
        pad_token_id=None,  # or id 0 learns nothing
    )  # fmt: skip
    settings.num_labels = model.classes or 2
    theirs = kind(settings).double().eval()
    bert = theirs.bert
    pairs = [
        (model.embedding.tokens.weight, bert.embeddings.word_embeddings.weight),
        (model.embedding.positions, bert.embeddings.position_embeddings.weight),
    ]
    modules = [(model.norm, bert.embeddings.LayerNorm)]
    for ours, other in zip(model.blocks, bert.encoder.layer, strict=True):
        parts = (other.attention.self.query, other.attention.self.key, other.attention.self.value)
        for part, weight, bias in zip(
            parts, ours.attention.qkv.weight.chunk(3), ours.attention.qkv.bias.chunk(3), strict=True
        ):
            pairs += [(weight, part.weight), (bias, part.bias)]
        modules += [(ours.attention.projection, other.attention.output.dense)]
        modules += [(ours.attention_norm, other.attention.output.LayerNorm), (ours.mlp_norm, other.output.LayerNorm)]
        modules += [(ours.mlp[0], other.intermediate.dense), (ours.mlp[2], other.output.dense)]
    if model.classes:
        modules += [(model.transform, bert.pooler.dense), (model.classifier, theirs.classifier)]
    else:
        guess = theirs.cls.predictions
        guess.transform.transform_act_fn = nn.GELU()  # ours is GELU there, whatever the blocks have
        modules += [(model.transform, guess.transform.dense), (model.guess_norm, guess.transform.LayerNorm)]
    pairs += [pair for a, b in modules for pair in ((a.weight, b.weight), (a.bias, b.bias))]
    named = {id(b) for _, b in pairs}
    left = {label for label, parameter in theirs.named_parameters() if id(parameter) not in named}
    assert left == {"bert.embeddings.token_type_embeddings.weight"} | (
        set() if model.classes else {"cls.predictions.bias"}
    )
    with torch.no_grad():
        for source, target in pairs:
            assert source.shape == target.shape
            target.copy_(source)
        bert.embeddings.token_type_embeddings.weight.zero_()
        if not model.classes:
            assert theirs.cls.predictions.decoder.weight is bert.embeddings.word_embeddings.weight
            theirs.cls.predictions.bias.zero_()
            theirs.cls.predictions.bias[:V] = model.guess_bias
    return theirs, pairs


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_bert_equals_hugging_faces(tokens: Tensor, layers: int, activation: Any) -> None:
    config = BERTConfig(**TINY, num_layers=layers, norm="post", activation=activation)
    model = randomised(make(config))
    theirs, pairs = hugging_face(model, config, BertForMaskedLM)
    theirs.set_attn_implementation("eager")
    for ids in (tokens, tokens[:, :5]):
        expected = theirs(ids, output_hidden_states=True, output_attentions=True)
        assert_equal(model.embed(ids), expected.hidden_states[0])
        assert_equal(model.hidden(ids), expected.hidden_states[-1])
        assert_equal(model(ids), expected.logits[..., :V])
        attentions = torch.stack([layer[0] for layer in expected.attentions])
        assert_equal(model.trace(ids[0])["attention.weights"], attentions.detach())

    weights = torch.randn(3, C, V, dtype=torch.float64)
    others = torch.autograd.grad((theirs(tokens).logits[..., :V] * weights).sum(), [b for _, b in pairs])
    cast(Any, (model(tokens) * weights).sum()).backward()
    found = {id(parameter): parameter.grad for parameter in model.parameters()}
    apart = [other for (ours, _), other in zip(pairs, others, strict=True) if id(ours) not in found]
    stacked = [torch.cat(apart[6 * i + j : 6 * i + 6 : 2]) for i in range(layers) for j in (0, 1)]
    wholes = [part for block in model.blocks for part in (block.attention.qkv.weight, block.attention.qkv.bias)]
    assert_equal([whole.grad for whole in wholes], stacked)
    for (ours, _), other in zip(pairs, others, strict=True):
        if id(ours) in found:
            assert_equal(found[id(ours)], other)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_the_classifier_equals_hugging_faces(tokens: Tensor, activation: Any) -> None:
    config = BERTConfig(**TINY, norm="post", activation=activation)
    model = randomised(make(config, 4))
    theirs, _ = hugging_face(model, config, BertForSequenceClassification)
    assert_equal(model(tokens)[:, 0], theirs(tokens).logits)
    labels = torch.tensor([2, 0, 3])
    assert_equal(model.loss(Batch(tokens, labels[:, None])), theirs(tokens, labels=labels).loss)


@torch.no_grad()
def test_what_pads_a_labelled_text_changes_nothing(tokens: Tensor) -> None:
    model = make(BERTConfig(**TINY), 3)
    short = torch.cat([tokens[:, :4], torch.full((3, 1), END)], 1)
    padded = torch.cat([short, torch.full((3, C - 5), END)], 1)
    torch.testing.assert_close(model(padded), model(short))
    other = padded.clone()
    other[:, 5:] = tokens[:, 5:]
    torch.testing.assert_close(model(other), model(short))


def test_pre_norm_equals_torchs_encoder(tokens: Tensor) -> None:
    """The variant that Hugging Face does not have: nn.TransformerEncoder between embedding and guess."""
    model = randomised(make(BERTConfig(**TINY)))
    layer = nn.TransformerEncoderLayer(D, N, 4 * D, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs: Any = nn.TransformerEncoder(layer, 2, nn.LayerNorm(D), enable_nested_tensor=False).double()
    modules = [(model.norm, theirs.norm)]
    with torch.no_grad():
        for ours, other in zip(model.blocks, theirs.layers, strict=True):
            other.self_attn.in_proj_weight.copy_(ours.attention.qkv.weight)
            other.self_attn.in_proj_bias.copy_(ours.attention.qkv.bias)
            modules += [(ours.attention.projection, other.self_attn.out_proj)]
            modules += [(ours.attention_norm, other.norm1), (ours.mlp_norm, other.norm2)]
            modules += [(ours.mlp[0], other.linear1), (ours.mlp[2], other.linear2)]
        for ours, other in modules:
            other.load_state_dict(ours.state_dict())
    x = model.embedding.tokens.weight[tokens] + model.embedding.positions
    hidden = theirs(x)
    assert_equal(model.hidden(tokens), hidden)
    guess = nn.functional.layer_norm(
        nn.functional.gelu(hidden @ model.transform.weight.T + model.transform.bias),
        (D,), model.guess_norm.weight, model.guess_norm.bias,
    )  # fmt: skip
    assert_equal(model(tokens), guess @ model.embedding.tokens.weight[:V].T + model.guess_bias)
