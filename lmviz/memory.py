"""The memory experiment: which cell learns a task, from how far back? A run for every cell and lag. No torch.

Every cell has the same number of updates, not the same time: with equal time the fastest cell, which is the weakest,
would win by sheer repetition.
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from lmviz.config import MEMORY_TASKS, GRUConfig, LSTMConfig, NVSIConfig, RNNConfig, RunConfig
from lmviz.corpora.tasks import longest, task_of
from lmviz.errors import N_, ConfigError
from lmviz.runs import Run
from lmviz.settings import validated

SIZE = {"embedding_dim": 16, "hidden_size": 64}

CELLS: dict[str, RNNConfig | NVSIConfig | GRUConfig | LSTMConfig] = {
    "rnn": RNNConfig(**SIZE),
    "nvsi": NVSIConfig(**SIZE),
    "nvsi+carry": NVSIConfig(carry=True, input_gate_bias=-3, **SIZE),
    "gru": GRUConfig(**SIZE),
    "lstm": LSTMConfig(forget_gate_bias=3, **SIZE),
}
"""What is compared, under the names that `lmviz gradients` has for cells with sizes of a person's choice. The biases of
the last and the third open their carry from the start; without it the LSTM (forget gate bias 1) stays at chance from
lag 20 on in this number of updates."""
NAMES = {"rnn": "RNN", "nvsi": "NVSI", "nvsi+carry": "NVSI + carry", "gru": "GRU", "lstm": "LSTM"}
LAGS = (5, 10, 20, 50)
UPDATES = 600
TRAINING = {
    "batch_size": 32, "learning_rate": 3e-3, "schedule": "constant", "warmup_steps": 0, "beta2": 0.999, "clip_norm": 1,
}  # fmt: skip
"""Adam as its authors have it, at a constant rate."""
LINES = 40
"""Lines of metrics.jsonl in a run."""
REMEMBERED = 0.9
"""Share of right answers from which a cell counts as one that remembers."""
VALIDATIONS = 20
"""Measurements of the accuracy in a run; with mixed lags each costs as much as several updates."""


def memory_configs(
    task: str, cells: Iterable[str] = tuple(CELLS), lags: Sequence[int] = LAGS, steps: int = UPDATES, seed: int = 1,
    *, mixed: bool = False, group: str = "",
) -> list[RunConfig]:  # fmt: skip
    """A run for every cell and lag; with `mixed` one for every cell, whose lags go up to the largest of `lags`.

    Raises:
        ConfigError: an unknown task or cell, or a lag that cannot be.
    """
    if task not in MEMORY_TASKS:
        raise ConfigError(
            N_("There is no task {task}. The tasks are: {known}."), task=task, known=", ".join(MEMORY_TASKS)
        )
    for cell in cells:
        if cell not in CELLS:
            raise ConfigError(N_("There is no cell {cell}. The cells are: {known}."), cell=cell, known=", ".join(CELLS))
    if not lags:
        raise ConfigError(N_("No lag is given. Give one, such as 20."))
    trained = [max(lags)] if mixed else list(dict.fromkeys(lags))
    return [_config(task, cell, lag, steps, seed, mixed, group) for lag in trained for cell in dict.fromkeys(cells)]


def _config(task: str, cell: str, lag: int, steps: int, seed: int, mixed: bool, group: str) -> RunConfig:
    validations = VALIDATIONS // 2 if mixed else VALIDATIONS
    config = validated(
        {
            "name": f"{NAMES[cell]} · " + (f"lags to {lag}" if mixed else f"lag {lag}"),
            "group": group,
            "corpus": {"name": task, "lag": lag, "mixed": mixed},
            "model": CELLS[cell].model_dump(),
            "training": {**TRAINING, "steps": steps, "seed": seed},
            "recording": {
                "checkpoints": 2, "forkable": False, "sample_tokens": 0,
                "log_every": max(1, steps // LINES), "eval_every": max(1, steps // validations),
            },
        }
    )  # fmt: skip
    context = {"context_length": longest(config.corpus)}
    return config.model_copy(update={"training": config.training.model_copy(update=context)})


def cell_of(config: RunConfig) -> str:
    """The name in CELLS of a run's model; its kind if it is none of them."""
    return next((name for name, model in CELLS.items() if model == config.model), config.model.kind)


def results(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """A row for every lag at which a run was measured last: run, model, settings, mixed, lag, accuracy (None before the
    first measurement), solved (updates after which REMEMBERED was reached first, None if it was not), step, steps,
    state. A run with mixed lags has several rows.
    """
    rows = []
    for run in runs:
        config, status = run.config(), run.status()
        _, lag = task_of(config.corpus)
        lines = [(line["step"], _accuracies(line, lag)) for line in run.metrics() if "accuracy" in line]
        measured = lines[-1][1] if lines else {lag: None}
        rows += [
            {
                "run": run.id, "model": cell_of(config), "settings": config.model.model_dump(mode="json"),
                "mixed": config.corpus.mixed, "lag": tested, "accuracy": accuracy,
                "solved": next((step for step, known in lines if known[tested] >= REMEMBERED), None),
                "step": status.step, "steps": status.steps, "state": status.state,
            }
            for tested, accuracy in measured.items()
        ]  # fmt: skip
    return rows


def _accuracies(line: dict[str, Any], lag: int) -> dict[int, float]:
    """Lag -> accuracy of one line of metrics.jsonl."""
    return {int(tested): share for tested, share in line.get("accuracies", {lag: line["accuracy"]}).items()}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Accuracy by cell and lag, for people; of several runs the mean."""
    lags = sorted({row["lag"] for row in rows})
    lines = ["lag".ljust(12) + "".join(f"{lag:>7}" for lag in lags)]
    for cell in dict.fromkeys(row["model"] for row in rows):
        words = []
        for lag in lags:
            found = [row["accuracy"] for row in rows if (row["model"], row["lag"]) == (cell, lag)]
            known = [accuracy for accuracy in found if accuracy is not None]
            words.append(f"{statistics.mean(known):7.3f}" if known else f"{'-':>7}")
        lines.append(cell.ljust(12) + "".join(words))
    return "\n".join(lines)
