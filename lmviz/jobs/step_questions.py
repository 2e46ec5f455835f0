"""The questions about single steps of writing, by name."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.trace import StepTrace, trace
from lmviz.errors import N_, ConfigError
from lmviz.inspect.temperatures import sweep
from lmviz.jobs.of_run import Answer, model_of
from lmviz.limits import MAX_STEPPED_TOKENS
from lmviz.packing import pack
from lmviz.runs import Store
from lmviz.tokenizers import END, StreamDecoder, Tokenizer

LISTED = 24
"""Tokens that are named one by one, at the least the likeliest of them before and after all stages."""
PIECE_SECONDS = 0.08


def ask_step(
    store: Store, run: str, step: int | None = None, tokens: Sequence[int] = (), **decoding: Any
) -> Answer:  # fmt: skip
    """The last piece: the choice of the token after the prompt and `tokens`.

    {"path": of every token {"id", "text", "piece", "logprob", "probability", "forced"}, "logprob": of all of them,
    "stages": [{"name", "kept", "entropy", "gone"}], "rows": [{"id", "text", "chances": one a stage}], "others":
    {"count", "chances"}, "drawn": a token as in path, "vocabulary", "ended"}. gone: probability before the stage of
    what it takes out. forced: the lottery, or the likeliest, would have been another.
    """
    if len(tokens) > MAX_STEPPED_TOKENS:
        raise ConfigError(
            N_("The text has {limit} tokens, and no more are stepped through here. Start again, or write it in one"
               " go."), limit=MAX_STEPPED_TOKENS,
        )  # fmt: skip
    model, tokenizer, step = model_of(store, run, step)
    config = DecodingConfig.model_validate(decoding)
    writer = StreamDecoder(tokenizer)
    path: list[dict[str, Any]] = []
    sent = time.perf_counter()
    now = None
    for now in trace(model, tokenizer, config, tokens):
        if len(path) == len(tokens):
            break
        path.append(_token(tokenizer, writer, now, tokens[len(path)]))
        if time.perf_counter() - sent > PIECE_SECONDS:
            yield {"done": len(path) / (len(tokens) + 1)}
            sent = time.perf_counter()
    assert now is not None
    yield {
        "run": run, "step": step, "path": path, "logprob": sum(token["logprob"] for token in path),
        "vocabulary": tokenizer.vocab_size, "ended": bool(tokens) and tokens[-1] == END,
        "drawn": _token(tokenizer, writer, now, now.drawn), **_described(tokenizer, now),
    }  # fmt: skip


def _token(tokenizer: Tokenizer, writer: StreamDecoder, now: StepTrace, token: int) -> dict[str, Any]:
    return {
        "id": token, "text": tokenizer.token_text(token), "piece": writer.feed(token),
        "logprob": float(now.logits[0].log_softmax(0)[token]), "probability": float(now.logits[-1].softmax(0)[token]),
        "forced": token != now.drawn,
    }  # fmt: skip


def _described(tokenizer: Tokenizer, now: StepTrace) -> dict[str, Any]:
    chances = now.probabilities.double()  # (stages, V)
    listed = _listed(chances, now.drawn)
    rows = chances[:, listed].T.tolist()  # (rows, stages)
    alive = now.logits.isfinite()  # (stages, V)
    gone = [0.0, *(float(chances[i][~alive[i + 1]].sum()) for i in range(len(chances) - 1))]
    return {
        "stages": [
            {"name": name, "kept": kept, "entropy": entropy, "gone": lost}
            for name, kept, entropy, lost in zip(
                now.stages, alive.sum(1).tolist(), torch.special.entr(chances).sum(1).tolist(), gone, strict=True
            )
        ],
        "rows": [
            {"id": token, "text": tokenizer.token_text(token), "chances": row}
            for token, row in zip(listed.tolist(), rows, strict=True)
        ],
        "others": {
            "count": chances.shape[1] - len(listed),
            "chances": (1 - chances[:, listed].sum(1)).clamp(min=0).tolist(),
        },
    }  # fmt: skip


def _listed(chances: Tensor, drawn: int) -> Tensor:
    """Tokens to be named, the likeliest of the model first."""
    count = min(LISTED, chances.shape[1])
    best = [chances[0].topk(count).indices, chances[-1].topk(min(count, 12)).indices, torch.tensor([drawn])]
    wanted: Tensor = torch.cat(best).unique()  # type: ignore[no-untyped-call]
    return wanted[chances[0][wanted].argsort(descending=True, stable=True)]


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


STEP_QUESTIONS: dict[str, Callable[..., Answer]] = {"step": ask_step, "temperatures": ask_temperatures}
