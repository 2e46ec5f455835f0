"""gradients.jsonl: what a training leaves of its gradients, and that leaving it changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import SMALL, interrupted, losses, small_config, train

from lmviz.checkpoints import load_model
from lmviz.config import RecordingConfig, RunConfig
from lmviz.forks import fork
from lmviz.inspect.gradients import in_float64, state_norms
from lmviz.models.base import Batch
from lmviz.runs import Store
from lmviz.training.data import load_data, validation_batches
from lmviz.training.foreground import train_here
from lmviz.training.gradient_recorder import GradientRecorder
from lmviz.training.plan import gradient_steps, log_steps
from lmviz.turns import finish

torch.set_num_threads(1)


@pytest.mark.parametrize("kind", [kind for kind in SMALL if kind != "ngram"])
def test_recording_changes_no_loss(kind: str, store: Store, text_file: Path) -> None:
    with_norms = train(store, small_config(kind, text_file))
    without = train(store, small_config(kind, text_file, recording={"gradients": False}))
    assert losses(with_norms) == losses(without)
    assert with_norms.gradients() and not without.gradients()


@pytest.mark.parametrize("kind", ["rnn", "nvsi", "gru", "lstm"])
def test_a_line_is_what_the_kept_weights_give(kind: str, store: Store, text_file: Path) -> None:
    config = small_config(kind, text_file, training={"clip_norm": 0.05})
    run = train(store, config)
    lines = run.gradients()
    assert [line["step"] for line in lines] == sorted({0, *gradient_steps(config.recording, 40, 4)})
    data = finish(load_data(config.corpus, config.tokenizer))
    (batch, *_) = validation_batches(data.validation, 16, 256)
    for line in (lines[0], lines[-1]):
        model, _, step = load_model(run, line["step"])
        found = state_norms(in_float64(model), batch.inputs[:8], batch.targets[:8])
        assert step == line["step"]
        names = {name for name in line if name.startswith("grad.")}
        assert names == {"grad.hidden"} | ({"grad.cell"} if kind == "lstm" else set())
        for name in names:
            expected = found[name.removeprefix("grad.")]
            assert expected.shape == (SMALL[kind].get("num_layers", 1), 16)
            np.testing.assert_allclose(line[name], expected, rtol=1e-4)
    assert "parameters" not in lines[0]  # no update has been made
    metrics = {line["step"]: line for line in run.metrics()}
    for line in lines[1:4]:  # the first lines of metrics are means over one update or two
        total = np.linalg.norm(list(line["parameters"].values()))
        assert total > 0.05  # before clipping
        if line["step"] in (1, 2):
            assert total == pytest.approx(metrics[line["step"]]["grad_norm"], rel=1e-3)
    model, *_ = load_model(run)
    assert lines[-1]["parameters"].keys() == dict(model.named_parameters()).keys()


def test_a_model_without_states_has_its_parameters(store: Store, text_file: Path) -> None:
    lines = train(store, small_config("gpt", text_file)).gradients()
    assert set(lines[-1]) == {"step", "parameters"} and lines[-1]["step"] == 40


def test_a_fork_and_a_resumed_run_have_each_step_once(store: Store, text_file: Path) -> None:
    run = train(store, small_config("gru", text_file))
    branch = fork(store, run, run.checkpoint_steps()[-3], [])
    train_here(branch, quiet=True)
    assert branch.gradients() == run.gradients()
    broken = interrupted(store, small_config("gru", text_file, recording={"checkpoints": 2}), 32)
    assert broken.gradients()[-1]["step"] > broken.resume_step()  # written, and to be written again
    train_here(broken, quiet=True)
    assert broken.gradients() == run.gradients()


def test_as_many_windows_although_a_batch_is_one(store: Store) -> None:
    run = store.create(RunConfig())
    batches = [Batch(torch.full((1, 3), i), torch.full((1, 3), i + 1)) for i in range(10)]
    windows = GradientRecorder(run, batches).windows
    assert windows.inputs[:, 0].tolist() == list(range(8)) and windows.targets[:, 0].tolist() == list(range(1, 9))


def test_an_ngram_has_no_gradients(store: Store, text_file: Path) -> None:
    assert not (train(store, small_config("ngram", text_file)).path / "gradients.jsonl").exists()


def test_norms_are_kept_at_logging_steps_and_seldom() -> None:
    recording = RecordingConfig()
    for steps in (1, 30, 400, 600, 2000, 5000, 100_000):
        found = gradient_steps(recording, steps, 32)
        assert len(gradient_steps(recording, steps, 2)) <= 8 + min(100, steps / 50) / 16
        assert found <= log_steps(recording, steps) and {1, steps} <= found
        assert len(found) <= 8 + min(100, steps / 50)
    assert gradient_steps(RecordingConfig(gradients=False), 100, 32) == set()
