"""From a control on the page Gates to its new figures, as the server answers (without drawing), and how much it sends.

    python benchmarks/gates.py [--rounds 6] [--tokens 200] [--hidden 128] [--layers 2]

Trains a two-layer LSTM for a moment, starts a server, opens the page on a text of 200 tokens and changes in turn the
moment of the training, the layer, the order of the units and the signal that colours the text. A moment or a layer that
was not looked at before is computed; what was is kept. Prints medians; the budgets are 300 ms and 1 MB.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT), str(ROOT / "benchmarks")]

from browser import Server  # noqa: E402
from streamlit_session import Session  # noqa: E402
from texts import prose  # noqa: E402

from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Run, Store  # noqa: E402
from lmviz.training.foreground import train_here  # noqa: E402

BUDGET_SECONDS, BUDGET_BYTES = 0.3, 1_000_000
CONTROLS = {"moment_slider": 5, "gates_layer": 2, "gates_sort": 3, "gates_signal": 6}
"""Key -> how many options are tried in turn."""


def train(store: Path, folder: Path, hidden: int, layers: int) -> Run:
    text = folder / "prose.txt"
    text.write_text(prose(20_000), encoding="utf-8")
    config = preset(
        "lstm", corpus={"name": str(text)}, model={"hidden_size": hidden, "num_layers": layers},
        training={"steps": 60}, recording={"checkpoints": 8, "sample_tokens": 5},
    )  # fmt: skip
    run = Store(store).create(config)
    train_here(run, quiet=True)
    return run


async def changes(url: str, run: Run, tokens: int, rounds: int) -> tuple[dict[str, list[float]], list[int]]:
    """Seconds of every change by control, and bytes of every answer."""
    query = f"run={run.id}&text={quote(prose(20_000)[-tokens:])}"
    session = await Session(url, page="gates", query=query).open()
    times: dict[str, list[float]] = {key: [] for key in CONTROLS if session.has(key)}
    sizes = [session.received]
    for turn in range(rounds):
        for key in times:
            start = time.perf_counter()
            await session.choose(key, turn % CONTROLS[key])
            times[key].append(time.perf_counter() - start)
            sizes.append(session.received)
    assert not session.exceptions, session.exceptions
    await session.close()
    return times, sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(ROOT / "app.py", Path(folder)).wait()
        try:
            run = train(server.store, Path(folder), wanted.hidden, wanted.layers)
            times, sizes = asyncio.run(changes(server.url, run, wanted.tokens, wanted.rounds))
        finally:
            server.stop()
    for key, seconds in times.items():
        print(f"{key:16} median {statistics.median(seconds) * 1000:4.0f} ms, slowest {max(seconds) * 1000:4.0f} ms")
    median = statistics.median([one for seconds in times.values() for one in seconds])
    print(
        f"all controls: {median * 1000:.0f} ms, budget {BUDGET_SECONDS * 1000:.0f} ms: {word(median < BUDGET_SECONDS)}"
    )
    most = max(sizes)
    print(f"largest answer {most / 1000:.0f} kB, budget {BUDGET_BYTES / 1000:.0f} kB: {word(most < BUDGET_BYTES)}")


def word(kept: bool) -> str:
    return "kept" if kept else "MISSED"


if __name__ == "__main__":
    main()
