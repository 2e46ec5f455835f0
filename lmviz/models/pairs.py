"""What all models share that read a source and write a target.

Every source ends with <end>, and so does what pads it; nothing looks at the padding.
Shapes: B batch, S source time, T target time, V target vocabulary.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import Tensor

from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel, State

END_OF_SOURCE = 2
"""Id of <end> in every vocabulary (tokenizers.END)."""


class PairModel(LanguageModel):
    """`encode` reads the source; from its state `read` and `step` write the target like any language model."""

    reads_source = True

    @property
    @abstractmethod
    def signals(self) -> Mapping[str, tuple[str, ...]]: ...

    @abstractmethod
    def encode(self, source: Tensor) -> State: ...

    @abstractmethod
    def trace_pair(self, source: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """A source (S,) and what the decoder reads (T,) -> every signal. No gradient is kept."""

    def look(self, source: Tensor, tokens: Tensor) -> Tensor | None:
        """(B, S) and what the decoder reads (B, T) -> where each step looks in the source (B, T, S), mean over layers
        and heads; None without attention.
        """
        return None

    def forward(self, tokens: Tensor) -> NoReturn:
        raise _needs_source()

    def initial_state(self, batch_size: int) -> NoReturn:
        raise _needs_source()

    def trace(self, tokens: Tensor) -> NoReturn:
        raise _needs_source()


def _needs_source() -> ConfigError:
    return ConfigError(N_("This model turns a source into a target: give it a source, such as a date."))


def source_mask(source: Tensor) -> Tensor:
    """(B, S) -> where its tokens are, the first <end> included; bool."""
    return torch.arange(source.shape[1], device=source.device) < source_lengths(source)[:, None]


def source_lengths(source: Tensor) -> Tensor:
    """(B, S) -> tokens of each, the first <end> included (B,); all of them where there is none."""
    ends = source == END_OF_SOURCE  # (B, S)
    return torch.where(ends.any(1), ends.int().argmax(1) + 1, source.shape[1])
