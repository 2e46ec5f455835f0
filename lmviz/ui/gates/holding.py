"""What can be held still, as plain values: by what the model has, not by what it is called. Not here: Streamlit."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lmviz.errors import N_, ConfigError

UNITS_OFF, OWN = "units", "own"

HOLDS: dict[str, tuple[str, Mapping[str, float]]] = {
    "freeze": (N_("Freeze the cell: f = 1, i = 0"), {"gate.forget": 1, "gate.input": 0}),
    "remember": (N_("Never forget: f = 1"), {"gate.forget": 1}),
    "forget": (N_("Forget at once: f = 0"), {"gate.forget": 0}),
    "mute": (N_("Never write: i = 0"), {"gate.input": 0}),
    "write": (N_("Always write: i = 1"), {"gate.input": 1}),
    "out": (N_("Always let out: o = 1"), {"gate.output": 1}),
    "keep": (N_("Keep everything: z = 1"), {"gate.update": 1}),
    "renew": (N_("Keep nothing: z = 0"), {"gate.update": 0}),
    "reset": (N_("Never look back for the candidate: r = 0"), {"gate.reset": 0}),
    "no_reset": (N_("Always look back for the candidate: r = 1"), {"gate.reset": 1}),
    UNITS_OFF: (N_("Switch units off: h = 0"), {"hidden": 0}),
    OWN: (N_("A signal of my choice"), {}),
}
"""Name -> what it says, and the value of each signal."""


def possible(signals: Collection[str]) -> list[str]:
    """Names of what can be held in a model with these signals."""
    return [name for name, (_words, values) in HOLDS.items() if values.keys() <= set(signals)]


def holds(values: Mapping[str, float], layer: int, units: Sequence[int] | None) -> list[dict[str, Any]]:
    """Arguments of the question "hold"."""
    return [
        {"signal": signal, "value": value, "layer": layer, "units": None if units is None else list(units)}
        for signal, value in values.items()
    ]


def parse_units(text: str, count: int) -> list[int] | None:
    """Units that a person typed, such as "3, 17, 20-25"; None, all of them, if nothing is typed.

    Raises:
        ConfigError: it is something else, or there is no such unit.
    """
    found: set[int] = set()
    for part in re.split(r"[,，;；、\s]+", text.strip()):
        if not part:
            continue
        match = re.fullmatch(r"(\d{1,6})(?:[-–](\d{1,6}))?", part)
        if not match:
            raise ConfigError(
                N_("“{part}” is no unit. Type numbers with commas, such as 3, 17, 20-25."), part=part[:40]
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) >= count:
            raise ConfigError(N_("There is no unit {unit}: they are numbered from 0 to {last}."),
                              unit=max(first, last), last=count - 1)  # fmt: skip
        found.update(range(min(first, last), max(first, last) + 1))
    return sorted(found) or None
