"""The training loop against plain PyTorch, against itself when interrupted, and against faults."""

import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from texts import prose
from torch import nn

from lmviz.config import PAIR_KINDS, RunConfig, TrainingConfig
from lmviz.errors import ConfigError, RunError
from lmviz.models import MODELS, build_model
from lmviz.runs import Run, Store
from lmviz.settings import apply_settings, validated
from lmviz.summary import perplexity_words, train_document
from lmviz.training import recorder as recorder_module
from lmviz.training.data import Windows, validation_batches
from lmviz.training.extend import reopen
from lmviz.training.foreground import train_here
from lmviz.training.plan import checkpoint_steps, eval_steps, log_steps
from lmviz.training.schedule import learning_rate_factor
from lmviz.training.session import Session
from lmviz.training.trainer import Trainer, token_losses

torch.set_num_threads(1)

SMALL = {
    "ngram": {"order": 3},
    "rnn": {"hidden_size": 16, "embedding_dim": 8, "dropout": 0.1},
    "nvsi": {"hidden_size": 16, "embedding_dim": 8, "carry": True},
    "gru": {"hidden_size": 16, "embedding_dim": 8, "num_layers": 2, "dropout": 0.2},
    "lstm": {"hidden_size": 16, "embedding_dim": 8, "dropout": 0.1},
    "gpt": {"d_model": 16, "num_heads": 2, "dropout": 0.1},
    "seq2seq": {"hidden_size": 16, "embedding_dim": 8, "dropout": 0.1},
    "seq2seq-attention": {"hidden_size": 16, "embedding_dim": 8, "dropout": 0.1},
    "transformer": {"d_model": 16, "num_heads": 2, "dropout": 0.1},
    "bert": {"d_model": 16, "num_heads": 2, "dropout": 0.1},
}


def small_config(kind: str, corpus: Path, steps: int = 40, **sections: dict) -> RunConfig:
    values = {
        "corpus": {"name": "dates-en" if kind in PAIR_KINDS else str(corpus)},
        "model": {"kind": kind, **SMALL[kind]},
        "training": {"steps": steps, "batch_size": 4, "context_length": 16, "learning_rate": 5e-3},
        "recording": {"sample_tokens": 5, "eval_tokens": 256, "log_every": 5},
    }
    if kind in PAIR_KINDS:
        values["recording"]["eval_every"] = 10  # each writes 256 targets, by a model that knows no end yet
    for section, settings in sections.items():
        values[section] = {**values[section], **settings}
    return validated(values)


def train(store: Store, config: RunConfig) -> Run:
    run = store.create(config)
    train_here(run, quiet=True)
    assert run.status().error is None
    return run


def losses(run: Run) -> list[tuple]:
    """Everything in metrics.jsonl that does not depend on the clock."""
    return [(m["step"], m["train_loss"], m["val_loss"], m["grad_norm"], m["grad_norm_clipped"]) for m in run.metrics()]


@pytest.mark.parametrize("kind", list(MODELS))
def test_same_seed_same_losses_other_seed_other_losses(kind: str, store: Store, text_file: Path) -> None:
    first, second = (train(store, small_config(kind, text_file)) for _ in range(2))
    assert losses(first) == losses(second)
    assert first.status().state == "finished"
    assert first.checkpoint_steps()[-1] == first.status().steps
    if kind != "ngram":
        other = train(store, small_config(kind, text_file, training={"seed": 7}))
        assert losses(first) != losses(other)
        assert first.metrics()[-1]["val_loss"] < first.metrics()[0]["val_loss"]


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "ngram"])
@pytest.mark.parametrize("stop_after", [3, 23])
def test_a_run_left_in_the_middle_goes_on_to_the_same_losses(
    kind: str, stop_after: int, store: Store, text_file: Path
) -> None:
    whole = train(store, small_config(kind, text_file))
    broken = interrupted(store, small_config(kind, text_file), stop_after)
    assert broken.status().state == "running"
    assert broken.resume_step() <= stop_after
    train_here(broken, quiet=True)
    assert losses(broken) == losses(whole)
    assert [s["text"] for s in broken.samples()] == [s["text"] for s in whole.samples()]
    assert broken.checkpoint_steps() == whole.checkpoint_steps()


def test_runs_that_take_turns_in_one_process_do_not_disturb_each_other(store: Store, text_file: Path) -> None:
    alone = {kind: losses(train(store, small_config(kind, text_file))) for kind in ("rnn", "gpt", "lstm")}
    runs = {kind: store.create(small_config(kind, text_file)) for kind in alone}
    turns = {kind: Session(run).work() for kind, run in runs.items()}
    while turns:
        for kind in list(turns):
            if next(turns[kind], "end") == "end":
                del turns[kind]
    assert {kind: losses(run) for kind, run in runs.items()} == alone


@pytest.mark.parametrize("kind", ["rnn", "gru", "gpt"])
def test_watching_changes_nothing(kind: str, store: Store, text_file: Path) -> None:
    """The losses of every update with full recording, and of a bare loop that records nothing, bit for bit."""
    signals = {"rnn": ("hidden",), "gru": ("hidden", "gate.update"), "gpt": ("attention.weights",)}[kind]
    watched = train(
        store, small_config(kind, text_file, recording={"log_every": 1, "eval_every": 1, "signals": signals})
    )
    bare = Session(store.create(small_config(kind, text_file)))
    turns = bare.work()
    while not bare.trainer:
        next(turns)
    bare.recorder.record = lambda *_, **__: None  # type: ignore[union-attr, method-assign]
    seen = []
    original = bare.trainer.advance
    bare.trainer.advance = lambda: seen.append(step := original()) or step  # type: ignore[method-assign, func-returns-value]
    for _ in turns:
        pass
    logged = [m["train_loss"] for m in watched.metrics()]
    assert logged[1:] == [step.loss for step in seen][-len(logged) + 1 :]
    assert list((watched.path / "snapshots").glob("*.safetensors"))


def test_updates_equal_plain_pytorch(text_file: Path, store: Store) -> None:
    """Three updates of Trainer against AdamW, clip_grad_norm_ and the schedule written out with torch's own parts."""
    config = small_config("lstm", text_file, model={"dropout": 0.0}).training.model_copy(
        update={"clip_norm": 0.1, "weight_decay": 0.1, "schedule": "constant", "warmup_steps": 0}
    )
    tokens = np.random.default_rng(0).integers(0, 20, 500).astype(np.uint16)
    model_config = small_config("lstm", text_file, model={"dropout": 0.0}).model
    torch.manual_seed(3)
    ours, theirs = (build_model(model_config, 20, 16) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    trainer = Trainer(ours, config, tokens)
    windows = Windows(tokens, 4, 16, torch.Generator().manual_seed(config.seed))
    decay = [p for p in theirs.parameters() if p.dim() > 1]
    rest = [p for p in theirs.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay}, {"params": rest, "weight_decay": 0.0}], lr=5e-3, betas=(0.9, 0.99), weight_decay=0.1
    )
    for _ in range(3):
        step = trainer.advance()
        batch = windows.next()
        loss = nn.functional.cross_entropy(theirs(batch.inputs).transpose(1, 2), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
        optimizer.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-6)
        assert step.grad_norm == pytest.approx(norm.item(), rel=1e-5)
        assert step.grad_norm_clipped == pytest.approx(min(norm.item(), 0.1))
    for ours_p, theirs_p in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours_p, theirs_p, rtol=1e-5, atol=1e-6)


def test_cosine_schedule_equals_torchs() -> None:
    config = TrainingConfig(steps=100, warmup_steps=0, schedule="cosine", final_learning_rate=0.1)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=99, eta_min=0.1)
    for step in range(100):
        assert learning_rate_factor(step, config) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()


def test_schedules_begin_and_end_where_they_should() -> None:
    linear = TrainingConfig(steps=1000, warmup_steps=50, schedule="linear", final_learning_rate=0.0)
    assert learning_rate_factor(0, linear) == pytest.approx(1 / 51)
    assert learning_rate_factor(50, linear) == 1
    assert learning_rate_factor(999, linear) == pytest.approx(0)
    constant = TrainingConfig(steps=1000, warmup_steps=50, schedule="constant")
    assert learning_rate_factor(999, constant) == 1
    assert learning_rate_factor(3, TrainingConfig(steps=4, warmup_steps=50)) == pytest.approx(0.05)


def test_evaluation_is_the_mean_over_all_its_tokens(text_file: Path) -> None:
    tokens = np.random.default_rng(1).integers(0, 9, 1000).astype(np.uint16)
    model = build_model(small_config("rnn", text_file).model, 9, 16)
    batches = validation_batches(tokens, 16, 640, batch_size=7)
    assert sum(batch.inputs.shape[0] for batch in batches) == 40
    inputs, targets = torch.cat([b.inputs for b in batches]), torch.cat([b.targets for b in batches])
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    model.eval()
    expected = nn.functional.cross_entropy(model(inputs).transpose(1, 2), targets).item()
    assert token_losses(model, batches).mean() == pytest.approx(expected, rel=1e-5)


def test_windows_cover_the_text_to_its_last_token() -> None:
    tokens = np.arange(12, dtype=np.uint16)
    windows = Windows(tokens, 200, 10, torch.Generator().manual_seed(0))
    batch = windows.next()
    assert {int(row[0]) for row in batch.inputs} == {0, 1}
    assert batch.targets.max() == 11


def test_plan_is_dense_early_and_has_the_ends() -> None:
    recording = small_config("lstm", Path("x")).recording.model_copy(update={"log_every": None})
    for steps in (1, 2, 10, 333, 5000):
        kept = sorted(checkpoint_steps(recording, steps))
        assert kept[0] == 0 and kept[-1] == steps and len(kept) <= 25
        assert {1, steps} <= eval_steps(recording, steps) <= log_steps(recording, steps)
    gaps = np.diff(kept)
    assert gaps[:5].max() < gaps[-5:].min()


def test_divergence_ends_the_run_with_a_sentence_and_good_weights(store: Store, text_file: Path) -> None:
    config = small_config("rnn", text_file, steps=200, training={"learning_rate": 1e6, "steps": 200, "warmup_steps": 0})
    run = store.create(config)
    train_here(run, quiet=True)
    status = run.status()
    assert status.state == "failed" and "learning rate" in status.error["message"]
    assert run.checkpoint_steps() == [0]
    assert run.metrics(), "what happened before stays visible"


@pytest.mark.parametrize("early_stopping", [None, 1])
def test_a_run_that_ends_far_above_chance_has_failed(early_stopping: int | None, store: Store, text_file: Path) -> None:
    """It is too short for the loss of its updates to tell."""
    training = {"learning_rate": 1e6, "warmup_steps": 0, "schedule": "constant", "early_stopping": early_stopping}
    config = small_config("rnn", text_file, steps=3, training=training, recording={"eval_every": 1})
    run = store.create(config)
    train_here(run, quiet=True)
    status = run.status()
    assert status.state == "failed" and "The run diverged" in status.error["message"]
    assert run.checkpoint_steps() == [0], "weights of every later step are as bad"
    assert run.metrics()[-1]["val_loss"] > 1000, "what happened stays visible"


def test_perplexity_in_words() -> None:
    assert perplexity_words(math.log(12.3456), 2) == "12.35" and perplexity_words(0.0, 3) == "1.000"
    assert perplexity_words(math.log(999_999.0), 0) == "999999"
    assert perplexity_words(math.log(2e9), 2) == "1e9"
    assert perplexity_words(4_906_079.0, 2) == "1e2130683"
    assert perplexity_words(math.inf, 2) == "inf"


def test_not_a_number_ends_the_run_with_a_sentence(store: Store, text_file: Path) -> None:
    run = store.create(small_config("gpt", text_file, training={"learning_rate": 1e38, "warmup_steps": 0}))
    train_here(run, quiet=True)
    assert run.status().state == "failed"
    assert all(math.isfinite(m["train_loss"]) for m in run.metrics())
    assert all(m["val_loss"] is None or math.isfinite(m["val_loss"]) for m in run.metrics())
    json.dumps(train_document(run), allow_nan=False)


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(
    store: Store, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(small_config("rnn", text_file))
    real = recorder_module.save_weights

    def full(run: Run, model: nn.Module, step: int, dtype: str) -> None:
        if step > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(run, model, step, dtype)  # type: ignore[arg-type]

    monkeypatch.setattr(recorder_module, "save_weights", full)
    train_here(run, quiet=True)
    assert run.status().state == "failed" and "disk is full" in run.status().error["message"]
    kept = run.resume_step()
    assert kept and kept <= 5
    monkeypatch.undo()
    train_here(run, quiet=True)
    assert losses(run) == losses(train(store, small_config("rnn", text_file)))


def test_a_damaged_resume_file_loses_nothing_else(store: Store, text_file: Path) -> None:
    run = interrupted(store, small_config("rnn", text_file), 23)
    kept = run.checkpoint_steps()
    file = run.path / "resume" / f"{run.resume_step()}.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    train_here(run, quiet=True)
    assert "damaged" in run.status().error["message"]
    assert run.checkpoint_steps() == kept and file.exists()


def test_half_a_line_left_by_a_crash_does_not_spoil_the_next(store: Store, text_file: Path) -> None:
    run = interrupted(store, small_config("rnn", text_file), 23)
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 30, "tok')
    train_here(run, quiet=True)
    assert losses(run) == losses(train(store, small_config("rnn", text_file)))


def test_a_changed_setting_survives_a_crash(store: Store, text_file: Path) -> None:
    run = store.create(small_config("rnn", text_file))
    session = Session(run)
    turns = session.work()
    while not session.trainer or session.trainer.step < 10:
        next(turns)
    session.set("learning_rate", 1e-5)
    turns.close()
    again = Session(run)
    turns = again.work()
    while not again.trainer or again.trainer.step < 11:
        next(turns)
    turns.close()
    assert again.trainer.learning_rate == 1e-5


@pytest.mark.parametrize("steps", [-5, 2_000_000, 40, 10])
def test_a_run_cannot_be_reopened_with_an_impossible_number_of_steps(store: Store, text_file: Path, steps: int) -> None:
    run = train(store, small_config("rnn", text_file))
    with pytest.raises((RunError, ConfigError)):
        reopen(run, steps)
    assert run.status().state == "finished" and run.config().training.steps == 40


def test_an_unknown_signal_is_a_sentence(store: Store, text_file: Path) -> None:
    run = store.create(small_config("rnn", text_file, recording={"signals": ["gate.forget"]}))
    train_here(run, quiet=True)
    assert "no signal gate.forget" in run.status().error["message"]


def interrupted(store: Store, config: RunConfig, step: int) -> Run:
    """A run whose process died after that many updates."""
    run = store.create(config)
    turns = (session := Session(run)).work()
    while not session.trainer or session.trainer.step < step:
        next(turns)
    turns.close()
    return run


def test_settings_changed_while_running_are_kept_when_it_goes_on(store: Store, text_file: Path) -> None:
    run = store.create(small_config("gpt", text_file))
    session = Session(run)
    turns = session.work()
    while not session.trainer or session.trainer.step < 10:
        next(turns)
    session.set("learning_rate", 1e-4)
    session.set("dropout", 0.5)
    session.set("clip_norm", 0.3)
    with pytest.raises(ConfigError, match="must lie between"):
        session.set("learning_rate", math.inf)
    session.rest("paused")
    turns.close()
    again = Session(run)
    turns = again.work()
    while not again.trainer or again.trainer.step < 11:
        next(turns)
    turns.close()
    assert again.trainer.learning_rate == 1e-4 and again.trainer.clip_norm == 0.3
    assert {m.p for m in again.trainer.model.modules() if isinstance(m, nn.Dropout)} == {0.5}
    assert [event["name"] for event in run.events()] == ["learning_rate", "dropout", "clip_norm"]


def test_a_text_that_changed_is_not_trained_on(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(prose(), encoding="utf-8")
    run = train(store, small_config("rnn", path))
    path.write_text(prose(seed=5), encoding="utf-8")
    run.write_status(run.status().model_copy(update={"state": "queued"}))
    train_here(run, quiet=True)
    assert "has changed" in run.status().error["message"]


def test_a_text_shorter_than_the_context_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text(prose(300), encoding="utf-8")
    run = store.create(apply_settings(small_config("rnn", path), ["training.context_length=900"]))
    train_here(run, quiet=True)
    assert "too short" in run.status().error["message"]


def test_baselines_are_ordered_and_the_document_is_whole(store: Store, text_file: Path) -> None:
    run = train(store, small_config("lstm", text_file))
    baselines = run.baselines()
    assert baselines["uniform"] == pytest.approx(math.log(run.data()["vocab_size"]))
    ngram = [baselines["ngram"][str(order)] for order in range(1, 6)]
    assert baselines["uniform"] > ngram[0] > ngram[1] > ngram[2]
    document = json.loads(json.dumps(train_document(run), allow_nan=False))
    assert document["perplexity"] == pytest.approx(math.exp(document["val_loss"]))
    assert len({len(column) for column in document["history"].values()}) == 1
    tokens_per_character = run.data()["validation_tokens"] / run.data()["validation_characters"]
    assert document["bits_per_char"] == pytest.approx(document["val_loss"] / math.log(2) * tokens_per_character)
