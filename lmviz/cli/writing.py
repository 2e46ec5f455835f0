"""generate and score: what a model writes, and how well it predicts."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from lmviz.cli.common import JsonOption, RunArgument, StoreOption, app, passage, show, spoken
from lmviz.errors import N_, ConfigError
from lmviz.runs import Store


@app.command()
def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Option(help="What the text begins with; of pairs the source.")] = "",
    strategy: Annotated[str, typer.Option(help="greedy or sample.")] = "sample",
    temperature: Annotated[float, typer.Option(help="Below 1 surer, above 1 wilder.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the likeliest tokens that together reach p.")] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 makes tokens already there less likely.")] = 1.0,
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
    from lmviz.jobs.questions import ask_generate

    decoding = {
        "prompt": prompt, "strategy": strategy, "temperature": temperature, "top_k": top_k, "top_p": top_p,
        "repetition_penalty": repetition_penalty, "max_new_tokens": max_new_tokens, "seed": seed,
    }  # fmt: skip
    with spoken():
        place = Store(store)
        try:
            pieces = list(ask_generate(place, run, step, **decoding))
        except ValidationError as error:
            first = error.errors()[0]
            field = "--" + str(first["loc"][0]).replace("_", "-")
            raise ConfigError(N_("{field} cannot be {value}: {reason}."), field=field, value=str(first["input"]),
                              reason=first["msg"]) from None  # fmt: skip
    tokens = [token for piece in pieces for token in piece["tokens"]]
    text = "".join(token["piece"] for token in tokens)
    if trace is not None:
        with spoken():
            write_trace(place, run, pieces[-1]["step"], decoding, [token["id"] for token in tokens], trace)
    if not as_json:
        return typer.echo(text if place.get(run).config().reads_pairs else prompt + text)
    show({
        "prompt": prompt, "text": text,
        "tokens": [{"id": t["id"], "text": t["piece"], "logprob": t["logprob"]} for t in tokens],
        "logprob": sum(token["logprob"] for token in tokens), "strategy": strategy, "seed": seed,
        "step": pieces[-1]["step"], "tokens_per_second": pieces[-1]["tokens_per_second"], "beams": [],
    })  # fmt: skip


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
