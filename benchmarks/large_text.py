"""A large text from its file to its first training step: seconds, and the memory of the worker that does it.

    python benchmarks/large_text.py [--megabytes 200] [--tokenizer char] [--by-path]

Makes a text by rule, adds it to a data folder of its own (or gives its path), and trains a small LSTM on it twice in a
pool of one worker, the second time beside the first run and one on the built-in text.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lmviz.jobs.pool import LocalPool  # noqa: E402
from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Run, Store  # noqa: E402

FIRST_STEP = 10.0
"""Seconds."""
MEMORY = 600
"""MiB."""
WATCHED_STEPS = 1000
CHINESE = "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"


def lines(seed: int = 1) -> Iterator[str]:
    """Sentences of made-up words with numbers and capitals, some of them Chinese: some 130 different characters."""
    generator = random.Random(seed)
    words = ["".join(generator.choices("etaoinshrdlucmfwypvbgkqjxz", k=generator.randint(1, 10))) for _ in range(5000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    while True:
        chosen = generator.choices(words, weights, k=14)
        chosen[generator.randrange(14)] = str(generator.randrange(10_000))
        yield " ".join(chosen).capitalize() + generator.choice([".", "!", "?", "; (so)", ' "yes"', " #1 & more"])
        if generator.random() < 0.05:
            yield "".join(generator.choices(CHINESE, k=20)) + "。"


def write_text(path: Path, megabytes: int) -> None:
    """The same two megabytes in another order again and again: quick to make, and no step of ours knows it."""
    source, size = lines(), 0
    stock = []
    while size < 2_000_000:
        stock.append(next(source))
        size += len(stock[-1].encode()) + 1
    generator = random.Random(2)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            generator.shuffle(stock)
            file.write("\n".join(stock) + "\n")


def add(data: Path, text: Path) -> str:
    """As a folder of an added corpus that says no more than it must."""
    folder = data / "large"
    folder.mkdir(parents=True)
    text.rename(folder / "0001.txt")
    about = {
        "title": "large",
        "created": "",
        "characters": 0,
        "files": [{"original": "large.txt", "encoding": "utf-8"}],
    }
    (folder / "corpus.json").write_text(json.dumps(about))
    return folder.name


def wait(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


def peak(pid: int) -> float:
    """Most memory a process ever had, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def begin(pool: LocalPool, corpus: str, tokenizer: str, steps: int, owner: str) -> Run:
    config = preset(
        "lstm", corpus={"name": corpus}, tokenizer={"kind": tokenizer, "vocab_size": 4000}, training={"steps": steps}
    )
    run = pool.store.create(config, owner)
    pool.start(run.id, owner)
    return run


def first_step(run: Run) -> float:
    """Seconds until the run's first step; its progress is printed on the way."""
    start = time.perf_counter()
    shown = -1
    while not run.status().step:
        status = run.status()
        if status.error:
            raise SystemExit(status.error["message"])
        if status.stage_progress and int(10 * status.stage_progress) > shown:
            shown = int(10 * status.stage_progress)
            print(f"  {status.stage} {status.stage_progress:4.0%}   {time.perf_counter() - start:5.1f} s", flush=True)
        time.sleep(0.02)
    return time.perf_counter() - start


def measure(pool: LocalPool, corpus: str, tokenizer: str) -> bool:
    wait(lambda: pool.workers[0].ready.is_set())
    assert pool.workers[0].process
    worker = pool.workers[0].process.pid
    print(f"worker at rest: {peak(worker):.0f} MiB")
    first = begin(pool, corpus, tokenizer, WATCHED_STEPS, "one")
    seconds = first_step(first)
    print(f"first run: first step after {seconds:.1f} s (budget {FIRST_STEP:g} s); peak {peak(worker):.0f} MiB")
    other = begin(pool, "python-reference", "char", 1_000_000, "two")
    wait(lambda: other.status().step)
    second = begin(pool, corpus, tokenizer, WATCHED_STEPS, "one")
    print(f"second run: first step after {first_step(second):.1f} s, beside two others")
    pool.stop(other.id)
    wait(lambda: first.status().state == second.status().state == "finished")
    memory = peak(worker)
    print(f"two runs of {WATCHED_STEPS} steps to their ends: peak {memory:.0f} MiB (budget {MEMORY} MiB)")
    return memory < MEMORY and seconds < FIRST_STEP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--tokenizer", choices=["char", "word", "bpe"], default="char")
    parser.add_argument("--by-path", action="store_true", help="give the text by its path instead of adding it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LMVIZ_DATA"] = str(folder / "data")
        text = folder / "large.txt"
        write_text(text, arguments.megabytes)
        corpus = str(text) if arguments.by_path else add(folder / "data", text)
        with closing(LocalPool(Store(folder / "runs", samples=None), workers=1)) as pool:
            within = measure(pool, corpus, arguments.tokenizer)
    print("within the budgets" if within else "NOT within the budgets")
    raise SystemExit(not within)


if __name__ == "__main__":
    main()
