"""Seq2Seq: a recurrent encoder reads the source, a recurrent decoder writes the target; with and without attention.

Without attention the decoder knows the source only by the vector it begins with (Sutskever, Vinyals and Le 2014; the
encoder reads both ways here, as in Bahdanau et al.). With additive attention every step first looks at the source with
the state before, and the context enters cell and output layer (Bahdanau et al. 2015); with multiplicative attention the
step looks with its new state, and tanh(W [context, state]) goes to the output layer (Luong et al. 2015).
Not how states are compared with the source: alignment.py.
Shapes: B batch, S source time, T target time, V target vocabulary, E embedding, H hidden, M encoder states.
"""

from collections.abc import Mapping
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lmviz.config import Seq2SeqAttentionConfig, Seq2SeqConfig
from lmviz.models.alignment import Looked, Memory, alignment
from lmviz.models.base import without_dropout
from lmviz.models.pairs import PairModel, source_lengths, source_mask

Config = Seq2SeqConfig | Seq2SeqAttentionConfig


class Seq2SeqState(NamedTuple):
    """Between two tokens of the target."""

    memory: Memory | None  # None without attention
    hidden: Tensor  # (B, H)
    cell: Tensor  # (B, H), of an LSTM; (B, 0) of a GRU
    place: int  # tokens of the target that were read


class Seq2Seq(PairModel):
    """See the module. `forced` gives weights (S,) over the source for steps, by their number from 0, in place of the
    attention's own: `edited` makes such a twin.
    """

    context_length = None

    def __init__(self, config: Config, vocab_size: int, source_vocab_size: int) -> None:
        super().__init__()
        self.vocab_size, self.source_vocab_size = vocab_size, source_vocab_size
        self.is_lstm = config.cell == "lstm"
        hidden, memory = config.hidden_size, config.memory_size
        encoder = nn.LSTM if self.is_lstm else nn.GRU
        self.source_embedding = nn.Embedding(source_vocab_size, config.embedding_dim)
        self.encoder = encoder(
            config.embedding_dim, hidden, batch_first=True, bidirectional=config.bidirectional
        )  # fmt: skip
        self.bridge = nn.Linear(memory, hidden * (2 if self.is_lstm else 1))
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        self.attention = None
        score = getattr(config, "score", None)
        if score:
            self.attention = alignment(score, memory, hidden)
        self.looks_after = score == "multiplicative"
        fed = memory if score == "additive" else 0
        self.cell = (nn.LSTMCell if self.is_lstm else nn.GRUCell)(config.embedding_dim + fed, hidden)
        self.mix = nn.Linear(hidden + memory, hidden) if self.looks_after else None
        self.head = nn.Linear(hidden + fed, vocab_size)
        self.dropout = nn.Dropout(config.dropout)
        self.forced: Mapping[int, Tensor] = {}

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        """With attention one layer and one head of it; `hidden` is the decoder's."""
        square = ("layer", "head", "query", "key")
        seen = {"cross_attention.scores": square, "cross_attention.weights": square} if self.attention else {}
        return {**seen, "hidden": ("layer", "query", "unit"), "logits": ("query", "token")}

    def encode(self, source: Tensor) -> Seq2SeqState:
        lengths, mask = source_lengths(source), source_mask(source)
        x = self.dropout(self.source_embedding(source))  # (B, S, E)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = self.encoder(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])
        final = last[0] if self.is_lstm else last  # (directions, B, H)
        start = torch.tanh(self.bridge(final.transpose(0, 1).flatten(1)))  # (B, H), (B, 2 H) of an LSTM
        hidden, cell = start.chunk(2, 1) if self.is_lstm else (start, start[:, :0])
        memory = self.attention.remember(states, mask) if self.attention else None
        return Seq2SeqState(memory, hidden, cell, 0)

    def step(self, tokens: Tensor, state: Seq2SeqState) -> tuple[Tensor, Seq2SeqState]:
        """As the contract says; gradients flow through it."""
        x = self.dropout(self.embedding(tokens))  # (B, E)
        features, state, _ = self._advance(x, state)
        return self.head(self.dropout(features)), state

    def read(self, tokens: Tensor, state: Seq2SeqState) -> tuple[Tensor, Seq2SeqState]:
        x = self.dropout(self.embedding(tokens))  # (B, T, E)
        features = []
        for column in x.unbind(1):
            one, state, _ = self._advance(column, state)
            features.append(one)
        return self.head(self.dropout(torch.stack(features, 1))), state  # (B, T, V)

    def _advance(self, x: Tensor, state: Seq2SeqState) -> tuple[Tensor, Seq2SeqState, Looked | None]:
        """One token (B, E) -> what the output layer reads, the state after, and the look at the source."""
        looked = None
        forced = self.forced.get(state.place)
        if self.attention and state.memory and not self.looks_after:
            looked = self.attention(state.hidden, state.memory, forced)
            x = torch.cat([x, looked.context], 1)
        hidden, cell = state.hidden, state.cell
        if self.is_lstm:
            hidden, cell = self.cell(x, (hidden, cell))
        else:
            hidden = self.cell(x, hidden)
        after = Seq2SeqState(state.memory, hidden, cell, state.place + 1)
        if self.attention and state.memory and self.mix:
            looked = self.attention(hidden, state.memory, forced)
            return torch.tanh(self.mix(torch.cat([looked.context, hidden], 1))), after, looked
        return torch.cat([hidden, looked.context], 1) if looked else hidden, after, looked

    @torch.no_grad()
    def look(self, source: Tensor, tokens: Tensor) -> Tensor | None:
        if not self.attention:
            return None
        weights = []
        with without_dropout(self):
            state = self.encode(source)
            for column in self.embedding(tokens).unbind(1):
                _, state, looked = self._advance(column, state)
                assert looked
                weights.append(looked.weights)
        return torch.stack(weights, 1)  # (B, T, S)

    @torch.no_grad()
    def trace_pair(self, source: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """As the contract says, without dropout, whatever the mode."""
        looks: list[Looked] = []
        hidden, logits = [], []
        with without_dropout(self):
            state = self.encode(source[None])
            for token in self.embedding(tokens[:, None]):  # (1, E)
                features, state, looked = self._advance(token, state)
                hidden.append(state.hidden[0])
                logits.append(self.head(features)[0])
                looks += [looked] if looked else []
        found: dict[str, Tensor] = {}
        if looks:
            found["cross_attention.scores"] = torch.cat([look.scores for look in looks])[None, None]  # (1, 1, T, S)
            found["cross_attention.weights"] = torch.cat([look.weights for look in looks])[None, None]
        return {**found, "hidden": torch.stack(hidden)[None], "logits": torch.stack(logits)}


def edited(model: Seq2Seq, forced: Mapping[int, Tensor]) -> Seq2Seq:
    """A twin that shares its weights and looks where it is told: step of the target, from 0 -> weights (S,).

    The model itself if nothing is forced.
    """
    if not forced:
        return model
    twin = copy(model)
    twin.forced = dict(forced)
    return twin


def build(config: Config, vocab_size: int, context_length: int, source_vocab_size: int) -> Seq2Seq:
    """The model of `config`, with torch's default weights. `context_length` is no limit for these models."""
    return Seq2Seq(config, vocab_size, source_vocab_size)
