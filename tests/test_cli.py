"""The command line as scripts use it: real processes, standard output, exit status."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import ROOT
from texts import prose

SMALL = {
    "ngram": ["model.order=2"],
    "rnn": ["hidden_size=16"],
    "nvsi": ["hidden_size=16"],
    "gru": ["hidden_size=16"],
    "lstm": ["hidden_size=16"],
    "gpt": ["d_model=16", "num_heads=2"],
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(prose(), encoding="utf-8")
    return tmp_path


def command(place: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "lmviz", *arguments]


def environment(place: Path) -> dict[str, str]:
    places = {"LMVIZ_STORE": str(place / "runs"), "LMVIZ_DATA": str(place / "data"), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **places, "OMP_NUM_THREADS": "1"}


def lmviz(place: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(place, *arguments),
        cwd=place,
        capture_output=True,
        text=True,
        env=environment(place),
        timeout=200,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def train(place: Path, kind: str, *arguments: str) -> dict:
    settings = [part for setting in [*SMALL[kind], "batch_size=4"] for part in ("--set", setting)]
    text = str(place / "text.txt")
    done = lmviz(place, "train", "--model", kind, "--corpus", text, "--seed", "1", *settings, "--json", *arguments)
    return json.loads(done.stdout)


def test_training_twice_gives_the_same_document(place: Path) -> None:
    first, second = (train(place, "lstm", "--steps", "30") for _ in range(2))
    assert first["history"] == second["history"] and first["val_loss"] == second["val_loss"]
    wanted = {"run", "path", "state", "step", "train_loss", "val_loss", "perplexity", "bits_per_char", "parameters",
              "tokens_per_second", "seconds", "history"}  # fmt: skip
    assert wanted <= set(first)
    assert first["state"] == "finished" and first["step"] == 30


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SMALL if kind != "ngram"])
def test_a_killed_training_goes_on_to_the_same_losses(place: Path, kind: str) -> None:
    whole = train(place, kind, "--steps", "300")
    settings = [part for setting in [*SMALL[kind], "batch_size=4"] for part in ("--set", setting)]
    process = subprocess.Popen(
        command(place, "train", "--model", kind, "--corpus", str(place / "text.txt"), "--seed", "1", "--steps", "300",
                "--name", "killed", "--json", *settings),
        env=environment(place), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    folder = None
    end = time.monotonic() + 60
    while not folder:
        assert time.monotonic() < end
        for status in (place / "runs").glob("*/status.json"):
            values = json.loads(status.read_text())
            if values["state"] == "running" and values["step"] >= 100:
                folder = status.parent
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = json.loads((folder / "status.json").read_text())
    assert killed["step"] < 300
    document = json.loads(lmviz(place, "resume", folder.name, "--json").stdout)
    assert document["state"] == "finished"
    assert document["history"]["step"] == whole["history"]["step"]
    assert document["history"]["val_loss"] == pytest.approx(whole["history"]["val_loss"], abs=1e-6)
    assert document["val_loss"] == pytest.approx(whole["val_loss"], abs=1e-6)


def test_the_road_from_training_to_text(place: Path) -> None:
    run = train(place, "gpt", "--steps", "20", "--name", "my first")["run"]
    rows = json.loads(lmviz(place, "runs", "list", "--json").stdout)
    assert {"run", "name", "model", "corpus", "state", "step", "steps", "val_loss", "created"} <= set(rows[0])
    assert rows[0]["run"] == run and rows[0]["name"] == "my first"
    written = json.loads(lmviz(place, "generate", run, "--prompt", "The ", "--max-new-tokens", "12", "--json").stdout)
    assert written["text"] == "".join(token["text"] for token in written["tokens"])
    assert written["logprob"] == pytest.approx(sum(token["logprob"] for token in written["tokens"]))
    scored = json.loads(lmviz(place, "score", run, "--text", "The cat sat.", "--json").stdout)
    assert [token["text"] for token in scored["tokens"]] == list("The cat sat.")
    longer = json.loads(lmviz(place, "resume", run, "--steps", "40", "--json").stdout)
    assert longer["step"] == 40 and longer["state"] == "finished"
    lmviz(place, "runs", "delete", run)
    assert run not in lmviz(place, "runs", "list").stdout
    assert "python-reference" in lmviz(place, "corpora", "list").stdout
    assert json.loads(lmviz(place, "corpora", "show", "idioms", "--json").stdout)["characters"] > 100_000


def test_a_fork_repeats_the_losses_and_a_changed_one_does_not(place: Path) -> None:
    whole = train(place, "lstm", "--steps", "60")
    kept = sorted(int(file.stem) for file in Path(whole["path"]).glob("checkpoints/*.safetensors"))
    step = str(kept[len(kept) // 2])
    same = json.loads(lmviz(place, "fork", whole["run"], "--step", step, "--json").stdout)
    assert same["run"] != whole["run"] and same["history"] == whole["history"]
    other = json.loads(
        lmviz(place, "fork", whole["run"], "--step", step, "--set", "learning_rate=0.05", "--name", "what if",
              "--json").stdout
    )  # fmt: skip
    assert other["history"]["val_loss"][-1] != whole["history"]["val_loss"][-1]
    done = lmviz(place, "fork", whole["run"], "--step", "7", "--set", "hidden_size=3", status=2)
    assert len(done.stderr.strip().splitlines()) == 1


def test_find_rate(place: Path) -> None:
    arguments = ["find-rate", "--model", "rnn", "--corpus", str(place / "text.txt"), "--set", "hidden_size=16"]
    document = json.loads(lmviz(place, *arguments, "--json").stdout)
    assert document["suggestion"] > 0 and {"rate", "loss", "smoothed"} == set(document["trials"][0])
    assert "learning_rate=" in lmviz(place, *arguments).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--model", "lstmm"], "no model lstmm"),
        (["train", "--model", "lstm", "--corpus", "python-refrence"], "Did you mean python-reference"),
        (["train", "--model", "lstm", "--set", "model.hiden_size=3"], "Did you mean model.hidden_size"),
        (["train", "--model", "lstm", "--set", "hidden_size"], "section.field=value"),
        (["train", "--model", "lstm", "--set", "model.hidden_size=many"], "model.hidden_size cannot be many"),
        (["train", "--model", "gpt", "--set", "num_heads=3"], "must divide"),
        (["train", "--model", "rnn", "--set", "learning_rate=inf"], "training.learning_rate cannot be inf"),
        (["train", "--model", "rnn", "--store", "/proc/x"], "LMVIZ_STORE"),
        (["train", "--model", "lstm", "--steps", "0"], "training.steps cannot be 0"),
        (
            [
                "train",
                "--model",
                "rnn",
                "--corpus",
                "text.txt",
                "--set",
                "context_length=1024",
                "--set",
                "tokenizer.kind=bpe",
                "--set",
                "validation_fraction=0.9",
            ],
            "is too short",
        ),
        (
            ["train", "--model", "rnn", "--corpus", "text.txt", "--set", "batches=streams", "--set", "batch_size=500"],
            "500 streams",
        ),
        (["find-rate", "--model", "ngram"], "no learning rate"),
        (["generate", "lstm-000000"], "There is no run"),
        (["generate", "../../etc"], "There is no run"),
        (["generate", "lstm-000000", "--temperature", "0"], ""),
        (["resume", "lstm-000000"], "There is no run"),
        (["score", "lstm-000000"], "either --text or --file"),
        (["runs", "delete", "nothing"], "There is no run"),
    ],
)
def test_bad_arguments_get_one_sentence_and_leave_no_run(place: Path, arguments: list[str], words: str) -> None:
    done = lmviz(place, *arguments, status=2)
    assert words in done.stderr and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list((place / "runs").glob("*/config.json"))


def test_ctrl_c_leaves_a_stopped_run_that_goes_on_to_the_same_losses(place: Path) -> None:
    whole = train(place, "gru", "--steps", "400")
    settings = [part for setting in [*SMALL["gru"], "batch_size=4"] for part in ("--set", setting)]
    process = subprocess.Popen(
        command(place, "train", "--model", "gru", "--corpus", str(place / "text.txt"), "--seed", "1", "--steps", "400",
                "--json", *settings),
        env=environment(place), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not any(json.loads(f.read_text())["step"] in range(50, 399) for f in (place / "runs").glob("*/status.json")):
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    document = json.loads(process.communicate(timeout=60)[0])
    assert document["state"] == "stopped" and document["step"] < 400 and process.returncode == 0
    resumed = json.loads(lmviz(place, "resume", document["run"], "--json").stdout)
    assert resumed["val_loss"] == pytest.approx(whole["val_loss"], abs=1e-6)


def test_a_run_that_diverges_has_exit_status_1(place: Path) -> None:
    done = lmviz(
        place, "train", "--model", "rnn", "--corpus", str(place / "text.txt"), "--steps", "100", "--set",
        "learning_rate=1e6", "--json", status=1,
    )  # fmt: skip
    assert json.loads(done.stdout)["state"] == "failed"
    assert "learning rate" in done.stderr


def test_a_short_run_that_diverged_says_so_in_few_digits(place: Path) -> None:
    done = lmviz(
        place, "train", "--model", "rnn", "--corpus", str(place / "text.txt"), "--steps", "3", "--set",
        "learning_rate=1e6", status=1,
    )  # fmt: skip
    assert "The run diverged" in done.stderr
    assert "failed" in done.stdout and "perplexity 1e" in done.stdout and len(done.stdout) < 200


def test_gradients_at_birth_and_of_a_run(place: Path) -> None:
    done = lmviz(place, "gradients", "--models", "rnn,nvsi+carry,lstm", "--length", "12", "--hidden", "16",
                 "--input-gate-bias", "-4", "--forget-gate-bias", "3", "--json")  # fmt: skip
    document = json.loads(done.stdout)
    assert document["length"] == 12 and "L_T" in document["definition"]
    assert [(c["model"], c["state"]) for c in document["cells"]] == [
        ("rnn", "hidden"), ("nvsi", "hidden"), ("lstm", "hidden"), ("lstm", "cell"),
    ]  # fmt: skip
    assert all(len(c["norms"]) == len(c["jacobian_norm"]) == 12 and c["norms"][0] == 1 for c in document["cells"])
    settings = document["cells"][1]["settings"]
    assert settings["carry"] and settings["input_gate_bias"] == -4
    run = train(place, "gru")["run"]
    document = json.loads(lmviz(place, "gradients", "--run", run, "--length", "40", "--json").stdout)
    assert document["run"] == run and len(document["cells"][0]["norms"]) == 40
    assert "decay" in lmviz(place, "gradients", "--run", run, "--step", "0").stdout
    assert "between 2 and 1000" in lmviz(place, "gradients", "--run", run, "--length", "0", status=2).stderr
    (place / "text.txt").write_text(prose()[::-1], encoding="utf-8")
    assert "has changed since this run began" in lmviz(place, "gradients", "--run", run, status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "rnn,transformer"], "There is no cell transformer"),
        (["--models", ","], "Name at least one cell"),
        (["--hidden", "0"], "hidden_size cannot be 0"),
        (["--length", "1"], "between 2 and 1000"),
        (["--input-scale", "nan"], "input scale must lie"),
        (["--init", "zeros"], "init cannot be zeros"),
        (["--run", "nothing"], "There is no run nothing"),
        (["--seed", "99999999999999999999"], "seed must lie"),
    ],
)
def test_bad_arguments_of_gradients(place: Path, arguments: list[str], words: str) -> None:
    done = lmviz(place, "gradients", *arguments, status=2)
    assert words in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
