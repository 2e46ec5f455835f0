"""Helpers of the browser tests: a real server, a real Chromium, and waits for states instead of sleeps.

The tools that this needs (Playwright, Chromium) are looked for when a test asks for them, not before.
"""

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
IDLE = "[data-testid='stApp'][data-test-script-state='notRunning'][data-test-connection-state='CONNECTED']"


def chromium() -> str | None:
    """The browser to drive: CHROMIUM, or the system's."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`streamlit run APP` with a store and a data folder of its own; ends only the process that it started.

    Args:
        app: the entry script; the project's settings are put beside it if it has none.
        folder: for LMVIZ_STORE, LMVIZ_DATA and the server's log.
        options: more command-line options of streamlit, such as "--server.baseUrlPath=lab".
    """

    def __init__(self, app: Path, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        settings = app.parent / ".streamlit" / "config.toml"
        if not settings.exists():
            settings.parent.mkdir()
            shutil.copy(ROOT / ".streamlit" / "config.toml", settings)
        self.store, self.data, self.log = folder / "runs", folder / "data", folder / "server.log"
        self.port = free_port()
        base = next((o.partition("=")[2] for o in options if o.startswith("--server.baseUrlPath=")), "")
        self.url = f"http://127.0.0.1:{self.port}" + (f"/{base}" if base else "")
        places = {"LMVIZ_STORE": str(self.store), "LMVIZ_DATA": str(self.data), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={self.port}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--server.address=127.0.0.1", *options],
                cwd=app.parent,
                env={**os.environ, **places, **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, seconds: float = 60) -> "Server":
        """Until the server answers; raises with its log if it ends before or is too slow."""
        deadline = monotonic() + seconds
        while monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except (urllib.error.URLError, OSError):
                sleep(0.05)
        self.stop()
        raise RuntimeError(f"the server did not come up:\n{self.log.read_text('utf-8')}")

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)

    def errors(self) -> str:
        """Tracebacks in the server's log, empty if there are none."""
        text = self.log.read_text("utf-8")
        return text if "Traceback" in text else ""


@dataclass
class Tab:
    """One browser tab on a server, in a person's words."""

    page: "Page"
    url: str
    problems: list[str] = field(default_factory=list)
    """Uncaught errors and console errors so far."""

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("console", self._console)

    def _console(self, message: Any) -> None:
        # A deep link makes Streamlit ask at several places where its server is; the misses are by design.
        probing = "_stcore/" in message.location.get("url", "")
        if message.type == "error" and not probing:
            self.problems.append(f"console: {message.text}")

    def open(self, path: str = "/") -> "Tab":
        """Go to a path of the app and wait until it is drawn."""
        self.page.goto(self.url + path, wait_until="domcontentloaded")
        return self.wait_idle()

    def wait_idle(self, seconds: float = 30) -> "Tab":
        """Until the script has run and the page is connected."""
        self.page.wait_for_selector(IDLE, state="attached", timeout=seconds * 1000)
        return self

    def wait_chart(self, key: str, seconds: float = 30) -> Any:
        """The plot of the chart with this key, once it is drawn."""
        plot = self.page.locator(f".st-key-{key} .plot.js-plotly-plot")
        plot.locator(".main-svg").first.wait_for(timeout=seconds * 1000)
        return plot

    def expect_no_exception(self) -> None:
        """No traceback on the page."""
        shown = self.page.locator("[data-testid='stException']")
        assert shown.count() == 0, shown.first.inner_text()

    def expect_text(self, text: str, seconds: float = 30) -> None:
        """The text is on the page, or comes within the time."""
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window; 0 is right."""
        script = (
            "() => { const m = document.querySelector(\"[data-testid='stMain']\");"
            " return Math.max(0, m.scrollWidth - m.clientWidth); }"
        )
        return int(self.page.evaluate(script))
