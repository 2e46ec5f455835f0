"""Every page in both languages, without a browser: no exception, and the words are there."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import ROOT
from streamlit.testing.v1 import AppTest
from test_training import small_config
from texts import prose

from lmviz.config import CorpusConfig, RunConfig, TokenizerConfig
from lmviz.corpora import add_corpus
from lmviz.errors import LmvizError
from lmviz.runs import Run, Store, write_lines
from lmviz.training.data import load_data
from lmviz.training.foreground import train_here
from lmviz.turns import finish
from lmviz.ui.errors import markdown_safe
from lmviz.ui.shell import PAGES

FILES = [file for section in PAGES.values() for file, _, _ in section]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMVIZ_STORE", str(tmp_path / "runs"))
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LMVIZ_JOBS", "inline")
    monkeypatch.chdir(ROOT)
    return tmp_path


@pytest.fixture
def visit(places: Path) -> Callable[..., AppTest]:
    """Opens a page as app.py would: `visit("train", lang="zh")`."""
    import streamlit as st

    st.cache_resource.clear()
    st.cache_data.clear()

    def open_page(file: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.session_state["deep_link"] = {"page": f"pages/{file}.py", "query": query}
        app.run()
        assert not app.exception, app.exception
        return app

    return open_page


def trained(places: Path, name: str = "", characters: int = 6000) -> Run:
    text = places / "prose.txt"
    text.write_text(prose(characters), encoding="utf-8")
    run = Store(places / "runs").create(small_config("lstm", text).model_copy(update={"name": name}))
    train_here(run, quiet=True)
    return run


@pytest.fixture
def tick(visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens Runs with these runs ticked, which a test without a browser cannot do by itself."""

    def open_page(*runs: Run) -> AppTest:
        monkeypatch.setattr("lmviz.ui.runs_table.runs_table", lambda *args, **options: list(runs))
        return visit("runs")

    return open_page


def short_text(places: Path, characters: int) -> str:
    """Add a text of about so many characters."""
    return add_corpus(places / "data", "Short", [("short.txt", prose(characters).encode())])


def words(app: AppTest) -> str:
    return " ".join(
        str(block.value) for kind in (app.title, app.markdown, app.caption, app.subheader) for block in kind
    )


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_page_opens_in_both_languages(visit: Callable[..., AppTest], file: str, lang: str) -> None:
    app = visit(file, lang=lang)
    has_chinese = any("\u4e00" <= character <= "\u9fff" for character in app.title[0].value)
    assert has_chinese == (lang == "zh")


def test_a_label_that_a_person_typed_is_only_text(visit: Callable[..., AppTest], places: Path) -> None:
    run = trained(places, "<script>alert(1)</script> ![x](http://127.0.0.1/x.png) **b**")
    app = visit("train", runs=run.id)
    shown = " ".join(block.proto.body for block in app.get("html"))
    assert "&lt;script&gt;" in shown and "<script>" not in shown
    assert "![x]" not in words(app)


def test_runs_that_are_gone_are_said_to_be_gone(visit: Callable[..., AppTest], places: Path) -> None:
    run = trained(places)
    outside = places / "elsewhere" / run.id
    shutil.copytree(run.path, outside)
    app = visit("train", runs=f"lstm-000000,{outside},{'a' * 300},`![x](http://127.0.0.1/)")
    assert len(app.warning) == 4
    assert "![x]" not in " ".join(warning.value for warning in app.warning)


def test_an_own_text_is_added_and_chosen(visit: Callable[..., AppTest], places: Path) -> None:
    app = visit("train")
    app.text_area(key="pasted").set_value(prose(500))
    app.text_input(key="corpus_label").set_value("My story")
    app.button(key="add_text").click().run()
    assert not app.exception
    assert app.selectbox(key="corpus").value == "my-story"
    assert (places / "data" / "my-story" / "corpus.json").exists()


@pytest.mark.parametrize("text", ["", "x"])
def test_a_text_that_cannot_be_used_gets_a_sentence(visit: Callable[..., AppTest], text: str) -> None:
    app = visit("train")
    app.text_area(key="pasted").set_value(text)
    app.button(key="add_text").click().run()
    assert not app.exception and len(app.error) == 1


def test_a_binary_upload_gets_a_sentence(visit: Callable[..., AppTest], places: Path) -> None:
    app = visit("train")
    app.file_uploader(key="files").upload("picture.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "text/plain").run()
    app.button(key="add_text").click().run()
    assert not app.exception and "picture" in app.error[0].value
    assert not list((places / "data").glob("*/corpus.json"))


def test_impossible_settings_get_a_sentence_and_cannot_be_trained(visit: Callable[..., AppTest]) -> None:
    app = visit("train")
    app.number_input(key="model_1_gpt_small_num_heads").set_value(3).run()
    assert not app.exception
    assert any("must divide" in error.value for error in app.error)
    assert app.button(key="train").disabled


def test_a_model_that_is_too_large_cannot_be_trained(visit: Callable[..., AppTest]) -> None:
    app = visit("train")
    app.number_input(key="model_0_lstm_small_hidden_size").set_value(1024).run()
    app.number_input(key="training_0_lstm_small_batch_size").set_value(1024).run()
    assert not app.exception
    assert any("too large" in error.value for error in app.error)
    assert app.button(key="train").disabled


def test_a_visitor_cannot_train_on_the_servers_files(visit: Callable[..., AppTest], places: Path) -> None:
    run = trained(places)
    secret = places / "secret.txt"
    secret.write_text("password " * 100, encoding="utf-8")
    visit("runs")
    from lmviz.ui import run_actions

    assert run_actions.changed_config(run, "training.steps=3").training.steps == 3
    with pytest.raises(LmvizError, match="no corpus"):
        run_actions.changed_config(run, f"corpus.name={secret}")


def test_train_makes_a_run_for_each_card(visit: Callable[..., AppTest], places: Path) -> None:
    app = visit("train")
    app.selectbox(key="kind_0").set_value("ngram").run()
    app.selectbox(key="kind_1").select_index(0).run()
    app.button(key="train").click().run()
    assert not app.exception
    (run,) = Store(places / "runs", samples=None).runs()
    assert run.status().state == "finished" and run.config().model.kind == "ngram"
    assert app.query_params["runs"] == run.id


def test_generate_writes_the_same_text_twice(visit: Callable[..., AppTest], places: Path) -> None:
    run = trained(places)
    app = visit("generate", run=run.id)
    app.button(key="write").click().run()
    first = app.session_state[f"written_{run.id}"]
    app.button(key="write").click().run()
    assert [t["id"] for t in first[1]] == [t["id"] for t in app.session_state[f"written_{run.id}"][1]]
    assert not app.exception
    app.text_area(key="prompt").set_value("漢字").run()
    app.button(key="write").click().run()
    assert not app.exception and "漢" in app.error[0].value


def test_the_server_never_imports_torch() -> None:
    """Everything that the web server's process imports; torch would cost 300 MB and its locks."""
    code = (
        "import sys; import lmviz.ui.live, lmviz.ui.setup, lmviz.ui.corpus_picker, lmviz.ui.run_actions,"
        " lmviz.ui.decoding_controls, lmviz.ui.runs_table, lmviz.ui.tokens, lmviz.ui.shell;"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


PICTURE = "![x](http://127.0.0.1/p.png)"


@pytest.mark.parametrize("what", ["fork", "duplicate", "failed run", "text"])
def test_an_error_shows_what_a_person_typed_as_text(
    visit: Callable[..., AppTest], tick: Callable[..., AppTest], places: Path, what: str
) -> None:
    run = trained(places)
    if what == "failed run":
        error = LmvizError("No {it}.", it=PICTURE).to_dict()
        run.write_status(run.status().model_copy(update={"state": "failed", "error": error}))
    app = visit("train", runs=run.id)
    if what == "fork":
        app.text_area(key=f"fork_more_{run.id}").set_value(f"{PICTURE}=3")
        app.button(key=f"fork_go_{run.id}").click().run()
    elif what in ("duplicate", "text"):
        change = f"{PICTURE}=3" if what == "duplicate" else f"corpus.name={PICTURE}"
        app = tick(run)
        app.text_area(key=f"changes_{run.id}").set_value(change)
        app.button(key=f"duplicate_{run.id}").click().run()
    assert not app.exception
    shown = [error.value for error in app.error]
    assert shown and all("127" in words and PICTURE not in words for words in shown)
    assert markdown_safe(PICTURE) in shown[0]


def test_the_table_of_differences_fetches_no_picture(tick: Callable[..., AppTest], places: Path) -> None:
    run, other = trained(places, PICTURE), trained(places, "other")
    values = other.config().model_dump(mode="json")
    values["recording"]["sample_prompt"] = PICTURE
    (other.path / "config.json").write_text(RunConfig.model_validate(values).model_dump_json(), encoding="utf-8")
    table = tick(run, other).dataframe[-1].value
    assert "! [x](http://127.0.0.1/p.png)" in list(table.columns) + table.to_numpy().ravel().tolist()
    assert not any(PICTURE in str(cell) for cell in [*table.columns, *table.to_numpy().ravel()])


@pytest.mark.parametrize(("kind", "characters"), [("char", 100), ("word", 300), ("bpe", 300)])
def test_a_text_too_short_in_its_tokens_is_refused_on_the_page(
    visit: Callable[..., AppTest], places: Path, kind: str, characters: int
) -> None:
    """Its characters would do for words and byte pairs, its tokens do not."""
    name = short_text(places, characters)
    app = visit("train")
    app.selectbox(key="corpus").set_value(name).run()
    app.segmented_control(key="tokenizer").set_value(kind).run()
    context = app.number_input(key="training_0_lstm_small_context_length")
    context.set_value(128).run()
    assert not app.exception
    counted = finish(load_data(CorpusConfig(name=name), TokenizerConfig(kind=kind)))
    assert len(counted.train) <= 128, "the fixture is what the test says"
    assert any(f"{len(counted.train)} training tokens" in error.value for error in app.error)
    assert app.button(key="train").disabled
    assert not [button for button in app.button if button.key == "find_rate_0_lstm_small"], "nor its learning rate"
    context.set_value(16).run()
    assert [button for button in app.button if button.key == "find_rate_0_lstm_small"]


def test_no_learning_rate_is_looked_for_where_a_model_is_refused(visit: Callable[..., AppTest]) -> None:
    app = visit("train")
    keys = {"find_rate_0_lstm_small", "find_rate_1_gpt_small"}
    assert keys <= {button.key for button in app.button}
    app.number_input(key="model_0_lstm_small_hidden_size").set_value(1024).run()
    app.number_input(key="training_0_lstm_small_batch_size").set_value(1024).run()
    assert keys & {button.key for button in app.button} == {"find_rate_1_gpt_small"}


@pytest.mark.parametrize(
    ("change", "words"),
    [("corpus.name=python-reference\ncorpus.column=text", "neither column nor encoding"),
     ("corpus.name=python-reference\ncorpus.encoding=gbk", "neither column nor encoding"),
     ("corpus.name=short\ntraining.context_length=128", "has 97 training tokens"),
     ("training.context_length=1000", "too short")],
)  # fmt: skip
def test_a_changed_copy_that_cannot_train_is_refused(
    visit: Callable[..., AppTest], places: Path, change: str, words: str
) -> None:
    run = trained(places, characters=500)
    short_text(places, 100)
    visit("runs")
    from lmviz.ui import run_actions

    with pytest.raises(LmvizError, match=words):
        run_actions.changed_config(run, change)


def test_a_diverged_run_has_no_perplexity_of_three_hundred_digits(visit: Callable[..., AppTest], places: Path) -> None:
    run = trained(places)
    lines = [{**line, "val_loss": line["val_loss"] and 4_906_079.0} for line in run.metrics()]
    write_lines(run.path / "metrics.jsonl", lines)
    shown = " ".join(block.proto.body for block in visit("train", runs=run.id).get("html"))
    assert "<dd>1e2130683</dd>" in shown


def test_a_store_that_cannot_be_written_is_a_sentence(
    visit: Callable[..., AppTest], places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("train")
    (places / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LMVIZ_STORE", str(places / "file" / "runs"))
    app.button(key="train").click().run()
    assert not app.exception and any("LMVIZ" in error.value for error in app.error)
