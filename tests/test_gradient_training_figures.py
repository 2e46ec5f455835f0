"""Figures of gradients while models learn: the numbers are the file's, the marks and titles are right."""

import numpy as np
import pytest

from lmviz.ui.figures.gradient_training import DARK_AT, CurveWords, MapWords, Panel, map_figure, moment_figure
from lmviz.ui.figures.gradient_updates import Updates, UpdateWords, parameter_figure, update_figure
from lmviz.ui.gradients import learning_words
from lmviz.ui.gradients.history import History, moments
from lmviz.ui.theme import run_style

MAP_WORDS = MapWords("finding", "updates", "lag", "%{x} %{y} %{z}", "%{x} %{text}", "share")
CURVE_WORDS = CurveWords("finding", "lag", "norm", "{name} at birth", "1/1000")
UPDATE_WORDS = UpdateWords("finding", "updates", "norm", "{name} after", "clip {norm}")


def history(factors: list[float], label: str = "GRU", lags: int = 40) -> History:
    """At moment i every lag keeps `factors[i]` of the one before."""
    shares = np.array([[factor**lag for lag in range(lags)] for factor in factors])
    steps = np.array([0, 1, 2, 4, 8, 16][: len(factors)])
    return History(f"run-{label}", label, run_style("gru"), "hidden", steps, shares)


def panel(one: History, step: int) -> Panel:
    return Panel(one.label, one.style, one.steps, one.shares, one.reach, "heading", one.index(step), one.label)


def test_reach_is_the_first_lag_below_a_thousandth() -> None:
    one = history([0.1, 0.5, 0.99])
    assert one.reach.tolist() == [4, 10, 40]  # 0.1^3 is a thousandth itself, 0.5^10 is less
    assert [one.index(step) for step in (0, 1, 3, 99)] == [0, 1, 2, 2]
    assert moments([one, history([0.5], "RNN")]) == [0, 1, 2]


# ---- what is drawn ----


def test_the_map_is_the_file_with_a_mark_at_the_moment() -> None:
    ones = [history([0.1, 0.5, 0.9]), history([0.5, 0.3], "RNN", 30)]
    figure = map_figure([panel(one, 1) for one in ones], MAP_WORDS)
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    for one, drawn in zip(ones, maps, strict=True):
        np.testing.assert_allclose(drawn.z, np.log10(one.shares).T, rtol=1e-6)
        assert list(drawn.x) == [str(step) for step in one.steps] and len(drawn.y) == one.lags
    assert {drawn.coloraxis for drawn in maps} == {"coloraxis"}
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (DARK_AT, 0)
    assert [(shape.xref, shape.x0, shape.x1) for shape in figure.layout.shapes] == [("x", 1, 1), ("x2", 1, 1)]
    reach = [list(trace.y) for trace in figure.data if trace.type == "scatter"]
    assert reach == [[4, 10, 39.5], [4, 10, 39.5], [10, 6], [10, 6]]


def test_maps_stand_two_beside_each_other_and_do_not_touch() -> None:
    figure = map_figure([panel(history([0.5, 0.9], f"GRU {i}"), 1) for i in range(4)], MAP_WORDS)
    boxes = [(*figure.layout[f"xaxis{at}"].domain, *figure.layout[f"yaxis{at}"].domain) for at in ("", 2, 3, 4)]
    assert boxes[0][:2] == boxes[2][:2] and boxes[0][2:] == boxes[1][2:]
    assert boxes[0][1] < boxes[1][0] and boxes[2][3] < boxes[0][2]
    assert all(0 <= edge <= 1 for box in boxes for edge in box)


def test_a_long_window_is_drawn_with_fewer_rows() -> None:
    one = history([0.99, 0.999], lags=1000)
    drawn = map_figure([panel(one, 0)], MAP_WORDS).data[0]
    assert len(drawn.y) == 250 and drawn.z.shape == (250, 2)
    np.testing.assert_allclose(drawn.z[1], np.log10(one.shares[:, 4]), rtol=1e-6)


def test_the_curve_is_that_of_the_moment_with_birth_behind() -> None:
    one = history([0.1, 0.5, 0.9])
    now = moment_figure([panel(one, 2)], CURVE_WORDS)
    assert [trace.name for trace in now.data] == ["GRU at birth", "GRU"]
    np.testing.assert_allclose(now.data[0].y, one.shares[0])
    np.testing.assert_allclose(now.data[1].y, one.shares[2])
    birth = moment_figure([panel(one, 0)], CURVE_WORDS)
    assert [trace.name for trace in birth.data] == ["GRU"]
    assert birth.layout.yaxis.range == now.layout.yaxis.range, "a play must not move the axis"


def test_updates_show_both_norms_and_every_clip_norm() -> None:
    run = Updates("RNN", run_style("rnn"), np.array([1.0, 2.0]), np.array([3.0, 0.5]), np.array([1.0, 0.5]))
    figure = update_figure([run], [0.5, 1.0], UPDATE_WORDS)
    assert [(trace.name, list(trace.y)) for trace in figure.data] == [("RNN", [3, 0.5]), ("RNN after", [1, 0.5])]
    assert [shape.y0 for shape in figure.layout.shapes] == [0.5, 1.0]
    assert [note.text for note in figure.layout.annotations] == ["clip 0.5", "clip 1"]
    assert figure.layout.yaxis.type == "log"


def test_parameters_are_rows_of_a_map() -> None:
    norms = np.array([[1.0, 0.01], [0.0, np.nan]])
    drawn = parameter_figure(np.array([1, 2]), ["a", "<b>"], norms, title="", x="", hover="", bar="").data[0]
    assert list(drawn.y) == ["a", "&lt;b&gt;"]
    np.testing.assert_allclose(drawn.z, [[0, -2], [np.nan, np.nan]])
    np.testing.assert_array_equal(drawn.customdata, norms)


# ---- what is said ----


@pytest.mark.parametrize(
    ("ones", "title"),
    [
        ([history([0.1, 0.5])], "GRU: reach grows from 4 to 10 steps"),
        ([history([0.5, 0.1])], "GRU: reach shrinks from 10 to 4 steps"),
        ([history([0.5, 0.5])], "GRU: reach stays at 10 steps"),
        ([history([0.5, 0.99])], "GRU: reach grows from 10 to ≥ 40 steps"),
        ([history([0.99, 0.999])], "GRU: reach is beyond its window of 40 steps, as at birth"),
        ([history([0.1, 0.5]), history([0.1, 0.3], "RNN")], "GRU reaches furthest: from 4 steps at birth to 10"),
        ([history([0.1, 0.5]), history([0.1, 0.45], "<i>")], "GRU and &lt;i&gt; reach about equally far"),
        (
            [history([0.1, 0.5]), history([0.1, 0.45], "RNN"), history([0.1], "LSTM")],
            "GRU and RNN reach furthest, about equally far",
        ),
        (
            [history([0.1, 0.8]), history([0.1, 0.9], "RNN", 20)],
            "Which one reaches furthest is not known: GRU 31 steps, RNN beyond its window of 20 steps",
        ),
        (
            [history([0.1, 0.99]), history([0.1, 0.8], "RNN", 35)],
            "GRU reaches furthest: from 4 steps at birth to ≥ 40",
        ),
    ],
)
def test_the_title_states_the_finding(ones: list[History], title: str) -> None:
    assert learning_words.map_title(ones) == title


def test_each_run_is_named_with_its_own_step() -> None:
    long, short = history([0.1, 0.3, 0.5]), history([0.1, 0.3], "RNN")
    assert learning_words.moment_title([long, short], 0) == (
        "At birth 1/1000 is left after so many steps: GRU 4, RNN 4"
    )
    assert learning_words.moment_title([long, short], 1) == (
        "After 1 updates 1/1000 is left after so many steps: GRU 6, RNN 6"
    )
    assert learning_words.moment_title([long, short], 2) == (
        "1/1000 is left after so many steps: GRU 10 (step 2), RNN 6 (step 1)"
    )
    assert learning_words.moment_names([long, short], 2) == ["GRU, step 2", "RNN, step 1"]
    assert learning_words.moment_names([long, short], 1) == ["GRU", "RNN"]


def test_the_caption_states_what_was_measured() -> None:
    assert "first 8 windows of 30 / 40 tokens" in learning_words.map_caption([history([0.1]), history([0.1], lags=30)])
