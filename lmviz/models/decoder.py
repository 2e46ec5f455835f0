"""What generation asks of a model: logits for one token after the other, as fast as its weights allow.

A decoder is made for one text (or one batch of texts of equal length) and then thrown away; beam search begins with
one text and lets it branch with `reorder`. It holds the weights in the form that single steps want, so the model must
not be trained while it is in use: ask for a new one after an update.
Shapes: B batch, T time, V vocabulary.
"""

from abc import ABC, abstractmethod

from torch import Tensor


class Decoder(ABC):
    """Texts that grow by a token a step. Called in inference mode, with the model in evaluation mode.

    The logits that it gives are the caller's to keep.
    """

    @abstractmethod
    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin with (B, T), T >= 1, whatever came before -> logits of the next token (B, V)."""

    @abstractmethod
    def step(self, tokens: Tensor) -> Tensor:
        """One more token a sequence, (B,), after `prefill` -> logits of the next one (B, V)."""

    @abstractmethod
    def reorder(self, rows: Tensor) -> None:
        """Go on with these sequences, (R,) int64 with 0 <= row < B: R texts from now on. One may come several times, as
        in beam search, or not at all. What `prefill` or `step` gave last is not changed.
        """
