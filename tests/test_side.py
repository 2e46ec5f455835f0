"""Texts side by side, and what is measured of them, against `generate`, beam search and brute force."""
# ruff: noqa: F811  (fixtures of another module)

import csv
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_gates_page import train
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401

from lmviz.config import TokenizerConfig
from lmviz.decoding.beam import BeamsFound, beam_search
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.errors import ConfigError
from lmviz.inspect import copying
from lmviz.inspect.copying import copied, distinct, search, span_length
from lmviz.inspect.learned_text import learned_text
from lmviz.inspect.repetition import longest_repeat
from lmviz.jobs.of_run import model_of
from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Run, Store
from lmviz.tokenizers import train_tokenizer
from lmviz.turns import finish
from lmviz.ui.generate.side_table import as_csv, table_html
from lmviz.ui.generate.side_words import finding, spans
from lmviz.ui.generate.ways import FIRST, read_ways, way_name, write_ways

WAYS = "greedy;beam3;t0.5,k5;t0.8,p0.9;t1.2,m0.05;t1,r1.3,n3"


@pytest.fixture
def gru(places: Path) -> Run:
    return train(places, "gru")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_copied_is_what_a_brute_force_search_finds(seed: int) -> None:
    some = random.Random(seed)
    source = "".join(some.choices("ab ", k=200))
    text = "".join(some.choices("abc ", k=60))
    found = copied(text, source, 5)
    for place in range(len(text)):
        spans = [text[a:b] for a in range(place + 1) for b in range(max(place + 1, a + 5), len(text) + 1)]
        assert found[place] == any(span in source for span in spans if len(span) >= 5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mix", [None, 0])
def test_several_texts_are_searched_at_once_in_pieces_of_a_source(
    seed: int, mix: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any length, from any piece, and where all spans have the same hash."""
    if mix is not None:
        monkeypatch.setattr(copying, "MIX", np.uint64(mix))
    some = random.Random(seed)
    source = "".join(some.choices("ab漢🙂", [9, 9, 1, 1], k=300))
    texts = ["".join(some.choices("ab漢🙂c", [9, 9, 1, 1, 1], k=some.randrange(60))) for _ in range(5)] + [""]
    least = [some.randint(1, 9) for _text in texts]
    for piece in (1, 7, 64, 1000):
        *_, found = search(texts, source, least, piece)
        for text, length, marks in zip(texts, least, found, strict=True):
            expected = [False] * len(text)
            for start in range(len(text) - length + 1):
                if text[start : start + length] in source:
                    expected[start : start + length] = [True] * length
            assert marks == expected
    assert any(map(any, found))


def test_a_copy_does_not_go_over_what_parts_two_documents_or_what_is_no_text() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=300), ["abcd efgh 漢字", "ijkl mnop"])
    documents = ["abcd efgh 漢字", "ijkl mnop", "漢 abcd"]
    tokens = tokenizer.encode_documents(documents)
    for piece in (1, 3, 1000):
        source = finish(learned_text(tokenizer, tokens, piece))
        assert [part for part in source.split("\ufffd") if part] == documents
    assert copied("漢字ijkl", source, 3) == [False] * 2 + [True] * 4
    assert copied("d\ufffd\ufffdi", "cd\ufffd\ufffdij", 2) == [False] * 4
    assert finish(learned_text(tokenizer, tokens[:0])) == ""


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_repeat_is_what_a_brute_force_search_finds(seed: int) -> None:
    some = random.Random(seed)
    text = "".join(some.choices("ab ", [8, 3, 1], k=some.randrange(40)))
    longest = max(
        (n for n in range(1, 21) for i in range(len(text) - n + 1) if text[i : i + n] in text[i + n :]), default=0
    )  # fmt: skip
    assert longest_repeat(text) == longest_repeat(list(text)) == longest


def test_distinct_and_spans_by_hand() -> None:
    assert distinct("abab", 1) == 0.5 and distinct("abab", 2) == pytest.approx(2 / 3)
    assert distinct("a", 2) is None and distinct("", 1) is None
    assert span_length("春江潮水連海平 ab") == 8 and span_length("spring") == 20
    assert copied("abc", "abc", 20) == [False] * 3


def test_each_text_is_what_its_way_writes_alone(places: Path, gru: Run) -> None:
    store = Store(places / "runs")
    common = {"prompt": "def ", "max_new_tokens": 40, "seed": 4}
    ways = read_ways(WAYS)
    grown: list[list[int]] = [[] for _way in ways]
    answer: dict[str, Any] = {}
    done = 0.0
    for answer in QUESTIONS["side"](store, sides=[{"run": gru.id, "step": None, **common, **way} for way in ways]):
        assert done <= (done := answer.get("done", done)) + 1e-9 <= 1 + 2e-9
        for place, tokens in answer.get("new", ()):
            grown[place] += [token["id"] for token in tokens]
    assert grown == [[token["id"] for token in side["tokens"]] for side in answer["sides"]]
    assert [side["together"] for side in answer["sides"]] == [5, 1, 5, 5, 5, 5]
    model, tokenizer, _ = model_of(store, gru.id, None)
    for way, side in zip(ways, answer["sides"], strict=True):
        config = DecodingConfig.model_validate({**common, **way})
        if config.strategy == "beam":
            *_, found = beam_search(model, tokenizer, config)
            assert isinstance(found, BeamsFound)
            assert side["text"] == found.hypotheses[0].text
            assert side["logprob"] == pytest.approx(found.hypotheses[0].own, abs=1e-4)
            continue
        alone = list(generate(model, tokenizer, config))
        assert [token["id"] for token in side["tokens"]] == [token.id for token in alone]
        assert side["logprob"] == pytest.approx(sum(token.logprob for token in alone))
        marks = copied(side["text"], CODE * 50, 20)
        assert side["copied"] == pytest.approx(sum(marks) / len(marks)) and side["span"] == 20


def test_moments_and_limits(places: Path, gru: Run) -> None:
    store = Store(places / "runs")
    side = {"run": gru.id, "step": 0, "prompt": "def ", "max_new_tokens": 9}
    *_, answer = QUESTIONS["side"](store, sides=[side, side | {"step": gru.checkpoint_steps()[-1]}])
    assert [one["step"] for one in answer["sides"]] == [0, gru.checkpoint_steps()[-1]]
    assert answer["sides"][0]["text"] != answer["sides"][1]["text"]
    for bad in ([], [side] * 7, [side | {"max_new_tokens": 501}]):
        with pytest.raises(ConfigError):
            list(QUESTIONS["side"](store, sides=bad))


def test_ways_stand_in_the_address() -> None:
    ways = read_ways(WAYS)
    assert write_ways(ways) == WAYS and len(ways) == 6
    assert ways[1] == {"strategy": "beam", "num_beams": 3} and ways[2] == {"temperature": 0.5, "top_k": 5}
    assert read_ways("nonsense") == read_ways(FIRST) == read_ways("t0;beam99;x1")
    assert way_name(ways[3]) == "T 0.8, top-p 0.9"


def side(text: str, **measures: Any) -> dict[str, Any]:
    values = {
        "run": "r", "step": 3, "text": text, "perplexity": 2.0, "logprob": -9.0, "entropy": 1.0, "distinct_1": 0.5,
        "distinct_2": 0.5, "repeated": 4, "copied": 0.0, "count": 9, "seconds": 0.5, "tokens_per_second": 18.0,
        "span": 20, "together": 1,
    }  # fmt: skip
    return values | measures


def test_the_sentence_names_who_leads() -> None:
    sides = [side("a", repeated=30, copied=0.4), side("b", distinct_2=1.0), side("c", distinct_2=1.0, distinct_1=0.9)]
    told = finding(["A", "B", "C"], sides)
    assert (
        told
        == "Copies most: A, 40% of its text. Repeats most: A, 30 characters. Most varied: C, 100% of its pairs differ"
    )
    assert finding(["A", "B"], sides[1:]).startswith("Repeats most: A, 4")  # nobody copies
    assert finding(["A", "B"], [side("a", copied=None), side("a")]) == "All 2 texts are the same"
    assert finding(["A"], [side("a", distinct_2=None)]) == "A: perplexity 2.00, longest repeated span 4 characters"
    assert spans(sides) == "20" and spans([side("a", span=8), *sides]) == "20 (8 in Chinese)"


def test_the_table_marks_what_is_best_and_escapes_names() -> None:
    sides = [side("a", repeated=3, copied=None), side("b", copied=0.2)]
    table = table_html(["<b>x</b>", "y"], sides, judged=True)
    assert "&lt;b&gt;x&lt;/b&gt;" in table and "<b>" not in table
    assert table.count("best") == 1 and '<td class="best">3</td>' in table  # ties and single values are not better
    assert "<td>–</td>" in table and "<td>20%</td>" in table
    assert "best" not in table_html(["x", "y"], sides, judged=False)
    growing = table_html(["x"], [{"count": 7}], judged=False)
    assert growing.count("<td>–</td>") == 8 and "<td>7</td>" in growing


def test_the_file_holds_every_digit_and_no_formula() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(["=1+1", "y"], [side("+a,\n"), side("b", copied=None)], "p"))))
    assert [line["name"] for line in lines] == ["'=1+1", "y"] and lines[0]["text"] == "'+a,\n"
    assert lines[0]["perplexity"] == "2.0" and lines[1]["copied"] == "" and lines[0]["copied"] == "0.0"


def test_long_texts_wait_for_a_button(visit: Callable[..., AppTest], gru: Run) -> None:
    app = visit("generate", run=gru.id, part="side", prompt="def ", tokens_each="300", ways="greedy;t0.8")
    assert not app.exception and not app.subheader
    app.button(key="side_write").click().run()
    assert not app.exception and app.subheader[0].value
    assert not any(button.key == "side_write" for button in app.button)


@pytest.mark.parametrize("differs", ["ways", "runs", "moments"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_part_opens_with_texts(visit: Callable[..., AppTest], gru: Run, differs: str, lang: str) -> None:
    app = visit("generate", run=gru.id, part="side", prompt="def ", differs=differs, tokens_each="40", lang=lang)
    assert not app.exception and not app.error
    texts = [one for one in app.get("html") if 'class="written' in one.proto.body]
    (table,) = [one.proto.body for one in app.get("html") if 'class="sides"' in one.proto.body]
    assert len(texts) == table.count("<tr>") - 1 >= 1
    assert ("best" in table) == (differs == "ways")
    assert app.subheader[0].value


def test_an_unknown_prompt_is_a_sentence(visit: Callable[..., AppTest], gru: Run) -> None:
    app = visit("generate", run=gru.id, part="side", prompt="漢")
    assert not app.exception and "never read this" in app.error[0].value
