"""Runs on memory tasks on the pages that are about texts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from test_pages import places, visit, words  # noqa: F401
from test_training import train

from lmviz.corpora.tasks import TASK
from lmviz.memory import memory_configs
from lmviz.runs import Store

Visit = Callable[..., AppTest]


def shown_runs(app: AppTest) -> list[str]:
    return app.dataframe[0].value["name"].tolist()


def test_task_runs_stay_out_of_the_lists_until_asked_for(visit: Visit, places: Path) -> None:  # noqa: F811
    store = Store(places / "runs")
    for config in memory_configs("copy", ["rnn"], [2, 3], steps=4, group="g"):
        train(store, config)
    assert not any("lag" in name for name in shown_runs(visit("home")))
    app = visit("runs")
    assert not any("lag" in name for name in shown_runs(app))
    app.toggle(key="task_runs").set_value(True).run()
    table = app.dataframe[0].value
    assert not app.exception and {"Copy", "Remember the first"} <= set(table["corpus"])
    assert not any("lag" in option for option in visit("generate").selectbox(key="run_choice").options)


def test_a_task_run_answers_on_generate(visit: Visit, places: Path) -> None:  # noqa: F811
    store = Store(places / "runs")
    run = train(store, memory_configs("copy", ["gru"], [4], steps=4)[0])
    app = visit("generate", run=run.id)
    prompt = app.text_area(key="prompt").value
    assert prompt.endswith(":") and "...." in prompt
    app.button(key="write").click().run()
    assert not app.exception and not app.error
    assert len(app.session_state[f"written_{run.id}"][1]) == TASK["copy"].scored


@pytest.mark.parametrize("view", ["loss", "place", "passage"])
def test_train_shows_task_runs_in_their_own_words(visit: Visit, places: Path, view: str) -> None:  # noqa: F811
    store = Store(places / "runs")
    runs = [train(store, c) for c in memory_configs("remember-first", ["rnn", "gru"], [2], steps=4)]
    runs.append(train(store, memory_configs("remember-first", ["rnn"], [3], steps=4)[0]))
    app = visit("train", runs=",".join(run.id for run in runs), view=view)
    shown = words(app) + " ".join(block.proto.body for block in app.get("html"))
    assert not app.exception and "Remember the first" in shown and "right answers" in shown
    assert "Characters" not in shown and "bits a character" not in shown
    if view != "loss":
        assert "their answers" in app.info[0].value
