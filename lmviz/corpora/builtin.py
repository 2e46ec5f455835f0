"""The corpora that are always there: read from what is installed beside lmviz, so nothing is downloaded.

The two Python ones follow the running Python's version; a run keeps the fingerprint of the text it began with.
"""

import os
import random
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from lmviz.corpora.corpus import Corpus
from lmviz.errors import N_, CorpusError

SHUFFLE_SEED = 1
_NOT_SOURCE = {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test"}
_GENERATED = ("_sysconfigdata", "config-")
"""Beginnings of names of files and folders that the build of Python writes: they hold paths of the machine."""


@dataclass(frozen=True)
class Builtin:
    """What is known of a built-in corpus before it is read."""

    title: str
    description: str
    source: str
    licence: str
    read: Callable[[], tuple[str, ...]]


def _read_reference() -> tuple[str, ...]:
    from pydoc_data.topics import topics  # half a megabyte that is needed only here

    return tuple(topics.values())


def _read_python() -> tuple[str, ...]:
    root = Path(sysconfig.get_paths()["stdlib"])
    texts = []
    for path in _source_files(root):
        data = path.read_bytes()
        if data.strip() and data.isascii() and b"\0" not in data:
            texts.append(data.decode("ascii").replace("\r\n", "\n").replace("\r", "\n"))
    if not texts:
        raise CorpusError(N_("The source of Python's standard library is not installed here. Take another corpus."))
    return shuffled(texts)


def _source_files(root: Path) -> list[Path]:
    """The library's own modules, sorted by relative path."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in _NOT_SOURCE and not f.startswith(_GENERATED)]
        here = Path(folder)
        found += [here / f for f in files if f.endswith(".py") and not f.startswith(_GENERATED)]
    topics = root / "pydoc_data" / "topics.py"
    return sorted((path for path in found if path != topics), key=lambda path: path.relative_to(root).as_posix())


def _read_idioms() -> tuple[str, ...]:
    spec = find_spec("jieba")  # finds the folder without running jieba
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0], "dict.txt") if folders else None
    if path is None or not path.is_file():
        raise CorpusError(N_("The package jieba with its dictionary is not installed. Install it: pip install jieba."))
    rows = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines())
    return ("\n".join(shuffled([row[0] for row in rows if row[-1] == "i"])),)


def shuffled(items: list[str]) -> tuple[str, ...]:
    """Always in the same order, so that the validation part at the end is in the style of the whole."""
    items = list(items)
    random.Random(SHUFFLE_SEED).shuffle(items)
    return tuple(items)


BUILTIN: dict[str, Builtin] = {
    "python-reference": Builtin(
        title=N_("Python reference"),
        description=N_("The prose of Python's language reference: clear English, with a little code in it."),
        source=N_("the module pydoc_data.topics of the running Python"),
        licence="PSF-2.0",
        read=_read_reference,
    ),
    "python": Builtin(
        title=N_("Python source"),
        description=N_("The source of Python's standard library without its tests; every file is a document."),
        source=N_("the standard library of the running Python"),
        licence="PSF-2.0",
        read=_read_python,
    ),
    "idioms": Builtin(
        title=N_("Chinese idioms"),
        description=N_("Some 25,600 Chinese idioms, one a line, most of them of four characters."),
        source=N_("the dictionary of the package jieba"),
        licence="MIT",
        read=_read_idioms,
    ),
}


@lru_cache(maxsize=len(BUILTIN))
def load_builtin(name: str) -> Corpus:
    """A corpus of BUILTIN; read once a process.

    Raises:
        KeyError: no such built-in corpus.
        CorpusError: what it is read from is not installed.
    """
    known = BUILTIN[name]
    return Corpus(
        name=name,
        title=known.title,
        description=known.description,
        source=known.source,
        licence=known.licence,
        documents=known.read(),
    )
