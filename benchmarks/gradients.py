"""From a slider move on the page Gradients to its new curves, as the server answers (without drawing).

    python benchmarks/gradients.py [--moves 20]

Starts a server, opens the page with five cells, length 100, hidden size 64, and moves the forget-gate bias, so that no
answer is there from before. Prints the median and the slowest; the budget is 200 ms for the median.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT), str(ROOT / "benchmarks")]

from browser import Server  # noqa: E402
from streamlit_session import Session  # noqa: E402

BUDGET = 0.2


async def moves(url: str, count: int) -> list[float]:
    """Seconds of each move."""
    session = await Session(url, page="gradients").open()
    times = []
    for move in range(count + 1):
        start = time.perf_counter()
        await session.slide("birth_forget", -6 + 0.5 * move)
        times.append(time.perf_counter() - start)
    assert not session.exceptions, session.exceptions
    assert f"forget={-6 + 0.5 * count:g}" in session.query or count == 12, "the slider has moved"
    await session.close()
    return times[1:]  # the first warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=20, choices=range(1, 24))
    count = parser.parse_args().moves
    with tempfile.TemporaryDirectory() as folder:
        server = Server(ROOT / "app.py", Path(folder)).wait()
        try:
            times = asyncio.run(moves(server.url, count))
        finally:
            server.stop()
    median = statistics.median(times)
    print(f"{count} slider moves: median {median * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms")
    print(f"budget {BUDGET * 1000:.0f} ms: {'kept' if median < BUDGET else 'MISSED'}")


if __name__ == "__main__":
    main()
