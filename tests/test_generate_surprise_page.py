"""Page Generate without a browser: how surprised a model is by a text, and whether its code is Python."""
# ruff: noqa: F811  (fixtures of another module)

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_gates_page import train
from test_gradients_learning import figure_of
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401

from lmviz.inspect.shares import wilson
from lmviz.jobs.questions import QUESTIONS
from lmviz.limits import MAX_SHOWN_TOKENS
from lmviz.packing import pack, unpack
from lmviz.runs import Run, Store
from lmviz.ui.generate import code, code_training, surprise, surprise_difference
from lmviz.ui.generate.surprise_told import Told, percent

Visit = Callable[..., AppTest]


@pytest.fixture
def lstm(places: Path) -> Run:
    return train(places, "lstm", recording={"checkpoints": 3})


def reader_of(app: AppTest) -> dict[str, Any]:
    spec = next(one.proto for one in app.get("bidi_component") if "surprise_reader" in one.proto.id)
    return dict(json.loads(spec.json))


def heading(app: AppTest) -> str:
    return app.subheader[0].value


def told(nats: list[float], **more: Any) -> dict[str, Any]:
    """An answer about so many tokens "a", "b", ..."""
    count = len(nats)
    return {
        "tokens": count, "texts": [chr(97 + place) for place in range(count)], "ranks": [1, count - 1, 0, 0],
        "logprobs": pack(-np.array(nats, np.float32)), "lengths": pack(np.ones(count, np.uint8)),
        "token_ranks": pack(np.arange(1, count + 1, dtype=np.int32)), "entropies": pack(np.ones(count, np.float32)),
        "likeliest": pack(np.zeros((count, 1), np.int32)), "chances": pack(np.full((count, 1), 0.5, np.float32)),
        "names": ["\n"], "bits_per_char": 1.5, "nats": sum(nats), "loss": sum(nats) / count, "unknown": [],
    } | more  # fmt: skip


# ---- words ----


def test_the_finding_names_the_most_surprising_token_and_what_the_model_wrote_itself() -> None:
    answer, usual = told([0.1, 4.0, 0.2, 0.1]), told([1.0, 2.0], bits_per_char=2.25)
    said = surprise.finding(answer, Told(answer), None, usual)
    assert "guessed 25%" in said and "1.50 bits" in said and "“b” after “a”" in said
    first = told([4.0, 0.1])
    assert "the first, “a”," in surprise.finding(first, Told(first), None, usual)
    own = surprise.finding(answer, Told(answer), "sample", usual)
    assert "drawn at temperature 0.8: 25%" in own and "1.50 bits a character; of held-out text 50%, 2.25 bits" in own
    assert surprise.finding(answer, Told(answer), "greedy", usual).startswith("Its own likeliest text: 25%")


def test_a_token_is_told_in_one_line() -> None:
    line = Told(told([0.1, 4.0])).words(1)
    assert line == "b: probability 1.8%, rank 2, 4.00 nats (expected 1.00); likeliest: ⏎ 50.0%"
    assert percent(0.00002) == "2.0e-05"


def test_two_totals_are_compared_in_the_digits_that_are_shown() -> None:
    one, other = told([1.0], bits_per_char=1.5), told([1.0], bits_per_char=1.25)
    assert surprise_difference.finding(one, other, ("GPT", "LSTM")).startswith("LSTM expects this text more: 1.25")
    assert surprise_difference.finding(other, one, ("GPT", "a*b")).endswith("a\\*b needs 1.50")
    assert "alike: 1.50" in surprise_difference.finding(one, told([1.0], bits_per_char=1.504), ("GPT", "LSTM"))


def test_spans_have_their_text_also_where_a_character_is_cut() -> None:
    text = "a画b"
    first = {"lengths": pack(np.array([1, 3, 1], np.uint8)), "logprobs": pack(np.array([-1, -2, -4], np.float32))}
    second = {"lengths": pack(np.array([2, 2, 1], np.uint8)), "logprobs": pack(np.array([-1, -1, -1], np.float32))}
    found = surprise_difference.differences(text, first, second)
    assert found.texts == ["a画", "b"] and found.gains.tolist() == [1.0, 3.0]
    both = surprise_difference.differences(text, second, second)
    assert both.texts == ["a\ufffd", "\ufffd\ufffd", "b"]


def test_a_rise_is_said_only_where_it_is_sure() -> None:
    def moments(*counts: int) -> list[dict[str, int]]:
        return [{"step": place, "parses": count, "count": 64} for place, count in enumerate(counts)]

    assert "rises from 0% to 31%" in code_training.finding(moments(0, 3, 20))
    assert "falls from 50% to 16%" in code_training.finding(moments(32, 10))
    assert "too few texts" in code_training.finding(moments(10, 16))
    assert code.share_words(4, 16) == "25% (95% interval 10% to 49%)"


def test_verdicts() -> None:
    text = {"parses": False, "text": " x\n", "error": "invalid syntax", "line": 3}
    assert code.verdict(text) == "line 3: invalid syntax"
    assert code.verdict({**text, "parses": True}) == "valid"
    assert code.verdict({**text, "text": "\n"}) == "no whole line was written"
    assert code.verdict({**text, "line": None, "error": "null bytes"}) == "null bytes"


# ---- How surprised? ----


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_text_is_answered_at_once(lstm: Run, places: Path, visit: Visit, lang: str) -> None:
    text = CODE[:30]
    app = visit("generate", run=lstm.id, part="surprise", text=text, lang=lang)
    assert not app.exception and not [one.value for one in app.error]
    *_, answer = QUESTIONS["surprise"](Store(places / "runs"), run=lstm.id, text=text)
    assert app.metric[0].value == f"{answer['loss']:.4f}"
    shown = reader_of(app)
    nats = -unpack(answer["logprobs"]).astype(np.float64)
    assert shown["tokens"] == list(text) and len(shown["tips"]) == 30
    np.testing.assert_allclose(shown["shades"], -100 * np.minimum(1, nats / 6), atol=0.51)
    bars = figure_of(app, "surprise_along")["data"][0]
    np.testing.assert_allclose(bars["y"], nats, rtol=1e-3, atol=1e-6)
    ranks = figure_of(app, "surprise_ranks")["data"][0]
    assert ranks["customdata"] == answer["ranks"]


def test_what_the_model_writes_is_taken_and_held_out_text_given_back(lstm: Run, visit: Visit) -> None:
    app = visit("generate", run=lstm.id, part="surprise")
    held_out = app.text_area(key="surprise_text").value
    assert "“" in heading(app)
    take = next(one for one in app.button if one.label == "Take what the model writes")
    take.click().run()
    assert not app.exception and "drawn at temperature 0.8" in heading(app)
    drawn = app.text_area(key="surprise_text").value
    assert drawn != held_out and "".join(reader_of(app)["tokens"]) == drawn
    assert all("held-out: " in one.delta for one in app.metric[:3])
    next(one for one in app.button if one.label == "Take what the model writes").click().run()
    assert app.text_area(key="surprise_text").value != drawn
    next(one for one in app.button if one.label == "Its likeliest").click().run()
    assert heading(app).startswith("Its own likeliest text")
    next(one for one in app.button if one.label == "Held-out text").click().run()
    assert app.text_area(key="surprise_text").value == held_out


def test_two_models_add_up_to_their_totals(lstm: Run, places: Path, visit: Visit) -> None:
    other = train(places, "gpt")
    app = visit("generate", run=lstm.id, part="surprise", text=CODE[:40], **{"with": other.id})
    assert not app.exception and not [one.value for one in app.error]
    assert app.query_params["with"] in (other.id, [other.id]) and "expect" in heading(app)
    answers = [
        [*QUESTIONS["surprise"](Store(places / "runs"), run=run.id, text=CODE[:40])][-1] for run in (lstm, other)
    ]
    bars = figure_of(app, "surprise_difference")["data"][0]
    assert sum(bars["y"]) == pytest.approx(answers[0]["nats"] - answers[1]["nats"], abs=0.02)
    table = next(one.value for one in app.markdown if "|---" in one.value)
    for answer in answers:
        assert f"{answer['nats']:,.2f}" in table and f"{answer['bits_per_char']:.4f}" in table
    ranks = figure_of(app, "surprise_ranks")["data"]
    assert [trace["customdata"] for trace in ranks] == [answer["ranks"] for answer in answers]


def test_a_long_strange_text_is_shown_in_part_and_escaped(lstm: Run, visit: Visit) -> None:
    app = visit("generate", run=lstm.id, part="surprise")
    app.text_area(key="surprise_text").set_value("<b>画*</b>" * 400).run()
    assert not app.exception and not [one.value for one in app.error]
    assert len(reader_of(app)["tokens"]) == MAX_SHOWN_TOKENS
    notes = " ".join(one.value for one in app.caption)
    assert "first 2,000 of 3,600 tokens" in notes and "never read" in notes and "画" in notes
    assert "<b>" not in json.dumps(figure_of(app, "surprise_along")["data"])
    assert "<b>" not in html.unescape("".join(one.value for one in app.subheader)).replace("\\<b\\>", "")
    app.text_area(key="surprise_text").set_value("").run()
    assert not app.exception and "There is no text" in app.error[0].value


# ---- Code ----


def test_a_model_of_code_completes_and_one_of_prose_is_sent_on(lstm: Run, places: Path, visit: Visit) -> None:
    snippet = "def f(a, b):"
    app = visit("generate", run=lstm.id, part="code", snippet=snippet)
    assert not app.exception and not [one.value for one in app.error]
    *_, answer = QUESTIONS["code"](
        Store(places / "runs"), run=lstm.id, prompt=snippet, count=16, seed=1, strategy="sample", temperature=0.8,
        max_new_tokens=code.LENGTH,
    )  # fmt: skip
    low, high = wilson(answer["parses"], 16)
    assert heading(app).startswith(f"{answer['parses']} of 16 completions")
    assert f"{low:.0%} to {high:.0%}" in heading(app)
    assert app.code[0].value == (snippet + answer["texts"][0]["text"]).strip() and app.code[0].language == "python"
    assert len(app.code) == code.SHOWN and len(app.dataframe[0].value) == 16

    next(one for one in app.button if one.label == "Measure over training").click().run()
    assert not app.exception
    traces = figure_of(app, "code_training")["data"]
    assert len(traces[1]["y"]) == len(lstm.checkpoint_steps()) and traces[2]["yaxis"] == "y2"

    app.button_group(key="strategy").set_value("greedy").run()
    assert " of 1 completions" in heading(app)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_other_models_are_sent_on(places: Path, visit: Visit, lang: str) -> None:
    app = visit("generate", run="sample-gpt", part="code", lang=lang)
    assert not app.exception and app.info and not app.code
    if lang == "en":
        next(one for one in app.button if one.label == "Take the sample that learned Python").click().run()
        assert not app.exception and app.query_params["run"] in (code.SAMPLE, [code.SAMPLE]) and app.code
