"""The share of written code that is valid Python, at every kept step of a run: a table, and the docs' figure.

    python benchmarks/code_parses.py [RUN] [--count 64] [--temperature 0.5] [--picture docs/code-parses.png]

Each snippet is completed `count` times with the seeds 1, 2, ...; what counts as valid stands in lmviz.inspect.code, and
nothing that is written is run. With --picture the figure is taken from the page Generate itself, in Chromium, which
needs Playwright. Exit status 1 if the pooled share at the last step is not above that of the first: the 95% intervals
(Wilson) may not meet.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from lmviz.inspect.shares import wilson
from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Store
from lmviz.ui.generate.code import SNIPPET

COUNTER = "class Counter:\n    def __init__(self, start):\n        self.start = start\n\n"
SNIPPETS = {
    "the page's": SNIPPET,
    "return self.": COUNTER + "    def size(self):\n        return self.",
    "self.": COUNTER + "    def add(self, value):\n        self.",
    "close": "def close(self):\n    self.",
    "import": "import os\nimport",
    "read": "def read(path):\n    return",
    "main": "if __name__ == '__main__':",
    "docstring": 'def read(path):\n    """Return',
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="sample-code")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as empty:
        store = Store(Path(empty)) if options.run.startswith("sample-") else Store()
        rows = {
            name: [*QUESTIONS["code_training"](
                store, run=options.run, prompt=snippet, count=options.count, seed=1, strategy="sample",
                temperature=options.temperature, max_new_tokens=200,
            )][-1]["moments"]
            for name, snippet in SNIPPETS.items()
        }  # fmt: skip
    steps = [moment["step"] for moment in rows["import"]]
    print(f"{options.run}, {options.count} texts a snippet, temperature {options.temperature}: share that is valid")
    print(f"{'':16}" + "".join(f"{step:>10,}" for step in steps))
    for name, moments in rows.items():
        print(f"{name:16}" + "".join(f"{moment['parses'] / moment['count']:>10.0%}" for moment in moments))
    intervals = []
    pooled = []
    for place in range(len(steps)):
        parses = sum(moments[place]["parses"] for moments in rows.values())
        of = options.count * len(rows)
        pooled.append(f"{parses / of:>10.1%}")
        intervals.append(wilson(parses, of))
    print(f"{'all':16}" + "".join(pooled))
    print(f"{'95% interval':16}" + "".join(f"{low:>5.1%}-{high:.1%}" for low, high in intervals))
    if options.picture:
        take(options.run, options.temperature, options.picture)
    return 0 if intervals[-1][0] > intervals[0][1] else 1


def take(run: str, temperature: float, picture: Path) -> None:
    """The chart of the page as it is."""
    root = Path(__file__).resolve().parent.parent
    sys.path.insert(0, str(root / "tests"))
    from browser import FLAGS, Server, Tab, chromium
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(root / "app.py", Path(folder)).wait()
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            tab = Tab(browser.new_page(viewport={"width": 1200, "height": 900}), server.url)
            tab.open(f"/generate?part=code&run={run}&temperature={temperature}")
            tab.page.get_by_role("button", name="Measure over training").click(timeout=60_000)
            tab.wait_chart("code_training", 120)
            tab.page.locator(".st-key-code_training").screenshot(path=picture)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
