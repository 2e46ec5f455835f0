"""Optimizers, penalties, streams, guesses, early stopping: each against torch's own or written out by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import interrupted, losses, small_config, train
from texts import prose
from torch.nn import functional as F

from lmviz.checkpoints import load_model
from lmviz.config import TokenizerConfig, TrainingConfig
from lmviz.errors import ConfigError
from lmviz.models import build_model
from lmviz.models.base import Batch, LanguageModel
from lmviz.models.cells import RNNCell
from lmviz.models.recurrent import RecurrentModel
from lmviz.runs import Store
from lmviz.tokenizers import BEGIN, train_tokenizer
from lmviz.training.breakdown import CLASSES, character_class, token_classes
from lmviz.training.extend import reopen
from lmviz.training.foreground import train_here
from lmviz.training.objective import guess_probability, with_guesses
from lmviz.training.plan import checkpoint_steps
from lmviz.training.session import Session
from lmviz.training.streams import Streams
from lmviz.training.trainer import Trainer

TOKENS = np.random.default_rng(0).integers(0, 20, 2000).astype(np.uint16)
PLAIN = {"batch_size": 4, "context_length": 16, "schedule": "constant", "warmup_steps": 0, "clip_norm": 0}


def model_of(kind: str = "lstm", seed: int = 3) -> LanguageModel:
    torch.manual_seed(seed)
    return build_model(small_config(kind, Path("x"), model={"dropout": 0.0}).model, 20, 16)


def twins(kind: str = "lstm") -> tuple[LanguageModel, LanguageModel]:
    return model_of(kind), model_of(kind)


def batches(trainer: Trainer) -> list:
    """The next batches of a trainer, from a source of the same state."""
    source = type(trainer.batches)(TOKENS, 4, 16, torch.Generator().manual_seed(trainer.config.seed))
    return [source.next() for _ in range(3)]


def test_sgd_equals_torchs() -> None:
    ours, theirs = twins()
    trainer = Trainer(
        ours, TrainingConfig(**PLAIN, optimizer="sgd", learning_rate=0.3, momentum=0.8, weight_decay=0.01), TOKENS
    )
    groups = [
        {"params": [p for p in theirs.parameters() if p.dim() > 1]},
        {"params": [p for p in theirs.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.3, momentum=0.8, weight_decay=0.01)
    for batch in batches(trainer):
        trainer.advance()
        optimizer.zero_grad()
        theirs.loss(batch).backward()
        optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "setting", [{"l1": 0.01}, {"label_smoothing": 0.2}, {"l1": 0.003, "label_smoothing": 0.1, "optimizer": "sgd"}]
)
def test_penalties_equal_autograd_of_the_whole_objective(setting: dict) -> None:
    ours, theirs = twins("gpt")
    config = TrainingConfig(**PLAIN, learning_rate=1e-3, **setting)
    trainer = Trainer(ours, config, TOKENS)
    batch = batches(trainer)[0]
    step = trainer.advance()
    logits = theirs(batch.inputs).flatten(0, 1)
    plain = F.cross_entropy(logits, batch.targets.flatten())
    objective = F.cross_entropy(logits, batch.targets.flatten(), label_smoothing=config.label_smoothing)
    objective = objective + config.l1 * sum(p.abs().sum() for p in theirs.parameters() if p.dim() >= 2)
    objective.backward()
    norm = torch.sqrt(sum((p.grad**2).sum() for p in theirs.parameters())).item()
    assert step.grad_norm == pytest.approx(norm, rel=1e-5)
    assert step.loss == pytest.approx(plain.item(), rel=1e-5), "the logged loss is the plain one"
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_l1_makes_weights_sparse(store: Store, text_file: Path) -> None:
    def small_weights(l1: float) -> float:
        run = train(store, small_config("rnn", text_file, steps=150, training={"l1": l1, "steps": 150}))
        model, _tokenizer, _step = load_model(run)
        weights = torch.cat([p.flatten() for p in model.parameters() if p.dim() >= 2])
        return (weights.abs() < 5e-3).float().mean().item()

    assert small_weights(1e-3) > 3 * small_weights(0.0)


def test_streams_read_the_text_in_order_and_carry_the_state() -> None:
    model = model_of("gru")
    config = TrainingConfig(**PLAIN, batches="streams", learning_rate=1e-3)
    trainer = Trainer(model, config, TOKENS)
    frozen = model_of("gru")
    source = Streams(TOKENS, 4, 16, torch.Generator().manual_seed(config.seed))
    first, second, third = (source.next() for _ in range(3))
    assert torch.equal(first.targets[:, :-1], first.inputs[:, 1:])
    assert torch.equal(second.inputs[:, 0], first.targets[:, -1]), "the second window goes on where the first ended"
    whole = torch.cat([first.inputs, second.inputs, third.inputs], 1)
    together = frozen(whole)
    _, state = frozen.read(first.inputs, frozen.initial_state(4))
    apart, _ = frozen.read(second.inputs, state)
    torch.testing.assert_close(apart, together[:, 16:32], rtol=1e-4, atol=1e-5)
    trainer.advance()
    expected = F.cross_entropy(model.read(second.inputs, trainer.carried)[0].flatten(0, 1), second.targets.flatten())
    assert trainer.advance().loss == pytest.approx(expected.item(), rel=1e-5)
    assert not any(part.requires_grad for layer in trainer.carried for part in layer), "no gradient into the past"


def test_streams_cover_nearly_all_of_the_text_and_begin_a_pass_afresh() -> None:
    source = Streams(np.arange(2001, dtype=np.uint16), 4, 16, torch.Generator().manual_seed(0))
    seen: list[set[int]] = []
    for _ in range(200):
        batch = source.next()
        if source.fresh:
            seen.append(set())
        seen[-1] |= set(batch.inputs.flatten().tolist())
        assert torch.equal(batch.targets, batch.inputs + 1)
    assert len(seen) > 4 and all(len(tokens) >= 2000 - 4 * 32 for tokens in seen[:-1])
    assert len({min(tokens) for tokens in seen}) > 1, "passes begin at different places"
    with pytest.raises(ConfigError, match="smaller batch_size"):
        Streams(TOKENS[:60], 4, 16, torch.Generator())


def test_streams_go_on_to_the_same_losses_after_a_crash(store: Store, text_file: Path) -> None:
    config = small_config("lstm", text_file, training={"batches": "streams"})
    whole, broken = train(store, config), interrupted(store, config, 23)
    train_here(broken, quiet=True)
    assert losses(broken) == losses(whole)


def test_guesses_replace_inputs_with_the_stated_probability_and_follow_the_model() -> None:
    model = model_of("rnn")
    with torch.no_grad():  # a model that is sure: after token k comes k + 1
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.weight[:, :].copy_(torch.randn(20, 8))
        model.head.bias[7] = 50.0
    inputs = torch.zeros(64, 40, dtype=torch.int64)
    state = model.initial_state(64)
    assert torch.equal(with_guesses(model, Batch(inputs, inputs), state, 0.0), inputs)
    all_own = with_guesses(model, Batch(inputs, inputs), state, 1.0)
    assert (all_own[:, 1:] == 7).all() and (all_own[:, 0] == 0).all()
    share = (with_guesses(model, Batch(inputs, inputs), state, 0.3)[:, 1:] == 7).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.04)
    assert model.training


class Successor(RecurrentModel):
    """After token k it is sure of k + 1; dropout, if it were on, would make it unsure."""

    def step(self, tokens: torch.Tensor, state: object) -> tuple[torch.Tensor, object]:
        sure = 1000.0 * F.one_hot((tokens + 1) % 20, 20).float()
        return (sure if not self.training else torch.zeros_like(sure)), state


def test_guesses_follow_what_was_read_before_own_guesses_included() -> None:
    model = Successor(20, [RNNCell(4, 4)], dropout=0.5)
    inputs = torch.full((3, 6), 11)
    own = with_guesses(model, Batch(inputs, inputs), model.initial_state(3), 1.0)
    assert own.tolist() == [[11, 12, 13, 14, 15, 16]] * 3
    torch.manual_seed(0)
    mixed = with_guesses(model, Batch(*2 * [torch.randint(20, (200, 30))]), model.initial_state(200), 0.5)
    torch.manual_seed(0)
    text = torch.randint(20, (200, 30))
    follows = mixed[:, 1:] == (mixed[:, :-1] + 1) % 20
    assert ((mixed[:, 1:] == text[:, 1:]) | follows).all() and 0.4 < follows.float().mean() < 0.65


def test_the_probability_of_guessing_rises_as_its_schedule_says() -> None:
    def at(schedule: str) -> list[float]:
        config = TrainingConfig(steps=101, scheduled_sampling=0.4, sampling_schedule=schedule)
        return [guess_probability(step, config) for step in (0, 25, 50, 75, 100)]

    assert at("constant") == [0.4] * 5
    assert at("linear") == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    sigmoid = at("sigmoid")
    assert sigmoid[0] == pytest.approx(0) and sigmoid[2] == pytest.approx(0.2) and sigmoid[4] == pytest.approx(0.4)
    assert sigmoid[1] < 0.1 and sigmoid == sorted(sigmoid)


@pytest.mark.parametrize(
    "training",
    [
        {"scheduled_sampling": 0.5},
        {"precision": "bfloat16"},
        {"batches": "streams"},
        {"scheduled_sampling": 0.5, "precision": "bfloat16", "batches": "streams", "sampling_schedule": "constant"},
    ],
)
def test_options_reach_the_training(store: Store, text_file: Path, training: dict) -> None:
    usual, other = (train(store, small_config("lstm", text_file, training=t)) for t in ({}, training))
    assert losses(usual) != losses(other)
    assert other.metrics()[-1]["val_loss"] < other.metrics()[0]["val_loss"]


def test_bfloat16_keeps_float32_weights_and_a_similar_loss(store: Store, text_file: Path) -> None:
    usual, half = (
        train(store, small_config("gpt", text_file, training={"precision": precision}))
        for precision in ("float32", "bfloat16")
    )
    assert half.metrics()[-1]["val_loss"] == pytest.approx(usual.metrics()[-1]["val_loss"], rel=0.05)
    assert half.metrics()[-1]["val_loss"] != usual.metrics()[-1]["val_loss"]
    model, _tokenizer, _step = load_model(half)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("kind", "training", "words"),
    [
        ("gpt", {"batches": "streams"}, "Take windows"),
        ("bert", {"scheduled_sampling": 0.1}, "one token after the other"),
        ("rnn", {"precision": "bfloat16"}, "gpt and lstm"),
    ],
)
def test_settings_at_odds_are_a_sentence(kind: str, training: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        small_config(kind, Path("x"), training=training)


def overfitting(text_file: Path, **recording: object):  # type: ignore[no-untyped-def]
    """A model that soon gets worse: the learning rate is far too high after the first updates."""
    training = {"learning_rate": 0.6, "steps": 400, "early_stopping": 4, "schedule": "constant", "warmup_steps": 0}
    return small_config("rnn", text_file, training=training, recording={"eval_every": 5, **recording})


def test_early_stopping_ends_after_so_many_validations_and_keeps_the_best(store: Store, text_file: Path) -> None:
    run = train(store, overfitting(text_file))
    status = run.status()
    measured = [(m["step"], m["val_loss"]) for m in run.metrics() if m["val_loss"] is not None]
    best = min(measured, key=lambda row: row[1])
    assert status.state == "finished" and status.stopped_early and status.step < 400
    assert (status.best_step, status.best_loss) == best
    assert [step for step, _ in measured].index(best[0]) == len(measured) - 1 - 4
    assert {best[0], status.step} <= set(run.checkpoint_steps())
    again = train(store, overfitting(text_file))
    assert losses(again) == losses(run)


def test_a_run_that_stopped_early_can_be_made_to_go_on(store: Store, text_file: Path) -> None:
    run = train(store, overfitting(text_file))
    ended = run.status().step
    reopen(run)
    train_here(run, quiet=True)
    assert run.status().step >= ended + 4 * 5, "it has its patience anew"


def test_early_stopping_is_the_same_after_a_crash(store: Store, text_file: Path) -> None:
    whole = train(store, overfitting(text_file))
    broken = interrupted(store, overfitting(text_file), whole.status().step - 2)
    train_here(broken, quiet=True)
    assert broken.status().step == whole.status().step and broken.status().best_step == whole.status().best_step


def test_keep_best_keeps_one_more_checkpoint_and_every_planned_one(store: Store, text_file: Path) -> None:
    config = small_config(
        "rnn", text_file, steps=60,
        training={"learning_rate": 0.4, "schedule": "constant", "warmup_steps": 0, "steps": 60},
        recording={"keep_best": True, "eval_every": 2, "checkpoints": 2},
    )  # fmt: skip
    run = train(store, config)
    assert set(run.checkpoint_steps()) == {0, 60, run.status().best_step}
    assert run.status().best_loss == min(m["val_loss"] for m in run.metrics() if m["val_loss"] is not None)
    falling = train(store, small_config("rnn", text_file, recording={"keep_best": True, "eval_every": 1}))
    planned = checkpoint_steps(falling.config().recording, 40)
    assert set(falling.checkpoint_steps()) == planned | {falling.status().best_step}
    reopen(falling, 150)
    train_here(falling, quiet=True)
    assert planned <= set(falling.checkpoint_steps()), "what was planned before it was made longer stays"


def test_looking_at_single_steps_changes_nothing_of_early_stopping(store: Store, text_file: Path) -> None:
    config = small_config("rnn", text_file, training={"early_stopping": 3, "steps": 200}, recording={"eval_every": 40})
    whole = train(store, config)
    run = store.create(config)
    turns = (session := Session(run)).work()
    while not session.trainer or session.trainer.step < 90:
        next(turns)
    session.by_hand = True
    while session.trainer.step < 100:
        next(turns)
    session.by_hand = False
    for _ in turns:
        pass
    assert sum(bool(line.get("extra")) for line in run.metrics()) >= 9
    assert run.status().step == whole.status().step and run.status().best_step == whole.status().best_step


@pytest.mark.parametrize("kind", ["ngram", "lstm", "gpt"])
def test_the_breakdown_adds_up_to_the_validation_loss(kind: str, store: Store, text_file: Path) -> None:
    run = train(store, small_config(kind, text_file, recording={"eval_tokens": 256}))
    facts = run.breakdown()
    evaluated = [m for m in run.metrics() if m["val_loss"] is not None]
    assert [line["step"] for line in run.validation()] == [m["step"] for m in evaluated]
    for line, metrics in zip(run.validation(), evaluated, strict=True):
        assert np.mean(line["by_place"]) == pytest.approx(metrics["val_loss"], abs=2e-4)
        counts = np.array([facts["class_tokens"][name] for name in line["by_class"]])
        parts = np.array(list(line["by_class"].values()))
        assert (parts * counts).sum() / counts.sum() == pytest.approx(metrics["val_loss"], abs=2e-4)
        assert len(line["passage"]) == len(facts["tokens"])
    assert len(facts["places"]) == 16 and sum(facts["class_tokens"].values()) == 256
    model, tokenizer, _step = load_model(run)
    ids = tokenizer.encode("".join(facts["tokens"]))
    assert "".join(facts["tokens"]) == prose()[-run.data()["validation_characters"] :][: len(ids)]
    if kind == "lstm":  # no window: the passage is one forward pass from the <begin> before it
        logits = model(torch.tensor([[BEGIN, *ids[:-1]]]))[0].log_softmax(-1)
        expected = -logits.gather(1, torch.tensor(ids)[:, None])[:, 0]
        np.testing.assert_allclose(run.validation()[-1]["passage"], expected.detach().numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("character", "name"),
    [("a", "letter"), ("é", "letter"), ("7", "digit"), (" ", "space"), ("\n", "space"), ("。", "punctuation"),
     ("(", "punctuation"), ("+", "punctuation"), ("漢", "chinese"), ("あ", "letter"), ("\x07", "control"),
     ("\u0301", "letter"), ("½", "digit"), ("Ⅷ", "digit"), ("\u200b", "control"), ("\u3000", "space")],
)  # fmt: skip
def test_character_classes(character: str, name: str) -> None:
    assert character_class(character) == name and name in CLASSES


def test_classes_of_tokens_that_are_no_characters() -> None:
    text = "漢 日 月 本 of. " * 20  # each begins with the byte E6
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=280), [text])
    pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    found = dict(zip(pieces[3:], [CLASSES[i] for i in token_classes(tokenizer)[3:]], strict=True))
    assert {name for piece, name in found.items() if len(piece) == 1 and piece[0] > 127} == {"part"}
    assert found[b" \xe6"] == "part", "a space, and a character that only begins"
    assert found[" 日".encode()] == "chinese" and found[b"a"] == "letter" and found[b"\n"] == "space"
    assert [CLASSES[i] for i in token_classes(tokenizer)[:3]] == ["unknown", "mark", "mark"]
