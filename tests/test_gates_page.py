"""Page Gates without a browser: what is drawn, what is said, and every part in both languages."""
# ruff: noqa: F811  (fixtures of another module)

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_gradients_learning import figure_of
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401
from test_training import small_config

from lmviz.errors import ConfigError
from lmviz.jobs.questions import QUESTIONS
from lmviz.models.cells import CELLS
from lmviz.runs import Run, Store
from lmviz.training.foreground import train_here
from lmviz.ui.figures.compact import MISSING, compact
from lmviz.ui.figures.gates import signal_map
from lmviz.ui.gates import holding, maps, meaning_words, step
from lmviz.ui.gates import places as place_html
from lmviz.ui.gates.names import in_order, signal_name
from lmviz.ui.gates.page import PARTS
from lmviz.ui.gates.read import _words
from lmviz.ui.gates.scene import Scene


def train(place: Path, kind: str, **sections: Any) -> Run:
    text = place / "code.txt"
    text.write_text(CODE * 60, encoding="utf-8")
    run = Store(place / "runs").create(small_config(kind, text, **sections))
    train_here(run, quiet=True)
    return run


@pytest.fixture
def lstm(places: Path) -> Run:
    return train(places, "lstm", model={"num_layers": 2})


def scene(tokens: int = 9, units: int = 12, **signals: Any) -> Scene:
    random = np.random.default_rng(0)
    found = {name: random.uniform(-1, 1, (tokens, units)).astype("f4") for name in ("cell", "hidden")} | signals
    names = [f"t{place}" for place in range(tokens)]
    return Scene(None, 40, "LSTM", "", 0, 1, names, frozenset(), found, list(range(units))[::-1])  # type: ignore[arg-type]


# ---- maps ----


def test_compact_numbers_are_right_to_the_scale() -> None:
    values = np.random.default_rng(0).standard_normal((5, 7)).astype("f4") * 30
    values[1, 2] = np.nan
    packed = compact(values)
    rows, columns = map(int, packed["shape"].split(","))
    import base64

    whole = np.frombuffer(base64.b64decode(packed["bdata"]), "<i2").reshape(rows, columns)
    assert whole[1, 2] == MISSING
    there = np.isfinite(values)
    assert np.abs(whole[there] * packed["scale"] - values[there]).max() <= packed["scale"] / 2 + 1e-6
    assert packed["scale"] == pytest.approx(np.nanmax(np.abs(values)) / 32767)
    assert compact(np.zeros((2, 2)))["scale"] == 1


def test_units_stand_in_the_wanted_order() -> None:
    one = scene()
    assert maps.ordered_units(one, "index") == list(range(12))
    assert maps.ordered_units(one, "similar") == one.similar
    means = one.signals["cell"].mean(0)[maps.ordered_units(one, "mean")]
    assert (np.diff(means) <= 0).all()
    aucs = {"string": np.array([0.5, 0.9, 0.1, *[0.5] * 9], "f4") - np.array([0, 0, 0.05, *[0] * 9], "f4")}
    assert maps.ordered_units(one, "string", aucs)[:2] == [2, 1]
    assert maps.ordered_units(one, "digit", aucs) == list(range(12))  # the text has none


def test_a_map_is_the_signal() -> None:
    one = scene()
    units = maps.ordered_units(one, "similar")
    data = maps.map_data(one, "cell", units, maps.window_of(one, None, 1), token=3, unit=5)
    assert np.array_equal(data.values, one.signals["cell"][:, units].T)
    assert list(data.rows) == [str(unit) for unit in units] and data.columns[3] == "3 t3"
    assert np.allclose(data.mean, one.signals["cell"].mean(1))
    assert data.column == 3 and units[data.row or 0] == 5
    figure = signal_map(data, _words("cell"), gate=False, key="k")
    assert [shape.x0 for shape in figure.layout.shapes] == [3, 0] and figure.data[0].zmax == 1
    assert maps.unit_of(maps.window_of(one, None, 1), units, 2) == units[2]


def test_what_does_not_fit_is_the_mean_of_several_units_until_it_is_zoomed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "CELLS", 2 * 9 * 4)  # two maps of nine tokens and four rows
    one, units = scene(), list(range(12))
    window = maps.window_of(one, None, 2)
    assert window.group == 3 and not window.whole
    data = maps.map_data(one, "hidden", units, window, 0, 7)
    assert data.values.shape == (4, 9) and list(data.rows) == ["0 +2", "3 +2", "6 +2", "9 +2"] and data.row == 2
    assert np.allclose(data.values[1], one.signals["hidden"][:, 3:6].mean(1))
    assert maps.unit_of(window, units, 3) == 9

    zoomed = maps.zoomed_to(window, {"x": [2.6, 5.4], "y": [1.9, 0.6]})
    assert zoomed == (3, 6, 3, 9)
    near = maps.window_of(one, zoomed, 2)
    assert near.whole and (near.tokens, near.units) == ((3, 6), (3, 9))
    data = maps.map_data(one, "hidden", units, near, 4, 4)
    assert np.array_equal(data.values, one.signals["hidden"][3:6, 3:9].T)
    assert data.column == 1 and data.row == 1 and data.range == (3, 6)
    assert maps.zoomed_to(window, {"x": None, "y": None}) == (0, 9, 0, 12)
    assert maps.window_of(one, (20, 30, 0, 12), 2) == window  # a zoom of a longer text
    assert maps.zoomed_to(near, {"x": [-5, 50], "y": None}) == (3, 6, 3, 9)


def test_a_cell_state_that_counts_does_not_make_the_others_pale() -> None:
    assert maps.colour_limit(np.array([[0.5, -200]], "f4")) == maps.STATE_LIMIT
    assert maps.colour_limit(np.array([[0.5, -2]], "f4")) == 2
    assert maps.colour_limit(np.array([[0.5, -0.2]], "f4")) == 1


# ---- words ----


@pytest.mark.parametrize("kind", [*CELLS, "carry"])
def test_the_equations_have_the_numbers_of_the_step(kind: str) -> None:
    names = CELLS["nvsi" if kind == "carry" else kind].signals
    values = {"gate.forget": 0.5, "gate.input": 0.25, "gate.output": 0.75, "gate.update": 0.5, "candidate": -0.5}
    terms = [{"name": name, "value": values[name]} for name in names if name in values]
    if kind == "rnn":
        shares = {"input": 1.0, "recurrent": 2.0, "bias_input": 0.1, "bias_recurrent": 0.2}
        terms = [{"name": "hidden", "value": -0.125, **shares}]
    numbers = {"terms": terms, "before": {"hidden": 0.5}, "after": {"hidden": -0.125}}
    if kind == "lstm":
        numbers["before"]["cell"], numbers["after"]["cell"] = 2.0, 0.875  # type: ignore[index]
    lines = step.equations(numbers, carry=kind == "carry")
    text = " ".join(lines)
    expected = {
        "lstm": ["0.5000 \\cdot 2.0000", "0.2500 \\cdot (-0.5000)", "1.0000", "0.8750", "0.7500 \\cdot \\tanh(0.8750)"],
        "gru": ["0.5000 \\cdot 0.5000", "0.5000 \\cdot (-0.5000)", "-0.1250"],
        "carry": ["0.7500 \\cdot 0.5000", "0.2500 \\cdot (-0.5000)", "-0.1250"],
        "nvsi": ["0.2500 \\cdot (-0.5000)", "-0.1250"],
        "rnn": ["\\tanh(3.3000)", "-0.1250"],
    }[kind]
    assert all(part in text for part in expected), text
    assert len(lines) == {"lstm": 2}.get(kind, 1)
    said = {
        "lstm": "Of the old 2.0000, 1.0000 is kept and 1.0000 forgotten; -0.1250 is written.",
        "gru": "Of the old 0.5000, 0.2500 is kept and 0.2500 forgotten; -0.3750 is written.",
        "carry": "Of the old 0.5000, 0.3750 is kept and 0.1250 forgotten; -0.5000 is written.",
    }
    assert step.balance(numbers, carry=kind == "carry") == said.get(kind, "")


def test_a_grus_candidate_has_its_reset_gate_between_the_sums() -> None:
    term = {"name": "candidate", "input": 1.0, "recurrent": 2.0, "bias_input": 0.1, "bias_recurrent": 0.2, "value": 0.0}
    assert step.shares(term, None) == pytest.approx((1, 2, 0.3))
    assert step.shares(term, {"value": 0.5}) == pytest.approx((1, 1, 0.2))


def test_signals_are_named_and_ordered_as_a_step_goes() -> None:
    assert in_order(CELLS["lstm"].signals) == [
        "gate.forget", "gate.input", "candidate", "cell", "gate.output", "hidden",
    ]  # fmt: skip
    for cell in CELLS.values():
        assert all(signal_name(name) != name for name in cell.signals)


def row(feature: str, auc: float, floor: float, band: float = 0.6, **more: Any) -> dict[str, Any]:
    return {"feature": feature, "unit": 3, "auc": auc, "floor_auc": floor, "band": [0.4, band], **more}


def test_a_finding_needs_a_gain_over_the_untrained_network_and_over_chance() -> None:
    found = meaning_words.finding([row("digit", 0.99, 0.98), row("string", 0.9, 0.6)])
    assert "Unit 3" in found and "in a string" in found and "0.90" in found and "0.60" in found
    nothing = "No unit tells a feature clearly better"
    assert meaning_words.finding([row("digit", 0.99, 0.98)]).startswith(nothing)
    assert meaning_words.finding([row("string", 0.58, 0.4)]).startswith(nothing)


def test_a_unit_has_known_a_feature_since_it_stayed_half_way_up() -> None:
    def moment(at: int, followed: float) -> dict[str, Any]:
        return {"step": at, "features": {"string": {"unit": 7, "auc": 0.9, "followed": followed}}}

    moments = [moment(0, 0.5), moment(10, 0.85), moment(20, 0.6), moment(30, 0.8), moment(40, 0.9)]
    assert meaning_words.appearance(row("string", 0.9, 0.6), moments) == (
        "Unit 7 has known “in a string” since 30 updates"
    )
    assert meaning_words.appearance(row("string", 0.62, 0.6), moments).endswith("?")


def test_places_are_only_text() -> None:
    place = {"before": ["<b>", "\n"], "tokens": ["&"], "after": ["<img src=x>"]}
    html = place_html.line(place, "<i>", [0.5, -0.5, None, 1.0], 1.0)
    assert "<b>" not in html.replace("<b>&lt;i&gt;</b>", "") and "<img" not in html and "&lt;img" in html
    assert html.count('class="tok') == 3 and '<span class="here">&amp;</span>' in html


# ---- holding ----


@pytest.mark.parametrize(
    ("text", "units"),
    [("", None), (" ", None), ("3", [3]), ("5, 1,1", [1, 5]), ("7-9，2", [2, 7, 8, 9]), ("4-2", [2, 3, 4])],
)
def test_units_are_typed_as_numbers_and_ranges(text: str, units: list[int] | None) -> None:
    assert holding.parse_units(text, 12) == units


@pytest.mark.parametrize(("text", "words"), [("a", "is no unit"), ("1;;x", "is no unit"), ("12", "no unit 12"),
                                             ("3-40", "no unit 40"), ("-1", "is no unit")])  # fmt: skip
def test_what_is_no_unit_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        holding.parse_units(text, 12)


def test_only_what_a_model_has_can_be_held() -> None:
    for kind, cell in CELLS.items():
        for name in holding.possible(cell.signals):
            assert holding.HOLDS[name][1].keys() <= set(cell.signals), kind
    assert holding.possible(CELLS["rnn"].signals) == [holding.UNITS_OFF, holding.OWN]
    assert holding.possible(CELLS["lstm"].signals)[0] == "freeze"


# ---- the page ----


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("part", list(PARTS))
def test_every_part_answers(lstm: Run, visit: Callable[..., AppTest], part: str, lang: str) -> None:
    app = visit("gates", run=lstm.id, part=part, lang=lang, second="untrained", text=CODE)
    assert not app.exception and not app.error
    shown = {element.proto.id for element in app.get("bidi_component")}
    wanted = {
        "read": ["gates_reader", "gates_first_gate_forget", "gates_second_hidden", "gates_unit_chart"],
        "meaning": ["gates_meaning_first", "gates_meaning_reader"],
        "similar": ["gates_span_reader"],
        "saturation": ["gates_open_first_gate_forget", "gates_memory_first"],
        "hold": ["gates_hold_reader_first", "gates_next_first", "gates_losses_second"],
    }[part]
    for key in wanted:
        assert any(key in one for one in shown), (key, shown)


def test_where_nothing_is_predicted_with_it_held_no_mean_is_said(lstm: Run, visit: Callable[..., AppTest]) -> None:
    last = str(len(CODE))
    app = visit("gates", run=lstm.id, part="hold", since=last, seed="7", text=CODE)
    layout = figure_of(app, "gates_losses_first")["layout"]
    assert layout["title"]["text"].startswith("Held from the last token on") and not layout.get("shapes")
    assert app.number_input(key="gates_seed").value == 7
    passages = [one.proto.body for one in app.get("html") if "written passage" in one.proto.body]
    assert len(passages) == 2 and all(CODE.rstrip()[-4:] in html.unescape(one) for one in passages)


def test_the_maps_are_the_models_own_numbers(lstm: Run, places: Path, visit: Callable[..., AppTest]) -> None:
    app = visit("gates", run=lstm.id, text=CODE, sort="index", layer="1")
    figure = figure_of(app, "gates_first_cell")
    from lmviz.packing import unpack

    *_, answer = QUESTIONS["gates"](Store(places / "runs"), run=lstm.id, text=CODE, layer=0)
    cell = unpack(answer["signals"]["cell"])
    import base64

    z = figure["data"][0]["z"]
    drawn = np.frombuffer(base64.b64decode(z["bdata"]), "<i2").reshape(cell.shape[::-1]) * z["scale"]
    assert np.abs(drawn - cell.T).max() <= z["scale"]
    assert figure["data"][0]["y"] == [str(unit) for unit in range(cell.shape[1])]


@pytest.mark.parametrize("kind", ["rnn", "nvsi", "gru"])
@pytest.mark.parametrize("part", list(PARTS))
def test_every_kind_has_what_it_can_show(places: Path, visit: Callable[..., AppTest], kind: str, part: str) -> None:
    run = train(places, kind)
    app = visit("gates", run=run.id, part=part, text=CODE)
    assert not app.exception and not app.error
    if part == "saturation" and kind == "rnn":
        assert any("no gates" in one.value for one in app.info)


def test_bad_addresses_and_texts_are_no_trouble(lstm: Run, visit: Callable[..., AppTest]) -> None:
    app = visit("gates", run=lstm.id, part="nothing", unit="9999", token="-3", layer="7", sort="x", text="x" * 1200)
    assert not app.exception
    assert any("1000 can be shown" in one.value.replace("\\", "").replace(",", "") for one in app.error)
    app = visit("gates", run=lstm.id, part="similar", span="9-3", text=CODE)
    assert not app.exception and not app.error
    app = visit("gates", run="no-such-run")
    assert not app.exception and any("no longer there" in one.value for one in app.warning)
    app = visit("gates", run="sample-gpt")
    assert not app.exception and any("no state" in one.value for one in app.info)


def test_a_text_that_is_another_one_now_is_said(places: Path, visit: Callable[..., AppTest]) -> None:
    """A built-in text follows Python's version; a person's own must be the one that the run learned."""
    run = Store(places / "runs").create(small_config("gru", Path("idioms")))
    train_here(run, quiet=True)
    facts = json.loads((run.path / "data.json").read_text("utf-8"))
    (run.path / "data.json").write_text(json.dumps({**facts, "fingerprint": "other"}), "utf-8")
    app = visit("gates", run=run.id, part="meaning")
    assert not app.exception and not app.error
    assert any("another one than the model learned" in one.value for one in app.caption)

    own = train(places, "gru")
    facts = json.loads((own.path / "data.json").read_text("utf-8"))
    (own.path / "data.json").write_text(json.dumps({**facts, "fingerprint": "other"}), "utf-8")
    app = visit("gates", run=own.id, part="meaning")
    assert any("has changed since this run began" in one.value for one in app.error)


def test_a_run_on_a_task_says_that_it_has_no_held_out_text(places: Path, visit: Callable[..., AppTest]) -> None:
    app = visit("gates", run="sample-memory-lstm-20", part="meaning", text="ab")
    assert not app.exception and any("learned no running text" in one.value for one in app.error)


@pytest.mark.parametrize("text", ["a", " ", "\n", "🐈 f", "<b>\\textbf{$x$}", "def 你好"])
@pytest.mark.parametrize("part", ["read", "similar", "hold"])
def test_ugly_texts(lstm: Run, visit: Callable[..., AppTest], part: str, text: str) -> None:
    """One character, blanks, what the vocabulary lacks, markup: an answer or a sentence."""
    app = visit("gates", run=lstm.id, part=part, text=text)
    assert not app.exception
    unknown = set(text) - set(CODE)
    assert bool(app.warning) == bool(unknown), [one.value for one in app.warning]
    assert not app.error or (part == "hold" and unknown)


def test_an_empty_text_is_said(lstm: Run, visit: Callable[..., AppTest]) -> None:
    app = visit("gates", run=lstm.id, text=CODE)
    app.text_area(key="gates_text").set_value("").run()
    assert not app.exception and any("no text to read" in one.value for one in app.error)
