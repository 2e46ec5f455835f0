"""The question of a text that is written step by step: what each token was chosen from."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.trace import Moment, Walk, may_follow, trace
from lmviz.inspect.temperatures import sweep
from lmviz.jobs.of_run import Answer, model_of
from lmviz.limits import MAX_STEPPED_TOKENS
from lmviz.models.base import LanguageModel
from lmviz.packing import pack
from lmviz.runs import Store
from lmviz.tokenizers import END, StreamDecoder, Tokenizer

ROWS = 40
"""Tokens of each stage, the most probable, that an answer holds."""
PIECE_SECONDS = 0.08


class _Walks:
    """The last walks: to go on by one token is one step of the model, not all of them."""

    MOST = 4

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[int, str, tuple[int, ...]], Walk] = OrderedDict()

    def take(self, model: LanguageModel, config: str, tokens: Sequence[int]) -> Walk | None:
        """One along these tokens, as far as it goes, or further; it belongs to the caller until it is given back."""
        # A key holds the id of a model that its walk keeps alive, so no other model can have it.
        known = [key for key in self.kept if key[:2] == (id(model), config)]
        if not known:
            return None
        best = max(known, key=lambda key: _common(key[2], tokens))
        common = _common(best[2], tokens)
        if common < min(len(best[2]), len(tokens)):
            return self.kept[best].fork(common)
        return self.kept.pop(best)

    def give_back(self, model: LanguageModel, config: str, walk: Walk) -> None:
        self.kept[id(model), config, tuple(walk.tokens)] = walk
        while len(self.kept) > self.MOST:
            self.kept.popitem(last=False)


_walks = _Walks()


def ask_step(
    store: Store, run: str, tokens: Sequence[int], place: int | None = None, step: int | None = None, **decoding: Any
) -> Answer:  # fmt: skip
    """The last piece: the path and what is chosen from at one place of it.

    Args:
        tokens: taken after the prompt; what comes from the first on that cannot follow is left out, see "read".
        place: from 0, which token is asked about; len(tokens), the next one, if None.

    {"run", "step", "read": tokens that could be taken, "ended", "place", "vocabulary": V, "path": [{"id", "text",
    "piece", "logprob", "probability", "drawn", "drawn_text"}], "stages": [{"name", "entropy" in nats, "left",
    "removed", "moved"}], and the tokens that are most probable at any stage, in the order of the model's own
    probabilities (R of them): "ids", "texts", packed "probabilities" (R, S) and "kept" (R, S), "noise" (R,) or None,
    "scores" (R,) as shares of the largest; "tail" [{"count" of the others that a stage left, "probability"}]; "drawn",
    "rank": of what was drawn, 1 for the model's most probable token}.
    """
    model, tokenizer, step = model_of(store, run, step)
    config = DecodingConfig.model_validate(decoding)
    readable = _readable(tokens, tokenizer.vocab_size)
    # How long a text may get changes nothing of what a step is chosen from.
    key = config.model_copy(update={"max_new_tokens": 1, "stop": ()}).model_dump_json()
    walk = _walks.take(model, key, readable) or Walk(model, tokenizer, config)
    sent = time.perf_counter()
    while len(walk.taken) < len(readable):
        walk.take(readable[len(walk.taken)])
        if time.perf_counter() - sent > PIECE_SECONDS:
            yield {"done": len(walk.taken) / len(readable)}
            sent = time.perf_counter()
    ended = bool(readable) and readable[-1] == END
    last = len(readable) - ended
    place = last if place is None else max(0, min(place, last))
    also = [readable[place]] if place < len(readable) else []
    answer = {
        "run": run, "step": step, "read": len(readable), "ended": ended, "place": place,
        "vocabulary": tokenizer.vocab_size, "path": _path(walk, tokenizer, len(readable)),
        **_look(walk.moment(place), tokenizer, also),
    }  # fmt: skip
    _walks.give_back(model, key, walk)
    yield answer


def ask_step_branch(
    store: Store, run: str, prompt: str, tokens: Sequence[int], step: int | None = None
) -> Answer:  # fmt: skip
    """The last piece {"texts", "logprob"}: the tokens of a path and the model's log-probability of it, nats."""
    model, tokenizer, step = model_of(store, run, step)
    key = json.dumps(["tree", prompt])
    readable = _readable(tokens, tokenizer.vocab_size)
    walk = _walks.take(model, key, readable)
    walk = walk or Walk(model, tokenizer, DecodingConfig(prompt=prompt, strategy="greedy"))
    sent = time.perf_counter()
    while len(walk.taken) < len(readable):
        walk.take(readable[len(walk.taken)])
        if time.perf_counter() - sent > PIECE_SECONDS:
            yield {"done": len(walk.taken) / len(readable)}
            sent = time.perf_counter()
    logprob = sum(one.logprob for one in walk.taken[: len(readable)])
    _walks.give_back(model, key, walk)
    yield {"texts": [tokenizer.token_text(token) for token in readable], "logprob": logprob}


def _readable(tokens: Sequence[int], vocab_size: int) -> list[int]:
    """The tokens up to the first that cannot follow those before it."""
    readable: list[int] = []
    for token in tokens[:MAX_STEPPED_TOKENS]:
        if not may_follow(token, vocab_size) or END in readable[-1:]:
            break
        readable.append(int(token))
    return readable


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _path(walk: Walk, tokenizer: Tokenizer, length: int) -> list[dict[str, Any]]:
    writer = StreamDecoder(tokenizer)
    return [
        {
            **asdict(one), "id": one.token, "text": tokenizer.token_text(one.token), "piece": writer.feed(one.token),
            "drawn_text": tokenizer.token_text(one.drawn),
        }
        for one in walk.taken[:length]
    ]  # fmt: skip


def _look(moment: Moment, tokenizer: Tokenizer, also: Sequence[int]) -> Mapping[str, Any]:
    """also: tokens that have a row in any case."""
    probabilities, kept = moment.exact, moment.kept  # (S, V)
    shown = torch.zeros(probabilities.shape[1], dtype=torch.bool)
    shown[probabilities.topk(min(ROWS, len(shown)), 1).indices.flatten()] = True
    shown[[moment.drawn, *also]] = True
    raw = probabilities[0]
    order = raw.masked_fill(~shown, -1).argsort(descending=True, stable=True)[: int(shown.sum())]  # (R,)
    ids = order.tolist()
    others = ~shown
    return {
        "stages": [
            {"name": name, "entropy": entropy, "left": left, "removed": removed, "moved": moved}
            for name, entropy, left, removed, moved in zip(
                moment.stages, moment.entropies.tolist(), moment.left.tolist(), moment.removed.tolist(),
                moment.moved.tolist(), strict=True,
            )
        ],
        "ids": ids, "texts": [tokenizer.token_text(token) for token in ids],
        "probabilities": pack(probabilities[:, order].T.numpy()),
        "kept": pack(kept[:, order].T.to(torch.uint8).numpy()),
        "noise": None if moment.noise is None else moment.noise[order].tolist(),
        "scores": (moment.scores[order] / moment.scores.max()).tolist(),
        "tail": [
            {"count": count, "probability": share}
            for count, share in zip(
                (kept & others).sum(1).tolist(), (probabilities * others).sum(1).tolist(), strict=True
            )
        ],
        "drawn": moment.drawn, "rank": 1 + int((raw > raw[moment.drawn]).sum()),
    }  # fmt: skip


def ask_temperatures(store: Store, run: str, prompt: str, step: int | None = None) -> Answer:
    """One piece: the token after the prompt at every temperature; see inspect.temperatures.Sweep, chances packed."""
    model, tokenizer, step = model_of(store, run, step)
    (now,) = trace(model, tokenizer, DecodingConfig(prompt=prompt))
    found = sweep(now.logits[-1])  # without <unk> and <begin>, which never come
    yield {
        "run": run, "step": step, "temperatures": found.temperatures.tolist(), "chances": pack(found.chances),
        "tokens": [tokenizer.token_text(token) for token in found.tokens], "entropy": found.entropy.tolist(),
        "outside": found.outside.tolist(), "needed": found.needed.tolist(),
        "count": int(now.logits[-1].isfinite().sum()),
    }  # fmt: skip


STEP_QUESTIONS: dict[str, Callable[..., Answer]] = {
    "step": ask_step, "step_branch": ask_step_branch, "temperatures": ask_temperatures,
}  # fmt: skip
