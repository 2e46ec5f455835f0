"""Forks: what if, from the middle of a run. With nothing changed they repeat the original's losses."""

from pathlib import Path

import pytest
import torch
from test_training import losses, small_config, train

from lmviz.checkpoints import checkpoint_path, read_tensors, read_weights
from lmviz.errors import ConfigError, RunError
from lmviz.forks import fork, is_exact
from lmviz.models import MODELS
from lmviz.runs import Run, Store, resume_path
from lmviz.training.extend import reopen
from lmviz.training.foreground import train_here
from lmviz.training.session import Session
from lmviz.training.trainer import Trainer

STREAMS = {"batches": "streams"}
VARIANTS: dict[str, tuple[str, dict]] = {
    **{kind: (kind, {}) for kind in MODELS if kind != "ngram"},
    "sgd": ("rnn", {"optimizer": "sgd", "learning_rate": 0.1}),
    "streams": ("lstm", STREAMS),
    "guesses": ("gru", {"scheduled_sampling": 0.5}),
}


def middle(run: Run) -> int:
    return run.checkpoint_steps()[len(run.checkpoint_steps()) // 2]


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_fork_with_nothing_changed_repeats_the_losses(variant: str, store: Store, text_file: Path) -> None:
    kind, training = VARIANTS[variant]
    run = train(store, small_config(kind, text_file, training=training))
    step = middle(run)
    assert 0 < step < run.status().steps and is_exact(run, step)
    other = fork(store, run, step)
    assert other.status().state == "queued" and other.config().fork.run == run.id  # type: ignore[union-attr]
    train_here(other, quiet=True)
    assert other.status().state == "finished"
    assert losses(other) == losses(run)
    assert other.validation() == run.validation() and other.samples() == run.samples()
    assert other.checkpoint_steps() == run.checkpoint_steps()
    assert other.status().tokens == run.status().tokens
    assert other.status().product == run.status().product is not None


def test_a_fork_with_another_learning_rate_parts_where_it_was_forked(store: Store, text_file: Path) -> None:
    run = train(store, small_config("lstm", text_file))
    step = middle(run)
    other = fork(store, run, step, ["learning_rate=0.05", "training.clip_norm=0"], name="faster")
    train_here(other, quiet=True)
    before = [line for line in losses(run) if line[0] <= step]
    assert losses(other)[: len(before)] == before
    assert losses(other)[-1] != losses(run)[-1]
    assert other.config().name == "faster"
    later = [line for line in other.metrics() if line["step"] > step]
    assert max(line["learning_rate"] for line in later) > 0.01
    assert all(line["clipped"] == 0 for line in later if line["step"] > step + 5)


def first_state(store: Store, run: Run, step: int, settings: list[str]) -> Trainer:
    """The trainer of a fork just after it was opened, before its first update."""
    session = Session(fork(store, run, step, settings))
    turns = session.work()
    while not session.recorder:
        next(turns)
    assert session.trainer
    with torch.no_grad():  # whatever the generator has done by now is undone
        session.recorder.restore(session.trainer)
    turns.close()
    return session.trainer


KEPT_BY = {  # setting -> parts of the state that it leaves alone
    "optimizer=sgd": {"data", "noise", "position"},
    "seed=9": {"optimizer", "position"},
    "batch_size=3": {"optimizer", "data", "noise"},
    "learning_rate=0.01": {"optimizer", "data", "noise", "position"},
    "dropout=0.5": {"optimizer", "data", "noise", "position"},
}


@pytest.mark.parametrize("setting", list(KEPT_BY))
def test_a_fork_takes_over_exactly_what_its_settings_leave(setting: str, store: Store, text_file: Path) -> None:
    run = train(store, small_config("lstm", text_file, training=STREAMS))
    step = next(step for step in reversed(run.resume_steps()[:-1]) if state_of(run, step)[1]["position"] >= 0)
    tensors, values = state_of(run, step)
    trainer = first_state(store, run, step, [setting])
    assert trainer.step == step
    memory = {f"optimizer.{name}": tensor for name, tensor in trainer.optimizer.state().items()}
    kept = {
        "optimizer": memory.keys() <= tensors.keys() and all(torch.equal(t, tensors[n]) for n, t in memory.items()),
        "data": torch.equal(trainer.data_generator.get_state(), tensors["generator.data"]),
        "noise": torch.equal(trainer.noise_generator.get_state(), tensors["generator.noise"]),
        "position": trainer.batches.position == values["position"],
    }
    assert {name for name, is_kept in kept.items() if is_kept} == KEPT_BY[setting]
    for name, weights in trainer.model.state_dict().items():
        assert torch.equal(weights, read_weights(run, step)[name])


def state_of(run: Run, step: int) -> tuple[dict, dict]:
    return read_tensors(resume_path(run, step))


def test_a_fork_of_a_run_that_was_made_longer_has_the_schedule_of_its_moment(store: Store, text_file: Path) -> None:
    whole = train(store, small_config("rnn", text_file))
    run = train(store, small_config("rnn", text_file))
    reopen(run, 80)
    train_here(run, quiet=True)
    early = fork(store, run, 6)
    assert early.status().steps == 40
    train_here(early, quiet=True)
    assert losses(early) == losses(whole), "from before it was made longer: as it was then"
    late = next(step for step in run.checkpoint_steps() if 40 <= step < 80)
    other = fork(store, run, late)
    train_here(other, quiet=True)
    assert losses(other) == losses(run)


def test_a_fork_of_a_run_changed_live_has_what_was_in_force_and_can_be_told_otherwise(
    store: Store, text_file: Path
) -> None:
    run = store.create(small_config("rnn", text_file, steps=60, training={"schedule": "constant", "steps": 60}))
    session = Session(run)
    turns = session.work()
    while not session.trainer or session.trainer.step < 10:
        next(turns)
    session.set("learning_rate", 0.03)
    for _ in turns:
        pass
    step = next(step for step in run.checkpoint_steps() if step > 20)
    same = fork(store, run, step)
    assert same.config().training.learning_rate == 0.03
    assert [event["value"] for event in same.events()] == [0.03]
    train_here(same, quiet=True)
    assert losses(same) == losses(run)
    back = fork(store, run, step, ["learning_rate=0.005"])
    train_here(back, quiet=True)
    assert {m["learning_rate"] for m in back.metrics() if m["step"] > step + 5} == {0.005}
    before = fork(store, run, next(step for step in run.checkpoint_steps() if 4 < step < 10))
    assert before.config().training.learning_rate == 0.005 and not before.events()


def test_a_fork_of_a_run_that_stopped_early_stops_there_too(store: Store, text_file: Path) -> None:
    training = {"learning_rate": 0.6, "steps": 400, "early_stopping": 4, "schedule": "constant", "warmup_steps": 0}
    run = train(store, small_config("rnn", text_file, training=training, recording={"eval_every": 5}))
    assert run.status().stopped_early
    step = next(step for step in reversed(run.checkpoint_steps()) if step < run.status().step)
    same, patient = fork(store, run, step), fork(store, run, step, ["early_stopping=8"])
    for other in (same, patient):
        train_here(other, quiet=True)
    assert same.status().step == run.status().step and losses(same) == losses(run)
    assert patient.status().step >= step + 8 * 5, "another patience begins anew"


def test_a_fork_with_other_windows_measures_its_floors_anew(store: Store, text_file: Path) -> None:
    run = train(store, small_config("lstm", text_file))
    step = middle(run)
    other = fork(store, run, step, ["context_length=8"])
    train_here(other, quiet=True)
    assert other.breakdown()["places"] == list(range(1, 9))
    assert {len(line["by_place"]) for line in other.validation()} == {8}
    assert other.baselines() != run.baselines()
    last = [line for line in run.metrics() if line["step"] <= step][-1]
    tokens = last["tokens"] + (step - last["step"]) * 4 * 16
    assert fork(store, run, step, ["batch_size=2"]).status().tokens == tokens


def test_a_fork_without_a_kept_state_goes_on_from_the_weights(store: Store, text_file: Path) -> None:
    run = train(store, small_config("gru", text_file, recording={"forkable": False, "weights": "float16"}))
    step = middle(run)
    assert run.resume_steps() == [run.status().steps] and not is_exact(run, step)
    other = fork(store, run, step)
    train_here(other, quiet=True)
    assert other.status().error is None and other.status().step == run.status().steps
    first = next(line for line in other.metrics() if line["step"] > step)
    assert first["train_loss"] < run.metrics()[0]["train_loss"] - 0.1, "it did not begin at the beginning"


def test_a_fork_of_bare_weights_survives_whatever_happens_at_once(store: Store, text_file: Path) -> None:
    run = train(store, small_config("gru", text_file, recording={"forkable": False}, training={"early_stopping": 50}))
    step = middle(run)
    whole, broken, stopped = (fork(store, run, step) for _ in range(3))
    train_here(whole, quiet=True)
    turns = (session := Session(broken)).work()
    while not session.trainer or session.trainer.step < step + 3:
        next(turns)
    turns.close()  # the process dies
    assert checkpoint_path(broken, step).exists()
    train_here(broken, quiet=True)
    assert losses(broken) == losses(whole) and broken.status().tokens == whole.status().tokens
    stopped.write_status(stopped.status().model_copy(update={"state": "stopped"}))
    reopen(stopped)
    train_here(stopped, quiet=True)
    assert losses(stopped) == losses(whole)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.hidden_size=20"], "model.hidden_size cannot change"),
        (["tokenizer.kind=bpe"], "tokenizer.kind cannot change"),
        (["corpus.name=python"], "corpus.name cannot change"),
        (["training.steps=2"], "more steps"),
        (["training.stepz=2"], "Did you mean"),
    ],
)
def test_what_a_fork_cannot_change(store: Store, text_file: Path, settings: list[str], words: str) -> None:
    run = train(store, small_config("rnn", text_file))
    with pytest.raises(ConfigError, match=words):
        fork(store, run, middle(run), settings)
    assert store.runs() == [run] or [r.id for r in store.runs()] == [run.id]


def test_impossible_forks(store: Store, text_file: Path) -> None:
    run = train(store, small_config("gpt", text_file))
    with pytest.raises(RunError, match="no weights of step 7777"):
        fork(store, run, 7777)
    with pytest.raises(ConfigError, match="context_length"):
        fork(store, run, middle(run), ["context_length=8"])
    counted = train(store, small_config("ngram", text_file))
    with pytest.raises(RunError, match="counted at once"):
        fork(store, counted, 1)


def test_a_fork_of_a_fork_and_a_longer_fork(store: Store, text_file: Path) -> None:
    run = train(store, small_config("rnn", text_file))
    first = fork(store, run, middle(run))
    train_here(first, quiet=True)
    second = fork(store, first, first.checkpoint_steps()[-2], ["steps=60"])
    train_here(second, quiet=True)
    assert second.status().step == 60
    reopen(second, 70)
    train_here(second, quiet=True)
    assert second.status().step == 70 and second.status().state == "finished"


def test_deleting_the_original_leaves_its_forks_whole(store: Store, text_file: Path) -> None:
    run = train(store, small_config("rnn", text_file))
    other = fork(store, run, middle(run))
    store.delete(run)
    train_here(other, quiet=True)
    assert other.status().error is None and other.checkpoint_steps()[0] == 0
