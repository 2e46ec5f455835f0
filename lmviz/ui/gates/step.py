"""One unit's step at one character, written out with its numbers."""

import html
from typing import Any

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.gates.names import in_order, signal_name
from lmviz.ui.gates.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.tokens import visible_token


def step_panel(scene: Scene, token: int, unit: int) -> None:
    """What is read, what each gate makes of it, and what becomes of the old state."""
    try:
        step = cache.answer(
            "gate_step", run=scene.run.id, step=scene.step, text=scene.text, layer=scene.layer, token=token, unit=unit
        )
    except LmvizError as error:
        show_error(error)
        return
    st.html(_read(scene, step, token) + _table(step))
    carry = getattr(scene.run.config().model, "carry", False)
    for line in equations(step, carry=carry):
        st.latex(line)
    if words := balance(step, carry=carry):
        st.markdown(words)
    st.html(_next(step))


def _read(scene: Scene, step: dict[str, Any], token: int) -> str:
    """What goes into the step, in one line."""
    if scene.layer == 0:
        words = _("x is what it reads, “{token}” as {size} numbers")
    else:
        words = _("x is what the layer below makes of “{token}”, {size} numbers")
    x = words.format(token=visible_token(scene.tokens[token]), size=step["inputs"])
    before = _("h′ is the state of all {size} units before").format(size=step["units"])
    return f'<div class="step-reads">{html.escape(x)}; {html.escape(before)}.</div>'


def _table(step: dict[str, Any]) -> str:
    """A row a gate: the shares that add up, and what comes out of them, with a bar."""
    head = ["", _("from x"), _("from h′"), _("bias"), _("sum"), ""]
    cells = "".join(f"<th>{html.escape(one)}</th>" for one in head)
    terms = {term["name"]: term for term in step["terms"]}
    reset = terms.get("gate.reset")
    rows = [_row(terms[name], reset if name == "candidate" else None) for name in in_order(terms)]
    return f'<table class="step"><tr>{cells}</tr>{"".join(rows)}</table>'


def _row(term: dict[str, Any], reset: dict[str, Any] | None) -> str:
    """`reset`: a GRU's reset gate, which comes between the candidate's two sums."""
    x, h, bias = shares(term, reset)
    gate = term["name"].startswith("gate.")
    function = "σ" if gate else "tanh"
    value = term["value"]
    start, width = (0.0, value) if gate else (min(0.5, 0.5 + value / 2), abs(value) / 2)
    place = f"--start:{100 * start:.1f}%;--width:{100 * width:.1f}%"
    bar = f'<u class="{"gate" if gate else "both"}"><i style="{place}"></i></u>'
    numbers = "".join(f"<td>{one:+.2f}</td>" for one in (x, h, bias, x + h + bias))
    return (
        f"<tr><th>{html.escape(signal_name(term['name']))}</th>{numbers}"
        f'<td class="made"><span>{function}</span> <b>{value:.4f}</b>{bar}</td></tr>'
    )


def shares(term: dict[str, Any], reset: dict[str, Any] | None) -> tuple[float, float, float]:
    """What x, the state before and the biases add to a sum."""
    if reset is None:
        return term["input"], term["recurrent"], term["bias_input"] + term["bias_recurrent"]
    r = reset["value"]
    return term["input"], r * term["recurrent"], term["bias_input"] + r * term["bias_recurrent"]


def equations(step: dict[str, Any], *, carry: bool) -> list[str]:
    """LaTeX: how the new state is made of these values, with the numbers."""
    value = {term["name"]: term["value"] for term in step["terms"]}
    before, after = step["before"], step["after"]
    n, hidden = value.get("candidate", 0.0), _n(after["hidden"])
    if "gate.forget" in value:
        cell = _n(after["cell"])
        kept, written = (value["gate.forget"], before["cell"]), (value["gate.input"], n)
        o = _n(value["gate.output"])
        return [
            _aligned("c", r"f\,c' + i\,g", kept, written, cell),
            rf"h = o\,\tanh c = {o} \cdot \tanh({cell}) = \mathbf{{{hidden}}}",
        ]
    if "gate.update" in value:
        z = value["gate.update"]
        return [_aligned("h", r"z\,h' + (1-z)\,n", (z, before["hidden"]), (1 - z, n), hidden)]
    if "gate.input" in value and carry:
        i = value["gate.input"]
        return [_aligned("h", r"(1-i)\,h' + i\,n", (1 - i, before["hidden"]), (i, n), hidden)]
    if "gate.input" in value:
        return [rf"h = i\,n = {_product(value['gate.input'], n)} = \mathbf{{{hidden}}}"]
    (term,) = step["terms"]
    return [rf"h = \tanh({_n(sum(shares(term, None)))}) = \mathbf{{{hidden}}}"]


def balance(step: dict[str, Any], *, carry: bool) -> str:
    """What becomes of the old state, in words; empty for cells that make it anew."""
    value = {term["name"]: term["value"] for term in step["terms"]}
    share = value.get("gate.forget", value.get("gate.update", 1 - value["gate.input"] if carry else None))
    if share is None:
        return ""
    state = "cell" if "cell" in step["before"] else "hidden"
    old, new = step["before"][state], step["after"][state]
    return _("Of the old {old}, {kept} is kept and {forgotten} forgotten; {written} is written.").format(
        old=_n(old), kept=_n(share * old), forgotten=_n((1 - share) * old), written=_n(new - share * old)
    )


def _aligned(state: str, formula: str, kept: tuple[float, float], written: tuple[float, float], result: str) -> str:
    """The formula; below it what is left of the old state and what is added, each a product and what it comes to."""
    words = {"kept": _("kept"), "written": _("written")}
    products = " + ".join(
        rf"\underbrace{{{_product(*pair)}}}_{{\text{{{words[name]}}}\ {_n(pair[0] * pair[1])}}}"
        for name, pair in (("kept", kept), ("written", written))
    )
    return rf"\begin{{aligned}} {state} &= {formula} \\ &= {products} = \mathbf{{{result}}} \end{{aligned}}"


def _n(value: float) -> str:
    return f"{value:.4f}"


def _product(first: float, second: float) -> str:
    return rf"{_n(first)} \cdot {_n(second)}" if second >= 0 else rf"{_n(first)} \cdot ({_n(second)})"


def _next(step: dict[str, Any]) -> str:
    """What the model expects after this character."""
    parts = "".join(
        f"<span><code>{html.escape(visible_token(token))}</code> {chance:.1%}</span>" for token, chance in step["next"]
    )
    words = html.escape(_("Next it expects"))
    return f'<div class="step-next">{words} {parts}</div>'
