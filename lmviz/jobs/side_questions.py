"""The question of the part Side by side: one prompt, written in several ways."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lmviz.decoding.beam import BeamsFound, beam_search
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.decoding.processors import Stage
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.inspect.copying import copied, distinct, span_length
from lmviz.inspect.repetition import longest_repeat
from lmviz.jobs.of_run import Answer, Text, model_of, text_of
from lmviz.limits import MAX_SIDE_TOKENS, MAX_SIDES, MAX_SOURCE_TOKENS
from lmviz.runs import Store

PIECE_SECONDS = 0.08


def ask_side(store: Store, sides: Sequence[Mapping[str, Any]]) -> Answer:
    """sides: {"run", "step", and what DecodingConfig takes}. The last piece: {"sides": [{"run", "step", "tokens" (see
    GeneratedToken; "copied" says whether it stands in the training text), "text", "logprob", "perplexity", "entropy"
    (mean, nats), "distinct_1", "distinct_2", "repeated" (characters), "copied" (share), "span" (characters from which
    it counts), "seconds", "tokens_per_second"}]}; what cannot be measured is None.
    """
    if not 1 <= len(sides) <= MAX_SIDES:
        raise ConfigError(N_("Up to {limit} texts are compared. Take some out."), limit=MAX_SIDES)
    found: list[dict[str, Any]] = []
    for place, side in enumerate(sides):
        model, tokenizer, step = model_of(store, side["run"], side["step"])
        config = DecodingConfig.model_validate({k: v for k, v in side.items() if k not in ("run", "step")})
        if config.max_new_tokens > MAX_SIDE_TOKENS:
            raise ConfigError(N_("Texts of up to {limit} tokens are compared. Take fewer."), limit=MAX_SIDE_TOKENS)
        begun = sent = time.perf_counter()
        waited = 0.0
        tokens: list[dict[str, Any]] = []
        writing = _beam if config.strategy == "beam" else generate
        for token in writing(model, tokenizer, config):
            if token is not None:
                tokens.append(dict(vars(token)))
            if time.perf_counter() - sent > PIECE_SECONDS:
                paused = time.perf_counter()
                yield {"done": (place + len(tokens) / config.max_new_tokens) / (len(sides) + 1)}
                sent = time.perf_counter()
                waited += sent - paused
        seconds = time.perf_counter() - begun - waited
        found.append({"run": side["run"], "step": step, "tokens": tokens, "seconds": seconds})
    for place, one in enumerate(found):
        source = yield from _source(store, one["run"])
        one.update(_measures(one["tokens"], source))
        one["tokens_per_second"] = len(one["tokens"]) / one["seconds"] if one["seconds"] else None
        yield {"done": (len(found) + (place + 1) / len(found)) / (len(found) + 1)}
    yield {"sides": found}


def _beam(model: Any, tokenizer: Any, config: DecodingConfig) -> Generator[Any, None, None]:
    """None while it searches, then the records of its best text, as `generate` makes them."""
    best = None
    for step in beam_search(model, tokenizer, config):
        if isinstance(step, BeamsFound):
            best = step.hypotheses[0]
        yield None
    assert best is not None
    forced = iter(best.tokens)
    greedy = config.model_copy(update={"strategy": "greedy", "max_new_tokens": max(1, len(best.tokens))})

    def only(logits: Any, history: Any) -> Any:
        kept = logits.new_full(logits.shape, -math.inf)
        kept[next(forced)] = 0.0
        return kept

    yield from generate(model, tokenizer, greedy.model_copy(update=_PLAIN), [Stage("beam", only)])


_PLAIN = {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "no_repeat_ngram": 0}


def _measures(tokens: list[dict[str, Any]], source: str | None) -> dict[str, Any]:
    text = "".join(token["piece"] for token in tokens)
    ids = [token["id"] for token in tokens]
    count = max(1, len(tokens))
    logprob = math.fsum(token["logprob"] for token in tokens)
    least = span_length(text)
    marks = None if source is None else copied(text, source, least)
    start = 0
    for token in tokens:
        end = start + len(token["piece"])
        token["copied"] = bool(marks and end > start and all(marks[start:end]))
        start = end
    return {
        "text": text, "logprob": logprob, "perplexity": math.exp(min(700, -logprob / count)),
        "entropy": math.fsum(token["entropy"] for token in tokens) / count,
        "distinct_1": distinct(ids, 1), "distinct_2": distinct(ids, 2), "repeated": longest_repeat(text),
        "copied": sum(marks) / len(marks) if marks else None, "span": least,
    }  # fmt: skip


def _source(store: Store, run: str) -> Generator[dict[str, Any], None, str | None]:
    """What the run learned from; None if it is no text, is not there any more, or is too long to be searched."""
    try:
        text: Text = yield from text_of(store, run)
    except LmvizError:
        return None
    if text.changed or len(text.data.train) > MAX_SOURCE_TOKENS:
        return None
    return _decoded(store.get(run).path.as_posix(), text.data.fingerprint, text)


@lru_cache(maxsize=2)
def _kept(path: str, fingerprint: str) -> list[str]:
    """Where the training text of a run is kept once it is known."""
    return []


def _decoded(path: str, fingerprint: str, text: Text) -> str:
    kept = _kept(path, fingerprint)
    if not kept:
        kept.append(text.data.tokenizer.decode(text.data.train.tolist()))
    return kept[0]


SIDE_QUESTIONS: dict[str, Callable[..., Answer]] = {"side": ask_side}
