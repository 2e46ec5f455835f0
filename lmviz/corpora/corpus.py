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
        if self.characters < 2:
            raise CorpusError(
                N_("The corpus {name} is too short to be split into training and validation. Take a longer text."),
                name=self.title,
            )
        validation = min(max(round(self.characters * validation_fraction), 1), self.characters - 1)
        left = self.characters - validation
        train_documents: list[str] = []
        validation_documents: list[str] = []
        for document in self.documents:
            train_documents.append(document[:left])
            validation_documents.append(document[left:])
            left -= min(left, len(document))
        return tuple(filter(None, train_documents)), tuple(filter(None, validation_documents))
