"""The equations of each cell and of one step back through it, with the term that decides marked and its mean measured.

They are those of lmviz.models.cells. ⊙ is the product of each number with its partner, diag(v) the matrix that does it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from lmviz.errors import N_
from lmviz.ui.gradients.findings import Path, cell_label
from lmviz.ui.i18n import _


@dataclass(frozen=True)
class Card:
    """What is said of one cell."""

    cell: str
    """LaTeX, the lines of an `aligned`."""
    step_back: str
    """LaTeX of the Jacobian; MARKED stands for the term that decides."""
    marked: str
    """LaTeX of that term."""
    term: str
    """Its name among the measured ones."""
    why: str
    """One or two sentences."""


_GATES = r"i_t &= \sigma(W_{xi}x_t + W_{hi}h_{t-1} + b_i)\\ n_t &= \tanh(W_{xh}x_t + W_{hh}h_{t-1} + b_h)\\"

CARDS: dict[str, Card] = {
    "rnn": Card(
        r"h_t &= \tanh(W_{xh}x_t + W_{hh}h_{t-1} + b_h)",
        r"\frac{\partial h_t}{\partial h_{t-1}} &= MARKED\,W_{hh}",
        r"\operatorname{diag}(1-h_t^2)",
        "1-h^2",
        N_(
            "Every step multiplies by W_hh and by a factor below 1. There is no other way back, so the gradient shrinks"
            " unless W_hh stretches by just as much."
        ),
    ),
    "nvsi": Card(
        _GATES + r" h_t &= i_t \odot n_t",
        r"\frac{\partial h_t}{\partial h_{t-1}} &= MARKED\,W_{hh}\\"
        r" &\quad + \operatorname{diag}\bigl(n_t \odot i_t \odot (1-i_t)\bigr)\,W_{hi}",
        r"\operatorname{diag}\bigl(i_t \odot (1-n_t^2)\bigr)",
        "i(1-n^2)",
        N_(
            "The plain RNN's step, times a gate below 1, plus a term of at most a quarter. No path adds the old state,"
            " so with the same weights it vanishes faster than the RNN; an open gate only makes it the RNN again."
        ),
    ),
    "carry": Card(
        _GATES + r" h_t &= (1-i_t) \odot h_{t-1} + i_t \odot n_t",
        r"\frac{\partial h_t}{\partial h_{t-1}} &= MARKED\\"
        r" &\quad + \operatorname{diag}\bigl(i_t \odot (1-n_t^2)\bigr)\,W_{hh}\\"
        r" &\quad + \operatorname{diag}\bigl((n_t-h_{t-1}) \odot i_t \odot (1-i_t)\bigr)\,W_{hi}",
        r"\operatorname{diag}(1-i_t)",
        "1-i",
        N_(
            "The old state is carried over, so one term of the step needs no weights. With the gate nearly closed it"
            " stays near 1: about the curve that the article gives its cell without this path."
        ),
    ),
    "gru": Card(
        r"h_t &= z_t \odot h_{t-1} + (1-z_t) \odot n_t\\"
        r" n_t &= \tanh(W_{xn}x_t + b_n + r_t \odot q_t)\\ q_t &= W_{hn}h_{t-1} + b_q",
        r"\frac{\partial h_t}{\partial h_{t-1}} &= MARKED\\"
        r" &\quad + \operatorname{diag}\bigl((h_{t-1}-n_t) \odot z_t \odot (1-z_t)\bigr)W_{hz}\\"
        r" &\quad + \operatorname{diag}\bigl((1-z_t) \odot (1-n_t^2)\bigr)\\"
        r" &\quad\;\; \bigl[\operatorname{diag}(r_t)W_{hn}"
        r" + \operatorname{diag}(q_t \odot r_t \odot (1-r_t))W_{hr}\bigr]",
        r"\operatorname{diag}(z_t)",
        "z",
        N_(
            "The update gate z says how much of the old state stays. PyTorch's defaults leave it at about a half, which"
            " is gone after a dozen steps; a bias of 3 opens the way."
        ),
    ),
    "lstm": Card(
        r"c_t &= f_t \odot c_{t-1} + i_t \odot g_t\\ h_t &= o_t \odot \tanh(c_t)",
        r"\frac{\partial c_t}{\partial c_{t-1}} &= MARKED\\"
        r" &\quad + \bigl[\operatorname{diag}(c_{t-1} \odot f_t \odot (1-f_t))W_{hf}\\"
        r" &\quad\;\; + \operatorname{diag}(g_t \odot i_t \odot (1-i_t))W_{hi}\\"
        r" &\quad\;\; + \operatorname{diag}(i_t \odot (1-g_t^2))W_{hg}\bigr]\\"
        r" &\quad\;\; \operatorname{diag}\bigl(o_{t-1} \odot (1-\tanh^2 c_{t-1})\bigr)",
        r"\operatorname{diag}(f_t)",
        "f",
        N_(
            "The forget gate f is the way back through the cell state. At PyTorch's defaults it is about a half and the"
            " gradient vanishes as in any RNN; only a bias of about 3 makes it the long memory it is known for."
        ),
    ),
}
"""Cell -> its card. The GRU's and the LSTM's other gates are sigmoids of W_x x_t + W_h h_{t-1} + b, as i_t is above."""


def equation_cards(paths: Sequence[Path]) -> None:
    """A card for every cell that is shown, two in a row."""
    shown = list({path.cell: path for path in paths}.values())
    for start in range(0, len(shown), 2):
        for column, path in zip(st.columns(2), shown[start : start + 2], strict=False):
            with column, st.container(border=True, height="stretch", key=f"equation_{path.cell}"):
                _card(path)


def _card(path: Path) -> None:
    card = CARDS[path.cell]
    st.markdown(f"**{cell_label(path.cell)}**")
    st.latex(rf"\begin{{aligned}} {card.cell} \end{{aligned}}")
    st.latex(step_back(card, path.style.color, path.terms))
    st.markdown(_(card.why))


def step_back(card: Card, color: str, terms: Mapping[str, float]) -> str:
    """The Jacobian in LaTeX, the deciding term on the cell's colour with its mean below; the tint reads on light and
    on dark."""
    marked = rf"\underbrace{{\colorbox{{{color}40}}{{$\displaystyle {card.marked}$}}}}_{{{terms[card.term]:.3f}}}"
    return rf"\begin{{aligned}} {card.step_back.replace('MARKED', marked)} \end{{aligned}}"
