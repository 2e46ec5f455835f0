"""Questions about gates and states on one text: all of them, one step in numbers, and what if some stood still.

Those about the held-out text are in held_out_questions.py. What takes long gives empty pieces on the way.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, generate
from lmviz.errors import N_, ConfigError
from lmviz.inspect.gates import recurrent, signals, similar_order, step_in_numbers, tokens_read
from lmviz.inspect.intervene import Hold, intervened
from lmviz.inspect.score import surprise
from lmviz.limits import MAX_GATE_NUMBERS, MAX_GATE_TOKENS
from lmviz.models.base import LanguageModel
from lmviz.models.recurrent import RecurrentModel
from lmviz.packing import pack
from lmviz.tokenizers import Tokenizer
from lmviz.training.data import Data, validation_batches

Pieces = Generator[dict[str, Any], None, None]

NEXT = 10
"""Next tokens that are compared."""
HELD_OUT_TOKENS, HELD_OUT_LENGTH = 8192, 128
"""Of the held-out text whose loss is compared; in windows of this length."""


def on_text(model: LanguageModel, tokenizer: Tokenizer, text: str, layer: int) -> dict[str, Any]:
    """{"tokens": what is read at each step, <begin> first (T,), "layers": how many, "unknown": places of tokens that
    the model's vocabulary does not have, "signals": {name: packed (T, H)} of one layer, "order": its units by
    similarity of the last of its states}.

    Raises:
        ConfigError: the model has no gates, or the text or the layer cannot be.
    """
    tokens = read_text(recurrent(model), tokenizer, text)
    found = {name: values[check_layer(model, layer)] for name, values in signals(model, tokens).items()}
    return {
        "tokens": [tokenizer.token_text(token) for token in tokens.tolist()],
        "layers": len(recurrent(model).layers),
        "signals": {name: pack(values) for name, values in found.items()},
        "order": similar_order(found.get("cell", found["hidden"])),
    }


def one_step(
    model: LanguageModel, tokenizer: Tokenizer, text: str, layer: int, token: int, unit: int
) -> dict[str, Any]:  # fmt: skip
    """A unit's step at token `token` of what is read, in numbers: see `step_in_numbers`."""
    stack = recurrent(model)
    tokens = read_text(stack, tokenizer, text)
    check_layer(model, layer)
    if not 0 <= unit < stack.layers[layer].hidden_size or not 0 <= token < len(tokens):
        raise ConfigError(N_("There is no such unit or token any more. Choose another one."))
    return step_in_numbers(stack, tokenizer, tokens, token, layer, unit)


def held(
    model: LanguageModel, tokenizer: Tokenizer, data: Data, text: str, holds: Sequence[Mapping[str, Any]], since: int,
    token: int, decoding: Mapping[str, Any],
) -> Pieces:  # fmt: skip
    """The model as it is beside itself with signals held (`Hold` as plain values) from token `since` of the text on.

    The last piece: {"plain": {...}, "held": {...}, "tokens": what is predicted (T,)}, and in both {"losses": nats of
    each predicted token, "next": [[token, chance], ...] after token `token` of what is read, "text": what it goes on to
    write, "held_out": nats a token of held-out text, in which signals are held from the first token on}. "next" of both
    has the same tokens: the likeliest of either.
    """
    stack = recurrent(model)
    tokens = read_text(stack, tokenizer, text)
    token = min(max(token, 0), len(tokens) - 1)
    held_model = intervened(stack, [_hold(values) for values in holds], since)
    everywhere = intervened(stack, [_hold(values) for values in holds])
    config = _decoding(decoding, text)
    answers: dict[str, dict[str, Any]] = {}
    chances = {}
    for name, one, whole in (("plain", model, model), ("held", held_model, everywhere)):
        losses, _ = surprise(one, tokens) if len(tokens) > 1 else ([], [])
        chances[name] = _chances(one, tokens[: token + 1])
        yield {}
        written = []
        for piece in generate(one, tokenizer, config):
            written.append(piece.piece)
            yield {}
        held_out = yield from _held_out_loss(whole, data)
        answers[name] = {"losses": [-nats for nats in losses], "text": "".join(written), "held_out": held_out}
    shown = _likeliest(list(chances.values()))
    for name, answer in answers.items():
        answer["next"] = [[tokenizer.token_text(one), float(chances[name][one])] for one in shown]
    yield {**answers, "tokens": [tokenizer.token_text(one) for one in tokens[1:].tolist()]}


def check_layer(model: LanguageModel, layer: int) -> int:
    """The layer, if the model has it.

    Raises:
        ConfigError: it has not.
    """
    count = len(recurrent(model).layers)
    if not 0 <= layer < count:
        raise ConfigError(N_("There is no layer {layer}: the model has {count}."), layer=layer, count=count)
    return layer


def read_text(model: RecurrentModel, tokenizer: Tokenizer, text: str) -> Tensor:
    """<begin> and the text's tokens (T,).

    Raises:
        ConfigError: these are none, or more than can be shown.
    """
    tokens = tokens_read(tokenizer, text)
    cell = model.layers[0]
    limit = min(MAX_GATE_TOKENS, MAX_GATE_NUMBERS // (len(cell.signals) * cell.hidden_size))
    if len(tokens) == 1:
        raise ConfigError(N_("There is no text to read. Type or choose one."))
    if len(tokens) - 1 > limit:
        raise ConfigError(
            N_("The text has {tokens} tokens, and {limit} can be shown of this model. Take a part of it."),
            tokens=len(tokens) - 1, limit=limit,
        )  # fmt: skip
    return tokens


def _hold(values: Mapping[str, Any]) -> Hold:
    try:
        return Hold.model_validate(values)
    except ValidationError as error:
        raise ConfigError(N_("This cannot be held: {reason}."), reason=error.errors()[0]["msg"]) from None


def _decoding(values: Mapping[str, Any], text: str) -> DecodingConfig:
    try:
        return DecodingConfig.model_validate({**values, "prompt": text})
    except ValidationError as error:
        raise ConfigError(N_("These settings cannot be: {reason}."), reason=error.errors()[0]["msg"]) from None


def _chances(model: LanguageModel, tokens: Tensor) -> Tensor:
    """Of the next token, (V,)."""
    with evaluating(model):
        chances: Tensor = model(tokens[None])[0, -1].softmax(0)
    return chances


def _likeliest(chances: Sequence[Tensor]) -> list[int]:
    """The NEXT tokens that are likeliest in any of these, the likeliest first in the first of them."""
    highest = torch.stack(list(chances)).amax(0)
    shown = highest.topk(min(NEXT, len(highest))).indices.tolist()
    return sorted(shown, key=lambda token: -float(chances[0][token]))


def _held_out_loss(model: LanguageModel, data: Data) -> Generator[dict[str, Any], None, float]:
    """Nats a token."""
    losses = []
    for batch in validation_batches(data.validation, HELD_OUT_LENGTH, HELD_OUT_TOKENS, 16):
        with evaluating(model):
            losses.append(model.token_losses(batch))
        yield {}
    return float(torch.cat([loss.flatten() for loss in losses]).mean())
