"""The question of the part Side by side: one prompt, written in several ways."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lmviz.decoding.batch import write_records
from lmviz.decoding.beam import BeamsFound, beam_search
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import GeneratedToken, generate
from lmviz.decoding.processors import Stage
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.inspect.copying import distinct, search, span_length
from lmviz.inspect.learned_text import learned_text
from lmviz.inspect.repetition import longest_repeat
from lmviz.jobs.of_run import Answer, Text, in_pieces, model_of, text_of
from lmviz.limits import MAX_SIDE_TOKENS, MAX_SIDES, MAX_SOURCE_TOKENS
from lmviz.models.base import LanguageModel
from lmviz.runs import Store
from lmviz.tokenizers import Tokenizer

PIECE_SECONDS = 0.08


def ask_side(store: Store, sides: Sequence[Mapping[str, Any]]) -> Answer:
    """sides: {"run", "step", and what DecodingConfig takes}.

    Pieces {"done", "new": [[place of a side, its new tokens], ...]}; sides of one model are written together, so they
    grow together. The last piece: {"sides": [{"run", "step", "tokens" (see GeneratedToken; "copied" says whether it
    stands in the training text), "text", "logprob", "perplexity", "entropy" (mean, nats), "distinct_1", "distinct_2",
    "repeated" (characters), "copied" (share), "span" (characters from which it counts), "together" (texts that were
    written at once), "seconds" (until this one was finished), "tokens_per_second"}]}; what cannot be measured is None.
    """
    if not 1 <= len(sides) <= MAX_SIDES:
        raise ConfigError(N_("Up to {limit} texts are compared. Take some out."), limit=MAX_SIDES)
    configs: list[DecodingConfig] = []
    groups: dict[Any, list[int]] = {}
    for place, side in enumerate(sides):
        config = DecodingConfig.model_validate({k: v for k, v in side.items() if k not in ("run", "step")})
        if config.max_new_tokens > MAX_SIDE_TOKENS:
            raise ConfigError(N_("Texts of up to {limit} tokens are compared. Take fewer."), limit=MAX_SIDE_TOKENS)
        configs.append(config)
        alone = place if config.strategy == "beam" else None
        groups.setdefault((side["run"], side["step"], config.prompt, alone), []).append(place)
    found: list[dict[str, Any]] = [{} for _side in sides]
    written = 0
    for (run, step, _prompt, beam), places in groups.items():
        model, tokenizer, step = model_of(store, run, step)
        for place in places:
            found[place] = {"run": run, "step": step, "tokens": [], "seconds": 0.0, "together": len(places)}
        some = [configs[place] for place in places]
        share = len(places) / (len(sides) + 1)
        pieces = _beam(model, tokenizer, some[0]) if beam is not None else write_records(model, tokenizer, some)
        yield from _grow(pieces, [found[place] for place in places], places, written, share, some)
        written += len(places)
    yield from _measured(store, found)
    yield {"sides": found}


def _grow(
    pieces: Iterator[list[list[GeneratedToken]]], texts: list[dict[str, Any]], places: list[int], before: int,
    share: float, configs: list[DecodingConfig],
) -> Answer:  # fmt: skip
    """Pieces while some texts are written, and in `texts` their tokens and seconds; the time that others take in
    between does not count.
    """
    begun = sent = time.perf_counter()
    new: list[list[dict[str, Any]]] = [[] for _text in texts]
    for piece in pieces:
        now = time.perf_counter()
        for text, records, unsent in zip(texts, piece, new, strict=True):
            if records:
                tokens = [dict(vars(record)) for record in records]
                text["tokens"] += tokens
                text["seconds"] = now - begun
                unsent += tokens
        if now - sent > PIECE_SECONDS:
            grown = max(len(t["tokens"]) / c.max_new_tokens for t, c in zip(texts, configs, strict=True))
            yield {
                "done": share * (before / len(places) + grown),
                "new": [[place, tokens] for place, tokens in zip(places, new, strict=True) if tokens],
            }
            new = [[] for _text in texts]
            sent = time.perf_counter()
            begun += sent - now
    yield {
        "done": share * (before / len(places) + 1),
        "new": [[place, tokens] for place, tokens in zip(places, new, strict=True) if tokens],
    }


def _beam(
    model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig
) -> Iterator[list[list[GeneratedToken]]]:  # fmt: skip
    """No records while it searches, then those of its best text, as `generate` makes them."""
    best = None
    for step in beam_search(model, tokenizer, config):
        if isinstance(step, BeamsFound):
            best = step.hypotheses[0]
        yield [[]]
    assert best is not None
    forced = iter(best.tokens)
    greedy = config.model_copy(update={"strategy": "greedy", "max_new_tokens": max(1, len(best.tokens))})

    def only(logits: Any, history: Any) -> Any:
        kept = logits.new_full(logits.shape, -math.inf)
        kept[next(forced)] = 0.0
        return kept

    for record in generate(model, tokenizer, greedy.model_copy(update=_PLAIN), [Stage("beam", only)]):
        yield [[record]]


_PLAIN = {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "no_repeat_ngram": 0}


def _measured(store: Store, found: list[dict[str, Any]]) -> Answer:
    """Pieces while the texts are measured, and in `found` the measures."""
    share = len(found) / (len(found) + 1)
    sources: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        one.update(_own_measures(one["tokens"]))
        one["tokens_per_second"] = len(one["tokens"]) / one["seconds"] if one["seconds"] else None
        sources.setdefault(one["run"], []).append(one)
    for number, (run, some) in enumerate(sources.items()):
        yield {"done": share + (1 - share) * number / len(sources)}
        source = yield from _source(store, run)
        if source is None:
            continue
        marks: list[list[bool]] = []
        for found_so_far in search([one["text"] for one in some], source, [one["span"] for one in some]):
            marks = found_so_far
            yield {"done": share + (1 - share) * number / len(sources)}
        for one, own in zip(some, marks, strict=True):
            one["copied"] = sum(own) / len(own) if own else None
            start = 0
            for token in one["tokens"]:
                end = start + len(token["piece"])
                token["copied"] = end > start and all(own[start:end])
                start = end


def _own_measures(tokens: list[dict[str, Any]]) -> dict[str, Any]:
    """What needs no other text."""
    text = "".join(token["piece"] for token in tokens)
    ids = [token["id"] for token in tokens]
    count = max(1, len(tokens))
    logprob = math.fsum(token["logprob"] for token in tokens)
    return {
        "text": text, "logprob": logprob, "perplexity": math.exp(min(700, -logprob / count)),
        "entropy": math.fsum(token["entropy"] for token in tokens) / count,
        "distinct_1": distinct(ids, 1), "distinct_2": distinct(ids, 2), "repeated": longest_repeat(text),
        "copied": None, "span": span_length(text),
    }  # fmt: skip


def _source(store: Store, run: str) -> Generator[dict[str, Any], None, str | None]:
    """What the run learned from; None if it is no text, is not there any more, or is too long to be searched."""
    try:
        text: Text = yield from text_of(store, run)
    except LmvizError:
        return None
    if text.changed or len(text.data.train) > MAX_SOURCE_TOKENS:
        return None
    config = store.get(run).config()
    kept = _kept(text.data.fingerprint, config.tokenizer.model_dump_json(), config.corpus.validation_fraction)
    if not kept:
        kept.append((yield from in_pieces(learned_text(text.data.tokenizer, text.data.train))))
    return kept[0]


@lru_cache(maxsize=2)
def _kept(fingerprint: str, tokenizer: str, validation_fraction: float) -> list[str]:
    """Where a training text is kept once it is known: runs of one text share it."""
    return []


SIDE_QUESTIONS: dict[str, Callable[..., Answer]] = {"side": ask_side}
