"""Corpora: what is built in, what a person adds, and everything that can be wrong with a file."""

import builtins
import codecs
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmviz import limits
from lmviz.config import TokenizerConfig
from lmviz.corpora import (
    BUILTIN,
    ENCODINGS,
    Corpus,
    add_corpus,
    data_dir,
    decode,
    list_corpora,
    load_corpus,
    preview,
    word_vocabulary,
)
from lmviz.corpora import builtin as builtin_module
from lmviz.corpora.fetch import fetch
from lmviz.errors import CorpusError

CHINESE = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n"
TRADITIONAL = "春眠不覺曉，處處聞啼鳥。\n夜來風雨聲，花落知多少。\n"
FRENCH = "Les élèves français étudient à l'école, où ça va très bien.\nDès Noël, un garçon haïssait le zéphyr.\n"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # three people joined by zero width joiners
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02"
LONG = "A sentence that is long enough to be a corpus. " * 5


def corpus(*documents: str) -> Corpus:
    return Corpus("x", "x", "", "", "", documents)


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_corpora_load_fast_and_are_the_same_each_time(name: str) -> None:
    builtin_module.load_builtin.cache_clear()
    start = time.process_time()
    first = load_corpus(name)
    assert time.process_time() - start < 2  # 1 s on an idle machine
    assert load_corpus(name) is first
    builtin_module.load_builtin.cache_clear()
    assert load_corpus(name).fingerprint == first.fingerprint
    assert all(first.documents) and "\r" not in first.text and first.encoding is None


def test_reference_is_the_prose_in_the_dictionary_order() -> None:
    from pydoc_data.topics import topics

    assert load_corpus("python-reference").documents == tuple(topics.values())


def test_python_is_ascii_source_without_tests_in_a_shuffled_order() -> None:
    found = load_corpus("python")
    text = found.text
    assert text.isascii() and 90 <= len(set(text)) <= 105
    assert found.characters > 5_000_000
    assert Path(json.__file__).read_text() in found.documents
    root = Path(json.__file__).parent.parent
    patterns = ("test/test_a*.py", "*/test/*.py", "*/tests/*.py", "idlelib/idle_test/*.py", "pydoc_data/topics.py")
    outside = {path.read_text(encoding="utf-8") for pattern in patterns for path in root.glob(pattern)}
    assert len(outside) > 20 and not {text for text in outside if len(text) > 200} & set(found.documents)
    assert not any("build_time_vars = {" in document for document in found.documents)
    firsts = [document[:200] for document in found.documents]
    assert firsts != sorted(firsts)


def test_idioms_are_the_dictionary_lines_with_the_tag_i_and_jieba_is_not_run() -> None:
    code = "import sys; from lmviz.corpora import load_corpus as l; t = l('idioms').text; print(len(t.split()), 'jieba' in sys.modules, 'torch' in sys.modules, 'streamlit' in sys.modules)"  # noqa: E501
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert answer == ["25583", "False", "False", "False"]
    words = load_corpus("idioms").documents[0].split("\n")
    assert len(load_corpus("idioms").documents) == 1 and len(set(words)) == 25583
    assert "画蛇添足" in words and words != sorted(words)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("documents", [("abcdefghij",), ("abc", "de", "", "fghij"), ("a",) * 10])
def test_split_takes_the_last_share_of_all_characters(documents: tuple[str, ...], fraction: float) -> None:
    train, validation = corpus(*documents).split(fraction)
    assert "".join(train) + "".join(validation) == "".join(documents)
    assert len("".join(validation)) == min(max(round(10 * fraction), 1), 9)
    assert all(train) and all(validation)


def test_split_cuts_only_the_document_across_the_border() -> None:
    assert corpus("abcd", "efgh", "ij").split(0.4) == (("abcd", "ef"), ("gh", "ij"))
    assert corpus("abcd", "efgh", "ij").split(0.2) == (("abcd", "efgh"), ("ij",))
    for short in ((), ("",), ("a",)):
        with pytest.raises(CorpusError, match="too short"):
            corpus(*short).split(0.1)


def test_text_characters_and_fingerprint() -> None:
    assert corpus("ab", "c").text == "ab\nc" and corpus("ab", "c").characters == 3
    prints = {corpus(*d).fingerprint for d in [("ab", "c"), ("a", "bc"), ("abc",), ("ab", "c", ""), ("ab", "d")]}
    assert len(prints) == 5
    assert corpus("ab", "c").fingerprint == corpus("ab", "c").fingerprint


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8"),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "utf-16-le", "utf-16-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
        (CHINESE, "utf-32", "utf-32"),
        (CHINESE, "gbk", "gb18030"),
        (CHINESE + "𠮷\n", "gb18030", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        ("白日依山盡，黃河入海流。", "big5", "big5"),
        ("春眠不觉晓，处处闻啼鸟。\n", "gbk", "gb18030"),
        ("我爱你", "gbk", "gb18030"),
        ("画蛇添足\n守株待兔\n亡羊补牢\n刻舟求剑\n", "gbk", "gb18030"),
        ("吾輩は猫である。名前はまだ無い。", "shift_jis", "shift_jis"),
        ("吾輩は猫である。名前はまだ無い。", "euc_jp", "euc_jp"),
        ("이것은 시험입니다. 한국어 문장입니다.", "euc_kr", "euc_kr"),
        ("Съешь же ещё этих мягких французских булок", "cp1251", "cp1251"),
        ("Съешь же ещё этих мягких французских булок", "koi8-r", "koi8-r"),
        (FRENCH, "latin-1", "cp1252"),
        (FRENCH, "utf-16-le", "utf-16-le"),
        ("a\n", "utf-16-be", "utf-16-be"),
        ("a", "utf-16-le", "utf-16-le"),
        ("a", "utf-8", "utf-8"),
        (f"{FAMILY} and 👩🏽‍🚀\n", "utf-8", "utf-8"),
        (f"{FAMILY} and 👩🏽‍🚀\n", "utf-16-le", "utf-16-le"),
        ("plain <end> text\n" * 300 + CHINESE, "gbk", "gb18030"),
    ],
)
def test_decode_finds_the_encoding(text: str, written: str, found: str) -> None:
    assert decode(text.encode(written)) == (text, found)


def test_decode_big_endian_mark_and_named_encodings() -> None:
    assert decode(codecs.BOM_UTF16_BE + CHINESE.encode("utf-16-be")) == (CHINESE, "utf-16")
    assert decode(FRENCH.encode("latin-1"), "Latin1") == (FRENCH, "iso8859-1")
    assert decode(CHINESE.encode("utf-8-sig"), "utf8") == (CHINESE, "utf-8")
    for encoding in ENCODINGS:
        assert decode(b"plain" if "16" not in encoding and "32" not in encoding else "plain".encode(encoding), encoding)


def test_decode_turns_line_ends_into_one_kind() -> None:
    assert decode(b"a\r\nb\rc\n\r\nd")[0] == "a\nb\nc\n\nd"


def test_decode_five_megabytes() -> None:
    text = CHINESE * (5_000_000 // len(CHINESE.encode("gbk")))
    start = time.process_time()
    assert decode(text.encode("gbk")) == (text, "gb18030")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "data",
    [PNG, PNG[8:], b"\x00", b"\x00\x01\x02\x03", b"hello\x00world!", b"\x7fELF\x02\x01\x01\x00" * 9, bytes(range(256)),
     b"PK\x03\x04\x14\x00", b"%PDF-1.7\nplain", b"abc\x01\x02\x03def"],
)  # fmt: skip
def test_decode_refuses_what_is_not_text(data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"photo\.txt is not a text file"):
        decode(data, name="photo.txt")


@pytest.mark.parametrize("data", [b"", b" \r\n\t", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b"\xff\xfe \x00"])
def test_decode_refuses_empty_text(data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"a\.txt is empty"):
        decode(data, name="a.txt")


def test_decode_names_file_and_encoding_that_do_not_fit() -> None:
    with pytest.raises(CorpusError, match=r"poem\.txt is not in the encoding utf-8"):
        decode(CHINESE.encode("gbk"), "utf-8", name="poem.txt")
    with pytest.raises(CorpusError, match=r"poem\.txt is not in the encoding utf-16"):
        decode(codecs.BOM_UTF16_LE + b"abc", name="poem.txt")
    for unknown in ("klingon", "hex", "punycode", "a\0b", "../x"):
        with pytest.raises(CorpusError, match="no text encoding"):
            decode(b"abc", unknown)


def test_add_and_load(tmp_path: Path) -> None:
    files = [("../../etc/Poem 1.txt", CHINESE.encode("gbk") * 3), ("b.txt", b"one\r\ntwo <end>\r\n" * 3)]
    name = add_corpus(tmp_path, "My  Poems:\n ../évil", files)
    assert name == "my-poems-evil"
    assert sorted(p.name for p in (tmp_path / name).iterdir()) == ["0001.txt", "0002.txt", "corpus.json"]
    loaded = load_corpus(name, tmp_path)
    assert loaded.documents == (CHINESE * 3, "one\ntwo <end>\n" * 3)
    assert (loaded.title, loaded.source) == ("My Poems: ../évil", "Poem 1.txt, b.txt")
    assert loaded.encoding == "gb18030, utf-8"
    assert [p.name for p in tmp_path.iterdir()] == [name]
    row = next(row for row in list_corpora(tmp_path) if row.kind == "added")
    assert (row.name, row.title, row.documents) == (name, loaded.title, 2)
    assert row.characters == loaded.characters and row.created and row.created.endswith("+00:00")


def test_names_are_made_here_and_never_taken_twice(tmp_path: Path) -> None:
    labels = ["python", "Python!", "唐诗", "../..", "x" * 500, "/", "python"]
    names = [add_corpus(tmp_path, label, [("a.txt", LONG.encode())]) for label in labels]
    assert names == ["python-2", "python-3", "text", "text-2", "x" * 40, "text-3", "python-4"]
    titles = {row.name: row.title for row in list_corpora(tmp_path)}
    assert titles["text"] == "唐诗" and len(titles["x" * 40]) == limits.MAX_LABEL


def test_two_at_once_get_two_names(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        adding = [
            threads.submit(add_corpus, tmp_path, "Same", [("a.txt", (LONG + str(i)).encode())]) for i in range(24)
        ]
    names = [future.result() for future in adding]
    assert len(set(names)) == 24
    assert [load_corpus(name, tmp_path).text for name in names] == [LONG + str(i) for i in range(24)]


def test_add_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    good = ("a.txt", LONG.encode())
    with pytest.raises(CorpusError, match="no name"):
        add_corpus(tmp_path, " \n", [good])
    with pytest.raises(CorpusError, match="no file"):
        add_corpus(tmp_path, "x", [])
    with pytest.raises(CorpusError, match=r"photo\.png is not a text file"):
        add_corpus(tmp_path, "x", [good, ("photo.png", PNG)])
    with pytest.raises(CorpusError, match=r"b\.txt is not in the encoding ascii"):
        add_corpus(tmp_path, "x", [good, ("b.txt", CHINESE.encode())], "ascii")
    with pytest.raises(CorpusError, match=f"at least {limits.MIN_CORPUS_CHARACTERS}"):
        add_corpus(tmp_path, "x", [("a.txt", b"a" * (limits.MIN_CORPUS_CHARACTERS - 1))])
    with pytest.raises(CorpusError, match="too many"):
        add_corpus(tmp_path, "x", [good] * (limits.MAX_CORPUS_FILES + 1))
    large = [("a.txt", b"a" * (limits.MAX_UPLOAD_BYTES - 9)), ("b.txt", b"a" * 10)]
    with pytest.raises(CorpusError, match=r"too large: 50\.0 MB, and 50 MB"):
        add_corpus(tmp_path, "x", large)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CorpusError, match=r"No space left on device\. Make room"):
        add_corpus(tmp_path, "x", [("a.txt", LONG.encode())])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lmviz.corpora.draft import Draft\n"
        "with Draft(Path(sys.argv[1])) as draft:\n"
        "    draft.add(['words ' * 50], 'a.txt', 'utf-8'); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline() == b"ready\n"
        (draft,) = tmp_path.glob(".draft-*")
        os.utime(draft, (0, 0))
        name = add_corpus(tmp_path, "x", [("a.txt", LONG.encode())])
        assert draft.is_dir() and sorted(p.name for p in (tmp_path / name).iterdir()) == ["0001.txt", "corpus.json"]
        writer.kill()
    os.utime(draft, (0, 0))
    add_corpus(tmp_path, "y", [("a.txt", LONG.encode())])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]


def test_a_file_by_its_path_follows_its_changes(tmp_path: Path) -> None:
    path = tmp_path / "novel.txt"
    path.write_bytes(TRADITIONAL.encode("big5"))
    first = load_corpus(str(path))
    assert (first.documents, first.encoding, first.title) == ((TRADITIONAL,), "big5", "novel.txt")
    path.write_bytes(b"another\r\n")
    assert load_corpus(str(path)).documents == ("another\n",)
    with pytest.raises(CorpusError, match="no corpus and no file"):
        load_corpus(str(path), tmp_path, allow_paths=False)
    path.write_bytes(PNG)
    with pytest.raises(CorpusError, match=r"novel\.txt is not a text file"):
        load_corpus(str(path))


def test_unknown_names_are_answered_with_the_known(tmp_path: Path) -> None:
    add_corpus(tmp_path, "Tang poems", [("a.txt", LONG.encode())])
    with pytest.raises(CorpusError, match="Did you mean tang-poems") as caught:
        load_corpus("tang-poem", tmp_path)
    assert all(name in str(caught.value) for name in [*BUILTIN, "tang-poems"])
    for odd in ("zzzzzz", "", "a\0b", "x" * 5000, "/dev/zero", "../" * 40 + "nothing"):
        with pytest.raises(CorpusError):
            load_corpus(odd, tmp_path)


def test_a_damaged_corpus_is_an_error_and_not_in_the_list(tmp_path: Path) -> None:
    name = add_corpus(tmp_path, "x", [("a.txt", LONG.encode())])
    for broken in ("{", "[]", "{}", '{"title": "x", "files": 3}'):
        (tmp_path / name / "corpus.json").write_text(broken)
        with pytest.raises(CorpusError, match="damaged"):
            load_corpus(name, tmp_path)
        assert [row.kind for row in list_corpora(tmp_path)] == ["builtin"] * len(BUILTIN)


@pytest.mark.parametrize("damage", [b"", LONG.encode()[:-1], None])
def test_a_damaged_text_is_an_error(tmp_path: Path, damage: bytes | None) -> None:
    name = add_corpus(tmp_path, "x", [("a.txt", LONG.encode()), ("b.txt", LONG.encode())])
    text = tmp_path / name / "0001.txt"
    text.unlink() if damage is None else text.write_bytes(damage)
    with pytest.raises(CorpusError, match=r"The corpus x is damaged\. Remove its folder from the texts, then add it"):
        load_corpus(name, tmp_path)
    assert name not in [row.name for row in list_corpora(tmp_path)]


def test_what_a_sentence_repeats_is_one_short_line(tmp_path: Path) -> None:
    for call in (
        lambda name: load_corpus(name, tmp_path),
        lambda name: decode(b"x", name),
        lambda name: fetch(name, tmp_path),
        lambda name: add_corpus(tmp_path, "x", [("a.csv", b"text\nx\n")], column=name),
        lambda name: add_corpus(tmp_path, "x", [("a.txt", b"x")], column=name),
    ):
        with pytest.raises(CorpusError, match="an odd name") as caught:
            call("an odd\nname\x1b[1m " + "x" * 5000)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 600
    with pytest.raises(CorpusError, match=r"^No text is named\. Take one of python-reference"):
        load_corpus("", tmp_path)


def test_the_list_reads_no_texts_and_the_data_folder_can_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path))
    assert data_dir() == tmp_path
    name = add_corpus(data_dir(), "x", [("a.txt", LONG.encode())])
    assert load_corpus(name).documents == (LONG,)
    opened: list[str] = []
    real = Path.open

    def watch(self: Path, *args: object, **kwargs: object) -> object:
        opened.append(self.name)
        return real(self, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", watch)
    monkeypatch.setattr(builtins, "open", pytest.fail)
    assert [row.name for row in list_corpora()] == [*BUILTIN, name]
    assert set(opened) <= {"corpus.json"}
    monkeypatch.delenv("LMVIZ_DATA")
    assert data_dir() == Path(__file__).resolve().parent.parent / "data"


def test_preview() -> None:
    shown = preview(corpus("", "abca\nb", "é" * 4), validation_fraction=0.2, num_frequent=2, num_lines=1)
    assert (shown.characters, shown.documents, shown.bytes, shown.distinct_characters) == (10, 3, 14, 5)
    assert shown.frequent == (("é", 4), ("a", 2)) and shown.lines == ("abca",)
    assert (shown.train_characters, shown.validation_characters, shown.vocab_size) == (8, 2, None)
    assert preview(corpus("abcab"), TokenizerConfig()).vocab_size == 6
    assert preview(corpus("abcab"), TokenizerConfig(kind="bpe", vocab_size=260)).vocab_size == 260


def test_the_words_of_a_long_text_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TokenizerConfig(kind="word", vocab_size=1000)
    assert word_vocabulary(corpus("one two three four five six seven eight nine ten"), config) == 3 + 9
    monkeypatch.setattr("lmviz.corpora.summary.count_words", pytest.fail)
    assert word_vocabulary(corpus("春眠不觉晓" * 200_001), config) == 1000
