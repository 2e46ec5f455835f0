"""Names of signals, for people. The letters are those of the equations in lmviz.models.cells."""

from collections.abc import Iterable

from lmviz.ui.i18n import _

ORDER = ("gate.reset", "gate.update", "gate.forget", "gate.input", "candidate", "cell", "gate.output", "hidden")
"""As a step computes them."""


def signal_name(signal: str) -> str:
    """Such as "Forget gate f"."""
    names = {
        "gate.reset": _("Reset gate r"), "gate.update": _("Update gate z"), "gate.forget": _("Forget gate f"),
        "gate.input": _("Input gate i"), "candidate": _("Candidate"), "cell": _("Cell state c"),
        "gate.output": _("Output gate o"), "hidden": _("Hidden state h"),
    }  # fmt: skip
    return names.get(signal, signal)


def in_order(signals: Iterable[str]) -> list[str]:
    """As a step computes them."""
    return sorted(signals, key=ORDER.index)
