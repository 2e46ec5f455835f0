"""What looking costs: trainings with and without the recorder, slice by slice in turn, one thread.

    python benchmarks/recording.py [--rounds 3] [--steps 1000] [--only rnn nvsi gru lstm gpt]

For each kind (preset `small`) three trainings of the same run take turns, SLICE updates at a time, in an order that
rotates:

- bare: updates alone. The gradient's norm is part of them, as clipping needs it;
- recorded: a line of metrics (loss, gradient norms before and after clipping, rate, speed) at every logging step;
  gradient norms by lag and by parameter at those that have them; at every checkpoint all gates or attention, the
  weights, and the state to go on from;
- everything: `Session.work()` of a real run with the same signals, from the tokenized text to the end: also the model's
  building, validation and its breakdown, samples of text, the n-gram floor, status.json and safety copies by the clock.

Prints the processor time of the second and third against the first, medians over the rounds; a short round before them
warms up. Budget: recording costs at most 5 % of the throughput; everything stands beside it. A run of 1000 updates
records more for each of them than any preset, as a run has the same number of lines and checkpoints however long it is.
Exit status 1 if the budget is missed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from lmviz.config import RunConfig  # noqa: E402
from lmviz.models import build_model  # noqa: E402
from lmviz.models.linear import use_product  # noqa: E402
from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Store  # noqa: E402
from lmviz.training import baselines  # noqa: E402
from lmviz.training.data import Data, load_data  # noqa: E402
from lmviz.training.product import product_here  # noqa: E402
from lmviz.training.recorder import Recorder  # noqa: E402
from lmviz.training.session import Session  # noqa: E402
from lmviz.training.trainer import Trainer, randomness  # noqa: E402
from lmviz.turns import finish  # noqa: E402

BUDGET = 1.05
SLICE = 25
"""Updates of one training before it is the next one's turn."""
WARM_UP = 100
"""Updates of the round that does not count."""
SIGNALS = {
    "rnn": ("hidden",),
    "nvsi": ("hidden", "gate.input", "candidate"),
    "gru": ("hidden", "gate.reset", "gate.update", "candidate"),
    "lstm": ("hidden", "cell", "gate.input", "gate.forget", "gate.output", "candidate"),
    "gpt": ("attention.weights",),
}


def trainer_of(config: RunConfig, data: Data) -> Trainer:
    """As a session builds it."""
    with randomness(torch.Generator().manual_seed(config.training.seed)):
        model = build_model(config.model, data.tokenizer.vocab_size, config.training.context_length)
    use_product(model, product_here())
    return Trainer(model, config.training, data.train)


def bare(config: RunConfig, data: Data) -> Iterator[None]:
    trainer = trainer_of(config, data)
    for _ in range(config.training.steps):
        trainer.advance()
        yield


def recorded(config: RunConfig, data: Data, store: Store) -> Iterator[None]:
    trainer = trainer_of(config, data)
    recorder = Recorder(store.create(config), config, data, config.training.steps)
    recorder.eval_steps = set()  # the logging steps stay
    recorder.begin(trainer)
    for _ in range(config.training.steps):
        recorder.record(trainer, trainer.advance())
        yield


def everything(config: RunConfig, store: Store) -> Iterator[None]:
    """A session that must finish.

    Raises:
        RuntimeError: the run failed.
    """
    baselines._known.clear()  # each run counts its n-grams, as the first of a worker does
    run = store.create(config)
    for _ in Session(run).work():
        yield
    if run.status().state != "finished":
        raise RuntimeError(run.status().error)


def round_of(config: RunConfig, data: Data, first: int) -> list[float]:
    """Processor seconds of each whole training; `first` (0, 1, 2) begins."""
    seconds = [0.0, 0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), samples=None)
        trainings = [bare(config, data), recorded(config, data, store), everything(config, store)]
        under_way = {0, 1, 2}
        while under_way:
            for side in [(first + i) % 3 for i in range(3)]:
                if side in under_way:
                    start = time.process_time()
                    done = sum(1 for _ in zip(range(SLICE), trainings[side], strict=False))
                    seconds[side] += time.process_time() - start
                    under_way -= {side} if done < SLICE else set()
            first += 1
    return seconds


def measure(kind: str, steps: int, rounds: int) -> tuple[float, float, float]:
    """Milliseconds of a bare update, and the times of recorded and everything as multiples of bare."""
    config = preset(kind, training={"steps": steps}, recording={"signals": SIGNALS[kind]})
    data = finish(load_data(config.corpus, config.tokenizer))
    short = config.model_copy(update={"training": config.training.model_copy(update={"steps": min(steps, WARM_UP)})})
    round_of(short, data, 0)
    times = [round_of(config, data, number) for number in range(rounds)]
    return (
        statistics.median(alone for alone, _, _ in times) / steps * 1e3,
        statistics.median(some / alone for alone, some, _ in times),
        statistics.median(full / alone for alone, _, full in times),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    missed = 0
    print(f"{'kind':6} {'bare update':>12} {'recorded':>9} {'everything':>11}   budget of recorded {BUDGET:.2f}")
    for kind in arguments.only:
        milliseconds, some, full = measure(kind, arguments.steps, arguments.rounds)
        missed += some > BUDGET
        verdict = "holds" if some <= BUDGET else "missed"
        print(f"{kind:6} {milliseconds:9.2f} ms {some:9.3f} {full:11.3f}   {verdict}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
