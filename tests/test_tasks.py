"""Memory tasks: sequences against brute force, the loss against hand-made loops, and runs on them like any others."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lmviz.config import MEMORY_TASKS, TASKS, CorpusConfig, RecordingConfig, RunConfig
from lmviz.corpora import list_corpora, list_tasks, load_corpus
from lmviz.corpora.draft import slug
from lmviz.corpora.tasks import COPIED, TASK, TEST_TOKENS, mean_length, measured_lags, mixed_lag, sequences_tested
from lmviz.errors import ConfigError, CorpusError
from lmviz.limits import MAX_LAG
from lmviz.models import build_model
from lmviz.models.base import UNSCORED, Batch
from lmviz.models.state_gradients import watch_state_gradients
from lmviz.settings import validated
from lmviz.tokenizers import BEGIN
from lmviz.training.objective import losses as objective
from lmviz.training.task_data import TaskData, answer_scores
from lmviz.training.trainer import Trainer, token_losses

torch.set_num_threads(1)


def task_config(name: str = "remember-first", kind: str = "gru", lag: int = 3, **sections: dict) -> RunConfig:
    widths = {"d_model": 16, "num_heads": 2} if kind == "gpt" else {"hidden_size": 16, "embedding_dim": 8}
    values = {
        "corpus": {"name": name, "lag": lag},
        "model": {"kind": kind, **widths},
        "training": {"steps": 24, "batch_size": 4, "context_length": 32, "learning_rate": 5e-3},
        "recording": {"log_every": 3, "eval_every": 6, "checkpoints": 4},
    }
    for section, settings in sections.items():
        values[section] = {**values[section], **settings}
    return validated(values)


def data_of(name: str, lag: int, mixed: bool = False) -> TaskData:
    return TaskData.of(CorpusConfig(name=name, lag=lag, mixed=mixed))


def read(data: TaskData, batch: Batch) -> list[tuple[str, list[tuple[int, str]]]]:
    """Every sequence as text, and its answers with their places in it; <begin> before it has none."""
    rows = []
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert inputs[0] == BEGIN and targets[0] == UNSCORED
        answers = [(i, data.tokenizer.decode([t])) for i, t in enumerate(targets, -1) if t != UNSCORED]
        rows.append((data.tokenizer.decode(inputs), answers))
    return rows


def expected(name: str, text: str, lag: int) -> list[tuple[int, str]]:
    """What the definition in words says of a sequence, read from its text alone."""
    if name == "remember-first":
        assert text[0] in "abcdefgh" and set(text[1:-1]) <= set("01234567") and text[-1] == "?"
        assert text.index("?") == lag
        return [(lag, text[0])]
    if name == "copy":
        letters, go = text[:COPIED], text.index(":")
        assert set(letters) <= set("abcdefgh") and text[COPIED:go] == "." * lag
        assert text[go + 1 :] == letters[:-1]
        return [(go + i, letter) for i, letter in enumerate(letters)]
    marked = [i for i, c in enumerate(text) if c in "⓿❶❷❸❹❺❻❼❽❾"]
    assert len(marked) == 2 and text[-1] == "?" and len(text) - 1 - marked[0] == lag
    total = sum("⓿❶❷❸❹❺❻❼❽❾".index(text[i]) for i in marked)
    return [(len(text) - 1, "⓪①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱"[total])]


@pytest.mark.parametrize("name", MEMORY_TASKS)
@pytest.mark.parametrize("lag", [2, 3, 20])
def test_every_sequence_is_what_its_definition_says(name: str, lag: int) -> None:
    data = data_of(name, lag)
    batch = data.draw(lag, 200, torch.Generator().manual_seed(lag))
    rows = read(data, batch)
    assert [answers for _, answers in rows] == [expected(name, text, lag) for text, _ in rows]
    assert batch.inputs.shape == batch.targets.shape == (200, TASK[name].length(lag))
    assert all(len(answers) == TASK[name].scored for _, answers in rows)
    assert not (batch.inputs == 0).any()  # no <unk>
    assert len({text for text, _ in rows}) > 50  # not one again and again; the shortest task has 64 sequences


def test_the_shortest_lags_are_whole_sequences() -> None:
    remember, add = data_of("remember-first", 1), data_of("adding", 2)
    assert all(len(text) == 2 for text, _ in read(remember, remember.tests[1][0]))
    first = read(add, add.tests[2][0])[0][0]
    assert set(first[:2]) <= set("⓿❶❷❸❹❺❻❼❽❾") and first[2:] == "?"


@pytest.mark.parametrize("name", MEMORY_TASKS)
def test_chance_is_what_the_best_constant_guess_reaches(name: str) -> None:
    data = data_of(name, 9)
    targets = data.draw(9, 40_000, torch.Generator().manual_seed(0)).targets
    counts = Counter(targets[targets != UNSCORED].tolist())
    shares = [count / sum(counts.values()) for count in counts.values()]
    assert max(shares) == pytest.approx(TASK[name].chance, abs=0.006)
    assert -sum(p * math.log(p) for p in shares) == pytest.approx(TASK[name].guess_loss, abs=0.01)


def test_the_second_mark_of_adding_is_anywhere_after_the_first() -> None:
    data = data_of("adding", 6)
    texts = [text for text, _ in read(data, data.draw(6, 600, torch.Generator().manual_seed(0)))]
    places = Counter(max(i for i, c in enumerate(text) if c in "⓿❶❷❸❹❺❻❼❽❾") for text in texts)
    assert set(places) == {1, 2, 3, 4, 5} and min(places.values()) > 80  # 120 each expected


def test_mixed_lags_cover_all_evenly_on_a_logarithmic_scale() -> None:
    data = data_of("remember-first", 100, mixed=True)
    batches = data.batches(task_config().training, torch.Generator().manual_seed(0))
    lags = [batches.next().inputs.shape[1] - 2 for _ in range(4000)]
    assert min(lags) == 1 and max(lags) > 95
    assert sum(lag < 10 for lag in lags) / 4000 == pytest.approx(math.log(10) / math.log(101), abs=0.03)
    assert sum(lags) / 4000 + 2 == pytest.approx(mean_length(data.corpus), rel=0.05)
    assert [mixed_lag(share, 2, 5) for share in (0.0, 1 - 1e-16)] == [2, 5]
    assert batches.tokens_per_step == round(4 * mean_length(data.corpus))


@pytest.mark.parametrize("name", MEMORY_TASKS)
@pytest.mark.parametrize(("mixed", "most"), [(False, 2), (True, 4)])
def test_a_validation_is_about_as_long_as_that_of_a_text(name: str, mixed: bool, most: float) -> None:
    text = RecordingConfig().eval_tokens
    assert text == TEST_TOKENS
    for lag in (2, 50, 100, 200, MAX_LAG):
        data = data_of(name, lag, mixed)
        batches = [batch for tested in data.tests.values() for batch in tested]
        assert sum(batch.inputs.numel() for batch in batches) <= most * text
        counts = {tested: sum(len(batch.inputs) for batch in found) for tested, found in data.tests.items()}
        assert counts == {tested: sequences_tested(data.corpus, tested) for tested in measured_lags(data.corpus)}
        assert min(counts.values()) >= 64 and max(counts.values()) <= 256
        assert data.facts()["validation_tokens"] == counts[lag] * TASK[name].scored
    assert sequences_tested(CorpusConfig(name=name, lag=50), 50) == 256  # where it costs little, as many as ever


@pytest.mark.parametrize("name", MEMORY_TASKS)
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gpt"])
def test_only_answers_are_scored(name: str, kind: str) -> None:
    """Every way to a loss against a loop over the scored places."""
    config, data = task_config(name, kind, lag=4), data_of(name, 4)
    model = build_model(config.model, data.tokenizer.vocab_size, 32)
    batch = data.draw(4, 5, torch.Generator().manual_seed(1))
    logits = model(batch.inputs)
    by_hand = [
        -logits[b, t].log_softmax(0)[batch.targets[b, t]]
        for b in range(5) for t in range(batch.targets.shape[1]) if batch.targets[b, t] != UNSCORED
    ]  # fmt: skip
    mean = torch.stack(by_hand).mean()
    state = model.initial_state(5) if model.carries_state else None
    assert model.loss(batch).item() == pytest.approx(mean.item(), rel=1e-5)
    assert objective(model, batch, state, config.training, 0.0).plain == pytest.approx(mean.item(), rel=1e-5)
    assert token_losses(model, [batch, batch]) == pytest.approx([loss.item() for loss in 2 * by_hand], rel=1e-4)
    found, accuracy = answer_scores(model, [batch])
    assert found == pytest.approx(mean.item(), rel=1e-5)
    right = [logits[b, t].argmax() == batch.targets[b, t] for b, t in (batch.targets != UNSCORED).nonzero().tolist()]
    assert accuracy == pytest.approx(sum(map(float, right)) / len(right))


def test_smoothing_leaves_unscored_places_out() -> None:
    config, data = task_config(training={"label_smoothing": 0.2}), data_of("remember-first", 3)
    model = build_model(config.model, data.tokenizer.vocab_size, 32)
    batch = data.draw(3, 5, torch.Generator().manual_seed(1))
    last = F.cross_entropy(model(batch.inputs)[:, -1], batch.targets[:, -1], label_smoothing=0.2)
    found = objective(model, batch, model.initial_state(5), config.training, 0.0)
    assert found.objective.item() == pytest.approx(last.item(), rel=1e-5)


def test_the_gradient_comes_from_the_question_alone() -> None:
    """What arrives at each state in training is the gradient of the last step's loss, by torch's own hand."""
    data = data_of("remember-first", 4)
    model = build_model(task_config().model, data.tokenizer.vocab_size, 32).double()
    batch = data.draw(4, 3, torch.Generator().manual_seed(1))
    with watch_state_gradients(model) as seen:
        model.loss(batch).backward()
    states, hidden = [], model.initial_state(3)
    for token in batch.inputs.unbind(1):
        logits, hidden = model.step(token, hidden)
        states.append(hidden[0][0])
    wanted = torch.autograd.grad(F.cross_entropy(logits, batch.targets[:, -1]), states)
    torch.testing.assert_close(seen[0][0]["hidden"], torch.stack(wanted, 1))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"corpus": {"lag": None}}, "needs a lag"),
        ({"corpus": {"name": "python-reference"}}, "go with the tasks"),
        ({"corpus": {"name": "python-reference", "lag": None, "mixed": True}}, "go with the tasks"),
        ({"corpus": {"column": "text"}}, "neither column nor encoding"),
        ({"corpus": {"lag": 0}}, "corpus.lag cannot be 0"),
        ({"corpus": {"lag": 501}}, "corpus.lag cannot be 501"),
        ({"corpus": {"name": "adding", "lag": 1}}, "lag of 2"),
        ({"tokenizer": {"kind": "bpe"}}, "own tokens"),
        ({"training": {"batches": "streams"}}, "batches=streams works with texts"),
        ({"training": {"scheduled_sampling": 0.5}}, "scheduled_sampling works with texts"),
        ({"model": {"kind": "ngram", "order": 3}}, "looks back 2 tokens"),
    ],
)
def test_what_does_not_go_together_is_refused(sections: dict, words: str) -> None:
    values = task_config().model_dump(mode="json")
    for section, settings in sections.items():
        values[section] = settings if section == "model" else {**values[section], **settings}
    with pytest.raises(ConfigError, match=words):
        validated(values)


def test_tasks_are_listed_apart_from_texts(tmp_path: Path) -> None:
    assert [row.name for row in list_tasks()] == list(TASKS)
    assert not {row.name for row in list_corpora(tmp_path)} & set(TASKS)
    assert slug("Copy") == "copy"
    for name in TASKS:
        with pytest.raises(CorpusError, match="is a task"):
            load_corpus(name)


def test_an_added_text_never_takes_the_name_of_a_task(tmp_path: Path) -> None:
    from lmviz.corpora import add_corpus

    assert add_corpus(tmp_path, "Copy", [("a.txt", b"some text of a person. " * 20)]) == "copy-2"


def test_a_small_gru_learns_a_short_lag() -> None:
    config = task_config(lag=2, training={"batch_size": 32, "learning_rate": 1e-2})
    data = data_of("remember-first", 2)
    torch.manual_seed(0)
    model = build_model(config.model, data.tokenizer.vocab_size, 32)
    before = data.measure(model)[1]["accuracy"]
    trainer = Trainer(model, config.training, data)
    for _ in range(150):
        trainer.advance()
    loss, columns = data.measure(model)
    assert before < 0.4 and columns["accuracy"] == 1.0 and loss < 0.3
