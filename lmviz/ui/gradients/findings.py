"""What the measured curves say, in words: names, the finding as a title, what happens to each, the caption."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmviz.errors import N_
from lmviz.inspect.decay import SEQUENCES, decay, horizon
from lmviz.ui.figures.gradients import EXPLODED, VANISHED
from lmviz.ui.gradients.view import View
from lmviz.ui.i18n import _, listed, ngettext
from lmviz.ui.theme import RunStyle, label, run_style

LEVEL = 1e-3
"""Singular values that differ by less are drawn on one another."""

Fate = Literal["explodes", "vanishes", "reaches"]


@dataclass(frozen=True)
class Path:
    """One state of one cell, and how the gradient fares on its way back through it."""

    cell: str
    """One of view.CELL_NAMES."""
    state: str
    """hidden or cell."""
    values: Sequence[float]
    """What is drawn over the lag, lag 0 first."""
    decay: float | None
    """Factor a step."""
    horizon: float | None
    """Steps until 1/1000."""
    terms: dict[str, float]
    """Mean of the factors in the cell's Jacobian, see equations.py."""
    spectrum: dict[str, dict[str, Any]]
    """Block of W_hh -> singular_values, spectral_radius; empty if it was not asked for."""

    @property
    def content(self) -> dict[str, Any]:
        """The block of W_hh that makes the new content; the others make gates, which only scale it."""
        return next(block for name, block in self.spectrum.items() if not name.startswith("gate."))

    @property
    def label(self) -> str:
        name = cell_label(self.cell)
        return _("{cell}, cell state").format(cell=name) if self.state == "cell" else name

    @property
    def style(self) -> RunStyle:
        """The cell's line; its cell state has the same colour, dashed."""
        look = run_style(*(("nvsi", 1) if self.cell == "carry" else (self.cell, 0)))
        return RunStyle(look.color, "dash", look.symbol) if self.state == "cell" else look

    @property
    def fate(self) -> Fate:
        """What has become of it at the end of the sequence."""
        last = self.values[-1]
        return "explodes" if last > EXPLODED else "vanishes" if last < VANISHED else "reaches"

    @property
    def lasts(self) -> int:
        """Steps back at which less than 1/1000 is left for the first time; all of them if that does not happen."""
        return next((lag for lag, value in enumerate(self.values) if value < VANISHED), len(self.values))


def cell_label(name: str) -> str:
    return _("NVSI-RNN + carry") if name == "carry" else label(name)


def read_paths(answer: dict[str, Any], view: View) -> list[Path]:
    """The paths of an answer to `view.question`. A Jacobian product is of a cell's whole state: one path a cell."""
    paths = []
    for entry in answer["cells"]:
        values = entry["jacobian_norm"] if view.show == "jacobian" else entry["norms"]
        if view.show != "jacobian" or entry["state"] == "hidden":
            cell = "carry" if entry["settings"].get("carry") else entry["model"]
            rate = decay(np.array(values, np.float64))  # of what is drawn
            paths.append(
                Path(cell, entry["state"], values, rate, horizon(rate), entry["terms"], entry["spectrum"] or {})
            )
    return paths


def fate_words(fate: Fate, *, every_step: bool = False) -> str:
    """With a loss at every step a gradient that is there says nothing about the way from the end to the start."""
    if every_step and fate == "reaches":
        return _("own loss at each step")
    return _({"explodes": N_("explodes"), "vanishes": N_("vanishes"), "reaches": N_("reaches the start")}[fate])


def title(paths: Sequence[Path], view: View) -> str:
    """The finding in one line."""
    steps = len(paths[0].values) - 1
    exploding, reaching = (_names(paths, fate) for fate in ("explodes", "reaches"))
    if exploding:
        return ngettext("{names} explodes", "{names} explode", len(exploding)).format(names=listed(exploding))
    if view.claims_shown and (words := _not_as_claimed(paths, view)):
        return words
    if not reaching:
        best = max(paths, key=lambda path: (path.lasts, path.values[-1]))
        if len({path.cell for path in paths}) == 1:
            return _("{name} vanishes: 1/1000 is left after {steps} steps").format(name=best.label, steps=best.lasts)
        return _("Every gradient vanishes; {name} lasts longest: 1/1000 after {steps} steps").format(
            name=cell_label(best.cell), steps=best.lasts
        )
    if view.every_step and len(reaching) == len({path.cell for path in paths}):
        return _("With a loss at every step nothing seems to vanish")
    if len(reaching) == len({path.cell for path in paths}):
        return _("Nothing vanishes within {steps} steps").format(steps=steps)
    return ngettext(
        "Only {names} still learns from {steps} steps back",
        "{names} still learn from {steps} steps back",
        len(reaching),
    ).format(names=listed(reaching), steps=steps)


def _not_as_claimed(paths: Sequence[Path], view: View) -> str:
    """The article has NVSI-RNN above the RNN; a sentence where the measured factors a step say the contrary."""
    factors = {path.cell: path.decay for path in paths}
    rnn, nvsi = factors.get("rnn"), factors.get("nvsi")
    if view.show != "norm" or view.every_step or rnn is None or nvsi is None or nvsi >= rnn:
        return ""
    return _("Not as claimed: NVSI-RNN keeps {nvsi} a step, less than the RNN's {rnn}").format(
        nvsi=f"{nvsi:.2f}", rnn=f"{rnn:.2f}"
    )


def _names(paths: Sequence[Path], fate: str) -> list[str]:
    """The cells that have a path of this fate, each once."""
    return [cell_label(cell) for cell in dict.fromkeys(path.cell for path in paths if path.fate == fate)]


def spectrum_title(paths: Sequence[Path]) -> str:
    """The largest singular value; where all cells share it, of none in particular."""
    largest = {path.cell: path.content["singular_values"][0] for path in paths}
    cell = max(largest, key=largest.__getitem__)
    value = f"{largest[cell]:.2f}"
    if largest[cell] - min(largest.values()) < LEVEL:
        return _("The recurrent weights of all stretch by up to {value}").format(value=value)
    return _("The recurrent weights stretch by up to {value}, those of {name}").format(
        value=value, name=cell_label(cell)
    )


def caption(paths: Sequence[Path], view: View) -> str:
    """What is measured and over what."""
    if view.show == "spectrum":
        return _(
            "Singular values of the recurrent weights that make the new content, from the largest: by how much W_hh"
            " stretches each of its directions. If all are below 1, the plain RNN cannot explode."
        )
    if view.show == "jacobian":
        what = _(
            "The most by which the steps between can stretch a gradient that begins at the last hidden state: spectral"
            " norm of the product of their Jacobians."
        )
    elif view.every_step:
        what = _("Gradient of the sum of the losses of ALL steps, relative to the last state.") + " "
        values = [value for path in paths for value in path.values]
        if max(values) < EXPLODED and min(values) > 1 / EXPLODED:
            what += _(
                "It looks flat because each state's own loss outweighs all that comes from later: a dashboard that"
                " draws training gradients by step shows that nothing vanishes."
            )
        else:
            what += _("Each state's own loss is a part of it, beside what comes from later steps.")
    else:
        what = _(
            "Gradient of the LAST step's loss with respect to the state so many steps before, relative to the last"
            " state."
        )
    count = 1 if view.show == "jacobian" else SEQUENCES
    over = (
        _("Untrained cells, one random sequence of {length} steps, float64.")
        if count == 1
        else _("Untrained cells, mean over {count} random sequences of {length} steps, float64.")
    )
    return what + " " + over.format(count=count, length=view.length)


def alt_text(paths: Sequence[Path], finding: str) -> str:
    rows = [f"{path.label} {path.values[-1]:.2g}" for path in paths]
    return _("{finding}. At the first step is left: {rows}.").format(finding=finding, rows=", ".join(rows))
