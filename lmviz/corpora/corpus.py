"""What a corpus is: a name, where it comes from, and its documents. It knows nothing of files and of tokens."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from lmviz.errors import N_, CorpusError


@dataclass(frozen=True)
class Corpus:
    """A text in documents. `title`, `description` and `source` are English; built-in ones have translations."""

    name: str
    title: str
    description: str
    source: str
    licence: str
    documents: tuple[str, ...]
    encoding: str | None = None
    """Encoding of the file it was read from; None if lmviz made the text."""

    @cached_property
    def characters(self) -> int:
        """Characters of all documents, without what joins them."""
        return sum(map(len, self.documents))

    @property
    def text(self) -> str:
        """All documents, one after the other, a line break between two."""
        return "\n".join(self.documents)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the documents and their borders, hexadecimal: the same text, the same fingerprint."""
        digest = hashlib.sha256()
        for document in self.documents:
            data = document.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big"))
            digest.update(data)
        return digest.hexdigest()

    def split(self, validation_fraction: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(train_documents, validation_documents): the last share of the characters of the whole is validation.

        A document that lies across the border is cut in two. Either part has at least one character, and none has an
        empty document.

        Raises:
            CorpusError: the corpus has fewer than two characters.
        """
        left = training_characters(self.characters, validation_fraction, self.title)
        train_documents: list[str] = []
        validation_documents: list[str] = []
        for document in self.documents:
            train_documents.append(document[:left])
            validation_documents.append(document[left:])
            left -= min(left, len(document))
        return tuple(filter(None, train_documents)), tuple(filter(None, validation_documents))


def training_characters(characters: int, validation_fraction: float, title: str) -> int:
    """How many of a text's characters, from its beginning, are for training; the rest is validation.

    Raises:
        CorpusError: there are fewer than two characters; `title` is what the sentence calls the text.
    """
    if characters < 2:
        raise CorpusError(
            N_("The corpus {name} is too short to be split into training and validation. Take a longer text."),
            name=title,
        )
    return characters - min(max(round(characters * validation_fraction), 1), characters - 1)
