"""Tones, patterns and the constraint: known poems by hand, brute force over the masks, pypinyin's own readings."""

import math
from collections.abc import Iterator

import pytest
import torch

from lmviz.config import TokenizerConfig
from lmviz.decoding.batch import write_rows
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.decoding.verse import LINES, PATTERNS, best_for_line, best_for_poem, check, fits
from lmviz.decoding.verse_stage import Layout, PatternProcessor, Places, layout_of, sounds_of
from lmviz.errors import ConfigError
from lmviz.inspect.tones import RHYMES, level_rhymes, read_aloud, readings, spoken, tones
from lmviz.models.gpt import GPT
from lmviz.tokenizers import Tokenizer, train_tokenizer

STORK_TOWER = ["白日依山盡", "黃河入海流", "欲窮千里目", "更上一層樓"]
ORIOLES = ["兩個黃鸝鳴翠柳", "一行白鷺上青天", "窗含西嶺千秋雪", "門泊東吳萬里船"]
MORNING = ["朝辭白帝彩雲間", "千里江陵一日還", "兩岸猿聲啼不住", "輕舟已過萬重山"]
QUIET_NIGHT = ["床前明月光", "疑是地上霜", "舉頭望明月", "低頭思故鄉"]
CHARACTERS = "".join(dict.fromkeys("".join(STORK_TOWER + ORIOLES + MORNING + QUIET_NIGHT)))


# ---- tones and rhymes ----


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("山", {"level"}), ("河", {"level"}), ("海", {"oblique"}), ("盡", {"oblique"}), ("目", {"oblique"}),
        ("白", {"level"}), ("一", {"level"}), ("日", {"oblique"}),  # all three oblique to the Tang: entering tone
        ("長", {"level", "oblique"}), ("长", {"level", "oblique"}), ("重", {"level", "oblique"}),
        ("更", {"level", "oblique"}), ("春", {"level"}), ("不", {"oblique"}), ("風", {"level"}), ("风", {"level"}),
        ("a", set()), ("，", set()), ("\n", set()), ("㐀", {"level"}),
    ],
)  # fmt: skip
def test_tones_of_characters(character: str, expected: set[str]) -> None:
    assert tones(character) == expected


def test_readings_in_use_are_among_pypinyins_and_the_usual_one_is_first() -> None:
    from pypinyin import Style, pinyin

    for character in CHARACTERS:
        (every,) = pinyin(character, style=Style.TONE, heteronym=True)
        found = [reading.pinyin for reading in readings(character)]
        assert found and set(found) <= set(every) and found[0] == every[0]


def test_rhymes_are_the_fourteen_and_every_final_has_one() -> None:
    assert len(RHYMES) == 14
    every = [final for finals in RHYMES.values() for final in finals]
    assert len(every) == len(set(every)) == 37
    same = ["流樓秋", "天船寒", "霜光鄉", "間還山", "東風平", "心雲春", "時詩", "溪兒餘", "夫姑", "花家", "歌多"]
    for group in same:
        assert frozenset.intersection(*map(level_rhymes, group)), group
    assert not level_rhymes("時") & level_rhymes("溪")  # both written i
    assert not level_rhymes("姑") & level_rhymes("餘")  # u and ü
    assert level_rhymes("海") == set()


def test_a_reading_is_chosen_that_fits() -> None:
    assert read_aloud("長", ["level"]) == ["cháng"] and read_aloud("長", ["oblique"]) == ["zhǎng"]
    assert read_aloud("山", ["oblique"]) == ["shān"]  # none fits
    assert [name for name, _tone in spoken("三長兩短")] == ["sān", "cháng", "liǎng", "duǎn"]
    assert [tone for _name, tone in spoken("三長兩短")] == ["level", "level", "oblique", "oblique"]


# ---- patterns ----


def test_patterns_are_those_of_regulated_verse() -> None:
    assert PATTERNS["5-oblique"].lines == ("中仄平平仄", "平平仄仄平", "中平平仄仄", "中仄仄平平")
    assert PATTERNS["7-level-rhymed"].lines == (
        "中平中仄仄平平", "中仄平平仄仄平", "中仄中平平仄仄", "中平中仄仄平平",
    )  # fmt: skip
    assert len({pattern.lines for pattern in PATTERNS.values()}) == 8
    opposite = {"平": "仄", "仄": "平"}
    for pattern in PATTERNS.values():
        lines = pattern.lines
        assert {len(line) for line in lines} == {pattern.size} and len(lines) == LINES
        assert pattern.rhymes == ((0, 1, 3) if pattern.key.endswith("-rhymed") else (1, 3))
        assert lines[2][-1] == "仄"
        for even in range(1, pattern.size - 1, 2):  # 2, 4 and 6 are fixed and alternate
            column = [line[even] for line in lines]
            assert column[0] == opposite[column[1]] and column[1] == column[2] and column[2] == opposite[column[3]]
            if even > 1:
                assert all(line[even] == opposite[line[even - 2]] for line in lines)
        second = "平" if "-level" in pattern.key else "仄"
        assert lines[0][1] == second and ("平起" in pattern.chinese) == (second == "平")
        if pattern.size == 7:  # a line of seven is a line of five behind two characters, but for the free places
            other = [one.lines for one in PATTERNS.values() if one.size == 5]
            assert tuple(line[3:] for line in lines) in [tuple(line[1:] for line in five) for five in other]


@pytest.mark.parametrize(
    ("lines", "key", "broken", "rhyme"),
    [
        (STORK_TOWER, "5-oblique", [(3, "一")], "尤"),  # 一 had the entering tone
        (ORIOLES, "7-oblique", [(3, "泊")], "寒"),  # so had 泊, which pypinyin reads as in 湖泊
        (MORNING, "7-level-rhymed", [(1, "一")], "寒"),
    ],
)
def test_known_quatrains(lines: list[str], key: str, broken: list[tuple[int, str]], rhyme: str) -> None:
    best = best_for_poem(lines)
    assert best is not None and best.key == key
    found = check(lines, best)
    wrong = [(n, sign.character) for n, line in enumerate(found.signs) for sign in line if not sign.kept]
    assert wrong == broken
    assert found.form and found.rhyme == rhyme and all(one.kept for one in found.rhymes)
    assert found.kept() == (not broken) and found.tones_broken() == len(broken)
    assert found.tones_broken(given=LINES) == 0
    first = best_for_line(lines[0])
    assert first is not None and first.key == key


def test_an_old_style_poem_breaks_every_pattern() -> None:
    found = [check(QUIET_NIGHT, pattern) for pattern in PATTERNS.values() if pattern.size == 5]
    assert min(one.tones_broken() for one in found) >= 4 and not any(one.kept() for one in found)


def test_rhymes_follow_the_first_rhyming_line_and_do_not_repeat() -> None:
    pattern = PATTERNS["5-oblique"]
    other = check([*STORK_TOWER[:3], "更上一層山"], pattern)
    assert [rhyme.kept for rhyme in other.rhymes] == [True, False] and other.rhymes_broken() == 1
    again = check([*STORK_TOWER[:3], "更上一層流"], pattern)
    assert [rhyme.kept for rhyme in again.rhymes] == [True, False]
    oblique = check([STORK_TOWER[0], "黃河入海柳", *STORK_TOWER[2:]], pattern)
    assert [rhyme.kept for rhyme in oblique.rhymes] == [False, True]
    assert [sign.kept for sign in oblique.signs[1]][-1] is False


@pytest.mark.parametrize(
    "lines", [[], ["白"], STORK_TOWER[:3], [*STORK_TOWER, "山"], ["白日依山盡山", *STORK_TOWER[1:]]]
)
def test_other_forms_are_not_kept(lines: list[str]) -> None:
    found = check(lines, PATTERNS["5-oblique"])
    assert not found.form and not found.kept()
    assert [len(line) for line in found.signs] == [len(line) for line in lines]
    assert all(sign.wanted is None and not sign.kept for line in found.signs for sign in line[5:])


def test_the_nearest_pattern_of_a_line() -> None:
    near = best_for_line("春江潮水連海平")  # two places broken in two patterns: the end decides
    assert near is not None and near.key == "7-level-rhymed"
    assert best_for_line("白日") is None and best_for_poem(["白日"]) is None
    for pattern in PATTERNS.values():  # a line that fits a pattern finds one whose first line it fits
        line = "".join({"平": "山", "仄": "海", "中": "山"}[mark] for mark in pattern.lines[0])
        found = best_for_line(line)
        assert found is not None and all(map(fits, line, found.lines[0]))


# ---- the constraint ----


def tokenizer_of(text: str) -> Tokenizer:
    return train_tokenizer(TokenizerConfig(kind="char"), [text], [])


def model_of(tokenizer: Tokenizer, seed: int = 0, scale: float = 3.0) -> GPT:
    torch.manual_seed(seed)
    model = GPT(vocab_size=tokenizer.vocab_size, context_length=64, d_model=16, num_layers=1, num_heads=2)
    with torch.no_grad():
        model.embedding.weight.mul_(scale)  # sharp distributions, as of a trained model
    return model.eval()


@pytest.fixture(params=["lines", "marks"])
def written(request: pytest.FixtureRequest) -> Iterator[Tokenizer]:
    yield tokenizer_of(CHARACTERS + "\n" + ("，。" if request.param == "marks" else ""))


def test_masks_agree_with_the_characters(written: Tokenizer) -> None:
    sounds = sounds_of(written)
    for token in range(written.vocab_size):
        name = written.token_text(token)
        known = tones(name) if len(name) == 1 else frozenset()
        assert bool(sounds.classes["平"][token]) == ("level" in known)
        assert bool(sounds.classes["仄"][token]) == ("oblique" in known)
        assert bool(sounds.classes["中"][token]) == bool(known)
        for place, rhyme in enumerate(RHYMES):
            assert bool(sounds.rhymes[place, token]) == (bool(known) and rhyme in level_rhymes(name))
    assert sounds.characters == len(CHARACTERS)


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=list(PATTERNS))
def test_a_hundred_of_a_hundred_quatrains_keep_every_pattern(written: Tokenizer, pattern) -> None:  # type: ignore[no-untyped-def]
    layout = layout_of(written)
    assert layout is not None
    model = model_of(written)
    places = Places(written, pattern, layout)
    configs = [DecodingConfig(prompt="\n\n", seed=seed, max_new_tokens=len(places)) for seed in range(100)]
    start = len(written.encode("\n\n")) + 1
    *_, rows = write_rows(model, written, configs, [[PatternProcessor(places, start).stage()] for _config in configs])
    for row in rows:
        lines = layout.lines(written.decode(row.tokens))
        assert lines is not None and check(lines, pattern).kept(), lines
        assert len({lines[line][-1] for line in pattern.rhymes}) == len(pattern.rhymes)
    *_, free = write_rows(model, written, configs[:20])
    texts = [layout.lines(written.decode(row.tokens)) for row in free]
    assert not any(lines is not None and check(lines, pattern).kept() for lines in texts)


def test_a_given_line_sets_the_rhyme(written: Tokenizer) -> None:
    layout, pattern = layout_of(written), PATTERNS["7-level-rhymed"]
    assert layout is not None
    model = model_of(written)
    places = Places(written, pattern, layout, MORNING[0])
    prompt = layout.prompt(MORNING[0])
    assert prompt == f"\n\n{MORNING[0]}{layout.ends[0]}"
    for seed in range(20):
        config = DecodingConfig(prompt=prompt, seed=seed, temperature=1.5, max_new_tokens=len(places) + 5)
        stage = PatternProcessor(places, len(written.encode(prompt)) + 1).stage()
        tokens = list(generate(model, written, config, [stage]))
        text = "".join(token.piece for token in tokens[: len(places)])
        lines = layout.lines(MORNING[0] + layout.ends[0] + text)
        assert lines is not None and check(lines, pattern).kept() and check(lines, pattern).rhyme == "寒"
        assert "間" not in (lines[1][-1], lines[3][-1])
        assert len(tokens) > len(places)  # whatever it likes comes after the last line


def test_what_is_allowed_is_what_the_check_keeps() -> None:
    """Brute force: at a rhyme, every character of the vocabulary is tried."""
    written = tokenizer_of(CHARACTERS + "\n")
    layout, pattern = layout_of(written), PATTERNS["5-oblique"]
    assert layout is not None
    places = Places(written, pattern, layout)
    text = "\n".join(STORK_TOWER[:3]) + "\n" + "海上海山"
    mask = places.allowed(written.encode(text))
    for character in CHARACTERS:
        lines = [*STORK_TOWER[:3], f"海上海山{character}"]
        last = check(lines, pattern)
        fine = last.rhymes[-1].kept and last.signs[3][-1].kept
        assert bool(mask[written.encode(character)[0]]) == fine, character
    assert int(mask.sum()) == sum(bool(mask[token]) for token in written.encode(CHARACTERS))  # no marks, no <end>


def test_the_mean_weight_is_the_chance_of_a_free_poem() -> None:
    """Importance sampling against the exact sum over every poem, for a made-up form of two characters a line."""
    from lmviz.decoding.verse import Pattern

    written = tokenizer_of("山間海\n")
    pattern = Pattern("1", "", "", ("仄", "平", "仄", "平"))
    layout = Layout("", ("\n", "\n", "\n", "\n"))
    model = model_of(written, seed=3, scale=2.0)
    places = Places(written, pattern, layout)
    assert len(places) == 8 and places.rhyming == (2, 6)
    temperature = 0.7
    config = [
        DecodingConfig(prompt="", seed=seed, temperature=temperature, max_new_tokens=8) for seed in range(400)
    ]  # fmt: skip
    processors = [PatternProcessor(places, 1, temperature) for _one in config]
    *_, rows = write_rows(model, written, config, [[one.stage()] for one in processors])
    assert all(len(row.tokens) == 8 for row in rows)
    mean = sum(math.exp(sum(one.log_shares)) for one in processors) / len(processors)
    exact = 0.0
    for rhymes in (("山", "間"), ("間", "山")):
        tokens = written.encode(f"海\n{rhymes[0]}\n海\n{rhymes[1]}\n")
        with torch.no_grad():
            logits = model(torch.tensor([[1, *tokens]]))[0, :-1]  # (8, V)
        logits[:, :2] = -torch.inf  # <unk> and <begin> never come
        logprobs = (logits / temperature).log_softmax(1)
        exact += math.exp(float(logprobs[range(8), tokens].sum()))
    assert mean == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(
    ("characters", "first", "words"),
    [
        ("海水里目\n", "", "no character of the tone 平"),
        ("山還東流\n", "", "no character of the tone 仄"),
        ("山東海水\n", "", "too few characters that rhyme. Choose"),
        ("山間東海水里目白日依雲\n", "白日依山東", "too few characters that rhyme with 東"),
    ],
)
def test_what_a_vocabulary_cannot_rhyme_is_said(characters: str, first: str, words: str) -> None:
    written = tokenizer_of(characters)
    layout = layout_of(written)
    assert layout is not None
    pattern = PATTERNS["5-oblique-rhymed"] if first else PATTERNS["5-oblique"]
    with pytest.raises(ConfigError, match=words):
        Places(written, pattern, layout, first)


def test_a_rhyme_with_too_few_characters_is_never_begun() -> None:
    written = tokenizer_of("山間還東海水里目\n")  # 東 alone in its rhyme
    layout = layout_of(written)
    assert layout is not None
    places = Places(written, PATTERNS["5-oblique"], layout)
    mask = places.allowed(written.encode("海海山山海\n山山海海"))
    assert {written.token_text(t) for t in mask.nonzero()[:, 0].tolist()} == {"山", "間", "還"}


def test_layouts() -> None:
    marks, lines = layout_of(tokenizer_of("山，。\n")), layout_of(tokenizer_of("山\n"))
    assert marks is not None and lines is not None
    assert marks.lines("甲，乙。\n丙，丁。\n") == lines.lines("甲\n乙\n丙\n丁\n\n") == ["甲", "乙", "丙", "丁"]
    assert marks.lines("甲，乙。丙，丁。") is None and lines.lines("甲\n乙\n丙") is None
    assert marks.lines("甲\n，乙。\n丙，丁。") is None
    assert lines.prompt("甲") == "\n\n甲\n" and marks.prompt("甲") == "\n\n甲，" and lines.prompt("") == "\n\n"
    assert layout_of(tokenizer_of("山，。")) is None
    assert layout_of(train_tokenizer(TokenizerConfig(kind="word"), ["山\n"], [])) is None
