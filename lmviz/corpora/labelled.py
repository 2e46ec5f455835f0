"""Short texts with a label each, for models that learn to tell classes. Built in: is it Python code or English prose?

A person's own table of two columns, text and label, is read like a table of pairs. No torch.
"""

import ast
import contextlib
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from lmviz.config import LABELLED
from lmviz.corpora.builtin import load_builtin
from lmviz.corpora.pairs import PairsInfo, pair_set
from lmviz.corpora.store import CorpusSummary
from lmviz.errors import N_, CorpusError

MAX_CLASSES = 20
FEWEST = 10
"""Texts of each class."""
SHORTEST, LONGEST = 40, 200
"""Characters of a snippet."""
PROSE_SHARE = 0.93
MODULES = 160
"""Modules of the standard library that are read."""
EACH = 3000
"""Snippets of each class, at most."""
TESTED_SHARE = 10
"""One of so many snippets is held out."""

LABELLED_INFO: dict[str, PairsInfo] = {
    "code-or-prose": PairsInfo(
        title=N_("Code or prose?"),
        description=N_("Pieces of Python source and of English text about it, on one line each: which is which?"),
        source=N_("Python's standard library and its reference, as installed"),
        licence="PSF-2.0",
    )
}
assert tuple(LABELLED_INFO) == LABELLED


@dataclass(frozen=True, eq=False)
class LabelSet:
    """Texts with the index of their class, in a fixed random order; no text of `test` is in `train`."""

    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all of it, hexadecimal."""
        return hashlib.sha256(json.dumps([self.classes, self.train, self.test]).encode()).hexdigest()


def label_set(name: str, allow_paths: bool = True) -> LabelSet:
    """A built-in set, or a table of two columns: the text and its label. allow_paths: as of `pair_set`.

    Raises:
        CorpusError: there is no such table, or its second column has too many values to be labels.
    """
    if name in LABELLED:
        return _built_in()
    return _of_table(name, allow_paths, pair_set(name, allow_paths=allow_paths).fingerprint)


@lru_cache(maxsize=1)
def _built_in() -> LabelSet:
    return _split(("code", "prose"), [(text, 0) for text in _code()], [(text, 1) for text in _prose()])


@lru_cache(maxsize=4)
def _of_table(name: str, allow_paths: bool, fingerprint: str) -> LabelSet:
    """fingerprint: a table may have been removed and another one added under its name."""
    pairs = pair_set(name, allow_paths=allow_paths)
    rows = [pairs.train(i) for i in range(pairs.train_size)] + [pairs.test(i) for i in range(pairs.test_size)]
    classes = tuple(sorted({pair.target for pair in rows}))
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise CorpusError(
            N_("The second column of {name} has {count} different values. Labels are 2 to {most} of them."),
            name=name, count=len(classes), most=MAX_CLASSES,
        )  # fmt: skip
    place = {label: i for i, label in enumerate(classes)}
    by_class: list[list[tuple[str, int]]] = [[] for _ in classes]
    for pair in rows:
        by_class[place[pair.target]].append((pair.source, place[pair.target]))
    return _split(classes, *by_class)


def _split(classes: tuple[str, ...], *by_class: Iterable[tuple[str, int]]) -> LabelSet:
    """As many of each class, so that guessing gains nothing; one in TESTED_SHARE of each is held out.

    Raises:
        CorpusError: a class has too few texts.
    """
    order = random.Random(1)
    distinct = [list(dict.fromkeys(rows)) for rows in by_class]
    texts = Counter(text for rows in distinct for text, _label in rows)
    distinct = [[row for row in rows if texts[row[0]] == 1] for rows in distinct]  # with two labels it tells nothing
    fewest = min(EACH, *map(len, distinct))
    if fewest < FEWEST:
        label = classes[[len(rows) for rows in distinct].index(fewest)]
        raise CorpusError(
            N_("Label {label} has {count} texts of its own; at least {least} are needed. Add more, or take it out."),
            label=label, count=fewest, least=FEWEST,
        )  # fmt: skip
    train: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    for kept in distinct:
        order.shuffle(kept)
        kept = kept[:fewest]
        cut = max(1, len(kept) // TESTED_SHARE)
        test += kept[:cut]
        train += kept[cut:]
    order.shuffle(train)
    order.shuffle(test)
    return LabelSet(classes, tuple(train), tuple(test))


def _code() -> Iterator[str]:
    """Functions without comments and docstrings, which are prose themselves."""
    for tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (body := _without_docstring(node)):
                yield from _snippet(ast.unparse(ast.Module(body, [])))


def _prose() -> Iterator[str]:
    """Docstrings and the reference, as far as they are sentences."""
    texts = list(load_builtin("python-reference").documents)
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    for tree in _modules():
        texts += [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    for text in texts:
        for block in re.split(r"\n\s*\n", text):
            if not any(line.startswith(" ") for line in block.strip("\n").split("\n")):
                yield from (piece for piece in _snippet(block) if _is_prose(piece))


def _is_prose(text: str) -> bool:
    """Nearly all letters, spaces and the marks of sentences."""
    return text[:1].isalpha() and sum(c.isalpha() or c in " ,." for c in text) >= PROSE_SHARE * len(text)


@lru_cache(maxsize=1)
def _modules() -> tuple[ast.Module, ...]:
    """Some of the standard library's, in its fixed random order."""
    found = []
    for document in load_builtin("python").documents[:MODULES]:
        with contextlib.suppress(SyntaxError, ValueError):
            found.append(ast.parse(document))
    return tuple(found)


def _without_docstring(node: ast.FunctionDef) -> list[ast.stmt]:
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def _snippet(block: str) -> Iterator[str]:
    """Its beginning, on one line: the layout would give it away."""
    text = " ".join(block.split())[:LONGEST]
    if len(text) >= SHORTEST and text.isascii():
        yield text


def list_labelled() -> list[CorpusSummary]:
    """The built-in sets."""
    return [
        CorpusSummary(name, known.title, known.description, "labelled", None, None, None)
        for name, known in LABELLED_INFO.items()
    ]
