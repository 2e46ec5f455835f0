"""What drives one unit: the places of the held-out text where it is highest and lowest."""

import streamlit as st

from lmviz.ui.asking import asked
from lmviz.ui.gates.names import signal_name
from lmviz.ui.gates.places import line
from lmviz.ui.gates.scene import Scene
from lmviz.ui.i18n import _


def contexts_panel(scene: Scene, signal: str, unit: int) -> None:
    """Both lists, each place with the unit's value at every token."""
    answer = asked(
        "gate_contexts", _("Reading held-out text"), run=scene.run.id, step=scene.step, layer=scene.layer,
        signal=signal, unit=unit,
    )  # fmt: skip
    if answer is None:
        return
    st.subheader(
        _("Where is unit {unit} highest and lowest?").format(unit=unit), anchor=False
    )  # fmt: skip
    names = {"highest": _("Highest"), "lowest": _("Lowest")}
    for column, side in zip(st.columns(2, gap="large"), names, strict=True):
        with column:
            lines = [line(one, f"{one['value']:+.2f}", one["values"], answer["scale"]) for one in answer[side]]
            st.html(f'<div class="passage-head">{names[side]}</div>{"".join(lines)}')
    st.caption(_(
        "{signal} of this unit in {tokens} tokens of held-out text; no two places of a list within {apart} tokens. The"
        " underlined token has the value in front; the others are coloured by theirs, blue above zero and orange below."
    ).format(signal=signal_name(signal), tokens=f"{answer['tokens']:,}", apart=answer["apart"]))  # fmt: skip
