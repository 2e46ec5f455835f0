"""Page Gradients, "Where it goes": the map, the shaded text, and the page in both languages."""
# ruff: noqa: F811  (fixtures of another module)

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from test_gradients_learning import figure_of, train
from test_pages import places, visit  # noqa: F401

from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Run, Store
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.dependence import dependence_figure
from lmviz.ui.gradients import reading as words
from lmviz.ui.gradients.reading import Reading, reading_of, shade
from lmviz.ui.recurrent_runs import DEFAULT_TOKENS, default_text


def reading(tokens: list[str], factor: float = 0.1, label: str = "GRU") -> Reading:
    """Each step back keeps `factor`."""
    rows = [[factor ** (tau - t) for t in range(tau + 1)] for tau in range(len(tokens))]
    return Reading(label, 40, tokens, ["<begin>", *tokens[:-1]], [1.0] * len(tokens), rows)


def shades(html: str) -> list[int]:
    return [int(value) for value in re.findall(r"--unsure:(\d+)%", html)]


# ---- the figure ----


def test_the_map_is_the_answer_and_its_chosen_row_framed() -> None:
    one = reading(list("abcd"), 0.5)
    figure = dependence_figure(
        one.rows, words.names(one.inputs), words.names(one.tokens), 2, title="", x="", y="", hover="", bar=""
    )
    drawn = figure.data[0]
    for tau, row in enumerate(one.rows):
        np.testing.assert_allclose(drawn.z[tau][: tau + 1], np.log10(row), atol=1e-6)
        assert list(drawn.customdata[tau]) == row
        assert np.isnan(drawn.z[tau][tau + 1 :]).all(), "what comes later cannot count"
    assert list(drawn.x) == ["1 <begin>", "2 a", "3 b", "4 c"] and list(drawn.y) == ["1 a", "2 b", "3 c", "4 d"]
    assert (drawn.zmin, drawn.zmax) == (pytest.approx(-3), 0)
    frame = figure.layout.shapes[0]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (-0.5, 2.5, 1.5, 2.5)


# ---- the text ----


@pytest.mark.parametrize(
    ("share", "per_cent"), [(1, 100), (0.1, 67), (0.01, 33), (1e-3, 0), (0, 0), (1e-200, 0), (3, 100)]
)
def test_shades_are_logarithms(share: float, per_cent: int) -> None:
    assert shade(share) == per_cent


def test_every_token_read_is_shaded_and_what_follows_is_not() -> None:
    html = words.passage(reading(list("abcdef")), 3)
    assert shades(html) == [0, 33, 67, 100]
    assert 'class="later">ef<' in html and ">d</span>" in html
    assert words.row_of({"point": [3, 1]}) == 3 and words.row_of({}) is None


def test_text_is_only_text() -> None:
    one = reading(["<b>", "&", "\n", '"', "<img src=x onerror=alert(1)>"], label="<i>name</i>")
    for tau in range(5):
        html = words.passage(one, tau)
        assert "<b>" not in html and "<img" not in html and "<i>" not in html


def test_reach_counts_states_with_a_thousandth() -> None:
    assert reading(list("abcdef"), 0.1).reach(5) == 4
    assert reading(list("abcdef"), 0.9).reach(5) == 6
    far, near = reading(list("abcdef"), 0.9), reading(list("abcdef"), 0.1, "RNN")
    assert words.finding([near, far], [5, 5]) == ("For “f” the gradient of GRU reaches 6 states back, of RNN 4")
    assert words.finding([far, far], [5, 5]) == "For “f” the gradient of both reaches 6 states back"
    assert words.finding([far, far], [0, 0]) == "For “a” the gradient of both reaches 1 state back"
    assert words.head(near, 5).endswith("the loss at “f” is 1.00 nats; its gradient reaches back 4 of 6 states")
    assert words.head(near, 0).endswith("1 of 1 state")


def test_the_same_run_at_two_moments_is_named_with_both() -> None:
    late, early = reading(list("abcdef"), 0.9), replace(reading(list("abcdef"), 0.1), step=7)
    assert words.titles([late, early]) == ["GRU after 40 updates", "GRU after 7 updates"]
    assert words.titles([late, late]) == ["GRU", "GRU"] and words.titles([late]) == ["GRU"]
    assert words.finding([early, late], [5, 5]) == (
        "For “f” the gradient of GRU after 40 updates reaches 6 states back, of GRU after 7 updates 4"
    )
    assert words.head(early, 5).startswith("GRU, after 7 updates: ")


@pytest.mark.parametrize(("kind", "text"), [("char", "a猫b"), ("word", "a 🐈 b")])
def test_what_a_model_does_not_know_is_shown_as_typed_and_marked(kind: str, text: str) -> None:
    tokens = [words.UNKNOWN if not piece.strip().isascii() else piece for piece in words.typed_pieces(kind, text)]
    answer = {"step": 4, "tokens": tokens, "inputs": ["<begin>", *tokens[:-1]], "losses": [1.0] * 3,
              "maps": {"hidden": [[1.0], [0.5, 1.0], [0.1, 0.5, 1.0]]}}  # fmt: skip
    one = reading_of("GRU", answer, "hidden", kind, text)
    assert "".join(one.tokens) == text and one.unknown == {1} and list(one.inputs) == ["<begin>", *one.tokens[:2]]
    assert words.finding([one, one], [1, 1]) == "" and words.finding([one, one], [2, 2])
    framed, read = words.passage(one, 1), words.passage(one, 2)
    assert 'class="tok chosen unknown"' in framed and "it does not know" in framed and "reaches back" not in framed
    assert f">{one.tokens[1]}</span>" in read and 'class="tok unknown"' in read and words.UNKNOWN not in read


def test_models_with_other_tokens_share_the_place() -> None:
    letters, pairs = reading(list("abcdefg")), reading(["ab", "cde", "fg"])
    assert [pairs.same_place(letters, tau) for tau in range(7)] == [0, 0, 1, 1, 1, 2, 2]
    assert [letters.same_place(pairs, tau) for tau in range(3)] == [1, 4, 6]
    assert letters.same_place(reading(list("abcdefg"), 0.5), 4) == 4


def test_the_first_text_is_a_line_with_words(places: Path) -> None:
    run = Store(places / "runs").get("sample-rnn")
    text = default_text(run)
    assert text.startswith("The example above shows") and 40 < len(text) <= DEFAULT_TOKENS
    assert text in "".join(run.breakdown()["tokens"])


# ---- the page ----


@pytest.fixture
def gru(places: Path) -> Run:
    return train(places, "gru")


def shown(app: AppTest) -> list[str]:
    return [block.proto.body for block in app.get("html") if 'class="passage-head"' in block.proto.body]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_two_models_share_text_and_token(gru: Run, places: Path, visit: Callable[..., AppTest], lang: str) -> None:
    lstm = train(places, "lstm")
    address: dict[str, Any] = {"run": gru.id, "second": lstm.id, "text": "the way of the", "token": "9", "lang": lang}
    app = visit("gradients", part="text", state="cell", first_step="0", **address)
    store = Store(places / "runs")
    for html, run, step in zip(shown(app), (gru, lstm), (0, 40), strict=True):
        *_, answer = QUESTIONS["dependence"](store, run=run.id, text="the way of the", step=step)
        one = reading_of("", answer, "cell", "char", "the way of the")
        assert shades(html) == [shade(share) for share in one.rows[8]]
        assert 'class="later">f the<' in html
    for side in ("first", "second"):
        assert figure_of(app, f"dependence_{side}")["layout"]["shapes"][0]["y0"] == 7.5
    app.slider(key="text_token").set_value(3).run()
    assert app.query_params["token"] == "3" and [len(shades(html)) for html in shown(app)] == [3, 3]
    app.text_area(key="text_typed").set_value("a day").run()
    assert app.query_params["text"] == "a day" and app.slider(key="text_token").max == 5
    app.text_area(key="text_typed").set_value("a day in the life").run()
    assert app.slider(key="text_token").value == 17 and "token" not in app.query_params
    assert not app.exception


def test_the_samples_come_first_and_need_no_address(visit: Callable[..., AppTest]) -> None:
    app = visit("gradients", part="text")
    assert app.selectbox(key="text_first").value == "sample-rnn"
    assert app.selectbox(key="text_second").value == "sample-gru"
    assert set(dict(app.query_params)) == {"part"} and len(shown(app)) == 2


def test_what_cannot_be_read_gets_a_sentence(gru: Run, visit: Callable[..., AppTest]) -> None:
    app = visit("gradients", part="text", run=gru.id, second=gru.id, text="x")
    assert len(app.error) == 1 and "two tokens or more" in app.error[0].value and not shown(app)
    app = visit("gradients", part="text", run=gru.id, second=gru.id, text="猫 and 犬")
    assert len(app.warning) == 1 and "has never met 2 tokens" in app.warning[0].value and len(shown(app)) == 2
    app = visit("gradients", part="text", run="gone-000000", second="../../etc", token="999", first_step="x")
    assert not app.exception and len(shown(app)) == 2


def test_a_run_that_is_deleted_while_it_is_shown_gets_a_sentence(
    gru: Run, places: Path, visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click in the fragment calls it with the runs that were there when the page was drawn."""
    fragment = st.fragment

    def late(function: Callable[..., None] | None = None, **how: Any) -> Any:
        if function and function.__name__ == "_answers" and gru.path.exists():
            Store(places / "runs").delete(gru)
        return fragment(function, **how)

    monkeypatch.setattr(st, "fragment", late)
    app = visit("gradients", part="text", run="sample-rnn", second=gru.id, text="the way")
    assert [box.value for box in app.warning] == [f"The run {markdown_safe(gru.id)} is no longer there."]
    assert len(shown(app)) == 1


def test_a_run_of_the_address_that_cannot_be_shown_gets_a_sentence(
    gru: Run, places: Path, visit: Callable[..., AppTest]
) -> None:
    gpt = train(places, "gpt")
    app = visit("gradients", part="text", run="gone-000000", second=gpt.id, text="the way")
    assert len(app.warning) == 1 and "no longer there" in app.warning[0].value
    gone, stateless = (box.value.replace("\\", "") for box in app.info)
    assert gone.endswith("is shown instead.") and "sample-rnn" in gone
    assert f"The run {gpt.id} has no state" in stateless and "sample-gru" in stateless
    assert not visit("gradients", part="text", run=gru.id).info


def test_without_a_recurrent_model_the_way_to_one_is_shown(
    places: Path, visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmviz.ui.cache.store", lambda: Store(places / "runs", samples=None))
    app = visit("gradients", part="text")
    assert "No recurrent model" in app.info[0].value and app.get("page_link")
