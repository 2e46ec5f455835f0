"""Page Gradients, "While learning": what is read, drawn and said, the player, and the page in both languages."""
# ruff: noqa: F811  (fixtures of another module)

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from test_pages import places, visit, words  # noqa: F401
from test_training import small_config
from texts import prose

from lmviz.compare import read_view
from lmviz.runs import Run, Store, write_lines
from lmviz.training.foreground import train_here
from lmviz.ui import player
from lmviz.ui.gradients import learning_words
from lmviz.ui.gradients.history import (
    clipped_share,
    has_cell,
    layers_of,
    parameter_history,
    read_history,
)
from lmviz.ui.theme import run_style


def train(places: Path, kind: str, **sections: Any) -> Run:
    text = places / "prose.txt"
    text.write_text(prose(), encoding="utf-8")
    run = Store(places / "runs").create(small_config(kind, text, **sections).model_copy(update={"name": f"my {kind}"}))
    train_here(run, quiet=True)
    return run


@pytest.fixture
def lstm(places: Path) -> Run:
    return train(places, "lstm", model={"num_layers": 2})


# ---- what is read ----


def test_shares_are_those_of_the_file(lstm: Run) -> None:
    view = read_view(lstm)
    lines = lstm.gradients()
    assert layers_of(view) == 2 and has_cell(view)
    for state in ("hidden", "cell"):
        for layer in (1, 2):
            found = read_history(view, run_style("lstm"), state, layer)
            assert found and found.state == state and found.steps.tolist() == [line["step"] for line in lines]
            for line, shares in zip(lines, found.shares, strict=True):
                norms = np.array(line[f"grad.{state}"][layer - 1])
                np.testing.assert_allclose(shares, norms / norms[0])


def test_a_run_without_the_state_or_the_layer_shows_what_it_has(places: Path) -> None:
    view = read_view(train(places, "gru"))
    found = read_history(view, run_style("gru"), "cell", 5)
    assert found and found.state == "hidden"
    top = read_history(view, run_style("gru"), "hidden", layers_of(view))
    assert top
    np.testing.assert_array_equal(found.shares, top.shares)


def test_damaged_lines_are_left_out_and_no_number_is_a_gap(lstm: Run) -> None:
    good = {"step": 0, "grad.hidden": [[2.0, 1.0, None]], "parameters": {"a": 1.0}}
    bad = [
        {"step": 1}, {"grad.hidden": [[1.0, 1.0, 1.0]]}, {"step": "2", "grad.hidden": [[1, 1, 1]]},
        {"step": 3, "grad.hidden": []}, {"step": 4, "grad.hidden": [[]]}, {"step": 5, "grad.hidden": [["x", 1, 1]]},
        {"step": 6, "grad.hidden": [[1.0, 1.0]], "parameters": [1]}, {"step": 7, "grad.hidden": 7},
    ]  # fmt: skip
    last = {"step": 8, "grad.hidden": [[0.0, 0.0, 0.0]], "parameters": {"b": 2.0}}
    write_lines(lstm.path / "gradients.jsonl", [good, *bad, last])
    found = read_history(read_view(lstm), run_style("lstm"), "cell", 1)
    assert found and found.steps.tolist() == [0, 8]
    np.testing.assert_array_equal(found.shares, [[1, 0.5, np.nan], [0, 0, 0]])
    steps, names, norms = parameter_history(read_view(lstm))
    assert steps.tolist() == [0, 8] and names == ["a", "b"]
    np.testing.assert_array_equal(norms, [[1, np.nan], [np.nan, 2]])


def test_the_clipped_share_counts_updates(lstm: Run) -> None:
    lines = [{**lstm.metrics()[0], "step": step, "clipped": share} for step, share in ((1, 1.0), (5, 0.5), (11, 0.0))]
    write_lines(lstm.path / "metrics.jsonl", lines)
    assert clipped_share(read_view(lstm)) == pytest.approx(3 / 11)
    write_lines(lstm.path / "metrics.jsonl", [{"step": 1}])
    assert clipped_share(read_view(lstm)) is None


@pytest.mark.parametrize(
    ("shares", "title"),
    [
        ([0.0], "No update had to be clipped"), ([0.001, 0.0], "Hardly any update was clipped"),
        ([0.25], "25.0% of the updates were clipped"), ([0.1, 0.5], "run 1 was clipped most: 50.0% of its updates"),
        ([0.5, 0.5], "None was clipped clearly more than the others: at most 50.0% of the updates"),
    ],
)  # fmt: skip
def test_who_was_clipped_most_is_said_only_if_one_leads(lstm: Run, shares: list[float], title: str) -> None:
    views = []
    for number, share in enumerate(shares):
        write_lines(lstm.path / "metrics.jsonl", [{"step": 10, "clipped": share}])
        views.append(read_view(lstm, f"run {number}"))
    assert learning_words.update_title(views) == title


# ---- the player ----


def test_a_play_has_few_frames_and_ends_at_the_last() -> None:
    assert player.frames(5, 0) == [0, 1, 2, 3, 4]
    assert player.frames(5, 4) == [4]
    long = player.frames(500, 100)
    assert len(long) == player.FRAMES and long[0] == 100 and long[-1] == 499 and long == sorted(set(long))


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_play_advances_with_the_time_stops_by_itself_and_at_a_press(
    lstm: Run,
    visit: Callable[..., AppTest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(player, "time", clock)
    app = visit("gradients", part="learning", runs=lstm.id)
    steps = [line["step"] for line in lstm.gradients()]
    slider = lambda: next(one.value for one in app.select_slider if one.key in ("moment_slider", "moment_playing"))  # noqa: E731
    assert slider() == steps[-1] and "step" not in app.query_params
    app.button(key="moment_play").click().run()
    assert slider() == 0 and app.select_slider(key="moment_playing").disabled
    clock.now = 2.5 * player.FRAME_SECONDS
    app.run()
    assert slider() == steps[2] and "step" not in app.query_params
    app.button(key="moment_stop").click().run()
    assert slider() == steps[2] and app.query_params["step"] == str(steps[2])
    app.button(key="moment_play").click().run()
    clock.now = 1000
    app.run()
    assert slider() == steps[-1] and app.button(key="moment_play") and "step" not in app.query_params
    assert not app.exception


# ---- the page ----


def figure_of(app: AppTest, key: str) -> dict[str, Any]:
    spec = next(e.proto for e in app.get("bidi_component") if key in e.proto.id)
    return dict(json.loads(json.loads(spec.bytes)["figure"]))


def marks(app: AppTest) -> list[int]:
    return [shape["x0"] for shape in figure_of(app, "learning_map")["layout"]["shapes"]]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_runs_state_layer_and_moment_stand_in_the_address(
    lstm: Run,
    places: Path,
    visit: Callable[..., AppTest],
    lang: str,
) -> None:
    rnn = train(places, "rnn")
    app = visit("gradients", part="learning", runs=f"{lstm.id},{rnn.id}", step="4", state="cell", layer="1", lang=lang)
    assert app.multiselect(key="learning_runs").value == [lstm.id, rnn.id]
    assert app.select_slider(key="moment_slider").value == 4 and marks(app) == [2, 2]
    expected = read_history(read_view(lstm), run_style("lstm"), "cell", 1)
    drawn = figure_of(app, "learning_moment")["data"][1]["y"]
    y = np.frombuffer(base64.b64decode(drawn["bdata"]), drawn["dtype"])
    assert expected
    np.testing.assert_allclose(y, expected.shares[2])
    app.select_slider(key="moment_slider").set_value(16).run()
    app.segmented_control(key="learning_state").set_value("hidden").run()
    app.multiselect(key="learning_runs").set_value([rnn.id]).run()
    assert app.select_slider(key="moment_slider").value == 40 and "step" not in app.query_params
    assert app.query_params["runs"] == rnn.id and "state" not in app.query_params and len(marks(app)) == 1
    app.multiselect(key="learning_runs").set_value([]).run()
    assert "runs" not in app.query_params and app.info and not app.exception


def test_at_first_the_newest_run_with_norms_is_shown(
    lstm: Run,
    places: Path,
    visit: Callable[..., AppTest],
) -> None:
    train(places, "gpt")
    app = visit("gradients", part="learning")
    assert app.multiselect(key="learning_runs").value == [lstm.id]
    assert "runs" not in app.query_params, "the page Train would take it for its own"


def test_what_is_missing_gets_a_sentence(lstm: Run, places: Path, visit: Callable[..., AppTest]) -> None:
    gpt = train(places, "gpt")
    app = visit("gradients", part="learning", runs=gpt.id)
    assert "no state that goes from step to step" in app.info[0].value
    assert figure_of(app, "learning_updates") and figure_of(app, "learning_parameter_map")
    old = train(places, "gru", recording={"gradients": False})
    app = visit("gradients", part="learning", runs=f"{old.id},gone-000000")
    assert "no gradient norms over the lag" in app.info[0].value and "no longer there" in app.warning[0].value
    counted = train(places, "ngram")
    app = visit("gradients", part="learning", runs=f"{counted.id},{lstm.id}")
    assert "n-gram is counted" in app.info[0].value and app.multiselect(key="learning_runs").value == [lstm.id]
    app = visit("gradients", part="learning", runs=counted.id)
    assert app.info[1].value.startswith("Shown instead: LSTM")
    status = lstm.status()
    lstm.write_status(status.model_copy(update={"state": "queued", "step": 0}))
    for name in ("gradients.jsonl", "metrics.jsonl"):
        (lstm.path / name).unlink()
    app = visit("gradients", part="learning", runs=lstm.id)
    assert "on their way" in app.info[0].value


def test_a_run_that_is_deleted_while_it_is_shown_gets_a_sentence(
    lstm: Run, places: Path, visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    fragment = st.fragment

    def late(function: Callable[..., None] | None = None, **how: Any) -> Any:
        if function and function.__name__ == "_panel" and lstm.path.exists():
            Store(places / "runs").delete(lstm)
        return fragment(function, **how)

    monkeypatch.setattr(st, "fragment", late)
    app = visit("gradients", part="learning", runs=f"{lstm.id},sample-rnn")
    assert "no longer there" in app.warning[0].value and len(marks(app)) == 1


def test_one_moment_alone_is_a_curve_without_a_player(lstm: Run, visit: Callable[..., AppTest]) -> None:
    write_lines(lstm.path / "gradients.jsonl", lstm.gradients()[:1])
    app = visit("gradients", part="learning", runs=lstm.id)
    assert "before the first update" in app.info[0].value and figure_of(app, "learning_moment")
    assert not app.select_slider


def test_a_damaged_file_breaks_nothing(lstm: Run, visit: Callable[..., AppTest]) -> None:
    (lstm.path / "gradients.jsonl").write_bytes(
        b'{"step": 0, "grad.hid\n\xff\xfe\n{"step": 1, "grad.hidden": "x"}\n[1]\n'
    )
    app = visit("gradients", part="learning", runs=lstm.id)
    assert "no gradient norms over the lag" in app.info[0].value


def test_a_name_that_a_person_typed_is_only_text(lstm: Run, visit: Callable[..., AppTest]) -> None:
    lstm.rename("<img src=x> ![x](http://127.0.0.1/x.png)")
    app = visit("gradients", part="learning", runs=f"{lstm.id},sample-rnn")
    assert "![x]" not in words(app)
    notes = figure_of(app, "learning_map")["layout"]["annotations"]
    assert not any("<img" in note["text"] for note in notes)
    assert "<img" not in figure_of(app, "learning_parameter_map")["layout"]["title"]["text"]
