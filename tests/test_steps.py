"""Writing step by step: the distribution at every step against transformers' processors and against `generate`."""
# ruff: noqa: F811  (fixtures of another module)

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_cli import lmviz
from test_gates_page import train
from test_gradients_learning import figure_of
from test_pages import places, visit  # noqa: F401
from transformers.generation import logits_process as hf

from lmviz.checkpoints import load_model
from lmviz.config import RunConfig
from lmviz.decoding import export
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.decoding.trace import Walk, trace
from lmviz.errors import ConfigError
from lmviz.jobs import step_questions
from lmviz.jobs.questions import QUESTIONS
from lmviz.limits import MAX_STEPPED_TOKENS
from lmviz.models import build_model
from lmviz.models.base import LanguageModel
from lmviz.models.pairs import PairModel
from lmviz.packing import unpack
from lmviz.presets import preset
from lmviz.runs import Run, Store
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer, train_tokenizer
from lmviz.ui.figures.steps import tree_figure
from lmviz.ui.generate import steps, steps_address, steps_path, steps_tree

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
@pytest.mark.parametrize(
    "kind", ["ngram", "rnn", "nvsi", "gru", "lstm", "gpt", "seq2seq", "seq2seq-attention", "transformer"]
)
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
    written = list(generate(*load_model(run)[:2], DecodingConfig.model_validate({**way, "max_new_tokens": 5})))
    tokens: list[int] = []
    for token in written:
        *_, answer = QUESTIONS["step"](store, run.id, tokens=tokens, **way)
        chances, kept = unpack(answer["probabilities"]), unpack(answer["kept"])
        for i, stage in enumerate(answer["stages"]):
            assert chances[:, i].sum() + answer["tail"][i]["probability"] == pytest.approx(1, abs=1e-12)
            assert kept[:, i].sum() + answer["tail"][i]["count"] == stage["left"]
        assert [stage["name"] for stage in answer["stages"]] == ["raw", "special", "temperature", "top_k"]
        assert (np.diff(chances[:, 0]) <= 0).all()
        *_, before, last = answer["stages"]
        assert last["left"] == 5 and before["left"] == answer["vocabulary"] - 2
        assert last["removed"] == pytest.approx(1 - np.sort(chances[:, 2])[-5:].sum(), abs=1e-9)
        assert answer["drawn"] == token.id and answer["scores"][answer["ids"].index(token.id)] == 1
        row = answer["ids"].index(token.id)
        assert chances[row, -1] == pytest.approx(token.probability, abs=1e-6)
        assert answer["stages"][0]["entropy"] == pytest.approx(token.entropy, abs=1e-5)
        tokens.append(token.id)
    other = next(token for token in answer["ids"] if token not in (answer["drawn"], END))
    *_, forced = QUESTIONS["step"](store, run.id, tokens=[*tokens[:2], other, *tokens[3:]], place=2, **way)
    assert forced["place"] == 2 and forced["drawn"] == tokens[2] and other in forced["ids"]
    assert [token["token"] == token["drawn"] for token in forced["path"][:3]] == [True, True, False]
    branches = tokens, [*tokens[:2], other, *tokens[3:]], []
    one, two, none = (list(QUESTIONS["step_branch"](store, run.id, "def ", branch))[-1] for branch in branches)
    assert one["logprob"] == pytest.approx(sum(token.logprob for token in written), abs=1e-4)
    assert two["logprob"] == pytest.approx(sum(token["logprob"] for token in forced["path"]), abs=1e-6)
    assert none == {"texts": [], "logprob": 0}


def test_an_answer_reads_as_far_as_the_tokens_can_follow(places: Path) -> None:
    run = train(places, "gru")
    for tokens, read in (([5, END, 6], 2), ([5, 99999, 6], 1), ([UNK], 0), ([4] * 501, MAX_STEPPED_TOKENS)):
        *pieces, answer = QUESTIONS["step"](Store(places / "runs"), run.id, tokens=tokens)
        assert answer["read"] == read and answer["ended"] == (tokens[1:2] == [END])
        assert answer["place"] == read - answer["ended"]  # nothing comes after <end>
        assert all(0 < piece["done"] <= 1 for piece in pieces)


def test_a_walk_that_is_kept_answers_as_a_new_one(places: Path) -> None:
    """On, back, another branch, other settings: what is kept never shows."""
    run = train(places, "lstm")
    store, random = Store(places / "runs"), np.random.default_rng(0)
    paths = [random.integers(3, 12, random.integers(0, 7)).tolist() for _ in range(12)]
    paths += [paths[0][:2], [*paths[0], 5], [*paths[0][:1], 7]]
    for tokens in paths:
        for temperature in (0.5, 1.5):
            way = {"tokens": tokens, "place": int(random.integers(0, 8)), "temperature": temperature, "top_p": 0.8}
            *_, kept = QUESTIONS["step"](store, run.id, **way)
            step_questions._walks.kept.clear()
            *_, new = QUESTIONS["step"](store, run.id, **way)
            assert kept == new


def test_what_a_stage_took_and_moved() -> None:
    model, tokenizer = wild("gpt")
    walk = Walk(model, tokenizer, DecodingConfig(prompt="ab", temperature=0.5, top_k=3))
    moment = walk.moment(0)
    raw, special, warm, _best = moment.exact.numpy()
    assert moment.stages == ("raw", "special", "temperature", "top_k") and moment.left.tolist()[2:] == [len(raw) - 2, 3]
    assert moment.removed.tolist() == pytest.approx([0, raw[[UNK, BEGIN]].sum(), 0, np.sort(warm)[:-3].sum()])
    assert moment.moved[2] == pytest.approx(np.maximum(warm - special, 0).sum())
    assert moment.entropies[0] == pytest.approx(-(raw * np.log(raw)).sum())
    moments = [walk.moment(0)]
    for token in (4, 5, 6):
        walk.take(token)
        moments.append(walk.moment(len(walk.taken)))
    other = walk.fork(1)
    assert other.tokens == [4] and walk.tokens == [4, 5, 6]
    for token, wanted in ((5, moments[2]), (6, moments[3])):
        other.take(token)
        assert torch.equal(other.moment(len(other.taken)).logits, wanted.logits)
        assert torch.equal(other.moment(len(other.taken)).scores, wanted.scores)
    other.take(7), walk.take(7)
    assert torch.equal(other.moment(4).noise, walk.moment(4).noise)  # type: ignore[arg-type]
    walk.take(END)
    with pytest.raises(ConfigError, match="has ended"):
        walk.take(4)


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


def test_a_trace_that_is_too_large_is_a_sentence(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    run = train(places, "gru")
    monkeypatch.setattr(export, "MAX_TRACE_BYTES", 4000)
    with pytest.raises(ConfigError, match="Write fewer tokens"):
        export.write_trace(Store(places / "runs"), run.id, 40, {}, [4] * 50, tmp_path / "trace.npz")


# ---- the page ----


def tree(*branches: str, at: int = 0) -> steps_path.Tree:
    found = steps_path.Tree(("run", ""), [steps_path.read_path(branch)[0] for branch in branches])
    found.place = at
    return found


def test_a_path_is_written_as_it_is_read() -> None:
    assert steps_path.read_path("12,5,*33") == ([(12, False), (5, False), (33, True)], True)
    assert steps_path.read_path("12,5,x,3") == ([(12, False), (5, False)], False)
    assert steps_path.read_path("") == ([], True) and steps_path.read_path("<b>") == ([], False)
    assert steps_path.write_path(steps_path.read_path("12,*5")[0]) == "12,*5"


def test_taking_tokens_grows_branches() -> None:
    one = tree("5,6,7", at=1)
    assert one.take(6, False) and (one.current, one.place, len(one.branches)) == (0, 2, 1)  # along the path
    assert one.take(8, True) and one.path == [(5, False), (6, False), (8, True)] and len(one.branches) == 2
    one.go(1, 2)
    assert one.take(7, False) and one.current == 0  # a branch that has it is found again
    one.go(1, 3)
    assert one.take(2, False) and one.last == 3 == one.place  # <end> is looked at, nothing comes after it
    full = tree(*(f"5,{n}" for n in range(10, 10 + steps_path.MOST_BRANCHES)), at=1)
    assert not full.take(9, True) and len(full.branches) == steps_path.MOST_BRANCHES


def test_what_branches_share_is_drawn_once() -> None:
    nodes, at = steps_tree._nodes(tree("5,6,7", "5,*8,9", at=2), [["a", "b", "c"], ["a", "<b>", "d"]])
    assert [(node.depth, node.lane, node.text, node.here) for node in nodes[1:]] == [
        (1, 0, "a", True), (2, 0, "b", True), (3, 0, "c", True), (2, 1, "&lt;b&gt;", False), (3, 1, "d", False),
    ]  # fmt: skip
    assert at == (2, 0) and nodes[4].forced and nodes[4].parent == (1, 0) and nodes[4].target == (1, 2)


def test_settings_of_an_address() -> None:
    assert steps_address._value("top_p", "0.9") == 0.9 and steps_address._value("strategy", "greedy") == "greedy"
    for name, text in (("top_p", "7"), ("strategy", "beam"), ("top_k", "7"), ("seed", "-1"), ("min_p", "<b>")):
        assert steps_address._value(name, text) is None


def read_text(app: AppTest) -> list[str]:
    """The prompt, every token, and the place of the next one, as the reader has them."""
    spec = next(e.proto for e in app.get("bidi_component") if "steps_text" in e.proto.id)
    return list(json.loads(spec.json)["tokens"])


def title(app: AppTest) -> str:
    return str(figure_of(app, "steps_stages")["layout"]["title"]["text"])


def address(app: AppTest, name: str) -> str:
    return "".join(app.query_params.get(name, ""))


@pytest.fixture
def gru(places: Path) -> Run:
    return train(places, "gru")


def test_next_back_force_and_the_address(visit: Callable[..., AppTest], gru: Run, places: Path) -> None:
    app = visit("generate", run=gru.id, part="steps", prompt="def ", top_p="0.8", seed="5")
    assert title(app).startswith("Drawn: ") and not address(app, "tokens")
    assert app.slider(key="top_p").value == 0.8 and address(app, "seed") == "5"
    for _ in range(3):
        app.button(key="steps_next").click().run()
    config = DecodingConfig(prompt="def ", temperature=0.8, top_p=0.8, seed=5, max_new_tokens=3)
    written = [token.id for token in generate(*load_model(gru)[:2], config)]
    assert address(app, "tokens") == ",".join(map(str, written)) and read_text(app)[0] == "def "
    app.button(key="steps_back").click().run()
    assert address(app, "at") == "2" and len(read_text(app)) == 5
    shown = [token for token, _hover in figure_of(app, "steps_stages")["data"][0]["customdata"]]
    other = next(token for token in shown if token not in (-1, END, written[2]))
    app.selectbox(key="steps_other").select(other).run()
    assert address(app, "tokens") == ",".join(map(str, [*written[:2], f"*{other}"])) and not address(app, "at")
    assert not app.exception and address(app, "tree") == ",".join(map(str, written))
    nodes = figure_of(app, "steps_tree_chart")["data"][2]
    again = visit("generate", **{name: address(app, name) for name in app.query_params})
    assert read_text(again) == read_text(app) and title(again) == title(app)
    assert sorted(figure_of(again, "steps_tree_chart")["data"][2]["x"]) == sorted(nodes["x"])
    app.button(key="steps_again").click().run()
    assert not address(app, "tokens") and not address(app, "tree") and len(read_text(app)) == 2


def test_the_picture_holds_what_the_answer_says(visit: Callable[..., AppTest], gru: Run, places: Path) -> None:
    app = visit("generate", run=gru.id, part="steps", prompt="def ", top_k="3", repetition_penalty="1.5")
    way = {"prompt": "def ", "temperature": 0.8, "top_k": 3, "repetition_penalty": 1.5}
    *_, answer = QUESTIONS["step"](Store(places / "runs"), gru.id, tokens=[], **way)
    figure = figure_of(app, "steps_stages")
    for one in (figure, tree_figure(steps_tree._nodes(tree("5"), [["a"]])[0], [], (0, 0), "#664ed8", title="", x="",
                                    key="", window=(0, 9)).to_plotly_json()):  # fmt: skip
        go.Figure(one)  # Plotly knows every property
    names = [trace["name"] for trace in figure["data"]]
    columns = [name for name in names if name != "<b>No specials</b>"]
    assert columns == [f"<b>{name}</b>" for name in ("Model", "Repetition 1.5", "Temperature 0.8", "Top-k 3", "Draw")]
    chances = dict(zip(answer["ids"], unpack(answer["probabilities"]), strict=True))
    best = figure["data"][names.index("<b>Top-k 3</b>")]
    ids = [token for token, _hover in best["customdata"]]
    kept = [token for token in ids if token in chances and chances[token][-1] > 0]
    assert len(kept) == 3
    shapes = best["marker"]["pattern"]["shape"]
    for token, length, text, shape in zip(ids, best["x"], best["text"], shapes, strict=True):
        if token < 0:
            continue
        wanted = chances[token][-1] if token in kept else chances[token][-2]  # hatched: what it had before
        assert length == pytest.approx(wanted, rel=1e-4) and (shape == "/") == (token not in kept)
        assert (text == "×") == (token not in kept)
    told = next(one.proto.body for one in app.get("html") if 'class="steps"' in one.proto.body)
    assert "keeps 3 of" in told and f"{answer['stages'][-1]['removed']:.1%} is gone" in told
    greedy = visit("generate", run=gru.id, part="steps", prompt="def ", strategy="greedy")
    assert title(greedy).startswith("Next: ") and len(figure_of(greedy, "steps_stages")["data"]) <= 3


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"prompt": "漢"}, "never read this"), ({"tokens": "5,99999,6"}, "cannot follow here"),
        ({"tokens": "5,<b>"}, "cannot follow here"), ({"tokens": "5,2,6"}, "cannot follow here"),
        ({"tokens": "5,2"}, "The text ended here"), ({"prompt": "", "at": "99", "tree": "5,99999_x"}, ""),
    ],
)  # fmt: skip
def test_ugly_addresses(visit: Callable[..., AppTest], gru: Run, query: dict[str, str], words: str) -> None:
    app = visit("generate", run=gru.id, part="steps", **query)
    told = [one.value for one in (*app.error, *app.caption, *app.info)]
    assert not words or any(words in one for one in told), told
    if "prompt" not in query:
        assert address(app, "tokens") == ("5,2" if "5,2" in query["tokens"] else "5")
        assert app.button(key="steps_next").disabled == ("5,2" in query["tokens"])
        app.button(key="steps_back").click().run()
        assert not app.exception and not app.info


def test_pairs_and_playing(visit: Callable[..., AppTest], places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(places, "seq2seq")
    visit("generate", run=run.id, part="steps", prompt="may 7, 1995", lang="zh")
    app = visit("generate", run=run.id, part="steps", prompt="may 7, 1995")
    assert "may 7, 1995" in read_text(app)[0]
    monkeypatch.setattr(steps, "FRAME_SECONDS", 0.0)
    app.button(key="steps_play").click().run()
    for _ in range(3):
        app.run()
    playing = len(read_text(app))
    app.button(key="steps_stop").click().run()
    stopped = len(read_text(app))
    app.run()
    assert playing >= 4 and stopped >= playing and len(read_text(app)) == stopped and not app.exception
