"""Errors that are part of the product: one sentence that says what is wrong and what to do.

A message is kept as a template and its values, so that a page can translate it and a log can search for it.
"""

from typing import Any


def N_(message: str) -> str:
    """Mark a message for translation without translating it here (gettext's usual name for this)."""
    return message


class LmvizError(Exception):
    """Something a person can mend. `str(error)` is the English sentence.

    Args:
        template: the sentence, with `{name}` where a value goes; mark it with `N_` where it is written.
        values: the values, JSON-serialisable.
    """

    def __init__(self, template: str, **values: Any) -> None:
        self.template = template
        self.values = values
        super().__init__(template.format(**values))

    def to_dict(self) -> dict[str, Any]:
        return {"message": str(self), "template": self.template, "values": self.values}


class ConfigError(LmvizError):
    """A setting that cannot be: an unknown name, a value out of range, two settings at odds."""


class CorpusError(LmvizError):
    """A text that cannot be used: missing, empty, binary, too large, too short."""


class RunError(LmvizError):
    """A run that cannot be found, read or acted on."""


class TrainingError(LmvizError):
    """Training that cannot go on: a full disk, too little memory."""


class DivergenceError(TrainingError):
    """The loss is no longer a number, or far above chance: the newest weights are not worth keeping."""
