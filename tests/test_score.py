"""Scoring against brute force: bigram tables, a model that looks back a few tokens, and one that carries a state."""

import itertools
import math
import time
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from lmviz.config import TokenizerConfig
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.errors import ConfigError
from lmviz.inspect import score as module
from lmviz.inspect.score import Score, score
from lmviz.models.base import LanguageModel, State
from lmviz.tokenizers import BEGIN, UNK, Tokenizer, train_tokenizer

torch.set_num_threads(1)


class Decaying(LanguageModel):
    """Logits from a fading sum of all tokens' vectors in the window: every token before matters, so windows show."""

    def __init__(self, vocab_size: int, context_length: int | None, learns_by: str = "gradient") -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.vectors = nn.Parameter(torch.randn(vocab_size, vocab_size, generator=generator))
        self.dropout = nn.Dropout(0.5)
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.learns_by = learns_by  # type: ignore[misc]
        self.steps = 0

    @property
    def signals(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def forward(self, tokens: Tensor) -> Tensor:
        limit = self.context_length
        if limit is not None and self.learns_by == "gradient":
            assert tokens.shape[1] <= limit
        rows = []
        for t in range(tokens.shape[1]):
            first = 0 if limit is None else max(0, t + 1 - limit)
            past = tokens[:, first : t + 1]
            weights = 0.7 ** torch.arange(past.shape[1] - 1, -1, -1)
            rows.append((self.vectors[past] * weights[:, None]).sum(1))
        return self.dropout(torch.stack(rows, 1))  # type: ignore[no-any-return]

    def initial_state(self, batch_size: int) -> State:
        return torch.zeros(batch_size, self.vocab_size)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        self.steps += 1
        state = 0.7 * state + self.vectors[tokens]
        return self.dropout(state), state

    def trace(self, tokens: Tensor) -> dict[str, Tensor]:
        return {}


TEXT = "the cat sat on the mat, and the bat sat on the hat\n"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(), [TEXT])


def brute_force(model: LanguageModel, ids: list[int], starts: list[int]) -> list[tuple[float, int]]:
    """Token i from the tokens starts[i]..i-1 of <begin> and the text, one forward pass each."""
    tokens = torch.tensor([BEGIN, *ids])
    found = []
    with torch.no_grad():
        for i, start in enumerate(starts, 1):
            row = model.eval()(tokens[None, start:i])[0, -1].double().tolist()
            target = row[int(tokens[i])]
            logprob = target - math.log(math.fsum(map(math.exp, row)))
            found.append((logprob, 1 + sum(x > target for x in row)))
    return found


def check(found: Score, expected: list[tuple[float, int]], text: str) -> None:
    assert [t.logprob for t in found.tokens] == pytest.approx([p for p, _ in expected], abs=1e-4)
    assert [t.rank for t in found.tokens] == [rank for _, rank in expected]
    nats = -math.fsum(p for p, _ in expected)
    assert found.loss == pytest.approx(nats / len(expected), abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(nats / len(expected)), rel=1e-4)
    assert found.bits_per_char == pytest.approx(nats / math.log(2) / len(text), abs=1e-4)


@pytest.mark.parametrize("whole", [0, 2**24])
@pytest.mark.parametrize("piece", [1, 100, 2**22])
def test_models_without_a_limit_are_exact(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, whole: int, piece: int
) -> None:
    monkeypatch.setattr(module, "WHOLE", whole)
    monkeypatch.setattr(module, "PIECE", piece)
    model = Decaying(tokenizer.vocab_size, None)
    ids = tokenizer.encode(TEXT)
    check(score(model, tokenizer, TEXT), brute_force(model, ids, [0] * len(ids)), TEXT)
    assert (model.steps > 0) == (whole == 0)


@pytest.mark.parametrize("length", [1, 2, 15, 16])
def test_a_text_that_fits_is_exact(tokenizer: Tokenizer, length: int) -> None:
    model = Decaying(tokenizer.vocab_size, 16)
    ids = tokenizer.encode(TEXT[:length])
    check(score(model, tokenizer, TEXT[:length]), brute_force(model, ids, [0] * length), TEXT[:length])


@pytest.mark.parametrize("piece", [1, 700, 2**22])
@pytest.mark.parametrize("context", [1, 2, 5, 8, 50])
def test_windows_give_every_token_at_least_half_a_context(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, context: int, piece: int
) -> None:
    monkeypatch.setattr(module, "PIECE", piece)
    model = Decaying(tokenizer.vocab_size, context)
    ids = tokenizer.encode(TEXT)
    found = score(model, tokenizer, TEXT)
    assert len(found.tokens) == len(ids)
    for i, token in enumerate(found.tokens, 1):  # token i of the stream that begins with <begin>
        possible = range(max(0, i - context), max(0, i - (context + 1) // 2) + 1)
        logprobs = [brute_force_one(model, ids, i, start) for start in possible]
        assert min(abs(token.logprob - p) for p in logprobs) < 1e-4


def brute_force_one(model: LanguageModel, ids: list[int], i: int, start: int) -> float:
    tokens = torch.tensor([BEGIN, *ids])
    with torch.no_grad():
        return float(model.eval()(tokens[None, start:i])[0, -1].double().log_softmax(0)[tokens[i]])


@pytest.mark.parametrize("context", [0, 1, 4])
@pytest.mark.parametrize("piece", [1, 2**22])
def test_counting_models_lose_nothing(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, context: int, piece: int
) -> None:
    monkeypatch.setattr(module, "PIECE", piece)
    model = Decaying(tokenizer.vocab_size, context, "counting")
    ids = tokenizer.encode(TEXT)
    starts = [max(0, i - context) if context else i - 1 for i in range(1, len(ids) + 1)]
    if context:
        check(score(model, tokenizer, TEXT), brute_force(model, ids, starts), TEXT)
    else:
        found = score(model, tokenizer, TEXT)
        assert [t.logprob for t in found.tokens] == pytest.approx([-math.log(tokenizer.vocab_size)] * len(ids))


def test_generated_text_has_the_same_score(tokenizer: Tokenizer) -> None:
    model = Decaying(tokenizer.vocab_size, None)
    written = list(generate(model, tokenizer, DecodingConfig(prompt="the ", max_new_tokens=20, seed=2)))
    text = "the " + "".join(t.piece for t in written)
    scored = score(model, tokenizer, text).tokens[4:]
    written = [t for t in written if t.piece]
    assert len(written) > 5
    assert [t.logprob for t in scored] == pytest.approx([t.logprob for t in written], abs=1e-4)


def test_probabilities_of_all_texts_of_one_length_add_up() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(), ["ab"])
    model = Decaying(tokenizer.vocab_size, None)
    model.vectors.data[:, :3] = -torch.inf  # no special tokens
    model.vectors.data[:3] = 0
    model.vectors.data[:3, :3] = -torch.inf
    texts = ["".join(letters) for letters in itertools.product("ab", repeat=3)]
    total = sum(math.exp(-score(model, tokenizer, text).loss * 3) for text in texts)
    assert total == pytest.approx(1, abs=1e-6)


def test_bpe_counts_characters_not_tokens() -> None:
    text = "画蛇添足，👩🏽‍🚀 <end>"
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", vocab_size=260), [text])
    model = Decaying(tokenizer.vocab_size, None)
    model.vectors.data.zero_()
    found = score(model, tokenizer, text)
    count = len(tokenizer.encode(text))
    assert found.loss == pytest.approx(math.log(tokenizer.vocab_size)) and {t.rank for t in found.tokens} == {1}
    assert found.bits_per_char == pytest.approx(math.log2(tokenizer.vocab_size) * count / len(text))
    assert any(t.text.startswith("⟨") for t in found.tokens)


def test_unknown_characters_are_scored_as_unk_and_named(tokenizer: Tokenizer) -> None:
    found = score(Decaying(tokenizer.vocab_size, None), tokenizer, "a画t")
    assert found.unknown == ("画",) and found.tokens[1].text == "\ufffd"
    assert tokenizer.encode("a画t")[1] == UNK


def test_empty_and_too_long_texts_are_sentences(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Decaying(tokenizer.vocab_size, None)
    with pytest.raises(ConfigError, match="no text to score"):
        score(model, tokenizer, "")
    monkeypatch.setattr(module, "MAX_SCORE_TOKENS", 3)
    with pytest.raises(ConfigError, match="3 can be scored"):
        score(model, tokenizer, "that")


def test_impossible_tokens_make_the_loss_infinite(tokenizer: Tokenizer) -> None:
    model = Decaying(tokenizer.vocab_size, None)
    model.vectors.data[:, tokenizer.encode("t")[0]] = -torch.inf
    found = score(model, tokenizer, "at")
    assert found.loss == found.perplexity == found.bits_per_char == math.inf


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_as_before(tokenizer: Tokenizer, training: bool) -> None:
    model = Decaying(tokenizer.vocab_size, None).train(training)
    first = score(model, tokenizer, TEXT)
    assert score(model, tokenizer, TEXT) == first
    assert model.training == model.dropout.training == training and torch.is_grad_enabled()


def test_long_texts_can_be_read_step_by_step(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 0)
    model = Decaying(tokenizer.vocab_size, None)
    text = (TEXT * 2000)[:20_000]
    start = time.process_time()
    assert len(score(model, tokenizer, text).tokens) == 20_000
    assert time.process_time() - start < 4  # 20 s for 100,000; 0.5 s on an idle machine
