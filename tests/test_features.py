"""Readable features of a text, against Python's own tokenizer and by hand."""

import argparse
import io
import json.decoder
import sys
import textwrap
import tokenize
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lmviz.config import TokenizerConfig
from lmviz.inspect.features import FEATURES, GRADES, Reading, labels, token_labels
from lmviz.tokenizers import BEGIN, END, Tokenizer, char_tokenizer, train_tokenizer


def marked(text: str, feature: str) -> str:
    """The characters at which it holds, a dot for each of the others."""
    return "".join(one if on else "." for one, on in zip(text, labels(text)[feature], strict=True))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="f-strings are tokens of another kind there")
@pytest.mark.parametrize("module", [textwrap, json.decoder, argparse, tokenize])
def test_strings_and_comments_are_those_of_pythons_tokenizer(module: ModuleType) -> None:
    text = Path(str(module.__file__)).read_text("utf-8")
    starts = np.cumsum([0, *map(len, text.splitlines(keepends=True))])
    string, comment = np.zeros((2, len(text)), bool)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start, end = (int(starts[row - 1]) + column for row, column in (token.start, token.end))
        if token.type == tokenize.COMMENT:
            comment[start:end] = True
        if token.type == tokenize.STRING:
            while text[start] not in "'\"":  # a prefix such as r
                start += 1
            string[start : end - 1] = True
    found = labels(text)
    assert comment.any() and string.any()
    assert np.array_equal(found["comment"], comment)
    assert np.array_equal(found["string"], string)


@pytest.mark.parametrize(
    ("feature", "text", "expected"),
    [
        ("string", "a 'b' c", "..'b..."),
        ("string", 'x = """a\n"b" """\n', '...."""a\n"b" ""..'),
        ("string", "don't 'say'", "......'say."),
        ("string", "'no end\nb'c'", "'no end..'c."),
        ("string", r"'a\'b'.", r"'a\'b.."),
        ("comment", "a # 'b'\nc", "..# 'b'.."),
        ("comment", "'#' # c", "....# c"),
        ("quotes", 'He "said" so', '..."said....'),
        ("quotes", "“是”，「不」", "“是..「不."),
        ("quotes", 'a "b\nc', '.."b..'),
        ("brackets", "f(x[1])+2", ".(x[1]..."),
        ("deep_brackets", "f(x[1])+2", "...[1...."),
        ("brackets", "f(a\n\nb)", ".(a\n..."),
        ("brackets", "a)b(c", "...(c"),
        ("indented", "a\n    b c\nd", "..... b c.."),
        ("deeply_indented", "\t\tx\n    y\n", ".\tx......."),
        ("word_start", "ab, c_d 9", "a...c...9"),
        ("upper_case", "aBc", ".B."),
        ("digit", "a1", ".1"),
        ("chinese_punctuation", "你，好。", ".，.。"),
    ],
)
def test_each_feature_holds_where_it_should(feature: str, text: str, expected: str) -> None:
    assert marked(text, feature) == expected


def test_late_in_the_line_counts_from_its_beginning() -> None:
    text = "x" * 45 + "\n" + "y" * 41
    assert marked(text, "late") == "." * 40 + "x" * 5 + "." + "." * 40 + "y"
    assert Reading(text).column.tolist() == [*range(1, 46), 0, *range(1, 42)]


def test_grades_say_how_much() -> None:
    reading = Reading("if x:\n    f((1))\n")
    assert GRADES["brackets"](reading).tolist() == [0] * 11 + [1, 2, 2, 1, 0, 0]
    assert GRADES["indented"](reading).tolist() == [0] * 6 + [1, 2, 3, 4] + [4] * 6 + [0]
    assert set(GRADES) <= set(FEATURES)


@pytest.mark.parametrize("text", ["", "\n", "'", "#", "(", "\t", "😀“"])
def test_ugly_texts_are_no_trouble(text: str) -> None:
    found = labels(text)
    assert set(found) == set(FEATURES) and all(len(flags) == len(text) for flags in found.values())


def test_tokens_of_characters_have_their_labels_and_documents_begin_anew() -> None:
    first, second = "a 'open", "b' (c"
    tokenizer = char_tokenizer(set(first + second))
    tokens = [BEGIN, *tokenizer.encode(first), END, BEGIN, *tokenizer.encode(second), END]
    flags, grades = token_labels(tokenizer, np.array(tokens, np.uint16))
    for name, found in flags.items():
        expected = [False, *labels(first)[name], False, False, *labels(second)[name], False]
        assert found.tolist() == expected, name
    assert grades["brackets"].tolist()[-3:] == [1, 1, 0]


def _spans(tokenizer: Tokenizer, tokens: np.ndarray) -> list[range]:
    """The characters that each token completes."""
    data, spans, before = b"", [], 0
    for token in tokens:
        data += tokenizer.token_bytes(int(token))
        after = len(data.decode("utf-8", "ignore"))
        spans.append(range(before, after))
        before = after
    return spans


def test_longer_tokens_have_the_label_of_their_last_character() -> None:
    text = 'print("a 你好 string")  # a comment\n' * 20
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=300), [text])
    tokens = np.array(tokenizer.encode(text))
    flags, _ = token_labels(tokenizer, tokens)
    starts = [any(labels(text)["word_start"][place] for place in span) for span in _spans(tokenizer, tokens)]
    assert flags["word_start"].tolist() == starts and any(starts)
    end, whole = 0, labels(text)
    data = b"".join(tokenizer.token_bytes(int(token)) for token in tokens)
    assert data.decode() == text
    for place, token in enumerate(tokens):
        end += len(tokenizer.token_bytes(int(token)))
        known = len(data[:end].decode("utf-8", "ignore"))
        if known:
            assert flags["string"][place] == whole["string"][known - 1]
