"""inspect and gradients: what is to be seen inside."""

from pathlib import Path
from typing import Annotated

import typer

from lmviz.cli.common import JsonOption, RunArgument, StoreOption, app, passage, show, spoken
from lmviz.runs import Store


@app.command()
def inspect(
    run: RunArgument,
    signal: Annotated[str, typer.Option(help="Such as gate.forget, cell, hidden, attention.weights.")],
    out: Annotated[Path, typer.Option(help="A .npz with the array, its axes and the tokens, or a .csv.")],
    text: Annotated[str | None, typer.Option(help="The text that the model reads.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text file instead.")] = None,
    step: Annotated[int | None, typer.Option(help="Weights of this step; the newest if left out.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """A signal inside a model while it reads a text, as a file: gates, states, attention, logits."""
    from lmviz.inspect.export import signal_of, write_signal
    from lmviz.jobs.of_run import model_of

    with spoken():
        read = passage(text, file)
        model, tokenizer, step = model_of(Store(store), run, step)
        values, axes, tokens = signal_of(model, tokenizer, signal, read)
        write_signal(out, signal, values, axes, tokens)
    if as_json:
        return show({
            "run": run, "step": step, "signal": signal, "shape": list(values.shape), "axes": list(axes),
            "tokens": tokens, "path": str(out),
        })  # fmt: skip
    shape = ", ".join(f"{axis} {size}" for axis, size in zip(axes, values.shape, strict=True))
    typer.echo(f"{signal} ({shape}) written to {out}")


@app.command()
def gradients(
    models: Annotated[
        str, typer.Option(help="Cells, with commas: rnn, nvsi, nvsi+carry, gru, lstm.")
    ] = "rnn,nvsi,gru,lstm",
    run: Annotated[str | None, typer.Option(help="Measure a trained run instead of cells at birth.")] = None,
    step: Annotated[int | None, typer.Option(help="Weights of this step of the run; the newest if left out.")] = None,
    length: Annotated[
        int | None, typer.Option(help="Steps; of a run its context length if left out. [default: 30]")
    ] = None,
    hidden: Annotated[int, typer.Option(help="Numbers in the hidden state.")] = 64,
    init: Annotated[str, typer.Option(help="Initial weights: pytorch, xavier, kaiming or orthogonal.")] = "pytorch",
    gain: Annotated[float, typer.Option(help="Factor on the recurrent weights (not for pytorch).")] = 1.0,
    forget_gate_bias: Annotated[float | None, typer.Option(help="Of the lstm; what init gives if left out.")] = None,
    input_gate_bias: Annotated[float | None, typer.Option(help="Of nvsi; what init gives if left out.")] = None,
    update_gate_bias: Annotated[float | None, typer.Option(help="Of the gru; what init gives if left out.")] = None,
    carry: Annotated[bool, typer.Option(help="Give nvsi the path that the article's cell lacks.")] = False,
    input_scale: Annotated[float, typer.Option(help="Factor on the random input.")] = 1.0,
    every_step: Annotated[bool, typer.Option(help="Loss summed over all steps: looks flat for every cell.")] = False,
    seed: Annotated[int, typer.Option(help="Decides weights and input.")] = 1,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far back does learning reach? Norm of the last loss's gradient at every earlier state, by lag."""
    import torch

    from lmviz.inspect.command import cells_of, table
    from lmviz.jobs.questions import ask_gradients, ask_run_gradients

    torch.set_num_threads(1)  # as a page has it: where a cell is chaotic, another order of sums is another number
    how = {"every_step": every_step, "jacobian": True, "spectra": True}
    with spoken():
        if run is not None:
            *_, document = ask_run_gradients(Store(store), run, step, length, **how)
        else:
            biases = {"lstm": forget_gate_bias, "nvsi": input_gate_bias, "gru": update_gate_bias}
            cells = cells_of(models, hidden, init, gain, biases, carry)
            steps = 30 if length is None else length
            *_, document = ask_gradients(Store(store), cells, steps, seed=seed, input_scale=input_scale, **how)
    if as_json:
        return show(document)
    for line in table(document):
        typer.echo(line)
