"""What training asks of data that is made, not cut from a running text: tasks, pairs, hidden words, labelled texts.

A draw depends on its generator alone, so a run that goes on from a kept state goes on with the same batches.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from lmviz.config import TrainingConfig
from lmviz.models.base import Batch, LanguageModel
from lmviz.tokenizers import Tokenizer


class MadeData(ABC):
    """The counterpart of Data."""

    tokenizer: Tokenizer
    fingerprint: str
    """sha256 of what decides it: a run goes on only with the data it began with."""

    @property
    def source(self) -> "MadeData":
        """What a Trainer draws its batches from."""
        return self

    @property
    def sizes(self) -> dict[str, int]:
        """What the model must know of it beyond the vocabulary: keyword arguments of `build_model`."""
        return {}

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What data.json tells."""

    @abstractmethod
    def baselines(self) -> dict[str, Any]:
        """What baselines.json tells."""

    @abstractmethod
    def batches(self, config: TrainingConfig, generator: torch.Generator) -> "Draws":
        """Batches without end; the same generator state gives the same ones."""

    @abstractmethod
    def validation_batches(self) -> list[Batch]:
        """What every validation measures; always the same."""

    @abstractmethod
    def measure(self, model: LanguageModel) -> tuple[float, dict[str, Any]]:
        """Mean loss in nats a scored token, and what a line of metrics.jsonl tells more."""

    def passage(self) -> list[str]:
        """Held-out text as tokens, to begin with on pages; none if there is no text."""
        return []

    def sample(self, model: LanguageModel) -> tuple[str, str] | None:
        """(what is given, what the model makes of it) for samples.jsonl; None if it writes nothing."""
        return None


class Draws:
    """Batches made one after the other.

    Args:
        make: a batch from the generator.
        tokens_per_step: that are read in one update, on average.
    """

    fresh = True
    """Every batch begins from an empty state."""
    position = -1
    """They have no order to keep."""

    def __init__(
        self, make: Callable[[torch.Generator], Batch], generator: torch.Generator, tokens_per_step: int
    ) -> None:
        self.make, self.generator, self.tokens_per_step = make, generator, tokens_per_step

    def next(self) -> Batch:
        return self.make(self.generator)
