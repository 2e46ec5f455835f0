"""Who is ahead, by hand-made curves whose answer is known."""

import numpy as np
import pytest

from lmviz.compare import differences, labels, leads, read_view
from lmviz.presets import preset
from lmviz.runs import Run, Store, append_line, write_json
from lmviz.ui.figures.loss import Curve, Words, loss_figure
from lmviz.ui.theme import run_style


def run_with(store: Store, kind: str, rows: list[tuple[int, int, float, float]], **config: object) -> Run:
    """rows: step, tokens, seconds, validation loss."""
    run = store.create(preset(kind, **config))  # type: ignore[arg-type]
    for step, tokens, seconds, loss in rows:
        line = {"step": step, "tokens": tokens, "seconds": seconds, "train_loss": loss, "val_loss": loss}
        append_line(run.path / "metrics.jsonl", line)
    facts = {"fingerprint": "a", "validation_tokens": 100, "validation_characters": 100, "vocab_size": 10}
    write_json(run.path / "data.json", facts)
    return run


def test_leads_are_taken_where_all_have_been(store: Store) -> None:
    fast = run_with(store, "lstm", [(0, 0, 0.0, 4.0), (100, 1000, 10.0, 2.0)])
    slow = run_with(store, "gpt", [(0, 0, 0.0, 4.0), (200, 4000, 5.0, 1.0)])
    by = {lead.axis: lead for lead in leads([read_view(fast, "fast"), read_view(slow, "slow")])}
    assert by["step"].at == 100 and by["step"].losses == pytest.approx((2.0, 2.5))
    assert by["step"].best.label == "fast" and by["step"].margin == pytest.approx(0.5)
    assert by["tokens"].at == 1000 and by["tokens"].losses == pytest.approx((2.0, 3.25))
    assert by["seconds"].at == 5 and by["seconds"].losses == pytest.approx((3.0, 1.0))
    assert by["seconds"].best.label == "slow"


def test_different_tokens_are_compared_in_bits_a_character(store: Store) -> None:
    char = run_with(store, "lstm", [(1, 1, 1.0, 1.5)])
    bpe = run_with(store, "lstm", [(1, 1, 1.0, 3.0)], tokenizer={"kind": "bpe"})
    facts = {"fingerprint": "a", "validation_tokens": 100, "validation_characters": 400, "vocab_size": 10}
    write_json(bpe.path / "data.json", facts)
    lead = leads([read_view(char, "char"), read_view(bpe, "bpe")])[0]
    assert lead.best.label == "bpe"
    assert lead.losses == pytest.approx((1.5 / np.log(2), 3.0 / np.log(2) / 4))


def test_different_texts_are_not_compared(store: Store) -> None:
    first, second = run_with(store, "lstm", [(1, 1, 1.0, 1.5)]), run_with(store, "gru", [(1, 1, 1.0, 1.0)])
    facts = {"fingerprint": "b", "validation_tokens": 100, "validation_characters": 100, "vocab_size": 10}
    write_json(second.path / "data.json", facts)
    assert leads([read_view(first), read_view(second)]) == []


def test_one_run_alone_and_ngrams_lead_nothing(store: Store) -> None:
    one = run_with(store, "lstm", [(1, 1, 1.0, 1.5)])
    ngram = run_with(store, "ngram", [(1, 1, 1.0, 1.0)])
    assert leads([read_view(one), read_view(ngram)]) == []


def test_differences_name_only_what_differs() -> None:
    table = differences([preset("lstm", name="a"), preset("lstm", name="b", training={"learning_rate": 1e-3})])
    assert table == {"training.learning_rate": [6e-3, 1e-3]}
    assert differences([preset("lstm"), preset("gru")])["model.forget_gate_bias"] == [1.0, None]


def test_labels_tell_equals_apart(store: Store) -> None:
    first, second = (store.create(preset("lstm", name="same")) for _ in range(2))
    other = store.create(preset("lstm"))
    assert labels([first, second, other]) == [f"same ({first.id})", f"same ({second.id})", other.id]


def test_the_figure_draws_what_it_is_given() -> None:
    nan = np.nan
    curve = Curve(
        "<b>x</b>", run_style("lstm"), np.array([1.0, 2, 4]), np.array([3.0, 2, 1]), np.array([3.0, nan, 1.5])
    )
    words = Words("t", "x", "y", "train", "val", "empty", {"floor": 1.2})
    figure = loss_figure([curve], words)
    thin, bold = figure.data
    assert list(thin.y) == [3, 2, 1] and list(bold.x) == [1, 4] and list(bold.y) == [3, 1.5]
    assert bold.name == "&lt;b&gt;x&lt;/b&gt;"
    assert [shape.y0 for shape in figure.layout.shapes] == [1.2]
    with pytest.raises(ValueError, match="3 places, 2 training"):
        Curve("x", run_style("lstm"), np.zeros(3), np.zeros(2), np.zeros(3))
