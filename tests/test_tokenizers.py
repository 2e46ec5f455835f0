"""Tokenizers: exact round trips, the file format, and the fast paths against Hugging Face's own."""

import time
from pathlib import Path

import numpy as np
import pytest
import tokenizers as hf
from tokenizers import pre_tokenizers

from lmviz import pieces, words
from lmviz import tokenizers as module
from lmviz.config import TokenizerConfig
from lmviz.corpora import load_corpus
from lmviz.errors import CorpusError, LmvizError
from lmviz.tokenizers import BEGIN, END, UNK, StreamDecoder, Tokenizer, train_tokenizer

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
UGLY = [
    "", "a", " ", "\n", "\r\n", "  two  spaces \t\n\n\n end ", "<end>", "a<end><begin><unk>b", "I'll don't we've",
    "画蛇添足，中文。", f"{FAMILY}👩🏽‍🚀", "e\u0301 é", "\x00\x07\x1b\x85\xa0\u2028\ufeff\ufffd", "\U0010ffff𠮷",
    "Ġ Ċ ä ¸ Ń",
]  # fmt: skip
TEXT = "\n".join(UGLY) * 3


@pytest.fixture(scope="module")
def char() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(kind="char"), [TEXT])


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    prose = load_corpus("python-reference").documents[:10]
    return train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=400), [*prose, "<end> <begin> " * 500, TEXT])


@pytest.fixture(scope="module")
def word() -> Tokenizer:
    prose = load_corpus("python-reference").documents[:10]
    return train_tokenizer(TokenizerConfig(kind="word", vocab_size=4000), [*prose, "<end> <begin> " * 500, TEXT])


@pytest.fixture(params=["char", "word", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    found: Tokenizer = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("text", UGLY)
def test_round_trip_is_exact_and_equals_hugging_face(tokenizer: Tokenizer, text: str, tmp_path: Path) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {UNK, BEGIN, END} & set(ids)
    tokenizer.save(tmp_path / "tokenizer.json")
    theirs = hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids, skip_special_tokens=False) == text
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.encode(text) == ids and again.kind == tokenizer.kind and again.vocab_size == tokenizer.vocab_size


def test_special_tokens_come_first_and_no_text_makes_them(tokenizer: Tokenizer) -> None:
    assert [tokenizer.backend.token_to_id(token) for token in ("<unk>", "<begin>", "<end>")] == [0, 1, 2]
    assert len(tokenizer.encode("<end>")) > 1
    assert tokenizer.decode([BEGIN, *tokenizer.encode("<end>"), END]) == "<end>"
    assert tokenizer.token_text(END) == "<end>" and tokenizer.token_text(UNK) == "\ufffd"


def test_char_vocabulary_is_the_sorted_characters_of_both_parts() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(), ["cab\n"], ["da"])
    assert [tokenizer.token_text(i) for i in range(3, tokenizer.vocab_size)] == ["\n", "a", "b", "c", "d"]
    assert tokenizer.encode("x\nd") == [UNK, 3, 7]
    assert tokenizer.decode(tokenizer.encode("axb")) == "a\ufffdb"
    assert tokenizer.unknown_characters("zaxzd") == ["z", "x"]


def test_bpe_learns_from_the_training_part_alone(bpe: Tokenizer) -> None:
    config = TokenizerConfig(kind="bpe", vocab_size=300)
    alone = train_tokenizer(config, ["low lower lowest " * 9])
    both = train_tokenizer(config, ["low lower lowest " * 9], ["zebra zebra " * 99])
    assert alone.backend.to_str() == both.backend.to_str()
    assert len(alone.encode("lowest")) < 6 and len(alone.encode("zebra")) == 5
    assert bpe.vocab_size == 400 and bpe.unknown_characters("\U0010ffff画") == []


def test_bpe_byte_table_is_the_library_s(bpe: Tokenizer) -> None:
    assert set(module._BYTES) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(module._BYTES.values()) == list(range(256))
    every_byte = [i for i in range(3, bpe.vocab_size) if len(bpe.token_bytes(i)) == 1]
    assert sorted(bpe.token_bytes(i)[0] for i in every_byte) == list(range(256))


def test_token_text_shows_bytes_that_are_no_character(bpe: Tokenizer) -> None:
    table = {bpe.token_bytes(i): bpe.token_text(i) for i in range(3, bpe.vocab_size)}
    assert table[b"\xe4"] == "⟨E4⟩" and table[b"a"] == "a" and table[b" "] == " "
    assert [bpe.token_text(i) for i in bpe.encode("鱻")] == [f"⟨{b:02X}⟩" for b in "鱻".encode()]


@pytest.mark.parametrize("token", [-1, 10**6])
def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer, token: int) -> None:
    for read in (tokenizer.token_text, lambda i: tokenizer.decode([i]), StreamDecoder(tokenizer).feed):
        with pytest.raises(LmvizError, match="no token"):
            read(token)


def test_lone_surrogates_are_a_sentence(tokenizer: Tokenizer) -> None:
    with pytest.raises(LmvizError, match="half of a character"):
        tokenizer.encode("a\ud83d")
    with pytest.raises(LmvizError, match="half of a character"):
        tokenizer.unknown_characters("a\ud83d")
    with pytest.raises(LmvizError, match="half of a character"):
        train_tokenizer(TokenizerConfig(kind=tokenizer.kind), ["a\ud83d"])


def test_documents_become_one_stream(tokenizer: Tokenizer) -> None:
    documents = [text for text in UGLY if text]
    expected: list[int] = []
    for document in documents:
        expected += [BEGIN, *tokenizer.backend.encode(document).ids, END]
    stream = tokenizer.encode_documents(documents)
    assert stream.dtype == np.uint16 and stream.tolist() == expected
    assert tokenizer.encode_documents([]).tolist() == []
    assert tokenizer.encode_documents([""]).tolist() == [BEGIN, END]


def test_a_vocabulary_beyond_uint16_makes_a_uint32_stream() -> None:
    every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)[:70_000]
    tokenizer = train_tokenizer(TokenizerConfig(), [every])
    stream = tokenizer.encode_documents([every])
    assert stream.dtype == np.uint32 and tokenizer.decode(stream[1:-1]) == every


def test_char_fast_path_takes_ten_megabytes_in_a_second(char: Tokenizer) -> None:
    text = (TEXT * (10_000_000 // len(TEXT) + 1))[:10_000_000]
    char.encode_documents(["a"])
    start = time.process_time()
    stream = char.encode_documents([text])
    assert time.process_time() - start < 1
    assert stream[1:1001].tolist() == char.backend.encode(text[:1000]).ids


def test_bpe_in_pieces_equals_bpe_at_once(bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [*load_corpus("python-reference").documents[:4], TEXT, "no-space" * 300, "\x1c \x1f\n\x85 \xa0 x\n \n"]
    at_once = [bpe.backend.encode(document).ids for document in documents]
    trained = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=350), documents).backend.to_str()
    for size in (1, 2, 7):
        monkeypatch.setattr(pieces, "CHUNK", size)
        assert [bpe.encode(document) for document in documents] == at_once
        again = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=350), documents)
        assert again.backend.to_str() == trained


CODE = "def f(x_1):\n    if x_1:\n\treturn 'don''t'  # 12.5 %\n        self.__init__()\n"
CHINESE = "我来到北京清华大学，他来到了网易杭研大厦。\n画蛇添足 and 中文 mixed中文, 𠮷 々"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The cat, don't!", ["The", " cat", ",", " don't", "!"]),
        (CODE.split("\n")[1] + "\n\treturn", ["    ", "if", " x", "_", "1", ":", "\n", "\t", "return"]),
        ("来到北京清华大学", ["来到", "北京", "清华大学"]),
        ("a 中文", ["a", " ", "中文"]),
        ("e\u0301te\u0301 'tis rock'n'roll", ["e\u0301te\u0301", " '", "tis", " rock'n'roll"]),
        (" " * 18 + "x", [" " * 16, "  ", "x"]),
    ],
)
def test_words_are_cut_as_the_rule_says(text: str, tokens: list[str]) -> None:
    assert list(words.cut(text)) == tokens


@pytest.mark.parametrize("text", [CODE, CHINESE, "\n".join(load_corpus("python-reference").documents[:30])])
def test_words_make_the_text_again(text: str, tmp_path: Path) -> None:
    config = TokenizerConfig(kind="word", vocab_size=50_000)
    tokenizer = train_tokenizer(config, [text])
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text and UNK not in ids
    assert "".join(tokenizer.token_text(i) for i in ids) == text
    assert tokenizer.backend.to_str() == train_tokenizer(config, [text]).backend.to_str()
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.kind == "word" and again.encode(text) == ids


def test_the_rule_in_the_file_cuts_as_ours() -> None:
    rule = words.word_backend([], "<unk>").pre_tokenizer
    for text in [*UGLY, CODE, "हिन्दी नमस्ते", "".join(map(chr, range(32, 0x870))), *load_corpus("python").documents[:30]]:
        assert [token for token, _ in rule.pre_tokenize_str(text)] == words._rule().findall(text)


def test_the_most_frequent_words_are_kept_and_the_rest_is_unknown() -> None:
    config = TokenizerConfig(kind="word", vocab_size=260)
    text = " ".join(f"w{i} w{i} x{i}" for i in range(200))  # "w0" begins the text; " w0" comes once, like every " x0"
    tokenizer = train_tokenizer(config, [text], ["never counted " * 99])
    kept = [tokenizer.token_text(i) for i in range(3, 260)]
    assert tokenizer.vocab_size == 260
    assert kept[:199] == sorted(f" w{i}" for i in range(1, 200)) and kept[199:] == sorted([
        *(f" x{i}" for i in range(200)), " w0", "w0"])[:58]  # fmt: skip
    ids = tokenizer.encode(" w7 counted w8")
    assert [i == UNK for i in ids] == [False, True, False]
    assert tokenizer.decode(ids) == " w7\ufffd w8"
    assert tokenizer.unknown_characters(" w7 counted, w8 counted") == [" counted", ","]
    assert len(frequent := words.frequent_words([text], 300)) == words.count_words([text], 300) == 300
    assert words.count_words([text, "and more"], 10**6) == 401 + 2 and len(set(frequent)) == 300


def test_words_of_a_megabyte_are_cut_in_a_second() -> None:
    text = "\n".join(load_corpus("python-reference").documents) * 3
    text = text[:1_000_000]
    train_tokenizer(TokenizerConfig(kind="word"), ["a"])
    start = time.process_time()
    stream = train_tokenizer(TokenizerConfig(kind="word", vocab_size=4000), [text]).encode_documents([text])
    assert time.process_time() - start < 1.5
    assert len(stream) < 400_000


def test_words_in_pieces_equal_words_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT + CODE + CHINESE + "no-space" * 300 + "\x1c \x1f\n\x85 \xa0 x\n \n"
    monkeypatch.setattr(pieces, "CHUNK", 3)
    assert [token for chunk in pieces.text_chunks([text]) for token in words.cut(chunk)] == list(words.cut(text))


def test_stream_decoder_never_gives_half_a_character(tokenizer: Tokenizer) -> None:
    for text in UGLY:
        stream = StreamDecoder(tokenizer)
        pieces = [stream.feed(i) for i in tokenizer.encode(text)]
        assert "".join(pieces) == text and stream.finish() == ""
        if "\ufffd" not in text:
            assert not any("\ufffd" in piece for piece in pieces)


def test_stream_decoder_equals_decode_on_any_ids(tokenizer: Tokenizer) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        ids = random.integers(0, tokenizer.vocab_size, 30).tolist()
        stream = StreamDecoder(tokenizer)
        assert "".join(map(stream.feed, ids)) + stream.finish() == tokenizer.decode(ids)


@pytest.mark.parametrize(
    "content", [None, "", "{", "{}", '{"model": {"type": "BPE", "vocab": {}, "merges": []}}', "\x00"]
)
def test_a_file_that_is_no_tokenizer_is_a_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LmvizError, match=r"tokenizer\.json cannot be read"):
        Tokenizer.load(path)


def test_a_tokenizer_without_our_special_tokens_is_refused(tmp_path: Path) -> None:
    hf.Tokenizer(hf.models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>")).save(str(tmp_path / "t.json"))
    with pytest.raises(LmvizError, match="does not begin with"):
        Tokenizer.load(tmp_path / "t.json")


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
@pytest.mark.parametrize("documents", [[], [""], ["", ""]])
def test_no_text_is_a_sentence(kind: str, documents: list[str]) -> None:
    with pytest.raises(CorpusError, match="no text"):
        train_tokenizer(TokenizerConfig(kind=kind), documents)
