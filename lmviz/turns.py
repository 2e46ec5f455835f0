"""Long work in turns: a generator that hands control back between two pieces, and returns its result at the end.

Whoever runs it does other things in between: a worker trains other runs while it prepares a large text for one.
"""

from collections.abc import Callable, Generator
from typing import Literal, TypeVar

Result = TypeVar("Result")
IDLE: Literal["idle"] = "idle"
Turn = Literal["idle"] | None
"""IDLE: nothing was done but waiting; whoever has other things to do should do them now."""
Turns = Generator[Turn, None, Result]
Show = Callable[[float], None]
"""Told the share that is done, 0 to 1."""


def finish(turns: Turns[Result]) -> Result:
    """All turns at once: what the generator returns."""
    while True:
        try:
            next(turns)
        except StopIteration as end:
            result: Result = end.value
            return result


def ignore(share: float) -> None:
    """A `Show` for nobody."""
