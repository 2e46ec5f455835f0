"""Runs on memory tasks are runs like any others: trained, resumed, forked, asked, compared."""

import json

import pytest
import torch
from test_tasks import data_of, task_config
from test_training import interrupted, losses, train

from lmviz.checkpoints import load_model
from lmviz.compare import leads, read_view, same_text
from lmviz.config import MEMORY_TASKS
from lmviz.corpora.tasks import TASK, TEST_LAGS, longest
from lmviz.costs import check_costs
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.errors import ConfigError, LmvizError
from lmviz.forks import fork
from lmviz.jobs.questions import ask_generate, ask_learning_rates, ask_score
from lmviz.models.base import UNSCORED
from lmviz.runs import Run, Store
from lmviz.summary import train_document
from lmviz.training.extend import reopen
from lmviz.training.foreground import train_here
from lmviz.training.task_data import TaskData

torch.set_num_threads(1)


@pytest.mark.parametrize("mixed", [False, True])
def test_same_seed_same_losses_also_when_left_in_the_middle(store: Store, mixed: bool) -> None:
    config = task_config(corpus={"mixed": mixed})
    whole, again = train(store, config), train(store, config)
    assert losses(whole) == losses(again)
    broken = interrupted(store, config, 13)
    assert broken.status().state == "running" and 0 < broken.resume_step() <= 13
    train_here(broken, quiet=True)
    assert losses(broken) == losses(whole)
    assert answers(broken) == answers(whole)
    assert broken.status().tokens == whole.status().tokens
    assert losses(train(store, task_config(corpus={"mixed": mixed}, training={"seed": 7}))) != losses(whole)


def answers(run: Run) -> list[tuple]:
    return [(line["step"], line["accuracy"], line.get("accuracies")) for line in run.metrics() if "accuracy" in line]


def test_a_fork_repeats_the_losses_and_a_longer_run_goes_on(store: Store) -> None:
    run = train(store, task_config())
    assert run.status().tokens == 24 * 4 * 5  # updates, sequences, tokens
    step = run.checkpoint_steps()[2]
    branch = fork(store, run, step)
    assert branch.status().tokens == step * 4 * 5
    train_here(branch, quiet=True)
    assert losses(branch) == losses(run)
    reopen(run, 30)
    train_here(run, quiet=True)
    assert run.status().state == "finished" and run.metrics()[-1]["step"] == 30


def test_what_a_run_says_of_itself(store: Store) -> None:
    run = train(store, task_config("adding", lag=2, corpus={"mixed": True, "lag": 6}))
    line = run.metrics()[-1]
    assert list(line["accuracies"]) == [str(lag) for lag in sorted({6, *TEST_LAGS})]
    assert line["accuracy"] == line["accuracies"]["6"]
    data = TaskData.of(run.config().corpus)
    assert run.data()["fingerprint"] == data.fingerprint and run.data()["vocab_size"] == data.tokenizer.vocab_size
    assert run.baselines() == {"uniform": TASK["adding"].guess_loss, "ngram": {}, "counted_tokens": 0}
    assert run.samples() == [] and run.breakdown() == {}
    document = train_document(run)
    assert document["accuracies"] == line["accuracies"] and document["bits_per_char"] is None
    json.dumps(document, allow_nan=False)


def test_generating_and_scoring_work_on_a_run(store: Store) -> None:
    run = train(store, task_config())
    pieces = list(ask_generate(store, run.id, prompt="c13?", strategy="greedy", max_new_tokens=1))
    assert len(pieces[-1]["tokens"]) <= 1
    assert len(next(ask_score(store, run.id, "c13?c"))["tokens"]) == 5
    with pytest.raises(LmvizError, match="z"):
        list(ask_generate(store, run.id, prompt="z", strategy="greedy", max_new_tokens=1))


@pytest.mark.parametrize("name", MEMORY_TASKS)
@pytest.mark.parametrize("kind", ["lstm", "gpt"])
def test_a_model_is_as_good_when_asked_as_when_it_was_measured(store: Store, name: str, kind: str) -> None:
    run = train(store, task_config(name, kind, lag=3, training={"steps": 200, "batch_size": 32}))
    model, tokenizer, _ = load_model(run)
    right = []
    for batch in TaskData.of(run.config().corpus).validation_batches():
        for row, place in (batch.targets != UNSCORED).nonzero().tolist():
            prompt = tokenizer.decode(batch.inputs[row, : place + 1].tolist())
            (token,) = generate(model, tokenizer, DecodingConfig(prompt=prompt, strategy="greedy", max_new_tokens=1))
            right.append(token.id == int(batch.targets[row, place]))
    assert sum(right) / len(right) == run.metrics()[-1]["accuracy"]
    assert 1.5 * TASK[name].chance < sum(right) / len(right)  # it has learned something, so there is something to lose


def test_the_range_test_takes_tasks(store: Store) -> None:
    pieces = list(ask_learning_rates(store, task_config().model_dump(mode="json")))
    assert sum(len(piece["trials"]) for piece in pieces) > 10


def test_two_lags_are_two_texts(store: Store) -> None:
    short, long = train(store, task_config(lag=2)), train(store, task_config(lag=3))
    views = [read_view(short, "short"), read_view(long, "long")]
    assert not same_text(views) and leads(views) == []
    again = read_view(train(store, task_config("remember-first", "rnn", lag=2)), "rnn")
    assert same_text([views[0], again]) and {lead.axis for lead in leads([views[0], again])} >= {"step"}
    assert len({data_of("copy", 5, mixed).fingerprint for mixed in (False, True)}) == 2


def test_a_gpt_must_hold_the_sequence_and_a_recurrent_model_need_not(store: Store) -> None:
    run = store.create(task_config("copy", "gpt", lag=26))
    train_here(run, quiet=True)
    assert run.status().state == "failed" and "training.context_length=33" in run.status().error["message"]
    assert longest(run.config().corpus) == 33
    assert train(store, task_config("copy", "gpt", lag=25)).status().state == "finished"
    assert train(store, task_config("copy", "rnn", lag=40)).status().state == "finished"
    with pytest.raises(ConfigError, match="too large"):
        check_costs(task_config("copy", lag=500, training={"batch_size": 1024, "context_length": 1},
                                model={"hidden_size": 512}), 13)  # fmt: skip
