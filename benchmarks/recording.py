"""What looking costs: training with and without the recorder, in turn, one thread.

    python benchmarks/recording.py [--rounds 5] [--steps 300]

For each kind three trainings of the same run take turns, in slices: a bare loop of updates; the same with a line of
metrics (loss, gradient norms before and after clipping) at every logging step and all gates or attention recorded at
every checkpoint; and everything a run does, with validation, breakdown and samples of text. Prints the time of the
second and third against the first. Budget: recording costs at most 5 % of the throughput; validation stands beside it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from lmviz.models import build_model  # noqa: E402
from lmviz.models.linear import fastest_product, use_product  # noqa: E402
from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Store  # noqa: E402
from lmviz.training.data import load_data  # noqa: E402
from lmviz.training.recorder import Recorder  # noqa: E402
from lmviz.training.trainer import Trainer, randomness  # noqa: E402
from lmviz.turns import finish  # noqa: E402

BUDGET = 1.05
SIGNALS = {
    "rnn": ("hidden",),
    "gru": ("hidden", "gate.reset", "gate.update", "candidate"),
    "lstm": ("hidden", "cell", "gate.input", "gate.forget", "gate.output", "candidate"),
    "gpt": ("attention.weights",),
}


def training(kind: str, steps: int, folder: Path, watched: str) -> Callable[[], float]:
    """A whole training as a function that returns its seconds; `watched`: no, signals or all."""
    signals = SIGNALS[kind] if watched != "no" else ()
    recording = {"signals": signals} if watched != "signals" else {"signals": signals, "sample_tokens": 0}
    config = preset(kind, training={"steps": steps}, recording=recording)
    data = finish(load_data(config.corpus, config.tokenizer))

    def run() -> float:
        with randomness(torch.Generator().manual_seed(1)):
            model = build_model(config.model, data.tokenizer.vocab_size, config.training.context_length)
        use_product(model, fastest_product())
        trainer = Trainer(model, config.training, data.train)
        recorder = Recorder(Store(folder).create(config), config, data, steps)
        if watched == "signals":
            recorder.eval_steps = set()
        start = time.process_time()
        for _ in range(steps):
            step = trainer.advance()
            if watched != "no":
                recorder.record(trainer, step)
        return time.process_time() - start

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    missed = 0
    print(f"{'kind':6} {'signals recorded':>17} {'with validation':>16}   budget {BUDGET:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in SIGNALS:
            runs = [training(kind, arguments.steps, Path(folder), watched) for watched in ("no", "signals", "all")]
            rounds = [[run() for run in runs] for _ in range(arguments.rounds)]
            signals = statistics.median(seconds[1] / seconds[0] for seconds in rounds)
            everything = statistics.median(seconds[2] / seconds[0] for seconds in rounds)
            missed += signals > BUDGET
            print(f"{kind:6} {signals:17.3f} {everything:16.3f}   {'holds' if signals <= BUDGET else 'missed'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
