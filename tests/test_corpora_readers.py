"""Tables, archives, folders and large texts, and everything that can be wrong with them."""

import io
import json
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from texts import prose

from lmviz import limits
from lmviz.corpora import Reading, add_corpus, add_path, load_corpus, preview, read_files, read_path
from lmviz.corpora.facts import Facts
from lmviz.errors import CorpusError

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02"
GERMAN = "Größe, Müßiggang und Übermut führen geradewegs ins Bärenmaul.\nÄußerst schöne Öfen heizen nächtelang.\n"
FRENCH = "Les élèves français étudient à l'école, où ça va très bien.\nDès Noël, un garçon haïssait le zéphyr.\n"
SIMPLIFIED = (
    "燕子去了，有再来的时候；杨柳枯了，有再青的时候；桃花谢了，有再开的时候。\n"
    "但是，聪明的，你告诉我，我们的日子为什么一去不复返呢？\n"
)
TRADITIONAL = (
    "燕子去了，有再來的時候；楊柳枯了，有再青的時候；桃花謝了，有再開的時候。\n"
    "但是，聰明的，你告訴我，我們的日子為什麼一去不復返呢？\n"
)


def documents(reading: Reading) -> list[str]:
    return [document for file in reading.files for document in file.documents]


def read(name: str, data: bytes | str, **options: str | None) -> Reading:
    return read_files([(name, data.encode() if isinstance(data, str) else data)], **options)


def packed(files: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        (SIMPLIFIED, "gbk", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (FRENCH, "latin-1", "cp1252"),
        (GERMAN, "latin-1", "cp1252"),
        *[
            (text, encoding, encoding)
            for text in (SIMPLIFIED, TRADITIONAL, FRENCH, GERMAN)
            for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be")
        ],
    ],
)
def test_every_kind_of_file_is_read_in_its_encoding(text: str, written: str, found: str) -> None:
    """Alone, in an archive, and as the column of a table."""
    expected = [text]
    plain = read("a.txt", text.encode(written))
    assert (documents(plain), plain.files[0].encoding) == (expected, found)
    inside = read("a.zip", packed({"a.txt": text.encode(written)}))
    assert (documents(inside), inside.files[0].encoding) == (expected, found)
    rows = "number\ttext\n" + "".join(f"{i}\t{line}\n" for i, line in enumerate(text.splitlines()))
    table = read("a.tsv", rows.encode(written))
    assert (documents(table), table.files[0].encoding) == (expected, found)


def test_an_encoding_can_be_chosen() -> None:
    wrong = documents(read("a.txt", SIMPLIFIED.encode("gbk"), encoding="latin-1"))[0]
    assert wrong != SIMPLIFIED and wrong.encode("latin-1").decode("gbk") == SIMPLIFIED
    assert documents(read("a.csv", f"text\n{GERMAN}".encode("cp1252"), encoding="cp1252")) == [GERMAN]
    with pytest.raises(CorpusError, match=r"inside\.txt is not in the encoding utf-8"):
        read("a.zip", packed({"inside.txt": SIMPLIFIED.encode("gbk")}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'id,text\n1,"Hello, you"\n2,"two\nlines"\n3,\n4,last\n'),
        ("a.CSV", 'id;text\r\n1;Hello, you\r\n2;"two\nlines"\r\n4;last\r\n'),
        ("a.csv", '\ufeffid|text\n1|Hello, you\n2|"two\nlines"\n4|last\n'),
        ("a.tsv", 'id\ttext\n1\tHello, you\n2\t"two\nlines"\n4\tlast\n'),
        ("a.csv", 'text\nHello, you\n"two\nlines"\nlast\n'),
        ("a.jsonl", '{"id": 1, "text": "Hello, you"}\n\n{"text": ["two", "lines"]}\n{"id": 2}\n{"text": "last"}\n'),
        ("a.ndjson", '"Hello, you"\n"two\\nlines"\n"last"\n'),
        ("a.json", '{"text": "Hello, you"}\n{"text": "two\\r\\nlines"}\n{"text": "last"}'),
        ("a.json", '[{"text": "Hello, you"},\n{"text": "two\\nlines"}, {"text": null}, {"text": "last"}]'),
    ],
)
def test_the_rows_of_a_table_are_joined(name: str, data: str) -> None:
    assert documents(read(name, data)) == ["Hello, you\n\ntwo\nlines\n\nlast\n"]


def test_short_rows_are_lines_and_long_rows_are_documents() -> None:
    assert documents(read("a.csv", "text\nfirst\nsecond\n")) == ["first\nsecond\n"]
    long = [prose(1500, seed) for seed in range(3)]
    rows = "".join(json.dumps({"text": text}) + "\n" for text in long)
    assert documents(read("a.jsonl", rows)) == long
    many = "".join(json.dumps(prose(1100, seed)) + "\n" for seed in range(limits.MAX_CORPUS_FILES + 1))
    assert len(documents(read("a.jsonl", many))) == 1


def test_the_column_is_text_or_the_one_with_most_letters_or_the_one_named() -> None:
    rows = "title,text,body\nA long title indeed,short,12345678901234567890\n"
    assert documents(read("a.csv", rows)) == ["short\n"]
    assert documents(read("a.csv", rows.replace("text", "poem"))) == ["A long title indeed\n"]
    named = read("a.csv", rows, column="title")
    assert (named.files[0].column, named.columns) == ("title", ("title", "text", "body"))
    assert documents(named) == ["A long title indeed\n"]
    lines = '{"author": "Li Bai", "lines": ["one", "two"], "n": 3}\n{"author": "Du Fu", "lines": ["three and more"]}'
    assert documents(read("a.jsonl", lines)) == ["one\ntwo\n\nthree and more\n"]
    assert read("a.jsonl", lines).columns == ("author", "lines", "n")


def test_a_field_may_be_large_and_half_a_character_is_replaced() -> None:
    large = "x" * 300_000
    assert documents(read("a.csv", f'id,text\n1,"{large}"\n')) == [large]
    assert documents(read("a.jsonl", '{"text": "broken \\ud83d here"}')) == ["broken ? here\n"]


def test_a_json_that_holds_no_rows_is_a_plain_text() -> None:
    for text in ('{\n "name": "x"\n}\n', "[1, 2]", "just words\n"):
        reading = read("a.json", text)
        assert documents(reading) == [text] and reading.columns == ()


@pytest.mark.parametrize(
    ("name", "data", "column", "words"),
    [
        ("a.csv", "title,body\nx,y\n", "poem", r"a\.csv has no column poem\. Take one of these: title, body\."),
        ("a.csv", ",".join("abcdefghijklmnopqrstuvw") + "\n", "z", r"Take one of these: a, b, .*, s, t, \.\.\.\."),
        ("a.csv", "a,b\n1,2\n3,4\n", None, r"a\.csv has no column with text in it"),
        ("a.csv", "a,b\n1,x\n", "a", r"The column a of a\.csv has no text in it\. Take one of these: b\."),
        ("a.csv", "text\n", None, r"a\.csv has no column with text"),
        ("a.csv", "a,b\n1,x\n1,2,3\n", None, r"line 3 has 3 fields, .* 2 columns\. Put quotation marks around fields"),
        ("a.csv", 'a,b\n1,"x\n2,y\n', None, r"line 3 cannot be read \(unexpected end of data\)\. Close its quotation"),
        ("a.jsonl", '{"text": "a"}\n\n{"text": "b"\n', None, r"a\.jsonl is broken: line 3 cannot be read"),
        ("a.jsonl", '{"text": "a"}\n3\n', None, r"line 2 is neither an object nor a text"),
        ("a.jsonl", "[" * 100_000, None, r"line 1 cannot be read"),
        ("a.jsonl", '{"text": "a", "n": ' + "9" * 5000 + "}", None, r"line 1 cannot be read"),
        ("a.json", '[{"text": "a"},\n{"text"}]', None, r"a\.json is broken: line 2 cannot be read"),
        ("a.json", '{"text": "a"}\n{"text"}', None, r"a\.json is broken: line 2 cannot be read"),
        ("a.jsonl", '{"text": "a\\u0000b"}', None, r"a\.jsonl is not a text file"),
        ("a.txt", "words", "text", r"a\.txt is not a table, so it has no column text"),
        ("a.csv", "", None, r"a\.csv is empty"),
        ("a.csv", PNG, None, r"a\.csv is not a text file but looks like PNG"),
        ("a.docx", packed({"word/document.xml": "<w>x</w>"}), None, r"a\.docx is not a text file but looks like ZIP"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_gets_a_sentence(
    name: str, data: bytes | str, column: str | None, words: str
) -> None:
    with pytest.raises(CorpusError, match=words):
        read(name, data, column=column)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.tsv", 'text\tn\n"Hello", she\t1\nAn "odd one\t2\n"and open\t3\n', '"Hello", she\nAn "odd one\n"and open\n'),
        ("a.csv", 'text,n\n"He said "yes" twice",1\n"plain, too",2\n', 'He said yes" twice"\nplain, too\n'),
        ("a.csv", 'text,n\n6" nails,1\n', '6" nails\n'),
    ],
)  # fmt: skip
def test_quotation_marks_that_are_none_are_not_an_error(name: str, data: str, expected: str) -> None:
    assert documents(read(name, data)) == [expected]


def test_columns_of_one_name_are_told_apart() -> None:
    rows = "text,text,text 2,,\none,two,three,four,five\n"
    assert read("a.csv", rows).columns == ("text", "text 2", "text 2 2", "column 4", "column 5")
    assert documents(read("a.csv", rows)) == ["one\n"]
    assert documents(read("a.csv", rows, column="text 2")) == ["two\n"]


def test_a_table_is_never_held_as_rows() -> None:
    line = json.dumps({"id": 1, "text": "Some words of a row. ", "title": "a title", "list": [1, 2, 3]})
    tables = {
        "a.jsonl": (line + "\n") * 50_000,
        "a.json": "[" + ",\n".join([line] * 50_000) + "]",
        "a.csv": "id,text,title\n" + '1,"Some words of a row. ",a title\n' * 50_000,
    }
    for name, table in tables.items():
        data = table.encode()
        tracemalloc.start()
        reading = read(name, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reading.characters == 50_000 * 22 and peak < 3 * len(data)  # its rows as objects take ten times as much


def test_an_archive_gives_its_texts_and_counts_the_rest() -> None:
    files = {
        "b.txt": "second", "a/first.md": "first", "a/c.py": "third = 3", "__MACOSX/a/._first.md": b"\0\1",
        ".hidden": "x", "a/.git/config": "x", "photo.png": PNG, "empty.txt": "", "blank.txt": " \n",
        "inner.zip": packed({"a.txt": "x"}), "numbers.csv": "a,b\n1,2\n", "table.csv": "text\nfourth\n",
        "../../escape.txt": "fifth",
    }  # fmt: skip
    reading = read("texts.ZIP", packed(files))
    names = [file.name for file in reading.files]
    assert names == ["escape.txt", "c.py", "first.md", "b.txt", "table.csv"]
    assert documents(reading) == ["fifth", "third = 3", "first", "second", "fourth\n"]
    assert reading.left_out == {"hidden": 3, "not text": 3, "empty": 2}


def test_a_link_in_an_archive_is_no_text() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.txt", "text")
    reading = read("a.zip", buffer.getvalue())
    assert documents(reading) == ["text"] and reading.left_out == {"not text": 1}


def test_the_list_of_an_archive_with_very_many_files_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({f".{i}": "" for i in range(10 * limits.MAX_CORPUS_FILES + 1)}, zipfile.ZIP_STORED)
    monkeypatch.setattr(zipfile, "ZipFile", pytest.fail)
    with pytest.raises(CorpusError, match="10001 files are too many"):
        read("a.zip", data)


def test_names_in_an_old_archive_are_readable() -> None:
    data = packed({"XXXX.txt": "text"}, zipfile.ZIP_STORED).replace(b"XXXX", "唐诗".encode("gbk"))
    assert read("a.zip", data).files[0].name == "唐诗.txt"


def with_password(data: bytes) -> bytes:
    """The flag that says so, in both headers."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[data.index(mark) + offset] |= 1
    return bytes(changed)


def lying(data: bytes, size: int) -> bytes:
    """The archive says that its file has `size` bytes."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        changed[data.index(mark) + offset : data.index(mark) + offset + 4] = struct.pack("<I", size)
    return bytes(changed)


BOMB = packed({"bomb.txt": b"a" * (limits.MAX_UPLOAD_BYTES + 1)})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_password(packed({"a.txt": "text"})), r"a\.zip has a password"),
        (packed({}), r"There is no text in a\.zip"),
        (packed({"inner.zip": packed({"a.txt": "text"})}), r"There is no text in a\.zip"),
        (packed({"photo.png": PNG, "empty.txt": ""}), r"There is no text in a\.zip"),
        (packed({f"{i}.txt": "x" for i in range(limits.MAX_CORPUS_FILES + 1)}), r"1001 files are too many"),
        (BOMB, r"The text is too large: 50\.0 MB, and 50 MB are allowed"),
        (packed({f"{i}.txt": b"a" * 30_000_000 for i in range(2)}), r"too large: 60\.0 MB"),
        (lying(BOMB, 10), r"a\.zip is not a \.zip that can be read"),
        (packed({"a.txt": "text" * 99})[:-40], r"a\.zip is not a \.zip that can be read"),
        (packed({"a.txt": "text" * 99}).replace(b"PK\x03\x04", b"PK\x03\x05"), r"a\.zip is not a \.zip that can be"),
        (b"plain words", r"a\.zip is not a \.zip that can be read"),
        (b"", r"a\.zip is not a \.zip that can be read"),
    ],
    ids=range(12),  # the bytes hold the time, and the names of tests have to be the same in every process
)
def test_an_archive_that_cannot_be_used_gets_a_sentence(data: bytes, words: str) -> None:
    tracemalloc.start()
    with pytest.raises(CorpusError, match=words):
        read("a.zip", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000  # a bomb is never unpacked


def test_archives_together_have_one_limit() -> None:
    half = packed({"a.txt": b"a" * 30_000_000})
    with pytest.raises(CorpusError, match="too large"):
        read_files([("a.zip", half), ("b.zip", half)])


def test_uploads_beyond_the_limit_get_a_sentence() -> None:
    with pytest.raises(CorpusError, match=r"too large: 60\.0 MB, and 50 MB are allowed"):
        read("a.txt", b"a" * 60_000_000)


def test_a_folder_gives_its_texts(tmp_path: Path) -> None:
    (tmp_path / "sub" / ".hidden").mkdir(parents=True)
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "sub" / "c.md").write_bytes(SIMPLIFIED.encode("gbk"))
    (tmp_path / "sub" / ".hidden" / "d.txt").write_text("no")
    (tmp_path / ".e.txt").write_text("no")
    (tmp_path / "a.png").write_bytes(PNG)
    reading = read_path(tmp_path)
    assert documents(reading) == ["second", SIMPLIFIED]
    assert reading.left_out == {"hidden": 1, "not text": 1}
    loaded = load_corpus(str(tmp_path))
    assert loaded.documents == ("second", SIMPLIFIED) and loaded.source == "b.txt, c.md"
    (tmp_path / "b.txt").write_text("changed")
    assert load_corpus(str(tmp_path)).documents[0] == "changed"


def test_a_folder_without_text_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=f"There is no text in {tmp_path.name}"):
        read_path(tmp_path)
    for i in range(limits.MAX_CORPUS_FILES + 1):
        (tmp_path / f"{i}.txt").write_text("x")
    with pytest.raises(CorpusError, match="1001 files are too many"):
        read_path(tmp_path)


def test_column_and_encoding_reach_a_path_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "poems.csv"
    path.write_bytes("title,verse\n题目很长很长很长很长很长很长,床前明月光\n".encode("gb18030"))
    assert load_corpus(str(path), column="verse", encoding="gbk").documents == ("床前明月光\n",)
    assert load_corpus(str(path), column="title", encoding="gbk").documents == ("题目很长很长很长很长很长很长\n",)
    name = add_corpus(tmp_path, "x", [("a.txt", prose().encode())])
    for known in (name, "idioms"):
        for choice in ({"column": "text"}, {"encoding": "gbk"}):
            with pytest.raises(CorpusError, match="neither column nor encoding"):
                load_corpus(known, tmp_path, **choice)


def test_what_a_corpus_is_like_is_kept_with_it(tmp_path: Path) -> None:
    data = packed({"a.txt": prose(500), "b.txt": SIMPLIFIED.encode("gbk"), "c.png": PNG})
    name = add_corpus(tmp_path, "x", [("x.zip", data), ("t.csv", b"verse,n\nhello,1\n")], column="verse")
    about = json.loads((tmp_path / name / "corpus.json").read_text(encoding="utf-8"))
    seen = preview(load_corpus(name, tmp_path), num_lines=12)
    kept = about["preview"]
    assert {key: kept[key] for key in ("characters", "documents", "distinct_characters", "bytes")} == {
        key: getattr(seen, key) for key in ("characters", "documents", "distinct_characters", "bytes")
    }
    text = "".join(load_corpus(name, tmp_path).documents)
    assert seen.bytes == len(text.encode()) and seen.characters == len(text) == about["characters"]
    assert tuple(map(tuple, kept["frequent"])) == seen.frequent and tuple(kept["lines"]) == seen.lines
    assert about["alphabet"] == "".join(sorted(set(text)))
    assert about["left_out"] == {"not text": 1} and about["kind"] == "added"
    assert [file.get("column") for file in about["files"]] == [None, None, "verse"]


def test_facts_do_not_depend_on_the_pieces() -> None:
    whole = Facts.of(["", SIMPLIFIED + FRENCH + "\U0001f600", GERMAN])
    pieces = Facts()
    for document in ("", SIMPLIFIED + FRENCH + "\U0001f600", GERMAN):
        pieces.begin_document()
        for start in range(0, len(document), 7):
            pieces.add(document[start : start + 7])
    assert whole.preview() == pieces.preview() and whole.alphabet == pieces.alphabet
    assert whole.lines()[0] == SIMPLIFIED.splitlines()[0]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large begins at 1 kB and ends at 1 MB, and a piece has 100 characters."""
    monkeypatch.setattr("lmviz.corpora.adding.MAX_UPLOAD_BYTES", 1000)
    monkeypatch.setattr("lmviz.corpora.adding.MAX_WHOLE_BYTES", 20_000)
    monkeypatch.setattr("lmviz.corpora.adding.MAX_FILE_BYTES", 1_000_000)
    monkeypatch.setattr("lmviz.corpora.adding._PIECE", 100)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_large_text_is_read_in_pieces_to_the_same_corpus(
    tmp_path: Path, small_limits: None, mark: bytes, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (prose(3000) + SIMPLIFIED * 40).replace("\n", end)
    (tmp_path / "a.txt").write_bytes(mark + text.encode())
    expected = add_corpus(tmp_path / "data", "x", [("a.txt", mark + text.encode())])
    monkeypatch.setattr("lmviz.corpora.adding.read_path", pytest.fail)
    name = add_path(tmp_path / "data", tmp_path / "a.txt")
    assert load_corpus(name, tmp_path / "data").documents == load_corpus(expected, tmp_path / "data").documents
    one, other = (json.loads((tmp_path / "data" / n / "corpus.json").read_text()) for n in (name, expected))
    assert one["preview"] == other["preview"] and one["files"] == other["files"]


def test_a_large_text_that_cannot_be_read_in_pieces(tmp_path: Path, small_limits: None) -> None:
    path, data = tmp_path / "a.txt", tmp_path / "data"
    for encoding in ("gbk", "utf-16", "utf-16-le"):
        path.write_bytes((SIMPLIFIED * 40).encode(encoding))
        name = add_path(data, path, encoding)
        assert load_corpus(name, data).documents == (SIMPLIFIED * 40,)
        path.write_bytes((SIMPLIFIED * 400).encode(encoding))
        with pytest.raises(CorpusError, match=r"a\.txt is not UTF-8 and too large to be converted here"):
            add_path(data, path)
    path.write_bytes(b"\x01\x02\x03" * 5000)
    with pytest.raises(CorpusError, match=r"a\.txt is not a text file"):
        add_path(data, path)
    path.write_bytes(b"a" * 1_000_001)
    with pytest.raises(CorpusError, match=r"too large: 1\.0 MB, and 1 MB are allowed"):
        add_path(data, path)
    assert sorted(p.name for p in data.iterdir()) == ["gbk", "utf-16", "utf-16-le"]


def test_a_large_text_needs_little_memory(tmp_path: Path) -> None:
    line = "The quick brown fox jumps over the lazy dog, as it did a moment ago.\n"
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        for _ in range(800):
            file.write(line * 1000)
    assert path.stat().st_size > limits.MAX_UPLOAD_BYTES
    tracemalloc.start()
    name = add_path(tmp_path / "data", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000
    about = json.loads((tmp_path / "data" / name / "corpus.json").read_text())
    assert about["characters"] == path.stat().st_size and about["alphabet"] == "".join(sorted(set(line)))


def test_a_file_without_permission_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "secret.txt"
    path.write_text(prose())
    monkeypatch.setattr(Path, "read_bytes", refuse)
    for act in (lambda: add_path(tmp_path / "data", path), lambda: load_corpus(str(path))):
        with pytest.raises(CorpusError, match=r"secret\.txt cannot be read\. Check its permissions"):
            act()
