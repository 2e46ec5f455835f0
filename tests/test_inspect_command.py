"""`lmviz inspect`: a signal as a file."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lmviz.cli import app
from lmviz.inspect.gates import signals, tokens_read
from lmviz.jobs.of_run import model_of
from lmviz.runs import Store

TEXT = 'a "b"\nc'


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["inspect", *arguments])
    assert result.exit_code == status, result.output
    return result.output


def test_npz_holds_the_array_its_axes_and_the_tokens(tmp_path: Path) -> None:
    out = tmp_path / "gates.npz"
    told = json.loads(run("sample-lstm", "--signal", "gate.forget", "--text", TEXT, "--out", str(out), "--json"))
    model, tokenizer, step = model_of(Store(), "sample-lstm", None)
    with np.load(out) as file:
        assert np.array_equal(file["gate.forget"], signals(model, tokens_read(tokenizer, TEXT))["gate.forget"])
        assert file["axes"].tolist() == ["layer", "time", "unit"]
        assert file["tokens"].tolist() == ["<begin>", *TEXT]
    assert told["step"] == step and told["shape"] == [1, len(TEXT) + 1, 128]


def test_a_step_of_the_training_can_be_chosen(tmp_path: Path) -> None:
    for step in (0, 4000):
        run(
            "sample-gru",
            "--signal",
            "hidden",
            "--text",
            TEXT,
            "--step",
            str(step),
            "--out",
            str(tmp_path / f"{step}.npz"),
        )
    with np.load(tmp_path / "0.npz") as first, np.load(tmp_path / "4000.npz") as last:
        assert not np.allclose(first["hidden"], last["hidden"])


def test_csv_has_a_row_a_value(tmp_path: Path) -> None:
    out = tmp_path / "weights.csv"
    run("sample-gpt", "--signal", "attention.weights", "--text", TEXT, "--out", str(out))
    with out.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["layer", "head", "query", "key", "query_token", "key_token", "value"]
    size = len(TEXT) + 1
    assert len(rows) == 2 * 4 * size * size
    sums: dict[tuple[str, ...], float] = {}
    for row in rows:
        sums[tuple(row[:3])] = sums.get(tuple(row[:3]), 0) + float(row[-1])
    assert all(total == pytest.approx(1, abs=1e-5) for total in sums.values())
    assert rows[size + 1][4:6] == [TEXT[0], TEXT[0]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample-rnn", "--signal", "gate.forget", "--text", "a", "--out", "x.npz"], "no signal gate.forget"),
        (["sample-rnn", "--signal", "hidden", "--text", "a", "--out", "x.txt"], "should end in .npz or .csv"),
        (["sample-rnn", "--signal", "hidden", "--out", "x.npz"], "Give either --text or --file"),
        (["sample-rnn", "--signal", "hidden", "--text", "a", "--out", "no/such/folder/x.npz"], "cannot be written"),
        (["sample-gpt", "--signal", "logits", "--text", "a" * 70, "--out", "x.npz"], "the model can look at 64"),
        (["nothing", "--signal", "hidden", "--text", "a", "--out", "x.npz"], "nothing"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run(*arguments, status=2)
    assert words in output and len(output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
