"""States over held-out text, what they mean, where they are extreme and alike: against plain loops and scikit-learn."""

import itertools
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cells import CONFIGS, close, make_model
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from lmviz.errors import ConfigError
from lmviz.inspect import meaning, saturation
from lmviz.inspect.contexts import APART, around, extremes
from lmviz.inspect.features import FEATURES, labels
from lmviz.inspect.held_out import RUN_UP, passages, read, read_whole
from lmviz.inspect.similar import Unit, matches, only_place, scale_of, units_on
from lmviz.jobs import held_out_questions as questions
from lmviz.models.recurrent import RecurrentModel
from lmviz.packing import unpack
from lmviz.tokenizers import BEGIN, END, char_tokenizer
from lmviz.training.data import Data

CODE = 'def f(a, b):  # add\n    return [a, "b", (1)]\n\n'


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def stream(length: int, vocab: int = 7) -> Any:
    return torch.randint(3, vocab, (length,)).numpy().astype("uint16")


@pytest.mark.parametrize("length", [120, 700, 5000, 400_000])
def test_rows_cover_the_text_without_counting_a_token_twice(length: int) -> None:
    text = stream(length)
    rows = passages(text, hidden_size=128, most=4096)
    assert rows.run_up == min(RUN_UP, length // 4)
    places = rows.places.ravel()
    assert len(np.unique(places)) == len(places) == rows.count <= 4096
    assert np.array_equal(np.sort(places), places) and places[0] == rows.run_up
    for row in range(len(rows.tokens)):
        first = rows.places[row, 0] - rows.run_up
        assert np.array_equal(rows.tokens[row], text[first : first + rows.tokens.shape[1]])
    if length == 5000:
        assert rows.count >= 4096 - 512  # as many as were asked for
    if length > 10_000:
        assert places[-1] > 250_000  # spread over the text


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("layer", [0, 1])
def test_states_are_those_of_a_trace_of_each_row(kind: str, layer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(kind, 2)  # in float64: some cells are chaotic
    monkeypatch.setattr("lmviz.inspect.held_out.AT_ONCE", 3 * 576 * 6)  # three rows at a time
    rows = passages(stream(4000), hidden_size=6)
    names = model.layers[0].signals
    found = list(read(model, rows, layer, names))
    assert len(found) > 1
    for name in names:
        whole = np.concatenate([part[name] for part in found])
        for row, tokens in enumerate(rows.tokens):
            close(whole[row], model.trace(torch.from_numpy(tokens))[name][layer, rows.run_up :].numpy())
    *shares, values = read_whole(model, rows, layer, "hidden")
    assert shares == sorted(shares) and shares[-1] == 1
    assert np.array_equal(values, np.concatenate([part["hidden"] for part in found]))


def test_aucs_are_scikit_learns_with_ties_too() -> None:
    random = np.random.default_rng(0)
    values = np.round(random.standard_normal((300, 5)), 1).astype("f4")
    flags = random.random((300, 3)) < [0.1, 0.5, 0.9]
    found = meaning.aucs(meaning.half(values).ranks, flags)
    for unit, feature in itertools.product(range(5), range(3)):
        assert found[unit, feature] == pytest.approx(roc_auc_score(flags[:, feature], values[:, unit]), abs=1e-12)
    one = meaning.aucs(meaning.half(values).ranks, flags[:, 0])
    assert np.allclose(one, found[:, 0])


def test_rank_correlations_are_scipys() -> None:
    random = np.random.default_rng(0)
    values, grades = random.standard_normal((200, 4)).astype("f4"), random.integers(0, 5, 200)
    found = meaning.rank_correlation(meaning.half(values), grades)
    assert found == pytest.approx([spearmanr(values[:, unit], grades)[0] for unit in range(4)])
    assert meaning.rank_correlation(meaning.half(values), np.zeros(200, int)).tolist() == [0] * 4


def runs_of_flags(length: int, random: np.random.Generator) -> Any:
    """A feature that stays for a while, as those of texts do."""
    return np.repeat(random.random(length // 20) < 0.4, 20)


def test_a_unit_that_knows_a_feature_is_found_and_one_of_noise_is_not() -> None:
    random = np.random.default_rng(3)
    flag = runs_of_flags(4000, random)
    states = random.standard_normal((4000, 6)).astype("f4")
    untrained = random.standard_normal((4000, 6)).astype("f4")
    states[:, 4] -= 3 * flag
    nothing = runs_of_flags(4000, random)
    rare = np.zeros(4000, bool)
    rare[:10] = True
    flags = {"string": flag, "quotes": nothing, "digit": rare}
    now, before = ((meaning.half(one[:2000]), meaning.half(one[2000:])) for one in (states, untrained))
    known, chance, few = (row for row in meaning.feature_rows(now, before, flags, {}) if row)
    assert known["unit"] == 4 and known["direction"] == -1
    assert known["auc"] == pytest.approx(1 - roc_auc_score(flag[2000:], states[2000:, 4]))
    assert known["auc"] > 0.95 > known["band"][1] and known["floor_auc"] < 0.6
    assert chance["auc"] < chance["band"][1] + 0.05 < 0.65
    assert few["too_few"] and few["tokens"] == 10 and "auc" not in few
    assert known["aucs"].shape == (6,)


def test_the_probe_is_scikit_learns_logistic_regression_judged_on_the_other_half() -> None:
    random = np.random.default_rng(1)
    values = random.standard_normal((3000, 8)).astype("f4") * np.arange(1, 9)
    flags = values @ np.linspace(-1, 1, 8) + random.standard_normal(3000) > 0.5
    first, second = slice(0, 1500), slice(1500, 3000)
    mean, deviation = values[first].mean(0), values[first].std(0)
    model = LogisticRegression().fit((values[first] - mean) / deviation, flags[first])
    expected = roc_auc_score(flags[second], model.decision_function((values[second] - mean) / deviation))
    found = meaning.probe(values[first], values[second], (flags[first], flags[second]))
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_probe_learns_a_feature_that_the_subset_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "PROBE_TOKENS", 10)
    random = np.random.default_rng(1)
    flags = np.zeros(1000, bool)
    flags[55:500:100] = flags[505:1000:100] = True
    values = (random.standard_normal((1000, 2)) + 5 * flags[:, None]).astype("f4")
    assert meaning.probe(values[:500], values[500:], (flags[:500], flags[500:])) > 0.99


def test_units_that_never_change_do_not_disturb_a_probe() -> None:
    random = np.random.default_rng(1)
    values = random.standard_normal((1000, 3)).astype("f4")
    values[:, 1] = 1
    flags = values[:, 0] > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert meaning.probe(values[:500], values[500:], (flags[:500], flags[500:])) > 0.99


@pytest.mark.parametrize(("kind", "keeps"), [("lstm", "gate.forget"), ("gru", "gate.update"), ("carry", "gate.input"),
                                             ("nvsi", None), ("rnn", None)])  # fmt: skip
def test_saturation_counts_shut_and_open_gates(kind: str, keeps: str | None) -> None:
    model = make_model(kind, 1).float()
    model.layers[0].weight_hh.data.mul_(6)
    gates = [name for name in model.layers[0].signals if name.startswith("gate.")]
    rows = passages(stream(3000), 6)
    found = saturation.saturation(read(model, rows, 0, gates)) if gates else {}
    whole = {name: np.concatenate([part[name] for part in read(model, rows, 0, gates)]) for name in gates}
    for name, one in found.items():
        flat = whole[name].reshape(-1, 6)
        assert np.allclose(one.low, (flat < 0.1).mean(0)) and np.allclose(one.high, (flat > 0.9).mean(0))
        assert np.allclose(one.mean, flat.mean(0, dtype=float), atol=1e-9)
    kept = saturation.keep(model.layers[0], found)
    if keeps is None:
        assert kept is None
        return
    share = whole[keeps].reshape(-1, 6).mean(0, dtype=float)
    share = 1 - share if kind == "carry" else share
    assert kept is not None and np.allclose(saturation.memory(kept), 1 / (1 - share), rtol=1e-4)


def test_extremes_are_apart_and_in_order() -> None:
    values = np.random.default_rng(0).standard_normal((4, 200)).astype("f4")
    found = extremes(values, 5)
    for side, sign in (("highest", 1), ("lowest", -1)):
        places = found[side]
        shown = [sign * values[place] for place in places]
        assert shown == sorted(shown, reverse=True) and shown[0] == (sign * values).max()
        for (row, column), (other_row, other) in itertools.combinations(places, 2):
            assert row != other_row or abs(column - other) >= APART
    assert len(extremes(values[:1, :30], 5)["highest"]) <= 2  # no more fit


def test_what_stands_around_a_place() -> None:
    text = stream(1000)
    rows = passages(text, 6)
    names = [str(token) for token in range(7)]
    found = around(rows, names, 0, 2, 5)
    place = rows.places[0, 2]
    assert found["place"] == place
    assert found["tokens"] == [str(token) for token in text[place : place + 3]]
    assert found["before"][-1] == str(text[place - 1]) and found["after"][0] == str(text[place + 3])
    assert around(rows, names, 0, rows.places.shape[1] - 1, rows.places.shape[1])["after"] == []


def test_units_that_stay_on() -> None:
    values = np.zeros((10, 4), "f4")
    values[3:6, 0], values[2:7, 1], values[3:5, 2], values[3:6, 3] = 2, 2, 2, -2
    assert units_on(values, 3, 6, 1.0) == [Unit(0, 1), Unit(1, 1), Unit(3, -1)]
    assert units_on(values, 3, 6, 1.0, only_here=True) == [Unit(0, 1), Unit(3, -1)]
    assert units_on(values, 3, 6, 2.5) == []
    assert units_on(values, 0, 10, 1.0) == []
    values[0:2, 0] = 2
    assert Unit(0, 1) in units_on(values, 0, 2, 1.0, only_here=True)  # nothing stands before the beginning


def brute_matches(
    values: Any, units: list[Unit], length: int, threshold: float
) -> dict[int, set[tuple[int, int, int]]]:
    """k -> all longest runs (row, start, end) at each token of which k or more units are on, long enough."""
    on = np.array([[[sign * values[r, t, u] >= threshold for u, sign in units] for t in range(values.shape[1])]
                   for r in range(len(values))])  # fmt: skip
    found: dict[int, set[tuple[int, int, int]]] = {}
    for k in range(len(units), (len(units) + 1) // 2 - 1, -1):
        found[k] = set()
        for row in range(len(values)):
            for _, group in itertools.groupby(enumerate(on[row].sum(1) >= k), key=lambda pair: pair[1]):
                run = list(group)
                start, end = run[0][0], run[-1][0] + 1
                if run[0][1] and 2 * len(run) >= length and sum(on[row, start:end].all(0)) >= k:
                    found[k].add((row, start, end))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_matches_are_the_runs_of_a_plain_search(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.repeat(random.standard_normal((3, 40, 5)), 3, axis=1).astype("f4")
    units = [Unit(0, 1), Unit(2, -1), Unit(4, 1)]
    brute = brute_matches(values, units, 6, 0.1)
    found = matches(values, units, 6, 0.1, count=50)
    assert found
    for match in found:
        assert (match.row, match.start, match.end) in brute[match.units_on]
    assert [match.units_on for match in found] == sorted((match.units_on for match in found), reverse=True)
    all_on = [match for match in found if match.units_on == 3]
    assert {(match.row, match.start, match.end) for match in all_on} == brute[3]
    away = [abs(match.end - match.start - 6) for match in all_on]
    assert away == sorted(away)
    for one, other in itertools.combinations(found, 2):
        assert one.row != other.row or one.end <= other.start or other.end <= one.start
    assert matches(values, units, 6, 0.1, count=2) == found[:2]
    assert matches(values, [], 6, 0.1) == []
    taken = np.zeros(values.shape[:2], np.bool_)
    taken[found[0].row, found[0].end - 1] = True
    others = matches(values, units, 6, 0.1, count=50, apart_from=taken)
    assert found[0] not in others and {match for match in found if match.units_on == 3} - {found[0]} <= set(others)
    assert taken.sum() == 1, "what is given stays as it is"


@pytest.mark.parametrize(
    ("part", "place"), [([3, 1, 4], 0), ([1, 5], 3), ([1], None), ([2, 9], 5), ([9, 9], None), ([7], None), ([], None)]
)
def test_a_text_is_found_where_it_stands_once(part: list[int], place: int | None) -> None:
    assert only_place(np.array([3, 1, 4, 1, 5, 2, 9]), np.array(part)) == place


def test_standard_values_have_mean_0_and_deviation_1() -> None:
    values = np.random.default_rng(0).standard_normal((500, 3)).astype("f4") * [1, 5, 0] + [0, 3, 2]
    standard = scale_of(values).standard(values)
    assert np.allclose(standard.mean(0), 0, atol=1e-5) and np.allclose(standard.std(0), [1, 1, 0], atol=1e-5)


# ---- the questions ----


def code_data() -> Data:
    tokenizer = char_tokenizer(set(CODE))
    tokens = np.array([1, *tokenizer.encode(CODE * 120), 2], np.uint16)
    return Data(tokenizer, tokens, tokens, len(CODE), len(CODE), "code", "", 0, 0)


def model_for(data: Data, kind: str, layers: int = 1) -> RecurrentModel:
    return make_model(kind, layers, vocab=data.tokenizer.vocab_size).float()


def last(pieces: Any) -> dict[str, Any]:
    *before, answer = pieces
    shares = [piece["done"] for piece in before if "done" in piece]
    assert shares == sorted(shares) and all(0 <= share <= 1 for share in shares)
    return dict(answer)


def test_meaning_has_a_row_for_every_feature() -> None:
    data = code_data()
    model, untrained = model_for(data, "lstm", 2), model_for(data, "lstm", 2)
    answer = last(questions.meaning_of(model, untrained, data, 1, "cell"))
    assert [row["feature"] for row in answer["features"]] == list(FEATURES)
    known = [row for row in answer["features"] if not row["too_few"]]
    assert answer["names"] == [row["feature"] for row in known]
    aucs = unpack(answer["aucs"])
    assert aucs.shape == (len(known), 6)
    for row, of_units in zip(known, aucs, strict=True):
        assert row["auc"] == pytest.approx(0.5 + row["direction"] * (of_units[row["unit"]] - 0.5), abs=1e-6)
    assert "chinese_punctuation" not in answer["names"] and "string" in answer["names"]


def test_a_held_out_part_that_begins_inside_a_string_knows_it() -> None:
    tokenizer = char_tokenizer(set('x = """abc"""\n'))
    text = 'x = """' + "abc\n" * 40 + '"""\nx = abc\n' * 30
    whole = tokenizer.encode(text)
    data = Data(tokenizer, *(np.array([BEGIN, *part, END], np.uint16) for part in (whole[:60], whole[60:])),
                0, 0, "cut", "", 0, 0)  # fmt: skip
    flags, _ = questions._all_labels(data)
    assert flags["string"].tolist() == [False, *labels(text)["string"][60:], False]


def test_a_unit_that_never_changes_is_never_on() -> None:
    values = np.full((32_768, 3), [0.1, -0.3, 0.9999999], "f4")
    assert (scale_of(values).standard(values[:5]) == 0).all()


def test_units_that_take_turns_do_not_make_a_match() -> None:
    values = np.zeros((1, 30, 4), "f4")
    values[0, 10:15, :2] = values[0, 15:20, 2:] = 2
    found = matches(values, [Unit(unit, 1) for unit in range(4)], 5, 1.0)
    assert not [match for match in found if match.end - match.start > 5]


def test_a_text_that_is_too_long_is_refused_before_it_is_read() -> None:
    data = code_data()
    with pytest.raises(ConfigError, match="can be shown"):
        list(questions.similar(model_for(data, "lstm"), data.tokenizer, data, CODE * 100, 0, "cell", 1, 3, 1.0))


def test_contexts_show_the_units_values() -> None:
    data = code_data()
    model = model_for(data, "gru")
    answer = last(questions.contexts(model, data, 0, "hidden", 2))
    rows = passages(data.validation, 6)
    *_, values = read_whole(model, rows, 0, "hidden")
    assert answer["highest"][0]["value"] == pytest.approx(float(values[..., 2].max()))
    assert answer["lowest"][0]["value"] == pytest.approx(float(values[..., 2].min()))
    for one in answer["highest"]:
        assert len(one["values"]) == len(one["before"]) + 1 + len(one["after"])
        assert one["values"][len(one["before"])] == one["value"]


def test_a_span_finds_the_places_like_it() -> None:
    """The text stands in the held-out text many times, and its units are on at all of these places."""
    data = code_data()
    model = model_for(data, "lstm")
    answer = last(questions.similar(model, data.tokenizer, data, CODE, 0, "cell", 14, 19, 0.5))
    assert answer["units"] and answer["matches"]
    best = answer["matches"][0]
    assert best["units_on"] == len(answer["units"])
    assert unpack(answer["standard"]).shape == (len(CODE) + 1, len(answer["units"]))
    for number, sign in answer["units"]:
        column = unpack(answer["standard"])[14:19, [unit for unit, _ in answer["units"]].index(number)]
        assert (sign * column >= 0.5).all()


def test_a_spans_own_place_is_no_other_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MAX_MATCHES", 10_000)
    data = code_data()
    once = CODE[:30] + CODE[5:25][::-1]
    tokens = np.array([1, *data.tokenizer.encode(CODE * 20 + once + CODE * 20), 2], np.uint16)
    data = replace(data, train=tokens, validation=tokens)
    model = model_for(data, "lstm")
    answer = last(questions.similar(model, data.tokenizer, data, once, 0, "hidden", 40, 43, 0.1))
    assert answer["units"] and answer["matches"]
    first = 1 + len(CODE * 20) + 40 - 1  # the span's, as its text is read after <begin>
    for match in answer["matches"]:
        end = match["place"] + len(match["tokens"])
        assert end <= first or match["place"] >= first + 3


def test_the_history_follows_the_newest_best_unit_back() -> None:
    data = code_data()
    models = [(30, model_for(data, "lstm")), (10, model_for(data, "lstm")), (0, model_for(data, "lstm"))]
    answer = last(questions.history(models, 3, data, 0, "cell"))
    assert [moment["step"] for moment in answer["moments"]] == [0, 10, 30]
    newest = answer["moments"][-1]["features"]
    for name, one in newest.items():
        assert one["followed"] == pytest.approx(one["auc"])
        for moment in answer["moments"][:-1]:
            before = moment["features"][name]
            if before["unit"] == one["unit"]:
                assert abs(before["followed"] - 0.5) == pytest.approx(abs(before["auc"] - 0.5))
    openness = last(questions.openness(models[0][1], data, 0))
    for gate, found in openness["gates"].items():
        assert answer["moments"][-1]["gates"][gate]["high"] == pytest.approx(
            float(unpack(found["high"]).mean()), abs=0.02
        )
    middle = answer["moments"][-1]["memory"][1]
    assert middle == pytest.approx(float(np.median(unpack(openness["memory"]))), rel=0.05)


def test_an_rnn_has_no_openness_and_no_implied_memory() -> None:
    data = code_data()
    answer = last(questions.openness(model_for(data, "rnn"), data, 0))
    assert answer["gates"] == {} and answer["memory"] is None


def test_what_is_not_there_is_said() -> None:
    data = code_data()
    model = model_for(data, "rnn")
    with pytest.raises(ConfigError, match="no signal cell"):
        list(questions.contexts(model, data, 0, "cell", 0))
    with pytest.raises(ConfigError, match="no layer 1"):
        list(questions.openness(model, data, 1))
    with pytest.raises(ConfigError, match="no such unit"):
        list(questions.contexts(model, data, 0, "hidden", 6))
    with pytest.raises(ConfigError, match="no such part"):
        list(questions.similar(model, data.tokenizer, data, CODE, 0, "hidden", 5, 5, 1.0))
