"""Page Attention without a browser: positions, heads off, layer by layer, over training."""
# ruff: noqa: F811  (fixtures of another module)

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_gates_page import train
from test_gradients_learning import figure_of
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401

from lmviz.config import RunConfig
from lmviz.inspect.attention_heads import induction_on_random, uniform_on_random
from lmviz.jobs.questions import QUESTIONS
from lmviz.models.gpt import GPT
from lmviz.models.positions import sinusoids
from lmviz.presets import preset
from lmviz.runs import Run, Store
from lmviz.training.foreground import train_here
from lmviz.ui.attention import induction, lens, off, pair, positions
from lmviz.ui.attention.off_heads import read_heads
from lmviz.ui.attention.sines import by_distance, running_mean, sine_table

TEXT = CODE[:9]
OWN_PARTS = ("positions", "off", "lens", "training")
Visit = Callable[..., AppTest]


@pytest.fixture
def gpt(places: Path) -> Run:
    return train(places, "gpt", model={"num_layers": 2, "num_heads": 2})


def heading(app: AppTest) -> str:
    return str(app.subheader[0].value)


def passages(app: AppTest) -> list[str]:
    return [html.unescape(one.proto.body) for one in app.get("html") if "written passage" in one.proto.body]


# ---- plain values ----


def test_sine_waves_are_the_models_own() -> None:
    table = sine_table(40, 12)
    assert np.allclose(table, sinusoids(40, 12).numpy(), atol=1e-6)
    mean, low, high = by_distance(table)
    assert mean[0] == pytest.approx(1) and np.allclose(low, high, atol=1e-5)  # the distance alone decides
    assert mean[1] == pytest.approx(np.cos(10000.0 ** -(np.arange(0, 12, 2) / 12)).mean(), abs=1e-5)
    assert by_distance(np.zeros((3, 4), "f4"))[0] == [0, 0, 0]


def test_a_running_mean_keeps_both_sides_of_the_trained_length_apart() -> None:
    assert running_mean([1, 1, 1, 5, 5], 3, 3) == [1, 1, 1, 5, 5]
    assert running_mean([0, 3, 6], 3, 3) == [1.5, 3, 4.5]


@pytest.mark.parametrize(
    ("kind", "losses", "words"),
    [
        ("learned", [3, 3, 1, 1], "end at place 4: there the loss is 1.00"),
        ("sinusoidal", [3, 3, 1, 1, 2, 2], "from 1.00 to 2.00"),
        ("none", [3, 3, 1, 1], "falls to 1.00"),
    ],
)
def test_the_title_says_what_lies_beyond(kind: str, losses: list[float], words: str) -> None:
    assert words in positions.losses_title(losses, 4, kind)


def test_heads_of_an_address() -> None:
    assert read_heads("1.2,cross_attention.2.1,x,0.1,1.2,<b>,3") == [("attention", 0, 1), ("cross_attention", 1, 0)]
    assert read_heads("") == []


def test_the_loss_before_and_after_is_in_the_title() -> None:
    answer = {"plain": {"held_out": 1.25}, "off": {"held_out": 2.5}}
    assert "nothing changes" in off.finding(answer, []) and "2.5" not in off.finding(answer, [])
    assert off.finding(answer, [("attention", 1, 2)]) == (
        "Without layer 2, head 3 the held-out loss goes from 1.250 to 2.500 nats a token"
    )
    assert "Without 2 heads" in off.finding(answer, [("attention", 0, 0), ("attention", 0, 1)])
    assert off.ranking_title(np.array([[0.1, 0.5], [0.2, -0.1]])).startswith("Most missed: layer 1, head 2, +0.50")
    assert off.ranking_title(np.array([[0.001, -0.2]])).startswith("No single head is missed")


def test_means_leave_out_what_is_not_known() -> None:
    answer = {"true": [[0.2, 0.4, None], [0.5, 0.9, None]], "kl": [[1, 2, 3], [0, 0, 0]]}
    mean, kl = lens.means(answer)
    assert mean.tolist() == pytest.approx([0.3, 0.7]) and kl.tolist() == [2, 0]
    assert "30%" in lens.finding(answer, "gpt") and "70%" in lens.finding(answer, "gpt")


def course(*best: float, uniform: float = 0.03) -> induction.Course:
    moments = [
        {"step": 10 * place, "induction": [[0.03, 0.02], [0.01, value]]} for place, value in enumerate(best)
    ]  # fmt: skip
    found = induction.course(None, "A", [{"moments": moments, "uniform": uniform}])  # type: ignore[arg-type]
    assert found
    return found


def test_an_induction_head_is_there_since_it_stayed_half_way_up() -> None:
    one = course(0.03, 0.5, 0.2, 0.6, 0.8)
    assert one.best == (1, 1) and one.found and one.since == 30
    assert induction.appearance(one) == "An induction head since 30 updates: layer 2, head 2 scores 0.80"
    none = course(0.03, 0.04, 0.19)
    assert not none.found and induction.appearance(none).startswith("No induction head: the best head scores 0.19")
    assert induction.finding([none, none]) == "No model has an induction head so far"
    assert induction.finding([one, none]) == "An induction head has formed in A, none in A"
    assert induction.course(None, "A", [{"moments": [], "uniform": None}]) is None  # type: ignore[arg-type]


def test_the_two_runs_differ_in_their_layers_alone() -> None:
    one, two = (config.flat() for config in pair.pair_configs("repeat-x"))
    assert {key for key in one if one[key] != two[key]} == {"model.num_layers", "name"}
    assert (one["model.num_layers"], two["model.num_layers"], one["corpus.name"]) == (1, 2, "repeat")


# ---- the page ----


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("part", OWN_PARTS)
def test_every_part_answers(gpt: Run, visit: Visit, part: str, lang: str) -> None:
    app = visit("attention", run=gpt.id, view=part, lang=lang, text=TEXT, off="1.2")
    assert not app.exception and not [one.value for one in app.error]
    assert app.query_params["view"] == part
    shown = {element.proto.id for element in app.get("bidi_component")}
    wanted = {
        "positions": ["attention_table", "attention_likeness", "attention_place_losses"],
        "off": ["attention_missed", "attention_off_reader", "attention_next"],
        "lens": ["attention_lens", "attention_lens_guesses", "attention_lens_depth"],
        "training": [f"attention_training_{gpt.id}"],
    }[part]
    for key in wanted:
        assert any(key in one for one in shown), (key, shown)


@pytest.mark.parametrize("part", OWN_PARTS)
@pytest.mark.parametrize("position", ["sinusoidal", "none"])
def test_models_with_other_positions_go_on(places: Path, visit: Visit, part: str, position: str) -> None:
    run = train(places, "gpt", model={"position": position})
    app = visit("attention", run=run.id, view=part, text=TEXT, sine="1")
    assert not app.exception and not [one.value for one in app.error]
    if part == "positions":
        figure = figure_of(app, "attention_place_losses")
        assert len(figure["data"][0]["x"]) == 3 * 16
        assert figure["layout"]["shapes"][0]["x0"] == 16.5  # after the trained length
        shown = {element.proto.id for element in app.get("bidi_component")}
        assert any("attention_table" in one for one in shown) == (position == "sinusoidal")
        assert any("told no places" in one.value for one in app.subheader) == (position == "none")


def test_learned_positions_end_and_sine_waves_stand_beside_them(gpt: Run, visit: Visit) -> None:
    app = visit("attention", run=gpt.id, view="positions", text=TEXT)
    layout = figure_of(app, "attention_place_losses")["layout"]
    assert [note["text"] for note in layout["annotations"]] == ["trained length", "no learned positions here"]
    assert not any("attention_sines" in one.proto.id for one in app.get("bidi_component"))
    app.toggle(key="attention_sine").set_value(True).run()
    assert not app.exception and app.query_params["sine"] == "1"
    assert any("attention_sines" in one.proto.id for one in app.get("bidi_component"))
    assert len(figure_of(app, "attention_likeness")["data"]) == 4


def test_heads_are_switched_by_pills_and_stand_in_the_address(gpt: Run, places: Path, visit: Visit) -> None:
    app = visit("attention", run=gpt.id, view="off", text=TEXT)
    assert "nothing changes" in heading(app) and len(passages(app)) == 1 and "off" not in app.query_params
    app.button_group(key="attention_off_attention_1").set_value([0]).run()
    assert not app.exception and not [one.value for one in app.error]
    assert app.query_params["off"] == "2.1" and "Without layer 2, head 1" in heading(app)
    assert len(passages(app)) == 2 and all(TEXT in one for one in passages(app))

    *_, answer = QUESTIONS["attention_off"](
        Store(places / "runs"), run=gpt.id, text=TEXT, off=[["attention", 1, 0]], max_new_tokens=1
    )
    assert f"{answer['plain']['held_out']:.3f} to {answer['off']['held_out']:.3f}" in heading(app)
    bars = figure_of(app, "attention_next")["data"]
    assert bars[0]["x"] == pytest.approx([chance for _token, chance in answer["plain"]["next"]], rel=1e-4)
    missed = figure_of(app, "attention_missed")["data"]
    assert [trace["x"] for trace in missed][1:] == [["2.1"]] and len(missed[0]["x"]) == 3

    app.button(key="attention_all_on").click().run()
    assert "nothing changes" in heading(app) and "off" not in app.query_params


def test_the_lens_shows_the_models_own_numbers(gpt: Run, places: Path, visit: Visit) -> None:
    app = visit("attention", run=gpt.id, view="lens", text=TEXT)
    *_, answer = QUESTIONS["attention_lens"](Store(places / "runs"), run=gpt.id, text=TEXT)
    grid = figure_of(app, "attention_lens")
    assert grid["layout"]["yaxis"]["ticktext"] == ["embedding", "layer 1", "layer 2", "what came"]
    assert grid["data"][1]["text"] == [[*(token.replace(" ", "␣") for token in TEXT), "?"]]
    assert grid["layout"]["shapes"][0]["x0"] == len(TEXT) - 1 - 0.5  # the last whose next token is known
    bars = figure_of(app, "attention_lens_guesses")["data"]
    place = len(TEXT) - 1
    assert [trace["x"][-1] for trace in bars] == pytest.approx(
        [chance for _token, chance in answer["guesses"][-1][place]], rel=1e-3
    )
    lines = figure_of(app, "attention_lens_depth")["data"]
    assert lines[2]["y"] == pytest.approx([row[place] for row in answer["true"]], rel=1e-3)
    assert lines[1]["y"][-1] == pytest.approx(0, abs=1e-5)

    chosen = visit("attention", run=gpt.id, view="lens", text=TEXT, query="2")
    assert figure_of(chosen, "attention_lens")["layout"]["shapes"][0]["x0"] == 1.5


@pytest.mark.parametrize("part", OWN_PARTS)
@pytest.mark.parametrize("text", ["a", "<b>x", "$x$\\"])
def test_ugly_texts(gpt: Run, visit: Visit, part: str, text: str) -> None:
    app = visit("attention", run=gpt.id, view=part, text=text, off="1.1", query="99", seed="x", head="9.9")
    assert not app.exception
    assert not [one for one in app.get("html") if "<b>x" in one.proto.body]


def test_the_training_shows_every_kept_moment(gpt: Run, places: Path, visit: Visit) -> None:
    app = visit("attention", run=gpt.id, view="training", text=TEXT)
    *_, answer = QUESTIONS["attention_history"](Store(places / "runs"), run=gpt.id)
    data = figure_of(app, f"attention_training_{gpt.id}")["data"]
    assert data[2]["y"] == pytest.approx([m["induction"][0][0] for m in answer["moments"]], rel=1e-3)
    assert data[0]["yaxis"] == data[1]["yaxis"] == "y2" and len(data[1]["y"]) > 0
    assert data[-1]["y"][0] == pytest.approx(answer["uniform"])
    assert "No induction head" in heading(app) or "An induction head since" in heading(app)


def test_both_are_trained_and_the_address_leads_to_them(
    gpt: Run, places: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(group: str) -> list[RunConfig]:
        training = {"steps": 6, "batch_size": 2}
        return [
            preset("gpt", "tiny", group=group, name=f"{layers} layers", corpus={"name": "repeat"}, training=training,
                   model={"num_layers": layers}, recording={"checkpoints": 3})
            for layers in (1, 2)
        ]  # fmt: skip

    monkeypatch.setattr(pair, "pair_configs", small)
    app = visit("attention", run=gpt.id, view="training", text=TEXT)
    app.button(key="attention_train_pair").click().run()
    assert not app.exception and not [one.value for one in app.error]
    runs = {run.config().model.num_layers: run for run in Store(places / "runs", samples=None).runs()  # type: ignore[union-attr]
            if run.config().corpus.name == "repeat"}  # fmt: skip
    assert sorted(runs) == [1, 2]
    assert app.query_params["run"] == runs[2].id and app.query_params["view"] == "training"
    shown = [element.proto.id for element in app.get("bidi_component")]
    for run in runs.values():
        assert any(f"attention_training_{run.id}" in one for one in shown)
        assert run.config().group == runs[1].config().group and run.config().group.startswith("repeat-")

    again = visit("attention", run=runs[2].id, view="training")
    assert not again.exception and [run.id for run in pair.beside(runs[2])] == [runs[1].id, runs[2].id]


def test_a_bert_and_a_transformer_have_what_they_can_show(places: Path, visit: Visit) -> None:
    store, short = Store(places / "runs"), {"steps": 4, "batch_size": 2, "context_length": 16}
    (places / "code.txt").write_text(CODE * 60, encoding="utf-8")
    bert = store.create(preset("bert", "tiny", corpus={"name": str(places / "code.txt")}, training=short))
    train_here(bert, quiet=True)
    for part in OWN_PARTS:
        app = visit("attention", run=bert.id, view=part, text=TEXT, off="1.1")
        assert not app.exception and not app.error, part
    assert any("looked for in GPTs" in one.value for one in app.info)
    dates = preset("transformer", "tiny", training={"steps": 4, "batch_size": 2}, recording={"checkpoints": 2})
    run = store.create(dates)
    train_here(run, quiet=True)
    for part in OWN_PARTS:
        app = visit("attention", run=run.id, view=part, part="cross_attention", off="cross_attention.1.1,1.2")
        assert not app.exception and not app.error, part
        if part == "off":
            assert "Without 2 heads" in heading(app) and len(passages(app)) == 2
            assert any("Decoder, over itself 1.2" in one.value for one in app.caption)


def test_a_uniform_head_scores_what_is_called_uniform() -> None:
    model = GPT(vocab_size=30, context_length=16, d_model=8, num_layers=1, num_heads=2)
    with torch.no_grad():
        for parameter in model.layers[0].attention.parameters():
            parameter.zero_()
    scores: Any = induction_on_random(model, torch.arange(5, 30), torch.Generator().manual_seed(0))
    assert scores == pytest.approx(uniform_on_random(model), rel=1e-4)
