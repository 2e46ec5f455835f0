"""Decoders against the models' own forward pass, row by row and token by token."""

from copy import deepcopy

import pytest
import torch
from test_model_contract import CONFIGS, C, V, count, expected_rows, name, text
from torch import Tensor

from lmviz.config import GPTConfig, GRUConfig, LSTMConfig, ModelConfig, NVSIConfig, RNNConfig, TokenizerConfig
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.models import build_model, recurrent_decoder
from lmviz.models.base import LanguageModel
from lmviz.models.cell_steps import CellStep, FastStep, step_of
from lmviz.models.cells import CELLS, Cell, LSTMCell, NVSICell
from lmviz.tokenizers import Tokenizer, train_tokenizer

torch.set_num_threads(1)
LONG = 2 * C + 5


def make(config: ModelConfig, vocab_size: int = V) -> LanguageModel:
    """In evaluation mode, with no parameter at zero or one: a wrong place for any of them then shows."""
    torch.manual_seed(3)
    model = build_model(config, vocab_size, C).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    if model.learns_by == "counting":
        count(model, text())
    return model


@pytest.fixture(params=CONFIGS, ids=name)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return make(request.param)


def rows(model: LanguageModel, tokens: Tensor, prompt: int) -> Tensor:
    """The decoder's logits (B, T - prompt + 1, V) after each token from the last one of the prompt on."""
    with torch.inference_mode():
        decoder = model.decoder()
        found = [decoder.prefill(tokens[:, :prompt])]
        found += [decoder.step(column) for column in tokens[:, prompt:].unbind(1)]
    return torch.stack(found, 1)


@torch.no_grad()
@pytest.mark.parametrize("prompt", [1, C - 2, C, C + 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_equals_forward_row_by_row_also_beyond_the_window(model: LanguageModel, batch: int, prompt: int) -> None:
    tokens = text(batch * LONG, seed=7).view(batch, LONG)
    expected = expected_rows(model, tokens)[:, prompt - 1 :]
    torch.testing.assert_close(rows(model, tokens, prompt), expected, rtol=1e-5, atol=1e-5)
    if model.learns_by == "gradient":
        exact = expected_rows(model.double(), tokens)[:, prompt - 1 :]
        torch.testing.assert_close(rows(model, tokens, prompt), exact, rtol=1e-10, atol=1e-10)


@torch.inference_mode()
def test_greedy_tokens_are_those_of_the_full_forward_pass(model: LanguageModel) -> None:
    whole = [1]
    while len(whole) < 101:
        window = whole[-C:] if model.context_length == C else whole
        whole.append(int(model(torch.tensor([window]))[0, -1].argmax()))
    decoder = model.decoder()
    written = [1, int(decoder.prefill(torch.tensor([[1]])).argmax())]
    while len(written) < 101:
        written.append(int(decoder.step(torch.tensor(written[-1:])).argmax()))
    assert written == whole


@torch.inference_mode()
def test_prefill_begins_anew_with_any_batch_and_given_logits_stay(model: LanguageModel) -> None:
    tokens = text(3 * LONG, seed=7).view(3, LONG)
    decoder = model.decoder()
    first = [decoder.prefill(tokens[:1, :2]), *(decoder.step(column) for column in tokens[:1, 2:6].unbind(1))]
    kept = [row.clone() for row in first]
    again = [decoder.prefill(tokens[:, :2]), *(decoder.step(column) for column in tokens[:, 2:6].unbind(1))]
    assert all(map(torch.equal, first, kept))
    for one, three in zip(first, again, strict=True):
        torch.testing.assert_close(one, three[:1], rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("prompt", [1, C - 2, C + 3])
def test_texts_branch_and_end_by_reordering(model: LanguageModel, prompt: int) -> None:
    """Every row goes on as if its whole text had been read from the start, also beyond the window."""
    written = text(prompt, seed=7).view(1, prompt)
    random = torch.Generator().manual_seed(5)
    decoder = model.decoder()
    with torch.inference_mode():
        decoder.prefill(written)
        for count in (3, 3, 5, 2, 2, 4, 4, 1, 3, 3, 3, 3):
            rows_ = torch.randint(len(written), (count,), generator=random)
            decoder.reorder(rows_)
            tokens = torch.randint(V, (count,), generator=random)
            written = torch.cat([written[rows_], tokens[:, None]], 1)
            given = decoder.step(tokens)
            expected = expected_rows(model, written)[:, -1]
            torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)
            kept = given.clone()
            decoder.reorder(torch.arange(count).flip(0))
            decoder.reorder(torch.arange(count).flip(0))
            assert torch.equal(given, kept)


@torch.no_grad()
def test_a_state_can_be_taken_to_other_sequences(model: LanguageModel) -> None:
    tokens = text(3 * LONG, seed=7).view(3, LONG)
    rows_ = torch.tensor([2, 0, 2, 1])
    _, state = model.prefill(tokens[:, :4])
    given, _ = model.step(tokens[rows_, 4], model.reorder_state(state, rows_))
    torch.testing.assert_close(given, expected_rows(model, tokens[rows_, :5])[:, -1], rtol=1e-5, atol=1e-5)


def test_decoding_changes_no_weight(model: LanguageModel) -> None:
    before = deepcopy(model.state_dict())
    rows(model, text(LONG).view(1, LONG), 1)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("config", [c for c in CONFIGS if c.kind in CELLS], ids=name)
def test_a_large_vocabulary_needs_no_table(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = make(config), text(2 * LONG).view(2, LONG)
    assert model.decoder().table is not None  # type: ignore[attr-defined]
    monkeypatch.setattr(recurrent_decoder, "MAX_TABLE", 0)
    assert model.decoder().table is None  # type: ignore[attr-defined]
    torch.testing.assert_close(rows(model, tokens, 1), model(tokens), rtol=1e-5, atol=1e-5)


def new_kind_of_cell() -> Cell:
    class Unheard(LSTMCell):
        """A kind for which nobody has written a fast step."""

    return Unheard(4, 6)


CELLS_TO_TRY = {**{kind: lambda kind=kind: CELLS[kind](4, 6) for kind in CELLS}, "new": new_kind_of_cell}
CELLS_TO_TRY["carry"] = lambda: NVSICell(4, 6, carry=True)


@torch.no_grad()
@pytest.mark.parametrize("kind", CELLS_TO_TRY)
def test_a_fast_step_equals_the_readable_one(kind: str) -> None:
    torch.manual_seed(0)
    cell = CELLS_TO_TRY[kind]().double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    step = step_of(cell)
    assert type(step) is CellStep if kind == "new" else isinstance(step, FastStep)
    start = tuple(torch.randn_like(part) for part in cell.initial_state(3))
    kept = [part.clone() for part in start]
    step.begin(start)
    state: tuple[Tensor, ...] = start
    for x in torch.randn(7, 3, 4, dtype=torch.float64):
        state, _ = cell.step(x, state)
        torch.testing.assert_close(step(step.project(x)), state[0], rtol=1e-12, atol=1e-12)
    for rows_ in (torch.tensor([2, 0, 0]), torch.tensor([1, 1])):  # as many, then fewer
        step.reorder(rows_)
        x = torch.randn(len(rows_), 4, dtype=torch.float64)
        state, _ = cell.step(x, tuple(part[rows_] for part in state))
        torch.testing.assert_close(step(step.project(x)), state[0], rtol=1e-12, atol=1e-12)
    assert all(map(torch.equal, start, kept))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(), ["abcdefgh\n"])


def written(model: LanguageModel, tokenizer: Tokenizer) -> list[int]:
    return [t.id for t in generate(model, tokenizer, DecodingConfig(prompt="ab", max_new_tokens=40, seed=2))]


DROPOUT: list[ModelConfig] = [
    RNNConfig(embedding_dim=5, hidden_size=7, dropout=0.5),
    NVSIConfig(embedding_dim=5, hidden_size=7, dropout=0.5),
    GRUConfig(embedding_dim=5, hidden_size=7, dropout=0.5, num_layers=2),
    LSTMConfig(embedding_dim=5, hidden_size=7, dropout=0.5),
    GPTConfig(d_model=12, num_heads=3, dropout=0.5),
]


@pytest.mark.parametrize("config", DROPOUT, ids=name)
def test_a_model_in_training_writes_without_dropout(config: ModelConfig, tokenizer: Tokenizer) -> None:
    model = make(config, tokenizer.vocab_size)
    expected = written(model, tokenizer)
    assert written(model.train(), tokenizer) == expected
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("config", DROPOUT, ids=name)
def test_weights_changed_between_two_texts_are_seen(config: ModelConfig, tokenizer: Tokenizer) -> None:
    model = make(config, tokenizer.vocab_size)
    before, different = written(model, tokenizer), 0
    for parameter in model.parameters():
        with torch.no_grad():
            saved = parameter.clone()
            parameter.add_(torch.randn_like(parameter) * 3)
        fresh = build_model(config, tokenizer.vocab_size, C).eval()
        fresh.load_state_dict(model.state_dict())
        now = written(model, tokenizer)
        assert now == written(fresh, tokenizer)
        different += now != before
        with torch.no_grad():
            parameter.copy_(saved)
    assert different > 3
    assert written(model, tokenizer) == before
