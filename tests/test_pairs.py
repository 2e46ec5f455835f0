"""Pairs of texts against Babel, num2words, brute force and sacrebleu; what is held out; a person's own tables."""

import datetime
import json
import random
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
import sacrebleu
from babel.dates import format_date
from num2words import num2words

from lmviz.corpora.pairs import PAIRS, Pair, PairSet, add_pairs, list_pairs, pair_set
from lmviz.corpora.pairs_base import Tens
from lmviz.corpora.pairs_dates import FIRST_DAY, LAST_DAY, patterns
from lmviz.corpora.pairs_listed import listed
from lmviz.corpora.pairs_names import english_to_chinese
from lmviz.corpora.pairs_numbers import chinese, english
from lmviz.errors import CorpusError
from lmviz.inspect.pair_metrics import bleu, character_error_rate, edit_distance, exact_match
from lmviz.limits import MAX_PAIR_CHARACTERS, MAX_PAIRS

ROWS = [(f"word {number}", f"词{number}") for number in range(40)]


def drawn(pairs: PairSet, count: int = 400) -> list[Pair]:
    """Some of both parts, drawn as a trainer does."""
    draw = random.Random(0).randrange
    return [pairs.train(draw(pairs.train_size)) for _ in range(count)] + [
        pairs.test(draw(pairs.test_size)) for _ in range(count)
    ]


def of_field(text: str, fields: tuple[int, ...], field: int) -> str:
    return "".join(character for character, known in zip(text, fields, strict=True) if known == field)


def as_csv(rows: list[tuple[str, str]], between: str = ",") -> bytes:
    return "".join(f"{source}{between}{target}\n" for source, target in rows).encode()


def test_the_built_in_ones_are_these_and_in_this_order() -> None:
    assert list(PAIRS) == ["dates-en", "dates-zh", "numbers-en", "numbers-zh", "reverse", "names-en-zh"]


@pytest.mark.parametrize("name", PAIRS)
def test_contract(name: str) -> None:
    pairs = pair_set(name)
    assert pair_set(name) is pairs  # made once
    assert pairs.aligned == bool(pairs.fields)
    for known in (pairs.source_symbols, pairs.target_symbols):
        assert known and list(known) == sorted(set(known))
    for pair in drawn(pairs):
        assert pair.source and pair.target
        assert set(pair.source) <= set(pairs.source_symbols)
        assert set(pair.target) <= set(pairs.target_symbols)
        assert len(pair.source_fields) == (len(pair.source) if pairs.aligned else 0)
        assert len(pair.target_fields) == (len(pair.target) if pairs.aligned else 0)
        assert {*pair.source_fields, *pair.target_fields} <= {-1, *range(len(pairs.fields))}
    for part, size in ((pairs.train, pairs.train_size), (pairs.test, pairs.test_size)):
        assert part(0) == part(0) and part(size - 1)
        for wrong in (-1, size):
            with pytest.raises(IndexError):
                part(wrong)


@pytest.mark.parametrize("name", PAIRS)
def test_every_symbol_occurs(name: str) -> None:
    pairs = pair_set(name)
    some = [pairs.train(index) for index in range(min(pairs.train_size, 20_000))] + drawn(pairs)
    assert set().union(*(pair.source for pair in some)) == set(pairs.source_symbols)
    assert set().union(*(pair.target for pair in some)) == set(pairs.target_symbols)


def test_fingerprints_differ_and_stay() -> None:
    prints = {name: pair_set(name).fingerprint for name in PAIRS}
    assert len(set(prints.values())) == len(PAIRS) and all(len(known) == 64 for known in prints.values())
    rows = list(ROWS)
    assert listed(rows).fingerprint == listed(rows).fingerprint
    rows[7] = (rows[7][0], "other")
    assert listed(rows).fingerprint != listed(ROWS).fingerprint


def test_an_index_is_every_pair_once_and_neighbours_are_far_apart() -> None:
    for size in (1, 2, 10, 97, 360):
        pairs = PairSet(size, size, "", "", "", lambda place: Pair(str(place), ""), lambda place: Pair("", str(place)))
        assert {pairs.train(index).source for index in range(size)} == set(map(str, range(size)))
        assert {pairs.test(index).target for index in range(size)} == set(map(str, range(size)))
    years = Counter(pair_set("dates-en").test(index).target[:3] for index in range(500))
    assert len(years) == 10 and min(years.values()) > 40


def test_tens_are_every_number_once_and_one_of_ten_is_held_out() -> None:
    tens = Tens(1000, 900)
    kept = [tens.train(index) for index in range(tens.train_size)]
    held_out = [tens.test(index) for index in range(tens.test_size)]
    assert sorted(kept + held_out) == list(range(1000, 10_000))
    last_digits = Counter(number % 10 for number in held_out)
    assert len(last_digits) == 10 and min(last_digits.values()) > 60


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dates_are_as_babel_writes_them(language: str) -> None:
    pairs = pair_set(f"dates-{language}")
    forms = patterns(language)
    assert len(forms) == {"en": 11, "zh": 9}[language] == len(set(forms))
    seen: set[tuple[int, int]] = set()
    for part, size in ((pairs.train_pair, pairs.train_size), (pairs.test_pair, pairs.test_size)):
        for number in range(0, size // len(forms), size // len(forms) // 150):
            for form, (locale, pattern) in enumerate(forms):
                pair = part(number * len(forms) + form)
                date = datetime.date.fromisoformat(pair.target)
                assert FIRST_DAY <= date <= LAST_DAY
                assert pair.source == format_date(date, pattern, locale).lower()
                seen.add((date.month, form))
    assert len(seen) == 12 * len(forms)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_source_means_two_dates_and_no_test_date_is_in_training(language: str) -> None:
    pairs = pair_set(f"dates-{language}")
    meaning: dict[str, str] = {}
    days = []
    for part, size in ((pairs.train_pair, pairs.train_size), (pairs.test_pair, pairs.test_size)):
        days.append(set())
        for index in range(size):
            pair = part(index)
            assert meaning.setdefault(pair.source, pair.target) == pair.target, pair.source
            days[-1].add(pair.target)
    train, test = days
    assert not train & test
    every = {FIRST_DAY + datetime.timedelta(number) for number in range((LAST_DAY - FIRST_DAY).days + 1)}
    assert train | test == {day.isoformat() for day in every}
    assert len(test) == pytest.approx(len(every) / 10, abs=1)


@pytest.mark.parametrize("name", ["dates-en", "dates-zh"])
def test_dates_are_aligned(name: str) -> None:
    pairs = pair_set(name)
    assert pairs.fields == ("year", "month", "day")
    months = [datetime.date(2000, month, 1).strftime("%B").lower() for month in range(1, 13)]
    for pair in drawn(pairs, 1000):
        year, month, day = pair.target.split("-")
        assert [of_field(pair.target, pair.target_fields, field) for field in range(3)] == [year, month, day]
        assert of_field(pair.target, pair.target_fields, -1) == "--"
        assert of_field(pair.source, pair.source_fields, 0) in (year, year[2:])
        written = of_field(pair.source, pair.source_fields, 1)
        assert int(month) == (int(written) if written.isdigit() else months.index(written) + 1 if written in months
                              else [known[:3] for known in months].index(written[:3]) + 1)  # fmt: skip
        assert int(of_field(pair.source, pair.source_fields, 2)) == int(day)
        rest = of_field(pair.source, pair.source_fields, -1)
        assert not any(character.isdigit() for character in rest)


def test_one_example_of_an_alignment_by_hand() -> None:
    pairs = pair_set("dates-zh")
    found = next(pair for pair in map(pairs.train, range(10_000)) if "年" in pair.source and "周" in pair.source)
    month = found.source.index("月")
    assert found.source_fields[:5] == (0, 0, 0, 0, -1) and found.source_fields[month] == -1
    assert found.source_fields[-1] == -1
    assert found.target_fields == (0, 0, 0, 0, -1, 1, 1, -1, 2, 2)


def test_english_numbers_are_num2words() -> None:
    draw = random.Random(1).randrange
    for number in [*range(1100), *range(99_900, 100_200), 999_999, *(draw(10**6) for _ in range(2000))]:
        assert english(number) == num2words(number, lang="en")


def test_chinese_numbers_are_japanese_ones_with_their_zeros_and_ones() -> None:
    """num2words has no Chinese; Japanese writes the same numerals without 零, and 百 for 一百."""
    draw = random.Random(1).randrange
    for number in [*range(1, 12_000), *range(99_900, 100_200), 999_999, *(draw(1, 10**6) for _ in range(5000))]:
        short = chinese(number).replace("零", "")
        for unit in "十百千":
            short = short.replace("一" + unit, unit)
        assert short == num2words(number, lang="ja")


def test_zeros_and_tens_of_chinese_numbers() -> None:
    known = {
        0: "零", 2: "二", 10: "十", 15: "十五", 20: "二十", 101: "一百零一", 110: "一百一十", 115: "一百一十五",
        1000: "一千", 1001: "一千零一", 1010: "一千零一十", 1100: "一千一百", 10_001: "一万零一", 10_010: "一万零一十",
        10_100: "一万零一百", 11_000: "一万一千", 100_000: "十万", 100_001: "十万零一", 110_000: "十一万",
        120_015: "十二万零一十五", 200_500: "二十万零五百", 101_010: "十万一千零一十", 909_090: "九十万九千零九十",
        50_607: "五万零六百零七",
    }  # fmt: skip
    assert {number: chinese(number) for number in known} == known


@pytest.mark.parametrize("name", ["numbers-en", "numbers-zh"])
def test_short_numbers_come_as_often_as_long_ones_and_none_is_in_both_parts(name: str) -> None:
    pairs = pair_set(name)
    train = {pairs.train_pair(index).target for index in range(6000)}
    assert {str(number) for number in range(10)} <= train
    for part, lengths in ((pairs.train, range(1, 7)), (pairs.test, range(2, 7))):
        counts = Counter(len(part(index).target) for index in range(3000))
        assert counts == dict.fromkeys(lengths, 3000 // len(lengths))
    known = {pairs.train_pair(index).target for index in range(5, pairs.train_size, 6)}  # all of six digits
    held_out = {pairs.test_pair(index).target for index in range(4, pairs.test_size, 5)}
    assert not known & held_out and len(known) == 810_000 and len(held_out) == 90_000
    short = {pairs.train_pair(index).target for index in range(1, 6 * 900, 6)}
    assert short.isdisjoint(pairs.test_pair(index).target for index in range(0, 5 * 900, 5)) and len(short) == 81


@pytest.mark.parametrize("words", [english, chinese])
def test_no_two_numbers_have_the_same_words(words) -> None:
    assert len({words(number) for number in range(200_000)}) == 200_000


def test_reversed_letters() -> None:
    pairs = pair_set("reverse")
    assert len(pairs.fields) == 12
    for pair in drawn(pairs, 1000):
        assert pair.target == "".join(reversed(pair.source)) and 3 <= len(pair.source) <= 12
        for character, field in zip(pair.target, pair.target_fields, strict=True):
            assert pair.source[pair.source_fields.index(field)] == character
        assert pair.source_fields == tuple(range(len(pair.source)))
        assert pair.target_fields == tuple(range(len(pair.source) - 1, -1, -1))
    counts = Counter(len(pairs.train(index).source) for index in range(1000))
    assert counts == dict.fromkeys(range(3, 13), 100)
    words = [
        {part(10 * index + length).source for index in range(3000)}
        for length in (0, 1)
        for part in (pairs.train_pair, pairs.test_pair)
    ]
    assert [len(known) for known in words] == [900, 100, 3000, 1000]
    assert not words[0] & words[1] and not words[2] & words[3]
    assert words[0] | words[1] == {"".join(letters) for letters in product("abcdefghij", repeat=3)}
    far = {pairs.train(index).source for index in range(5000)}
    assert not far & {pairs.test(index).source for index in range(5000)}


def test_names_are_cldrs() -> None:
    known = english_to_chinese()
    pairs = pair_set("names-en-zh")
    train = [pairs.train(index) for index in range(pairs.train_size)]
    test = [pairs.test(index) for index in range(pairs.test_size)]
    assert {(pair.source, pair.target) for pair in train + test} == set(known.items())
    assert len(train) + len(test) == len(known) > 800 and len(test) == len(known) // 10
    assert {pair.source for pair in train}.isdisjoint(pair.source for pair in test)
    assert known["Germany"] == "德国" and known["German"] == "德语" and known["Euro"] == "欧元"


def test_a_source_with_two_targets_is_not_held_out() -> None:
    rows = [(f"{number}", "a") for number in range(30)] + [(f"{number}", "b") for number in range(20)]
    pairs = listed([*rows, *rows])
    assert (pairs.train_size, pairs.test_size) == (45, 5)
    held_out = {pairs.test(index).source for index in range(5)}
    assert held_out.isdisjoint(pairs.train(index).source for index in range(45))
    assert {(pairs.train(index).source, pairs.train(index).target) for index in range(45)} <= set(rows)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", as_csv(ROWS)),
        ("a.csv", as_csv([("Source", "TARGET"), *ROWS])),
        ("a.csv", as_csv([("英文", "中文"), *ROWS], ";")),
        ("a.tsv", as_csv([("en", "zh"), *ROWS], "\t")),
        ("a.csv", as_csv([(source, f'"{target}",more') for source, target in ROWS])),
        ("a.csv", as_csv([*ROWS, ("", ""), ROWS[3], (" ", "")])),
        ("a.csv", as_csv(ROWS).decode().encode("utf-16")),
        ("a.tsv", as_csv(ROWS, "\t").decode().replace("\n", "\r\n").encode("utf-8-sig")),
    ],
)
def test_tables_that_are_read(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    made = add_pairs((name, data), "My Pairs", tmp_path / "data")
    assert made == "my-pairs"
    for pairs in (pair_set(made, tmp_path / "data"), pair_set(str(tmp_path / name), tmp_path / "data")):
        assert (pairs.train_size, pairs.test_size, pairs.aligned) == (36, 4, False)
        found = [pairs.train(index) for index in range(36)] + [pairs.test(index) for index in range(4)]
        assert {(pair.source, pair.target) for pair in found} == set(ROWS)


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    rows = list(english_to_chinese().items())[:200]
    file = ("a.tsv", as_csv(rows, "\t").decode().encode("gb18030"))
    for name in (add_pairs(file, "", tmp_path), add_pairs(file, "", tmp_path, encoding="gb18030")):
        pairs = pair_set(name, tmp_path)
        assert {pairs.train(index).target for index in range(180)} <= {target for _, target in rows}
    with pytest.raises(CorpusError, match="not in the encoding ascii"):
        add_pairs(file, "", tmp_path, encoding="ascii")


@pytest.mark.parametrize("first", [("same", "same"), ("Chinese", "中文"), ("en", "en"), ("source", "other")])
def test_a_first_pair_that_is_no_header_is_kept(tmp_path: Path, first: tuple[str, str]) -> None:
    pairs = pair_set(add_pairs(("a.csv", as_csv([first, *ROWS])), "a", tmp_path), tmp_path)
    assert pairs.train_size + pairs.test_size == 41


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.txt", as_csv(ROWS), "a.txt is no table. Save the pairs as a .csv or .tsv file"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(100), "looks like PNG"),
        ("a.tsv", bytes(range(256)) * 4, "a.tsv is not a text file"),
        ("a.csv", b"one\n" * 30, "a.csv has one column, but pairs need two"),
        ("a.tsv", as_csv(ROWS), "a.tsv has one column, but pairs need two"),
        ("a.csv", as_csv(ROWS[:19]), "a.csv has 19 different pairs; at least 20 are needed"),
        ("a.csv", as_csv([("en", "zh"), *ROWS[:15], *ROWS[:15]]), "a.csv has 15 different pairs"),
        ("a.csv", as_csv([*ROWS, ("x", " ")]), "Line 41 of a.csv has only one side"),
        ("a.tsv", as_csv([("en", "zh"), *ROWS], "\t") + b"alone\n", "Line 42 of a.tsv has only one side"),
        ("a.csv", as_csv([*ROWS[:30], ("x", "y" * 201)]), "Line 31 of a.csv has a text of 201 characters; 200 are"),
        ("a.csv", as_csv([("x", str(number)) for number in range(30)]), "Every source of a.csv comes more than once"),
        ("a.csv", as_csv(ROWS) + b'"never closed, x\n', "a.csv is broken: line"),
    ],
)  # fmt: skip
def test_tables_that_are_refused(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(CorpusError) as error:
        add_pairs((name, data), "mine", tmp_path / "data")
    assert sentence in str(error.value)
    assert not (tmp_path / "data").exists()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError) as error:
        pair_set(str(tmp_path / name))
    assert sentence in str(error.value)


def test_the_limits_of_a_table_are_within_it(tmp_path: Path) -> None:
    most = [(str(number), "y") for number in range(MAX_PAIRS)]
    most[0] = ("x" * MAX_PAIR_CHARACTERS, "y" * MAX_PAIR_CHARACTERS)
    name = add_pairs(("a.tsv", as_csv(most, "\t")), "", tmp_path)
    assert [row.pairs for row in list_pairs(tmp_path) if row.name == name] == [MAX_PAIRS]
    with pytest.raises(CorpusError, match="more than 200,000 pairs"):
        add_pairs(("a.tsv", as_csv([*most, ("one", "more")], "\t")), "", tmp_path)


def test_added_tables_are_listed_and_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "Wörter.csv"
    path.write_bytes(as_csv(ROWS))
    data = tmp_path / "data"
    added = [add_pairs(path, "", data), add_pairs(path, "reverse", data), add_pairs(path, "Copy", data),
             add_pairs(path, "Worter csv", data), add_pairs(path, "词", data)]  # fmt: skip
    assert added == ["worter-csv", "reverse-2", "copy-2", "worter-csv-2", "text"]
    rows = list_pairs(data)
    assert [row.name for row in rows] == [*PAIRS, *sorted(added)]
    own = rows[len(PAIRS)]
    assert (own.kind, own.pairs, own.title) == ("added", 40, "Copy") and own.created
    assert {row.title for row in rows} >= {"Wörter.csv", "词"}
    about = json.loads((data / "pairs" / "text.jsonl").read_text(encoding="utf-8").split("\n")[0])
    assert (about["original"], about["encoding"], about["schema_version"]) == ("Wörter.csv", "utf-8", 1)
    assert not [known for known in (data / "pairs").iterdir() if known.name.startswith(".")]


def test_damaged_tables_say_so(tmp_path: Path) -> None:
    name = add_pairs(("a.csv", as_csv(ROWS)), "a", tmp_path)
    file = tmp_path / "pairs" / f"{name}.jsonl"
    whole = file.read_text(encoding="utf-8")
    for broken in (whole[:300], whole + "[]\n", whole.replace('["word 3", "词3"]\n', ""), "", "[]\n"):
        file.write_text(broken, encoding="utf-8")
        with pytest.raises(CorpusError, match=r"The pairs a are damaged. Remove the file pairs/a.jsonl"):
            pair_set(name, tmp_path)
    assert len(list_pairs(tmp_path)) == len(PAIRS)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(ROWS))
    add_pairs(path, "mine", tmp_path)
    for name, sentence in [
        ("date-en", "Did you mean dates-en?"), ("mina", "Did you mean mine?"), ("", "Take one of dates-en"),
        ("../pairs/mine", "There are no pairs"), ("a\0b", "There are no pairs"), ("q" * 5000, "There are no pairs"),
    ]:  # fmt: skip
        with pytest.raises(CorpusError) as error:
            pair_set(name, tmp_path)
        assert sentence in str(error.value)
    assert pair_set(str(path), tmp_path).train_size == 36
    with pytest.raises(CorpusError, match="There are no pairs"):
        pair_set(str(path), tmp_path, allow_paths=False)
    with pytest.raises(CorpusError, match="There is no file"):
        add_pairs(tmp_path / "none.csv", "", tmp_path)
    with pytest.raises(CorpusError, match="There is no file"):
        pair_set(str(tmp_path), tmp_path)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(ROWS))
    before = pair_set(str(path))
    assert pair_set(str(path)) is before
    path.write_bytes(as_csv(ROWS[:30]))
    assert pair_set(str(path)).train_size == 27


def by_hand(output: str, target: str) -> int:
    """Levenshtein's distance as its definition has it."""
    if not output or not target:
        return len(output) + len(target)
    return min(
        by_hand(output[1:], target) + 1,
        by_hand(output, target[1:]) + 1,
        by_hand(output[1:], target[1:]) + (output[0] != target[0]),
    )


def test_edit_distance_is_the_definition() -> None:
    draw = random.Random(2)
    texts = ["", *("".join(draw.choices("ab一", k=draw.randint(0, 6))) for _ in range(25))]
    for output, target in product(texts, texts):
        assert edit_distance(output, target) == by_hand(output, target)
    assert edit_distance("kitten", "sitting") == 3


def test_exact_match_and_character_error_rate() -> None:
    outputs, targets = ["1995-05-07", "kitten", ""], ["1995-05-07", "sitting", "abc"]
    assert exact_match(outputs, targets) == 1 / 3
    assert character_error_rate(outputs, targets) == (0 + 3 + 3) / (10 + 7 + 3)
    assert character_error_rate(["aaaa"], ["b"]) == 4
    for measure in (exact_match, character_error_rate, lambda a, b: bleu(a, b, False)):
        with pytest.raises(ValueError, match="cannot be compared"):
            measure([], [])
        with pytest.raises(ValueError, match="cannot be compared"):
            measure(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="empty"):
        character_error_rate(["a"], [""])


def test_bleu_is_sacrebleus() -> None:
    outputs = ["the cat sat on the mat.", "it is a small, old house"]
    targets = ["the cat sat on a mat.", "it is a small, old house"]
    assert bleu(outputs, targets, False) == sacrebleu.corpus_bleu(outputs, [targets]).score
    assert 0 < bleu(outputs, targets, False) < bleu(targets, targets, False) == pytest.approx(100)
    outputs, targets = ["今天天气很好我们去公园"], ["今天天气真好我们去公园"]
    assert bleu(outputs, targets, True) == sacrebleu.corpus_bleu(outputs, [targets], tokenize="char").score
    assert bleu(outputs, targets, True) > 50 > bleu(outputs, targets, False)  # 13a does not cut Chinese
