"""What the controls of the page Seq2Seq say, as plain values. Not here: Streamlit."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from lmviz.config import RunConfig, Settings
from lmviz.presets import preset

Kind = Literal["plain", "additive", "multiplicative", "sampled", "transformer"]
ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
Longer = Literal[1, 2, 4, 8]
LONGER: tuple[int, ...] = get_args(Longer)
SAMPLED = 0.5
"""Highest share of own guesses that `sampled` reads."""
_MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("seq2seq", {}, {}),
    "additive": ("seq2seq-attention", {"score": "additive"}, {}),
    "multiplicative": ("seq2seq-attention", {"score": "multiplicative"}, {}),
    "sampled": ("seq2seq-attention", {"score": "additive"}, {"scheduled_sampling": SAMPLED}),
    "transformer": ("transformer", {}, {}),
}
"""Name -> kind of model, its settings, and those of its training."""


class View(Settings):
    """Every field has its own name in the address; a value that is as at first is left out there."""

    pairs: str = Field(default="dates-en", max_length=80)
    models: tuple[Kind, ...] = ("plain", "additive")
    cell: Literal["gru", "lstm"] = "gru"
    longer: Annotated[Longer, BeforeValidator(int)] = 1
    """Times the usual number of updates."""
    seed: int = Field(default=0, ge=0, le=9999)

    def configs(self, group: str = "") -> list[RunConfig]:
        """The runs that are asked for, those with attention first: they are done first."""
        return [self._config(name, group) for name in sorted(self.models, key=lambda name: name == "plain")]

    def _config(self, name: str, group: str) -> RunConfig:
        kind, model, training = _MODELS[name]
        cell = {} if kind == "transformer" else {"cell": self.cell}
        usual = preset(kind).training.steps
        return preset(
            kind, group=group, corpus={"name": self.pairs}, model=cell | model,
            training={"seed": self.seed, "steps": usual * self.longer, **training},
        )  # fmt: skip


def kind_of(config: RunConfig) -> Kind:
    """Which of the choices a configuration is."""
    if config.model.kind == "seq2seq":
        return "plain"
    if config.model.kind == "transformer":
        return "transformer"
    if config.training.scheduled_sampling:
        return "sampled"
    return "multiplicative" if getattr(config.model, "score", "") == "multiplicative" else "additive"
