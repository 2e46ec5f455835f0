"""Poem without a browser: questions about verse, and the part in both languages, for models that write verse or not."""
# ruff: noqa: F811  (fixtures of another module)

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from test_gradients_learning import figure_of
from test_pages import places, visit  # noqa: F401

from lmviz.decoding.verse import PATTERNS, check
from lmviz.errors import ConfigError
from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import SAMPLES, Run, Store
from lmviz.ui.generate import idioms as idioms_part
from lmviz.ui.generate import poem_rates
from lmviz.ui.generate.poem_html import poem_html

TANG, LINE = "sample-tang", "春江潮水連海平"
Visit = Callable[..., AppTest]


def ask(store: Store, question: str, run: str = TANG, **arguments: Any) -> dict[str, Any]:
    *_, last = QUESTIONS[question](store, run=run, **arguments)
    return last


@pytest.fixture
def samples(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def heading(app: AppTest, place: int = 0) -> str:
    return str(app.subheader[place].value)


def poem_of(app: AppTest) -> str:
    (found,) = [one.proto.body for one in app.get("html") if 'class="verse"' in one.proto.body]
    return html.unescape(found)


# ---- questions ----


def test_who_writes_verse(samples: Store) -> None:
    assert ask(samples, "verse") == {"kind": "quatrain", "line": LINE}
    assert ask(samples, "verse", "sample-idioms-gru")["kind"] == "idioms"
    assert ask(samples, "verse", "sample-gpt") == {"kind": None, "line": ""}
    assert ask(samples, "verse", "sample-dates-seq2seq")["kind"] is None
    assert ask(samples, "verse", "sample-repeat-1")["kind"] is None


def test_a_poem_keeps_the_pattern_of_its_first_line(samples: Store) -> None:
    answer = ask(samples, "poem", line="白日依山盡，", seed=3)
    lines = ["".join(sign["character"] for sign in line) for line in answer["lines"]]
    assert answer["pattern"] == "5-oblique" and answer["kept"] and lines[0] == "白日依山盡"
    assert check(lines, PATTERNS["5-oblique"]).kept(given=1)
    assert answer == ask(samples, "poem", line="白日依山盡", seed=3)  # the same seed, the same poem
    assert lines != ["".join(s["character"] for s in line) for line in ask(samples, "poem", line="白日依山盡")["lines"]]
    other = ask(samples, "poem", line="白日依山盡", pattern="5-level-rhymed")
    assert other["pattern"] == "5-level-rhymed" and other["kept"] and other["given_broken"] > 1
    assert ask(samples, "poem", line="白日依山盡", pattern="7-level")["pattern"] == "5-oblique"  # has another length
    assert ask(samples, "poem", pattern="7-oblique", seed=2)["pattern"] == "7-oblique"


def test_a_free_poem_is_what_generate_writes(samples: Store) -> None:
    answer = ask(samples, "poem", line=LINE, keep=False, seed=4, temperature=0.7)
    pieces = QUESTIONS["generate"](
        samples, run=TANG, prompt=f"\n\n{LINE}\n", seed=4, temperature=0.7, max_new_tokens=40, stop=("\n\n",)
    )
    tokens = [token for piece in pieces for token in piece["tokens"]]
    written = "".join(token["piece"] for token in tokens)
    assert ["".join(sign["character"] for sign in line) for line in answer["lines"]] == [LINE, *written.split()]
    logprobs = [token["logprob"] for token in tokens if token["piece"].strip()]
    assert answer["logprob"] == pytest.approx(sum(logprobs) / len(logprobs))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("白日", "five or seven Chinese characters.*This one has 2"),
        ("hello", "five or seven Chinese characters"),
        ("春江潮水连海平", "never read 连"),
        ("<b>白日依", "five or seven"),
    ],
)
def test_lines_that_will_not_do(samples: Store, line: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        ask(samples, "poem", line=line)
    assert re.search(words, str(error.value))


def test_other_models_say_so(samples: Store) -> None:
    with pytest.raises(ConfigError, match="does not write Chinese"):
        ask(samples, "poem", "sample-gpt")


def test_a_hundred_of_a_hundred_of_the_sample_keep_the_pattern(samples: Store) -> None:
    answer = ask(samples, "poem_rates", line=LINE, count=100)
    assert answer["kept"]["kept"] == answer["kept"]["form"] == answer["count"] == 100
    assert (answer["kept"]["tones"], answer["kept"]["rhymes"]) == (0, 0)
    free = answer["free"]
    assert free["kept"] < 10 and free["form"] > 80 and free["tones"] > 1 and free["rhymes"] > 1
    assert answer["difference"] == pytest.approx(free["logprob"] - answer["kept"]["logprob"])
    assert len(answer["places"]) == len(answer["marks"]) == 21 and min(answer["places"]) >= 0
    assert [place for place, mark in enumerate(answer["marks"]) if mark == "韵"] == [6, 20]
    assert 0 < answer["chance"] < 0.1 and 0 < answer["chance_error"] < answer["chance"]
    rhymes = answer["places"][6] + answer["places"][20]
    assert rhymes > sum(answer["places"]) / 2


def test_rates_are_of_the_poems_that_are_shown(samples: Store) -> None:
    pieces = list(QUESTIONS["poem_rates"](samples, run=TANG, line="白日依山盡", count=2, seed=5))
    assert all(0 < piece["done"] <= 1 for piece in pieces[:-1]) and len(pieces) > 2
    for kind, keep in (("free", False), ("kept", True)):
        poems = [ask(samples, "poem", line="白日依山盡", seed=5 + number, keep=keep) for number in range(2)]
        assert pieces[-1][kind]["kept"] == sum(poem["kept"] for poem in poems)
        assert pieces[-1][kind]["logprob"] == pytest.approx(sum(poem["logprob"] for poem in poems) / 2, abs=0.05)


def test_tones_of_idioms(samples: Store) -> None:
    answer = ask(samples, "idiom_tones", "sample-idioms-gru", count=40)
    assert len(answer["shapes"]) == 16 and sum(own for own, _all in answer["shapes"].values()) == len(answer["idioms"])
    assert sum(learned for _own, learned in answer["shapes"].values()) == answer["corpus"] > 1500
    assert all(len(one["characters"]) == len(one["pinyin"]) == len(one["tones"]) == 4 for one in answer["idioms"])
    assert max(answer["shapes"], key=lambda shape: answer["shapes"][shape][1]) == "平平仄仄"


# ---- plain values ----


def test_small_shares_keep_their_digits() -> None:
    assert [poem_rates.percent(share) for share in (0.5, 0.0743, 0.00643, 0.000012, 0.0)] == [
        "50%", "7.4%", "0.64%", "0.0012%", "0%",
    ]  # fmt: skip


def test_html_of_a_poem_is_escaped() -> None:
    sign = {"character": "<", "pinyin": "<b>", "tone": "none", "wanted": None, "kept": False}
    answer = {"pattern": "5-oblique", "given": 0, "lines": [[sign]], "rhymes": []}
    assert "<b><" not in poem_html(answer) and "&lt;b&gt;" in poem_html(answer)


def test_headings() -> None:
    idioms = [{"known": True}, {"known": False}]
    assert idioms_part.finding({"idioms": idioms, "other": 3}) == (
        "Of 5 lines, 2 have four characters; 1 of these are real idioms"
    )


# ---- the page ----


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_part_opens_with_a_poem(visit: Visit, samples: Store, lang: str) -> None:
    app = visit("generate", part="poem", run=TANG, lang=lang)
    assert not app.exception and not app.error
    answer = ask(samples, "poem", line=LINE)
    shown = poem_of(app)
    for line in answer["lines"]:
        assert all(f"<b>{sign['character']}</b><i>{sign['pinyin']}</i>" in shown for sign in line)
    assert "七绝平起首句入韵" in heading(app) and shown.count('class="sign wrong') == answer["given_broken"] == 2
    assert shown.count('class="sign rhyme"') == 3
    assert any("入声" in one.value for one in app.caption)


def test_it_is_written_freely_measured_and_written_again(visit: Visit, samples: Store) -> None:
    app = visit("generate", part="poem", run=TANG, keep="no")
    free = ask(samples, "poem", line=LINE, keep=False)
    assert f"tones {free['tones_broken']}, rhymes {free['rhymes_broken']}" in heading(app)
    assert app.query_params["keep"] == "no" and poem_of(app).count("rhyme off") == free["rhymes_broken"]
    assert "what does keeping it cost" in heading(app, 1)
    app.button(key="poem_measure").click().run()
    rates = ask(samples, "poem_rates", line=LINE)
    assert heading(app, 1) == (
        f"Of 20 written freely, {rates['free']['kept']} keep the pattern; with the constraint 20 of 20"
    )
    figure = figure_of(app, "poem_costs")["data"]
    assert figure[1]["x"] == [6, 20] and figure[1]["y"] == pytest.approx(
        [rates["places"][6], rates["places"][20]], rel=1e-3
    )
    before = poem_of(app)
    app.button(key="poem_another").click().run()
    assert poem_of(app) != before and app.number_input(key="decoding_seed").value == 2


def test_no_first_line_and_a_form(visit: Visit) -> None:
    app = visit("generate", part="poem", run=TANG, form="5-level-rhymed")
    assert "七绝" in heading(app)  # the first line has seven characters
    app.text_input(key="poem_line").set_value("").run()
    assert not app.exception and len(app.selectbox(key="poem_form").options) == 9
    app.selectbox(key="poem_form").set_value("5-level-rhymed").run()
    assert "五绝平起首句入韵" in heading(app) and app.query_params["form"] == "5-level-rhymed"
    assert poem_of(app).count("<i>") == 20 and "wrong" not in poem_of(app).split("</style>")[1]


@pytest.mark.parametrize("line", ["春江潮水连海平", "<b>x", "$x$", "白日"])
def test_ugly_lines_are_answered_with_a_sentence(visit: Visit, line: str) -> None:
    app = visit("generate", part="poem", run=TANG)
    app.text_input(key="poem_line").set_value(line).run()
    assert not app.exception and len(app.error) == 1
    assert not [one for one in app.get("html") if "<b>x" in one.proto.body]


def test_idioms_and_models_without_verse(visit: Visit) -> None:
    app = visit("generate", part="poem", run="sample-idioms-gru")
    assert not app.exception and not app.error and "have four characters" in heading(app)
    assert len(figure_of(app, "poem_shapes")["data"]) == 2
    other = visit("generate", part="poem", run="sample-gpt")
    assert not other.exception and len(other.info) == 1
    other.button(key="poem_sample").click().run()
    assert not other.exception and "七绝" in heading(other) and other.query_params["run"] == TANG


# ---- the sample ----


def test_the_sample_is_small_and_holds_no_text() -> None:
    folder = SAMPLES / TANG
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_700_000
    assert Run(folder).checkpoint_steps() == [6000]
    assert not (folder / "resume").exists()


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("generate", {"part": "write"}), ("attention", {}), ("attention", {"view": "lens"}), ("runs", {}),
        ("attention", {"view": "positions"}), ("attention", {"view": "off"}), ("gradients", {"view": "text"}),
    ],
)  # fmt: skip
def test_other_pages_go_on_without_its_text(visit: Visit, page: str, query: dict[str, str]) -> None:
    app = visit(page, run=TANG, **query)  # the data folder of the tests has no corpus
    assert not app.exception
    said = [one.value.replace("\\", "") for one in app.error]
    assert all("Fetch it: lmviz corpora add tang-quatrains" in one for one in said), said
