"""Contiguous streams: the text is cut into batch_size long parts, and every batch goes on where the last one ended.

The state of a recurrent model is carried from window to window without its gradient: truncated backpropagation through
time (Williams and Peng 1990). Not random windows (data.py), which begin from an empty state each time.
"""

import numpy as np
import torch

from lmviz.costs import check_streams
from lmviz.models.base import Batch
from lmviz.training.data import Tokens, windows_at


class Streams:
    """Batches in reading order. A pass begins at an offset that the generator draws, so passes cut the text anew."""

    def __init__(self, tokens: Tokens, batch_size: int, context_length: int, generator: torch.Generator) -> None:
        check_streams(len(tokens), batch_size, context_length)
        self.tokens = tokens
        self.context_length = context_length
        self.generator = generator
        self.tokens_per_step = batch_size * context_length
        self.part = (len(tokens) - 1) // batch_size
        """Tokens that one stream has to itself."""
        self.firsts = np.arange(batch_size, dtype=np.int64) * self.part
        self.offsets = np.arange(context_length + 1)
        self.position = -1
        """Of the next window inside each part; below zero: a new pass begins."""
        self.fresh = True
        """The batch that `next` gave last begins a pass: nothing comes before it."""

    def next(self) -> Batch:
        """The next window of every stream; the targets are the inputs one token later."""
        self.fresh = self.position < 0
        if self.fresh:
            slack = max(1, min(self.context_length, self.part - self.context_length + 1))
            self.position = int(torch.randint(slack, (1,), generator=self.generator))
        batch = windows_at(self.tokens, self.firsts + self.position, self.offsets)
        self.position += self.context_length
        if self.position + self.context_length > self.part:
            self.position = -1
        return batch
