"""Sets over seeds, what differs in words, where models are surprised, branching off: by hand-made runs and on pages."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_compare import run_with
from test_pages import places, tick, trained, visit, words  # noqa: F401 - fixtures

from lmviz.compare import changes, leads, read_view, run_sets
from lmviz.config import RunConfig
from lmviz.forks import fork_config
from lmviz.presets import preset
from lmviz.runs import Run, Store, append_line, write_json, write_lines
from lmviz.ui.comparison import caption, comparison_figure, difference_words, run_styles, verdict
from lmviz.ui.figures.breakdown import Parts, class_figure, place_figure
from lmviz.ui.figures.loss import smooth
from lmviz.ui.figures.rates import rate_figure
from lmviz.ui.setup import repeated
from lmviz.ui.theme import run_style


def seeds(store: Store, kind: str, losses: dict[int, list[float]], **config: dict) -> list[Run]:
    """A run a seed, validated at steps 1, 2, ..., each a second apart and a little slower from seed to seed."""
    return [
        run_with(
            store, kind, [(i, 10 * i, i * (1 + seed / 10), loss) for i, loss in enumerate(column, 1)],
            name=f"{kind} (seed {seed})", training={"seed": seed, **config.get("training", {})},
        )
        for seed, column in losses.items()
    ]  # fmt: skip


def ended(runs: list[Run]) -> list:
    for run in runs:
        run.write_status(run.status().model_copy(update={"state": "finished"}))
    return [read_view(run) for run in runs]


def test_runs_that_differ_in_the_seed_alone_are_one_set(store: Store) -> None:
    lstm = seeds(store, "lstm", {1: [3.0, 2.0], 2: [3.2, 2.4], 3: [3.4, 2.2]})
    other = seeds(store, "lstm", {4: [3.0, 1.0]}, training={"learning_rate": 1e-4})
    gpt = seeds(store, "gpt", {1: [3.0, 2.9]})
    sets = run_sets(ended([lstm[0], gpt[0], *lstm[1:], *other]))
    assert [(one.label, len(one.views)) for one in sets] == [("lstm", 3), ("gpt (seed 1)", 1), ("lstm (seed 4)", 1)]
    x, rows = sets[0].validation("step")
    assert list(x) == [1, 2] and rows.tolist() == [[3.0, 2.0], [3.2, 2.4], [3.4, 2.2]]
    x, rows = sets[0].validation("seconds")
    assert x[0] == pytest.approx(1.3) and x[-1] == pytest.approx(2.2), "only where all have been"
    at_two = rows[:, np.searchsorted(x, 2.2 - 1e-9)]
    assert at_two == pytest.approx([2.0, 3.2 - 0.8 * (2.2 - 1.2) / 1.2, 3.4 - 1.2 * (2.2 - 1.3) / 1.3])
    branch = {"fork": {"run": "lstm-000000", "step": 1}}
    fork = store.create(RunConfig.model_validate(lstm[0].config().model_dump() | branch))
    fork.write_status(fork.status())
    apart = run_sets([read_view(run) for run in (lstm[1], fork)])
    assert [len(one.views) for one in apart] == [1, 1], "what shares its beginning with another is no repetition"
    append_line(lstm[2].path / "events.jsonl", {"step": 1, "name": "learning_rate", "value": 0.1})
    assert [len(one.views) for one in run_sets(ended(lstm))] == [2, 1], "a run that was changed on the way is none"
    twice = run_sets(ended([lstm[0], seeds(store, "lstm", {1: [3.0, 2.0]})[0]]))
    assert [len(one.views) for one in twice] == [1, 1], "the same seed twice is no repetition"


def test_a_lead_is_held_against_the_spread_over_seeds(store: Store) -> None:
    lstm = seeds(store, "lstm", {1: [3.0, 2.0], 2: [3.0, 2.2]})
    gpt = seeds(store, "gpt", {1: [3.0, 3.0], 2: [3.0, 3.1]})
    views = ended([*lstm, *gpt])
    lead = leads(views)[0]
    assert lead.best.label == "lstm" and lead.losses == pytest.approx((2.1, 3.05))
    assert lead.margin == pytest.approx(0.95) and lead.spread == pytest.approx(np.std([2.0, 2.2], ddof=1))
    assert "less than half of the lead" in verdict(views)
    close = ended([*lstm, *seeds(store, "gru", {1: [3.0, 2.1], 2: [3.0, 2.2]})])
    assert "the lead may be luck" in verdict(close)
    assert leads(ended([lstm[0], gpt[0]]))[0].spread is None


def test_a_set_is_drawn_as_its_mean_and_a_band(store: Store) -> None:
    views = ended(seeds(store, "lstm", {1: [3.0, 2.0], 2: [3.4, 2.4]}) + seeds(store, "gpt", {1: [3.0, 2.5]}))
    figure = comparison_figure(views, run_styles(views), "step")
    band = next(trace for trace in figure.data if trace.fill == "toself")
    assert sorted(band.y) == pytest.approx([2.0, 2.4, 3.0, 3.4])
    bold = [trace for trace in figure.data if trace.line.width == 3]
    assert [trace.name for trace in bold] == ["lstm, 2 seeds", "gpt (seed 1)"]
    assert list(bold[0].y) == pytest.approx([3.2, 2.2])
    assert len(set(map(str, run_styles(views)[:2]))) == 1, "one look for all of a set"
    assert "Bands" in caption(views) and "Bands" not in caption(views[2:])


def test_logarithmic_losses_keep_the_names_of_the_floors_beside_their_lines(store: Store) -> None:
    counted = run_with(store, "ngram", [(1, 1, 1.0, 1.5)], name="counted")
    views = ended([*seeds(store, "lstm", {1: [3.0, 2.0]}), counted])
    figure = comparison_figure(views, run_styles(views), "step", log_y=True)
    assert figure.layout.yaxis.type == "log"
    note = next(note for note in figure.layout.annotations if "counted" in note.text)
    assert note.y == pytest.approx(np.log10(1.5))
    assert comparison_figure(views, run_styles(views), "step").layout.annotations[0].y == pytest.approx(1.5)


def test_what_differs_is_said_in_words(store: Store) -> None:
    one, four = (store.create(preset("lstm", name=name)) for name in ("one", "four *bold*"))
    two = store.create(preset("lstm", name="two", training={"learning_rate": 0.001}, model={"hidden_size": 64}))
    three = store.create(preset("gpt", name="three"))
    lines = difference_words([read_view(run) for run in (one, two, three)])
    assert lines[0] == r"**two** differs from **one** in: hidden\_size 128 → 64, learning\_rate 0\.006 → 0\.001"
    assert "GPT instead of LSTM" in lines[1] and "d\\_model" not in lines[1]
    (same,) = difference_words([read_view(run) for run in (one, four)])
    assert same.endswith("nothing") and r"\*bold\*" in same
    assert changes(preset("lstm"), preset("lstm", training={"seed": 5})) == [("training.seed", 1, 5)]


def test_smoothing_is_a_running_mean_that_begins_at_the_first_value() -> None:
    values = np.array([4.0, np.nan, 2.0, 3.0])
    assert smooth(values, 0.0)[[0, 2, 3]] == pytest.approx([4, 2, 3])
    expected = [4, (0.5 * 4 + 2) / 1.5, (0.25 * 4 + 0.5 * 2 + 3) / 1.75]
    assert smooth(values, 0.5)[[0, 2, 3]] == pytest.approx(expected) and np.isnan(smooth(values, 0.5)[1])
    assert smooth(np.full(50, 2.0), 0.9) == pytest.approx(np.full(50, 2.0))


def test_the_figures_of_the_breakdown() -> None:
    runs = [
        Parts("a<b>", run_style("lstm"), [1, 2], np.array([[2.0, 1.0]])),
        Parts("b", run_style("gpt"), [1, 2], np.array([[3.0, 1.0], [5.0, 2.0]])),
    ]
    lines = place_figure(runs, title="t", x="x", y="y")
    assert [list(trace.y) for trace in lines.data] == [[2, 1], [4, 1.5]] and lines.data[0].name == "a&lt;b&gt;"
    bars = class_figure(runs, title="t", y="y")
    assert bars.data[0].error_y.array is None and list(bars.data[1].error_y.array) == [1, 0.5]
    with pytest.raises(ValueError, match="2 parts"):
        Parts("x", run_style("lstm"), [1, 2], np.zeros((1, 3)))
    rates = rate_figure([1e-3, 1e-2], [3, 2], [3, 2.5], 2e-3, title="t", x="x", y="y", single="s", mean="m")
    assert rates.layout.annotations[0].x == pytest.approx(np.log10(2e-3)) and rates.layout.shapes[0].x0 == 2e-3
    with pytest.raises(ValueError, match="1 rates"):
        rate_figure([1e-3], [3, 2], [3, 2.5], None, title="t", x="x", y="y", single="s", mean="m")


def test_repeating_over_seeds_leaves_ngrams_alone() -> None:
    configs = repeated([preset("lstm", name="LSTM"), preset("ngram", name="n-gram")], [4, 5, 6])
    assert [(c.name, c.training.seed) for c in configs] == [
        ("LSTM (seed 4)", 4), ("LSTM (seed 5)", 5), ("LSTM (seed 6)", 6), ("n-gram (seed 4)", 4)
    ]  # fmt: skip
    assert repeated([preset("lstm", name="LSTM")], [1]) == [preset("lstm", name="LSTM")]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("view", ["place", "class", "passage"])
def test_where_models_are_surprised(
    visit: Callable[..., AppTest],  # noqa: F811
    places: Path,  # noqa: F811
    view: str,
    lang: str,
) -> None:
    one, other = trained(places, "one <i>"), trained(places, "other")
    app = visit("train", runs=f"{one.id},{other.id}", lang=lang)
    app.session_state["view"] = view
    app.run()
    assert not app.exception
    if view == "passage":
        shown = [block.proto.body for block in app.get("html") if 'class="passage-head"' in block.proto.body]
        assert len(shown) == 3 and "one &lt;i&gt;" in shown[0] and "ahead" not in shown[0]
        assert shown[0].count('class="tok"') == len(one.breakdown()["tokens"])


def test_a_set_with_a_run_of_an_earlier_version_shows_what_they_share(
    visit: Callable[..., AppTest],  # noqa: F811
    places: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its class `other` held what has classes of its own now."""
    run, old = trained(places), trained(places)
    values = old.config().model_dump(mode="json")
    values["training"]["seed"] = 2
    (old.path / "config.json").write_text(RunConfig.model_validate(values).model_dump_json(), encoding="utf-8")
    lines = [{**line, "by_class": {"letter": 2.0, "other": 1.0}} for line in old.validation()]
    write_lines(old.path / "validation.jsonl", lines)
    write_json(old.path / "breakdown.json", {**old.breakdown(), "class_tokens": {"letter": 200, "other": 56}})
    shown = []
    monkeypatch.setattr(
        "lmviz.ui.surprise.chart", lambda figure, key, **words: shown.append((figure, words["caption"]))
    )
    for ids in (f"{old.id},{run.id}", old.id):
        app = visit("train", runs=ids)
        app.session_state["view"] = "class"
        app.run()
        assert not app.exception
        assert "letters 200, all others 56" in shown[-1][1]
    both, alone = shown[0][0].data, shown[-1][0].data
    assert [list(bar.x) for bar in both] == [["letters"]]
    assert [list(bar.x) for bar in alone] == [["letters", "all others"]]


def test_branching_off_on_the_page(visit: Callable[..., AppTest], places: Path) -> None:  # noqa: F811
    run = trained(places, "mine")
    app = visit("train", runs=run.id)
    app.number_input(key=f"fork_rate_{run.id}").set_value(0.02)
    app.button(key=f"fork_go_{run.id}").click().run()
    assert not app.exception
    store = Store(places / "runs", samples=None)
    (new,) = (other for other in store.runs() if other.id != run.id)
    config = new.config()
    assert config.fork and config.fork.run == run.id and config.training.learning_rate == 0.02
    assert config.name == f"mine, from step {config.fork.step}: learning_rate=0.02"
    assert new.status().state == "finished"
    assert app.query_params["runs"] == f"{run.id},{new.id}"
    app.text_area(key=f"fork_more_{run.id}").set_value("hidden_size=3")
    app.button(key=f"fork_go_{run.id}").click().run()
    assert not app.exception and any("cannot change" in error.value for error in app.error)


def test_training_longer_on_the_page(visit: Callable[..., AppTest], places: Path) -> None:  # noqa: F811
    run = trained(places)
    app = visit("train", runs=run.id)
    app.number_input(key=f"longer_steps_{run.id}").set_value(60)
    app.button(key=f"longer_go_{run.id}").click().run()
    assert not app.exception
    assert run.status().step == 60 and run.status().state == "finished"


def test_a_run_that_stopped_early_says_so(visit: Callable[..., AppTest], places: Path) -> None:  # noqa: F811
    run = trained(places)
    values = run.config().model_dump(mode="json")
    values["training"]["early_stopping"] = 3
    (run.path / "config.json").write_text(RunConfig.model_validate(values).model_dump_json(), encoding="utf-8")
    run.write_status(run.status().model_copy(update={"stopped_early": True, "best_step": 17, "best_loss": 1.25}))
    app = visit("train", runs=run.id)
    assert "3 validations without a better one. The best: 1.250 at step 17" in words(app)


def test_seeds_and_options_on_the_setup(visit: Callable[..., AppTest], places: Path) -> None:  # noqa: F811
    app = visit("train")
    app.selectbox(key="kind_0").set_value("ngram").run()
    app.selectbox(key="kind_1").set_value("rnn").run()
    app.selectbox(key="repetitions").set_value(3)
    app.select_slider(key="steps").set_value(100)
    app.number_input(key="model_1_rnn_small_hidden_size").set_value(8)
    app.number_input(key="training_1_rnn_small_batch_size").set_value(2)
    app.selectbox(key="training_1_rnn_small_batches").set_value("streams").run()
    assert not app.exception
    app.button(key="train").click().run()
    assert not app.exception
    runs = Store(places / "runs", samples=None).runs()
    rnn = [run.config() for run in runs if run.config().model.kind == "rnn"]
    assert sorted(config.training.seed for config in rnn) == [1, 2, 3] and len(runs) == 4
    assert {config.training.batches for config in rnn} == {"streams"}
    assert {run.status().state for run in runs} == {"finished"}


def test_too_many_runs_at_once_get_a_sentence(visit: Callable[..., AppTest], places: Path) -> None:  # noqa: F811
    app = visit("train")
    for index in range(4):
        app.selectbox(key=f"kind_{index}").set_value("rnn").run()
    app.selectbox(key="repetitions").set_value(5).run()
    app.button(key="train").click().run()
    assert not app.exception and any("are allowed at a time" in error.value for error in app.error)
    assert not Store(places / "runs", samples=None).runs()


def test_a_fork_of_a_sample_is_possible() -> None:
    sample = Store().get("sample-lstm")
    step = sample.checkpoint_steps()[2]
    config = fork_config(sample, step)
    assert config.fork and config.fork.step == step


def test_the_limit_on_runs_holds_for_those_that_go_on(
    tick: Callable[..., AppTest],  # noqa: F811
    places: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, stopped = trained(places), trained(places)
    stopped.write_status(stopped.status().model_copy(update={"state": "stopped", "steps": 60}))
    app = tick(ended)
    monkeypatch.setattr("lmviz.ui.start.MAX_ACTIVE_RUNS", 0)
    app.button(key=f"longer_go_{ended.id}").click().run()
    assert not app.exception and any("are allowed at a time" in error.value for error in app.error)
    app = tick(stopped)
    app.button(key=f"resume_{stopped.id}").click().run()
    assert not app.exception and any("are allowed at a time" in error.value for error in app.error)
    assert {ended.status().state, stopped.status().state} == {"finished", "stopped"}
    monkeypatch.setattr("lmviz.ui.start.MAX_ACTIVE_RUNS", 1)
    app.button(key=f"resume_{stopped.id}").click().run()
    status = stopped.status()
    assert not app.exception and (status.state, status.step) == ("finished", 60)
    assert status.owner == app.session_state["owner"], "it counts as a run of whoever let it go on"


@pytest.mark.parametrize(("step", "offered"), [(999_500, True), (1_000_000, False)])
def test_near_the_most_steps_a_run_can_be_longer_and_at_them_it_cannot(
    visit: Callable[..., AppTest],  # noqa: F811
    places: Path,  # noqa: F811
    step: int,
    offered: bool,
) -> None:
    run = trained(places)
    run.write_status(run.status().model_copy(update={"step": step, "steps": step}))
    app = visit("train", runs=run.id)
    found = [number.value for number in app.number_input if number.key == f"longer_steps_{run.id}"]
    assert found == ([1_000_000] if offered else [])


def test_shades_and_differences_have_their_unit(
    visit: Callable[..., AppTest],  # noqa: F811
    places: Path,  # noqa: F811
) -> None:
    one, other = trained(places, "one"), trained(places, "other")
    lines = [{**line, "passage": [nats + 0.5 for nats in line["passage"]]} for line in other.validation()]
    write_lines(other.path / "validation.jsonl", lines)
    app = visit("train", runs=f"{one.id},{other.id}")
    app.session_state["view"] = "passage"
    app.run()
    assert "Darkest: 6 nats or more, a probability of 1 in 400 or less" in words(app)
    heads = [block.proto.body for block in app.get("html") if 'class="passage-head"' in block.proto.body]
    tips = re.findall(r'data-tip="([^"]*)"', heads[2])
    assert "Darkest: 2 nats" in heads[2]
    assert len(tips) == len(one.breakdown()["tokens"]) and all(tip.endswith(": -0.500 nats") for tip in tips)
