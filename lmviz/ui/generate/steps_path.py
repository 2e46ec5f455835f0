"""What was tried step by step: branches, each a list of tokens after the prompt; in the session and in the address.

In the address: `tokens=12,5,*33` is the path that is looked at, * before a token that a person forced; `at=1` which of
its tokens (from 0) if it is not the next one; `tree=12,7_*4` the other branches.
"""

import re
from dataclasses import dataclass, field

import streamlit as st

from lmviz.ui.kept import remember

KEY = "steps_tree"
MOST_BRANCHES = 20
LONGEST_ADDRESS = 1500
"""Characters of the other branches in the address; beyond it they are left out."""
END = 2
"""<end>, as in every vocabulary."""

Token = tuple[int, bool]
"""Id, and whether a person forced it."""


@dataclass
class Tree:
    """All branches and where the person is."""

    of: tuple[str, str]
    """Run and prompt."""
    branches: list[list[Token]] = field(default_factory=lambda: [[]])
    current: int = 0
    place: int = 0
    """From 0: the token that is looked at; the number of tokens: the one that comes next."""
    wrong: bool = False
    """The address had tokens that cannot follow."""

    @property
    def path(self) -> list[Token]:
        return self.branches[self.current]

    @property
    def tokens(self) -> list[int]:
        return ids(self.path)

    @property
    def last(self) -> int:
        """The furthest place."""
        return len(self.path) - (self.tokens[-1:] == [END])

    @property
    def full(self) -> bool:
        return len(self.branches) >= MOST_BRANCHES

    def go(self, branch: int, place: int) -> None:
        self.current = max(0, min(branch, len(self.branches) - 1))
        self.place = max(0, min(place, self.last))
        self.wrong = False

    def take(self, token: int, forced: bool) -> bool:
        """Go on with a token from here: along a branch that has it, else on a new one. False: there is no room."""
        begin = self.path[: self.place]
        wanted = [*ids(begin), token]
        order = [self.current, *range(len(self.branches))]
        same = next((one for one in order if ids(self.branches[one])[: len(wanted)] == wanted), None)
        if same is not None:
            self.current = same
        elif self.place == len(self.path):
            self.path.append((token, forced))
        elif self.full:
            return False
        else:
            self.branches.append([*begin, (token, forced)])
            self.current = len(self.branches) - 1
        self.place, self.wrong = min(len(wanted), self.last), False
        return True

    def cut(self, length: int) -> None:
        """Only so many tokens of the path can be read."""
        del self.path[length:]
        self.place, self.wrong = min(self.place, self.last), True

    def shorten(self, lengths: list[int]) -> bool:
        """Cut every branch to what can be read of it; whether one was longer."""
        if all(len(path) <= length for path, length in zip(self.branches, lengths, strict=True)):
            return False
        here = self.path
        for path, length in zip(self.branches, lengths, strict=True):
            del path[length:]
        self.branches = [path for path in self.branches if path is here or path]
        self.current, self.wrong = next(n for n, path in enumerate(self.branches) if path is here), True
        return True


def ids(path: list[Token]) -> list[int]:
    return [token for token, _forced in path]


def tree_of(run: str, prompt: str) -> Tree:
    """The session's; a new one for another run or prompt, at first with what the address says."""
    tree = st.session_state.get(KEY)
    if not isinstance(tree, Tree):
        tree = from_address((run, prompt))
    elif tree.of != (run, prompt):
        tree = Tree((run, prompt))
    st.session_state[KEY] = tree
    return tree


def from_address(of: tuple[str, str]) -> Tree:
    path, whole = read_path(st.query_params.get("tokens", ""))
    others = [read_path(text)[0] for text in st.query_params.get("tree", "").split("_")[: MOST_BRANCHES - 1] if text]
    tree = Tree(of, [path, *(other for other in others if other and other != path)])
    at = st.query_params.get("at", "")
    tree.go(0, int(at) if re.fullmatch(r"[0-9]{1,5}", at) else tree.last)
    tree.wrong = not whole
    return tree


def to_address(tree: Tree) -> None:
    remember("tokens", write_path(tree.path), "")
    remember("at", tree.place, tree.last)
    others = "_".join(write_path(path) for number, path in enumerate(tree.branches) if number != tree.current and path)
    remember("tree", others if len(others) <= LONGEST_ADDRESS else "", "")


def write_path(path: list[Token]) -> str:
    return ",".join(f"*{token}" if forced else str(token) for token, forced in path)


def read_path(text: str) -> tuple[list[Token], bool]:
    """Tokens up to the first that is none; whether that is all of them."""
    path: list[Token] = []
    for part in text.split(",") if text else []:
        if not re.fullmatch(r"\*?[0-9]{1,8}", part):
            return path, False
        path.append((int(part.lstrip("*")), part.startswith("*")))
    return path, True
