"""Seq2Seq with and without attention and a Transformer on dates: how long until they are solved, and how well.

    OMP_NUM_THREADS=1 python benchmarks/pairs.py [--seeds 3] [--pairs dates-en]

Every model is trained as the page Seq2Seq and `lmviz train` do, one after the other in this process, seed by seed.
Prints seconds of training until 98 % of 256 held-out outputs are right (where others use the processor too its own time
is what counts), the exact match and the attention on the right part at the end, and the ratio without / with attention.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Store  # noqa: E402
from lmviz.training.foreground import train_here  # noqa: E402

KINDS = ("seq2seq-attention", "seq2seq", "transformer")
SOLVED = 0.98


def measured(store: Store, kind: str, pairs: str, seed: int) -> dict[str, float | None]:
    run = store.create(preset(kind, corpus={"name": pairs}, training={"seed": seed}))
    start = time.process_time()
    train_here(run, quiet=True)
    cpu = time.process_time() - start
    lines = [line for line in run.metrics() if "exact_match" in line]
    solved = next((line["seconds"] for line in lines if line["exact_match"] >= SOLVED), None)
    last = lines[-1]
    return {
        "solved": solved, "exact": last["exact_match"], "right": last.get("right_share"), "cpu": cpu,
        "seconds": last["seconds"],
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--pairs", default="dates-en")
    options.add_argument("--kinds", default=",".join(KINDS))
    arguments = options.parse_args()
    medians: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), samples=None)
        for kind in arguments.kinds.split(","):
            found = [measured(store, kind, arguments.pairs, seed) for seed in range(arguments.seeds)]
            for seed, one in enumerate(found):
                solved = "never" if one["solved"] is None else f"{one['solved']:.1f} s"
                right = "" if one["right"] is None else f"  attention on the right part {one['right']:.2f}"
                print(f"{kind:20} seed {seed}  solved after {solved:>8}  at the end {one['exact']:.3f}{right}"
                      f"  training {one['seconds']:.1f} s, CPU with all measuring {one['cpu']:.1f} s")  # fmt: skip
            times = [one["solved"] for one in found if one["solved"] is not None]
            if len(times) == len(found):
                medians[kind] = statistics.median(times)
    if {"seq2seq", "seq2seq-attention"} <= medians.keys():
        print(f"without / with attention: {medians['seq2seq'] / medians['seq2seq-attention']:.1f}")


if __name__ == "__main__":
    main()
