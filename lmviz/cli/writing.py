"""generate and score: what a model writes, and how well it predicts."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from lmviz.cli.common import JsonOption, RunArgument, StoreOption, app, passage, show, spoken
from lmviz.errors import N_, ConfigError
from lmviz.runs import Store


@app.command()
def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Option(help="What the text begins with; of pairs the source.")] = "",
    strategy: Annotated[str, typer.Option(help="greedy, sample or beam.")] = "sample",
    temperature: Annotated[float, typer.Option(help="Below 1 surer, above 1 wilder.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the likeliest tokens that together reach p.")] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Only tokens at least this times as likely as the likeliest.")
    ] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 makes tokens already there less likely.")] = 1.0,
    frequency_penalty: Annotated[float, typer.Option(help="Taken from a logit for each time it was written.")] = 0.0,
    presence_penalty: Annotated[float, typer.Option(help="Taken from a logit once if it was written.")] = 0.0,
    no_repeat_ngram: Annotated[int, typer.Option(help="No run of so many tokens comes twice; 0 is off.")] = 0,
    num_beams: Annotated[int, typer.Option(help="Texts that beam search keeps.")] = 4,
    length_penalty: Annotated[float, typer.Option(help="beam: score = logprob / length to this power.")] = 1.0,
    early_stopping: Annotated[
        bool, typer.Option("--early-stopping", help="beam: stop when num-beams texts are finished.")
    ] = False,
    beam_groups: Annotated[int, typer.Option(help="beam: groups that avoid each other's tokens.")] = 1,
    diversity_penalty: Annotated[float, typer.Option(help="beam: what a token of an earlier group costs.")] = 0.0,
    stop: Annotated[list[str] | None, typer.Option(help="End with this string; as often as you like.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens to write.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 1,
    step: Annotated[int | None, typer.Option(help="Weights of this step; the newest if left out.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Also write every step's distributions, stage by stage, to this .npz.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model write."""
    from lmviz.decoding.export import write_trace

    decoding = {
        "prompt": prompt, "strategy": strategy, "temperature": temperature, "top_k": top_k, "top_p": top_p,
        "min_p": min_p, "repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty,
        "presence_penalty": presence_penalty, "no_repeat_ngram": no_repeat_ngram, "num_beams": num_beams,
        "length_penalty": length_penalty, "early_stopping": early_stopping, "beam_groups": beam_groups,
        "diversity_penalty": diversity_penalty, "stop": tuple(stop or ()), "max_new_tokens": max_new_tokens,
        "seed": seed,
    }  # fmt: skip
    with spoken():
        place = Store(store)
        try:
            written = (_search if strategy == "beam" else _write)(place, run, step, decoding)
        except ValidationError as error:
            first = error.errors()[0]
            field = "--" + str(first["loc"][0]).replace("_", "-")
            raise ConfigError(N_("{field} cannot be {value}: {reason}."), field=field, value=str(first["input"]),
                              reason=first["msg"]) from None  # fmt: skip
    if trace is not None:
        with spoken():
            write_trace(place, run, written["step"], decoding, [token["id"] for token in written["tokens"]], trace)
    if not as_json:
        return typer.echo(written["text"] if place.get(run).config().reads_pairs else prompt + written["text"])
    show({"prompt": prompt, "strategy": strategy, "seed": seed, **written})


def _write(store: Store, run: str, step: int | None, decoding: dict[str, Any]) -> dict[str, Any]:
    """One text, token by token."""
    from lmviz.jobs.questions import ask_generate

    pieces = list(ask_generate(store, run, step, **decoding))
    tokens = [token for piece in pieces for token in piece["tokens"]]
    return {
        "text": "".join(token["piece"] for token in tokens),
        "tokens": [{"id": t["id"], "text": t["piece"], "logprob": t["logprob"]} for t in tokens],
        "logprob": sum(token["logprob"] for token in tokens), "step": pieces[-1]["step"],
        "tokens_per_second": pieces[-1]["tokens_per_second"], "beams": [],
    }  # fmt: skip


def _search(store: Store, run: str, step: int | None, decoding: dict[str, Any]) -> dict[str, Any]:
    """The best text of a beam search, and all that it finished, the best score first."""
    from lmviz.decoding.beam import BeamsFound, beam_search
    from lmviz.decoding.config import DecodingConfig
    from lmviz.jobs.of_run import model_of

    model, tokenizer, step = model_of(store, run, step)
    start = time.perf_counter()
    *_, found = beam_search(model, tokenizer, DecodingConfig.model_validate(decoding))
    assert isinstance(found, BeamsFound)
    best = found.hypotheses[0]
    return {
        "text": best.text,
        "tokens": [
            {"id": token, "text": piece, "logprob": logprob}
            for token, piece, logprob in zip(best.tokens, best.pieces, best.logprobs, strict=True)
        ],
        "logprob": best.logprob, "step": step, "tokens_per_second": best.length / (time.perf_counter() - start),
        "beams": [
            {"text": one.text, "logprob": one.logprob, "score": one.score, "length": one.length,
             "finished": one.finished, "group": one.group}
            for one in found.hypotheses
        ],
    }  # fmt: skip


@app.command()
def score(
    run: RunArgument,
    text: Annotated[str | None, typer.Option(help="The text to score.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text file to score.")] = None,
    step: Annotated[int | None, typer.Option(help="Weights of this step; the newest if left out.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """How well a model predicts a text: loss, perplexity, bits per character, and every token."""
    from lmviz.jobs.questions import ask_score
    from lmviz.summary import perplexity_words

    with spoken():
        place = Store(store)
        read = passage(text, file)
        result = next(ask_score(place, run, read, step))
    if as_json:
        return show(result)
    typer.echo(
        f"loss {result['loss']:.4f} nats a token  perplexity {perplexity_words(result['loss'], 3)}"
        f"  {result['bits_per_char']:.4f} bits a character  ({len(result['tokens'])} tokens)"
    )
