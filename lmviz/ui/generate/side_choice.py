"""Side by side: the controls that say what is compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmviz.limits import MAX_SIDES
from lmviz.ui import cache
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.ways import Way, read_ways, valid, way_name, write_ways
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember
from lmviz.ui.run_picker import on_text, steady_title
from lmviz.ui.theme import label

FIELDS = ("strategy", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram", "num_beams")
WHOLE = ("top_k", "no_repeat_ngram", "num_beams")


@dataclass(frozen=True)
class Side:
    """One of the texts that are compared."""

    title: str
    settings: dict[str, Any]
    """The model, its moment, and how it chooses."""


def choose_ways(scene: Scene) -> list[Side]:
    """A table that can be edited, a row a way."""
    state = st.session_state
    if "side_editor" not in state:  # opened, or opened again: as it was left, else as the address says
        state["side_ways"] = state.get("side_left") or read_ways(st.query_params.get("ways", ""))
    rows = [{field: way.get(field) for field in FIELDS} for way in state["side_ways"]]
    frame = pd.DataFrame(rows, columns=list(FIELDS))
    frame["strategy"] = frame["strategy"].fillna("sample")
    number = st.column_config.NumberColumn
    with st.expander(_("Change the ways"), icon=":material/tune:", key="side_ways_box"):
        edited = st.data_editor(
            frame.astype(dict.fromkeys(FIELDS[1:], "float64")), num_rows="dynamic", key="side_editor",
            width="stretch", hide_index=True, column_config={
                "strategy": st.column_config.SelectboxColumn(
                    _("Strategy"), options=["sample", "greedy", "beam"], default="sample", required=True
                ),
                "temperature": number(_("Temperature"), min_value=0.01, max_value=100.0),
                "top_k": number(_("Top-k"), min_value=1, step=1),
                "top_p": number(_("Top-p"), min_value=0.01, max_value=1.0),
                "min_p": number(_("Min-p"), min_value=0.0, max_value=1.0),
                "repetition_penalty": number(_("Repetition penalty"), min_value=0.1, max_value=10.0),
                "no_repeat_ngram": number(_("No repeated run of"), min_value=0, max_value=100, step=1),
                "num_beams": number(_("Beams"), min_value=1, max_value=32, step=1),
            },
        )  # fmt: skip
        st.caption(_("Up to {most} rows; what is left empty is off.").format(most=MAX_SIDES))
    ways = [way for row in edited.to_dict("records")[:MAX_SIDES] if valid(way := _way(row))]
    state["side_left"] = ways
    remember("ways", write_ways(ways), write_ways(read_ways("")))
    return [Side(way_name(way), {**scene.question, **way}) for way in ways]


def _way(row: dict[str, Any]) -> Way:
    """What a row of the table says that is not as at first."""
    way: Way = {}
    for field, value in row.items():
        if value is None or value == "sample" or (isinstance(value, float) and np.isnan(value)):
            continue
        way[field] = value if field == "strategy" else int(value) if field in WHOLE else float(value)
    return way


def choose_runs(scene: Scene, settings: dict[str, Any]) -> list[Side]:
    """Up to six runs; at first the one above and others that learned the same text."""
    runs = {run.id: run for run in cache.store().runs() if on_text(run) and run.checkpoint_steps()}
    corpus = scene.run.config().corpus.name
    alike = [run_id for run_id, run in runs.items() if run.config().corpus.name == corpus and run_id != scene.run.id]
    if "side_runs" not in st.session_state:
        wanted = [one for one in st.query_params.get("runs", "").split(",") if one in runs][:MAX_SIDES]
        st.session_state["side_runs"] = wanted or [one for one in [scene.run.id, *alike] if one in runs][:4]
    st.session_state["side_runs"] = [one for one in st.session_state["side_runs"] if one in runs]
    chosen = st.multiselect(
        _("Models"), list(runs), format_func=lambda one: steady_title(runs[one]), key="side_runs",
        max_selections=MAX_SIDES,
    )  # fmt: skip
    remember("runs", ",".join(chosen), "")
    return [Side(_run_name(one), {"run": one, "step": runs[one].checkpoint_steps()[-1], **settings}) for one in chosen]


def _run_name(run_id: str) -> str:
    config = cache.store().get(run_id, allow_paths=False).config()
    return config.name or f"{label(config.model.kind)} {run_id}"


def moments(scene: Scene, settings: dict[str, Any]) -> list[Side]:
    """Up to six kept steps of the model above, the first and the last among them."""
    steps = scene.run.checkpoint_steps()
    places = np.unique(np.linspace(0, len(steps) - 1, min(MAX_SIDES, len(steps))).round().astype(int))
    return [
        Side(
            _("after {step} updates").format(step=f"{steps[place]:,}"),
            {"run": scene.run.id, "step": steps[place], **settings},
        )
        for place in places
    ]
