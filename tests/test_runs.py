"""The run folder: whole or not there, read while it is written, names that are never paths."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from lmviz.config import RunConfig
from lmviz.costs import check_costs
from lmviz.errors import ConfigError, RunError
from lmviz.presets import MODEL_PRESETS, SIZES, preset
from lmviz.runs import Run, Status, Store, append_line, read_lines, write_atomic
from lmviz.settings import apply_settings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs", samples=None)


def test_a_config_goes_through_json_unchanged(store: Store) -> None:
    for kind in MODEL_PRESETS:
        for size in SIZES:
            config = preset(kind, size, name="名 / ..", training={"seed": 7})
            assert store.create(config).config() == config
            assert RunConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("name", ["../x", "/etc", "lstm-1\n", "LSTM", "", "-a", "a" * 80, "lstm-000000", ".draft-x"])
def test_names_that_are_no_runs_are_refused(store: Store, name: str) -> None:
    store.create(preset("lstm"))
    with pytest.raises(RunError, match="There is no run"):
        store.get(name)


def test_drafts_and_deleted_runs_are_not_listed(store: Store) -> None:
    kept, gone = store.create(preset("lstm")), store.create(preset("gru"))
    (store.root / ".draft-abc").mkdir()
    (store.root / "empty").mkdir()
    store.delete(gone)
    assert [run.id for run in store.runs()] == [kept.id]
    assert not gone.path.exists()


def test_a_run_that_is_being_trained_is_not_deleted(store: Store) -> None:
    run = store.create(preset("lstm"))
    with run.lock():
        assert run.is_locked()
        with pytest.raises(RunError, match="being trained"):
            store.delete(run)
    assert not run.is_locked()
    store.delete(run)


def test_samples_are_read_only(tmp_path: Path) -> None:
    samples = Store(tmp_path / "samples", samples=None)
    run = samples.create(preset("lstm"))
    store = Store(tmp_path / "runs", samples=samples.root)
    sample = store.get(run.id)
    assert sample.read_only and store.get(run.path).read_only
    for act in (lambda: store.delete(sample), lambda: sample.rename("mine")):
        with pytest.raises(RunError, match="sample"):
            act()


def test_a_line_that_is_not_finished_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    with path.open("ab") as file:
        file.write(b'{"step": 2, "train')
    assert read_lines(path) == [{"step": 1}]
    assert read_lines(tmp_path / "none.jsonl") == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_atomic(path, b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["status.json"]


def test_a_damaged_folder_says_so_and_does_not_raise(store: Store) -> None:
    run = store.create(preset("lstm"))
    (run.path / "status.json").write_text("{", encoding="utf-8")
    assert run.status().state == "failed"
    (run.path / "config.json").write_text('{"model": {"kind": "hal"}}', encoding="utf-8")
    with pytest.raises(RunError, match="cannot be read"):
        run.config()


def test_a_zip_holds_the_run_without_what_only_goes_on(store: Store) -> None:
    run = store.create(preset("lstm"))
    (run.path / "resume").mkdir()
    (run.path / "resume" / "1.safetensors").write_bytes(b"x")
    names = zipfile.ZipFile(BytesIO(run.zip())).namelist()
    assert f"{run.id}/config.json" in names and not any("resume" in name or "lock" in name for name in names)


def test_rename_changes_the_label_only(store: Store) -> None:
    run = store.create(preset("lstm"))
    run.rename("  ../../my <b>run</b> ")
    assert run.config().name == "../../my <b>run</b>" and store.get(run.id).path == run.path
    assert run.config().model == preset("lstm").model


def test_only_runs_of_the_store_are_deleted(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "model"
    precious.mkdir()
    (precious / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError):
        store.delete(store.get(precious))
    elsewhere = Store(tmp_path / "other", samples=None).create(preset("rnn"))
    with pytest.raises(RunError, match="outside"):
        store.delete(store.get(elsewhere.path))
    assert precious.exists() and elsewhere.path.exists()


def test_names_from_a_browser_are_never_paths(store: Store, tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "other", samples=None).create(preset("rnn"))
    assert store.get(elsewhere.path).path == elsewhere.path
    with pytest.raises(RunError):
        store.get(str(elsewhere.path), allow_paths=False)


def test_one_unreadable_run_does_not_hide_the_others(store: Store) -> None:
    good, bad = store.create(preset("rnn")), store.create(preset("rnn"))
    (bad.path / "config.json").write_text("{", encoding="utf-8")
    assert [run.id for run in store.runs()] == [good.id]


def test_text_that_looks_like_a_number_stays_text() -> None:
    assert apply_settings(preset("rnn"), ["corpus.name=1984", "name=7"]).corpus.name == "1984"


def test_costs_are_limited() -> None:
    for config in [preset(kind, size) for kind in MODEL_PRESETS for size in SIZES]:
        check_costs(config, 8000)
    with pytest.raises(ConfigError, match="parameters"):
        check_costs(apply_settings(preset("gpt"), ["d_model=1024", "num_layers=24"]), 100)
    with pytest.raises(ConfigError, match="too large"):
        check_costs(apply_settings(preset("lstm"), ["batch_size=1024", "context_length=1024"]), 100)


def test_settings_take_full_and_short_names() -> None:
    config = apply_settings(
        preset("nvsi"), ["hidden_size=32", "model.carry=true", "training.clip_norm=0.5", "name=a=b"]
    )
    assert (config.model.hidden_size, config.model.carry, config.training.clip_norm) == (32, True, 0.5)
    assert config.name == "a=b"
    assert apply_settings(preset("lstm"), ["forget_gate_bias=none"]).model.forget_gate_bias is None
    with pytest.raises(ConfigError, match="several sections"):
        apply_settings(preset("lstm"), ["kind=bpe"])


def test_status_ignores_what_a_newer_version_wrote() -> None:
    assert Status.model_validate_json(json.dumps({"state": "paused", "moon": 3})).state == "paused"


def test_the_lock_of_a_copied_folder_is_free(store: Store) -> None:
    assert not Run(store.create(preset("rnn")).path).is_locked()


@pytest.mark.parametrize("value", ["inf", "1e999", "-Infinity", "NaN"])
@pytest.mark.parametrize("field", ["training.learning_rate", "training.clip_norm", "model.forget_gate_bias"])
def test_numbers_are_finite(field: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} cannot be"):
        apply_settings(preset("lstm"), [f"{field}={value}"])
    with pytest.raises(ConfigError, match="cannot be"):
        apply_settings(preset("nvsi"), [f"model.input_gate_bias={value}"])


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(RunError, match="LMVIZ_STORE") as caught:
            Store(folder).create(preset("rnn"))
        assert str(folder) in str(caught.value)
