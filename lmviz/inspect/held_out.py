"""Held-out text as a recurrent model reads it: the states that are measured over it.

The text is cut into rows, which are read side by side from an empty state. The first tokens of a row, its run-up, are
read but not counted, so that every counted state has some text behind it.
Shapes: N tokens of the text, R rows, T counted tokens of a row, W tokens of a run-up, H hidden.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lmviz.decoding.generate import evaluating
from lmviz.models.recurrent import RecurrentModel
from lmviz.training.data import Tokens

ROW = 512
"""Counted tokens of a row."""
RUN_UP = 64
MOST_TOKENS = 32_768
MOST_NUMBERS = 2**22
"""Of one signal over all counted tokens: 16 MB."""
AT_ONCE = 2**19
"""Numbers of one signal that are computed at once."""
REACH = 300_000
"""Tokens of the held-out text, from its beginning, over which the rows are spread."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Passages:
    """Rows of a text, evenly spread and in its order."""

    tokens: NDArray[np.int64]
    """What is read (R, W + T)."""
    places: NDArray[np.int64]
    """Index in the held-out text of each counted token (R, T)."""

    @property
    def run_up(self) -> int:
        return int(self.tokens.shape[1] - self.places.shape[1])

    @property
    def middle(self) -> int:
        """Counted tokens of the first half: whole rows, if there is more than one."""
        rows, length = self.places.shape
        return int(rows // 2 * length if rows > 1 else length // 2)

    @property
    def count(self) -> int:
        """Counted tokens."""
        return self.places.size


def passages(text: Tokens, hidden_size: int, most: int = MOST_TOKENS) -> Passages:
    """Rows of a held-out text (N,) without a counted token in common: `most` tokens, or what there is and what fits."""
    text = text[:REACH]
    run_up = min(RUN_UP, len(text) // 4)
    length = min(ROW, len(text) - run_up)
    fitting = (len(text) - run_up) // length
    wanted = min(most, MOST_NUMBERS // hidden_size) // length
    rows = max(1, min(fitting, wanted))
    slots = np.arange(rows) * fitting // rows  # in units of a row
    starts = slots * length  # of the run-ups
    read = starts[:, None] + np.arange(run_up + length)
    return Passages(text[read].astype(np.int64), read[:, run_up:])


def read(
    model: RecurrentModel, rows: Passages, layer: int, names: Sequence[str]
) -> Iterator[dict[str, Array]]:  # fmt: skip
    """Signals of one layer at the counted tokens, some rows at a time: name -> (some R, T, H)."""
    cells = model.layers[: layer + 1]
    at_once = max(1, AT_ONCE // (rows.tokens.shape[1] * cells[-1].hidden_size))
    for start in range(0, len(rows.tokens), at_once):
        with evaluating(model):
            x = model.embedding(torch.from_numpy(rows.tokens[start : start + at_once]))  # (r, W + T, D)
            for cell in cells:
                before, state = x, cell.initial_state(len(x))
                x, _ = cell.forward_sequence(before, state)
            found = cells[-1].signals_of(before, x, state)
        yield {name: found[name][:, rows.run_up :].numpy() for name in names}


def read_whole(model: RecurrentModel, rows: Passages, layer: int, name: str) -> Iterator[float | Array]:
    """One signal at all counted tokens (R, T, H), after the share that is done at each turn."""
    parts: list[Array] = []
    for part in read(model, rows, layer, [name]):
        parts.append(part[name])
        yield sum(map(len, parts)) / len(rows.tokens)
    yield np.concatenate(parts)
