"""At birth: how far the gradient of untrained cells reaches, drawn anew while a slider moves."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.chart import chart
from lmviz.ui.errors import show_error
from lmviz.ui.figures.gradients import Block, Curve, Words, gradient_figure, spectrum_figure
from lmviz.ui.gradients import controls, findings
from lmviz.ui.gradients.equations import CARDS, equation_cards
from lmviz.ui.gradients.findings import Path, fate_words
from lmviz.ui.gradients.view import View, question
from lmviz.ui.i18n import _, ngettext

HEIGHT = 400
FAR = 10_000
"""Steps beyond which the table does not count."""


def birth() -> None:
    """Presets, controls on the left, the figure and its table on the right, the equations below."""
    cache.jobs()
    controls.restore()
    controls.presets()
    with st.container(key="birth"):
        left, right = st.columns([3, 8], gap="large")
    with left:
        controls.cell_controls()
    with right:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            controls.figure_controls()
        view = controls.current()
        paths = _measure(view)
        if not paths:
            return
        _figure(paths, view)
        st.html(table(paths, every_step=view.every_step and view.show == "norm"))
    st.subheader(_("Why: one step back through each cell"), anchor=False)
    st.caption(
        _("On the colour: the term that makes the gradient vanish or survive, with its mean over units and steps.")
    )
    equation_cards(paths)


def _measure(view: View) -> list[Path]:
    """What the models say; a sentence and nothing where there is nothing to show."""
    if not view.cells:
        st.info(_("Tick at least one cell."), icon=":material/check_box:")
        return []
    if view.show == "jacobian" and view.jacobian_is_slow:
        st.info(
            _(
                "Jacobian products of {units} units over {length} steps take too long. Choose fewer units or steps."
            ).format(units=view.hidden, length=view.length),
            icon=":material/hourglass_empty:",
        )
        return []
    try:
        with st.spinner(_("Measuring; a server that has just started needs a moment."), width="content"):
            answer = cache.gradients(**question(view))
    except LmvizError as error:
        show_error(error)
        return []
    return findings.read_paths(answer, view)


def _figure(paths: Sequence[Path], view: View) -> None:
    if view.show == "spectrum":
        finding, figure = findings.spectrum_title(paths), _spectrum(paths)
    else:
        finding = findings.title(paths, view)
        figure = _curves(paths, view, finding)
    alt = findings.alt_text(paths, finding)
    chart(
        figure,
        "gradient_chart",
        height=HEIGHT,
        alt=alt,
        caption=findings.caption(paths, view),
        csv=f"gradient-{view.show}",
    )


def _curves(paths: Sequence[Path], view: View, finding: str) -> go.Figure:
    words = Words(
        title=finding,
        x=_("steps back from the last one"),
        y=_("largest growth") if view.show == "jacobian" else _("gradient, relative to the last step"),
        hover=_("{steps} steps back").format(steps="%{x}"),
        vanishing=_("vanishing: below 1/1000"),
        exploding=_("exploding: above 10"),
        claim=_("the article's claim: {name}"),
    )
    curves = [Curve(path.label, path.style, path.values) for path in paths]
    claims = view.claims_shown and view.show == "norm"
    return gradient_figure(curves, words, claims=claims, whole=view.whole)


def _spectrum(paths: Sequence[Path]) -> go.Figure:
    blocks = [
        Block(path.label, path.style, path.content["singular_values"]) for path in paths if path.state == "hidden"
    ]
    return spectrum_figure(
        blocks, title=findings.spectrum_title(paths), x=_("direction, from the most stretched"),
        y=_("singular value of W_hh"),
    )  # fmt: skip


def table(paths: Sequence[Path], *, every_step: bool = False) -> str:
    """HTML: a row a path, figures in columns."""
    heads = [
        _("Cell"),
        _("Factor a step"),
        _("Below 1/1000 after"),
        _("What happens"),
        _("Mean of the deciding term"),
    ]
    with_radius = any(path.spectrum for path in paths)
    if with_radius:
        heads.append(_("Spectral radius"))
    rows = "".join(f"<tr>{''.join(_cells(path, with_radius, every_step))}</tr>" for path in paths)
    return f"<table class='paths'><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>{rows}</table>"


def _cells(path: Path, with_radius: bool, every_step: bool) -> list[str]:
    term = CARDS[path.cell].term
    mark = f"<i class='{'dashed' if path.style.dash != 'solid' else 'solid'}' style='--run: {path.style.color}'></i>"
    columns = [
        f"<th>{mark}{escape(path.label)}</th>",
        _figure_cell("–" if path.decay is None else f"{path.decay:.3f}"),
        _figure_cell(_end(path)),
        f"<td>{escape(fate_words(path.fate, every_step=every_step))}</td>",
        f"<td><span class='term'>{escape(_pretty(term))}</span> {path.terms[term]:.3f}</td>",
    ]
    if with_radius:
        columns.append(_figure_cell(f"{path.content['spectral_radius']:.3f}"))
    return columns


def _figure_cell(text: str) -> str:
    return f"<td class='number'>{escape(text)}</td>"


def _pretty(term: str) -> str:
    return term.replace("^2", "²").replace("-", " − ")


def _end(path: Path) -> str:
    """Where it falls below 1/1000: on the curve, or beyond it at the fitted rate."""
    if path.lasts < len(path.values):
        return ngettext("{steps} step", "{steps} steps", path.lasts).format(steps=path.lasts)
    if path.decay is None:
        return "–"
    if path.horizon is None:
        return _("never")
    if path.horizon > FAR:
        return _("over {steps} steps").format(steps=f"{FAR:,}")
    return _("about {steps} steps").format(steps=f"{max(path.horizon, path.lasts):,.0f}")
