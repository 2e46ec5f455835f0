"""Questions about verse: a quatrain written in a pattern of tones and rhymes or freely, what the pattern costs, and the
tones of idioms.
"""

import math
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import Any

from lmviz.corpora.builtin import load_builtin
from lmviz.decoding.batch import Row, write_rows
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.decoding.verse import PATTERNS, SIZES, Pattern, best_for_line, best_for_poem, check
from lmviz.decoding.verse_stage import Layout, PatternProcessor, Places, layout_of, sounds_of
from lmviz.errors import N_, ConfigError
from lmviz.inspect.tones import is_chinese, spoken, tones
from lmviz.jobs.of_run import Answer, model_of
from lmviz.models.base import LanguageModel
from lmviz.runs import Run, Store
from lmviz.tokenizers import Tokenizer

FIRST_LINES = ("春江潮水連海平", "春江潮水连海平")
"""The same line of Zhang Ruoxu in traditional and in simplified characters."""
USUAL = {5: "5-oblique", 7: "7-level-rhymed"}
"""Characters in a line -> the pattern if nothing is said."""
LEAST_CHARACTERS = 200
"""Chinese characters that a model has to know."""
AT_ONCE = 10
"""Poems of a kind that are written together."""
MOST = 200
LONGEST = 40
"""Tokens of a poem that is written freely: four lines of seven characters with their marks, and some more."""
IDIOM = 4
CORPUS_IDIOMS = 2000
"""Idioms of the corpus whose tones are counted, evenly spread over it."""
PIECE_SECONDS = 0.08
_MARKS = "，。？！、；：,.?!;: \n"


def ask_verse(store: Store, run: str) -> Answer:
    """The last piece {"kind": quatrain, idioms or None, what a run can write, "line": a first line that it knows}."""
    found = store.get(run)
    if _may_write(found):
        yield from _heard(model_of(store, run, None)[1])
    tokenizer = _tokenizer(store, found)
    if tokenizer is None:
        yield {"kind": None, "line": ""}
    elif found.config().corpus.name == "idioms":
        yield {"kind": "idioms", "line": ""}
    else:
        known = (line for line in FIRST_LINES if not tokenizer.unknown_characters(line))
        yield {"kind": "quatrain", "line": next(known, "")}


def _may_write(run: Run) -> bool:
    return run.config().writes_text and run.config().tokenizer.kind == "char" and bool(run.checkpoint_steps())


def _heard(tokenizer: Tokenizer) -> Answer:
    """Look up how the characters sound, some at a time: for a vocabulary of thousands it takes a second."""
    sent = time.perf_counter()
    for token in range(tokenizer.vocab_size):
        if len(name := tokenizer.token_text(token)) == 1:
            tones(name)
        if time.perf_counter() - sent > PIECE_SECONDS:
            yield {}
            sent = time.perf_counter()


def _tokenizer(store: Store, run: Run) -> Tokenizer | None:
    """Of a run that writes Chinese, a character a token; else None."""
    if not _may_write(run):
        return None
    _model, tokenizer, _step = model_of(store, run.id, None)
    if layout_of(tokenizer) is None or sounds_of(tokenizer).characters < LEAST_CHARACTERS:
        return None
    return tokenizer


@dataclass(frozen=True)
class _Task:
    """What is to be written, and by whom."""

    model: LanguageModel
    tokenizer: Tokenizer
    layout: Layout
    line: str
    pattern: Pattern
    places: Places

    @property
    def given(self) -> int:
        """Lines that are given."""
        return int(bool(self.line))

    @property
    def prompt(self) -> str:
        return self.layout.prompt(self.line)

    @property
    def start(self) -> int:
        """Tokens before the poem's own, <begin> included."""
        return len(self.tokenizer.encode(self.prompt)) + 1

    def config(self, temperature: float, seed: int, tokens: int | None = None) -> DecodingConfig:
        """tokens: at most, as many as the form has if nothing is said."""
        return DecodingConfig(
            prompt=self.prompt, temperature=temperature, seed=seed, max_new_tokens=tokens or len(self.places),
            stop=("\n\n",),
        )  # fmt: skip

    def lines(self, text: str) -> list[str]:
        """The poem's lines, those given included, of what was written; however it is laid out."""
        for mark in _MARKS:
            text = text.replace(mark, "\n")
        return [*([self.line] if self.line else []), *(line for line in text.split("\n") if line)]

    def keeps(self, written: str) -> bool:
        """Whether what was written is laid out as a poem of this form and keeps the pattern."""
        lines = self.layout.lines((self.line + self.layout.ends[0] if self.line else "") + written)
        return lines is not None and check(lines, self.pattern).kept(self.given)


def _task(store: Store, run: str, step: int | None, line: str, pattern: str) -> _Task:
    model, tokenizer, _step = model_of(store, run, step)
    layout = layout_of(tokenizer)
    if layout is None or sounds_of(tokenizer).characters < LEAST_CHARACTERS:
        raise ConfigError(N_("This model does not write Chinese, a character a token. Choose one that does."))
    line = line.strip(_MARKS)
    unknown = [character for character in tokenizer.unknown_characters(line) if is_chinese(character)]
    if not all(map(is_chinese, line)) or len(line) not in (0, *SIZES):
        raise ConfigError(
            N_("A line of a quatrain has five or seven Chinese characters, without marks. This one has {count}."),
            count=len(line),
        )
    if unknown:
        raise ConfigError(
            N_(
                "The model has never read {characters}. Write the line with other characters, traditional or simplified"
                " as in the text that it learned."
            ),
            characters=" ".join(unknown),
        )
    chosen = choose(line, pattern)
    return _Task(model, tokenizer, layout, line, chosen, Places(tokenizer, chosen, layout, line))


def choose(line: str, wanted: str) -> Pattern:
    """The pattern of a poem: that wanted if the first line has its length, else the one nearest to the line; without a
    line that wanted, or the usual one.
    """
    pattern = PATTERNS.get(wanted)
    if pattern and len(line) in (0, pattern.size):
        return pattern
    return best_for_line(line) or PATTERNS[USUAL[7]]


def ask_poem(
    store: Store, run: str, step: int | None = None, *, line: str = "", pattern: str = "auto",
    temperature: float = 0.8, seed: int = 1, keep: bool = True,
) -> Answer:  # fmt: skip
    """One piece: a quatrain, held against its pattern.

    {"pattern", "nearest" (keys of PATTERNS), "given" (lines), "lines" (of Sign), "rhymes" (of Rhyme), "rhyme", "form",
    "kept", "tones_broken", "rhymes_broken", "given_broken", "logprob" (mean of the characters written, nats)}.
    """
    task = _task(store, run, step, line, pattern)
    extra = [PatternProcessor(task.places, task.start).stage()] if keep else []
    config = task.config(temperature, seed, None if keep else LONGEST)
    tokens = list(generate(task.model, task.tokenizer, config, extra))
    written = "".join(token.piece for token in tokens)
    lines = task.lines(written)
    nearest = best_for_poem(lines) or task.pattern
    if not keep and not task.line and pattern not in PATTERNS:  # nothing was asked for
        task = replace(task, pattern=nearest)
    found = check(lines, task.pattern)
    characters = [token.logprob for token in tokens if is_chinese(token.piece)]
    yield {
        "pattern": task.pattern.key, "nearest": nearest.key, "given": task.given,
        "lines": [[asdict(sign) for sign in line] for line in found.signs],
        "rhymes": [asdict(rhyme) for rhyme in found.rhymes], "rhyme": found.rhyme, "form": found.form,
        "kept": task.keeps(written), "tones_broken": found.tones_broken(task.given),
        "rhymes_broken": found.rhymes_broken(task.given),
        "given_broken": found.tones_broken() - found.tones_broken(task.given),
        "logprob": _mean(characters),
    }  # fmt: skip


def ask_poem_rates(
    store: Store, run: str, step: int | None = None, *, line: str = "", pattern: str = "auto",
    temperature: float = 0.8, seed: int = 1, count: int = 20,
) -> Answer:  # fmt: skip
    """How many of `count` quatrains keep the pattern, written freely and with it, with the same seeds; pieces {"done"},
    then the answer.

    {"pattern", "count", "free" and "kept": {"kept", "form" (poems), "tones" and "rhymes" (mean number broken),
    "logprob" (mean over poems of their characters' mean, nats)}, "difference" (of these) and "difference_error"
    (standard, of poems of the same seed), "chance" (that a free one keeps it) and its "chance_error" (standard),
    "places" (mean of -ln of the probability that the model itself gave to all that is allowed, for every character
    that is written), "marks" (平, 仄, 中 or 韵 of these), "lines" and "columns" (from 0)}.
    """
    task = _task(store, run, step, line, pattern)
    count = min(count, MOST)
    free: list[Row] = []
    kept: list[Row] = []
    processors: list[PatternProcessor] = []
    for first in range(0, count, AT_ONCE):
        configs = [task.config(temperature, seed + number) for number in range(first, min(first + AT_ONCE, count))]
        mine = [PatternProcessor(task.places, task.start, temperature) for _config in configs]
        extra = [*([] for _config in configs), *([one.stage()] for one in mine)]
        rows: list[Row] = []
        for rows in write_rows(task.model, task.tokenizer, configs * 2, extra):
            longest = max(len(row.tokens) for row in rows)
            yield {"done": (first + len(configs) * longest / len(task.places)) / count}
        free += rows[: len(configs)]
        kept += rows[len(configs) :]
        processors += mine
    pairs = [_logprob(task, one) - _logprob(task, other) for one, other in zip(free, kept, strict=True)]
    yield {
        "pattern": task.pattern.key, "count": count, "free": _facts(task, free), "kept": _facts(task, kept),
        "difference": _mean(pairs), "difference_error": _error(pairs), **_price(task, processors),
    }  # fmt: skip


def _logprob(task: _Task, row: Row) -> float:
    """Mean of the Chinese characters of a text, nats."""
    return _mean([
        logprob
        for token, logprob in zip(row.tokens, row.logprobs, strict=True)
        if is_chinese(task.tokenizer.token_text(token))
    ])  # fmt: skip


def _facts(task: _Task, rows: list[Row]) -> dict[str, Any]:
    texts = [task.tokenizer.decode(row.tokens) for row in rows]
    checks = [check(task.lines(text), task.pattern) for text in texts]
    return {
        "kept": sum(map(task.keeps, texts)),
        "form": sum(found.form for found in checks),
        "tones": _mean([found.tones_broken(task.given) for found in checks]),
        "rhymes": _mean([found.rhymes_broken(task.given) for found in checks]),
        "logprob": _mean([_logprob(task, row) for row in rows]),
    }


def _price(task: _Task, processors: list[PatternProcessor]) -> dict[str, Any]:
    """What the pattern takes from the model's probability."""
    weights = [math.exp(math.fsum(one.log_shares)) for one in processors]
    places = [place for place, what in enumerate(task.places.places) if isinstance(what, str)]
    size = task.pattern.size
    return {
        "chance": _mean(weights),
        "chance_error": _error(weights),
        "places": [_mean([-one.log_shares[place] for one in processors]) for place in places],
        "marks": ["韵" if place in task.places.rhyming else task.places.places[place] for place in places],
        "lines": [number // size + task.given for number in range(len(places))],
        "columns": [number % size for number in range(len(places))],
    }


def _error(values: list[float]) -> float:
    """Standard error of the mean."""
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1) / len(values))


def _mean(values: list[float] | list[int]) -> float:
    return math.fsum(values) / max(1, len(values))


def ask_idiom_tones(
    store: Store, run: str, step: int | None = None, *, temperature: float = 0.8, seed: int = 1, count: int = 60
) -> Answer:
    """Idioms written, and the shapes of their tones beside those of the corpus; pieces {"done"}, then the answer.

    {"idioms": [{"characters", "pinyin", "tones" (平 or 仄), "known" (it is in the corpus)}], "other" (lines that are
    none, or have a character without a tone), "shapes": {shape: [idioms written, idioms of the corpus]}, "corpus"
    (idioms of it that were counted)}.
    """
    model, tokenizer, _step = model_of(store, run, step)
    every = [line for line in load_builtin("idioms").text.split("\n") if len(line) == IDIOM]
    corpus = yield from _corpus_shapes(every)
    yield {"done": 0.3}
    config = DecodingConfig(prompt="\n", temperature=temperature, seed=seed, max_new_tokens=(IDIOM + 1) * count)
    text = ""
    for number, token in enumerate(generate(model, tokenizer, config)):
        text += token.piece
        if number % 20 == 19:
            yield {"done": 0.3 + 0.7 * number / config.max_new_tokens}
    lines = text.split("\n")[:-1]  # the last may be unfinished
    known, idioms, shapes = set(every), [], Counter[str]()
    for line in lines:
        shape = _shape(line)
        if shape:
            shapes[shape] += 1
            said = [name for name, _tone in spoken(line)]
            idioms.append({"characters": line, "pinyin": said, "tones": shape, "known": line in known})
    names = [f"{one}{two}{three}{four}" for one in "平仄" for two in "平仄" for three in "平仄" for four in "平仄"]
    yield {
        "idioms": idioms, "other": len(lines) - len(idioms), "corpus": corpus.total(),
        "shapes": {name: [shapes[name], corpus[name]] for name in names},
    }  # fmt: skip


def _corpus_shapes(every: list[str]) -> Generator[dict[str, Any], None, Counter[str]]:
    """Shapes of idioms spread evenly over the corpus."""
    chosen = every[:: max(1, len(every) // CORPUS_IDIOMS)]
    shapes = Counter[str]()
    for number, line in enumerate(chosen):
        if shape := _shape(line):
            shapes[shape] += 1
        if number % 500 == 0:
            yield {"done": 0.3 * number / len(chosen)}
    return shapes


def _shape(line: str) -> str:
    """平 and 仄 of four Chinese characters as they are usually read; "" of other lines."""
    if len(line) != IDIOM or not all(map(is_chinese, line)):
        return ""
    tones = [tone for _name, tone in spoken(line)]
    return "" if None in tones else "".join("平" if tone == "level" else "仄" for tone in tones)


VERSE_QUESTIONS = {
    "verse": ask_verse,
    "poem": ask_poem,
    "poem_rates": ask_poem_rates,
    "idiom_tones": ask_idiom_tones,
}
