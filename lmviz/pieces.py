"""Long texts in pieces that no token crosses, so that the tokens of the pieces are the tokens of the text.

They are cut only where GPT-2's rule (and that of lmviz.words) cuts anyway: before a space or a line end that follows a
character that is no white space.
"""

import re
from collections.abc import Iterable, Iterator

CHUNK = 16_384
"""Characters after which a text is cut at the next place."""
UNCUT = 1_000_000
"""Characters without such a place after which a text is cut all the same."""
_CUT = re.compile(r"(?<=\S)(?=[ \n])")
_LAST_CUT = re.compile(r".*\S(?=[ \n])", re.DOTALL)


def text_chunks(documents: Iterable[str]) -> Iterator[str]:
    """Documents in pieces that need little memory."""
    for document in documents:
        start = 0
        while start < len(document):
            cut = _CUT.search(document, start + CHUNK)
            end = cut.start() if cut else len(document)
            yield document[start:end]
            start = end


def whole_tokens(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in other pieces, cut only where `text_chunks` would cut: no token runs from one into the next.

    A piece that grows beyond UNCUT characters without such a place is cut where it is.
    """
    rest = ""
    for piece in pieces:
        rest += piece
        found = _LAST_CUT.match(rest)
        end = found.end() if found else len(rest) if len(rest) > UNCUT else 0
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest
