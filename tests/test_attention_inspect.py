"""What attention does, against plain loops, heads zeroed by hand and the models' own outputs."""

import io
import json
import math
import time
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lmviz.config import BERTConfig, GPTConfig, RNNConfig, TransformerConfig
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, generate
from lmviz.errors import ConfigError
from lmviz.inspect import attention_heads as heads
from lmviz.inspect import attention_names
from lmviz.inspect.attention_overview import GAP, attention_at, overview
from lmviz.inspect.attention_parts import attention_parts, self_attention
from lmviz.inspect.attention_steps import one_query
from lmviz.inspect.features import Reading, token_openings
from lmviz.inspect.heads_off import rank_heads, without_heads
from lmviz.inspect.lens import lens_logits, logit_lens, residuals
from lmviz.inspect.masked_guesses import masked_guesses
from lmviz.inspect.positions import loss_by_position, position_similarity, position_table
from lmviz.models import build_model
from lmviz.models.attention import Attended, Block, watched
from lmviz.models.base import UNSCORED, Batch, LanguageModel
from lmviz.models.bert import BERT
from lmviz.models.gpt import GPT
from lmviz.models.transformer import Transformer
from lmviz.tokenizers import BEGIN, END, char_tokenizer
from lmviz.training.data import validation_batches

TEXT = '(a [b] "c") bc abc a(b] c)\n\n) "ab\nc" “a”'
TOKENIZER = char_tokenizer(set(TEXT))
V = TOKENIZER.vocab_size


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def sharp(model: LanguageModel) -> Any:
    """With larger weights, so that attention is far from uniform and heads matter."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.copy_(torch.randn_like(weight) * 0.4)
            elif weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.1)
    return model.eval()


def gpt(context: int = 24, **more: Any) -> GPT:
    return sharp(build_model(GPTConfig(d_model=16, num_layers=3, num_heads=4, **more), V, context))


def bert(context: int = 24, classes: int | None = None, **more: Any) -> BERT:
    extra = {"classes": classes} if classes else {}
    return sharp(build_model(BERTConfig(d_model=16, num_layers=2, num_heads=4, **more), V, context, **extra))


def transformer() -> Transformer:
    config = TransformerConfig(d_model=16, num_layers=2, num_heads=2)
    return sharp(build_model(config, V, 24, source_vocab_size=V))


def text(*shape: int) -> Tensor:
    return torch.randint(3, V, shape)


# What each head does


@pytest.mark.parametrize(
    ("written", "pairs"),
    [
        ("(a[b])", {4: 2, 5: 0}),
        ("(a]b)", {}),
        ("(a\n\n)", {}),
        ("(\n(\n)\n)", {4: 2, 6: 0}),
        ("))(a)", {4: 2}),
        ('"a" "b"', {2: 0, 6: 4}),
        ('"a\nb" c"', {7: 4}),
        ("“a”「b」", {2: 0, 5: 3}),
        ('("a)")', {3: 0, 4: 1}),
        ("", {}),
    ],
)
def test_openings_of_brackets_and_quotes(written: str, pairs: dict[int, int]) -> None:
    assert {at: int(start) for at, start in enumerate(Reading(written).openings) if start >= 0} == pairs


def test_openings_of_tokens_and_new_documents() -> None:
    tokens = np.array([BEGIN, *TOKENIZER.encode("(a)"), END, BEGIN, *TOKENIZER.encode('") "')])
    assert token_openings(TOKENIZER, tokens).tolist() == [-1, -1, -1, 1, -1, -1, -1, -1, -1, 6]


class Words:
    """Tokens of several characters."""

    def token_bytes(self, token: int) -> bytes:
        return ["", "", "", "f(", "(a)", "x)", "))"][token].encode()


def test_openings_of_tokens_with_several_characters() -> None:
    found = token_openings(cast(Any, Words()), np.array([3, 4, 3, 5, 6]))
    assert found.tolist() == [-1, -1, -1, 2, 0]


def brute(weights: Tensor, tokens: Tensor, opening: Tensor, causal: bool) -> dict[str, tuple[Any, float, int]]:
    """Weights (B, L, N, T, S): name -> score (L, N), what uniform attention scores, number of queries."""
    length = tokens.shape[1]

    def means(name: str, row: list[int], near: list[int], t: int, s: int) -> bool:
        return {
            "previous": s == t - 1,
            "next": s == t + 1 and not causal,
            "first": s == 0 and t > 0,
            "same": row[s] == row[t] and s != t,
            "self": s == t,
            "bracket": near[t] == s,
            "induction": causal and 0 < s < t and row[s - 1] == row[t],
        }[name]

    found = {}
    for name in attention_names.PATTERNS:
        total, even, count = torch.zeros(weights.shape[1:3], dtype=torch.float64), 0.0, 0
        for b, (row, near) in enumerate(zip(tokens.tolist(), opening.tolist(), strict=True)):
            for t in range(length):
                allowed = range(t + 1) if causal else range(length)
                keys = [s for s in allowed if means(name, row, near, t, s)]
                if keys and len(allowed) > 1:
                    total += weights[b, :, :, t, keys].sum(-1).double()
                    even += len(keys) / len(allowed)
                    count += 1
        found[name] = (total / count if count else total * math.nan, even / count if count else math.nan, count)
    return found


@pytest.mark.parametrize("causal", [True, False])
def test_scores_are_those_of_plain_loops(causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gpt() if causal else bert()
    ids = torch.tensor(TOKENIZER.encode(TEXT))
    windows = torch.stack([ids[start : start + 14] for start in (0, 9, 20, len(ids) - 14)])
    weights = torch.stack([seen.weights for seen in self_attention(model, windows)], 1)
    expected = brute(weights, windows, heads.openings(TOKENIZER, windows), causal)
    monkeypatch.setattr(heads, "AT_ONCE", 2 * weights[0].numel())  # two windows at once
    *shares, found = list(heads.measure_heads(model, TOKENIZER, windows))
    assert shares == [0.5, 1.0] and isinstance(found, heads.Heads)
    assert set(found.patterns) == set(attention_names.PATTERNS) - {"next" if causal else "induction"}
    for p, name in enumerate(found.patterns):
        score, uniform, queries = expected[name]
        assert queries > 0 and found.queries[p] == queries
        np.testing.assert_allclose(found.scores[p], score, atol=1e-6)
        assert found.uniform[p] == pytest.approx(uniform, abs=1e-6)
    spread = -(weights * weights.clamp(min=1e-30).log()).sum(-1)[..., 1 if causal else 0 :].mean((0, 3))
    np.testing.assert_allclose(found.entropy, spread, atol=1e-5)
    most = np.mean([math.log(t + 1 if causal else 14) for t in range(1 if causal else 0, 14)])
    assert found.uniform_entropy == pytest.approx(float(most))


def tallied(weights: Tensor, tokens: Tensor, causal: bool) -> heads.Heads:
    """Of one layer: hand-made weights (N, T, T) over tokens (T,)."""
    tally = heads._Tally(causal)
    tally.add([weights[None]], tokens[None], heads.openings(TOKENIZER, tokens[None]))
    return tally.heads()


def test_heads_made_by_hand_get_their_names() -> None:
    tokens = torch.tensor(TOKENIZER.encode("(a)bc " * 25))
    length = len(tokens)
    eye, t = torch.eye(length), torch.arange(length)
    even = torch.ones(length, length).tril() / (t + 1)[:, None]
    made = {
        "previous": eye[(t - 1).clamp(min=0)],
        "first": eye[torch.zeros_like(t)],
        "same": eye[torch.where(t >= 6, t - 6, t)],
        "self": eye,
        "bracket": torch.where((t % 6 == 2)[:, None], 0.4 * eye[(t - 2).clamp(min=0)] + 0.6 * even, even),
        "induction": eye[torch.where(t >= 6, t - 5, t)],
        heads.MIXED: even,
    }  # fmt: skip
    found = tallied(torch.stack(list(made.values())), tokens, True)
    assert found.names == [list(made)]
    by_name = dict(zip(found.patterns, found.scores[:, 0], strict=True))
    together = torch.stack(list(made.values()))[None, None]
    expected = brute(together, tokens[None], heads.openings(TOKENIZER, tokens[None]), True)
    for name, scores in by_name.items():
        np.testing.assert_allclose(scores, expected[name][0][0], atol=1e-5)
    both = tallied(eye[(t + 1).clamp(max=length - 1)][None], tokens, False)
    assert both.names == [["next"]] and by_name["previous"][0] == 1


def test_uniform_attention_scores_what_uniform_attention_scores() -> None:
    tokens = text(30)
    even = torch.ones(1, 30, 30).tril() / torch.arange(1, 31)[:, None]
    found = tallied(even, tokens, True)
    np.testing.assert_allclose(found.scores[:, 0, 0], found.uniform, atol=1e-6)
    assert found.entropy.item() == pytest.approx(found.uniform_entropy, abs=1e-5)


def test_a_pattern_seen_too_rarely_gives_no_name() -> None:
    tokens = torch.tensor(TOKENIZER.encode("(a b)"))
    found = tallied(torch.eye(5)[torch.tensor([0, 0, 0, 0, 0])][None], tokens, True)
    assert found.queries[found.patterns.index("bracket")] == 1 and found.names == [[heads.MIXED]]


def test_entropy_by_hand() -> None:
    rows = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(heads.entropy(rows), [0, math.log(4), math.log(2)], atol=1e-6)


def test_induction_on_random_text(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gpt()  # 24 places: blocks of 12
    read = []

    def self_attention_of(model: Any, tokens: Tensor) -> list[Attended]:
        read.append((tokens, self_attention(model, tokens)))
        return read[-1][1]

    monkeypatch.setattr(heads, "self_attention", self_attention_of)
    found = heads.induction_on_random(model, torch.arange(3, V), torch.Generator().manual_seed(1))
    tokens, seen = read[0]
    assert tokens.shape == (heads.REPEATS, 24) and torch.equal(tokens[:, :12], tokens[:, 12:])
    weights = torch.stack([layer.weights for layer in seen])  # (L, B, N, T, S)
    expected = torch.zeros(3, 4)
    for row in range(heads.REPEATS):
        for t in range(12, 24):
            expected += weights[:, row, :, t, tokens[row].tolist().index(int(tokens[row, t])) + 1]
    np.testing.assert_allclose(found, expected / (12 * heads.REPEATS), atol=1e-6)
    assert tokens.min() >= 3 and all(len(set(row[:12].tolist())) == 12 for row in tokens)
    few = heads.induction_on_random(model, torch.tensor([3, 4]), torch.Generator().manual_seed(1))
    assert few.shape == (3, 4)
    even = torch.ones(24, 24).tril() / torch.arange(1, 25)[:, None]
    assert heads.uniform_on_random(model) == pytest.approx(float(even.diagonal(-11)[1:].mean()))
    for other, ids in ((bert(), torch.arange(3, V)), (gpt(3), torch.arange(3, V)), (model, torch.tensor([3]))):
        with pytest.raises(ConfigError):
            heads.induction_on_random(other, ids, torch.Generator())


def test_induction_on_random_text_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """One layer with a perfect induction head, one that looks a place too early, and one at the token before."""
    eye, t = torch.eye(24), torch.arange(24)
    made = torch.stack([eye[(t - back).clamp(min=0)] for back in (11, 12, 1)]).expand(heads.REPEATS, 3, 24, 24)
    nothing = torch.empty(0)
    seen = [Attended(nothing, nothing, nothing, nothing, made)]
    monkeypatch.setattr(heads, "self_attention", lambda _model, _tokens: seen)
    found = heads.induction_on_random(gpt(), torch.arange(3, V), torch.Generator())
    assert found.tolist() == [[1, 0, 0]]


def test_only_models_that_look_at_their_own_text() -> None:
    recurrent = build_model(RNNConfig(), V, 8)
    for model in (recurrent, transformer()):
        with pytest.raises(ConfigError):
            next(heads.measure_heads(model, TOKENIZER, text(1, 4)))
    with pytest.raises(ConfigError):
        without_heads(recurrent, [("attention", 0, 0)])


# Heads switched off


def by_hand(model: GPT | BERT, tokens: Tensor, off: set[tuple[int, int]]) -> Tensor:
    """The logits with what heads give set to zero, in plain steps."""
    x = model.embed(tokens)
    for layer, block in enumerate(model.layers):
        mixed = torch.zeros_like(x)
        inside = block.attention_norm(x) if block.pre else x
        queries, keys, values = block.attention.split(inside)
        for head in range(block.attention.num_heads):
            scores = queries[:, head] @ keys[:, head].transpose(1, 2) / math.sqrt(queries.shape[-1])
            if block.attention.causal:
                scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
            width = queries.shape[-1]
            out = scores.softmax(-1) @ values[:, head]
            mixed[..., head * width : (head + 1) * width] = 0 if (layer, head) in off else out
        after = block.attention.projection(mixed)
        x = x + after if block.pre else block.attention_norm(x + after)
        x = x + block.mlp(block.mlp_norm(x)) if block.pre else block.mlp_norm(x + block.mlp(x))
    return lens_logits(model, x)


OFF = {(0, 1), (0, 3), (1, 2)}


@pytest.mark.parametrize("make", [gpt, bert, lambda: bert(norm="post")])
def test_heads_off_are_heads_zeroed_by_hand(make: Any) -> None:
    model, tokens = make(), text(3, 20)
    twin = without_heads(model, [("attention", *head) for head in OFF])
    with evaluating(model), evaluating(twin):
        expected = by_hand(model, tokens, OFF)
        torch.testing.assert_close(by_hand(model, tokens, set()), model(tokens), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(twin(tokens), expected, atol=1e-5, rtol=1e-5)
        assert (twin(tokens) - model(tokens)).abs().max() > 0.01
        torch.testing.assert_close(twin.trace(tokens[0])["logits"], expected[0], atol=1e-5, rtol=1e-5)
    assert without_heads(model, []) is model


def test_generation_and_forward_agree_without_heads() -> None:
    model = gpt()
    twin = without_heads(model, [("attention", *head) for head in OFF])
    tokens = text(2, 30)  # 24 fit: the window moves on
    with evaluating(twin):
        decoder = twin.decoder()
        logits = [decoder.prefill(tokens[:, :5])]
        logits += [decoder.step(column).clone() for column in tokens[:, 5:].unbind(1)]
        for at, row in enumerate(logits, 5):
            torch.testing.assert_close(row, twin(tokens[:, max(0, at - 24) : at])[:, -1], atol=1e-4, rtol=1e-4)
    read = torch.tensor([BEGIN, *TOKENIZER.encode("a")])
    for one in generate(twin, TOKENIZER, DecodingConfig(prompt="a", max_new_tokens=8)):
        with evaluating(twin):
            logprobs = twin(read[None])[0, -1].log_softmax(0)
        assert one.logprob == pytest.approx(float(logprobs[one.id]), abs=1e-4)
        read = torch.cat([read, torch.tensor([one.id])])


def test_a_twin_shares_its_weights_and_leaves_the_model_alone() -> None:
    model, tokens = gpt(), text(2, 10)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    twin = without_heads(model, [("attention", 1, 0)])
    own = {name for name, weight in twin.named_parameters() if weight is not dict(model.named_parameters())[name]}
    assert own == {"blocks.1.attention.projection.weight"}
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    twin.loss(Batch(tokens, tokens)).backward()
    assert all(weight.grad is not None for weight in twin.parameters())
    assert torch.equal(without_heads(model, [("attention", 1, 0)])(tokens), twin(tokens))


@pytest.mark.parametrize("part", ["attention", "cross_attention", "encoder_attention"])
def test_parts_of_a_transformer_without_heads(part: str) -> None:
    model = transformer()
    batch = pair_batch()
    twin = without_heads(model, [(part, 1, 0)])
    with evaluating(model), evaluating(twin):
        mixing = next(reversed(attention_parts(model)[part].values()))
        width = 8

        def deaf(_module: Any, given: tuple[Tensor, ...]) -> tuple[Tensor]:
            return (torch.cat([torch.zeros_like(given[0][..., :width]), given[0][..., width:]], -1),)

        hook = mixing.projection.register_forward_pre_hook(deaf)
        expected = model.logits_of(batch)
        hook.remove()
        torch.testing.assert_close(twin.logits_of(batch), expected, atol=1e-5, rtol=1e-5)
        assert (expected - model.logits_of(batch)).abs().max() > 0.01
    assert {name: len(paths) for name, paths in attention_parts(model).items()} == {
        "encoder_attention": 2, "attention": 2, "cross_attention": 2,
    }  # fmt: skip


def pair_batch() -> Batch:
    source = torch.cat([text(3, 6), torch.full((3, 1), END)], 1)
    tokens = text(3, 6)
    return Batch(tokens[:, :-1], tokens[:, 1:], source)


@pytest.mark.parametrize(
    "head", [("attention", 3, 0), ("attention", 0, 4), ("attention", 0, -1), ("cross_attention", 0, 0)]
)
def test_heads_that_are_not_there(head: tuple[str, int, int]) -> None:
    with pytest.raises(ConfigError, match="no "):
        without_heads(gpt(), [head])


def test_ranks_are_the_rises_of_the_loss_by_hand() -> None:
    model = gpt()
    batches = []
    for _ in range(2):
        tokens = text(3, 13)
        targets = tokens[:, 1:].masked_fill(torch.rand(3, 12) < 0.3, UNSCORED)
        batches.append(Batch(tokens[:, :-1], targets))
    *shares, found = list(rank_heads(model, batches))
    assert isinstance(found, dict) and shares == sorted(cast(list[float], shares)) and shares[-1] == 1

    def loss(off: set[tuple[int, int]]) -> float:
        logits = torch.cat([by_hand(model, batch.inputs, off).flatten(0, 1) for batch in batches]).double()
        return float(F.cross_entropy(logits, torch.cat([batch.targets.flatten() for batch in batches])))

    with torch.no_grad():
        assert found["loss"] == pytest.approx(loss(set()), abs=1e-5)
        expected = [[loss({(layer, head)}) - loss(set()) for head in range(4)] for layer in range(3)]
    np.testing.assert_allclose(found["rises"], expected, atol=2e-5)
    *_, cross = rank_heads(transformer(), [pair_batch()], "cross_attention")
    assert isinstance(cross, dict) and cross["rises"].shape == (2, 2)
    with pytest.raises(ConfigError):
        next(rank_heads(model, batches, "cross_attention"))


# The logit lens


@pytest.mark.parametrize("make", [gpt, bert, lambda: bert(norm="post"), lambda: gpt(position="sinusoidal")])
def test_the_last_depth_of_the_lens_is_the_model(make: Any) -> None:
    model, tokens = make(), text(20)
    with evaluating(model):
        depths = residuals(model, tokens[None])
        assert len(depths) == len(model.layers) + 1
        assert torch.equal(depths[0], model.embed(tokens[None]))
        assert torch.equal(lens_logits(model, depths[-1]), model(tokens[None]))
    found = logit_lens(model, tokens)
    assert found["tokens"].shape == found["chances"].shape == (len(depths), 20, 5)
    with evaluating(model):
        chances = model(tokens[None])[0].softmax(-1)
    best = chances.topk(5)
    assert np.array_equal(found["tokens"][-1], best.indices)
    np.testing.assert_allclose(found["chances"][-1], best.values, atol=1e-6)
    np.testing.assert_allclose(found["kl"][-1], 0, atol=1e-6)
    assert (found["kl"][0] > 0.01).any() and (found["kl"] >= 0).all()
    for t in range(20):
        if isinstance(model, BERT):
            assert found["true"][-1, t] == pytest.approx(float(chances[t, tokens[t]]), abs=1e-6)
        elif t < 19:
            assert found["true"][-1, t] == pytest.approx(float(chances[t, tokens[t + 1]]), abs=1e-6)
    assert isinstance(model, BERT) or np.isnan(found["true"][:, -1]).all()
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in model.layers)


@pytest.mark.parametrize("make", [gpt, bert, lambda: bert(norm="post")])
def test_a_lower_depth_is_the_model_with_fewer_blocks(make: Any) -> None:
    model, tokens = make(), text(16)
    found = logit_lens(model, tokens)
    with evaluating(model):
        final = model(tokens[None])[0].log_softmax(-1).double()
        model.blocks = model.blocks[:1]
        one = model(tokens[None])[0].log_softmax(-1).double()
    np.testing.assert_allclose(found["chances"][1], one.exp().topk(5).values, atol=1e-6)
    np.testing.assert_allclose(
        found["kl"][1], F.kl_div(one, final, log_target=True, reduction="none").sum(-1), atol=1e-5
    )


def test_lens_on_hidden_tokens_and_what_has_none() -> None:
    model, tokens = bert(), text(10)
    read = tokens.index_fill(0, torch.tensor([4]), model.mask_token)
    found = logit_lens(model, tokens, read, top=3)
    (guess,) = masked_guesses(model, tokens, [4], top=3)
    assert found["true"][-1, 4] == pytest.approx(guess["chance"], abs=1e-6)
    assert found["tokens"][-1, 4].tolist() == [token for token, _ in guess["guesses"]]
    for other, ids in ((bert(classes=3), tokens), (gpt(8), tokens), (build_model(RNNConfig(), V, 8), tokens)):
        with pytest.raises(ConfigError):
            logit_lens(other, ids)


# Positions


def test_position_tables() -> None:
    model = gpt()
    assert model.position_table is not None
    assert np.array_equal(position_table(model), model.position_table.detach())
    learned = bert()
    assert np.array_equal(position_table(learned), learned.state_dict()["embedding.positions"])
    assert position_table(bert(position="sinusoidal")).shape == (24, 16)
    assert position_table(transformer()).shape == (24, 16)
    for none in (gpt(position="none"), bert(position="none"), build_model(RNNConfig(), V, 8)):
        with pytest.raises(ConfigError, match="place"):
            position_table(none)


def test_similarity_by_distance_by_loops() -> None:
    table = torch.randn(9, 6).numpy()
    table[3] = 0
    found = position_similarity(table)
    for distance in range(9):
        pairs = [(table[i], table[i + distance]) for i in range(9 - distance)]
        dots = [float(a @ b) for a, b in pairs]
        cosines = [float(a @ b / max(1e-12, np.linalg.norm(a) * np.linalg.norm(b))) for a, b in pairs]
        assert found["dot"][distance] == pytest.approx(np.mean(dots), abs=1e-5)
        assert found["cosine"][distance] == pytest.approx(np.mean(cosines), abs=1e-5)
        assert found["cosine_low"][distance] == pytest.approx(min(cosines), abs=1e-5)
        assert found["cosine_high"][distance] == pytest.approx(max(cosines), abs=1e-5)
    waves = position_similarity(position_table(gpt(position="sinusoidal")))
    np.testing.assert_allclose(waves["cosine_low"], waves["cosine_high"], atol=1e-5)  # the distance says it all


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "none"])
def test_loss_by_position_within_and_beyond_the_context(position: str) -> None:
    model = gpt(12, position=position)
    stream = text(400).numpy().astype("uint16")
    for longest in (12, 30):
        *shares, found = list(loss_by_position(model, stream, longest))
        assert isinstance(found, dict) and shares[-1] == 1 and found["trained"] == model.context_length == 12
        reached = 12 if position == "learned" else longest
        assert found["losses"].shape == (reached,)
        windows = validation_batches(stream, reached, 65_536, 1000)
        assert found["windows"] == len(windows[0].inputs)
        if reached == 12:
            with evaluating(model):
                expected = model.token_losses(windows[0]).double().mean(0)
        else:
            longer = gpt(30, position=position)
            longer.load_state_dict(model.state_dict())
            with evaluating(longer):
                expected = longer.token_losses(windows[0]).double().mean(0)
        np.testing.assert_allclose(found["losses"], expected, atol=1e-5)
    for other in (bert(), transformer()):
        with pytest.raises(ConfigError):
            next(loss_by_position(other, stream, 12))


# One query in numbers


@pytest.mark.parametrize("make", [gpt, bert])
def test_one_query_in_numbers_is_what_the_model_did(make: Any) -> None:
    model, tokens = make(), text(1, 9)
    for seen in self_attention(model, tokens):
        mixed = seen.weights @ seen.values
        for head in range(4):
            for query in range(9):
                found = one_query(seen, head, query)
                np.testing.assert_allclose(found["weights"], seen.weights[0, head, query], atol=1e-6)
                np.testing.assert_allclose(found["mixed"], mixed[0, head, query], atol=1e-5)
                given = [-math.inf if score is None else score for score in found["scores"]]
                np.testing.assert_allclose(given, seen.scores[0, head, query], atol=1e-5)
        assert found["allowed"] == [True] * 9
    json.dumps(found, allow_nan=False)


def test_steps_of_one_query_left_out() -> None:
    (seen, *_) = self_attention(gpt(), text(1, 6))
    q, keys, values = (part[0, 1].double().numpy() for part in (seen.queries, seen.keys, seen.values))

    def softmax(scores: Any) -> Any:
        return np.exp(scores) / np.exp(scores).sum()

    for scaled, divisor in ((True, 2.0), (False, 1.0)):
        for masked, reach in ((True, 3), (False, 6)):
            found = one_query(seen, 1, 2, scaled=scaled, masked=masked)
            weights = softmax(keys[:reach] @ q[2] / divisor)
            assert found["divisor"] == divisor and found["allowed"] == [True] * 3 + [False] * 3
            np.testing.assert_allclose(found["products"], keys @ q[2], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found["weights"][:reach], weights, atol=1e-5)
            assert found["weights"][reach:] == [0.0] * (6 - reach)
            np.testing.assert_allclose(found["mixed"], weights @ values[:reach], rtol=1e-4, atol=1e-5)
            assert [score is None for score in found["scores"]] == [False] * reach + [True] * (6 - reach)
            json.dumps(found, allow_nan=False)
    with pytest.raises(ConfigError):
        one_query(seen, 4, 0)


# Hidden tokens


def test_guesses_at_hidden_places() -> None:
    model, tokens = bert(), text(12)
    found = masked_guesses(model, tokens, [7, 2])
    read = tokens.clone()
    read[[2, 7]] = model.mask_token
    with evaluating(model):
        chances = model(read[None])[0].softmax(-1)
    for answer, place in zip(found, [7, 2], strict=True):
        row = chances[place].tolist()
        order = sorted(range(V), key=lambda token: -row[token])
        assert answer["place"] == place and answer["token"] == tokens[place]
        assert [token for token, _ in answer["guesses"]] == order[:8]
        assert [chance for _, chance in answer["guesses"]] == pytest.approx([row[token] for token in order[:8]])
        assert answer["rank"] == order.index(answer["token"]) + 1
        assert answer["chance"] == pytest.approx(row[answer["token"]])
    json.dumps(found)
    for other, places in ((gpt(), [1]), (bert(classes=2), [1]), (model, [12]), (model, [-1]), (model, [])):
        with pytest.raises(ConfigError):
            masked_guesses(other, tokens, places)


# All maps in one picture


def png_bytes(picture: Any) -> int:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return len(file.getvalue())


def test_overview_has_every_map_in_its_place() -> None:
    weights = torch.rand(2, 3, 5, 7).numpy()
    weights[0, 0, 0, :2] = 0, 1
    picture = overview(weights)
    assert picture.dtype == np.uint8 and picture.shape == (2 * 6 - 1, 3 * 8 - 1)
    assert (picture[5] == GAP).all() and (picture[:, [7, 15]] == GAP).all() and (picture == GAP).sum() == 23 + 2 * 10
    for layer in range(2):
        for head in range(3):
            tile = picture[layer * 6 : layer * 6 + 5, head * 8 : head * 8 + 7]
            np.testing.assert_allclose(np.sqrt(attention_at(tile)), np.sqrt(weights[layer, head]), atol=0.5 / 31 + 1e-6)
    assert picture[0, 0] == 0 and picture[0, 1] == 248


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_all_heads_of_a_text_at_once_are_fast_and_small(kind: str) -> None:
    tokens = torch.randint(3, V, (1, 128))
    more = {"d_model": 128, "num_layers": 6, "num_heads": 8}
    config = GPTConfig(**more) if kind == "gpt" else BERTConfig(**more)
    model = build_model(config, V, 128).eval()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        *_, found = heads.measure_heads(model, TOKENIZER, tokens)
        weights = torch.cat([seen.weights for seen in self_attention(model, tokens)]).numpy()
        picture = overview(weights)
        seconds.append(time.perf_counter() - start)
    assert isinstance(found, heads.Heads) and found.scores.shape[1:] == (6, 8)
    size = png_bytes(picture)
    worst = png_bytes(overview(torch.randn(6, 8, 128, 128).mul(2).softmax(-1).numpy()))
    print(f"{kind}: {1000 * min(seconds):.0f} ms, two passes; PNG {size / 1000:.0f} kB, of noise {worst / 1000:.0f} kB")
    assert min(seconds) < 1 and size < 500_000 and worst < 500_000


def test_watching_leaves_nothing_behind() -> None:
    model, tokens = gpt(), text(1, 8)
    with evaluating(model):
        before = model(tokens)
    self_attention(model, tokens)
    with evaluating(model):
        assert torch.equal(model(tokens), before)
    with watched(model) as seen:
        pass
    assert set(seen) == set(attention_parts(model)["attention"])
    assert all(isinstance(block, Block) and block.attention.seen is None for block in model.blocks)
