"""Reading .jsonl files that grow: every line is parsed once a process, however often somebody looks. No torch.

A live page asks for the same lines twice a second, thirty people ask for them at once. What was parsed is kept by path;
the next reader parses what was appended since. A file that is another one by now (a run that begins again from a
checkpoint replaces its files), or that was cut, is read anew.
"""

import json
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = dict[str, Any]

KEPT_BYTES = 32 * 2**20
"""Of files whose lines are kept; parsed they take about three times as much."""


@dataclass(frozen=True)
class _Seen:
    """What is known of a file: its state when it was read, and its whole lines up to `end`."""

    inode: int
    size: int
    modified: int
    end: int
    """Bytes of whole lines; what follows is not finished."""
    last: bytes
    """The last whole line, by which the same file is known again: a new one may have got the old one's inode."""
    lines: tuple[Line, ...]

    def unchanged(self, now: os.stat_result) -> bool:
        return (self.inode, self.size, self.modified) == (now.st_ino, now.st_size, now.st_mtime_ns)


class LineReader:
    """Parsed lines by path, the files looked at last; many threads may read at once."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._seen: OrderedDict[Path, _Seen] = OrderedDict()
        self._bytes = 0

    def read(self, path: Path) -> list[Line]:
        """Every whole line, in a list of the caller's own; the lines themselves are shared and must stay as they are.
        No lines if the file is not there.
        """
        with self._lock:
            seen = self._seen.get(path)
        try:
            if not seen or not seen.unchanged(path.stat()):
                seen = _read_on(path, seen)
        except FileNotFoundError:
            self._keep(path, None)
            return []
        self._keep(path, seen)
        return list(seen.lines)

    def _keep(self, path: Path, seen: _Seen | None) -> None:
        with self._lock:
            old = self._seen.pop(path, None)
            self._bytes -= old.end if old else 0
            if seen:
                self._seen[path] = seen
                self._bytes += seen.end
            while self._bytes > self.kept_bytes:
                self._bytes -= self._seen.popitem(last=False)[1].end


def _read_on(path: Path, seen: _Seen | None) -> _Seen:
    """What is in the file now, parsing only what is new in it."""
    with path.open("rb") as file:
        now = os.fstat(file.fileno())  # of what is open here, whatever stands under the name by now
        before: tuple[Line, ...] = ()
        last, start = b"", 0
        if seen and seen.inode == now.st_ino:
            file.seek(seen.end - len(seen.last))
            if file.read(len(seen.last)) == seen.last:
                before, last, start = seen.lines, seen.last, seen.end
        file.seek(start)
        new = file.read()
    whole = new[: new.rfind(b"\n") + 1]
    last = whole[whole.rfind(b"\n", 0, -1) + 1 :] or last
    return _Seen(now.st_ino, start + len(new), now.st_mtime_ns, start + len(whole), last, before + tuple(parse(whole)))


def parse(data: bytes) -> list[Line]:
    """The objects in whole lines of JSON. A line that a crash or a full disk cut is left out."""
    lines = data.split(b"\n")[:-1]
    try:
        values = json.loads(b"[" + b",".join(lines) + b"]")  # at once: twice as fast, and names are shared
    except ValueError:
        values = []
    if len(values) != len(lines):
        values = [_parsed(line) for line in lines]
    return [value for value in values if value and isinstance(value, dict)]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
