"""lmviz generate with beam search, and its other options, as scripts use it."""

import json
from pathlib import Path

import pytest
from test_cli import lmviz, place  # noqa: F401  (a fixture)

from lmviz.decoding.beam import beam_search
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.jobs.of_run import model_of
from lmviz.runs import Store


def test_all_texts_of_a_beam_search_best_first(place: Path) -> None:  # noqa: F811
    arguments = [
        "--prompt", "def ", "--strategy", "beam", "--num-beams", "4", "--length-penalty", "0.5", "--beam-groups", "2",
        "--diversity-penalty", "0.7", "--max-new-tokens", "12", "--early-stopping",
    ]  # fmt: skip
    document = json.loads(lmviz(place, "generate", "sample-gpt", *arguments, "--json").stdout)
    model, tokenizer, step = model_of(Store(place / "runs"), "sample-gpt", None)
    config = DecodingConfig(
        prompt="def ", strategy="beam", num_beams=4, length_penalty=0.5, beam_groups=2, diversity_penalty=0.7,
        max_new_tokens=12, early_stopping=True,
    )  # fmt: skip
    *_, found = beam_search(model, tokenizer, config)
    beams = document["beams"]
    assert [(one["text"], one["logprob"], one["score"]) for one in beams] == [
        (one.text, pytest.approx(one.logprob), pytest.approx(one.score))
        for one in found.hypotheses  # type: ignore[union-attr]
    ]
    assert len(beams) == 4 and [one["score"] for one in beams] == sorted((one["score"] for one in beams), reverse=True)
    assert (document["text"], document["logprob"]) == (beams[0]["text"], beams[0]["logprob"])
    assert document["text"] == "".join(token["text"] for token in document["tokens"])
    assert document["logprob"] == pytest.approx(sum(token["logprob"] for token in document["tokens"]))
    assert document["strategy"] == "beam" and document["step"] == step and document["prompt"] == "def "
    plain = lmviz(place, "generate", "sample-gpt", *arguments)
    assert plain.stdout == "def " + document["text"] + "\n"


def test_penalties_and_stop_strings_are_taken(place: Path) -> None:  # noqa: F811
    settings = {"prompt": "def ", "max_new_tokens": 40, "frequency_penalty": 1.5, "presence_penalty": 0.5,
                "no_repeat_ngram": 2, "min_p": 0.2, "seed": 3}  # fmt: skip
    model, tokenizer, _ = model_of(Store(place / "runs"), "sample-gpt", None)
    whole = [token.piece for token in generate(model, tokenizer, DecodingConfig(**settings))]
    for stop in ([], ["--stop", "zzz", "--stop", "".join(whole[8:10])]):
        expected = list(generate(model, tokenizer, DecodingConfig(**settings, stop=tuple(stop[1::2]))))
        options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        document = json.loads(lmviz(place, "generate", "sample-gpt", *options, *stop, "--json").stdout)
        assert document["text"] == "".join(token.piece for token in expected)
        assert [token["id"] for token in document["tokens"]] == [token.id for token in expected]
    assert len(expected) == 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--num-beams", "4", "--beam-groups", "3"], "4 beams cannot be shared evenly among 3 groups"),
        (["--stop", "long stop"], "none of this model holds the stop string long stop"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(place: Path, arguments: list[str], words: str) -> None:  # noqa: F811
    done = lmviz(place, "generate", "sample-gpt", "--strategy", "beam", *arguments, status=2)
    assert words in done.stderr and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1
