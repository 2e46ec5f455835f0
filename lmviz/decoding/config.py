"""How a text is generated. Plain values, no torch."""

from typing import Literal

from pydantic import Field

from lmviz.config import Settings
from lmviz.limits import MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS


class DecodingConfig(Settings):
    prompt: str = Field(default="", max_length=MAX_PROMPT_CHARACTERS)
    """The text to go on with; it is read after <begin>, as the beginning of a document."""
    strategy: Literal["greedy", "sample"] = "sample"
    """greedy: always the most probable token; sample: drawn by probability."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the logits: below 1 bolder for the probable, above 1 more even. Not used by greedy."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw only from the k most probable tokens, and those as probable as the last of them. Not used by greedy."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw only from the fewest tokens whose probabilities add up to p (Holtzman et al. 2020). Not used by greedy."""
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    """Makes tokens that occurred less likely (Keskar et al. 2019); 1 is off, below 1 makes them more likely."""
    max_new_tokens: int = Field(default=200, ge=1, le=MAX_NEW_TOKENS)
    """Tokens at most; the model may stop earlier with <end>."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Decides what is drawn."""
