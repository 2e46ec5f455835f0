"""Page Attention without a browser: the three steps in numbers, masks, hidden tokens and classes."""
# ruff: noqa: F811  (fixtures of another module)

import json
import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_gradients_learning import figure_of
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401
from test_training import small_config

from lmviz.checkpoints import load_model
from lmviz.inspect.attention_parts import self_attention
from lmviz.inspect.masked_guesses import masked_guesses
from lmviz.runs import Run, Store
from lmviz.settings import validated
from lmviz.tokenizers import BEGIN
from lmviz.training.foreground import train_here
from lmviz.ui.attention import hiding
from lmviz.ui.attention.masks import Seen
from lmviz.ui.attention.steps_words import exponential, log_sum
from lmviz.ui.figures.attention_masks import mask_figure
from lmviz.ui.figures.attention_steps import Panel, steps_figure

TEXT = "def f(x):\n"
QUERY = 4


def train(place: Path, kind: str) -> Run:
    text = place / "code.txt"
    text.write_text(CODE * 60, encoding="utf-8")
    config = small_config("gpt", text).model_dump(mode="json")
    shared = {name: config["model"][name] for name in ("d_model", "num_layers", "num_heads", "dropout")}
    run = Store(place / "runs").create(validated({**config, "model": {"kind": kind, **shared}}))
    train_here(run, quiet=True)
    assert run.status().error is None
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gpt and a bert on the same code."""
    place = tmp_path_factory.mktemp("attention")
    for kind in ("gpt", "bert"):
        run = train(place, kind)
        run.path.rename(place / "runs" / kind)
    return place / "runs"


@pytest.fixture
def runs(places: Path, trained: Path) -> dict[str, Run]:
    shutil.copytree(trained, places / "runs")
    return {kind: Store(places / "runs").get(kind) for kind in ("gpt", "bert")}


def attended(run: Run, text: str, hide: tuple[int, ...] = ()) -> list[Any]:
    """What the model itself does: the layers' queries, keys, values, scores and weights."""
    model, tokenizer, _ = load_model(run)
    tokens = torch.tensor([BEGIN, *tokenizer.encode(text)])
    if hide:
        tokens[list(hide)] = model.mask_token  # type: ignore[arg-type]
    return self_attention(model, tokens[None])


def bars(app: AppTest) -> list[list[float | None]]:
    return [trace["y"] for trace in figure_of(app, "attention_steps_chart")["data"]]


def title_of(app: AppTest, key: str) -> str:
    return str(figure_of(app, key)["layout"]["title"]["text"])


def spec_of(app: AppTest, key: str) -> dict[str, Any]:
    return dict(json.loads(next(e.proto for e in app.get("bidi_component") if key in e.proto.id).bytes))


def reader_of(app: AppTest, key: str) -> dict[str, Any]:
    return dict(json.loads(next(e.proto for e in app.get("bidi_component") if key in e.proto.id).json))


def cells(z: dict[str, Any]) -> np.ndarray:
    """The numbers of a heatmap, NaN where there is none."""
    import base64

    shape = tuple(map(int, z["shape"].split(",")))
    whole = np.frombuffer(base64.b64decode(z["bdata"]), "<i2").reshape(shape)
    return np.where(whole == -(2**15), np.nan, whole * z["scale"])


# ---- figures and formulas ----


def test_powers_are_written_with_three_digits_whatever_their_size() -> None:
    assert exponential(0.0) == "1.00" and exponential(math.log(14.04)) == "14.0" and exponential(math.log(513)) == "513"
    assert exponential(1000.0) == r"1.97 \cdot 10^{434}"  # no number of the computer
    assert exponential(-50.0) == r"1.93 \cdot 10^{-22}"
    assert log_sum([1000.0, 1000.0]) == pytest.approx(1000 + math.log(2))
    assert log_sum([0.5, -2.0, 1.0]) == pytest.approx(math.log(math.exp(0.5) + math.exp(-2) + math.e))


def test_the_first_panels_share_a_scale_and_what_is_masked_is_covered() -> None:
    keys = [f"{place} k" for place in range(8)]
    scores: list[float | None] = [4.0, -8.0, *[None] * 6]
    panels = [Panel("a", "a", [4.0, -8.0] * 4), Panel("b", "b", scores), Panel("c", "c", [0.9, 0.1, *[None] * 6])]
    figure = steps_figure(
        panels, keys, [False] * 2 + [True] * 6, 1, 0, title="t", x="x", hover="%{x} %{y}", uirevision="k"
    ).to_plotly_json()
    layout = figure["layout"]
    assert tuple(layout["yaxis"]["range"]) == tuple(layout["yaxis2"]["range"])
    assert layout["yaxis"]["range"][0] < -8 and layout["yaxis"]["range"][1] > 4 and "range" not in layout["yaxis3"]
    covered = [(one["x0"], one["x1"]) for one in layout["shapes"] if "fillcolor" in one]
    assert covered == [(1.5, 7.5)] * 2
    domains = [layout[axis]["domain"] for axis in ("yaxis", "yaxis2", "yaxis3")]
    assert all(upper[0] > lower[1] for upper, lower in pairwise(domains))


def test_a_mask_is_drawn_where_the_model_must_not_look() -> None:
    allowed = np.tril(np.ones((3, 3), bool))
    figure = mask_figure(
        allowed, list("abc"), list("abc"), 1, title="t", x="x", y="y", may="may", may_not="not", key=""
    )
    traces = figure.to_plotly_json()["data"]
    assert [trace["name"] for trace in traces] == ["may", "not"]
    assert np.array_equal(np.isfinite(cells(traces[0]["z"])), allowed)
    assert np.array_equal(np.isfinite(cells(traces[1]["z"])), ~allowed)


def test_shares_of_attention_sum_to_one() -> None:
    weights = np.array([[1, 0, 0], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]], "f4")
    seen = Seen(None, 1, "", "attention", False, 0, 0, list("abc"), list("abc"), weights)  # type: ignore[arg-type]
    assert seen.shares == pytest.approx((1 / 3, 1.75 / 3, 0.25 / 3)) and sum(seen.shares) == pytest.approx(1)


# ---- three steps ----


def test_the_numbers_of_the_steps_are_the_models(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    run = runs["gpt"]
    app = visit("attention", run=run.id, view="steps", text=TEXT, head="1.2", query=str(QUERY))
    assert not app.exception and not app.error
    layer = attended(run, TEXT)[0]
    q, keys, values = layer.queries[0, 1, QUERY], layer.keys[0, 1], layer.values[0, 1]
    weights = layer.weights[0, 1, QUERY]
    products, divided, masked, shown = bars(app)
    assert np.allclose(products, keys @ q, atol=1e-3)
    assert np.allclose(divided, (keys @ q) / math.sqrt(len(q)), atol=1e-3)
    assert masked[: QUERY + 1] == divided[: QUERY + 1] and not any(one is not None for one in masked[QUERY + 1 :])
    assert np.allclose(shown[: QUERY + 1], weights[: QUERY + 1], atol=1e-4)
    assert not any(one is not None for one in shown[QUERY + 1 :])

    best = int(weights.argmax())
    entropy = float(torch.special.entr(weights).sum())
    assert f"{weights[best]:.2f}" in title_of(app, "attention_steps_chart")
    assert f"entropy {entropy:.2f} nats" in title_of(app, "attention_steps_chart")
    latex = " ".join(one.value for one in app.latex)
    assert rf"\mathbf{{{weights[best]:.4f}}}" in latex and f"a_{{{best}}}" in latex
    assert rf"e^{{{float(keys[best] @ q):.2f}/\sqrt{{{len(q)}}}}}" in latex

    mixed = figure_of(app, "attention_steps_mixed")["data"][0]
    rows = cells(mixed["z"])
    assert np.allclose(rows[-1], weights @ values, atol=1e-3) and np.allclose(rows[:-1].sum(0), rows[-1], atol=1e-2)
    table = app.dataframe[0].value
    assert len(table) == len(TEXT) + 1 and np.allclose(table["weight"], weights, atol=1e-5)


def test_steps_that_are_switched_off_say_what_changes(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    run = runs["gpt"]
    app = visit("attention", run=run.id, view="steps", text=TEXT, head="1.2", query=str(QUERY))
    layer = attended(run, TEXT)[0]
    scores = layer.keys[0, 1] @ layer.queries[0, 1, QUERY]  # not divided
    width = layer.queries.shape[-1]
    app.toggle(key="attention_scaled").set_value(False).run()
    sharp = scores[: QUERY + 1].softmax(0)
    products, divided, _masked, shown = bars(app)
    assert divided == products and np.allclose(shown[: QUERY + 1], sharp, atol=1e-4)
    title = title_of(app, "attention_steps_chart")
    before = layer.weights[0, 1, QUERY]
    assert title.startswith("Not divided") and f"from {before.max():.2f} to {sharp.max():.2f}" in title
    assert f"to {float(torch.special.entr(sharp).sum()):.2f} nats" in title
    assert r"\sqrt" not in " ".join(one.value for one in app.latex) and app.query_params["scaled"] == "False"

    app.toggle(key="attention_scaled").set_value(True).run()
    app.toggle(key="attention_mask").set_value(False).run()
    open_weights = (scores / math.sqrt(width)).softmax(0)
    assert np.allclose(bars(app)[3], open_weights, atol=1e-4)
    leaked = float(open_weights[QUERY + 1 :].sum())
    title = title_of(app, "attention_steps_chart")
    assert f"{leaked:.0%} of the attention goes to {len(TEXT) - QUERY} later tokens" in title
    caption = spec_of(app, "attention_steps_chart")["caption"]
    assert f"“{TEXT[QUERY]}”, which the model has to predict here, with {open_weights[QUERY + 1]:.3f}" in caption
    assert app.query_params["mask"] == "False" and "scaled" not in app.query_params


def test_the_mask_hides_nothing_from_the_last_token(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    last = str(len(TEXT))
    app = visit("attention", run=runs["gpt"].id, view="steps", text=TEXT, query=last, mask="False")
    assert title_of(app, "attention_steps_chart").startswith("Nothing comes after")
    assert "which the model has to predict" not in spec_of(app, "attention_steps_chart")["caption"]
    app.toggle(key="attention_mask").set_value(True).run()
    assert any("nothing is hidden from it" in one.value for one in app.markdown)


def test_at_first_a_token_looks_that_has_later_ones(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    app = visit("attention", run=runs["gpt"].id, view="steps", text=TEXT)
    query = 2 * len(TEXT) // 3
    assert app.query_params["query"] == str(query) and reader_of(app, "attention_steps_columns")["chosen"] == query
    app = visit("attention", run=runs["gpt"].id, view="steps", text=TEXT, key="2")
    assert any("a_{2}" in one.value for one in app.latex)


def test_a_bert_has_no_mask_to_switch_off(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    app = visit("attention", run=runs["bert"].id, view="steps", text=TEXT, query=str(QUERY), mask="False")
    assert not app.exception and [one.key for one in app.toggle] == ["attention_scaled"]
    weights = bars(app)[3]
    layer = attended(runs["bert"], TEXT)[-1]
    head = int(app.query_params["head"].split(".")[1]) - 1
    assert np.allclose(weights, layer.weights[0, head, QUERY], atol=1e-4) and None not in weights


# ---- masks ----


def test_a_causal_model_beside_one_that_looks_both_ways(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    app = visit("attention", run=runs["gpt"].id, view="masks", text=TEXT, head="1.1", **{"with": "bert"})
    assert not app.exception and not app.error
    gpt, bert = (attended(runs[kind], TEXT)[0] for kind in ("gpt", "bert"))
    later = float(bert.weights[0, 0].triu(1).sum() / len(bert.weights[0, 0]))
    assert later > 0.05 and title_of(app, "attention_shares").endswith(
        f"GPT puts 0.00 of its attention on later tokens, BERT {later:.2f}"
    )
    shares = np.array([trace["x"] for trace in figure_of(app, "attention_shares")["data"]])
    assert (
        np.allclose(shares.sum(0), 1, atol=1e-3)
        and shares[2, 0] == 0
        and shares[2, 1] == pytest.approx(later, abs=1e-4)
    )
    for side, model in (("first", gpt), ("second", bert)):
        drawn = cells(figure_of(app, f"attention_masked_map_{side}")["data"][0]["z"])
        assert np.allclose(drawn, model.weights[0, 0], atol=1e-4)
        may = np.isfinite(cells(figure_of(app, f"attention_mask_{side}")["data"][0]["z"]))
        assert np.array_equal(may, np.isfinite(model.scores[0, 0].numpy()))


def test_tokens_are_hidden_and_shown_again(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    run = runs["bert"]
    app = visit("attention", run=run.id, view="masks", text=TEXT, head="1.1", hide="3,5")
    assert not app.exception and not app.error
    tokens = reader_of(app, "attention_hiding")["tokens"]
    assert [place for place, token in enumerate(tokens) if token == hiding.SHOWN_HIDDEN] == [3, 5]
    model, tokenizer, _ = load_model(run)
    ids = torch.tensor([BEGIN, *tokenizer.encode(TEXT)])
    found = masked_guesses(model, ids, [3, 5])
    grid = figure_of(app, "attention_guesses")["data"][0]
    chances = cells(grid["z"])
    assert np.allclose(chances[:, 0], [one["chance"] for one in found], atol=1e-3)
    assert np.allclose(chances[:, 1:], [[chance for _id, chance in one["guesses"][:5]] for one in found], atol=1e-3)
    assert f"rank {found[0]['rank']}" in grid["text"][0][0]
    alone = [masked_guesses(model, ids, [place])[0]["chance"] for place in (3, 5)]
    assert np.allclose(figure_of(app, "attention_alone")["data"][0]["x"], alone, atol=1e-5)
    drawn = cells(figure_of(app, "attention_masked_map_first")["data"][0]["z"])
    assert np.allclose(drawn, attended(run, TEXT, (3, 5))[0].weights[0, 0], atol=1e-4)
    assert not np.allclose(drawn, attended(run, TEXT)[0].weights[0, 0], atol=1e-4)

    app.multiselect(key="attention_hidden").set_value([3]).run()
    found = masked_guesses(model, ids, [3])
    assert app.query_params["hide"] == "3"
    assert cells(figure_of(app, "attention_guesses")["data"][0]["z"])[0, 0] == pytest.approx(
        found[0]["chance"], abs=1e-3
    )
    next(one for one in app.button if one.label == "Show all").click().run()
    assert not app.exception and app.query_params["hide"] == "none"
    assert any("Nothing is hidden" in one.value for one in app.info)
    assert hiding.SHOWN_HIDDEN not in reader_of(app, "attention_hiding")["tokens"]


def test_a_click_hides_and_a_second_one_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    monkeypatch.setattr("streamlit.session_state", state)
    rows = ["<begin>", *"abcdefghijklmnop"]
    for place in (4, 2, 0):  # <begin> is no text
        hiding.turn(place, rows)
    assert state[hiding.HIDDEN] == [4, 2] and state["attention_query"] == 2
    hiding.turn(4, rows)
    assert state[hiding.HIDDEN] == [2]
    for place in range(3, 3 + hiding.MOST):
        hiding.turn(place, rows)
    assert len(state[hiding.HIDDEN]) == hiding.MOST and 2 not in state[hiding.HIDDEN]


def test_what_is_hidden_belongs_to_its_text(runs: dict[str, Run], visit: Callable[..., AppTest]) -> None:
    app = visit("attention", run=runs["bert"].id, view="masks", text=TEXT, hide="3,99,x,0,-1,3")
    assert app.multiselect(key="attention_hidden").value == [3]
    app.text_area(key="attention_text").set_value("return a[0]\n").run()
    assert not app.exception and len(app.multiselect(key="attention_hidden").value) == 1
    assert app.multiselect(key="attention_hidden").value != [3]


@pytest.mark.parametrize("text", ["a", "\n", "<b>\\textbf{$x$}", "{token} {0}", "![x](y)"])
@pytest.mark.parametrize("view", ["steps", "masks"])
@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_ugly_texts(runs: dict[str, Run], visit: Callable[..., AppTest], kind: str, view: str, text: str) -> None:
    app = visit("attention", run=runs[kind].id, view=view, text=text, mask="False", scaled="False")
    assert not app.exception and not app.error


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("view", ["steps", "masks"])
@pytest.mark.parametrize(
    ("run", "part"),
    [("sample-gpt", ""), ("sample-bert", ""), ("sample-bert-labels", ""), ("sample-repeat-2", "")]
    + [("sample-dates-transformer", part) for part in ("attention", "encoder_attention", "cross_attention")],
)
def test_every_sample_answers(
    visit: Callable[..., AppTest], places: Path, run: str, part: str, view: str, lang: str
) -> None:  # fmt: skip
    if run not in {one.id for one in Store(places / "runs").runs()}:
        pytest.skip("the sample is not here")
    app = visit("attention", run=run, view=view, lang=lang, **({"part": part} if part else {}))
    assert not app.exception and not app.error
    shown = " ".join(element.proto.id for element in app.get("bidi_component"))
    wanted = {"steps": ["attention_steps_chart", "attention_steps_mixed"], "masks": ["attention_masked_map_first"]}[
        view
    ]
    if view == "masks" and run == "sample-bert":
        wanted += ["attention_hiding", "attention_guesses"]
    if view == "masks" and run == "sample-bert-labels":
        wanted += ["attention_classes", "attention_class_text"]
    if view == "masks" and run == "sample-dates-transformer":
        wanted += [f"attention_mask_{one}" for one in ("encoder_attention", "attention", "cross_attention")]
    assert all(key in shown for key in wanted), shown


def test_the_class_of_a_text_is_told(visit: Callable[..., AppTest], places: Path) -> None:
    if "sample-bert-labels" not in {one.id for one in Store(places / "runs").runs()}:
        pytest.skip("the sample is not here")
    for text, name in (("def f(x): return x", "code"), ("It is raining, and nobody is out in the street", "prose")):
        app = visit("attention", run="sample-bert-labels", view="masks", text=text)
        figure = figure_of(app, "attention_classes")
        assert figure["data"][0]["y"][0] == name and sum(figure["data"][0]["x"]) == pytest.approx(1, abs=1e-4)
        assert f"“{name}” with {figure['data'][0]['x'][0]:.1%}" in figure["layout"]["title"]["text"]
        assert not app.multiselect
