"""Baselines are counted once for equal tokens and windows, and anew for any others."""

import json
from pathlib import Path

import pytest
from test_training import small_config, train
from texts import prose

from lmviz.runs import Run, Store
from lmviz.settings import apply_settings
from lmviz.training import baselines


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs for which n-grams were counted."""
    found: list[str] = []
    write = baselines.write_baselines

    def remember(run: Run, *args: object) -> None:
        found.append(run.id)
        write(run, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(baselines, "write_baselines", remember)
    monkeypatch.setattr(baselines, "_known", {})
    return found


def test_runs_on_one_text_count_it_once(tmp_path: Path, counted: list[str]) -> None:
    store, text = Store(tmp_path / "runs", samples=None), tmp_path / "prose.txt"
    text.write_text(prose(), encoding="utf-8")
    first, second = (train(store, small_config(kind, text, steps=3)) for kind in ("rnn", "gpt"))
    assert counted == [first.id]
    assert second.baselines() == first.baselines() and first.baselines()["ngram"]
    text.write_text(prose()[:-500], encoding="utf-8")
    base = small_config("rnn", text, steps=3)
    changes = [
        "name=shorter text",
        "context_length=8",
        "eval_tokens=64",
        "validation_fraction=0.3",
        "tokenizer.kind=bpe",
    ]
    others = [apply_settings(base, [change]) for change in changes]
    runs = [train(store, config) for config in others]
    assert counted == [first.id, *(run.id for run in runs)]
    assert len({json.dumps(run.baselines()) for run in (first, *runs)}) == 6


def test_old_texts_are_forgotten(tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "KEPT", 1)
    store, text = Store(tmp_path / "runs", samples=None), tmp_path / "prose.txt"
    text.write_text(prose(), encoding="utf-8")
    for context in (8, 16, 16, 8):
        train(store, small_config("rnn", text, steps=2, training={"context_length": context}))
    assert len(counted) == 3 and len(baselines._known) == 1


def test_the_file_is_not_opened_at_every_update(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmviz.training.session.BASELINES_AFTER", 0.0)
    store, text = Store(tmp_path / "runs", samples=None), tmp_path / "prose.txt"
    text.write_text(prose(), encoding="utf-8")
    opened = 0
    read = Run.baselines

    def watched(run: Run) -> dict[str, object]:
        nonlocal opened
        opened += 1
        return read(run)

    monkeypatch.setattr(Run, "baselines", watched)
    run = train(store, small_config("rnn", text, steps=30))
    assert counted == [run.id] and opened <= 2
