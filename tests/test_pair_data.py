"""Pairs, hidden words, labels and repetition as training takes them, and what is measured of them."""

import itertools
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from test_cli import lmviz

from lmviz.checkpoints import load_model
from lmviz.config import CorpusConfig, RunConfig
from lmviz.corpora.labelled import label_set
from lmviz.corpora.pairs import Pair, add_pairs
from lmviz.decoding.translate import translate
from lmviz.decoding.written import Written
from lmviz.errors import ConfigError, CorpusError, LmvizError
from lmviz.finetune import finetune
from lmviz.forks import fork
from lmviz.inspect.fields import right_share
from lmviz.inspect.pairs import by_length, example, exposure
from lmviz.jobs.questions import QUESTIONS
from lmviz.models.base import UNSCORED
from lmviz.models.pairs import PairModel
from lmviz.models.seq2seq import Seq2Seq
from lmviz.presets import preset
from lmviz.runs import Run, Store
from lmviz.tokenizers import BEGIN, END
from lmviz.training.foreground import train_here
from lmviz.training.masked_data import HIDDEN, REPLACED, MaskedData
from lmviz.training.pair_data import PairData
from lmviz.training.sources import check_length, open_data
from lmviz.training.task_data import TaskData
from lmviz.turns import finish

torch.set_num_threads(1)


def dates(**model: Any) -> RunConfig:
    return preset("seq2seq-attention", "tiny", model=model, training={"steps": 4})


def trained(store: Store, config: RunConfig) -> Run:
    run = store.create(config)
    train_here(run, quiet=True)
    assert run.status().error is None
    return run


def test_batches_of_pairs_are_the_pairs_with_their_ends() -> None:
    data = PairData.of(dates())
    pairs = [data.pairs.train(i) for i in (3, 1, 4)]
    batch = data.batch(pairs)
    assert batch.source is not None
    for row, pair in enumerate(pairs):
        source = batch.source[row].tolist()
        end = source.index(END)
        assert data.source_tokenizer.decode(source[:end]) == pair.source and set(source[end:]) == {END}
        wanted = [token for token in batch.targets[row].tolist() if token != UNSCORED]
        assert data.tokenizer.decode(wanted[:-1]) == pair.target and wanted[-1] == END
        assert batch.inputs[row, 0] == BEGIN
        assert batch.inputs[row, 1 : len(wanted)].tolist() == wanted[:-1]


def test_the_same_generator_draws_the_same_pairs_and_no_held_out_ones() -> None:
    data = PairData.of(dates())
    config = dates().training
    one, same = (data.batches(config, torch.Generator().manual_seed(7)) for _ in range(2))
    held_out = {pair.target for pair in data.tests}
    for _ in range(20):
        first, second = one.next(), same.next()
        assert torch.equal(first.inputs, second.inputs) and torch.equal(first.targets, second.targets)
        rows = [[token for token in row if token not in (UNSCORED, END)] for row in first.targets.tolist()]
        targets = {data.tokenizer.decode(row) for row in rows}
        assert not targets & held_out


@pytest.mark.parametrize("kind", ["seq2seq", "seq2seq-attention", "transformer"])
def test_greedy_outputs_are_the_likeliest_characters_one_by_one(kind: str) -> None:
    config = preset(kind, "tiny")
    data = PairData.of(config)
    from lmviz.models import build_model

    torch.manual_seed(3)
    model = cast(PairModel, build_model(config.model, data.tokenizer.vocab_size, 64, **data.sizes).eval())
    texts = ["may 7, 1995", "1/2/1980", "sunday, january 8, 1950"]
    together = translate(model, data.tokenizer, data.sources(texts), 9)
    for text, written in zip(texts, together, strict=True):  # one by one, whatever stands beside it in the batch
        tokens = [BEGIN]
        with torch.no_grad():
            state = model.encode(data.sources([text]))
            for _ in range(9):
                logits = model.read(torch.tensor([tokens]), state)[0][0, -1]
                tokens.append(int(logits.argmax()))
                if tokens[-1] == END:
                    break
        assert written.tokens == [token for token in tokens[1:] if token != END]
        if kind == "seq2seq":
            assert written.attention is None
        else:
            assert written.attention is not None
            assert written.attention.shape == (len(written.logprobs), len(text) + 1)
            np.testing.assert_allclose(written.attention.sum(1), 1, atol=1e-5)


def test_the_share_on_the_right_part_is_counted_by_hand() -> None:
    pair = Pair("ab1", "1-", (0, 0, 1), (1, -1))
    looked = np.array([[0.1, 0.2, 0.6, 0.1], [1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    right = Written([5, 6], "1-", [0.0, 0.0, 0.0], looked)
    assert right_share([right], [pair]) == pytest.approx(0.6)
    wrong = Written([5, 5], "11", [0.0, 0.0, 0.0], looked)
    assert right_share([right, wrong], [pair, pair]) == pytest.approx(0.6)
    assert right_share([wrong], [pair]) is None


def test_right_outputs_by_length_are_counted() -> None:
    pairs = [Pair("a" * n, "x") for n in (1, 1, 2, 2, 5, 9)]
    rows = by_length(pairs, ["x", "y", "x", "x", "y", "y"], bins=3)
    assert sum(row["pairs"] for row in rows) == 6
    assert rows[0] == {"from": 1, "to": rows[0]["to"], "pairs": rows[0]["pairs"], "right": rows[0]["right"]}
    assert sum(row["right"] * row["pairs"] for row in rows) == pytest.approx(3)
    assert all(a["to"] < b["from"] for a, b in itertools.pairwise(rows))


def test_sources_of_one_length_are_one_group() -> None:
    rows = by_length([Pair("ab", "x"), Pair("cd", "y")], ["x", "x"])
    assert rows == [{"from": 2, "to": 2, "pairs": 2, "right": 0.5}]


def test_words_and_few_places_are_measured_too(tmp_path: Path) -> None:
    """No field of a word is known; a Transformer with as many places as its pairs need ends what it writes there."""
    store = Store(tmp_path, samples=None)
    words = preset("seq2seq-attention", "tiny", tokenizer={"kind": "word"}, training={"steps": 3})
    assert "right_share" not in trained(store, words).metrics()[-1]
    settings = {"steps": 2, "context_length": 13}
    places = preset("transformer", "tiny", corpus={"name": "reverse"}, model={"position": "learned"}, training=settings)
    run = trained(store, places)
    *_, maps = QUESTIONS["attention"](store, run.id, text="abcdefghijab", part="cross_attention")
    assert len(maps["columns"]) == 13 and len(maps["rows"]) <= 13
    with pytest.raises(ConfigError, match="200 are allowed"):
        list(QUESTIONS["attention"](store, run.id, text="a" * 300, part="encoder_attention"))


def test_moving_attention_to_where_it_was_changes_nothing_and_elsewhere_does(tmp_path: Path) -> None:
    run = trained(Store(tmp_path, samples=None), dates().model_copy(update={"training": dates().training.model_copy(
        update={"steps": 150})}))  # fmt: skip
    model, tokenizer, _ = load_model(run)
    assert isinstance(model, Seq2Seq)
    data = PairData("dates-en", PairData.of(run.config()).pairs, tokenizer)
    before = example(model, data, "may 7, 1995")
    assert before.attention is not None
    own = {step: row.tolist() for step, row in enumerate(before.attention)}
    again = example(model, data, "may 7, 1995", own)
    assert again.target == before.target
    np.testing.assert_allclose(again.logprobs, before.logprobs, atol=1e-5)
    moved = example(model, data, "may 7, 1995", {0: [0.0] * 11 + [1.0]})
    assert moved.attention is not None and moved.attention[0].tolist() == [0.0] * 11 + [1.0]
    assert moved.logprobs[0] != pytest.approx(before.logprobs[0], abs=1e-3)


def test_own_inputs_cost_more_than_right_ones_and_the_first_place_costs_the_same(tmp_path: Path) -> None:
    run = trained(Store(tmp_path, samples=None), preset("seq2seq-attention", "tiny", training={"steps": 60}))
    model, tokenizer, _ = load_model(run)
    data = PairData("dates-en", PairData.of(run.config()).pairs, tokenizer)
    pairs = [data.pairs.test(i) for i in range(200)]
    found = exposure(cast(PairModel, model), data, pairs, torch.Generator().manual_seed(0))
    assert found["own"][0] == pytest.approx(found["forced"][0], abs=1e-9) and found["pairs"][0] == 200
    assert np.mean(found["own"]) > np.mean(found["forced"]) + 0.01
    losses = model.token_losses(data.batch(pairs)).detach()
    np.testing.assert_allclose(found["forced"], losses.double().mean(0).numpy(), atol=1e-5)


def test_hidden_words_are_hidden_as_the_paper_says(text_file: Path) -> None:
    config = preset("bert", "tiny", corpus={"name": str(text_file)}, training={"context_length": 32})
    data = cast(MaskedData, finish(open_data(config)))
    windows = data.whole_windows(2**16)
    whole = windows.repeat(200, 1)
    batch = data.hide(whole, torch.Generator().manual_seed(2))
    scored = batch.targets != UNSCORED
    assert (scored.sum(1) == round(0.15 * 31)).all() and not scored[:, 0].any()
    assert torch.equal(batch.targets[scored], whole[scored])
    assert torch.equal(batch.inputs[~scored], whole[~scored])
    masked = (batch.inputs[scored] == data.mask_token).float().mean().item()
    kept = (batch.inputs[scored] == whole[scored]).float().mean().item()
    assert masked == pytest.approx(HIDDEN, abs=0.03)
    assert kept == pytest.approx(1 - HIDDEN - REPLACED, abs=0.03)  # a replacement is seldom the same by chance
    floor = data.baselines()["ngram"]["1"]
    counts = np.bincount(data.text.train, minlength=data.tokenizer.vocab_size) + 1.0
    shares = np.log(counts / counts.sum())
    targets = np.concatenate([b.targets[b.targets != UNSCORED].numpy() for b in data.validation_batches()])
    assert floor == pytest.approx(-shares[targets].mean())


def test_fine_tuning_begins_with_the_weights_and_tokens_of_the_other(tmp_path: Path, text_file: Path) -> None:
    store = Store(tmp_path, samples=None)
    settings = {"steps": 3, "context_length": 48}
    first = trained(store, preset("bert", "tiny", corpus={"name": str(text_file)}, training=settings))
    run = finetune(store, first, "code-or-prose", ["training.steps=2", "learning_rate=1e-9"])
    train_here(run, quiet=True)
    assert run.status().state == "finished"
    before, tokens, _ = load_model(first)
    after, same, _ = load_model(run)
    assert (run.path / "tokenizer.json").read_bytes() == (first.path / "tokenizer.json").read_bytes()
    assert tokens.vocab_size == same.vocab_size
    shared = dict(before.named_parameters())
    for name, value in after.named_parameters():
        if name in shared:
            torch.testing.assert_close(value, shared[name], atol=1e-6, rtol=0)
    assert [name for name, _ in after.named_parameters() if name not in shared] == [
        "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    assert run.metrics()[-1]["accuracy"] > 0
    with pytest.raises(ConfigError, match="no trained bert"):
        finetune(store, run, "code-or-prose")


def test_forks_of_pairs_and_of_fine_tuned_runs_are_whole(tmp_path: Path, text_file: Path) -> None:
    store = Store(tmp_path, samples=None)
    pairs = trained(store, preset("seq2seq", "tiny", training={"steps": 6}))
    settings = {"steps": 3, "context_length": 48}
    first = trained(store, preset("bert", "tiny", corpus={"name": str(text_file)}, training=settings))
    tuned = finetune(store, first, "code-or-prose", ["training.steps=4"])
    train_here(tuned, quiet=True)
    for run in (pairs, tuned):
        step = run.checkpoint_steps()[1]
        other = fork(store, run, step)
        train_here(other, quiet=True)
        assert other.status().state == "finished", other.status().error
        same, tokenizer, _ = load_model(other)
        expected, own, _ = load_model(run)
        assert (tokenizer.source is None) == (own.source is None) and tokenizer.vocab_size == own.vocab_size
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(same.state_dict()[name], value)


def test_labels_are_balanced_and_no_held_out_text_is_trained_on() -> None:
    texts = label_set("code-or-prose")
    for part in (texts.train, texts.test):
        labels = [label for _, label in part]
        assert labels.count(0) == labels.count(1) > 50
    assert not {text for text, _ in texts.train} & {text for text, _ in texts.test}


def test_a_table_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    seen = []
    for word in ("left", "right"):
        path.write_text("".join(f"{word} {i},{'even' if i % 2 else 'odd'}\n" for i in range(60)), encoding="utf-8")
        config = preset("seq2seq", corpus={"name": str(path)})
        seen.append((PairData.of(config).held_out(1)[0].source, label_set(str(path)).train[0][0]))
        assert all(word in text for text in seen[-1])
    assert seen[0] != seen[1]


def test_a_table_of_labels_is_one_of_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path))
    rows = "\n".join(f"text number {n},{'even' if n % 2 == 0 else 'odd'}" for n in range(60))
    name = add_pairs(("numbers.csv", rows.encode()), "Numbers")
    assert label_set(name).classes == ("even", "odd")
    both = rows + "\ntext number 7,even\ntext number 8,odd"
    texts = label_set(add_pairs(("both.csv", both.encode()), "Both"))
    assert not {"text number 7", "text number 8"} & {text for text, _ in (*texts.train, *texts.test)}
    few = rows + "\nanother text,neither"
    with pytest.raises(CorpusError, match="Label neither has 1 texts"):
        label_set(add_pairs(("few.csv", few.encode()), "Few"))
    many = "\n".join(f"text {n},label {n}" for n in range(60))
    with pytest.raises(CorpusError, match="60 different values"):
        label_set(add_pairs(("many.csv", many.encode()), "Many"))


@pytest.mark.parametrize("lag", [8, 16, 40])
def test_a_repeated_passage_is_the_same_and_only_it_is_scored(lag: int) -> None:
    data = TaskData.of(CorpusConfig(name="repeat", lag=lag))
    batch = data.draw(lag, 300, torch.Generator().manual_seed(lag))
    assert batch.inputs.shape == (300, 2 * lag)
    distances = set()
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        whole = [*inputs[1:], targets[-1] if targets[-1] != UNSCORED else 0]
        scored = [place for place, target in enumerate(targets) if target != UNSCORED]
        assert scored == list(range(scored[0], scored[-1] + 1)) and len(scored) >= lag // 4 - 1
        assert all(whole[place] == targets[place] for place in scored[:-1])
        passage = [whole[scored[0] - 1], *(targets[place] for place in scored)]
        starts = [s for s in range(scored[0] - len(passage)) if whole[s : s + len(passage)] == passage]
        assert starts, "the passage stands earlier, without overlap"
        distances.add(scored[0] - 1 - starts[0])
    assert len(distances) > lag // 4  # a fixed distance answers little


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": {"kind": "seq2seq"}, "corpus": {"name": "repeat"}}, "needs pairs"),
        ({"model": {"kind": "gpt"}, "corpus": {"name": "dates-en"}}, "are pairs of a source and a target"),
        ({"model": {"kind": "gpt"}, "corpus": {"name": "code-or-prose"}}, "which bert learns"),
        ({"model": {"kind": "bert"}, "corpus": {"name": "copy", "lag": 5}}, "learns from texts"),
        ({"model": {"kind": "transformer", "num_heads": 5}}, "must divide"),
        ({"model": {"kind": "gpt"}, "corpus": {"name": "repeat", "lag": 7}}, "lag of 8 or more"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RunConfig.model_validate(values)


def test_too_few_places_or_too_large_a_batch_is_a_sentence() -> None:
    config = preset("transformer", model={"position": "learned"}, training={"context_length": 8})
    with pytest.raises(ConfigError, match="has 8 places"):
        check_length(finish(open_data(config)), config)


def test_a_text_is_no_pairs() -> None:
    with pytest.raises(LmvizError, match="pairs"):
        PairData.of(preset("seq2seq", corpus={"name": "python"}))


def test_the_command_line_trains_pairs_and_writes_targets(tmp_path: Path) -> None:
    done = lmviz(tmp_path, "train", "--model", "seq2seq-attention", "--size", "tiny", "--steps", "150", "--seed", "0",
                 "--json")  # fmt: skip
    document = json.loads(done.stdout)
    assert {"exact_match", "character_error_rate", "right_share"} <= document.keys()
    assert 0 < document["exact_match"] <= 1
    written = lmviz(tmp_path, "generate", document["run"], "--prompt", "may 7, 1995", "--strategy", "greedy", "--json")
    assert len(json.loads(written.stdout)["text"]) == 10
    shown = lmviz(tmp_path, "corpora", "show", "dates-en", "--json")
    assert json.loads(shown.stdout)["examples"][0][1].count("-") == 2
