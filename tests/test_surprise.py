"""Surprise of a given text against cross-entropy computed directly, for every kind; spans of two tokenizations."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import SMALL, small_config
from texts import prose
from torch.nn import functional as F
from typer.testing import CliRunner

from lmviz.checkpoints import load_model
from lmviz.cli import app
from lmviz.config import TokenizerConfig
from lmviz.errors import ConfigError, LmvizError
from lmviz.inspect import surprise as module
from lmviz.inspect.spans import shared_spans, span_sums, span_texts
from lmviz.inspect.surprise import surprises
from lmviz.jobs.questions import QUESTIONS
from lmviz.jobs.surprise_questions import rank_classes
from lmviz.limits import MAX_SHOWN_TOKENS
from lmviz.packing import unpack
from lmviz.presets import TEXT_KINDS
from lmviz.runs import Run, Store
from lmviz.tokenizers import BEGIN
from lmviz.training.foreground import train_here

torch.set_num_threads(1)

TEXT = "The cat sat."  # with <begin> it fits into a context of 16


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("surprise") / "runs", samples=None)


@pytest.fixture(scope="module")
def runs(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    text = tmp_path_factory.mktemp("text") / "prose.txt"
    text.write_text(prose(6000), encoding="utf-8")
    found = {}
    for kind in TEXT_KINDS:
        found[kind] = store.create(small_config(kind, text, steps=1 if kind == "ngram" else 30))
    pairs = TokenizerConfig(kind="bpe", vocab_size=300)
    found["bpe"] = store.create(small_config("lstm", text, steps=30).model_copy(update={"tokenizer": pairs}))
    for run in found.values():
        train_here(run, quiet=True)
        assert run.status().error is None
    return found


def direct(run: Run, text: str) -> torch.Tensor:
    """-log p of each token in float64, from the model's own forward pass, by PyTorch's cross-entropy (N,)."""
    model, tokenizer, _step = load_model(run)
    tokens = torch.tensor([BEGIN, *tokenizer.encode(text)])
    with torch.no_grad():
        logits = model.eval()(tokens[None, :-1])[0].double()
    return F.cross_entropy(logits, tokens[1:], reduction="none")


def test_every_kind_that_writes_is_tried() -> None:
    assert set(TEXT_KINDS) <= set(SMALL)


@pytest.mark.parametrize("kind", [*TEXT_KINDS, "bpe"])
def test_score_on_the_command_line_is_the_cross_entropy(runs: dict[str, Run], kind: str) -> None:
    run = runs[kind]
    done = CliRunner().invoke(app, ["score", str(run.path), "--text", TEXT, "--json"])
    assert done.exit_code == 0, done.output
    scored = json.loads(done.stdout)
    nats = direct(run, TEXT)
    assert scored["loss"] == pytest.approx(float(nats.mean()), abs=1e-6)
    assert scored["perplexity"] == pytest.approx(float(nats.mean().exp()), rel=1e-6)
    assert scored["bits_per_char"] == pytest.approx(float(nats.sum()) / math.log(2) / len(TEXT), abs=1e-6)
    assert [one["logprob"] for one in scored["tokens"]] == pytest.approx((-nats).tolist(), abs=1e-6)


@pytest.mark.parametrize("kind", [*TEXT_KINDS, "bpe"])
def test_every_number_of_a_token_is_that_of_its_distribution(store: Store, runs: dict[str, Run], kind: str) -> None:
    run = runs[kind]
    *_, answer = QUESTIONS["surprise"](store, run.id, TEXT)
    json.dumps(answer, allow_nan=False)
    model, tokenizer, _step = load_model(run)
    tokens = torch.tensor([BEGIN, *tokenizer.encode(TEXT)])
    with torch.no_grad():
        rows = model.eval()(tokens[None, :-1])[0].double().softmax(1).numpy()
    ids = tokens[1:].tolist()
    own = np.array([row[token] for row, token in zip(rows, ids, strict=True)])
    ranks = [1 + int((row > p).sum()) for row, p in zip(rows, own, strict=True)]
    assert answer["nats"] == pytest.approx(float(-np.log(own).sum()), abs=1e-5) and answer["tokens"] == len(ids)
    np.testing.assert_allclose(unpack(answer["logprobs"]), np.log(own), atol=1e-5)
    assert unpack(answer["token_ranks"]).tolist() == ranks
    assert answer["ranks"] == [
        sum(low <= rank <= high for rank in ranks) for low, high in ((1, 1), (2, 10), (11, 100), (101, 10**9))
    ]
    np.testing.assert_allclose(unpack(answer["entropies"]), -(rows * np.log(rows)).sum(1), atol=1e-5)
    np.testing.assert_allclose(unpack(answer["chances"]), -np.sort(-rows, 1)[:, :5], atol=1e-6)
    likeliest = [[answer["names"][place] for place in row] for row in unpack(answer["likeliest"]).tolist()]
    for row, names in zip(rows, likeliest, strict=True):
        assert names[0] == tokenizer.token_text(int(row.argmax())) and len(set(names)) == 5
    assert "".join(answer["texts"]) == TEXT and unpack(answer["lengths"]).sum() == len(TEXT)


@pytest.mark.parametrize("kind", ["lstm", "gpt", "ngram", "nvsi"])
@pytest.mark.parametrize("at_once", [1, 700, 2**19])
def test_it_is_the_score_of_a_long_text_however_it_is_cut(
    store: Store, runs: dict[str, Run], kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    text = prose(1500, 3)[:400]
    *_, answer = QUESTIONS["surprise"](store, runs[kind].id, text)
    *_, scored = QUESTIONS["score"](store, runs[kind].id, text)
    assert answer["loss"] == pytest.approx(scored["loss"], abs=1e-6)
    assert unpack(answer["token_ranks"]).tolist() == [one["rank"] for one in scored["tokens"]]


@pytest.mark.parametrize("text", ["T", "画", "The 画 cat", "\n", " ", "<b>&amp;</b>"])
def test_short_and_unknown_texts_are_answered(store: Store, runs: dict[str, Run], text: str) -> None:
    for kind in ("lstm", "bpe", "gpt"):
        *_, answer = QUESTIONS["surprise"](store, runs[kind].id, text)
        assert answer["tokens"] >= 1 and math.isfinite(answer["nats"])
        assert unpack(answer["lengths"]).sum() == len(text.encode())
        assert bool(answer["unknown"]) == (kind != "bpe" and not set(text) <= set(prose(6000)))


def test_a_text_of_50_kb_is_told_in_few_bytes(store: Store, runs: dict[str, Run]) -> None:
    text = (prose(6000) * 10)[:50_000]
    *before, answer = QUESTIONS["surprise"](store, runs["lstm"].id, text)
    assert before and answer["tokens"] == 50_000 == sum(answer["ranks"]) == len(unpack(answer["logprobs"]))
    assert len(answer["texts"]) == len(unpack(answer["token_ranks"])) == MAX_SHOWN_TOKENS
    assert len(json.dumps(answer)) < 600_000
    assert answer["nats"] == pytest.approx(-float(unpack(answer["logprobs"]).astype(np.float64).sum()), rel=1e-6)


def test_what_cannot_be_measured_gets_a_sentence(store: Store, runs: dict[str, Run], tmp_path: Path) -> None:
    for text, words in (("", "There is no text"), ("a" * 100_001, "Take a part")):
        with pytest.raises(ConfigError, match=words):
            list(QUESTIONS["surprise"](store, runs["gpt"].id, text))
    with pytest.raises(ConfigError, match="does not go on with a text"):
        list(QUESTIONS["surprise"](Store(tmp_path), "sample-bert", TEXT))
    with pytest.raises(ConfigError, match="does not go on with a text"):
        list(QUESTIONS["code"](Store(tmp_path), "sample-dates-transformer", TEXT))


def test_a_model_that_diverged_says_so(runs: dict[str, Run]) -> None:
    model, _tokenizer, _step = load_model(runs["rnn"])
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    with pytest.raises(LmvizError, match="its training diverged"):
        list(surprises(model, torch.tensor([BEGIN, 3, 4])))


def test_the_mode_is_as_before_between_pieces(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    model, tokenizer, _step = load_model(runs["gpt"])
    model.train()
    for _piece in surprises(model, torch.tensor([BEGIN, *tokenizer.encode(TEXT * 3)])):
        assert model.training and torch.is_grad_enabled()


# ---- two tokenizations ----


def test_spans_are_the_shortest_that_both_have() -> None:
    one, other = shared_spans([1, 1, 1, 1, 1], [2, 1, 2])
    assert one.tolist() == [0, 2, 3] and other.tolist() == [0, 1, 2]
    assert span_sums([1, 2, 3, 4, 5], one).tolist() == [3, 3, 9]
    assert span_texts(list("abcde"), one) == ["ab", "c", "de"] == span_texts(["ab", "c", "de"], other)
    with pytest.raises(ValueError, match="same text"):
        shared_spans([1, 2], [2])


def test_spans_by_brute_force() -> None:
    """All ways to cut five bytes, against all others."""
    cuttings = [
        [len(list(group)) for _key, group in itertools.groupby(bits)] for bits in itertools.product((0, 1), repeat=5)
    ]
    for one, other in itertools.product(cuttings, cuttings):
        ends = [set(np.cumsum(lengths).tolist()) for lengths in (one, other)]
        common = sorted(ends[0] & ends[1])
        starts = shared_spans(one, other)
        for lengths, start in zip((one, other), starts, strict=True):
            assert np.cumsum(span_sums(lengths, start)).tolist() == common


def test_two_tokenizations_of_one_text_add_up(store: Store, runs: dict[str, Run]) -> None:
    text = prose(1500, 5)[:300] + "é"
    answers = [[*QUESTIONS["surprise"](store, runs[kind].id, text)][-1] for kind in ("lstm", "bpe")]
    assert answers[0]["tokens"] > 1.2 * answers[1]["tokens"]
    starts = shared_spans(*(unpack(answer["lengths"]) for answer in answers))
    for answer, start in zip(answers, starts, strict=True):
        sums = span_sums(unpack(answer["logprobs"]), start)
        assert -sums.sum() == pytest.approx(answer["nats"], rel=1e-6)


def test_classes_of_ranks() -> None:
    assert rank_classes(np.array([1, 1, 2, 10, 11, 100, 101, 5000])) == [2, 2, 2, 2]
