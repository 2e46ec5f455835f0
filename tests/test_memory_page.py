"""Page Memory: what its figures, words and limits say, and the page itself in both languages without a browser."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import places, visit, words  # noqa: F401

from lmviz.config import MEMORY_TASKS, CorpusConfig
from lmviz.corpora.tasks import LETTERS, MARKED, SUMS
from lmviz.errors import LmvizError
from lmviz.inspect.decay import RECORDED_WINDOWS, decay
from lmviz.jobs.questions import ask_task_example
from lmviz.limits import MAX_ACTIVE_TASK_RUNS
from lmviz.memory import CELLS, memory_configs
from lmviz.runs import SAMPLES, Run, Status, Store
from lmviz.samples import MEMORY_GROUP, memory_samples
from lmviz.training.task_data import TaskData
from lmviz.ui.address import from_address, to_address
from lmviz.ui.figures.memory import FLOOR, Points, accuracy_figure, before_after_figure
from lmviz.ui.memory import gradient, lesson, page, panel
from lmviz.ui.memory.experiment import Experiment, Line, finding, reach_words, read_experiment
from lmviz.ui.memory.names import line_style
from lmviz.ui.memory.view import ALL_CELLS, LAG_CHOICES, View

TINY = {"cells": "rnn,gru", "lags": "5", "updates": "100"}
Visit = Callable[..., AppTest]


def row(cell: str, lag: int, accuracy: float | None, **more: Any) -> dict[str, Any]:
    base = {"run": f"{cell}-{lag}", "model": cell, "mixed": False, "solved": None, "step": 600, "steps": 600}
    return {**base, "lag": lag, "accuracy": accuracy, "state": "finished", **more}


def experiment(*rows: dict[str, Any]) -> Experiment:
    return Experiment([Run(Path(r["run"])) for r in rows], rows)


@pytest.fixture(scope="module")
def sample() -> Experiment:
    return read_experiment(Store().group(page.SAMPLE))


# ---- view and address ----


def test_a_view_goes_through_the_address_and_back() -> None:
    view = View(task="copy", cells=("nvsi+carry", "lstm"), lags=(5, 100), updates=1000, seed=7, mixed=True)
    assert from_address(View, to_address(view)) == view
    assert to_address(View()) == {}
    wrong = {"lags": "5,7", "cells": "gpt", "task": "adding", "seed": "x", "updates": "601", "mixed": "maybe"}
    assert from_address(View, wrong) == View(task="adding")


def test_the_choices_are_those_of_the_experiment() -> None:
    assert tuple(CELLS) == ALL_CELLS
    assert View().configs("g") == memory_configs("remember-first", group="g")
    assert View(mixed=True).configs() == memory_configs("remember-first", lags=[200], mixed=True)
    assert View(lags=()).configs() == [] == View(cells=()).configs()
    assert [c.corpus.lag for c in View(lags=(50, 5), cells=("rnn",)).configs()] == [5, 50], "short lags first"
    largest = View(lags=LAG_CHOICES, updates=4000).configs()  # type: ignore[arg-type]
    assert len(largest) == MAX_ACTIVE_TASK_RUNS, "all that can be ticked can be trained"


# ---- findings ----


def test_who_remembers_how_far() -> None:
    rows = [row("gru", 5, 1.0), row("gru", 10, 0.9), row("rnn", 5, 0.95), row("rnn", 10, 0.2), row("nvsi", 5, 0.1)]
    whole = experiment(*rows, row("nvsi", 10, 1.0))
    assert [(line.cell, line.reach) for line in whole.lines] == [("rnn", 5), ("nvsi", 0), ("gru", 10)]
    assert finding(whole) == "GRU remembers 10 steps; RNN only 5; NVSI-RNN not even 5"
    assert reach_words([Line("rnn", False, [row("rnn", 20, 0.3)])]) == "None of them remembers even 20 steps"
    mixed = experiment(row("rnn", 5, 1.0, mixed=True), row("rnn", 200, 1.0, mixed=True))
    assert finding(mixed) == "On mixed lags: RNN, mixed lags remembers 200 steps"
    under_way = experiment(row("rnn", 5, 1.0), row("rnn", 10, None, state="queued", step=0))
    assert finding(under_way) == "How far back does each remember? 1 of 2 runs have ended"


def test_how_much_is_done_and_how_long_it_takes_yet(store: Store) -> None:
    runs = [store.create(config) for config in memory_configs("remember-first", ["rnn"], [5, 50], steps=100)]
    assert read_experiment(runs).share_done == 0 and read_experiment(runs).seconds_left() is None
    created = datetime.now(UTC)
    for run in runs:
        run.write_status(Status(state="running", step=50, steps=100, created=created.isoformat()))
    half = read_experiment(runs)
    assert half.share_done == pytest.approx(0.5)
    assert half.seconds_left(created + timedelta(seconds=8)) == pytest.approx(8)
    runs[1].write_status(Status(state="finished", step=100, steps=100, created=created.isoformat()))
    assert 0.5 < read_experiment(runs).share_done < 1
    assert read_experiment(runs).active == [runs[0].id]


def test_the_lesson_says_only_what_was_measured() -> None:
    line = Line("rnn", True, [row("rnn", 200, 0.99, mixed=True)])
    both = experiment(row("rnn", 20, 0.2), row("rnn", 50, 0.13), *line.rows)
    full = lesson.lesson_words(line, line.rows[0], 2.7e-24, both)
    assert "vanishing gradient is not forgetting" in full and r"$3\cdot 10^{-24}$" in full
    assert "in 99%" in full and "trained at lag 50 only, it is right in 13%" in full
    alone = lesson.lesson_words(line, line.rows[0], 2.7e-24, experiment(*line.rows))
    assert "not forgetting" in alone and "only, it is right" not in alone
    solved = experiment(row("rnn", 50, 1.0), *line.rows)
    assert "only, it is right" not in lesson.lesson_words(line, line.rows[0], 2.7e-24, solved)
    for accuracy, left in ((0.3, 1e-24), (1.0, 0.4)):
        plain = lesson.lesson_words(line, row("rnn", 200, accuracy), left, both)
        assert "forgetting" not in plain and f"{accuracy:.0%}" in plain


@pytest.mark.parametrize(
    ("share", "text"), [(1.26, "126%"), (0.5, "50%"), (0.02, "2.0%"), (0, "0"), (2.7e-24, r"$3\cdot 10^{-24}$")]
)
def test_shares_in_words(share: float, text: str) -> None:
    assert lesson.power(share) == text


# ---- figures ----


def test_the_figure_has_a_line_a_cell_and_the_level_of_guessing() -> None:
    lines = [
        Points("RNN <b>", line_style("rnn", False), [5, 20], [1.0, 0.125], ["a", "b"]),
        Points("RNN, mixed", line_style("rnn", True), [5, 200], [1.0, 0.75], ["a", "b"]),
    ]
    figure = accuracy_figure(lines, [5, 20, 200], title="t", x="lag", y="right", chance=0.125, chance_name="guessing")
    first, second = figure.data
    assert (first.name, list(first.x), list(first.y)) == ("RNN &lt;b&gt;", ["5", "20"], [1.0, 0.125])
    assert (first.line.color, first.line.dash) == (second.line.color, "solid") and second.line.dash == "dot"
    assert list(figure.layout.xaxis.categoryarray) == ["5", "20", "200"]
    (guess,) = figure.layout.shapes
    assert guess.y0 == guess.y1 == 0.125 and figure.layout.annotations[0].text == "guessing"


def test_gradients_before_and_after_share_their_axis() -> None:
    curves = ([1.0, 1e-3, 1e-30], [1.0, 0.9, 0.8])
    figure = before_after_figure(
        *curves, line_style("gru", False), title="t", x="back", names=("at birth", "trained"), lowest=1e-30
    )
    assert [list(trace.y) for trace in figure.data] == [list(curve) for curve in curves], "the data go on"
    assert [trace.line.dash for trace in figure.data] == ["dot", "solid"]
    assert figure.layout.yaxis.range[0] == pytest.approx(np.log10(FLOOR) - 0.3)


# ---- the sample ----


def test_the_sample_is_the_default_experiment_and_small(sample: Experiment) -> None:
    configs = memory_samples()
    assert {run.id for run in sample.runs} == set(configs) and page.SAMPLE == MEMORY_GROUP
    for run in sample.runs:
        assert run.config() == configs[run.id] and run.status().state == "finished"
        assert run.checkpoint_steps() == [600] and not run.resume_steps()
    size = sum(f.stat().st_size for f in SAMPLES.glob("sample-memory-*/**/*") if f.is_file())
    assert size < 1.2e6


def test_the_sample_shows_the_staircase_and_its_twist(sample: Experiment) -> None:
    reaches = {(line.cell, line.mixed): line.reach for line in sample.lines}
    assert reaches[("rnn", True)] == 200
    assert all(reaches[(cell, False)] == 50 for cell in ("nvsi+carry", "gru", "lstm"))
    assert all(reaches[(cell, False)] <= 10 for cell in ("rnn", "nvsi"))
    found = {change.line.cell: change for change in gradient.changes(sample)}
    assert set(found) == set(CELLS) and {len(change.after) for change in found.values()} == {21}
    for cell in ("gru", "nvsi+carry"):
        assert decay(found[cell].after) > 0.98 and found[cell].remembers
    assert decay(found["rnn"].after) < 0.7 and not found["rnn"].remembers
    said = gradient.change_words(list(found.values()), 20)
    assert said.index("GRU") < said.index("Of those that do not") < said.index("RNN $")
    assert f"GRU {lesson.power(float(found['gru'].after[-1]))} (at birth" in said


def test_the_table_has_what_was_measured() -> None:
    html = panel.table(experiment(row("rnn", 5, 1.0, solved=60), row("rnn", 10, 0.15), row("gru", 10, None)))
    assert "<td class='yes'>100% <small>60</small></td><td class='no'>15% </td>" in html
    assert "<td></td><td class='no'>– </td>" in html
    assert "<td class='no'>89% </td>" in panel.table(experiment(row("rnn", 5, 0.8984)))


def test_the_words_below_say_how_many_sequences_were_tested(store: Store) -> None:
    short = read_experiment([store.create(config) for config in memory_configs("remember-first", ["rnn"], [5, 50])])
    assert " 256 sequences" in panel.caption(short)
    long = read_experiment([store.create(config) for config in memory_configs("remember-first", ["rnn"], [5, 100])])
    data = {lag: TaskData.of(CorpusConfig(name="remember-first", lag=lag)) for lag in (5, 100)}
    most, fewest = (sum(len(batch.inputs) for batch in data[lag].validation_batches()) for lag in (5, 100))
    assert f" {fewest}–{most} sequences" in panel.caption(long) and fewest < most
    assert fewest >= RECORDED_WINDOWS


# ---- tasks as text ----


@pytest.mark.parametrize("name", MEMORY_TASKS)
def test_an_example_is_a_sequence_whose_answer_is_right(store: Store, name: str) -> None:
    (found,) = ask_task_example(store, CorpusConfig(name=name, lag=6).model_dump(mode="json"), seed=3)
    read, answer = found["read"], found["answer"]
    assert found["asked"] == (":" if name == "copy" else "?")
    if name == "adding":
        assert SUMS.index(answer) == sum(MARKED.index(c) for c in read if c in MARKED)
    else:
        assert answer == "".join(c for c in read if c in LETTERS)
        assert len(read) == 6 + (len(answer) if name == "copy" else 0)


# ---- limits ----


def test_runs_on_tasks_have_their_own_limit(visit: Visit, places: Path) -> None:  # noqa: F811
    app = visit("memory", updates="100", lags="5,10,20,50,100")
    app.session_state["owner"] = "me"
    store = Store(places / "runs", samples=None)
    waiting = store.create(memory_configs("remember-first", ["rnn"], [5])[0], "me")
    app.button(key="memory_train").click().run()
    assert not app.exception
    (error,) = app.error
    assert "1 runs on memory tasks" in error.value and str(MAX_ACTIVE_TASK_RUNS) in error.value
    assert [run.id for run in store.runs()] == [waiting.id]
    assert "group" not in app.query_params


# ---- the page ----


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_opens_on_the_sample(visit: Visit, lang: str) -> None:  # noqa: F811
    app = visit("memory", lang=lang)
    assert not app.exception and not app.error
    shown = " ".join(block.proto.body for block in app.get("html"))
    assert "100%" in shown and "task-example" in shown
    assert len(app.info) == 1 and "10^{-" in app.info[0].value


def test_train_makes_the_runs_and_the_link_shows_them_again(visit: Visit, places: Path) -> None:  # noqa: F811
    app = visit("memory", **TINY)
    app.button(key="memory_train").click().run()
    assert not app.exception and not app.error
    runs = Store(places / "runs", samples=None).runs()
    assert {(run.config().model.kind, run.config().corpus.lag) for run in runs} == {("rnn", 5), ("gru", 5)}
    assert {run.status().state for run in runs} == {"finished"}
    (group,) = {run.config().group for run in runs}
    assert app.query_params["group"] == group

    def tables(one: AppTest) -> list[str]:
        return [block.proto.body for block in one.get("html") if "class='paths lags'" in block.proto.body]

    again = visit("memory", **TINY, group=group)
    assert tables(again) == tables(app) and len(tables(app)) == 1
    accuracy = [line["accuracy"] for line in runs[0].metrics() if "accuracy" in line][-1]
    assert panel._percent(accuracy) in tables(app)[0]


def test_a_curriculum_is_one_run_a_cell_and_its_lesson_is_measured(visit: Visit, places: Path) -> None:  # noqa: F811
    app = visit("memory", cells="rnn", updates="100", mixed="1")
    app.button(key="memory_train").click().run()
    assert not app.exception
    (run,) = Store(places / "runs", samples=None).runs()
    assert run.config().corpus.mixed and run.config().corpus.lag == 200
    last = [line["accuracies"] for line in run.metrics() if "accuracies" in line][-1]
    assert len(app.info) == 1 and f"{last['200']:.0%}" in app.info[0].value


@pytest.mark.parametrize("query", [{"cells": ","}, {"lags": ","}])
def test_nothing_ticked_cannot_be_trained(visit: Visit, query: dict[str, str]) -> None:  # noqa: F811
    app = visit("memory", **query)
    assert not app.exception and app.button(key="memory_train").disabled


@pytest.mark.parametrize("group", ["memory-00000000", "", "![x](http://127.0.0.1/)"])
def test_an_experiment_that_is_gone_is_a_sentence_and_the_sample(visit: Visit, group: str) -> None:  # noqa: F811
    app = visit("memory", group=group)
    assert not app.exception and len(app.error) == bool(group)
    assert "Trained earlier" in words(app)


def test_a_group_of_texts_is_no_experiment(visit: Visit, places: Path) -> None:  # noqa: F811
    from test_pages import trained

    run = trained(places)
    config = json.loads((run.path / "config.json").read_bytes()) | {"group": "texts"}
    (run.path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    app = visit("memory", group="texts")
    assert not app.exception and "No experiment is here" in app.info[0].value


def test_a_failed_run_says_why(visit: Visit, places: Path) -> None:  # noqa: F811
    store = Store(places / "runs")
    run = store.create(memory_configs("remember-first", ["rnn"], [5], group="broken")[0])
    error = LmvizError("It broke at {step}.", step=3).to_dict()
    run.write_status(Status(state="failed", steps=600, error=error))
    app = visit("memory", group="broken")
    assert not app.exception and ["It broke at 3" in e.value for e in app.error] == [True]
