"""The page Attention against its budgets: all heads of a large model, as the server answers, and one head's map to the
eye.

    python benchmarks/attention.py [--rounds 8] [--layers 6] [--heads 8] [--tokens 128]

Trains a GPT of that size for a moment, starts a server and opens the page on a text of so many tokens. `overview`: the
moment of the training is moved, which computes and draws the picture of all heads anew (a moment that was looked at
before is kept, so each is looked at once); seconds until the server has answered everything, and bytes that it sends.
`answer`: the same question and its PNG in this process, without a server. `head`: in Chromium, from a click on a map to
the drawn map of that head. Prints medians; the budgets are 150 ms and 500 KB, and 300 ms.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT), str(ROOT / "benchmarks")]

from browser import FLAGS, Server, Tab, chromium  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from streamlit_session import Session  # noqa: E402
from texts import prose  # noqa: E402

from lmviz.jobs.questions import QUESTIONS  # noqa: E402
from lmviz.packing import unpack  # noqa: E402
from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Run, Store  # noqa: E402
from lmviz.training.foreground import train_here  # noqa: E402
from lmviz.ui.attention.picture import png  # noqa: E402

DRAWN = (
    "([key, title]) => { const shown = document.querySelector(`.st-key-${key} .title`);"
    " return shown && shown.textContent.includes(title); }"
)


def train(store: Path, folder: Path, layers: int, heads: int, tokens: int) -> Run:
    text = folder / "prose.txt"
    text.write_text(prose(40_000), encoding="utf-8")
    config = preset(
        "gpt", corpus={"name": str(text)}, model={"d_model": 16 * heads, "num_layers": layers, "num_heads": heads},
        training={"steps": 40, "context_length": tokens, "batch_size": 4, "learning_rate": 1e-3},
        recording={"checkpoints": 16, "sample_tokens": 5, "eval_tokens": 1024},
    )  # fmt: skip
    run = Store(store).create(config)
    train_here(run, quiet=True)
    return run


def in_process(store: Path, run: Run, text: str) -> list[tuple[float, int]]:
    """Seconds and bytes of the picture at every kept moment."""
    found = []
    for step in run.checkpoint_steps():
        start = time.perf_counter()
        *_, answer = QUESTIONS["attention"](Store(store), run.id, text=text, step=step)
        picture = png(unpack(answer["picture"]))
        found.append((time.perf_counter() - start, len(picture)))
    return found


async def choices(url: str, query: str, count: int, rounds: int) -> list[float]:
    """Seconds until the server has answered everything after another head was chosen."""
    session = await Session(url, page="attention", query=query).open()
    times = []
    for turn in range(rounds):
        start = time.perf_counter()
        await session.choose("attention_head", (7 * turn + 3) % count)
        times.append(time.perf_counter() - start)
    assert not session.exceptions, session.exceptions
    await session.close()
    return times


async def moments(url: str, query: str, steps: int, rounds: int) -> tuple[list[float], list[int]]:
    session = await Session(url, page="attention", query=query).open()
    times, sizes = [], []
    for turn in range(min(rounds, steps - 1)):
        start = time.perf_counter()
        await session.choose("moment_slider", turn)
        times.append(time.perf_counter() - start)
        sizes.append(session.received)
    assert not session.exceptions, session.exceptions
    await session.close()
    return times, sizes


def to_the_eye(url: str, query: str, layers: int, heads: int, rounds: int) -> list[float]:
    """Seconds from a click on a map of the overview to the drawn map of that head."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        tab = Tab(browser.new_page(viewport={"width": 1440, "height": 1400}), url).open(f"/attention?{query}")
        tab.wait_chart("attention_overview")
        tab.wait_chart("attention_map")
        times = []
        for turn in range(rounds):
            layer, head = turn % layers, (3 * turn + 1) % heads
            box = tab.page.locator(".st-key-attention_overview .nsewdrag").first.bounding_box()
            assert box
            tab.page.wait_for_timeout(600)  # two clicks at once are a double click for Plotly
            start = time.perf_counter()
            tab.page.mouse.click(
                box["x"] + (head + 0.5) * box["width"] / heads, box["y"] + (layer + 0.5) * box["height"] / layers
            )
            tab.page.wait_for_function(DRAWN, arg=["attention_map", f"layer {layer + 1}, head {head + 1}"])
            times.append(time.perf_counter() - start)
        browser.close()
    return times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 8), ("layers", 6), ("heads", 8), ("tokens", 128)):
        options.add_argument(f"--{name}", type=int, default=value)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(ROOT / "app.py", Path(folder))
        try:
            run = train(server.store, Path(folder), arguments.layers, arguments.heads, arguments.tokens)
            text = prose(40_000)[-arguments.tokens + 1 :]
            query = f"run={run.id}&text={quote(text)}"
            url = server.wait().url
            answers = in_process(server.store, run, text)
            times, sizes = asyncio.run(moments(url, query, len(run.checkpoint_steps()), arguments.rounds))
            chosen = asyncio.run(choices(url, query, arguments.layers * arguments.heads, arguments.rounds))
            seen = to_the_eye(url, query, arguments.layers, arguments.heads, arguments.rounds)
        finally:
            server.stop()
    size = f"{arguments.layers} layers x {arguments.heads} heads x {arguments.tokens} tokens"
    print(f"{size}; medians")
    took, weighs = statistics.median(t for t, _ in answers), max(n for _, n in answers)
    print(f"answer    {took * 1000:6.0f} ms  {weighs / 1000:6.0f} kB  (budget 150 ms, 500 kB)")
    drawn, sent = statistics.median(times), statistics.median(sizes)
    print(
        f"overview  {drawn * 1000:6.0f} ms  {sent / 1000:6.0f} kB: the whole page, the names of the heads measured too"
    )
    print(f"head      {statistics.median(chosen) * 1000:6.0f} ms  as the server answers")
    print(f"head      {statistics.median(seen) * 1000:6.0f} ms  to the eye  (budget 300 ms)")


if __name__ == "__main__":
    main()
