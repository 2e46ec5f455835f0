"""What the memory experiment takes and what it finds: the default run of `lmviz memory`, on one thread.

    python benchmarks/memory.py [--seeds 5] [--task remember-first] [--lags 5,10,20,50] [--updates 600] [--mixed]

For every seed prints the processor seconds of all runs together, with all that a run records, and accuracy by cell and
lag. Then, of the default task, what has to hold: under BUDGET seconds; RNN and NVSI at chance from lag 20 on; LSTM and
GRU solved at the largest lag in four of five seeds; with --mixed every cell solved at every lag. Exit status 1 if it
does not hold.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from lmviz.corpora.tasks import TASK  # noqa: E402
from lmviz.memory import CELLS, LAGS, UPDATES, memory_configs, results, table  # noqa: E402
from lmviz.runs import Store  # noqa: E402
from lmviz.training.foreground import train_here  # noqa: E402

BUDGET = 30.0
"""Processor seconds of one core for the default run."""
SOLVED = 0.99
ABOUT_SOLVED = 0.95
NEAR_CHANCE = 0.1
"""Accuracy above chance that still counts as chance: four standard deviations of 256 answers, and a little luck."""


def one_seed(store: Store, arguments: argparse.Namespace, seed: int) -> tuple[float, list[dict[str, Any]]]:
    """(processor seconds, rows)."""
    lags = [int(lag) for lag in arguments.lags.split(",")]
    configs = memory_configs(arguments.task, CELLS, lags, arguments.updates, seed, mixed=arguments.mixed)
    start = time.process_time()
    runs = [store.create(config) for config in configs]
    for run in runs:
        train_here(run, quiet=True)
    return time.process_time() - start, results(runs)


def faults(rows: list[dict[str, Any]], mixed: bool, seeds: int) -> list[str]:
    """What does not hold."""
    if mixed:
        return [f"{r['model']} at {r['lag']}: {r['accuracy']:.3f}" for r in rows if r["accuracy"] < ABOUT_SOLVED]
    limit = TASK["remember-first"].chance + NEAR_CHANCE
    weak = [r for r in rows if r["model"] in ("rnn", "nvsi") and r["lag"] >= 20 and r["accuracy"] > limit]
    found = [f"{r['model']} at {r['lag']} is above chance: {r['accuracy']:.3f}" for r in weak]
    largest = max(row["lag"] for row in rows)
    for cell in ("gru", "lstm"):
        solved = sum(r["accuracy"] >= SOLVED for r in rows if (r["model"], r["lag"]) == (cell, largest))
        print(f"{cell} solved at {largest}: {solved} of {seeds} seeds")
        if solved < 0.8 * seeds:
            found.append(f"{cell} is solved at {largest} in {solved} of {seeds} seeds")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--task", default="remember-first", choices=list(TASK))
    parser.add_argument("--lags", default=",".join(map(str, LAGS)))
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--mixed", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    everything: list[dict[str, Any]] = []
    slow = []
    for seed in range(1, arguments.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            seconds, rows = one_seed(Store(Path(folder), samples=None), arguments, seed)
        print(f"seed {seed}: {seconds:.1f} s of one core\n{table(rows)}\n", flush=True)
        everything += rows
        slow += [f"seed {seed} took {seconds:.1f} s"] if seconds > BUDGET else []
    if arguments.seeds > 1:
        print(f"mean of {arguments.seeds} seeds\n{table(everything)}\n")
    if arguments.task != "remember-first":
        return 0
    wrong = slow + faults(everything, arguments.mixed, arguments.seeds)
    print("\n".join(wrong) or "all holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
