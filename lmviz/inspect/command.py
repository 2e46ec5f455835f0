"""`lmviz gradients`: the options of the command as settings of cells, and the answer as text."""

from collections.abc import Iterator
from typing import Any

from lmviz.errors import N_, ConfigError

CELLS = ("rnn", "nvsi", "nvsi+carry", "gru", "lstm")
_BIAS = {"nvsi": "input_gate_bias", "gru": "update_gate_bias", "lstm": "forget_gate_bias"}


def cells_of(
    models: str, hidden: int, init: str, gain: float, biases: dict[str, float | None], carry: bool
) -> list[dict[str, Any]]:
    """Settings of each cell in a list such as "rnn,nvsi+carry"; an input as wide as the hidden state.

    Args:
        biases: kind -> bias of its gate; None leaves what `init` gives.
        carry: every nvsi has the carry.

    Raises:
        ConfigError: there is no such cell.
    """
    cells = []
    for name in filter(None, (part.strip() for part in models.split(","))):
        if name not in CELLS:
            raise ConfigError(N_("There is no cell {kind}. The cells are: {known}."), kind=name, known=", ".join(CELLS))
        kind = name.split("+")[0]
        settings = {
            "kind": kind,
            "hidden_size": hidden,
            "embedding_dim": max(1, min(hidden, 1024)),
            "init": init,
            "gain": gain,
        }
        if kind in _BIAS:
            settings[_BIAS[kind]] = biases[kind]
        if kind == "nvsi":
            settings["carry"] = carry or name == "nvsi+carry"
        cells.append(settings)
    if not cells:
        raise ConfigError(N_("Name at least one cell with --models. The cells are: {known}."), known=", ".join(CELLS))
    return cells


def table(document: dict[str, Any]) -> Iterator[str]:
    """The answer in lines: a few lags, decay and horizon of each state."""
    lags = [lag for lag in (1, 5, 10, 20, 29, 50, 99, 199, 499, 999) if lag < document["length"]]
    yield f"{'':22}{'decay':>8}{'horizon':>9}" + "".join(f"{'lag ' + str(lag):>10}" for lag in lags)
    for cell in document["cells"]:
        name = cell.get("model", document.get("run", ""))
        name += "+carry" if cell.get("settings", {}).get("carry") else ""
        rate = "-" if cell["decay"] is None else f"{cell['decay']:.3f}"
        steps = "-" if cell["decay"] is None else "never" if cell["decay"] >= 1 else f"{cell['horizon']:.0f}"
        shown = [cell["norms"][lag] for lag in lags]
        norms = "".join(f"{'overflow' if norm is None else f'{norm:.1e}':>10}" for norm in shown)
        yield f"{name + ' ' + cell['state']:22}{rate:>8}{steps:>9}{norms}"
    yield document["definition"]
