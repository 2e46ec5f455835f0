"""Beam search on the page Generate, without a browser: what is asked, drawn and said."""
# ruff: noqa: F811  (fixtures of another module)

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from test_gradients_learning import figure_of
from test_pages import places, visit  # noqa: F401

from lmviz.decoding.beam import BeamsFound, beam_search
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.inspect.repetition import longest_repeat
from lmviz.jobs.of_run import model_of
from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Store
from lmviz.ui.generate.beam_tree import beam_tree
from lmviz.ui.generate.beam_words import finding, parting, summary_rows, times

Visit = Callable[..., AppTest]
SETTINGS: dict[str, Any] = {"prompt": "return ", "num_beams": 3, "max_new_tokens": 12, "beam_groups": 1}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def asked(store: Store, question: str, run: str = "sample-gpt", **settings: Any) -> dict[str, Any]:
    *_, answer = QUESTIONS[question](store, run, **settings)
    return answer


# ---- the questions ----


def test_a_search_and_greedy_beside_it(store: Store) -> None:
    answer = asked(store, "beam", **SETTINGS)
    model, tokenizer, step = model_of(store, "sample-gpt", None)
    *steps, found = beam_search(model, tokenizer, DecodingConfig(**SETTINGS))
    assert isinstance(found, BeamsFound) and answer["step"] == step
    assert [one["text"] for one in answer["hypotheses"]] == [one.text for one in found.hypotheses]
    assert [one["score"] for one in answer["hypotheses"]] == [one.score for one in found.hypotheses]
    nodes = [(step.number, node) for step in steps for node in step.candidates]  # type: ignore[union-attr]
    assert answer["nodes"]["step"] == [number for number, _ in nodes]
    assert answer["nodes"]["total"] == [node.total for _, node in nodes]
    greedy = list(generate(model, tokenizer, DecodingConfig(strategy="greedy", prompt="return ", max_new_tokens=12)))
    assert answer["greedy"]["tokens"] == tuple(token.id for token in greedy)
    assert answer["greedy"]["own"] == pytest.approx(sum(token.logprob for token in greedy), abs=1e-5)


def test_longer_texts_of_more_beams_are_measured(store: Store) -> None:
    settings = {"prompt": "return ", "max_new_tokens": 40, "seed": 5}
    answer = asked(store, "beam_widths", **settings)
    model, tokenizer, _ = model_of(store, "sample-gpt", None)
    assert [row["beams"] for row in answer["rows"]] == [1, 2, 4, 8, None]
    for row in answer["rows"][:-1]:
        *_, found = beam_search(model, tokenizer, DecodingConfig(num_beams=row["beams"], **settings))
        assert isinstance(found, BeamsFound)
        assert (row["text"], row["own"]) == (found.hypotheses[0].text, found.hypotheses[0].own)
        assert row["repeat"] == longest_repeat(row["text"])  # a token is a character
    drawn = list(generate(model, tokenizer, DecodingConfig(**settings)))
    assert answer["rows"][-1]["text"] == "".join(token.piece for token in drawn)
    assert answer["rows"][-1]["own"] == pytest.approx(sum(token.logprob for token in drawn))


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("abc", 0), ("aa", 1), ("aaaa", 2), ("aaaaa", 2), ("xabcyabcz", 3), ("abab", 2),
                         ("ababa", 2)]
)  # fmt: skip
def test_the_longest_run_that_comes_twice(text: str, length: int) -> None:
    assert longest_repeat(text) == length
    halves = [n for n in range(1, len(text)) for i in range(len(text)) if i + n <= len(text) and text[i : i + n] in
              text[i + n :]]  # fmt: skip
    assert length == max(halves, default=0)


# ---- the tree ----


def test_every_candidate_has_a_place_and_the_best_text_is_a_path(store: Store) -> None:
    answer = asked(store, "beam", **SETTINGS, stop=["\n"], length_penalty=0.0)
    tree = beam_tree(answer, SETTINGS)
    best = answer["hypotheses"][0]
    assert [end[0] for _, end in tree.edges["best"]] == list(range(1, best["length"] + 1))
    assert all(a[1] == b[0] for a, b in itertools.pairwise(tree.edges["best"]))
    greedy = tree.edges["greedy"]
    assert len(greedy) == answer["greedy"]["length"]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(greedy))
    places = list(zip(tree.x, tree.y, strict=True))
    assert len(set(places)) == len(places)  # nothing lies upon another
    shown = sum(rank < 6 or fate != "pruned" for rank, fate in zip(answer["nodes"]["rank"], answer["nodes"]["fate"],
                                                                   strict=True))  # fmt: skip
    own = sum(look == "greedy" for look in tree.looks)
    assert len(places) == shown + 1 + own
    drawn = sum(len(tree.edges[look]) for look in ("best", "kept", "dropped"))
    assert drawn == shown
    assert sum("dropped: 3 others are more probable" in hover for hover in tree.hovers) > 10


def test_groups_stand_apart_and_greedy_follows_the_group_that_goes_with_it(store: Store) -> None:
    settings = {**SETTINGS, "num_beams": 4, "beam_groups": 2, "diversity_penalty": 0.4}
    answer = asked(store, "beam", **settings)
    tree = beam_tree(answer, settings)
    assert list(tree.labels.values())[:2] == ["likeliest", "group 2"]
    first, second = list(tree.labels)[:2]
    assert second - first == 5  # four candidates and a gap
    assert any("for diversity" in hover for hover in tree.hovers)
    followed = [place for _, place in tree.edges["greedy"] if place[1] < second]
    assert followed == [place for _, place in tree.edges["greedy"]][: len(followed)] and followed


# ---- the words ----


def text(*tokens: str, own: float, score: float) -> dict[str, Any]:
    return {"tokens": tokens, "texts": tokens, "own": own, "score": score}


def test_the_finding_says_which_text_is_more_probable() -> None:
    greedy = text("a", " ", "c", own=-4.0, score=-2.0)
    best = text("a", "b", "d", own=-4.0 + math.log(30), score=-1.0)
    said = finding({"hypotheses": [best], "greedy": greedy})
    assert said == "Greedy takes “␣” at token 2, beam search “b”: its text is 30 times as probable as greedy's"
    assert "finds greedy's text" in finding({"hypotheses": [greedy], "greedy": greedy})
    shorter = text("a", own=-6.0, score=-1.5)
    assert "scores lower for its length" in finding({"hypotheses": [shorter], "greedy": greedy})
    assert "had left its beginning" in finding({"hypotheses": [{**shorter, "score": -3.0}], "greedy": greedy})
    assert "without the penalties" in finding({"hypotheses": [shorter], "greedy": greedy}, changed=True)
    assert parting((1, 2), (1, 2)) is None and parting((1, 2), (1, 2, 3)) == 2 and parting((1,), (2,)) == 0
    assert [times(nats) for nats in (0.1, 1.0, 5.0, 23.03)] == ["1.11", "2.7", "148", "10^10"]


def test_the_table_tells_what_the_length_penalty_did(store: Store) -> None:
    settings = {**SETTINGS, "num_beams": 4, "max_new_tokens": 24, "stop": ["\n"]}
    changed = 0
    for penalty in (0.0, 0.5):
        answer = asked(store, "beam", **{**settings, "length_penalty": penalty})
        rows = summary_rows(answer, 1)
        assert [row["place"] for row in rows] == ["1", "2", "3", "4", "greedy"]
        alone = [row["by log-probability"] for row in rows[:-1]]
        assert sorted(place[0] for place in alone) == ["1", "2", "3", "4"]
        changed += any("↑" in place for place in alone)
        assert (penalty == 0) <= (alone == ["1", "2", "3", "4"])
    assert changed


# ---- the page ----


def heading(app: AppTest) -> str:
    return str(app.subheader[0].value)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_tree_is_there_on_opening(visit: Visit, lang: str) -> None:
    app = visit("generate", part="beam", run="sample-gpt", lang=lang, prompt="return ", num_beams="3", beam_length="12")
    assert not app.exception and not app.error
    names = [trace.get("name") for trace in figure_of(app, "beam_tree")["data"]]
    assert len(names) == 5
    nodes = figure_of(app, "beam_tree")["data"][-1]
    assert len(nodes["text"]) >= 12 * 6 + 1
    assert len(app.dataframe) == 2 and len(app.dataframe[0].value) == 4


def test_controls_ask_anew(visit: Visit, store: Store) -> None:
    app = visit("generate", part="beam", run="sample-gpt", prompt="return ", num_beams="4", beam_length="24")
    assert "equally long" in app.caption[0].value
    app.toggle(key="beam_lines").set_value(True)
    app.slider(key="length_penalty").set_value(0.0).run()
    assert "searches anew" in app.caption[0].value
    answer = asked(store, "beam", prompt="return ", num_beams=4, max_new_tokens=24, stop=["\n"], length_penalty=0.0)
    assert heading(app) == finding(answer)
    assert list(app.dataframe[0].value["tokens"])[:4] == [one["length"] for one in answer["hypotheses"]]
    app.segmented_control(key="beam_groups").set_value(2).run()
    assert app.query_params["groups"] == "2" and "earlier groups" in app.caption[0].value
    app.slider(key="num_beams").set_value(3).run()  # two groups of three beams there are not
    assert not app.exception and not app.error and "groups" not in app.query_params
    app.slider(key="no_repeat_ngram").set_value(2).run()
    assert "after the penalties" in app.caption[0].value


def test_a_prompt_that_was_never_read_is_a_sentence(visit: Visit) -> None:
    app = visit("generate", part="beam", run="sample-gpt", prompt="画")
    assert not app.exception and "never read this" in app.error[0].value


def test_a_source_is_searched_too(visit: Visit) -> None:
    app = visit("generate", part="beam", run="sample-dates-seq2seq-attention", prompt="may 7, 1995")
    assert not app.exception and not app.error
    assert app.dataframe[0].value["text"][0] == "1995-05-07" and not app.toggle(key="early_stopping").value


def test_of_a_task_only_the_answer_is_searched(visit: Visit) -> None:
    app = visit("generate", part="beam", run="sample-memory-lstm-5")
    assert not app.exception and not app.error and len(app.dataframe) == 1
    assert set(app.dataframe[0].value["tokens"]) == {1}
