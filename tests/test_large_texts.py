"""Large texts against the same texts in memory, and everything that can happen while one is prepared."""

import gc
import json
import os
import shutil
import signal
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_jobs import begin, state_is, wait
from test_training import interrupted, losses, small_config, train
from texts import prose

from lmviz.config import CorpusConfig, RunConfig, TokenizerConfig
from lmviz.corpora import Corpus, LargeCorpus, add_corpus, load_corpus, load_text, preview, word_vocabulary
from lmviz.corpora import large as large_module
from lmviz.errors import ConfigError, CorpusError
from lmviz.jobs.pool import LocalPool
from lmviz.jobs.questions import ask_generate, ask_score
from lmviz.pieces import whole_tokens
from lmviz.runs import Store
from lmviz.training import baselines
from lmviz.training import token_files as files_module
from lmviz.training.data import Data, load_data, tokenize, validation_batches
from lmviz.training.session import Session
from lmviz.turns import IDLE, finish

UGLY = (
    "\ufeff画蛇添足。\r\n\r\n  élève\rtwo  spaces\t<end> 👩🏽‍🚀 don't 北京清华大学\n"
    + prose(3000)
    + "x" * 700
    + " 中" * 90
)
CONFIGS = [TokenizerConfig(), TokenizerConfig(kind="word", vocab_size=300), TokenizerConfig(kind="bpe", vocab_size=300)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs", samples=None)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("LMVIZ_DATA", str(folder))
    return folder


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Texts of a kilobyte are large, and pieces are so small that every border falls into them."""
    monkeypatch.setattr("lmviz.corpora.store.LARGE_TEXT_BYTES", 1000)
    monkeypatch.setattr(large_module, "PIECE_BYTES", 7)
    monkeypatch.setattr(large_module, "SMALL_PIECE", 5)
    return monkeypatch


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def both(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Corpus, LargeCorpus]:
    """The same text twice: in memory, and in pieces."""
    large = load_corpus(name)
    with monkeypatch.context() as patch:
        patch.setattr("lmviz.corpora.store.LARGE_TEXT_BYTES", 10**9)
        load_corpus.__globals__["_load_added"].cache_clear()
        small = load_corpus(name)
    load_corpus.__globals__["_load_added"].cache_clear()
    assert isinstance(large, LargeCorpus) and isinstance(small, Corpus)
    return small, large


def equal(ours: Data, theirs: Data) -> None:
    assert ours.facts() == theirs.facts() and ours.prompt == theirs.prompt
    assert ours.tokenizer.backend.to_str() == theirs.tokenizer.backend.to_str()
    for left, right in ((ours.train, theirs.train), (ours.validation, theirs.validation)):
        assert left.dtype == right.dtype and np.array_equal(left, right)


def in_memory(name: str, fraction: float, tokenizer: TokenizerConfig, monkeypatch: pytest.MonkeyPatch) -> Data:
    with monkeypatch.context() as patch:
        patch.setattr("lmviz.corpora.store.LARGE_TEXT_BYTES", 10**9)
        load_corpus.__globals__["_load_added"].cache_clear()
        found = finish(load_data(CorpusConfig(name=name, validation_fraction=fraction), tokenizer))
    load_corpus.__globals__["_load_added"].cache_clear()
    return found


@pytest.mark.parametrize("fraction", [0.1, 0.37, 1e-6, 0.999])
@pytest.mark.parametrize("tokenizer", CONFIGS, ids=lambda config: config.kind)
def test_a_file_in_pieces_is_the_file_in_memory(
    tokenizer: TokenizerConfig, fraction: float, tmp_path: Path, data: Path, limit: pytest.MonkeyPatch
) -> None:
    name = str(write(tmp_path / "ugly.txt", UGLY))
    ours = finish(load_data(CorpusConfig(name=name, validation_fraction=fraction), tokenizer))
    assert isinstance(ours.train, np.memmap)
    equal(ours, in_memory(name, fraction, tokenizer, limit))


@pytest.mark.parametrize("tokenizer", CONFIGS, ids=lambda config: config.kind)
def test_an_added_text_in_pieces_is_the_text_in_memory(
    tokenizer: TokenizerConfig, data: Path, limit: pytest.MonkeyPatch
) -> None:
    parts = [("a.txt", UGLY.encode()), ("b.txt", b"short\r\n"), ("c.txt", prose(2000, seed=4).encode())]
    name = add_corpus(data, "Mine", parts)
    for fraction in (0.1, 0.5, 0.9):
        ours = finish(load_data(CorpusConfig(name=name, validation_fraction=fraction), tokenizer))
        equal(ours, in_memory(name, fraction, tokenizer, limit))


def test_what_corpus_json_says_is_used_and_checked(data: Path, limit: pytest.MonkeyPatch) -> None:
    name = add_corpus(data, "Mine", [("a.txt", UGLY.encode()), ("b.txt", prose(2000).encode())])
    small, large = both(name, limit)
    shown = preview(small)
    about = json.loads(large.about)
    keys = ("characters", "documents", "distinct_characters", "bytes", "frequent", "lines")
    about["preview"] = {key: getattr(shown, key) for key in keys}
    about["alphabet"] = "".join(sorted(set("".join(small.documents))))
    (data / name / "corpus.json").write_text(json.dumps(about))
    known = load_corpus(name)
    assert isinstance(known, LargeCorpus)
    large_module._surveys.clear()
    limit.setattr(large_module, "survey_of", pytest.fail)
    assert known.survey.alphabet == about["alphabet"] and preview(known) == shown
    equal(finish(load_data(CorpusConfig(name=name), CONFIGS[0])), in_memory(name, 0.1, CONFIGS[0], limit))
    about["alphabet"] = about["alphabet"].replace("画", "")
    (data / name / "corpus.json").write_text(json.dumps(about))
    shutil.rmtree(data / ".tokens")
    large_module._surveys.clear()
    with pytest.raises(CorpusError, match="damaged"):
        finish(load_data(CorpusConfig(name=name), CONFIGS[0]))
    assert list((data / ".tokens").iterdir()) == []


def test_facts_and_preview_are_those_of_the_text_in_memory(
    tmp_path: Path, data: Path, limit: pytest.MonkeyPatch
) -> None:
    for i, text in enumerate([UGLY, UGLY.removeprefix("\ufeff"), prose(), prose().replace("\n", "\r\n"), "中" * 2000]):
        small, large = both(str(write(tmp_path / f"{i}.txt", text)), limit)
        assert large.fingerprint == small.fingerprint and large.characters == small.characters
        assert ["".join(pieces) for pieces in large.documents()] == list(small.documents)
        for tokenizer in (None, *CONFIGS):
            assert preview(large, tokenizer) == preview(small, tokenizer)
        assert word_vocabulary(large, CONFIGS[1]) == CONFIGS[1].vocab_size  # at most
        assert word_vocabulary(small, CONFIGS[1]) == preview(small, CONFIGS[1]).vocab_size


def test_a_sample_is_spread_over_the_training_part(tmp_path: Path, data: Path, limit: pytest.MonkeyPatch) -> None:
    text = "".join(f"{i:05} " for i in range(2000))
    corpus = load_corpus(str(write(tmp_path / "numbers.txt", text)))
    assert isinstance(corpus, LargeCorpus)
    border = corpus.border(0.25)
    assert "".join(corpus.sample(border, 10**6)) == text[:border]
    numbers = [int(number) for number in "".join(corpus.sample(border, border // 10)).split()]
    assert 140 <= len(numbers) <= 160 and numbers[0] < 20 and numbers[-1] >= 1480
    assert max(np.diff(numbers)) < 20


def test_whole_tokens_are_the_text_and_a_text_without_spaces_is_cut_in_the_end(limit: pytest.MonkeyPatch) -> None:
    pieces = [UGLY[i : i + 3] for i in range(0, len(UGLY), 3)]
    whole = list(whole_tokens(pieces))
    assert "".join(whole) == UGLY and max(map(len, whole)) > 600
    limit.setattr("lmviz.pieces.UNCUT", 50)
    whole = list(whole_tokens(pieces))
    assert "".join(whole) == UGLY and max(map(len, whole)) <= 53


def test_a_run_on_files_has_the_losses_of_a_run_in_memory(
    tmp_path: Path, store: Store, data: Path, limit: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "prose.txt", prose())
    for kind in ("lstm", "ngram"):
        on_files = train(store, small_config(kind, path))
        limit.setattr("lmviz.corpora.store.LARGE_TEXT_BYTES", 10**9)
        assert losses(on_files) == losses(train(store, small_config(kind, path)))
        limit.setattr("lmviz.corpora.store.LARGE_TEXT_BYTES", 1000)
    assert on_files.data()["unknown_share"] == {"train": 0.0, "validation": 0.0}


def test_unknown_words_are_counted(tmp_path: Path, store: Store, data: Path, limit: pytest.MonkeyPatch) -> None:
    text = prose(3000) + " ".join(f"w{i}" for i in range(400))
    run = store.create(small_config("rnn", write(tmp_path / "words.txt", text)))
    config = run.config().model_copy(update={"tokenizer": CONFIGS[1]})
    (run.path / "config.json").write_text(config.model_dump_json())
    for _ in Session(run).work():
        pass
    assert run.status().error is None and run.data()["vocab_size"] == 300
    share = run.data()["unknown_share"]
    found = finish(load_data(config.corpus, config.tokenizer))
    assert share["train"] == np.mean(found.train == 0) > 0 and share["validation"] == np.mean(found.validation == 0)
    assert share["validation"] > 0.5


def test_a_model_of_words_writes_and_scores(tmp_path: Path, store: Store, data: Path) -> None:
    """All that works for characters works for words; a prompt from the text ends before a word it does not know."""
    unheard = "".join(f"The dog q{i} saw a cat.\n" for i in range(60))  # more than the validation part
    config = small_config("gru", write(tmp_path / "words.txt", prose(9000) + unheard))
    run = train(store, config.model_copy(update={"tokenizer": TokenizerConfig(kind="word", vocab_size=260)}))
    assert {sample["prompt"] for sample in run.samples()} == {"The dog"} and run.samples()[-1]["text"]
    pieces = list(ask_generate(store, run.id, prompt="The cat", max_new_tokens=20))
    tokens = [token for piece in pieces for token in piece["tokens"]]
    assert len(tokens) == 20 and all(" " not in token["text"].strip() for token in tokens)
    with pytest.raises(ConfigError, match="never read this:  unheard"):
        next(ask_generate(store, run.id, prompt="The unheard"))
    (result,) = ask_score(store, run.id, "The cat unheard.")
    assert [token["text"] for token in result["tokens"]] == ["The", " cat", "\ufffd", "."]
    assert result["unknown"] == (" unheard",)
    assert run.data()["validation_tokens"] < run.data()["validation_characters"] / 2


def test_only_a_bounded_part_is_counted(tmp_path: Path, store: Store, data: Path, limit: pytest.MonkeyPatch) -> None:
    limit.setattr(baselines, "_known", {})  # nothing counted earlier, under other limits
    path = write(tmp_path / "prose.txt", prose())
    limit.setattr("lmviz.training.session.MAX_COUNTED_TOKENS", 2000)
    limit.setattr("lmviz.training.recorder.BASELINE_TOKENS", 1000)
    run = train(store, small_config("ngram", path))
    assert run.status().tokens == run.data()["counted_tokens"] == 2000 < run.data()["train_tokens"]
    assert run.baselines()["counted_tokens"] == 1000


def test_progress_grows_to_one_and_tokens_are_made_once(tmp_path: Path, data: Path, limit: pytest.MonkeyPatch) -> None:
    corpus = CorpusConfig(name=str(write(tmp_path / "ugly.txt", UGLY)))
    for tokenizer in CONFIGS:
        shares: list[float] = []
        turns = sum(1 for _ in load_data(corpus, tokenizer, shares.append))
        assert shares == sorted(shares) and shares[-1] == 1 and turns > 100
        assert sum(1 for _ in load_data(corpus, tokenizer)) == 0
        assert len(list((data / ".tokens").glob("*/meta.json"))) == 1 + CONFIGS.index(tokenizer)
    assert {path.name for path in (data / ".tokens").glob("*/*")} == {
        "train.bin", "validation.bin", "tokenizer.json", "meta.json"}  # fmt: skip


def test_status_shows_the_progress(tmp_path: Path, store: Store, data: Path, limit: pytest.MonkeyPatch) -> None:
    limit.setattr("lmviz.training.session.STATUS_INTERVAL", 0.0)
    run = store.create(small_config("rnn", write(tmp_path / "prose.txt", prose())))
    session = Session(run)
    seen = []
    for _ in session.work():
        if not session.trainer and run.status().stage == "Preparing the text":
            seen.append(run.status().stage_progress)
    assert seen[0] is None
    shares = [share for share in seen if share is not None]
    assert shares == sorted(shares) and len(set(shares)) > 100 and shares[-1] > 0.9
    assert run.status().state == "finished" and run.status().stage_progress is None


def half_way(name: str) -> Iterator[object]:
    """A preparation that stands still in the middle."""
    shares: list[float] = [0.0]
    turns = load_data(CorpusConfig(name=name), TokenizerConfig(), shares.append)
    while shares[-1] < 0.6:
        next(turns)
    return turns


def test_a_preparation_that_is_given_up_leaves_nothing(tmp_path: Path, data: Path, limit: pytest.MonkeyPatch) -> None:
    turns = half_way(str(write(tmp_path / "prose.txt", prose())))
    (draft,) = (data / ".tokens").iterdir()
    assert draft.name.startswith(".draft-") and (draft / "train.bin").exists()
    turns.close()  # type: ignore[attr-defined]
    assert list((data / ".tokens").iterdir()) == []


def test_two_at_once_wait_for_each_other(tmp_path: Path, data: Path, limit: pytest.MonkeyPatch) -> None:
    name = str(write(tmp_path / "prose.txt", prose()))
    first = half_way(name)
    shares: list[float] = []
    second = load_data(CorpusConfig(name=name), TokenizerConfig(), shares.append)
    while next(second) != IDLE:
        pass
    assert len(list((data / ".tokens").iterdir())) == 1
    assert finish(first).fingerprint == finish(second).fingerprint  # type: ignore[arg-type]
    assert shares[-1] == 1
    assert len(list((data / ".tokens").iterdir())) == 1


def test_nobody_waits_for_one_that_stands_still(tmp_path: Path, data: Path, limit: pytest.MonkeyPatch) -> None:
    name = str(write(tmp_path / "prose.txt", prose()))
    paused = half_way(name)
    limit.setattr(files_module, "STILL", -1.0)
    found = finish(load_data(CorpusConfig(name=name), TokenizerConfig()))
    equal(finish(paused), found)  # type: ignore[arg-type]
    assert [path.name[0] for path in (data / ".tokens").iterdir()] != ["."]
    assert len(list((data / ".tokens").iterdir())) == 1


def test_the_tokens_not_used_for_longest_go_when_there_are_too_many(
    tmp_path: Path, data: Path, limit: pytest.MonkeyPatch
) -> None:
    names = [str(write(tmp_path / f"{i}.txt", prose(seed=i))) for i in range(3)]
    for i, name in enumerate(names):
        finish(load_data(CorpusConfig(name=name), TokenizerConfig()))
        newest = max((data / ".tokens").glob("*/meta.json"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1000 + i, 1000 + i))
    folders = {path.parent: sum(file.stat().st_size for file in path.parent.iterdir())
               for path in (data / ".tokens").glob("*/meta.json")}  # fmt: skip
    oldest = min(folders, key=lambda folder: (folder / "meta.json").stat().st_mtime)
    limit.setattr(files_module, "MAX_TOKEN_BYTES", sum(folders.values()) - 1)
    finish(load_data(CorpusConfig(name=names[2]), TokenizerConfig()))
    assert set((data / ".tokens").iterdir()) == set(folders) - {oldest}


def test_a_file_that_changes_is_noticed(tmp_path: Path, store: Store, data: Path, limit: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "prose.txt", prose())
    turns = half_way(str(path))
    write(path, prose(seed=7))
    os.utime(path, (1, 1))
    with pytest.raises(CorpusError, match="was changed while it was read"):
        finish(turns)  # type: ignore[arg-type]
    assert list((data / ".tokens").iterdir()) == []
    run = interrupted(store, small_config("rnn", path), 5)
    write(path, prose(seed=8))
    for _ in Session(run).work():
        pass
    assert "has changed since this run began" in run.status().error["message"]
    assert len(list((data / ".tokens").iterdir())) == 1, "the new text is not tokenized for a run that cannot use it"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (prose().encode("utf-16"), "not UTF-8"),
        ("春眠不觉晓，处处闻啼鸟。".encode("gbk") * 100, "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "PNG"),
        (b"plain \0" * 300, "binary data"),
    ],
)
def test_a_large_file_that_is_no_text_is_a_sentence_at_once(
    content: bytes, sentence: str, tmp_path: Path, data: Path, limit: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        load_corpus(str(path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(prose().encode() + b"\xff", "not UTF-8"), (b" \n" * 900, "is empty"), (b"plain \x01" * 300, "binary data"),
     (prose().encode() + b"\0", "binary data"), (prose().encode() + "中".encode()[:2], "not UTF-8")],
)  # fmt: skip
def test_what_is_no_text_further_on_is_a_sentence(
    content: bytes, sentence: str, tmp_path: Path, data: Path, limit: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        finish(load_data(CorpusConfig(name=str(path)), TokenizerConfig()))


def test_limits_and_what_needs_the_whole_text(tmp_path: Path, data: Path, limit: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "prose.txt", prose())
    with pytest.raises(CorpusError, match=r"too large: 0\.0 MB, and 0\.001 MB"):
        load_text(str(path))
    limit.setattr("lmviz.corpora.store.MAX_FILE_BYTES", 2000)
    with pytest.raises(CorpusError, match=r"0\.002 MB are allowed"):
        load_corpus(str(path))


def test_validation_windows_are_those_of_the_array(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 99, 5000).astype(np.uint16)
    tokens.tofile(tmp_path / "tokens.bin")
    mapped = np.memmap(tmp_path / "tokens.bin", np.uint16, mode="r")
    for ours, theirs in zip(validation_batches(mapped, 16, 900), validation_batches(tokens, 16, 900), strict=True):
        assert ours.inputs.equal(theirs.inputs) and ours.targets.equal(theirs.targets)


@pytest.fixture
def pool(tmp_path: Path, data: Path) -> Iterator[LocalPool]:
    pool = LocalPool(Store(tmp_path / "runs", samples=None), workers=1)
    yield pool
    pool.close()


def large_config(path: Path) -> RunConfig:
    config = small_config("rnn", path)
    return config.model_copy(update={"tokenizer": TokenizerConfig(kind="word", vocab_size=400)})


def test_others_train_meanwhile_and_a_kill_leaves_no_half_tokens(tmp_path: Path, data: Path, pool: LocalPool) -> None:
    other = begin(pool, small_config("rnn", write(tmp_path / "small.txt", prose()), steps=1_000_000), "one")
    big = write(tmp_path / "big.txt", prose(100_000) * 210)
    run = begin(pool, large_config(big), "two")
    wait(lambda: (run.status().stage_progress or 0) > 0.35)
    at = other.status().step
    wait(lambda: other.status().step > at + 50)
    assert run.status().step == 0 and run.status().stage_progress < 1
    os.kill(run.status().worker, signal.SIGKILL)
    folders = list((data / ".tokens").iterdir())
    assert len(folders) == 1 and folders[0].name.startswith(".draft-")
    wait(state_is(run, "finished"), 240)
    pool.stop(other.id)
    (folder,) = (data / ".tokens").iterdir()
    assert (folder / "meta.json").exists()
    whole = np.fromfile(folder / "train.bin", np.uint16)
    assert len(whole) == run.data()["train_tokens"]


def test_of_large_texts_in_memory_only_the_last_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmviz.training.data.LARGE_TEXT_BYTES", 1000)
    for size, kept in ((900, True), (1100, False)):
        texts = [Corpus(str(i), "", "", "", "", (str(i) * size,)) for i in range(2)]
        first, second = (weakref.ref(tokenize(text, 0.1, CONFIGS[0])) for text in texts)
        gc.collect()
        assert (first() is not None) == kept and second() is tokenize(texts[1], 0.1, CONFIGS[0])
