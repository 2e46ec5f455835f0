"""The learning-rate range test: what it tries, when it ends, what it suggests, and that it keeps nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import small_config
from texts import prose
from torch.nn import functional as F

from lmviz.errors import ConfigError, CorpusError
from lmviz.jobs.questions import ask_learning_rates
from lmviz.models import build_model
from lmviz.runs import Store
from lmviz.training.data import Windows, load_data
from lmviz.training.rate_finder import ABOVE_STEEPEST, RANGES, SMOOTHING, Trial, suggestion, trials
from lmviz.training.trainer import randomness
from lmviz.turns import finish


def test_rates_rise_evenly_and_the_test_ends_when_the_loss_flies_off(text_file: Path) -> None:
    config = small_config("lstm", text_file, training={"optimizer": "sgd"})
    seen = list(trials(config, finish(load_data(config.corpus, config.tokenizer))))
    ratios = np.diff(np.log([trial.rate for trial in seen]))
    np.testing.assert_allclose(ratios, ratios[0])
    assert seen[0].rate == RANGES["sgd"][0] and seen[-1].rate <= RANGES["sgd"][1]
    mean = 0.0
    for count, trial in enumerate(seen, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * trial.loss
        assert trial.smoothed == pytest.approx(mean / (1 - SMOOTHING**count))
    again = list(trials(config, finish(load_data(config.corpus, config.tokenizer))))
    assert again == seen


def test_the_losses_are_those_of_plain_sgd_with_that_rate(text_file: Path) -> None:
    config = small_config(
        "rnn", text_file, model={"dropout": 0.0}, training={"optimizer": "sgd", "momentum": 0.0, "clip_norm": 0}
    )
    data = finish(load_data(config.corpus, config.tokenizer))
    seen = list(trials(config, data))[:4]
    with randomness(torch.Generator().manual_seed(config.training.seed)):
        model = build_model(config.model, data.tokenizer.vocab_size, 16)
    windows = Windows(data.train, 4, 16, torch.Generator().manual_seed(config.training.seed))
    for trial in seen:
        batch = windows.next()
        loss = F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= trial.rate * parameter.grad
        assert trial.loss == pytest.approx(loss.item(), rel=1e-4)


def test_the_suggestion_follows_the_steepest_fall() -> None:
    rates = np.geomspace(1e-5, 1, 101)
    losses = 4 - 2 / (1 + np.exp(-5 * (np.log10(rates) + 3))) + (rates > 0.1) * 5
    made = [Trial(rate, loss, loss) for rate, loss in zip(rates.tolist(), losses.tolist(), strict=True)]
    assert suggestion(made) == pytest.approx(ABOVE_STEEPEST * 1e-3)
    rising = [Trial(rate, 1 + i, 1 + i) for i, rate in enumerate(rates.tolist())]
    assert suggestion(rising) is None and suggestion(made[:1]) is None


def test_asked_as_a_question_it_answers_in_pieces_and_leaves_no_run(text_file: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs", samples=None)
    config = small_config("gpt", text_file)
    pieces = list(ask_learning_rates(store, config.model_dump(mode="json")))
    assert pieces[-1]["suggestion"] > 0
    assert sum(len(piece["trials"]) for piece in pieces) > 20
    assert not store.runs()
    short = config.model_copy(update={"training": config.training.model_copy(update={"context_length": 1000})})
    short_text = tmp_path / "short.txt"
    short_text.write_text(prose(200), encoding="utf-8")
    values = short.model_dump(mode="json") | {"corpus": {"name": str(short_text)}}
    with pytest.raises(CorpusError, match="too short"):
        list(ask_learning_rates(store, values))


def test_what_cannot_be_tried_gets_a_sentence(text_file: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs", samples=None)
    with pytest.raises(ConfigError, match="no learning rate"):
        list(ask_learning_rates(store, small_config("ngram", text_file).model_dump(mode="json")))
    large = small_config("lstm", text_file, model={"hidden_size": 1024, "num_layers": 8})
    with pytest.raises(ConfigError, match="parameters"):
        list(ask_learning_rates(store, large.model_dump(mode="json")))
