"""From pressing Train to two curves with points, in a real browser: on a server that just started, and on a warm one.

    python benchmarks/first_point.py [--rounds 3]

Each round starts a fresh server, opens the page, presses as soon as the button is there (cold), stops both runs, opens
the page again, lets it come to rest as a person who looks at it would, and presses again (warm). Prints seconds,
medians last.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from browser import FLAGS, Server, Tab, chromium  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from test_main_job_browser import button, wait_points  # noqa: E402

SETTLE_MS = 3000


def press(tab: Tab) -> float:
    """Seconds from the click to two curves."""
    start = time.perf_counter()
    button(tab, "Train").click()
    wait_points(tab, 1)
    return time.perf_counter() - start


def one_round(browser: Browser) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(ROOT / "app.py", Path(folder)).wait()
        try:
            tab = Tab(browser.new_page(), server.url)
            tab.open("/train")
            cold = press(tab)
            for _ in range(2):
                button(tab, "Stop").first.click()
                tab.page.get_by_text("stopped").nth(_).wait_for()
            tab.page.goto(server.url + "/train")
            tab.wait_idle()
            tab.page.get_by_text("alone on one core").nth(1).wait_for()
            tab.wait_chart("loss_chart")
            tab.page.wait_for_timeout(SETTLE_MS)
            return cold, press(tab)
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        times = [one_round(browser) for _ in range(rounds)]
    for cold, warm in times:
        print(f"cold {cold:5.2f} s   warm {warm:5.2f} s")
    cold, warm = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"median: cold {cold:.2f} s   warm {warm:.2f} s")


if __name__ == "__main__":
    main()
