"""Written Python: where a block ends, whether it parses, whether its brackets are balanced. Nothing is ever executed.

A written text is cut where the block of its snippet ends (`BlockEnd`, `cut`), and whether snippet and text are Python
is decided by `ast.parse` alone (`check`). The scanner reads what is not finished yet, which `tokenize` refuses; on
whole files both see the same lines and brackets (a test compares). No torch.
"""

import ast
import re
import warnings
from dataclasses import dataclass
from itertools import pairwise

PAIRS = {")": "(", "]": "[", "}": "{"}
TAB = 8
"""A tab ends at the next multiple of it, as Python counts indentation."""
PYTHON_SHARE = 0.5
"""Share of a text's characters in statements that parse, from which it is taken for Python."""
CLAUSES = ("elif", "else", "except", "finally")
"""They go on with a statement that began with another word."""

_TOKEN = re.compile(
    r"""(?P<long>\"{3}(?:\\.|(?!\"{3})[^\\])*(?:\"{3}|\\?\Z)|'{3}(?:\\.|(?!'{3})[^\\])*(?:'{3}|\\?\Z))"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*(?:"|(?=\n)|\\?\Z)|'(?:\\.|[^'\\\n])*(?:'|(?=\n)|\\?\Z))"""
    r"|(?P<comment>\#[^\n]*)|(?P<joined>\\\r?\n)|(?P<end>\n)|(?P<space>[ \t\f\r]+)|(?P<bracket>[\[\](){}])"
    r"|(?P<code>\\|[^\"'\#\\\n \t\f\r\[\](){}]+)",
    re.DOTALL,
)
LONGEST_CLAUSE = max(map(len, CLAUSES))
_CLAUSE = re.compile(rf"({'|'.join(CLAUSES)})\b")
_NO_CLAUSES = re.compile(r"(async\s+def|def|class)\b")


@dataclass
class Line:
    """A logical line: up to a line end in no bracket and no string. Blank lines and comments alone are none."""

    indent: int
    start: int
    """Place of its first character that is no white space."""
    code: str = ""
    """Without strings and comments."""
    end: int = 0
    """Place after its line end, or of the end of the text."""
    ended: bool = False


@dataclass
class Scan:
    """What a text is made of, read as Python, whatever it is worth. F-strings are read as strings."""

    lines: list[Line]
    open: list[str]
    """Brackets that are open at the end, the innermost last."""
    mismatched: bool
    """A bracket was closed that was not the innermost open one."""


def scan(text: str) -> Scan:
    found = Scan([], [], False)
    line: Line | None = None
    indent = 0
    for token in _TOKEN.finditer(text):
        kind, what = token.lastgroup, token.group()
        if kind == "end":
            if line and not found.open:
                line.end, line.ended, line = token.end(), True, None
            indent = 0
        elif kind == "space":
            indent = _columns(what, indent)
            if line:
                line.code += " "
        elif kind in ("comment", "joined"):
            continue
        else:
            if line is None:
                line = Line(indent, token.start())
                found.lines.append(line)
            line.end = token.end()
            line.code += what if kind in ("code", "bracket") else '""'
            if kind == "bracket":
                _count(what, found)
    return found


def _columns(space: str, before: int) -> int:
    for character in space:
        before = {"\t": before + TAB - before % TAB, " ": before + 1}.get(character, 0)
    return before


def _count(bracket: str, found: Scan) -> None:
    if bracket not in PAIRS:
        found.open.append(bracket)
    elif found.open and found.open[-1] == PAIRS[bracket]:
        found.open.pop()
    else:
        found.mismatched = True


def owner(snippet: str) -> Line:
    """The line whose block the snippet is in: the innermost one around its end that ends in a colon, else its last."""
    chain: list[Line] = []
    for line in scan(snippet).lines:
        while chain and chain[-1].indent >= line.indent:
            chain.pop()
        chain.append(line)
    headers = [line for line in chain if line.code.rstrip().endswith(":")]
    return (headers or chain or [Line(0, 0)])[-1]


def block_end(snippet: str, written: str, of: Line | None = None) -> int | None:
    """Characters of `written` that belong to the snippet's block; None while it may go on.

    The block ends before the first logical line that is not indented more than the line it belongs to (`owner`) and
    that comes after some code of `written`. A clause such as `else` at the same indentation goes on with it, unless
    the block is a function or a class. Comments and blank lines at its end are no part of it. of: `owner(snippet)`, for
    those who ask often.
    """
    of = of or owner(snippet)
    clauses = not _NO_CLAUSES.match(of.code)
    lines = [line for line in scan(snippet + written).lines if line.end > len(snippet)]
    for before, line in pairwise(lines):
        if line.indent > of.indent:
            continue
        if clauses and line.indent == of.indent:
            if line is lines[-1] and any(word.startswith(line.code) for word in CLAUSES) and not line.ended:
                return None  # its first word is not known yet
            if _CLAUSE.match(line.code):
                continue
        return max(0, before.end - len(snippet))
    return None


class BlockEnd:
    """Says when the snippet's block has ended, as its text comes piece by piece."""

    def __init__(self, snippet: str) -> None:
        self.snippet, self.written = snippet, ""
        self.owner = owner(snippet)
        self.told = False
        """Whether the last line has told all that it can: where it begins, and its first word."""

    def feed(self, piece: str) -> bool:
        self.written += piece
        self.told &= "\n" not in piece
        last = self.written[self.written.rfind("\n") + 1 :]
        code = last.lstrip(" \t\f\r")
        if self.told or not code.strip() or _columns(last[: len(last) - len(code)], 0) > self.owner.indent:
            return False  # most of the time, so that little is read twice
        self.told = len(code) > LONGEST_CLAUSE
        return block_end(self.snippet, self.written, self.owner) is not None


def cut(snippet: str, written: str, finished: bool) -> tuple[str, bool]:
    """What is checked of a written text, and whether its block had ended: up to the end of the block, or all of it if
    the text itself is `finished` (<end>); else without its last, unfinished physical line.
    """
    end = block_end(snippet, written)
    if end is not None:
        return written[:end], True
    return (written, True) if finished else (written[: written.rfind("\n") + 1], False)


@dataclass(frozen=True)
class Check:
    """What Python says of a text."""

    parses: bool
    error: str
    """Python's own words, in English; "" if it parses."""
    line: int | None
    """Where, counted from 1."""
    balanced: bool
    """Every bracket outside strings and comments is closed, by its own kind and in order."""


def check(snippet: str, written: str) -> Check:
    """Whether snippet and written text together are Python, and something was written. They are not executed."""
    text = snippet + written
    found = scan(text)
    balanced = not found.open and not found.mismatched
    if not written.strip():
        return Check(False, "", None, balanced)
    try:
        parse(text)
    except SyntaxError as error:
        return Check(False, error.msg, error.lineno, balanced)
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, lone surrogates, thousands of brackets
        return Check(False, str(error) or type(error).__name__, None, balanced)
    return Check(True, "", None, balanced)


def parse(text: str) -> ast.Module:
    """`ast.parse` without its warnings, such as of `"\\d"`.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is no Python, or too deep for Python to tell.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def python_share(text: str) -> float:
    """Share of the characters in whole top-level statements that parse, 0 to 1; 0 if none of these defines, imports or
    assigns something, as a word alone is a valid expression.

    What comes before the first line that is not indented may be the middle of a statement; so may what comes last.
    """
    tops: list[Line] = []
    decorated = False
    for line in scan(text).lines:
        if line.indent == 0 and not decorated and not _CLAUSE.match(line.code):
            tops.append(line)
        decorated = line.code.startswith("@")
    good = said = 0
    does_something = False
    for one, after in pairwise(tops):
        said += after.start - one.start
        try:
            body = parse(text[one.start : after.start]).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        good += after.start - one.start
        does_something |= not all(isinstance(statement, ast.Expr) for statement in body)
    return good / said if said and does_something else 0.0
