"""The settings of each kind of model: plain values, no torch. A field's meaning and unit stand in the line below it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lmviz.errors import N_, ConfigError

PAIR_KINDS = ("seq2seq", "seq2seq-attention", "transformer")
"""Kinds that read a source and write a target: their corpora are pairs."""


class Settings(BaseModel):
    """Base of all parts: frozen, no unknown fields, finite numbers, the docstring under a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class NgramConfig(Settings):
    kind: Literal["ngram"] = "ngram"
    order: int = Field(default=3, ge=1, le=5)
    """Tokens in an n-gram: 1 knows only frequencies, 3 looks at the two tokens before."""

    def parameter_count(self, vocab_size: int, context_length: int) -> int | None:
        """None: the number of distinct n-grams is known only after counting."""
        return None


Init = Literal["pytorch", "xavier", "kaiming", "orthogonal"]


class RecurrentConfig(Settings):
    """What RNN, NVSI, GRU and LSTM share."""

    embedding_dim: int = Field(default=64, ge=1, le=1024)
    """Numbers in the vector that stands for one token."""
    hidden_size: int = Field(default=128, ge=1, le=1024)
    """Numbers in the hidden state."""
    num_layers: int = Field(default=1, ge=1, le=8)
    """Recurrent layers on top of each other."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero while training, after the embedding and after each layer."""
    init: Init = "pytorch"
    """Initial weights: pytorch U(±1/√H), xavier, kaiming, or orthogonal recurrent weights."""
    gain: float = Field(default=1.0, gt=0, le=10)
    """Factor on the initial recurrent weights (not for pytorch's default)."""

    @property
    def gates(self) -> int:
        """Blocks of rows in the weight matrices."""
        raise NotImplementedError

    def parameter_count(self, vocab_size: int, context_length: int) -> int | None:
        """Trainable numbers of embedding, layers and output layer."""
        count = vocab_size * self.embedding_dim + (self.hidden_size + 1) * vocab_size
        width = self.embedding_dim
        for _ in range(self.num_layers):
            count += self.gates * self.hidden_size * (width + self.hidden_size + 2)
            width = self.hidden_size
        return count


class RNNConfig(RecurrentConfig):
    kind: Literal["rnn"] = "rnn"

    @property
    def gates(self) -> int:
        return 1


class NVSIConfig(RecurrentConfig):
    kind: Literal["nvsi"] = "nvsi"
    input_gate_bias: float | None = None
    """Initial bias of the input gate; none leaves what `init` gives."""
    carry: bool = False
    """Add the path the article's cell lacks: h = (1-i)*h_before + i*tanh(...)."""

    @property
    def gates(self) -> int:
        return 2


class GRUConfig(RecurrentConfig):
    kind: Literal["gru"] = "gru"
    update_gate_bias: float | None = None
    """Initial bias of the update gate; above zero keeps the old state; none leaves what `init` gives."""

    @property
    def gates(self) -> int:
        return 3


class LSTMConfig(RecurrentConfig):
    kind: Literal["lstm"] = "lstm"
    forget_gate_bias: float | None = 1.0
    """Initial bias of the forget gate (Gers et al. 2000); none leaves what `init` gives."""

    @property
    def gates(self) -> int:
        return 4


class GPTConfig(Settings):
    kind: Literal["gpt"] = "gpt"
    d_model: int = Field(default=64, ge=2, le=1024)
    """Width: numbers in the vector of each position."""
    num_layers: int = Field(default=2, ge=1, le=24)
    """Transformer blocks on top of each other."""
    num_heads: int = Field(default=4, ge=1, le=64)
    """Attention heads in a block; must divide d_model."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero while training."""
    position: Literal["learned", "sinusoidal", "none"] = "learned"
    """How a token knows its place: a learned table, sine waves (Vaswani et al. 2017), or not at all."""
    init: Literal["gpt2", "pytorch", "xavier", "kaiming", "orthogonal"] = "gpt2"
    """Initial weights: gpt2 N(0, 0.02) with residual projections scaled by 1/√(2 layers), or as for the others."""
    gain: float = Field(default=1.0, gt=0, le=10)
    """Factor on the initial weight matrices (not for gpt2 and pytorch)."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "GPTConfig":
        _check_heads(self.num_heads, self.d_model, self.position)
        return self

    def parameter_count(self, vocab_size: int, context_length: int) -> int | None:
        """Trainable numbers; the output layer shares the embedding's."""
        d = self.d_model
        block = 12 * d * d + 13 * d
        table = context_length * d if self.position == "learned" else 0
        return vocab_size * d + table + self.num_layers * block + 2 * d


class PairRecurrentConfig(Settings):
    """What Seq2Seq with and without attention share. One layer each."""

    cell: Literal["gru", "lstm"] = "gru"
    """Cell of encoder and decoder."""
    embedding_dim: int = Field(default=32, ge=1, le=1024)
    """Numbers in the vector that stands for one token, of source and target."""
    hidden_size: int = Field(default=64, ge=1, le=1024)
    """Numbers in the state of the decoder and of each direction of the encoder."""
    bidirectional: bool = True
    """The encoder reads the source in both directions."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero while training: embeddings, and what the output layer reads."""

    @property
    def memory_size(self) -> int:
        """Numbers that the encoder gives for each token of the source."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def parameter_count(self, vocab_size: int, context_length: int, source_vocab_size: int | None = None) -> int | None:
        """Trainable numbers without attention. source_vocab_size: as large as the target's if None."""
        e, h, m = self.embedding_dim, self.hidden_size, self.memory_size
        blocks = 3 if self.cell == "gru" else 4
        states = 1 if self.cell == "gru" else 2
        encoder = (source_vocab_size or vocab_size) * e + (m // h) * blocks * h * (e + h + 2)
        decoder = vocab_size * e + blocks * h * (e + h + 2)
        return encoder + decoder + states * (m + 1) * h + (h + 1) * vocab_size


class Seq2SeqConfig(PairRecurrentConfig):
    kind: Literal["seq2seq"] = "seq2seq"


class Seq2SeqAttentionConfig(PairRecurrentConfig):
    kind: Literal["seq2seq-attention"] = "seq2seq-attention"
    score: Literal["additive", "multiplicative"] = "additive"
    """How a state is compared with the source: additive (Bahdanau et al. 2015), multiplicative (Luong et al. 2015)."""

    def parameter_count(self, vocab_size: int, context_length: int, source_vocab_size: int | None = None) -> int | None:
        """Trainable numbers, those of the attention too."""
        h, m = self.hidden_size, self.memory_size
        plain = super().parameter_count(vocab_size, context_length, source_vocab_size)
        assert plain is not None
        if self.score == "multiplicative":
            return plain + m * h + (h + m) * h + h  # scores, and the layer that mixes state and context
        blocks = 3 if self.cell == "gru" else 4
        return plain + blocks * h * m + m * vocab_size + (h + m) * h + h  # the context enters cell and output layer


class _BlocksConfig(Settings):
    """What Transformer and BERT share."""

    d_model: int = Field(default=64, ge=2, le=1024)
    """Width: numbers in the vector of each position."""
    num_layers: int = Field(default=2, ge=1, le=24)
    """Transformer blocks on top of each other; encoder and decoder have so many each."""
    num_heads: int = Field(default=4, ge=1, le=64)
    """Attention heads in a block; must divide d_model."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero while training."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each part of a block (trains without warm-up) or after it (as in the papers)."""
    activation: Literal["relu", "gelu"] = "gelu"
    """Between the two linear layers of a block."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "_BlocksConfig":
        _check_heads(self.num_heads, self.d_model, getattr(self, "position", ""))
        return self


class TransformerConfig(_BlocksConfig):
    kind: Literal["transformer"] = "transformer"
    activation: Literal["relu", "gelu"] = "relu"
    """Between the two linear layers of a block."""
    position: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """How a token knows its place: sine waves (Vaswani et al. 2017), a learned table, or not at all."""

    def parameter_count(self, vocab_size: int, context_length: int, source_vocab_size: int | None = None) -> int | None:
        """Trainable numbers; the output layer shares the target embedding's."""
        d = self.d_model
        encoder, cross = 12 * d * d + 13 * d, 4 * d * d + 6 * d
        tables = 2 * context_length * d if self.position == "learned" else 0
        norms = 4 * d if self.norm == "pre" else 0
        embeddings = (vocab_size + (source_vocab_size or vocab_size)) * d
        return embeddings + tables + self.num_layers * (2 * encoder + cross) + norms


class BERTConfig(_BlocksConfig):
    kind: Literal["bert"] = "bert"
    masked_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of the tokens that are to be guessed; of them 80 % are hidden, 10 % replaced, 10 % left as they are."""
    position: Literal["learned", "sinusoidal", "none"] = "learned"
    """How a token knows its place: a learned table, sine waves, or not at all."""

    def parameter_count(self, vocab_size: int, context_length: int, classes: int | None = None) -> int | None:
        """Trainable numbers of the masked-token model, or with a layer for so many classes instead of the guesses."""
        d = self.d_model
        table = context_length * d if self.position == "learned" else 0
        body = (vocab_size + 1) * d + table + self.num_layers * (12 * d * d + 13 * d) + 2 * d
        return body + (d * d + d + classes * (d + 1) if classes else d * d + 3 * d + vocab_size)


def _check_heads(heads: int, width: int, position: str) -> None:
    if width % heads:
        raise ConfigError(N_("num_heads ({heads}) must divide d_model ({width})."), heads=heads, width=width)
    if position == "sinusoidal" and width % 2:
        raise ConfigError(N_("Sinusoidal positions need an even d_model, not {width}."), width=width)


ModelConfig = Annotated[
    NgramConfig
    | RNNConfig
    | NVSIConfig
    | GRUConfig
    | LSTMConfig
    | Seq2SeqConfig
    | Seq2SeqAttentionConfig
    | TransformerConfig
    | BERTConfig
    | GPTConfig,
    Field(discriminator="kind"),
]
