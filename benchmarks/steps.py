"""Step by step against its budget of 200 ms: one more token of a model with a large vocabulary, as the server answers
and to the eye.

    python benchmarks/steps.py [--rounds 12] [--vocabulary 5000] [--tokens 50]

Makes a GPT with that many characters and trains it for a moment, starts a server and steps through a text that already
has so many tokens. `answer`: the question for one more token in this process, with the walk kept (as after Next), on a
branch, and anew (a link). `figure`: the picture from that answer, as JSON. `next`: in Chromium, from a click on Next
to the drawn picture of the next token. Prints medians, and how busy the machine is with other things.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import numpy as np  # noqa: E402
import plotly.io as pio  # noqa: E402
from browser import FLAGS, Server, Tab, chromium  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from lmviz.jobs import step_questions  # noqa: E402
from lmviz.jobs.questions import QUESTIONS  # noqa: E402
from lmviz.packing import unpack  # noqa: E402
from lmviz.presets import preset  # noqa: E402
from lmviz.runs import Run, Store  # noqa: E402
from lmviz.training.foreground import train_here  # noqa: E402
from lmviz.ui.figures.steps import stages_figure  # noqa: E402
from lmviz.ui.generate.steps_stages import _columns, _labels, _rows  # noqa: E402
from lmviz.ui.generate.steps_words import stage_names  # noqa: E402

PROMPT = "一丁"
WAY = {"prompt": PROMPT, "temperature": 0.8, "top_k": 40, "top_p": 0.95, "repetition_penalty": 1.2}
QUERY = f"part=steps&prompt={PROMPT}&top_k=40&top_p=0.95&repetition_penalty=1.2"
READY = "count => document.querySelectorAll('.st-key-steps_text [data-at]').length === count"
DRAWN = (
    "old => { const plot = document.querySelector('.st-key-steps_stages .js-plotly-plot');"
    " return plot && JSON.stringify(plot._fullData[0].x) !== old; }"
)
NOW = "() => JSON.stringify(document.querySelector('.st-key-steps_stages .js-plotly-plot')._fullData[0].x)"


def model(store: Path, folder: Path, vocabulary: int) -> Run:
    characters = [chr(0x4E00 + i) for i in range(vocabulary - 3)]
    random = np.random.default_rng(0)
    text = folder / "characters.txt"
    text.write_text("".join([*characters, *random.choice(characters, 4 * vocabulary)]), encoding="utf-8")
    config = preset(
        "gpt", corpus={"name": str(text)}, training={"steps": 2, "batch_size": 2},
        recording={"sample_tokens": 5, "eval_tokens": 256},
    )  # fmt: skip
    run = Store(store).create(config)
    train_here(run, quiet=True)
    return run


def seconds(task: object) -> float:
    start = time.perf_counter()
    task()  # type: ignore[operator]
    return time.perf_counter() - start


def answered(store: Path, run: Run, length: int, rounds: int) -> tuple[list[list[float]], int]:
    """Seconds of an answer with the walk kept, on a branch, and anew; of the figure. And the vocabulary."""
    tokens: list[int] = []
    kept, branch, anew, drawn, vocabulary = [], [], [], [], 0
    for turn in range(length + rounds):
        start = time.perf_counter()
        *_, answer = QUESTIONS["step"](Store(store), run.id, tokens=tokens, **WAY)
        if turn >= length:
            kept.append(time.perf_counter() - start)
            drawn.append(seconds(partial(figure_json, answer)))
        tokens.append(next(token for token in answer["ids"] if token != 2))
        vocabulary = answer["vocabulary"]
    for turn in range(rounds):
        some = [*tokens[: length - turn], tokens[length - turn] + 1 if tokens[length - turn] > 3 else 4]
        branch.append(seconds(partial(ask, store, run.id, some)))
    for turn in range(rounds):
        step_questions._walks.kept.clear()
        anew.append(seconds(partial(ask, store, run.id, tokens[: length + turn])))
    return [kept, branch, anew, drawn], vocabulary


def ask(store: Path, run: str, tokens: list[int]) -> None:
    list(QUESTIONS["step"](Store(store), run, tokens=tokens, **WAY))


def figure_json(answer: dict) -> str:
    chances, kept = unpack(answer["probabilities"]), unpack(answer["kept"]).astype(bool)
    rows = _rows(answer, chances, 12)
    labels = [*_labels([answer["texts"][row] for row in rows]), "others"]
    ids = [*(answer["ids"][row] for row in rows), -1]
    figure = stages_figure(
        _columns(answer, chances, kept, rows, stage_names(answer, WAY)), labels, ids,
        drawn=ids.index(answer["drawn"]), chosen=None, color="#664ed8", title="", x="", y="", key="",
    )  # fmt: skip
    return str(pio.to_json(figure, validate=False))


def to_the_eye(url: str, run: Run, length: int, rounds: int) -> list[float]:
    """Seconds from a click on Next to the drawn picture."""
    tokens = ",".join(str(3 + i) for i in range(length))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        tab = Tab(browser.new_page(viewport={"width": 1440, "height": 900}), url)
        tab.open(f"/generate?run={run.id}&{QUERY}&tokens={tokens}")
        tab.page.wait_for_function(READY, arg=length + 2, timeout=60_000)
        tab.wait_chart("steps_stages")
        tab.wait_chart("steps_tree_chart")
        times = []
        for turn in range(rounds):
            tab.page.wait_for_timeout(700)
            old = tab.page.evaluate(NOW)
            box = tab.page.get_by_role("button", name="Next", exact=True).bounding_box()
            assert box
            start = time.perf_counter()
            tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            tab.page.wait_for_function(DRAWN, arg=old)
            times.append(time.perf_counter() - start)
            tab.page.wait_for_function(READY, arg=length + turn + 3)
        assert not tab.problems, tab.problems
        browser.close()
    return times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 12), ("vocabulary", 5000), ("tokens", 50)):
        options.add_argument(f"--{name}", type=int, default=value)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(ROOT / "app.py", Path(folder))
        try:
            run = model(server.store, Path(folder), arguments.vocabulary)
            url = server.wait().url
            (kept, branch, anew, drawn), vocabulary = answered(server.store, run, arguments.tokens, arguments.rounds)
            seen = to_the_eye(url, run, arguments.tokens, arguments.rounds)
        finally:
            server.stop()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"GPT, {vocabulary:,} tokens in the vocabulary, {arguments.tokens} written; medians")
    print(f"answer  {statistics.median(kept) * 1000:6.1f} ms  one token further")
    print(f"answer  {statistics.median(branch) * 1000:6.1f} ms  a branch")
    print(f"answer  {statistics.median(anew) * 1000:6.1f} ms  the whole text anew (a link)")
    print(f"figure  {statistics.median(drawn) * 1000:6.1f} ms")
    median, fastest = statistics.median(seen) * 1000, min(seen) * 1000
    print(f"next    {median:6.0f} ms  to the eye, the fastest {fastest:.0f}  (budget 200 ms)")


if __name__ == "__main__":
    main()
