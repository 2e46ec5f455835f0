"""What a run came to, as plain values: for tables, for comparisons and for --json. No torch."""

import math
from typing import Any

from lmviz.runs import Run

MEASURED = ("accuracy", "accuracies", "exact_match", "character_error_rate", "right_share")
"""What lines of runs tell more that learned a task, pairs or labels: shares of right answers, and the like."""


def evaluated_lines(run: Run) -> list[dict[str, Any]]:
    """The metrics lines that have a validation loss."""
    return [line for line in run.metrics() if line["val_loss"] is not None]


def bits_per_character(loss: float, data: dict[str, Any]) -> float | None:
    """Nats a token -> bits a character of the validation text, comparable across tokenizers.

    Too low for words that are not in the vocabulary: <unk> costs few bits and stands for many characters.
    """
    characters = data.get("validation_characters")
    return loss / math.log(2) * data["validation_tokens"] / characters if characters else None


def perplexity(loss: float) -> float:
    """e^loss, the largest number there is if it is larger."""
    return math.exp(min(loss, 709.0))


def perplexity_words(loss: float, digits: int) -> str:
    """e^loss as people read it: 12.35, above a million the nearest power of ten (1e9)."""
    if loss <= math.log(1e6):
        return f"{math.exp(loss):.{digits}f}"
    return f"1e{loss / math.log(10):.0f}" if math.isfinite(loss) else str(loss)


def run_row(run: Run) -> dict[str, Any]:
    """One row of a table of runs."""
    config, status = run.config(), run.status()
    lines = evaluated_lines(run)
    return {
        "run": run.id, "name": config.name, "model": config.model.kind, "corpus": config.corpus.name,
        "state": status.state, "step": status.step, "steps": status.steps,
        "val_loss": lines[-1]["val_loss"] if lines else None, "created": status.created,
    }  # fmt: skip


def train_document(run: Run) -> dict[str, Any]:
    """The JSON document of `lmviz train`. Losses in nats a token; `history` has the steps with a validation."""
    status = run.status()
    lines = evaluated_lines(run)
    last = lines[-1] if lines else {"train_loss": None, "val_loss": None}
    loss = last["val_loss"]
    answers = {key: last[key] for key in MEASURED if key in last}
    return {
        "run": run.id, "path": str(run.path), "state": status.state, "step": status.step,
        "train_loss": last["train_loss"], "val_loss": loss,
        "perplexity": perplexity(loss) if loss is not None else None,
        "bits_per_char": bits_per_character(loss, run.data()) if loss is not None else None,
        "best_step": status.best_step, "best_val_loss": status.best_loss, "stopped_early": status.stopped_early,
        "parameters": status.parameters, "tokens_per_second": status.tokens_per_second, "seconds": status.seconds,
        "history": {key: [line[key] for line in lines] for key in ("step", "train_loss", "val_loss")},
        "error": status.error["message"] if status.error else None, **answers,
    }  # fmt: skip
