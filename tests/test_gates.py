"""Gates and states on a text, against torch's own cells, and one step written out."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cells import CONFIGS, close, make_model
from scipy.cluster.hierarchy import leaves_list, linkage
from torch import nn

from lmviz.config import GPTConfig
from lmviz.errors import ConfigError
from lmviz.inspect.gates import recurrent, signals, similar_order, step_in_numbers, tokens_read
from lmviz.jobs.gate_questions import on_text, one_step
from lmviz.limits import MAX_GATE_TOKENS
from lmviz.models import build_model
from lmviz.models.recurrent import RecurrentModel
from lmviz.packing import pack, unpack
from lmviz.tokenizers import BEGIN, Tokenizer, char_tokenizer

TEXT = "abba ab ba"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def tokenizer() -> Tokenizer:
    return char_tokenizer("ab ")


def model_of(kind: str, layers: int = 2) -> RecurrentModel:
    return make_model(kind, layers, vocab=6).float()


def torch_cells(model: RecurrentModel, kind: type[nn.LSTMCell] | type[nn.GRUCell]) -> list[Any]:
    cells = []
    for ours in model.layers:
        theirs = kind(ours.input_size, ours.hidden_size)
        theirs.load_state_dict(ours.state_dict())
        cells.append(theirs)
    return cells


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 3])
def test_states_are_those_of_torchs_lstm_cell(layers: int) -> None:
    model, tokens = model_of("lstm", layers), torch.randint(6, (40,))
    found = signals(model, tokens)
    x = model.embedding(tokens)
    for layer, cell in enumerate(torch_cells(model, nn.LSTMCell)):
        hidden = memory = torch.zeros(1, cell.hidden_size)
        rows = []
        for t in range(len(tokens)):
            hidden, memory = cell(x[t : t + 1], (hidden, memory))
            close(torch.from_numpy(found["cell"][layer, t]), memory[0], 1e-5)
            rows.append(hidden[0])
        x = torch.stack(rows)
        close(torch.from_numpy(found["hidden"][layer]), x, 1e-5)
        shown = found["gate.output"][layer] * np.tanh(found["cell"][layer])
        close(shown, found["hidden"][layer], 1e-6)


@torch.no_grad()
def test_states_are_those_of_torchs_gru_cell() -> None:
    model, tokens = model_of("gru", 2), torch.randint(6, (40,))
    found = signals(model, tokens)
    x = model.embedding(tokens)
    for layer, cell in enumerate(torch_cells(model, nn.GRUCell)):
        hidden, rows = torch.zeros(1, cell.hidden_size), []
        for t in range(len(tokens)):
            hidden = cell(x[t : t + 1], hidden)
            rows.append(hidden[0])
        x = torch.stack(rows)
        close(torch.from_numpy(found["hidden"][layer]), x, 1e-5)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("kind", list(CONFIGS))
def test_a_step_in_numbers_adds_up(kind: str, layer: int, tokenizer: Tokenizer) -> None:
    """By hand from the printed numbers, for the first token and a later one, to what the model has there."""
    model = model_of(kind)
    tokens = tokens_read(tokenizer, TEXT)
    found = signals(model, tokens)
    for at in (0, 5):
        for unit in (0, 4):
            step = step_in_numbers(model, tokenizer, tokens, at, layer, unit)
            before, after = step["before"], step["after"]
            terms = {term["name"]: term for term in step["terms"]}
            for name, term in terms.items():
                inner = term["recurrent"] + term["bias_recurrent"]
                if kind == "gru" and name == "candidate":
                    inner *= terms["gate.reset"]["value"]
                total = term["input"] + term["bias_input"] + inner
                expected = sigmoid(total) if name.startswith("gate.") else math.tanh(total)
                assert term["value"] == pytest.approx(expected, abs=1e-5)
                assert term["value"] == pytest.approx(float(found[name][layer, at, unit]), abs=1e-5)
            for name, value in after.items():
                assert value == pytest.approx(float(found[name][layer, at, unit]), abs=1e-5)
            value = {name: term["value"] for name, term in terms.items()}
            if kind == "lstm":
                cell = value["gate.forget"] * before["cell"] + value["gate.input"] * value["candidate"]
                assert after["cell"] == pytest.approx(cell, abs=1e-5)
            if kind == "gru":
                z = value["gate.update"]
                assert after["hidden"] == pytest.approx((1 - z) * value["candidate"] + z * before["hidden"], abs=1e-5)
            chances = model(tokens[None, : at + 1])[0, -1].detach().softmax(0)
            assert step["next"][0][1] == pytest.approx(float(chances.max()), abs=1e-5)
            assert step["token"] == tokenizer.token_text(int(tokens[at]))


def test_a_text_gives_one_layer_of_every_signal(tokenizer: Tokenizer) -> None:
    model = model_of("lstm", 3)
    answer = on_text(model, tokenizer, TEXT, 2)
    assert answer["tokens"][0] == tokenizer.token_text(BEGIN) and len(answer["tokens"]) == len(TEXT) + 1
    assert answer["layers"] == 3
    whole = signals(model, tokens_read(tokenizer, TEXT))
    assert set(answer["signals"]) == set(model.layers[0].signals)
    for name, packed in answer["signals"].items():
        assert np.array_equal(unpack(packed), whole[name][2])
    assert sorted(answer["order"]) == list(range(6))


def test_what_cannot_be_shown_is_said(tokenizer: Tokenizer) -> None:
    model = model_of("gru")
    with pytest.raises(ConfigError, match="no text to read"):
        on_text(model, tokenizer, "", 0)
    with pytest.raises(ConfigError, match=f"{MAX_GATE_TOKENS} can be shown"):
        on_text(model, tokenizer, "a" * (MAX_GATE_TOKENS + 1), 0)
    with pytest.raises(ConfigError, match="no layer 2"):
        on_text(model, tokenizer, TEXT, 2)
    with pytest.raises(ConfigError, match="no such unit"):
        one_step(model, tokenizer, TEXT, 0, 3, 6)
    with pytest.raises(ConfigError, match="no such unit"):
        one_step(model, tokenizer, TEXT, 0, len(TEXT) + 1, 0)
    with pytest.raises(ConfigError, match="recurrent model"):
        recurrent(build_model(GPTConfig(d_model=12, num_heads=3), 6, 8))


def test_similar_units_stand_together() -> None:
    """Three courses, each in several units with noise, shuffled: each of the three is one piece of the order."""
    random = np.random.default_rng(1)
    courses = random.standard_normal((60, 3))
    kinds = random.permutation(np.repeat(np.arange(3), 8))
    values = (courses[:, kinds] * random.uniform(0.5, 2, 24) + 0.05 * random.standard_normal((60, 24))).astype("f4")
    order = similar_order(values)
    ordered = kinds[order]
    assert np.count_nonzero(np.diff(ordered)) == 2
    theirs = leaves_list(linkage(values.T.astype(float), "average", "correlation", optimal_ordering=True))
    assert np.count_nonzero(np.diff(kinds[theirs])) == 2


def test_units_that_never_change_are_no_trouble() -> None:
    assert sorted(similar_order(np.zeros((5, 4), "f4"))) == [0, 1, 2, 3]
    assert similar_order(np.zeros((5, 2), "f4")) == [0, 1]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
def test_packed_arrays_come_back(dtype: str) -> None:
    values = np.arange(12, dtype=dtype).reshape(3, 4)[:, ::2]
    again = unpack(pack(values))
    assert again.dtype == values.dtype and np.array_equal(again, values)


def test_a_text_is_read_from_its_beginning(tokenizer: Tokenizer) -> None:
    assert tokens_read(tokenizer, "ab").tolist() == [BEGIN, *tokenizer.encode("ab")]
