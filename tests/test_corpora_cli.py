"""Texts on the command line: tables, folders and archives by their paths, and texts that are added."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from texts import prose


def lmviz(place: Path, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lmviz", *arguments], capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "LMVIZ_DATA": str(place / "data"), **changes},
    )  # fmt: skip


def test_the_command_line_adds_and_shows_files(tmp_path: Path) -> None:
    table = tmp_path / "poems.csv"
    table.write_bytes(("title,verse\n" + "题目,床前明月光，疑是地上霜。举头望明月，低头思故乡。\n" * 9).encode("gbk"))
    done = lmviz(
        tmp_path,
        "corpora",
        "add",
        str(table),
        "--name",
        "My poems",
        "--column",
        "verse",
        "--encoding",
        "gbk",
        "--json",
    )
    told = json.loads(done.stdout)
    assert (told["name"], told["title"], told["columns"], told["encodings"]) == (
        "my-poems",
        "My poems",
        ["verse"],
        ["gbk"],
    )
    shown = json.loads(lmviz(tmp_path, "corpora", "show", "my-poems", "--json").stdout)
    assert shown["characters"] == told["characters"] == 9 * 25
    again = json.loads(lmviz(tmp_path, "corpora", "show", str(table), "--column", "title", "--json").stdout)
    assert again["lines"][0] == "题目"
    rows = json.loads(lmviz(tmp_path, "corpora", "list", "--json").stdout)
    kinds = {row["name"]: row["kind"] for row in rows}
    assert kinds["my-poems"] == "added" and kinds["idioms"] == "builtin" and kinds["tang"] == "fetchable"
    for arguments, words in [
        (("show", str(table), "--column", "poem"), "has no column poem"),
        (("add", "tang", "--name", "x"), "fetched as it is"),
        (("add", "nothing"), "nothing to fetch and no file named nothing. Take one of shakespeare, tang"),
        (("add", str(tmp_path / "data" / "none")), "nothing to fetch"),
    ]:
        done = lmviz(tmp_path, "corpora", *arguments)
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["csv", "folder", "zip"])
def test_a_model_learns_from_every_kind_of_path(tmp_path: Path, kind: str) -> None:
    """Also from another folder than the one in which the run began."""
    table = "title,verse\n" + "".join(f"{'long ' * 40},{line}\n" for line in prose().splitlines())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.csv").write_text(table)
    (tmp_path / "poems.csv").write_text(table)
    with zipfile.ZipFile(tmp_path / "poems.zip", "w") as archive:
        archive.writestr("a.csv", table)
    path = "folder" if kind == "folder" else f"poems.{kind}"
    done = subprocess.run(
        [sys.executable, "-m", "lmviz", "train", "--model", "ngram", "--corpus", path, "--set", "corpus.column=verse",
         "--json"],
        cwd=tmp_path, env={**os.environ, "LMVIZ_DATA": str(tmp_path), "LMVIZ_STORE": str(tmp_path / "runs"),
                           "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    run = Path(json.loads(done.stdout)["path"])
    facts = json.loads((run / "data.json").read_text())
    assert facts["train_characters"] + facts["validation_characters"] == len(prose())
    assert json.loads((run / "config.json").read_text())["corpus"]["name"] == str(tmp_path / path)
