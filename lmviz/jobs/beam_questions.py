"""The questions about beam search, by name."""

import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from lmviz.decoding.beam import BeamsFound, Candidate, Hypothesis, beam_search, ends_of
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import GeneratedToken, generate
from lmviz.inspect.repetition import longest_repeat
from lmviz.jobs.of_run import Answer, model_of
from lmviz.models.base import LanguageModel
from lmviz.runs import Store
from lmviz.tokenizers import END, Tokenizer

TURN = 0.06
"""Seconds after which others have their turn."""
WIDTHS = (1, 2, 4, 8)


def ask_beam(store: Store, run: str, step: int | None = None, **decoding: Any) -> Answer:
    """The last piece: the tree of a beam search, what it found, and the text of greedy search beside it.

    {"nodes": for each field of a Candidate its values, and "step", "hypotheses": [...], "greedy": a hypothesis,
    "ends": tokens that end a text}; a hypothesis has the fields of `Hypothesis`, and logprob, length, texts
    (its tokens for people), repeat (its longest repeated run).
    """
    model, tokenizer, step = model_of(store, run, step)
    config = DecodingConfig.model_validate({**decoding, "strategy": "beam"})
    columns: dict[str, list[Any]] = {name: [] for name in ("step", *(field.name for field in fields(Candidate)))}
    found: tuple[Hypothesis, ...] = ()
    sent = time.perf_counter()
    for record in beam_search(model, tokenizer, config):
        if isinstance(record, BeamsFound):
            found = record.hypotheses
            break
        for node in record.candidates:
            columns["step"].append(record.number)
            for name, value in vars(node).items():
                columns[name].append(value)
        if time.perf_counter() - sent > TURN:
            yield {"done": 0.8 * record.number / config.max_new_tokens}  # the rest is greedy's
            sent = time.perf_counter()
    alone = config.model_copy(update={"num_beams": 1, "beam_groups": 1})
    greedy = yield from _in_turns(model, tokenizer, alone, 0.8)
    yield {
        "run": run, "step": step, "nodes": columns, "hypotheses": [_as_json(one, tokenizer) for one in found],
        "greedy": _as_json(greedy, tokenizer), "ends": sorted(ends_of(tokenizer, config.stop)),
    }  # fmt: skip


def ask_beam_widths(store: Store, run: str, step: int | None = None, **decoding: Any) -> Answer:
    """The last piece: the best text of 1, 2, 4 and 8 beams, and a drawn one, with how much each repeats itself.

    {"rows": [{"beams" (None: drawn by chance from all tokens), "text", "own", "length", "repeat"}]}
    """
    model, tokenizer, step = model_of(store, run, step)
    config = DecodingConfig.model_validate({**decoding, "strategy": "beam", "beam_groups": 1})
    rows: list[dict[str, Any]] = []
    for beams in WIDTHS:
        done = sum(row["beams"] for row in rows) / sum(WIDTHS)
        best = yield from _in_turns(model, tokenizer, config.model_copy(update={"num_beams": beams}), done)
        rows.append(_row(beams, best.text, best.own, best.tokens))
    drawn: list[GeneratedToken] = []
    plainly = {
        "strategy": "sample", "repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0,
        "no_repeat_ngram": 0,
    }  # fmt: skip
    sent = time.perf_counter()
    for token in generate(model, tokenizer, config.model_copy(update=plainly)):
        drawn.append(token)
        if time.perf_counter() - sent > TURN:
            yield {"done": 1.0}
            sent = time.perf_counter()
    text = "".join(token.piece for token in drawn)
    rows.append(_row(None, text, sum(token.logprob for token in drawn), [token.id for token in drawn]))
    yield {"run": run, "step": step, "rows": rows}


def _in_turns(model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, done: float) -> Any:
    """Pieces that say how far all is, then the best text of a search."""
    sent = time.perf_counter()
    for record in beam_search(model, tokenizer, config):
        if isinstance(record, BeamsFound):
            return record.hypotheses[0]
        if time.perf_counter() - sent > TURN:
            yield {"done": done}
            sent = time.perf_counter()


def _row(beams: int | None, text: str, own: float, tokens: Sequence[int]) -> dict[str, Any]:
    return {"beams": beams, "text": text, "own": own, "length": len(tokens), "repeat": _repeat(tokens)}


def _repeat(tokens: Sequence[int]) -> int:
    return longest_repeat([token for token in tokens if token != END])


def _as_json(one: Hypothesis, tokenizer: Tokenizer) -> dict[str, Any]:
    text = cache(tokenizer.token_text)
    more = {"logprob": one.logprob, "length": one.length, "repeat": _repeat(one.tokens)}
    return {**vars(one), **more, "texts": [text(token) for token in one.tokens]}


BEAM_QUESTIONS: dict[str, Callable[..., Answer]] = {"beam": ask_beam, "beam_widths": ask_beam_widths}
