"""BERT: an encoder that reads a text both ways and guesses the words that were hidden; and, fine-tuned, its class.

Devlin et al. 2019, without the second sentence (no segments, no next-sentence task). The layer that guesses is theirs:
a linear layer, GELU and layer norm, then the token embedding and a bias. A classifier reads the first position, where
<begin> stands for their [CLS], through a linear layer and tanh. Layer norms stand before each part by default, after it
as in the paper on request. Shapes: B batch, T time, V vocabulary, D model width, C classes.
"""

from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.config import BERTConfig
from lmviz.errors import N_, ConfigError
from lmviz.models.attention import Block, attention_signals, stacked, watched
from lmviz.models.base import LanguageModel, State, without_dropout
from lmviz.models.init import GPT2_STD
from lmviz.models.linear import Linear, Product, linear
from lmviz.models.pairs import END_OF_SOURCE, source_mask
from lmviz.models.positions import Embedding


class BERT(LanguageModel):
    """`forward` gives, at every place, the logits of the token that stands there.

    Args:
        longest: tokens that it can look at.
        classes: how many there are to tell; None: it guesses hidden tokens.
    """

    writes = False
    context_length: int
    product: Product = "torch"

    def __init__(self, config: BERTConfig, vocab_size: int, longest: int, classes: int | None = None) -> None:
        super().__init__()
        d = config.d_model
        self.context_length = longest
        self.classes = classes
        self.vocab_size = classes or vocab_size
        """What it chooses from: tokens, or classes."""
        self.mask_token = vocab_size
        """Its own token for what is hidden; the tokenizer does not know it."""
        self.embedding = Embedding(vocab_size + 1, d, longest, config.position)
        self.blocks = nn.ModuleList(
            Block(d, config.num_heads, config.dropout, causal=False, norm=config.norm, activation=config.activation)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(d)
        """After the last block (pre), or of the embedding (post), as in the paper."""
        self.pre = config.norm == "pre"
        self.transform = Linear(d, d)
        if classes is None:
            self.guess_norm = nn.LayerNorm(d)
            self.guess_bias = nn.Parameter(torch.zeros(vocab_size))
        else:
            self.classifier = nn.Linear(d, classes)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def layers(self) -> list[Block]:
        """The blocks, the lowest first."""
        return [block for block in self.blocks if isinstance(block, Block)]

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        rows = ("class",) if self.classes else ("token",)
        return {**attention_signals("attention"), "logits": ("time", *rows)}

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D), before dropout."""
        x: Tensor = self.embedding(tokens)
        return x if self.pre else self.norm(x)

    def hidden(self, tokens: Tensor) -> Tensor:
        """(B, T) -> what the last block gives (B, T, D). Texts with labels end with <end>, and so does what pads them:
        nothing looks at that. A running text has no padding.
        """
        self._check_length(tokens.shape[1])
        mask = source_mask(tokens)[:, None, None] if self.classes and (tokens == END_OF_SOURCE).any() else None
        x: Tensor = self.dropout(self.embed(tokens))
        for block in self.layers:
            x = block(x, mask)
        return self.norm(x) if self.pre else x

    def head(self, x: Tensor) -> Tensor:
        """(B, T, D) of `hidden` -> logits (B, T, V), or of a classifier (B, 1, C)."""
        if self.classes is not None:
            logits: Tensor = self.classifier(self.dropout(torch.tanh(self.transform(x[:, :1]))))
            return logits
        guess = self.guess_norm(F.gelu(self.transform(x)))
        return linear(guess, self.embedding.tokens.weight[:-1], self.guess_bias, self.product)

    def forward(self, tokens: Tensor) -> Tensor:
        """As the class says.

        Raises:
            ConfigError: T is more than it can look at.
        """
        return self.head(self.hidden(tokens))

    @torch.no_grad()
    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        with watched(self) as seen, without_dropout(self):
            logits = self(tokens[None])
        return {**stacked(list(seen.values()), "attention"), "logits": logits[0]}

    def initial_state(self, batch_size: int) -> NoReturn:
        raise _cannot_write()

    def step(self, tokens: Tensor, state: State) -> NoReturn:
        raise _cannot_write()

    def _check_length(self, length: int) -> None:
        if length > self.context_length:
            raise ConfigError(
                N_("This text has {tokens} tokens and the model can look at {context_length}: give it a shorter text,"
                   " or train one with a larger context_length."),
                tokens=length, context_length=self.context_length,
            )  # fmt: skip


def _cannot_write() -> ConfigError:
    return ConfigError(N_("BERT fills gaps in a text; it does not go on with one. Choose a model that writes."))


def build(config: BERTConfig, vocab_size: int, context_length: int, classes: int | None = None) -> BERT:
    """The model of `config`, which can look at `context_length` tokens; weights N(0, 0.02) as in the paper."""
    model = BERT(config, vocab_size, context_length, classes)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=GPT2_STD)
            nn.init.zeros_(module.bias)
    return model
