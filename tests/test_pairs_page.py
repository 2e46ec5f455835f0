"""Page Seq2Seq without a browser, and the first part of the page Attention: what is drawn and what is said."""
# ruff: noqa: F811  (fixtures of another module)

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from test_gates_page import train
from test_gradients_learning import figure_of
from test_held_out import CODE
from test_pages import places, visit  # noqa: F401

from lmviz.config import RunConfig
from lmviz.corpora.pairs import Pair
from lmviz.inspect.attention_overview import GAP, overview
from lmviz.jobs.questions import QUESTIONS
from lmviz.packing import unpack
from lmviz.presets import preset
from lmviz.runs import Run, Store
from lmviz.training.foreground import train_here
from lmviz.ui.attention.picture import COLOR, arranged, png
from lmviz.ui.figures.attention import lines_figure
from lmviz.ui.pairs.experiment import finding, read_learners
from lmviz.ui.pairs.maps import alignment_figure, known_pair, right_share
from lmviz.ui.pairs.moment import step_at
from lmviz.ui.pairs.page import PARTS
from lmviz.ui.pairs.view import ALL_KINDS, View, kind_of

Visit = Callable[..., AppTest]


@pytest.fixture
def learned(places: Path) -> list[Run]:
    """Two small runs of one comparison."""
    runs = []
    for config in View().configs("pairs-test"):
        small = config.model_copy(update={
            "training": config.training.model_copy(update={"steps": 40, "batch_size": 8}),
            "recording": config.recording.model_copy(update={"eval_every": 10}),
        })  # fmt: skip
        run = Store(places / "runs").create(small)
        train_here(run, quiet=True)
        runs.append(run)
    return runs


def test_every_choice_is_a_configuration_and_can_be_told_from_it() -> None:
    configs = View(models=ALL_KINDS, seed=3, cell="lstm", longer=2).configs("g")
    assert [kind_of(config) for config in configs] == [*(kind for kind in ALL_KINDS if kind != "plain"), "plain"]
    for config in configs:
        assert (config.training.seed, config.group, config.corpus.name) == (3, "g", "dates-en")
        assert config.training.steps == 2 * preset(config.model.kind).training.steps
        assert getattr(config.model, "cell", "lstm") == "lstm"
    assert {config.training.scheduled_sampling > 0 for config in configs} == {True, False}


def test_the_finding_says_who_solved_it_when(learned: list[Run]) -> None:
    learners = read_learners(learned)
    assert [one.kind for one in learners] == ["additive", "plain"]
    words = finding(learners)
    assert re.fullmatch(r"With attention: \d+% right after \d+ s; without attention: \d+% right after \d+ s", words)
    lines = [{"step": 5, "seconds": 2.4, "exact_match": 0.5}, {"step": 9, "seconds": 4.6, "exact_match": 0.99}]
    from dataclasses import replace

    solved = replace(learners[0], lines=lines)
    assert finding([solved]) == "With attention: solved in 5 s"
    assert step_at(learners[1], 0) == 0
    assert step_at(learners[1], 1e9) == learned[1].checkpoint_steps()[-1]


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_part_opens(learned: list[Run], visit: Visit, part: str, lang: str) -> None:
    app = visit("seq2seq", group="pairs-test", view=part, lang=lang)
    assert not app.exception and not app.error


def test_the_map_is_the_models_own_attention(learned: list[Run], visit: Visit) -> None:
    run = next(run for run in learned if run.config().model.kind == "seq2seq-attention")
    app = visit("seq2seq", group="pairs-test", source="may 7, 1995")
    drawn = figure_of(app, "pairs_map_first")["data"][0]
    *_, answer = QUESTIONS["pair_example"](Store(), run.id, source="may 7, 1995")
    weights = unpack(answer["attention"])
    rows, columns = (int(n) for n in drawn["z"]["shape"].split(","))
    assert (rows, columns) == weights.shape
    shown = np.frombuffer(base64.b64decode(drawn["z"]["bdata"]), "<i2").reshape(rows, columns) * drawn["z"]["scale"]
    np.testing.assert_allclose(shown, weights, atol=1e-4)
    for bad, words in (("", "no source"), ("日", "never read this")):
        app = visit("seq2seq", group="pairs-test", source=bad or " ")
        assert not app.exception
        if bad:
            assert any(words in error.value for error in app.error)


def test_the_right_places_are_framed_and_punctuation_is_grey() -> None:
    pair = Pair("ab1", "1-", (0, 0, 1), (1, -1))
    attention = np.array([[0.1, 0.2, 0.6, 0.1], [1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    figure = alignment_figure(
        attention, ["0 1", "1 -", "2 <end>"], ["0 a", "1 b", "2 1", "3 <end>"], pair, title="t", x="x", y="y",
        hover="", key="k",
    )  # fmt: skip
    grey = [shape for shape in figure.layout.shapes if shape.fillcolor]
    assert [(shape.y0, shape.y1) for shape in grey] == [(0.5, 1.5), (1.5, 2.5)]
    (frame,) = [shape for shape in figure.layout.shapes if not shape.fillcolor]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (1.5, 2.5, -0.5, 0.5)
    assert right_share(attention, "1-", pair) == pytest.approx(0.6)
    assert right_share(attention, "11", pair) is None
    assert known_pair("dates-en", "no such date") is None


def test_a_person_trains_from_the_page(places: Path, visit: Visit) -> None:
    app = visit("seq2seq", models="additive", pairs="reverse")
    assert not app.exception
    app.number_input(key="pairs_seed").set_value(5).run()
    app.button(key="pairs_train").click().run()
    (run,) = Store(places / "runs", samples=None).runs()
    config: RunConfig = run.config()
    assert (config.corpus.name, config.training.seed, config.model.kind) == ("reverse", 5, "seq2seq-attention")
    assert config.group.startswith("pairs-")


# ---- all heads ----


def test_the_picture_of_all_heads_is_their_attention() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(5), (2, 3, 4)).astype("f4")  # 2 layers, 3 heads, 4 x 5
    picture = overview(weights)
    turned = arranged(picture, 2, 3, [(1, 2), (0, 0)], 2)
    image = Image.open(io.BytesIO(base64.b64decode(png(turned).partition(",")[2]))).convert("RGBA")
    pixels = np.asarray(image)  # (5, 12, 4)
    assert pixels.shape == (5, 12, 4)
    for place, (layer, head) in enumerate([(1, 2), (0, 0)]):
        opacity = pixels[:4, 6 * place : 6 * place + 5, 3] / 255
        np.testing.assert_allclose(opacity**2, weights[layer, head], atol=0.04)
        shown = pixels[:4, 6 * place : 6 * place + 5, :3].reshape(-1, 3)
        assert (shown == COLOR).all()
    assert (arranged(picture, 2, 3, [(0, 1)], 1)[-1] == GAP).all()


def test_lines_go_from_who_looks_to_who_is_looked_at() -> None:
    weights = np.array([[1, 0], [0.25, 0.75]], np.float32)
    figure = lines_figure(weights, ["0 a", "1 b"], ["0 a", "1 b"], 1, title="", left="", right="", key="k")
    drawn = {tuple(trace.y[:2]): trace.line.width for trace in figure.data if trace.mode == "lines"}
    assert set(drawn) == {(0, 0), (1, 0), (1, 1)}
    assert drawn[1, 1] > drawn[1, 0]


def test_heads_are_named_sorted_and_chosen(places: Path, visit: Visit) -> None:
    run = train(places, "gpt", model={"num_layers": 2, "num_heads": 2})
    *_, names = QUESTIONS["attention_names"](Store(), run.id)
    app = visit("attention", run=run.id, text=CODE[:12], sort="entropy", head="1.2", query="3")
    assert not app.exception and not app.error
    figure = figure_of(app, "attention_overview")
    texts = figure["data"][1]["text"]
    assert len(texts) == 4 and all(re.match(r"[12]\.[12] ", text) for text in texts)
    *_, maps = QUESTIONS["attention"](Store(), run.id, text=CODE[:12])
    entropy = unpack(maps["entropy"])
    order = [tuple(int(n) - 1 for n in text.split(" ")[0].split(".")) for text in texts]
    assert [entropy[place] for place in order] == sorted(entropy.ravel().tolist())
    assert app.selectbox(key="attention_head").value == (0, 1)
    *_, head = QUESTIONS["attention_head"](Store(), run.id, text=CODE[:12], layer=0, head=1)
    row = unpack(head["weights"])[3]
    assert any(f"{row.max():.2f}" in one.value for one in app.subheader)
    assert names["tokens"] > 0


@pytest.mark.parametrize("text", ["a", " ", "🐈 f", "<b>x</b>", "def 你好", "x" * 400])
def test_texts_that_are_odd_or_too_long_break_nothing(places: Path, visit: Visit, text: str) -> None:
    run = train(places, "gpt")
    app = visit("attention", run=run.id, text=text)
    assert not app.exception
    if len(text) > 100:
        assert any("can look at" in error.value for error in app.error)
