"""Texts with labels: how they are mixed, and what a label is worth, against direct computation."""
# ruff: noqa: F811  (fixtures of another module)

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_cli import lmviz
from test_pages import places, visit  # noqa: F401

from lmviz.checkpoints import load_model
from lmviz.corpora import Corpus, add_corpus, load_corpus
from lmviz.corpora.mixed import CAP, PIECE, label, mixed_corpus, parts_of, pieces
from lmviz.errors import ConfigError, CorpusError
from lmviz.inspect.styles import losses_under
from lmviz.jobs.questions import QUESTIONS
from lmviz.presets import preset
from lmviz.runs import SAMPLES, Run, Store
from lmviz.tokenizers import BEGIN

NAME = "python-reference+python"


def test_a_mixed_text_is_balanced_labelled_and_always_the_same() -> None:
    corpus = load_corpus(NAME, allow_paths=False)
    assert isinstance(corpus, Corpus)
    sizes: Counter[str] = Counter()
    for document in corpus.documents:
        part = document[1 : document.index("]")]
        assert document.startswith(label(part)) and part in parts_of(NAME)
        sizes[part] += len(document) - len(label(part))
    small, large = sorted(sizes.values())
    whole = load_corpus("python-reference")
    assert isinstance(whole, Corpus)
    assert small > 0.9 * min(CAP, whole.characters) and large < small * 1.05
    first_half = Counter(document[:8] for document in corpus.documents[: len(corpus.documents) // 2])
    assert min(first_half.values()) > 0.4 * len(corpus.documents) / 2  # shuffled
    again = mixed_corpus(NAME, lambda part: load_corpus(part))
    assert again.fingerprint == corpus.fingerprint
    assert load_corpus("python+python-reference").fingerprint != corpus.fingerprint  # type: ignore[union-attr]


def test_pieces_make_the_text_again_and_are_short() -> None:
    text = "".join(f"line {i} {'x' * (i % 90)}\n" for i in range(200)) + "y" * 1000 + "\n\n\nend"
    cut = pieces(text)
    assert "".join(cut) == text and max(map(len, cut)) < 2 * PIECE
    assert pieces("  \n \n") == [] and pieces("") == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python+python", "different texts"), ("python+", "No text is named"), ("+", "different texts"),
        ("a+b+c+d+e+f", "two to 5"), ("python+copy", "is a task"), ("python+nix", "no corpus and no file nix"),
        ("python+../../etc/passwd", "no corpus and no file"),
    ],
)  # fmt: skip
def test_what_cannot_be_mixed_gets_a_sentence(name: str, words: str) -> None:
    with pytest.raises(CorpusError, match=words):
        load_corpus(name)


def test_losses_are_those_of_each_text_alone() -> None:
    model, tokenizer, _ = load_model(Run(SAMPLES / "sample-styles", read_only=True))
    texts = ["def f(self):\n", "The value of an expression is", "x"]
    (found,) = losses_under(model, tokenizer, texts, label("python"))
    for text, (loss, count) in zip(texts, found, strict=True):
        ids = [BEGIN, *tokenizer.encode(label("python") + text)]
        with torch.no_grad():
            logits = model(torch.tensor([ids[:-1]]))[0].double()
        own = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        assert count == len(tokenizer.encode(text)) == len(text)
        assert loss == pytest.approx(float(own[-count:].sum()), abs=1e-4)


def test_the_sample_knows_its_labels() -> None:
    *_, answer = QUESTIONS["styles"](Store(), "sample-styles")
    assert answer["parts"] == parts_of(NAME) and answer["labels"] == [*parts_of(NAME), ""]
    for place, row in enumerate(answer["losses"]):
        assert row[place] == min(row) and row[place] < row[2] - 0.03  # better than the wrong label, and than none
    assert answer["right"] > 0.75
    with pytest.raises(ConfigError, match="without labels"):
        list(QUESTIONS["styles"](Store(), "sample-gru"))


def test_the_command_line_trains_on_a_mix(places: Path) -> None:
    for name in ("letters", "digits"):
        text = ("abc def ghi\n" if name == "letters" else "123 456 789\n") * 60
        add_corpus(places / "data", name, [(f"{name}.txt", text.encode())])
    done = lmviz(places, "corpora", "show", "letters+digits")
    assert "[letters]" in done.stdout + done.stderr
    config = preset("gru", "tiny", corpus={"name": "letters+digits"})
    assert config.has_text and config.writes_text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_part_writes_under_every_label(visit: Callable[..., AppTest], lang: str) -> None:
    app = visit("generate", run="sample-styles", part="style", lang=lang)
    assert not app.exception and not app.error
    assert len([one for one in app.get("html") if 'class="written' in one.proto.body]) == 3
    other = visit("generate", run="sample-gru", part="style", lang=lang)
    assert not other.exception and other.button(key="style_sample")


def test_the_sample_is_a_press_away(visit: Callable[..., AppTest]) -> None:
    app = visit("generate", run="sample-gru", part="style")
    app.button(key="style_sample").click().run()
    assert not app.exception and app.query_params["run"] in ("sample-styles", ["sample-styles"])
