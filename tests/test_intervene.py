"""Signals held at a value: what must not move does not, and holding nothing changes nothing."""

import pytest
import torch
from cells import CONFIGS, close, make_model
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.errors import ConfigError
from lmviz.inspect.intervene import Hold, intervened
from lmviz.jobs.gate_questions import held
from lmviz.models.recurrent import RecurrentModel
from lmviz.tokenizers import BEGIN, END, char_tokenizer
from lmviz.training.data import Data

FREEZE = [Hold(signal="gate.forget", value=1, layer=1), Hold(signal="gate.input", value=0, layer=1)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def model_of(kind: str) -> RecurrentModel:
    return make_model(kind, 2).float().eval()


def tokens_of(length: int = 30) -> Tensor:
    return torch.randint(7, (length,))


@pytest.mark.parametrize("since", [0, 1, 11])
def test_an_open_forget_gate_and_a_shut_input_gate_freeze_the_cell(since: int) -> None:
    model, tokens = model_of("lstm"), tokens_of()
    plain, seen = model.trace(tokens), intervened(model, FREEZE, since).trace(tokens)
    start = seen["cell"][1, since - 1] if since else torch.zeros(6)
    assert torch.equal(seen["cell"][1, since:], start.expand(30 - since, -1))
    close(seen["cell"][:, :since], plain["cell"][:, :since], 1e-6)
    close(seen["cell"][0], plain["cell"][0], 1e-6)  # the layer below does not notice
    assert not torch.allclose(seen["logits"][since:], plain["logits"][since:])


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_holding_nothing_is_the_model_itself(kind: str) -> None:
    model, tokens = model_of(kind), tokens_of()[None]
    nothing = intervened(model, [Hold(signal="hidden", value=0, units=())])
    assert torch.equal(nothing(tokens), model(tokens))
    late = intervened(model, [Hold(signal="hidden", value=0)], since=30)
    assert torch.equal(late(tokens), model(tokens))


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("layer", [0, 1])
def test_every_signal_can_be_held(kind: str, layer: int) -> None:
    """In the trace, and with the same logits by the whole text, by prefill and by single steps."""
    model, tokens = model_of(kind), tokens_of(12)
    for name in model.layers[0].signals:
        other = intervened(model, [Hold(signal=name, value=0.25, layer=layer, units=(1, 4))], since=5)
        seen = other.trace(tokens)
        assert (seen[name][layer, 5:][:, [1, 4]] == 0.25).all()
        logits = other(tokens[None])
        close(seen["logits"], logits[0], 1e-5)
        close(other.prefill(tokens[None, :9])[0], logits[:, 8], 1e-5)
        state, rows = other.initial_state(1), []
        for token in tokens:
            row, state = other.step(token[None], state)
            rows.append(row)
        close(torch.cat(rows), logits[0], 1e-5)


def test_the_equations_go_on_from_what_is_held() -> None:
    """By hand, one layer: with o held at 1 the hidden state is tanh(c), and c is made from that hidden state."""
    model, tokens = make_model("lstm", 1).float().eval(), tokens_of(6)
    cell = model.layers[0]
    seen = intervened(model, [Hold(signal="gate.output", value=1)]).trace(tokens)
    hidden = memory = torch.zeros(1, 6)
    with torch.no_grad():
        for t, token in enumerate(tokens):
            sums = cell.weight_ih @ model.embedding(token) + cell.bias_ih + cell.weight_hh @ hidden[0] + cell.bias_hh
            i, f, g, _o = sums.chunk(4)
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            hidden = memory.tanh()
            close(seen["cell"][0, t], memory[0], 1e-5)
            close(seen["hidden"][0, t], hidden[0], 1e-5)


def test_a_held_model_leaves_the_other_alone() -> None:
    model, tokens = model_of("lstm"), tokens_of()[None]
    before = model(tokens)
    other = intervened(model, FREEZE, since=3)
    other(tokens)
    assert torch.equal(model(tokens), before)
    assert not model.training and other.training is False
    assert all(cell.edit is None for cell in model.layers)


def test_writing_goes_on_with_what_is_held() -> None:
    """All units of the top layer off from the first written token on: every token has the head's bias alone."""
    model = model_of("gru")
    with torch.no_grad():
        model.head.bias[END] = -50  # it goes on
    tokenizer = char_tokenizer("abcd")
    off = intervened(model, [Hold(signal="hidden", value=0, layer=1)], since=4)
    expected = model.head.bias.detach().log_softmax(0)
    config = DecodingConfig(prompt="abc", strategy="greedy", max_new_tokens=5)
    first, *rest = generate(off, tokenizer, config)
    plain = next(generate(model, tokenizer, config))
    assert first.logprob == pytest.approx(plain.logprob, abs=1e-5)  # read before token 4
    assert rest
    assert all(token.logprob == pytest.approx(float(expected[token.id]), abs=1e-5) for token in rest)


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        (Hold(signal="cell", value=0), "no signal cell"),
        (Hold(signal="hidden", value=0, layer=2), "no layer 2"),
        (Hold(signal="hidden", value=0, units=(6,)), "from 0 to 5"),
    ],
)
def test_what_cannot_be_held_is_said(hold: Hold, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        intervened(model_of("gru"), [hold])


def test_the_question_answers_for_both() -> None:
    model, tokenizer = model_of("lstm"), char_tokenizer("abcd")
    stream = torch.randint(3, 7, (400,)).numpy().astype("uint16")
    data = Data(tokenizer, stream, stream, 400, 400, "", "", 0, 0)
    holds = [{"signal": "gate.forget", "value": 1, "layer": 1}, {"signal": "gate.input", "value": 0, "layer": 1}]
    decoding = {"max_new_tokens": 10, "seed": 3}
    *_, answer = held(model, tokenizer, data, "abcdabcd", holds, 4, 2, decoding)
    plain, other = answer["plain"], answer["held"]
    tokens = torch.tensor([[BEGIN, *tokenizer.encode("abcdabcd")]])
    losses = -model(tokens[:, :-1])[0].log_softmax(1).gather(1, tokens[0, 1:, None])[:, 0]
    close(torch.tensor(plain["losses"]), losses, 1e-4)
    assert other["losses"][:4] == pytest.approx(plain["losses"][:4], abs=1e-5)
    assert other["losses"][4:] != pytest.approx(plain["losses"][4:], abs=1e-4)
    assert [name for name, _ in plain["next"]] == [name for name, _ in other["next"]]
    assert [chance for _, chance in other["next"]] == pytest.approx([chance for _, chance in plain["next"]], abs=1e-5)
    assert plain["held_out"] != other["held_out"]
    assert answer["tokens"] == list("abcdabcd")

    *_, nothing = held(model, tokenizer, data, "abcdabcd", [], 0, 8, decoding)
    assert nothing["plain"] == nothing["held"]


def test_a_value_that_is_no_number_is_said() -> None:
    model, tokenizer = model_of("rnn"), char_tokenizer("abcd")
    stream = torch.randint(3, 7, (400,)).numpy().astype("uint16")
    data = Data(tokenizer, stream, stream, 400, 400, "", "", 0, 0)
    with pytest.raises(ConfigError, match="cannot be held"):
        list(held(model, tokenizer, data, "ab", [{"signal": "hidden", "value": float("nan")}], 0, 0, {}))
