"""The memory experiment: which runs it makes, and what they come to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import command as program
from test_cli import environment, lmviz, place  # noqa: F401
from test_training import interrupted, train

from lmviz.config import TASKS, GRUConfig, RunConfig
from lmviz.corpora.tasks import TEST_LAGS
from lmviz.errors import ConfigError
from lmviz.forks import fork
from lmviz.inspect import command
from lmviz.memory import CELLS, LINES, NAMES, VALIDATIONS, cell_of, memory_configs, results, table
from lmviz.models import build_model
from lmviz.runs import Store


def test_a_run_for_every_cell_and_lag_and_one_for_every_cell_where_lags_are_mixed() -> None:
    configs = memory_configs("remember-first", lags=(5, 20), steps=100, seed=3, group="g")
    assert [(cell_of(c), c.corpus.lag) for c in configs] == [(cell, lag) for lag in (5, 20) for cell in CELLS]
    assert {(c.training.steps, c.training.seed, c.group, c.corpus.mixed) for c in configs} == {(100, 3, "g", False)}
    assert len({c.name for c in configs}) == len(configs) and configs[3].name == "GRU · lag 5"
    assert [c.training.context_length for c in configs[::5]] == [7, 22]
    mixed = memory_configs("copy", ("rnn", "gru"), (5, 20), mixed=True)
    assert [(cell_of(c), c.corpus.lag, c.corpus.mixed) for c in mixed] == [("rnn", 20, True), ("gru", 20, True)]
    assert mixed[0].name == "RNN · lags to 20" and mixed[0].training.context_length == 200 + 7
    assert RunConfig.model_validate_json(mixed[0].model_dump_json()) == mixed[0]
    assert set(NAMES) == set(CELLS) and tuple(CELLS) == command.CELLS, "one name for a cell in both commands"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "chess"}, "no task chess"),
        ({"cells": ["gpt"]}, "no cell gpt"),
        ({"lags": [0]}, "corpus.lag cannot be 0"),
        ({"lags": []}, "No lag"),
        ({"steps": 0}, "training.steps cannot be 0"),
        ({"task": "adding", "lags": [1]}, "lag of 2"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        memory_configs(**{"task": "remember-first", **arguments})


def test_cells_begin_with_the_biases_that_they_are_named_for() -> None:
    def biases(cell: str) -> list[float]:
        model = build_model(CELLS[cell], 12, 6)
        (layer,) = model.layers
        both = (layer.bias_ih + layer.bias_hh).view(-1, 64)
        return both.mean(1).tolist()

    assert any(bias == pytest.approx(-3, abs=0.1) for bias in biases("nvsi+carry"))
    assert any(bias == pytest.approx(3, abs=0.1) for bias in biases("lstm"))


def test_results_before_in_the_middle_and_after(store: Store) -> None:
    (config,) = memory_configs("remember-first", ["gru"], [2], steps=80)
    waiting = store.create(config)
    (row,) = results([waiting])
    assert (row["state"], row["step"], row["accuracy"], row["lag"]) == ("queued", 0, None, 2)
    half = interrupted(store, config, 30)
    done = train(store, config)
    rows = results([waiting, half, done])
    assert [row["accuracy"] for row in rows[1:]] == [
        [line["accuracy"] for line in run.metrics() if "accuracy" in line][-1] for run in (half, done)
    ]
    assert rows[2]["step"] == rows[2]["steps"] == 80 and rows[2]["state"] == "finished"
    assert rows[2]["settings"]["kind"] == "gru" and rows[2]["model"] == "gru"
    other = store.create(config.model_copy(update={"model": GRUConfig(hidden_size=8)}))
    assert results([other])[0]["model"] == "gru"


def test_the_records_are_few(store: Store) -> None:
    (config,) = memory_configs("remember-first", ["rnn"], [2], steps=600)
    run = train(store, config)
    lines = run.metrics()
    assert LINES <= len(lines) <= LINES + 10
    assert VALIDATIONS <= sum("accuracy" in line for line in lines) <= VALIDATIONS + 4
    assert run.checkpoint_steps() == [0, 600] and run.resume_steps() == [600]
    assert lines[-1]["accuracy"] == 1.0  # what the experiment is about: a lag of 2 is learned by any cell
    assert lines[0]["accuracy"] < 0.4


def test_a_run_with_mixed_lags_has_a_row_for_every_measured_lag(store: Store) -> None:
    (config,) = memory_configs("remember-first", ["rnn"], [3], steps=20, mixed=True)
    rows = results([train(store, config)])
    assert [row["lag"] for row in rows] == [3, *TEST_LAGS]
    assert all(0 <= row["accuracy"] <= 1 for row in rows)


def test_an_experiment_is_found_by_its_name(store: Store) -> None:
    configs = memory_configs("remember-first", ["rnn"], [2, 3], steps=4, group="mine")
    runs = [train(store, config) for config in configs]
    store.create(configs[0].model_copy(update={"group": "mine too", "name": "mine"}))
    fork(store, runs[0], 0, [], name="branch")
    assert {run.id for run in store.group("mine")} == {run.id for run in runs}
    assert store.group("nobody's") == []


def test_the_table_says_who_was_how_good() -> None:
    rows = [
        {"model": "rnn", "lag": 5, "accuracy": 1.0},
        {"model": "rnn", "lag": 5, "accuracy": 0.5},
        {"model": "gru", "lag": 20, "accuracy": None},
    ]
    lines = [line.split() for line in table(rows).splitlines()]
    assert lines == [["lag", "5", "20"], ["rnn", "0.750", "-"], ["gru", "-", "-"]]


@pytest.mark.slow
def test_a_task_is_trained_killed_and_resumed_like_a_text(place: Path) -> None:  # noqa: F811
    settings = ["--corpus", "remember-first", "--set", "corpus.lag=20", "--steps", "400", "--set", "hidden_size=16"]
    whole = json.loads(lmviz(place, "train", "--model", "gru", *settings, "--json").stdout)
    assert 0 <= whole["accuracy"] <= 1
    process = subprocess.Popen(
        program(place, "train", "--model", "gru", *settings, "--name", "killed"), cwd=place, env=environment(place),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    store = Store(place / "runs", samples=None)
    while not any(run.config().name == "killed" and run.status().step > 50 for run in store.runs()):
        assert process.poll() is None, process.stderr and process.stderr.read()
    process.kill()
    process.communicate()
    (killed,) = [run for run in store.runs() if run.config().name == "killed"]
    assert killed.status().step < 400
    again = json.loads(lmviz(place, "resume", killed.id, "--json").stdout)
    assert again["history"] == whole["history"] and again["accuracy"] == whole["accuracy"]
    step = killed.checkpoint_steps()[-2]
    branch = json.loads(lmviz(place, "fork", killed.id, "--step", str(step), "--json").stdout)
    assert branch["history"] == whole["history"]
    assert "accuracy" in lmviz(place, "train", "--model", "rnn", *settings, "--steps", "5").stdout
    listed = json.loads(lmviz(place, "corpora", "list", "--json").stdout)
    assert {row["name"] for row in listed if row["kind"] == "task"} == set(TASKS)


def test_the_experiment_is_set_up_without_torch() -> None:
    code = "import sys, lmviz.memory, lmviz.corpora; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
