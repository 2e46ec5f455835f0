"""What the controls of the page Memory say, as plain values. Not here: Streamlit."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from lmviz.config import RunConfig, Settings
from lmviz.memory import memory_configs

TaskName = Literal["remember-first", "copy", "adding"]
CellName = Literal["rnn", "nvsi", "nvsi+carry", "gru", "lstm"]
Lag = Annotated[Literal[5, 10, 20, 50, 100], BeforeValidator(int)]
Updates = Literal[100, 200, 300, 600, 1000, 2000, 4000]
LAG_CHOICES: tuple[int, ...] = (5, 10, 20, 50, 100)
UPDATE_CHOICES: tuple[int, ...] = get_args(Updates)
MIXED_LAG = 200
"""Lags go up to this one where they are mixed."""
ALL_CELLS: tuple[CellName, ...] = get_args(CellName)


class View(Settings):
    """Every field has its own name in the address; a value that is as at first is left out there."""

    task: TaskName = "remember-first"
    cells: tuple[CellName, ...] = ALL_CELLS
    lags: tuple[Lag, ...] = (5, 10, 20, 50)
    updates: Annotated[Updates, BeforeValidator(int)] = 600
    """Of every run."""
    seed: int = Field(default=1, ge=0, le=9999)
    mixed: bool = False
    """One run for every cell, on lags up to MIXED_LAG, instead of one for every lag."""

    def configs(self, group: str = "") -> list[RunConfig]:
        """The runs that are asked for; none where no cell or no lag is ticked. Short lags come first."""
        lags = [MIXED_LAG] if self.mixed else sorted(self.lags)
        if not lags:
            return []
        return memory_configs(
            self.task, self.cells, lags, self.updates, self.seed, mixed=self.mixed, group=group
        )  # fmt: skip
