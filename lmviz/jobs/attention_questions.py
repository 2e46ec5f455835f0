"""Questions about attention, answered for a model: maps, one query in numbers, what heads do, and what if they did not.

What a model reads: <begin> and a text; a Transformer a source, and for it the target that it writes itself.
Shapes: L layers, N heads, T queries, S keys.
"""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, generate
from lmviz.decoding.translate import translate
from lmviz.errors import N_, ConfigError
from lmviz.inspect.attention_heads import Heads, induction_on_random, measure_heads, uniform_on_random
from lmviz.inspect.attention_overview import overview
from lmviz.inspect.attention_parts import attention_parts
from lmviz.inspect.attention_steps import one_query
from lmviz.inspect.gates import tokens_read
from lmviz.inspect.heads_off import Head, mean_loss, rank_heads, without_heads
from lmviz.inspect.lens import logit_lens
from lmviz.inspect.masked_guesses import hidden, masked_guesses
from lmviz.inspect.positions import loss_by_position, position_similarity, position_table
from lmviz.inspect.score import surprise
from lmviz.limits import MAX_PAIR_CHARACTERS
from lmviz.models.attention import Attended, watched
from lmviz.models.base import Batch, LanguageModel
from lmviz.models.bert import BERT
from lmviz.models.gpt import GPT
from lmviz.models.pairs import PairModel
from lmviz.packing import pack
from lmviz.tokenizers import BEGIN, END, SPECIAL_TOKENS, Tokenizer

Pieces = Generator[dict[str, Any], None, None]

PARTS = ("attention", "encoder_attention", "cross_attention")
LONGEST_TARGET = 64
AT_ONCE = 2**22
"""Attention weights held at a time."""
NEXT = 10


@dataclass(frozen=True)
class Read:
    """A model on a text."""

    layers: list[Attended]
    """The lowest first, a batch of one."""
    rows: list[str]
    """The tokens that look (T,)."""
    columns: list[str]
    """Those that are looked at (S,)."""
    written: str | None
    """The target that a Transformer wrote."""


def read(
    model: LanguageModel, tokenizer: Tokenizer, text: str, part: str = "attention", masked: Sequence[int] = ()
) -> Read:  # fmt: skip
    """One kind of attention while the model reads a text (or a source). masked: places that a bert does not see.

    Raises:
        ConfigError: it has no such attention, or the text cannot be read.
    """
    if isinstance(model, PairModel):
        return _read_pair(model, tokenizer, text, part)
    if part != "attention":
        raise ConfigError(N_("The model has no {part}. It has: {known}."), part=part, known="attention")
    tokens = text_tokens(tokenizer, text)
    masked = _hidden_places(model, tokens, masked)
    seen_tokens = hidden(model, tokens, list(masked)) if isinstance(model, BERT) and masked else tokens
    names = [tokenizer.token_text(token) for token in tokens.tolist()]
    for place in masked:
        names[place] = "<mask>"
    attention_parts(model)
    with evaluating(model), watched(model) as seen:
        model(seen_tokens[None])
    return Read([once for (once,) in seen.values()], names, names, None)


def _hidden_places(model: LanguageModel, tokens: Tensor, masked: Sequence[int]) -> list[int]:
    """Those that are places of the text, of a bert; nothing can be hidden from other models."""
    return [place for place in masked if 0 <= place < len(tokens)] if isinstance(model, BERT) else []


def _read_pair(model: PairModel, tokenizer: Tokenizer, text: str, part: str) -> Read:
    assert tokenizer.source is not None
    parts = attention_parts(model)
    if part not in parts:
        raise ConfigError(N_("The model has no {part}. It has: {known}."), part=part, known=", ".join(parts))
    source = source_tokens(tokenizer, text)
    (written,) = translate(model, tokenizer, source, LONGEST_TARGET)
    places = model.context_length or LONGEST_TARGET + 1
    target = torch.tensor([[BEGIN, *written.tokens][:places]])
    with evaluating(model), watched(model) as seen:
        model.read(target, model.encode(source))
    layers = [seen[path][0] for path in parts[part]]
    sources = [tokenizer.source.token_text(token) for token in source[0].tolist()]
    targets = [tokenizer.token_text(token) for token in target[0].tolist()]
    rows = sources if part == "encoder_attention" else targets
    return Read(layers, rows, targets if part == "attention" else sources, written.text)


def text_tokens(tokenizer: Tokenizer, text: str) -> Tensor:
    """<begin> and the text (T,).

    Raises:
        ConfigError: there is none.
    """
    tokens = tokens_read(tokenizer, text)
    if len(tokens) < 2:
        raise ConfigError(N_("There is no text to read. Type or choose one."))
    return tokens


def source_tokens(tokenizer: Tokenizer, text: str) -> Tensor:
    """A source with <end> (1, S).

    Raises:
        ConfigError: there is none, or it has what the model does not know.
    """
    assert tokenizer.source is not None
    if not text.strip():
        raise ConfigError(N_("There is no source. Type one, such as an example of the list."))
    if len(text) > MAX_PAIR_CHARACTERS:
        raise ConfigError(
            N_("The source has {count} characters, and {limit} are allowed. Type a shorter one."),
            count=len(text), limit=MAX_PAIR_CHARACTERS,
        )  # fmt: skip
    unknown = tokenizer.source.unknown_characters(text)
    if unknown:
        raise ConfigError(
            N_("The model has never read this: {characters}. Type another source."), characters=" ".join(unknown[:10])
        )
    return torch.tensor([[*tokenizer.source.encode(text), END]])


def maps(
    model: LanguageModel, tokenizer: Tokenizer, text: str, part: str, masked: Sequence[int] = ()
) -> dict[str, Any]:
    """{"rows" (T,), "columns" (S,), "layers", "heads", "parts", "picture": all maps (see attention_overview), packed,
    "entropy": mean over rows, nats, packed (L, N), "longest": tokens the model can look at, "written"}.
    """
    found = read(model, tokenizer, text, part, masked)
    weights = torch.stack([layer.weights[0] for layer in found.layers])  # (L, N, T, S)
    return {
        "rows": found.rows, "columns": found.columns, "layers": weights.shape[0], "heads": weights.shape[1],
        "parts": list(attention_parts(model)), "picture": pack(overview(weights.numpy())),
        "entropy": pack(torch.special.entr(weights).sum(-1).mean(-1).numpy()), "longest": model.context_length,
        "written": found.written,
    }  # fmt: skip


def one_head(
    model: LanguageModel, tokenizer: Tokenizer, text: str, part: str, layer: int, head: int,
    masked: Sequence[int] = (),
) -> dict[str, Any]:  # fmt: skip
    """{"rows", "columns", "weights": packed (T, S), "entropy": nats a row (T,)}."""
    found = read(model, tokenizer, text, part, masked)
    weights = _head_of(found.layers, layer, head).weights[0, head]
    return {
        "rows": found.rows, "columns": found.columns, "weights": pack(weights.numpy()),
        "entropy": torch.special.entr(weights).sum(-1).tolist(),
    }  # fmt: skip


def _head_of(layers: Sequence[Attended], layer: int, head: int) -> Attended:
    if not 0 <= layer < len(layers) or not 0 <= head < layers[layer].weights.shape[1]:
        raise ConfigError(N_("There is no such layer or head any more. Choose another one."))
    return layers[layer]


def steps(
    model: LanguageModel, tokenizer: Tokenizer, text: str, part: str, layer: int, head: int, query: int,
    scaled: bool = True, use_mask: bool = True, masked: Sequence[int] = (),
) -> dict[str, Any]:  # fmt: skip
    """One query in numbers, see `one_query`, with "rows" and "columns"."""
    found = read(model, tokenizer, text, part, masked)
    numbers = one_query(_head_of(found.layers, layer, head), head, query, scaled=scaled, masked=use_mask)
    return {"rows": found.rows, "columns": found.columns, **numbers}


def average(model: LanguageModel, windows: Tensor, layer: int, head: int) -> Pieces:
    """The last piece: {"weights": the mean map over windows (B, T) of held-out text, packed (T, T), "windows": B}."""
    total: Tensor | None = None
    parts = [part for kind in attention_parts(model).values() for part in kind.values()]
    numbers = len(parts) * parts[0].num_heads * windows.shape[1] ** 2
    for some in torch.split(windows, max(1, AT_ONCE // numbers)):
        yield {}
        with evaluating(model), watched(model) as seen:
            model(some)
        layers = [once for (once,) in seen.values()]
        part = _head_of(layers, layer, head).weights[:, head].sum(0)
        total = part if total is None else total + part
    assert total is not None
    yield {"weights": pack((total / len(windows)).numpy()), "windows": len(windows)}


def names(model: LanguageModel, tokenizer: Tokenizer, windows: Tensor) -> Pieces:
    """The last piece: {"patterns" (P,), "scores" (P, L, N), "uniform" (P,), "queries" (P,), "entropy" (L, N),
    "uniform_entropy", "names" (L, N), "tokens": measured, "induction": on random tokens that come twice (L, N) and
    "induction_uniform", both None where the model does not go on with a text}. Numbers are lists, None for NaN.
    """
    found: Heads | None = None
    for piece in measure_heads(model, tokenizer, windows):
        if isinstance(piece, Heads):
            found = piece
        else:
            yield {"done": piece}
    assert found is not None
    induction = induction_scores(model, tokenizer) if isinstance(model, GPT) else None
    yield {
        "patterns": list(found.patterns), "scores": _plain(found.scores), "uniform": _plain(found.uniform),
        "queries": found.queries.tolist(), "entropy": _plain(found.entropy),
        "uniform_entropy": found.uniform_entropy, "names": found.names, "tokens": windows.numel(),
        "induction": None if induction is None else _plain(induction),
        "induction_uniform": uniform_on_random(model) if isinstance(model, GPT) else None,
    }  # fmt: skip


def induction_scores(model: LanguageModel, tokenizer: Tokenizer) -> np.ndarray[Any, Any]:
    """See `induction_on_random` (L, N); always the same random tokens."""
    usable = torch.arange(len(SPECIAL_TOKENS), tokenizer.vocab_size)
    return induction_on_random(model, usable, torch.Generator().manual_seed(0))


def heads_off(
    model: LanguageModel, tokenizer: Tokenizer, batches: Sequence[Batch], text: str, off: Collection[Head],
    decoding: Mapping[str, Any],
) -> Pieces:  # fmt: skip
    """The last piece: {"plain": {...}, "off": {...}}, in both {"held_out": nats a scored token, "text": what it writes
    (a Transformer: what it makes of the source; a bert writes nothing), and of a gpt "losses": nats of each token of
    the text, "next": [[token, chance], ...]}, and "tokens" that are predicted.
    """
    twin = without_heads(model, off)
    answer: dict[str, Any] = {}
    chances: dict[str, Tensor] = {}
    for name, one in (("plain", model), ("off", twin)):
        found: dict[str, Any] = {"held_out": mean_loss(one, batches)}
        yield {}
        if isinstance(one, PairModel):
            found["text"] = translate(one, tokenizer, source_tokens(tokenizer, text), LONGEST_TARGET)[0].text
        elif one.writes:
            tokens = text_tokens(tokenizer, text)
            losses, _ = surprise(one, tokens)
            found["losses"] = [-nats for nats in losses]
            with evaluating(one):
                chances[name] = one(tokens[None])[0, -1].softmax(0)
            config = DecodingConfig.model_validate({**decoding, "prompt": text})
            found["text"] = ""
            for piece in generate(one, tokenizer, config):
                found["text"] += piece.piece
                yield {}
        answer[name] = found
    if chances:
        best = torch.stack(list(chances.values())).amax(0).topk(min(NEXT, tokenizer.vocab_size)).indices.tolist()
        best.sort(key=lambda token: -float(chances["plain"][token]))
        for name, values in chances.items():
            answer[name]["next"] = [[tokenizer.token_text(token), float(values[token])] for token in best]
        answer["tokens"] = [tokenizer.token_text(token) for token in text_tokens(tokenizer, text)[1:].tolist()]
    yield answer


def ranking(model: LanguageModel, batches: Sequence[Batch], part: str) -> Pieces:
    """The last piece: {"loss", "rises" (L, N)}, see `rank_heads`."""
    for piece in rank_heads(model, batches, part):
        yield {"done": piece} if isinstance(piece, float) else {**piece, "rises": piece["rises"].tolist()}


def lens(model: LanguageModel, tokenizer: Tokenizer, text: str, masked: Sequence[int] = ()) -> dict[str, Any]:
    """What every depth would predict: {"read" (T,), "right" (T,) with None where it is not known, "guesses" (L + 1, T):
    [[token, chance], ...], "true" (L + 1, T), "kl" (L + 1, T)}; see `logit_lens`.
    """
    tokens = text_tokens(tokenizer, text)
    masked = _hidden_places(model, tokens, masked)
    shown = hidden(model, tokens, list(masked)) if isinstance(model, BERT) and masked else None
    found = logit_lens(model, tokens, shown)
    names = [tokenizer.token_text(token) for token in tokens.tolist()]
    read_names = ["<mask>" if place in masked else name for place, name in enumerate(names)]
    right: list[str | None] = [*names[1:], None] if model.writes else list(names)
    guesses = [
        [
            [[tokenizer.token_text(int(token)), float(chance)] for token, chance in zip(ids, chances, strict=True)]
            for ids, chances in zip(depth_ids, depth_chances, strict=True)
        ]
        for depth_ids, depth_chances in zip(found["tokens"], found["chances"], strict=True)
    ]
    return {
        "read": read_names, "right": right, "guesses": guesses, "true": _plain(found["true"]),
        "kl": _plain(found["kl"]),
    }  # fmt: skip


def guesses(model: LanguageModel, tokenizer: Tokenizer, text: str, places: Sequence[int]) -> dict[str, Any]:
    """{"tokens": <begin> and the text, "guesses": one a place, see `masked_guesses`, with tokens as text}."""
    tokens = text_tokens(tokenizer, text)
    name = tokenizer.token_text
    found = masked_guesses(model, tokens, places) if places else []
    rows = [
        {**one, "token": name(one["token"]), "guesses": [[name(token), chance] for token, chance in one["guesses"]]}
        for one in found
    ]
    return {"tokens": [name(token) for token in tokens.tolist()], "guesses": rows}


def classes(model: LanguageModel, tokenizer: Tokenizer, text: str, labels: Sequence[str]) -> dict[str, Any]:
    """{"classes": [[label, chance], ...]} that a classifier gives a text."""
    if not isinstance(model, BERT) or model.classes is None:
        raise ConfigError(N_("This model tells no classes. Fine-tune a bert on labelled texts first."))
    tokens = text_tokens(tokenizer, " ".join(text.split()))[: model.context_length - 1]
    with evaluating(model):
        chances = model(torch.cat([tokens, torch.tensor([END])])[None])[0, 0].softmax(0)
    return {"classes": [[label, float(chance)] for label, chance in zip(labels, chances, strict=True)]}


def positions(model: LanguageModel) -> dict[str, Any]:
    """{"table": packed (C, D), "cosines": packed (C, C), "cosine", "cosine_low", "cosine_high" by distance (C,)}."""
    table = position_table(model)
    alike = position_similarity(table)
    by_distance = {name: alike[name].tolist() for name in ("cosine", "cosine_low", "cosine_high")}
    return {"table": pack(table), "cosines": pack(alike["cosines"].astype(np.float32)), **by_distance}


def position_losses(model: LanguageModel, tokens: np.ndarray[Any, Any], longest: int) -> Pieces:
    """The last piece: {"losses" (T,), "windows", "trained"}, see `loss_by_position`."""
    for piece in loss_by_position(model, tokens, longest):
        yield {"done": piece} if isinstance(piece, float) else {**piece, "losses": piece["losses"].tolist()}


def history(models: Iterable[tuple[int, LanguageModel]], count: int, tokenizer: Tokenizer) -> Pieces:
    """The last piece: {"moments": [{"step", "induction": (L, N)}, ...], oldest first, "uniform": what looking
    everywhere alike scores, None without a moment}.
    """
    moments, uniform = [], None
    for step, model in models:
        moments.append({"step": step, "induction": _plain(induction_scores(model, tokenizer))})
        uniform = uniform_on_random(model) if isinstance(model, GPT) else None
        yield {"done": len(moments) / count}
    yield {"moments": sorted(moments, key=lambda moment: int(moment["step"])), "uniform": uniform}


def _plain(values: np.ndarray[Any, Any]) -> Any:
    """Nested lists; None for what is no number."""
    if values.ndim == 0:
        return float(values) if np.isfinite(values) else None
    return [_plain(part) for part in values]
