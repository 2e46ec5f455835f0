"""Written Python: the scanner against `tokenize`, where blocks end, what is valid, and that nothing is ever run."""

import io
import json
import sysconfig
import tokenize
import warnings
from pathlib import Path

import pytest
import torch
from test_held_out import CODE
from test_training import small_config

from lmviz.config import TokenizerConfig
from lmviz.decoding.batch import write_rows
from lmviz.decoding.config import DecodingConfig
from lmviz.errors import ConfigError
from lmviz.inspect import code as module
from lmviz.inspect.code import BlockEnd, block_end, check, cut, python_share, scan
from lmviz.inspect.shares import wilson
from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Run, Store
from lmviz.tokenizers import train_tokenizer
from lmviz.training.foreground import train_here

torch.set_num_threads(1)

FILES = ("ast.py", "textwrap.py", "heapq.py", "json/decoder.py", "shlex.py", "string.py", "difflib.py", "tokenize.py",
         "token.py", "this.py", "cmd.py", "types.py", "email/_header_value_parser.py", "datetime.py")  # fmt: skip
BEGUN = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


def lines_by_tokenize(text: str) -> list[tuple[int, int]]:
    """(place, column) of the first token of each logical line."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found, fresh = [], True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            fresh = True
        elif token.type not in BEGUN and fresh:
            row, column = token.start
            found.append((starts[row - 1] + column, column))
            fresh = False
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_scanner_sees_the_lines_that_tokenize_sees(name: str) -> None:
    text = (Path(sysconfig.get_paths()["stdlib"]) / name).read_text("utf-8")
    found = scan(text)
    assert [(line.start, line.indent) for line in found.lines] == lines_by_tokenize(text)
    assert not found.open and not found.mismatched and all(line.ended for line in found.lines)


@pytest.mark.parametrize(
    ("text", "is_open", "mismatched"),
    [
        ("f(a[1], {2: 3})", [], False),
        ("f(a[1", ["(", "["], False),
        ("f)", [], True),
        ("f(]", ["("], True),
        ("'(' + \"[\" # {", [], False),
        ("'''(\n[''' + r'\\' + \"\\\"(\"", [], False),
        ("'an unfinished ( string\n)", [], True),
        ('"""never closed ((', [], False),
        ("x = '' + '(' + \"\"", [], False),
    ],
)
def test_brackets_in_strings_and_comments_do_not_count(text: str, is_open: list[str], mismatched: bool) -> None:
    found = scan(text)
    assert (found.open, found.mismatched) == (is_open, mismatched)


@pytest.mark.parametrize(
    ("snippet", "written", "block"),
    [
        ("def f(x):\n", "    return x\n\ndef g", "    return x\n"),
        ("def f(x):\n", "    return (x\n+ 1)\n\ny = 1", "    return (x\n+ 1)\n"),
        ('def f(x):\n    """Text', '\ntext.\n"""\n    return x\nprint', '\ntext.\n"""\n    return x\n'),
        ("def f(x):", "\n    if x:\n        y\n\n    # more\nz", "\n    if x:\n        y\n"),
        ("class A:\n    def f(self):\n        return", " 1\n\n    def g(self): pass\n", " 1\n"),
        ("class A:\n    def f(self):\n        return", " 1\n        # the end\n# of it\nx", " 1\n"),
        ("import os\nimport", " sys\nimport re", " sys\n"),
        ("import os\nfrom os import (", "path,\nsep)\nx", "path,\nsep)\n"),
        ("if a:\n", "    b\nelse:\n    c\nd", "    b\nelse:\n    c\n"),
        ("try:\n    a\n", "except E:\n    b\nfinally:\n    c\nd = 1", "except E:\n    b\nfinally:\n    c\n"),
        ("def f():\n", "    a\nelse:\n", "    a\n"),
        ("def f():\n    a\n\n", "def g():\n    b\nc", "def g():\n    b\n"),
        ("def f():\n\t", "a\n\tb\nc", "a\n\tb\n"),
        ("x = 1", "\n\ny", "\n"),
        ("", "x = 1\ny", "x = 1\n"),
    ],
)
def test_where_a_block_ends(snippet: str, written: str, block: str) -> None:
    end = block_end(snippet, written)
    assert end is not None and written[:end] == block
    assert cut(snippet, written, finished=False) == (block, True)
    # one character after the other it stops as soon as that is known, and never before
    stopper = BlockEnd(snippet)
    stopped = next(place for place, letter in enumerate(written) if stopper.feed(letter))
    assert stopped >= end and written[:stopped].rstrip().startswith(block.rstrip()[:stopped])
    assert block_end(snippet, written[:stopped]) is None


@pytest.mark.parametrize(
    ("snippet", "written"),
    [("def f():\n", "    a\n    b"), ("def f():\n", "    a\n\n# x"), ("x = (", "1,\n2\nif"), ("if a:\n", "    b\nels")],
)
def test_a_block_that_may_go_on(snippet: str, written: str) -> None:
    assert block_end(snippet, written) is None
    assert cut(snippet, written, finished=True) == (written, True)
    assert cut(snippet, written, finished=False) == (written[: written.rfind("\n") + 1], False)


def test_what_python_says() -> None:
    assert check("def f():\n", "    return 1\n").parses
    wrong = check("def f():\n", "    return 1 +\n")
    assert not wrong.parses and wrong.line == 2 and wrong.error == "invalid syntax" and wrong.balanced
    nothing = check("x = 1\n", " \n")
    assert not nothing.parses and nothing.error == ""  # valid as it was: the model has done nothing
    assert not check("x = ", "(1\n").balanced


def test_no_text_is_too_strange_to_be_checked() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check("x = ", '"\\d" is 1\n').parses  # two warnings of Python's, which are not for us
        for text in ("\0", "(" * 100_000, "-" * 20_000 + "1", "\ud800", "\u00a0", "f'{", "a" + ".b" * 50_000):
            check("x = ", text)
        assert not check("x = ", "\0").parses and check("x = ", "\0").error


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check("import os\n", "os.mkdir('made')\nopen('made', 'w')\n").parses
    assert not list(tmp_path.iterdir())


def test_which_text_is_python() -> None:
    own = Path(module.__file__).read_text("utf-8")
    assert python_share(own) > 0.95 and python_share(own[3000:9000]) > 0.8
    assert python_share(CODE * 5) == 1
    for prose in (
        "The for statement\nis used to iterate.\nOver it.\n",
        "word\nword\nword\n",
        "",
        "画蛇添足\n守株待兔\n",
    ):
        assert python_share(prose) == 0
    decorated = "@one\n@two\ndef f():\n    pass\n\nif a:\n    b = 1\nelse:\n    c = 2\nd = 3\n"
    assert python_share(decorated) == 1


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),  # statsmodels.stats.proportion.proportion_confint(method="wilson")
    [(0, 16, 0.0, 0.193608), (4, 16, 0.101821, 0.494983), (16, 16, 0.806392, 1.0), (50, 100, 0.403832, 0.596168)],
)
def test_wilson(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == pytest.approx((low, high), abs=2e-6)


def test_wilson_refuses_what_is_no_share() -> None:
    for count, of in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is no share"):
            wilson(count, of)


# ---- with a model ----


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("code")
    text = place / "code.txt"
    text.write_text(CODE * 60, encoding="utf-8")
    one = Store(place / "runs", samples=None).create(
        small_config("lstm", text, steps=300, recording={"checkpoints": 4}, training={"learning_rate": 2e-2})
    )
    train_here(one, quiet=True)
    return one


SNIPPET = "def f(a, b):"


def test_completions_end_with_their_block_and_are_counted(run: Run) -> None:
    store = Store(run.path.parent, samples=None)
    asked = {"run": run.id, "prompt": SNIPPET, "count": 8, "seed": 3, "temperature": 0.5, "max_new_tokens": 100}
    *before, answer = QUESTIONS["code"](store, **asked)
    assert before and all(0 <= piece["done"] <= 1 for piece in before)
    json.dumps(answer, allow_nan=False)
    texts = answer["texts"]
    assert len(texts) == 8 and answer["parses"] == sum(text["parses"] for text in texts) >= 6  # it knows one function
    for number, text in enumerate(texts):
        *_, alone = QUESTIONS["code"](store, **{**asked, "count": 1, "seed": 3 + number})
        assert alone["texts"] == [pytest.approx(text)]
        assert text["parses"] == check(SNIPPET, text["text"]).parses
        assert not text["ended"] or block_end(SNIPPET, text["text"] + "x") == len(text["text"])
    *_, over = QUESTIONS["code_training"](store, **asked)
    assert [moment["step"] for moment in over["moments"]] == run.checkpoint_steps()
    assert over["moments"][-1] == {"step": 300, "count": 8, **{k: answer[k] for k in ("parses", "balanced", "ended")}}
    assert over["moments"][0]["parses"] < over["moments"][-1]["parses"]


def test_a_stopper_ends_its_own_row_alone(run: Run) -> None:
    from lmviz.checkpoints import load_model

    class After:
        def __init__(self, count: int) -> None:
            self.left = count

        def feed(self, token: int) -> bool:
            self.left -= 1
            return self.left == 0

    model, tokenizer, _ = load_model(run)
    configs = [DecodingConfig(prompt="def", max_new_tokens=12, seed=seed) for seed in (1, 2)]
    *_, free = write_rows(model, tokenizer, configs)
    *_, stopped = write_rows(model, tokenizer, configs, stopping=[After(5), After(50)])
    assert stopped[0].tokens == free[0].tokens[:5] and stopped[1].tokens == free[1].tokens


def test_refusals_are_sentences(run: Run) -> None:
    store = Store(run.path.parent, samples=None)
    with pytest.raises(ConfigError, match="between 1 and 64"):
        list(QUESTIONS["code"](store, run=run.id, prompt="def", count=65))
    with pytest.raises(ConfigError, match="never read"):
        list(QUESTIONS["code"](store, run=run.id, prompt="def 画", count=2))


def test_a_run_of_ones_own_is_known_by_its_text(run: Run) -> None:
    *_, answer = QUESTIONS["is_python"](Store(run.path.parent, samples=None), run=run.id)
    assert answer["python_share"] > 0.9


def test_tokenizers_know_the_bytes_of_their_tokens() -> None:
    text = "画蛇 don't\n  x = 42 👩🏽‍🚀 zzz"
    for kind in ("char", "word", "bpe"):
        tokenizer = train_tokenizer(TokenizerConfig(kind=kind, vocab_size=270), ["画蛇 don't\n  x = 42"])
        lengths = tokenizer.byte_lengths(text)
        ids = tokenizer.encode(text)
        assert len(lengths) == len(ids) and lengths.sum() == len(text.encode())
        known = [n == len(tokenizer.token_bytes(i)) for n, i in zip(lengths.tolist(), ids, strict=True) if i]
        assert all(known) and len(known) > 5
