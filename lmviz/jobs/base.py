"""The interface of everything that trains runs and answers questions. No torch here."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

SLICE = 0.15
"""Seconds that a run trains before the next one has its turn."""


class Jobs(ABC):
    """Wishes for runs and questions about models.

    Wishes return at once; what became of them stands in the run's status.json. `owner` is whoever asked: turns are
    taken by owner first, so that a person with four runs does not slow down a person with one.
    """

    @abstractmethod
    def start(self, run_id: str, owner: str = "") -> None:
        """Train a queued run, or go on with one that rests."""

    @abstractmethod
    def pause(self, run_id: str) -> None: ...

    @abstractmethod
    def step(self, run_id: str, owner: str = "") -> None:
        """One update of a paused run."""

    @abstractmethod
    def stop(self, run_id: str) -> None: ...

    @abstractmethod
    def set(self, run_id: str, name: str, value: float) -> None:
        """Change learning_rate, dropout or clip_norm of a run under way."""

    @abstractmethod
    def turn_seconds(self) -> float:
        """About how long a run waits from one turn to the next: a page need not look more often."""

    @abstractmethod
    def ask(self, question: str, owner: str = "", **arguments: Any) -> Iterator[Message]:
        """Ask something of a model (see lmviz.jobs.questions); the answer comes in pieces.

        Raises:
            LmvizError: the question cannot be answered; the sentence says why.
        """

    @abstractmethod
    def close(self) -> None:
        """End all processes; runs under way go on at the next start."""
