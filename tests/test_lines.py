"""Growing files: what a reader gets is what is in the file, however it came there and whoever else reads."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmviz import lines
from lmviz.lines import LineReader
from lmviz.runs import append_line, read_lines, write_lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What was parsed, in order."""
    seen: list[bytes] = []
    parse = lines.parse

    def remember(data: bytes) -> list[lines.Line]:
        seen.append(data)
        return parse(data)

    monkeypatch.setattr(lines, "parse", remember)
    yield seen


def numbered(*numbers: int) -> list[lines.Line]:
    return [{"step": number} for number in numbers]


def test_only_what_was_appended_is_parsed(path: Path, parsed: list[bytes]) -> None:
    reader = LineReader()
    assert reader.read(path) == []
    append_line(path, {"step": 1})
    assert reader.read(path) == reader.read(path) == numbered(1)
    append_line(path, {"step": 2})
    append_line(path, {"step": 3})
    assert reader.read(path) == numbered(1, 2, 3)
    assert parsed == [b'{"step": 1}\n', b'{"step": 2}\n{"step": 3}\n']


def test_half_a_line_is_left_out_until_it_is_whole(path: Path) -> None:
    reader = LineReader()
    whole = b'{"step": 1, "text": "\xe6\xbc\xa2\\n"}\n{"step": 2}\n'
    with path.open("wb", buffering=0) as file:
        for length in range(1, len(whole) + 1):
            file.write(whole[length - 1 : length])
            assert reader.read(path) == [json.loads(line) for line in whole[:length].split(b"\n")[:-1]]


def test_lines_that_are_cut_or_no_objects_are_left_out(path: Path) -> None:
    path.write_bytes(b'{"step": 1}\n\n{"step": 2, "passage": [1\n7\n{"a": 1}, {"b": 2}\n{"step": 3}\n')
    assert LineReader().read(path) == read_lines(path) == numbered(1, 3)


@pytest.mark.parametrize("new", [[7], [8, 9], [1, 2, 4, 5], [7, 8, 9, 10, 11], []])
def test_a_replaced_file_is_read_anew(path: Path, new: list[int]) -> None:
    reader = LineReader()
    write_lines(path, numbered(1, 2, 3))
    assert reader.read(path) == numbered(1, 2, 3)
    write_lines(path, numbered(*new))
    assert reader.read(path) == numbered(*new)


@pytest.mark.parametrize("new", [[], [1], [7], [1, 2, 7], [7, 8, 9, 10], [1, 2, 7, 4]])
def test_a_file_that_is_another_under_the_same_inode_is_read_anew(path: Path, new: list[int]) -> None:
    """A file system gives the number of a deleted file to a new one; here it is written over in place."""
    reader = LineReader()
    write_lines(path, numbered(1, 2, 3))
    inode = path.stat().st_ino
    reader.read(path)
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in numbered(*new)))
    assert path.stat().st_ino == inode
    assert reader.read(path) == numbered(*new)


def test_a_file_that_is_gone_has_no_lines_and_comes_back(path: Path) -> None:
    reader = LineReader()
    write_lines(path, numbered(1))
    reader.read(path)
    path.unlink()
    assert reader.read(path) == []
    write_lines(path, numbered(2))
    assert reader.read(path) == numbered(2)


def test_a_caller_may_change_its_list(path: Path) -> None:
    reader = LineReader()
    write_lines(path, numbered(1, 2))
    reader.read(path).clear()
    assert reader.read(path) == numbered(1, 2)


def test_files_that_nobody_asked_for_lately_are_forgotten(tmp_path: Path, parsed: list[bytes]) -> None:
    paths = [tmp_path / f"{name}.jsonl" for name in "abc"]
    for path in paths:
        write_lines(path, numbered(1))
    reader = LineReader(kept_bytes=2 * paths[0].stat().st_size)
    for path in (paths[0], paths[1], paths[0], paths[2]):  # the third file takes the place of the second
        assert reader.read(path) == numbered(1)
    assert len(parsed) == 3
    reader.read(paths[0])
    assert len(parsed) == 3
    reader.read(paths[1])
    assert len(parsed) == 4
    small = LineReader(kept_bytes=1)
    assert small.read(paths[0]) == small.read(paths[0]) == numbered(1)


def test_readers_at_once_see_whole_beginnings(path: Path) -> None:
    """Many threads read one file while it grows and is now and then replaced: never a mix, never a line twice."""
    reader, problems, done = LineReader(), [], threading.Event()

    def look() -> None:
        while not done.is_set():
            found = [(line["life"], line["step"]) for line in reader.read(path)]
            if len({life for life, _step in found}) > 1 or [step for _life, step in found] != list(range(len(found))):
                problems.append(found)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for life in range(10):
        write_lines(path, [{"life": life, "step": 0}])
        for step in range(1, 40):
            append_line(path, {"life": life, "step": step})
    done.set()
    for thread in threads:
        thread.join()
    assert not problems
    assert reader.read(path) == [{"life": 9, "step": step} for step in range(40)]
