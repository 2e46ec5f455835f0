"""Several texts as one, for a model that writes in the style that a label names (as CTRL does; Keskar et al. 2019).

`python-reference+python` names such a text: pieces of about PIECE characters of its parts, shuffled, each a document
that begins with its label: `[python] def f(): ...`. A label is plain text, so that every tokenizer can read it. All
parts have about the same number of characters, those of the smallest, CAP at the most.
"""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache

from lmviz.corpora.corpus import Corpus
from lmviz.errors import N_, CorpusError

PIECE = 160
"""Characters of a piece, at a line's end where there is one; short, so that most training windows see the label."""
CAP = 500_000
"""Characters of a part at the most."""
MOST_PARTS = 5
SEED = 1


def parts_of(name: str) -> list[str]:
    """The names that a mixed text's joins; one alone if it is none."""
    return name.split("+")


def label(part: str) -> str:
    """What stands before a text of this part."""
    return f"[{part}] "


def mixed_corpus(name: str, load: Callable[[str], object]) -> Corpus:
    """The text that joins those of `name`; `load` gives each.

    Raises:
        CorpusError: a part is not there, comes twice, or is no text that is held in memory.
    """
    names = parts_of(name)
    if len(set(names)) < len(names) or not 2 <= len(names) <= MOST_PARTS:
        raise CorpusError(
            N_("A mixed text joins two to {most} different texts with +, such as python-reference+python."),
            most=MOST_PARTS,
        )  # fmt: skip
    parts = []
    for part in names:
        corpus = load(part)
        if not isinstance(corpus, Corpus):
            raise CorpusError(
                N_("The text {name} is too large to be mixed with others. Take a smaller one."), name=part
            )
        parts.append(corpus)
    key = tuple(part.fingerprint for part in parts)
    made = _kept(name, key)
    if not made:
        made.append(_mix(name, parts))
    return made[0]


@lru_cache(maxsize=4)
def _kept(name: str, fingerprints: tuple[str, ...]) -> list[Corpus]:
    """Where a mixed text is kept once it is made."""
    return []


def _mix(name: str, parts: Sequence[Corpus]) -> Corpus:
    order = random.Random(SEED)
    most = min(CAP, *(part.characters for part in parts))
    documents: list[str] = []
    for part in parts:
        cut = [piece for document in part.documents for piece in pieces(document)]
        order.shuffle(cut)
        taken = 0
        for piece in cut:
            if taken >= most:
                break
            documents.append(label(part.name) + piece)
            taken += len(piece)
    order.shuffle(documents)
    titles = ", ".join(part.title for part in parts)
    return Corpus(
        name=name, title=name, description=titles, source="; ".join(part.source for part in parts),
        licence="; ".join(dict.fromkeys(part.licence for part in parts)), documents=tuple(documents),
    )  # fmt: skip


def pieces(text: str) -> list[str]:
    """A text cut at line ends into pieces of about PIECE characters; a longer line is cut where it is long enough."""
    found: list[str] = []
    piece = ""
    for line in text.splitlines(keepends=True):
        piece += line
        while len(piece) >= PIECE:
            end = len(piece) if len(piece) < 2 * PIECE else PIECE
            found.append(piece[:end])
            piece = piece[end:]
    if piece.strip():
        found.append(piece)
    return [one for one in found if one.strip()]
