"""Runs as a table: state, text, loss, a sparkline, size."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lmviz.compare import read_view
from lmviz.errors import LmvizError
from lmviz.runs import Run
from lmviz.ui.errors import plain_cell
from lmviz.ui.i18n import _
from lmviz.ui.run_card import state_names
from lmviz.ui.run_picker import corpus_title
from lmviz.ui.theme import label

BRIEF = ["name", "kind", "corpus", "state", "progress", "curve", "loss", "bits"]


def runs_table(runs: Sequence[Run], key: str, *, select: bool = False, brief: bool = False) -> list[Run]:
    """Show runs, `brief` without the last columns; returns those that are ticked."""
    read = [(run, row) for run in runs if (row := _row(run))]
    shown = [run for run, _row_of_it in read]
    rows = pd.DataFrame([row for _run, row in read])
    key = f"{key}_{abs(hash(tuple(run.id for run in shown)))}"  # ticks are positions: other runs, other table
    names = {
        "name": _("Name"), "kind": _("Architecture"), "corpus": _("Text"), "state": _("State"), "progress": _("Done"),
        "curve": _("Learning curve"), "loss": _("Validation loss"), "bits": _("Bits a character"),
        "created": _("Created (UTC)"), "size": _("Size, MB"), "id": _("Run"),
    }  # fmt: skip
    column = st.column_config
    table: Any = st.dataframe(
        rows, key=key, column_order=BRIEF if brief else list(names),
        hide_index=True, height="content" if len(rows) < 15 else 560,
        on_select="rerun" if select else "ignore", selection_mode="multi-row",
        column_config={
            **{name: column.TextColumn(title) for name, title in names.items()},
            "progress": column.ProgressColumn(
                names["progress"], format="percent", min_value=0, max_value=1, width="small"
            ),
            "curve": column.LineChartColumn(names["curve"], width="small"),
            "loss": column.NumberColumn(names["loss"], format="%.3f"),
            "bits": column.NumberColumn(names["bits"], format="%.3f"),
            "size": column.NumberColumn(names["size"], format="%.1f"),
        },
    )  # fmt: skip
    return [shown[i] for i in table.selection.rows] if select else []


def _row(run: Run) -> dict[str, object] | None:
    """None if the folder cannot be read."""
    try:
        view = read_view(run)
    except LmvizError:
        return None
    losses = view.validation("step")[1]
    loss = float(losses[-1]) if len(losses) else None
    status = view.status
    return {
        "name": plain_cell(view.label), "kind": label(view.kind),
        "corpus": plain_cell(corpus_title(view.config.corpus.name)),
        "state": _("sample") if run.read_only else state_names()[status.state],
        "progress": status.step / status.steps if status.steps else 0.0, "curve": losses[-60:].round(3).tolist(),
        "loss": loss, "bits": view.bits(loss) if loss is not None else None,
        "created": status.created[:16].replace("T", " "), "size": run.size() / 1e6, "id": run.id,
    }  # fmt: skip
