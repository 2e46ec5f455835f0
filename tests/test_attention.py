"""Attention and the Transformer block against torch.nn on copied weights, the fast path against the plain steps."""

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models.attention import (
    Activation,
    Attended,
    Block,
    MultiHeadAttention,
    NormPlace,
    attention_signals,
    stacked,
    watched,
)

B, T, S, D, N = 3, 6, 5, 12, 3
K = D // N
CASES = ["causal", "bidirectional", "padded", "causal-padded", "cross", "cross-padded"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    torch.manual_seed(0)


def assert_equal(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def randomised(module: nn.Module) -> Any:
    """In float64, with no zero bias and no unit norm: a wrong place for any parameter then shows."""
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def padding(keys: int) -> Tensor:
    """Where there are tokens (B, keys): all of them, all but one, one."""
    return torch.arange(keys) < torch.tensor([keys, keys - 1, 1])[:, None]


def case(name: str) -> tuple[MultiHeadAttention, Tensor, Tensor | None, Tensor | None]:
    """The attention, x, memory and where there are tokens."""
    attention = randomised(MultiHeadAttention(D, N, 0.0, causal="causal" in name))
    memory = noise(B, S, D) if "cross" in name else None
    return attention, noise(B, T, D), memory, padding(T if memory is None else S) if "padded" in name else None


def forbidden(attention: MultiHeadAttention, memory: Tensor | None, there: Tensor | None) -> Tensor:
    """Where a query must not look (B, T, S), written out."""
    keys = T if memory is None else S
    rows = [
        [[(attention.causal and j > i) or (there is not None and not bool(there[b, j])) for j in range(keys)]
         for i in range(T)]
        for b in range(B)
    ]  # fmt: skip
    return torch.tensor(rows)


def run(
    attention: MultiHeadAttention, x: Tensor, memory: Tensor | None, there: Tensor | None
) -> tuple[Tensor, Tensor, Attended]:
    """The output of the fast path, the output under `watched`, and what was seen."""
    mask = None if there is None else there[:, None, None]
    fast = attention(x, memory, mask)
    with watched(attention) as seen:
        slow = attention(x, memory, mask)
    assert list(seen) == [""] and len(seen[""]) == 1
    return fast, slow, seen[""][0]


def copy_pairs(pairs: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for source, target in pairs:
            assert source.shape == target.shape
            target.copy_(source)


def attention_pairs(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    return [
        (ours.qkv.weight, theirs.in_proj_weight),
        (ours.qkv.bias, theirs.in_proj_bias),
        (ours.projection.weight, theirs.out_proj.weight),
        (ours.projection.bias, theirs.out_proj.bias),
    ]


def torch_attention(ours: MultiHeadAttention) -> Any:
    theirs = nn.MultiheadAttention(D, N, batch_first=True, dtype=torch.float64)
    copy_pairs(attention_pairs(ours, theirs))
    return theirs


def asked(theirs: Any, ours: MultiHeadAttention, x: Tensor, memory: Tensor | None, there: Tensor | None) -> Any:
    """Arguments of nn.MultiheadAttention, in which True means: not to be looked at."""
    other = x if memory is None else memory
    later = torch.ones(T, other.shape[1], dtype=torch.bool).triu(1) if ours.causal else None
    more: dict[str, Any] = {"key_padding_mask": None if there is None else ~there, "attn_mask": later}
    return (x, other, other), more


@pytest.mark.parametrize("name", CASES)
def test_attention_equals_torch(name: str) -> None:
    attention, x, memory, there = case(name)
    theirs = torch_attention(attention)
    fast, slow, seen = run(attention, x, memory, there)
    inputs, more = asked(theirs, attention, x, memory, there)
    expected, weights = theirs(*inputs, **more, average_attn_weights=False)
    assert_equal(fast, expected)
    assert_equal(slow, expected)
    assert_equal(seen.weights, weights)
    _, mean = theirs(*inputs, **more)
    assert_equal(seen.weights.mean(1), mean)


@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_torchs(name: str) -> None:
    attention, x, memory, there = case(name)
    theirs = torch_attention(attention)
    inputs, more = asked(theirs, attention, x, memory, there)
    given = [x] if memory is None else [x, memory]
    pairs = attention_pairs(attention, theirs)
    fast, slow, _ = run(attention, x, memory, there)
    expected, _ = theirs(*inputs, **more)
    toward = torch.randn_like(expected)
    others = torch.autograd.grad((expected * toward).sum(), [*given, *(b for _, b in pairs)])
    for ours in (fast, slow):
        assert_equal(torch.autograd.grad((ours * toward).sum(), [*given, *(a for a, _ in pairs)]), others)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_what_is_seen_makes_the_output(name: str, dtype: torch.dtype) -> None:
    """Shapes; scores from queries and keys; and torch's kernel on the seen queries, keys and values."""
    attention, x, memory, there = case(name)
    attention, x = attention.to(dtype), x.to(dtype)
    memory = None if memory is None else memory.to(dtype)
    fast, slow, seen = run(attention, x, memory, there)
    keys = T if memory is None else S
    assert seen.queries.shape == (B, N, T, K)
    assert seen.keys.shape == seen.values.shape == (B, N, keys, K)
    assert seen.scores.shape == seen.weights.shape == (B, N, T, keys)
    hidden = forbidden(attention, memory, there)[:, None].expand_as(seen.scores)
    products = torch.einsum("bntk,bnsk->bnts", seen.queries, seen.keys) / math.sqrt(K)
    torch.testing.assert_close(seen.scores[~hidden], products[~hidden])
    assert (seen.scores[hidden] == -math.inf).all()
    assert (seen.weights[hidden] == 0).all() and (seen.weights >= 0).all()
    torch.testing.assert_close(seen.weights.sum(-1), torch.ones(B, N, T, dtype=dtype))
    mixed = F.scaled_dot_product_attention(seen.queries, seen.keys, seen.values, attn_mask=~hidden)
    for out in (fast, slow):
        torch.testing.assert_close(out, attention.projection(mixed.transpose(1, 2).flatten(2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["causal", "cross-padded"])
def test_attention_is_the_formula(name: str) -> None:
    """Every query, every head, with loops."""
    attention, x, memory, there = case(name)
    other = x if memory is None else memory
    hidden = forbidden(attention, memory, there)
    w_q, w_k, w_v = attention.qkv.weight.chunk(3)
    b_q, b_k, b_v = attention.qkv.bias.chunk(3)
    expected = torch.empty(B, T, D, dtype=torch.float64)
    for b in range(B):
        for t in range(T):
            parts = []
            for head in range(N):
                rows = slice(head * K, (head + 1) * K)
                query = w_q[rows] @ x[b, t] + b_q[rows]
                looked = [s for s in range(other.shape[1]) if not hidden[b, t, s]]
                powers = [torch.exp(query @ (w_k[rows] @ other[b, s] + b_k[rows]) / math.sqrt(K)) for s in looked]
                values = [w_v[rows] @ other[b, s] + b_v[rows] for s in looked]
                weighted = [power * value for power, value in zip(powers, values, strict=True)]
                parts.append(torch.stack(weighted).sum(0) / torch.stack(powers).sum())
            expected[b, t] = attention.projection.weight @ torch.cat(parts) + attention.projection.bias
    fast, slow, _ = run(attention, x, memory, there)
    assert_equal(fast, expected)
    assert_equal(slow, expected)


def test_what_stands_under_the_mask_changes_nothing() -> None:
    attention, x, _, there = case("causal-padded")
    assert there is not None
    other = torch.where(there[..., None], x, 100 * torch.randn_like(x))
    before, after = run(attention, x, None, there), run(attention, other, None, there)
    for ours, theirs in zip(before[:2], after[:2], strict=True):
        assert_equal(ours[there], theirs[there])


def test_watched_ends_with_its_block_and_after_an_error() -> None:
    block = Block(D, N, 0.0, cross=True).double()
    attentions = [part for part in block.modules() if isinstance(part, MultiHeadAttention)]
    x, memory = noise(B, T, D), noise(B, S, D)
    with watched(block) as seen:
        block(x, None, memory)
    assert list(seen) == ["attention", "cross_attention"]
    assert [len(found) for found in seen.values()] == [1, 1]
    block(x, None, memory)
    assert [len(found) for found in seen.values()] == [1, 1]
    with pytest.raises(ZeroDivisionError), watched(block):
        1 / 0  # noqa: B018
    assert len(attentions) == 2 and all(part.seen is None for part in attentions)


def test_stacked_signals_are_shaped_as_declared() -> None:
    blocks = nn.ModuleList(Block(D, N, 0.0) for _ in range(2))
    x = torch.randn(1, T, D)
    with watched(blocks) as seen:
        for block in blocks:
            x = block(x)
    sizes = {"layer": 2, "head": N, "query": T, "key": T, "dimension": K}
    signals, axes = stacked(list(seen.values()), "attention"), attention_signals("attention")
    assert list(signals) == list(axes)
    for name, value in signals.items():
        assert value.shape == tuple(sizes[axis] for axis in axes[name]), name
    assert torch.equal(signals["attention.weights"][1], seen["1.attention"][0].weights[0])


def block_pairs(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    """A Block's parameters and those of nn.TransformerEncoderLayer or nn.TransformerDecoderLayer."""
    pairs = attention_pairs(ours.attention, theirs.self_attn)
    modules = [(ours.attention_norm, theirs.norm1), (ours.mlp[0], theirs.linear1), (ours.mlp[2], theirs.linear2)]
    if ours.cross_attention is None:
        modules += [(ours.mlp_norm, theirs.norm2)]
    else:
        pairs += attention_pairs(ours.cross_attention, theirs.multihead_attn)
        modules += [(ours.cross_norm, theirs.norm2), (ours.mlp_norm, theirs.norm3)]
    return pairs + [pair for a, b in modules for pair in ((a.weight, b.weight), (a.bias, b.bias))]


def torch_layer(ours: Block, cross: bool, norm: str, activation: str, d_ff: int) -> tuple[Any, Any]:
    """torch's layer with the same weights, and the pairs of all of them."""
    layer = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    theirs = layer(D, N, d_ff, 0.0, activation, batch_first=True, norm_first=norm == "pre", dtype=torch.float64)
    pairs = block_pairs(ours, theirs)
    assert len(pairs) == len(list(ours.parameters())) == len(list(theirs.parameters()))
    copy_pairs(pairs)
    return theirs, pairs


@pytest.mark.parametrize("d_ff", [None, 7])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("name", CASES)
def test_a_block_equals_torchs_layer(name: str, norm: NormPlace, activation: Activation, d_ff: int | None) -> None:
    cross, causal = "cross" in name, "causal" in name
    block = Block(D, N, 0.0, causal=causal, cross=cross, norm=norm, activation=activation, d_ff=d_ff)
    randomised(block)
    theirs, pairs = torch_layer(block, cross, norm, activation, d_ff or 4 * D)
    x, memory = noise(B, T, D), noise(B, S, D)
    there = padding(S if cross else T) if "padded" in name else None
    mask = None if there is None else there[:, None, None]
    hidden = None if there is None else ~there
    later = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None

    def ours() -> Tensor:
        return cast(Tensor, block(x, None, memory, mask) if cross else block(x, mask))

    if cross:
        expected = theirs(x, memory, tgt_mask=later, memory_key_padding_mask=hidden)
    else:
        expected = theirs(x, src_mask=later, src_key_padding_mask=hidden)
    assert_equal(ours(), expected)
    with watched(block):
        assert_equal(ours(), expected)
    toward = torch.randn_like(expected)
    given = [x, memory] if cross else [x]
    found = torch.autograd.grad((ours() * toward).sum(), [*given, *(a for a, _ in pairs)])
    assert_equal(found, torch.autograd.grad((expected * toward).sum(), [*given, *(b for _, b in pairs)]))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_causal_block_over_a_padded_source_equals_torchs_decoder(norm: NormPlace) -> None:
    block = randomised(Block(D, N, 0.0, cross=True, norm=norm))
    theirs, _ = torch_layer(block, True, norm, "gelu", 4 * D)
    x, memory, there = noise(B, T, D), noise(B, S, D), padding(S)
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    expected = theirs(x, memory, tgt_mask=later, memory_key_padding_mask=~there)
    assert_equal(block(x, None, memory, there[:, None, None]), expected)


def test_dropout_acts_on_the_weights_in_training_only_and_never_while_watched() -> None:
    attention = randomised(MultiHeadAttention(D, N, 0.5))
    attention.dropout.p = 1.0
    x = noise(B, T, D)
    assert_equal(attention.train()(x), attention.projection.bias.expand(B, T, D))
    with watched(attention):
        slow = attention(x)
    assert_equal(slow, attention.eval()(x))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_dropout_acts_on_what_each_part_of_a_block_adds(norm: NormPlace) -> None:
    block = randomised(Block(D, N, 0.5, cross=True, norm=norm)).train()
    assert block.dropout.p == block.attention.dropout.p == block.cross_attention.dropout.p == 0.5
    block.dropout.p = 1.0
    x = noise(B, T, D)
    expected = x if norm == "pre" else block.mlp_norm(block.cross_norm(block.attention_norm(x)))
    assert_equal(block(x, None, noise(B, S, D)), expected)
