"""How a text is generated. Plain values, no torch."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from lmviz.config import Settings
from lmviz.errors import N_, ConfigError
from lmviz.limits import MAX_BEAMS, MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS

StopString = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class DecodingConfig(Settings):
    prompt: str = Field(default="", max_length=MAX_PROMPT_CHARACTERS)
    """The text to go on with; it is read after <begin>, as the beginning of a document."""
    strategy: Literal["greedy", "sample", "beam"] = "sample"
    """greedy: always the most probable token; sample: drawn by probability; beam: the most probable whole text."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the logits: below 1 bolder for the probable, above 1 more even. Only for sample."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw only from the k most probable tokens, and those as probable as the last of them. Only for sample."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw only from the fewest tokens whose probabilities add up to p (Holtzman et al. 2020). Only for sample."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Draw only from tokens at least this times as probable as the most probable one (Nguyen et al. 2024). Only for
    sample.
    """
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    """Makes tokens that occurred less likely (Keskar et al. 2019); 1 is off, below 1 makes them more likely."""
    frequency_penalty: float = Field(default=0.0, ge=-10, le=10)
    """Taken from a token's logit for each time that it was written, the prompt not counted."""
    presence_penalty: float = Field(default=0.0, ge=-10, le=10)
    """Taken from a token's logit once if it was written at all, the prompt not counted."""
    no_repeat_ngram: int = Field(default=0, ge=0, le=100)
    """No run of so many tokens comes twice, the prompt's included; 0 is off."""
    num_beams: int = Field(default=4, ge=1, le=MAX_BEAMS)
    """Texts that are kept at every step. Only for beam; 1 is greedy."""
    length_penalty: float = Field(default=1.0, ge=-10, le=10)
    """A finished text's score is its log-probability divided by its length to this power: 0 leaves long texts at a
    disadvantage. Only for beam.
    """
    early_stopping: bool = False
    """Stop as soon as num_beams texts are finished, not when no better one can come. Only for beam."""
    beam_groups: int = Field(default=1, ge=1, le=MAX_BEAMS)
    """Groups of beams that avoid each other's tokens (Vijayakumar et al. 2016); divides num_beams. Only for beam."""
    diversity_penalty: float = Field(default=0.0, ge=0, le=100)
    """Taken from a logit for each beam of an earlier group that chose the token at this step. Only for beam_groups."""
    stop: tuple[StopString, ...] = Field(default=(), max_length=8)
    """The text ends with the token that completes one of these strings; of beam, with one that holds it whole."""
    max_new_tokens: int = Field(default=200, ge=1, le=MAX_NEW_TOKENS)
    """Tokens at most; the model may stop earlier with <end>."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Decides what is drawn."""

    @model_validator(mode="after")
    def _groups_are_of_one_size(self) -> "DecodingConfig":
        if self.num_beams % self.beam_groups:
            raise ConfigError(
                N_("{beams} beams cannot be shared evenly among {groups} groups. Take a number of groups that divides"
                   " the number of beams."),
                beams=self.num_beams, groups=self.beam_groups,
            )  # fmt: skip
        return self
