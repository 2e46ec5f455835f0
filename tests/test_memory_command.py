"""`lmviz memory`, in this process: what it prints, leaves behind and refuses, and how it ends when a run does not."""

import errno
import json
import signal
from collections.abc import Callable

import pytest
from click.testing import Result
from torch import nn
from typer.testing import CliRunner

from lmviz.cli import app
from lmviz.corpora.tasks import TEST_LAGS
from lmviz.memory import results
from lmviz.runs import Run, Store
from lmviz.training import recorder as recorder_module

SMALL = ["--models", "rnn,gru", "--lags", "2,3", "--updates", "12", "--seed", "2"]


def memory(store: Store, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["memory", *arguments, "--store", str(store.root)])


def test_the_command_trains_and_leaves_the_runs(store: Store) -> None:
    first, second = (json.loads(memory(store, *SMALL, "--json").stdout) for _ in range(2))
    assert list(first) == ["task", "updates", "chance", "seconds", "rows"]
    assert (first["task"], first["updates"], first["chance"]) == ("remember-first", 12, 0.125)
    assert [(r["model"], r["lag"]) for r in first["rows"]] == [("rnn", 2), ("gru", 2), ("rnn", 3), ("gru", 3)]
    assert all(list(row) == ["run", "model", "settings", "lag", "accuracy"] for row in first["rows"])
    assert [r["accuracy"] for r in first["rows"]] == [r["accuracy"] for r in second["rows"]]
    runs = [store.get(row["run"]) for row in first["rows"]]
    assert [row["accuracy"] for row in results(runs)] == [row["accuracy"] for row in first["rows"]]
    assert len({run.config().group for run in runs}) == 1 and runs[0].config().group
    shown = json.loads(CliRunner().invoke(app, ["runs", "show", str(runs[0].path), "--json"]).stdout)
    assert shown["accuracy"] == first["rows"][0]["accuracy"]


def test_with_mixed_lags_the_table_has_all_that_are_measured(store: Store) -> None:
    done = memory(store, *SMALL, "--mixed")
    assert done.exit_code == 0 and "chance 0.125" in done.stdout
    assert done.stdout.splitlines()[0].split() == ["lag", *map(str, (3, *TEST_LAGS))]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lags", "five"], "--lags takes whole numbers"),
        (["--lags", "0"], "corpus.lag cannot be 0"),
        (["--models", "gpt"], "There is no cell gpt"),
        (["--task", "chess"], "There is no task chess"),
    ],
)
def test_the_command_refuses_in_one_sentence(store: Store, arguments: list[str], words: str) -> None:
    done = memory(store, *arguments)
    assert done.exit_code == 2 and done.stdout == ""
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not store.runs()


def at_the_birth_of_each_gru(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    real = recorder_module.save_weights

    def save(run: Run, model: nn.Module, step: int, dtype: str) -> None:
        real(run, model, step, dtype)  # type: ignore[arg-type]
        if run.config().model.kind == "gru" and step == 0:
            happens()

    monkeypatch.setattr(recorder_module, "save_weights", save)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_failed_run_is_said_and_the_others_are_trained(
    store: Store, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    at_the_birth_of_each_gru(monkeypatch, full)
    done = memory(store, *SMALL, *options)
    assert done.exit_code == 1
    assert done.stderr.count("The disk is full.") == 2, "for each of the runs"
    states = [(run.config().model.kind, run.status().state) for run in store.runs()]
    assert sorted(states) == [("gru", "failed")] * 2 + [("rnn", "finished")] * 2
    if options:
        rows = json.loads(done.stdout)["rows"]
        assert [(row["model"], row["accuracy"] is None) for row in rows] == [("rnn", False), ("gru", True)] * 2
    else:
        assert done.stdout.splitlines()[2].split() == ["gru", "-", "-"] and "chance 0.125" in done.stdout


def test_ctrl_c_ends_the_experiment_and_shows_what_there_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_birth_of_each_gru(monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    done = memory(store, *SMALL)
    assert done.exit_code == 0
    states = sorted((run.config().model.kind, run.status().state) for run in store.runs())
    assert states == [("gru", "stopped"), ("rnn", "finished")], "none is left that a server would take up"
    assert done.stdout.splitlines()[0].split() == ["lag", "2"] and "rnn" in done.stdout
