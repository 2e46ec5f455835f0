"""Writing step by step: the distribution at every step against transformers' processors and against `generate`."""
# ruff: noqa: F811  (fixtures of another module)

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_cli import lmviz
from test_gates_page import train
from test_pages import places, visit  # noqa: F401
from transformers.generation import logits_process as hf

from lmviz.config import RunConfig
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.decoding.trace import trace
from lmviz.errors import ConfigError
from lmviz.jobs.questions import QUESTIONS
from lmviz.models import build_model
from lmviz.models.base import LanguageModel
from lmviz.models.pairs import PairModel
from lmviz.presets import preset
from lmviz.runs import Run, Store
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer, train_tokenizer
from lmviz.ui.generate import steps_path

WAYS = (
    {"temperature": 0.8, "top_k": 6, "top_p": 0.9, "seed": 3},
    {"temperature": 1.4, "min_p": 0.05, "repetition_penalty": 1.3, "frequency_penalty": 0.2, "seed": 4},
    {"strategy": "greedy", "no_repeat_ngram": 2, "presence_penalty": 0.5},
)


def wild(kind: str) -> tuple[LanguageModel, Tokenizer]:
    """A model at birth whose logits are large enough to decide something."""
    config: RunConfig = preset(kind, "tiny")
    tokenizer = train_tokenizer(config.tokenizer, ["abcdefgh "])
    torch.manual_seed(5)
    sizes = {"source_vocab_size": tokenizer.vocab_size} if config.reads_pairs else {}
    model = build_model(config.model, tokenizer.vocab_size, 8, **sizes)
    if kind == "ngram":
        model.fit(torch.randint(3, tokenizer.vocab_size, (500,)))  # type: ignore[operator]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    if isinstance(model, PairModel):
        tokenizer.source = tokenizer
    return model.eval(), tokenizer


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["ngram", "rnn", "nvsi", "gru", "lstm", "gpt", "seq2seq-attention"])
def test_stepping_writes_what_generate_writes(kind: str, way: dict[str, object]) -> None:
    model, tokenizer = wild(kind)
    config = DecodingConfig.model_validate({"prompt": "abc ", "max_new_tokens": 20, **way})
    written = list(generate(model, tokenizer, config))
    *steps, _after = trace(model, tokenizer, config, [token.id for token in written])
    assert [step.drawn for step in steps] == [token.id for token in written]
    for step, token in zip(steps, written, strict=True):
        assert float(step.probabilities[-1][token.id]) == pytest.approx(token.probability, abs=1e-5)
        assert float(step.logits[0].log_softmax(0)[token.id]) == pytest.approx(token.logprob, abs=1e-4)


def test_every_stage_is_transformers_own() -> None:
    model, tokenizer = wild("gpt")
    config = DecodingConfig(prompt="ab", temperature=0.7, top_k=7, top_p=0.8, min_p=0.1, repetition_penalty=1.2)
    tokens = [5, 6, 5, 4]
    history = torch.tensor([[BEGIN, *tokenizer.encode("ab"), *tokens]])
    *_, last = trace(model, tokenizer, config, tokens)
    assert last.stages == ("raw", "special", "repetition_penalty", "temperature", "top_k", "top_p", "min_p")
    with torch.no_grad():
        scores = model(history)[:, -1]
    theirs = [
        hf.SuppressTokensLogitsProcessor([UNK, BEGIN], device="cpu"), hf.RepetitionPenaltyLogitsProcessor(1.2),
        hf.TemperatureLogitsWarper(0.7), hf.TopKLogitsWarper(7), hf.TopPLogitsWarper(0.8), hf.MinPLogitsWarper(0.1),
    ]  # fmt: skip
    assert torch.allclose(last.probabilities[0], scores[0].softmax(0), atol=1e-6)
    for row, processor in zip(last.probabilities[1:], theirs, strict=True):
        scores = processor(history, scores)
        assert torch.allclose(row, scores[0].softmax(0), atol=1e-6)


def test_a_branch_draws_with_the_numbers_of_its_step() -> None:
    """What is forced changes the distribution, not the lottery."""
    model, tokenizer = wild("gru")
    config = DecodingConfig(prompt="ab", seed=9)
    for tokens in ([], [4], [5, 6], [6, 6, 6]):
        *_, last = trace(model, tokenizer, config, tokens)
        generator = torch.Generator().manual_seed(9)
        race = [torch.empty(tokenizer.vocab_size).exponential_(generator=generator) for _ in range(len(tokens) + 1)]
        assert last.drawn == int((last.probabilities[-1] / race[-1]).argmax())


def test_what_cannot_be_is_a_sentence() -> None:
    model, tokenizer = wild("gru")
    with pytest.raises(ConfigError, match="does not know"):
        trace(model, tokenizer, DecodingConfig(), [4, 999])
    with pytest.raises(ConfigError, match="Beam search"):
        trace(model, tokenizer, DecodingConfig(strategy="beam"))
    with pytest.raises(ConfigError, match="never read this: 漢"):
        trace(model, tokenizer, DecodingConfig(prompt="漢"))


def test_the_answer_adds_up(places: Path) -> None:
    run = train(places, "gpt", model={"num_layers": 1, "num_heads": 2})
    store = Store(places / "runs")
    way = {"prompt": "def ", "temperature": 0.7, "top_k": 5, "seed": 2}
    tokens: list[int] = []
    for _ in range(4):
        *_, answer = QUESTIONS["step"](store, run.id, tokens=tokens, **way)
        for i, stage in enumerate(answer["stages"]):
            listed = sum(row["chances"][i] for row in answer["rows"])
            assert listed + answer["others"]["chances"][i] == pytest.approx(1, abs=1e-5)
            assert stage["entropy"] >= 0
        assert [stage["name"] for stage in answer["stages"]] == ["raw", "special", "temperature", "top_k"]
        assert answer["stages"][-1]["kept"] == 5 and answer["stages"][-1]["gone"] > 0
        assert not any(token["forced"] for token in answer["path"])
        tokens.append(answer["drawn"]["id"])
    other = next(row["id"] for row in answer["rows"] if row["id"] != answer["drawn"]["id"])
    *_, forced = QUESTIONS["step"](store, run.id, tokens=[*tokens[:3], other], **way)
    assert [token["forced"] for token in forced["path"]] == [False, False, False, True]
    assert forced["logprob"] == pytest.approx(sum(token["logprob"] for token in forced["path"]))
    *_, ended = QUESTIONS["step"](store, run.id, tokens=[END], **way)
    assert ended["ended"]
    with pytest.raises(ConfigError, match="500 tokens"):
        list(QUESTIONS["step"](store, run.id, tokens=[5] * 501, **way))


def test_the_trace_file_has_every_distribution(places: Path, tmp_path: Path) -> None:
    run = train(places, "gru")
    file = tmp_path / "trace.npz"
    way = ["--prompt", "def ", "--temperature", "0.6", "--top-k", "4", "--max-new-tokens", "7", "--seed", "5"]
    done = lmviz(places, "generate", run.id, *way, "--trace", str(file), "--json")
    document = json.loads(done.stdout)
    with np.load(file) as found:
        steps, stages, vocabulary = found["probabilities"].shape
        assert found["stages"].tolist() == ["raw", "special", "temperature", "top_k"] and stages == 4
        assert found["chosen"].tolist() == [token["id"] for token in document["tokens"]] and steps == 7
        assert "".join(found["tokens"]) == document["text"] and vocabulary > 20
        assert np.allclose(found["probabilities"].sum(2), 1, atol=1e-5)
        own = np.log(found["probabilities"][range(7), 0, found["chosen"]])
        assert np.allclose(own, [token["logprob"] for token in document["tokens"]], atol=1e-4)
        assert ((found["probabilities"][:, 3] > 0).sum(1) == 4).all()
    wrong = lmviz(places, "generate", run.id, "--trace", str(tmp_path / "trace.txt"), status=2)
    assert "ends in .npz" in wrong.stderr


def test_branches_are_a_tree() -> None:
    nodes = steps_path.tree([(1, 2, 3), (1, 2, 4, 5), (6,)], (1, 2))
    assert [(text, row) for text, row, _ in nodes] == [
        ((), 0), ((1,), 0), ((1, 2), 0), ((1, 2, 3), 0), ((1, 2, 4), 1), ((1, 2, 4, 5), 1), ((6,), 2),
    ]  # fmt: skip
    assert [parent for _, _, parent in nodes] == [None, 0, 1, 2, 2, 4, 0]
    assert steps_path.read_path("12,5,x,3") == (12, 5) and steps_path.read_path("") == ()


def shown(app: AppTest) -> str:
    return next(one.proto.body for one in app.get("html") if "steps-text" in one.proto.body)


@pytest.fixture
def gru(places: Path) -> Run:
    return train(places, "gru")


def test_next_back_and_the_address(visit: Callable[..., AppTest], gru: Run) -> None:
    app = visit("generate", run=gru.id, part="steps", prompt="def ")
    assert not app.exception and "tokens" not in app.query_params
    for _ in range(3):
        app.button(key="steps_next").click().run()
    tokens = "".join(app.query_params["tokens"])
    assert len(tokens.split(",")) == 3 and not app.exception
    text = shown(app)
    app.button(key="steps_back").click().run()
    assert "".join(app.query_params["tokens"]) == tokens.rsplit(",", 1)[0]
    again = visit("generate", run=gru.id, part="steps", prompt="def ", tokens=tokens)
    assert shown(again) == text


@pytest.mark.parametrize(
    ("address", "words"),
    [({"prompt": "漢"}, "never read this"), ({"tokens": "5,99999"}, "does not know"), ({"prompt": ""}, "")],
)
def test_ugly_addresses(visit: Callable[..., AppTest], gru: Run, address: dict[str, str], words: str) -> None:
    app = visit("generate", run=gru.id, part="steps", **address)
    assert not app.exception
    if words:
        assert words in app.error[0].value
        if "tokens" in address:
            app.button(key="steps_again_after_error").click().run()
            assert not app.error and not app.exception
