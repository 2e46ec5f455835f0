"""Forks: what if, from the middle of a run. With nothing changed they repeat the original's losses."""

from pathlib import Path

import pytest
from test_training import losses, small_config, train
from texts import prose

from lmviz.errors import ConfigError, RunError
from lmviz.forks import fork, is_exact
from lmviz.models import MODELS
from lmviz.runs import Run, Store
from lmviz.training.extend import reopen
from lmviz.training.foreground import train_here

STREAMS = {"batches": "streams"}
VARIANTS: dict[str, tuple[str, dict]] = {
    **{kind: (kind, {}) for kind in MODELS if kind != "ngram"},
    "sgd": ("rnn", {"optimizer": "sgd", "learning_rate": 0.1}),
    "streams": ("lstm", STREAMS),
    "guesses": ("gru", {"scheduled_sampling": 0.5}),
}


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "prose.txt"
    path.write_text(prose(), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs", samples=None)


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


@pytest.mark.parametrize("setting", ["seed=9", "optimizer=sgd", "batches=streams", "batch_size=3", "dropout=0.5"])
def test_a_fork_takes_over_what_its_settings_leave(setting: str, store: Store, text_file: Path) -> None:
    run = train(store, small_config("lstm", text_file))
    other = fork(store, run, middle(run), [setting])
    train_here(other, quiet=True)
    assert other.status().error is None and losses(other)[-1] != losses(run)[-1]


def test_a_fork_without_a_kept_state_goes_on_from_the_weights(store: Store, text_file: Path) -> None:
    run = train(store, small_config("gru", text_file, recording={"forkable": False, "weights": "float16"}))
    step = middle(run)
    assert run.resume_steps() == [run.status().steps] and not is_exact(run, step)
    other = fork(store, run, step)
    train_here(other, quiet=True)
    assert other.status().error is None and other.status().step == run.status().steps
    first = next(line for line in other.metrics() if line["step"] > step)
    assert first["train_loss"] < run.metrics()[0]["train_loss"] - 0.1, "it did not begin at the beginning"


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
