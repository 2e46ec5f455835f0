"""Page Gradients, "At birth": what it asks, what it says, what it draws, and the page in both languages."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path as File
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_pages import places, visit  # noqa: F401  (fixtures)

from lmviz.config import RNNConfig
from lmviz.inspect.at_birth import newborn
from lmviz.jobs.questions import QUESTIONS
from lmviz.ui.address import to_address
from lmviz.ui.figures.gradients import CLAIMS, FLOOR, Curve, Words, gradient_figure
from lmviz.ui.gradients.birth import table
from lmviz.ui.gradients.equations import CARDS, step_back
from lmviz.ui.gradients.findings import Path, read_paths, title
from lmviz.ui.gradients.view import CELL_NAMES, PRESETS, View, from_address, question
from lmviz.ui.theme import run_style

WORDS = Words("finding", "lag", "norm", "%{x} back", "vanishing zone", "exploding zone", "claim: {name}")


def curve(factor: float, length: int = 60, name: str = "RNN") -> Curve:
    return Curve(name, run_style("rnn"), [factor**lag for lag in range(length)])


def notes(figure: Any) -> set[str]:
    return {note.text for note in figure.layout.annotations}


def measured(view: View) -> list[Path]:
    *_, answer = QUESTIONS["gradients"](None, **question(view))
    return read_paths(answer, view)


def path(cell: str, factor: float, state: str = "hidden", length: int = 100) -> Path:
    return Path(cell, state, [factor**lag for lag in range(length)], factor, None, {}, {})


# ---- the view and its address ----


@pytest.mark.parametrize("name", PRESETS)
def test_an_address_brings_the_view_back(name: str) -> None:
    view = PRESETS[name][1].model_copy(update={"seed": 7, "whole": True, "every_step": True, "show": "jacobian"})
    assert from_address(to_address(view)) == view


def test_the_first_view_needs_no_address() -> None:
    assert to_address(View()) == {}
    assert from_address({}) == View()


def test_what_an_address_says_wrongly_is_as_at_first() -> None:
    address = {"length": "3000", "gain": "nan", "cells": "rnn,gpt", "hidden": "65", "forget": "3", "run": "abc"}
    assert from_address(address) == View(forget=3)


def test_a_bias_of_zero_leaves_what_the_initialisation_gives() -> None:
    def biases(view: View) -> list[Any]:
        return [[value for key, value in cell.items() if key.endswith("bias")] for cell in question(view)["cells"]]

    assert biases(View()) == [[], [None], [None], [None], [None]]
    assert biases(View(input=-4, update=2, forget=3)) == [[], [-4], [-4], [2], [3]]


# ---- what is measured ----


def test_every_cell_has_its_paths_and_its_deciding_term() -> None:
    paths = measured(View(length=12, hidden=16))
    assert [(p.cell, p.state) for p in paths] == [
        ("rnn", "hidden"), ("nvsi", "hidden"), ("carry", "hidden"), ("gru", "hidden"), ("lstm", "hidden"),
        ("lstm", "cell"),
    ]  # fmt: skip
    for p in paths:
        card = CARDS[p.cell]
        assert f"{p.terms[card.term]:.3f}" in step_back(card, p.style.color, p.terms)
        assert "MARKED" not in step_back(card, p.style.color, p.terms)


def test_a_jacobian_product_is_one_path_a_cell() -> None:
    paths = measured(View(length=12, hidden=16, show="jacobian"))
    assert [p.cell for p in paths] == list(CELL_NAMES)
    assert all(p.values[0] == pytest.approx(1) for p in paths)


def test_at_the_edge_of_chaos_the_rnn_keeps_its_gradient() -> None:
    edge = PRESETS["edge"][1]
    factors = {
        gain: np.mean([
            measured(edge.model_copy(update={"cells": ("rnn",), "gain": gain, "seed": seed}))[0].decay or 0
            for seed in range(1, 6)
        ])
        for gain in (edge.gain - 0.05, edge.gain, edge.gain + 0.1)
    }  # fmt: skip
    assert min(factors, key=lambda gain: abs(factors[gain] - 1)) == edge.gain


# ---- what it says ----


@pytest.mark.parametrize(
    ("paths", "view", "words"),
    [
        ([path("rnn", 0.5), path("gru", 0.7)], View(), "Every gradient vanishes; GRU lasts longest: 1/1000 after 20"),
        ([path("rnn", 0.5)], View(), "RNN vanishes: 1/1000 is left after 10 steps"),
        ([path("rnn", 1.3), path("gru", 0.7)], View(), "RNN explodes"),
        ([path("rnn", 1.3), path("nvsi", 1.2)], View(), "RNN and NVSI-RNN explode"),
        ([path("rnn", 0.5), path("lstm", 0.5), path("lstm", 0.99, "cell")], View(), "Only LSTM still learns from 99"),
        ([path("rnn", 0.5), path("gru", 0.99), path("lstm", 0.99)], View(), "GRU and LSTM still learn from 99 steps"),
        ([path("rnn", 0.99), path("gru", 0.99)], View(), "Nothing vanishes within 99 steps"),
        ([path("rnn", 1.0), path("gru", 1.0)], View(every_step=True), "With a loss at every step nothing seems"),
        ([path("rnn", 0.46), path("nvsi", 0.25)], View(claims=True), "Not as claimed: NVSI-RNN keeps 0.25 a step"),
        ([path("rnn", 0.46), path("nvsi", 0.5)], View(claims=True), "Every gradient vanishes"),
    ],
)
def test_the_title_states_the_finding(paths: list[Path], view: View, words: str) -> None:
    assert title(paths, view).startswith(words)


@pytest.mark.parametrize(
    ("decay", "horizon", "words"),
    [(0.5, 9.97, "about 10 steps"), (0.9, 65.6, "about 66 steps"), (0.9999, 69_074, "over 10,000 steps"),
     (1.0, None, "never"), (1.2, None, "never"), (None, None, "–")],
)  # fmt: skip
def test_the_table_says_when_a_thousandth_is_left(decay: float | None, horizon: float | None, words: str) -> None:
    row = Path("gru", "hidden", [1.0, 0.5], decay, horizon, {"z": 0.51}, {})
    assert f"<td class='number'>{words}</td>" in table([row])


def test_the_table_takes_the_end_from_the_curve() -> None:
    row = Path("gru", "hidden", [1.0, 0.1, 0.01, 0.0009, 0.0001], 0.1, 3.0, {"z": 0.51}, {})
    assert "<td class='number'>3 steps</td>" in table([row])


def test_hidden_size_and_length_change_nothing_else() -> None:
    """The input grows with the hidden state, as the command has it; a longer sequence has the same weights."""
    assert {cell["embedding_dim"] for cell in question(View(hidden=256))["cells"]} == {256}
    short, long = (newborn(RNNConfig(hidden_size=16), length, 3)[0] for length in (20, 50))
    assert torch.equal(short.layers[0].weight_hh, long.layers[0].weight_hh)


# ---- what it draws ----


def test_the_zones_are_named_where_there_is_something_in_them() -> None:
    vanishing, exploding = gradient_figure([curve(0.5)], WORDS), gradient_figure([curve(1.2)], WORDS)
    assert notes(vanishing) == {"vanishing zone"}
    assert notes(exploding) == {"vanishing zone", "exploding zone"}
    assert notes(gradient_figure([curve(1.03)], WORDS)) == {"vanishing zone"}, "5 times is no explosion"
    low, high = exploding.layout.yaxis.range
    assert low < -3 and high > np.log10(1.2**59)


def test_the_figure_ends_at_its_floor_and_the_data_do_not() -> None:
    figure = gradient_figure([curve(0.1)], WORDS)
    assert figure.layout.yaxis.range[0] == pytest.approx(np.log10(FLOOR))
    assert figure.data[0].y[-1] == pytest.approx(1e-59)
    assert gradient_figure([curve(0.1)], WORDS, whole=True).layout.yaxis.range[0] == pytest.approx(-59)


def test_the_claims_are_the_articles_and_named_as_such() -> None:
    assert not [trace for trace in gradient_figure([curve(0.5)], WORDS).data if "claim" in trace.name]
    figure = gradient_figure([curve(0.5, 30)], WORDS, claims=True)
    drawn = {trace.name: trace for trace in figure.data}
    assert tuple(drawn["claim: RNN"].y) == CLAIMS["rnn"] and tuple(drawn["claim: NVSI-RNN"].y) == CLAIMS["nvsi"]
    assert list(drawn["claim: RNN"].x) == [1, 5, 10, 15, 20, 25, 30]
    assert drawn["claim: RNN"].line.dash == "dot" and figure.layout.xaxis.range[1] >= 30


def test_curves_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="curves of"):
        gradient_figure([curve(0.5, 10), curve(0.5, 20)], WORDS)


# ---- the page ----


def figure_of(app: AppTest) -> dict[str, Any]:
    spec = next(e.proto for e in app.get("bidi_component") if "gradient_chart" in e.proto.id)
    return dict(json.loads(json.loads(spec.bytes)["figure"]))


@pytest.fixture
def open_page(visit: Callable[..., AppTest]) -> Iterator[Callable[..., AppTest]]:  # noqa: F811
    yield lambda **query: visit("gradients", **query)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_preset_and_figure_is_shown(open_page: Callable[..., AppTest], lang: str) -> None:
    app = open_page(lang=lang)
    for name in PRESETS:
        app.button(key=f"preset_{name}").click().run()
        assert not app.exception
        assert figure_of(app)["layout"]["title"]["text"]
    for show in ("jacobian", "spectrum"):
        app.segmented_control(key="birth_show").set_value(show).run()
        assert not app.exception
        assert figure_of(app)["layout"]["title"]["text"]


def test_a_preset_sets_controls_and_address(open_page: Callable[..., AppTest]) -> None:
    app = open_page(seed="5")
    assert app.number_input(key="birth_seed").value == 5
    app.button(key="preset_article").click().run()
    assert {name: app.query_params[name] for name in app.query_params} == {"cells": "rnn,nvsi", "length": "30"}
    assert app.slider(key="birth_length").value == 30 and app.toggle(key="birth_claims").value
    assert sum("claim" in trace["name"] for trace in figure_of(app)["data"]) == 2
    app.slider(key="birth_length").set_value(100).run()
    assert not app.toggle(key="birth_claims").value


def test_no_cell_and_too_many_units_get_a_sentence(open_page: Callable[..., AppTest]) -> None:
    app = open_page(cells="")
    assert not app.exception and "at least one cell" in app.info[0].value
    app = open_page(show="jacobian", hidden="256")
    assert not app.exception and "fewer units or steps" in app.info[0].value


def test_the_gain_is_off_where_it_does_nothing(open_page: Callable[..., AppTest]) -> None:
    app = open_page()
    assert app.slider(key="birth_gain").disabled and "no gain" in app.slider(key="birth_gain").help
    app.selectbox(key="birth_init").set_value("orthogonal").run()
    assert not app.slider(key="birth_gain").disabled


def test_the_page_belongs_to_no_run(places: File, open_page: Callable[..., AppTest]) -> None:  # noqa: F811
    """Nothing is trained and nothing is written for a look at cells at birth."""
    open_page()
    assert not list(places.glob("runs/*"))
