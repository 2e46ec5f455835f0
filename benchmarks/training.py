"""One update of the weights, side by side in one process on one thread: lmviz against plain PyTorch of the same sizes.

    python benchmarks/training.py [--rounds 9] [--sizes 64 128 256] [--only rnn gru nvsi lstm gpt]

An update is forward, cross-entropy, backward and fused AdamW. Recurrent models: one layer, batch 32 x 100 tokens, 65
tokens, embedding as wide as the hidden state; peers are nn.RNN, nn.GRU, nn.LSTM, and for NVSI, which torch does not
have, a loop of nn.Linear. GPT: 4 layers x 128, 4 heads, batch 16 x 128 tokens, against torch.nn with SDPA.
First both sides must give the same loss on the same weights. Then they take turns; times are medians, a ratio (time of
the peer / time of lmviz) is the median over the rounds. Exit status 1 if a budget is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.config import GPTConfig, GRUConfig, LSTMConfig, ModelConfig, NVSIConfig, RNNConfig
from lmviz.models import build_model
from lmviz.models.base import Batch, LanguageModel
from lmviz.models.linear import use_product
from lmviz.training.product import product_here

VOCABULARY = 65
STEPS = 4
"""Updates of one side before it is the other's turn."""
BUDGETS = {"rnn": 1.1, "gru": 1.1, "nvsi": 1.6, "lstm": 0.95, "gpt": 1.3}
"""Lowest ratio, for every size."""
PEERS = {"rnn": "nn.RNN", "gru": "nn.GRU", "nvsi": "loop of nn.Linear", "lstm": "nn.LSTM", "gpt": "nn.Linear and SDPA"}
CONFIGS = {"rnn": RNNConfig, "gru": GRUConfig, "nvsi": NVSIConfig, "lstm": LSTMConfig}
TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """Embedding, one of torch's recurrent modules, output layer."""

    def __init__(self, kind: str, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, hidden)
        self.layer = NVSILoop(hidden) if kind == "nvsi" else TORCH[kind](hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layer(self.embedding(tokens))[0])

    def copy_from(self, model: Any) -> None:
        self.embedding.load_state_dict(model.embedding.state_dict())
        self.head.load_state_dict(model.head.state_dict())
        (cell,) = model.layers
        if isinstance(self.layer, NVSILoop):
            self.layer.copy_from(cell)
        else:
            self.layer.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})


class NVSILoop(nn.Module):
    """NVSI as one writes it down: at every step, an nn.Linear of [x, h] for the gate and one for the candidate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)
        self.candidate = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden, outputs = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            both = torch.cat([x[:, t], hidden], 1)
            hidden = torch.sigmoid(self.gate(both)) * torch.tanh(self.candidate(both))
            outputs.append(hidden)
        return torch.stack(outputs, 1), hidden

    @torch.no_grad()
    def copy_from(self, cell: Any) -> None:
        weights = torch.cat([cell.weight_ih, cell.weight_hh], 1).chunk(2)
        biases = (cell.bias_ih + cell.bias_hh).chunk(2)
        for linear, weight, bias in zip((self.gate, self.candidate), weights, biases, strict=True):
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)
        )  # (B, N, T, K)
        mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.projection(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class PlainGPT(nn.Module):
    """GPT-2's layout from torch.nn's parts; names as in lmviz, so that weights copy over."""

    def __init__(self, config: GPTConfig, context: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, config.d_model)
        self.position_table = nn.Parameter(torch.empty(context, config.d_model))
        self.blocks = nn.ModuleList(Block(config.d_model, config.num_heads) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position_table
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight)

    def copy_from(self, model: Any) -> None:
        self.load_state_dict(model.state_dict())


class Pair(NamedTuple):
    """Two updates to compare, and their name."""

    kind: str
    name: str
    ours: Callable[[], None]
    peers: Callable[[], None]


def ours(config: ModelConfig, context: int) -> LanguageModel:
    """lmviz's model, as a run trains it: what a run switches on for speed is switched on here."""
    model = build_model(config, VOCABULARY, context)
    use_product(model, product_here())  # as a training does
    return model


def pair(kind: str, hidden: int | None) -> Pair:
    """lmviz's model and its peer with the same weights.

    Raises:
        AssertionError: they do not compute the same loss.
    """
    torch.manual_seed(0)
    batch_size, length = (16, 128) if hidden is None else (32, 100)
    if hidden is None:
        config: ModelConfig = GPTConfig(d_model=128, num_layers=4, num_heads=4)
        peer: Any = PlainGPT(config, length)
    else:
        config = CONFIGS[kind](embedding_dim=hidden, hidden_size=hidden)
        peer = Recurrent(kind, hidden)
    model = ours(config, length)
    peer.copy_from(model)
    tokens = torch.randint(VOCABULARY, (batch_size, length + 1))
    batch = Batch(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())

    def peers_loss() -> Tensor:
        return F.cross_entropy(peer(batch.inputs).flatten(0, 1), batch.targets.flatten())

    torch.testing.assert_close(model.loss(batch), peers_loss(), rtol=1e-5, atol=1e-5)
    name = "gpt 4 x 128" if hidden is None else f"{kind} {hidden}"
    return Pair(kind, name, update(model, lambda: model.loss(batch)), update(peer, peers_loss))


def update(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One step of training, the same for both sides."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], None]) -> float:
    """Time of one update, the mean of STEPS."""
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - start) / STEPS


def measure(pair: Pair, rounds: int) -> tuple[float, float, float]:
    """Median seconds of an update of each side, and the median ratio; the first round, a warm-up, does not count."""
    times = [one_round(pair, peers_first=bool(number % 2)) for number in range(rounds + 1)][1:]
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return mine, theirs, statistics.median(b / a for a, b in times)


def one_round(pair: Pair, peers_first: bool) -> tuple[float, float]:
    """Seconds of an update of lmviz and of the peer."""
    if peers_first:
        theirs = seconds(pair.peers)
        return seconds(pair.ours), theirs
    return seconds(pair.ours), seconds(pair.peers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256], help="hidden sizes")
    parser.add_argument("--only", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':12} {'lmviz':>9} {'peer':>9} {'ratio':>7} {'budget':>7}   peer")
    lowest: dict[str, float] = {}
    for kind in arguments.only:
        for hidden in [None] if kind == "gpt" else arguments.sizes:
            contest = pair(kind, hidden)
            mine, theirs, ratio = measure(contest, arguments.rounds)
            lowest[kind] = min(ratio, lowest.get(kind, ratio))
            times = f"{mine * 1e3:6.2f} ms {theirs * 1e3:6.2f} ms"
            print(f"{contest.name:12} {times} {ratio:7.2f} {BUDGETS[kind]:7.2f}   {PEERS[kind]}", flush=True)
    for kind, ratio in lowest.items():
        verdict = "holds" if ratio >= BUDGETS[kind] else "missed"
        print(f"{kind} >= {BUDGETS[kind]} x {PEERS[kind]}: {verdict} (lowest ratio {ratio:.2f})")
    return int(any(ratio < BUDGETS[kind] for kind, ratio in lowest.items()))


if __name__ == "__main__":
    sys.exit(main())
