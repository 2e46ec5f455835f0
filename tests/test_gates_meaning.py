"""Parts "Find meaning" and "Saturation" of the page Gates: what is framed, what is said, what the axes show."""
# ruff: noqa: F811  (fixtures of another module)

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_gates_page import row
from test_gradients_learning import figure_of
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401
from test_training import small_config

from lmviz.inspect.features import FEATURES
from lmviz.jobs import held_out_questions
from lmviz.runs import Run, Store
from lmviz.training.foreground import train_here
from lmviz.ui.figures.meaning import Judged, JudgedWords, meaning_figure, meaning_history_figure
from lmviz.ui.figures.saturation import memory_figure
from lmviz.ui.gates import meaning_words

WORDS = JudgedWords("title", "x", "unit", "unit before", "probe", "probe before", "chance", "hover")


def train(place: Path, kind: str) -> Run:
    """Its held-out text has most features of CODE often enough."""
    text = place / "code.txt"
    text.write_text(CODE * 1000, encoding="utf-8")
    run = Store(place / "runs").create(small_config(kind, text))
    train_here(run, quiet=True)
    return run


@pytest.fixture
def lstm(places: Path) -> Run:
    return train(places, "lstm")


def rows_of(app: AppTest, key: str) -> list[str]:
    return next(list(trace["y"]) for trace in figure_of(app, key)["data"] if trace.get("name") == "best unit")


def framed(app: AppTest, key: str) -> str:
    """The row in the frame."""
    names = rows_of(app, key)
    _chance, frame = figure_of(app, key)["layout"]["shapes"]
    return str(names[round((frame["y0"] + frame["y1"]) / 2)])


def test_the_feature_of_the_address_is_framed_at_once_in_both_models(
    lstm: Run, places: Path, visit: Callable[..., AppTest]
) -> None:
    first = visit("gates", run=lstm.id, part="meaning")
    rows = rows_of(first, "gates_meaning_first")
    assert framed(first, "gates_meaning_first") == rows[0] and len(rows) > 3
    wanted = next(name for name in FEATURES if meaning_words.title({"feature": name}) == rows[-1])

    app = visit("gates", run=lstm.id, part="meaning", feature=wanted, second=train(places, "gru").id)
    assert app.selectbox(key="gates_feature").value == wanted
    assert framed(app, "gates_meaning_first") == framed(app, "gates_meaning_second") == rows[-1]
    labels = [one.value for one in app.markdown if one.value.startswith("**")]
    assert len(labels) == 2 and labels[0] != labels[1], "each figure says whose it is"


def test_a_feature_too_rare_for_the_history_is_said(
    lstm: Run, visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have enough tokens in the whole text, and not in the part of it that is read at every moment."""
    monkeypatch.setattr(held_out_questions, "HISTORY_TOKENS", 512)
    app = visit("gates", run=lstm.id, part="meaning", feature="string")
    assert app.selectbox(key="gates_feature").value == "string"
    app.button(key="gates_history_button").click().run()
    assert not app.exception and not app.error
    assert any("in a string" in one.value and "512 tokens" in one.value for one in app.caption)
    app.selectbox(key="gates_feature").set_value("brackets").run()
    assert not app.exception
    assert len(figure_of(app, "gates_meaning_history")["data"]) >= 2


def test_the_table_says_what_needs_memory(lstm: Run, visit: Callable[..., AppTest]) -> None:
    table = visit("gates", run=lstm.id, part="meaning").dataframe[0].value
    needs = dict(zip(table["feature"], table["needs memory"], strict=True))
    assert needs["in brackets"] == "yes" and needs["start of a word"] == "no"


def test_a_unit_that_lost_a_feature_has_not_known_it_since() -> None:
    """A unit that is no better in the end than the untrained network knows nothing, whatever it knew in between."""
    moments = [
        {"step": step, "features": {"string": {"unit": 7, "auc": auc, "followed": auc}}}
        for step, auc in ((0, 0.5), (10, 0.9), (20, 0.55))
    ]
    assert meaning_words.appearance(row("string", 0.9, 0.6), moments).endswith("?")


def drawn(figure: Any) -> list[float]:
    return [value for trace in figure.data for value in trace.x if value is not None]


def test_nothing_lies_outside_the_axis_of_auc() -> None:
    rows = [Judged("a", 1, 0.9, 0.6, 0.95, 0.7, (0.22, 0.63)), Judged("b", 2, 0.31, 0.4, 0.5, 0.5, (0.45, 0.55))]
    figure = meaning_figure(rows, WORDS, "#4296ea", "a")
    low, high = figure.layout.xaxis.range
    assert low < min(drawn(figure)) and max(drawn(figure)) < high
    usual = meaning_figure([Judged("a", 1, 0.9, 0.6, 0.95, 0.7, (0.45, 0.55))], WORDS, "#4296ea", "a")
    assert usual.layout.xaxis.range[0] == 0.35, "of usual numbers it stays the same"

    courses = {"a": ([0.6, None, 0.9], [0.12, 0.5, 0.9]), "b": ([0.5, 0.6, 0.7], [0.05, 0.5, 0.7])}
    history = meaning_history_figure(
        [0, 10, 20], courses, "a", 10, "#4296ea", title="t", x="x", y="y", best="best", followed="followed"
    )
    low, high = history.layout.yaxis.range
    assert low < 0.12 and high > 0.9 and low > 0.05, "what is not drawn needs no room"


@pytest.mark.parametrize("longest", [1.3, 12, 900, 2e5])
def test_marks_of_the_memory_do_not_crowd(longest: float) -> None:
    """At most nine, all of them in the range, the longest not far above the last."""
    values = np.geomspace(1.05, longest, 20).astype("f4")
    axis = memory_figure(
        values, None, "#4296ea", title="t", x="x", y="y", after_name="now", before_name="before", hover="h"
    ).layout.yaxis
    marks = np.array(axis.tickvals)
    low, high = 10.0 ** np.array(axis.range)
    assert low < values.min() and values.max() < high
    assert 2 <= len(marks) <= 9 and low <= marks.min() and marks.max() <= high
