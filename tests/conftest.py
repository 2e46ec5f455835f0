"""Fixtures for all tests. Streamlit and Playwright are imported only by the tests that ask for them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import FLAGS, ROOT, Server, Tab, chromium
from texts import prose

from lmviz.runs import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store without the samples."""
    return Store(tmp_path / "runs", samples=None)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of six thousand characters, the same for all: not to be changed."""
    path = tmp_path_factory.mktemp("text") / "prose.txt"
    path.write_text(prose(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium for the whole session; `make test` installs it."""
    from playwright import sync_api

    path = chromium()
    assert path, "no Chromium: install the package `chromium`, or set CHROMIUM to the program"
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., Server]]:
    """Starts servers (arguments as for Server) and ends them with the session."""
    servers: list[Server] = []

    def start(app: Path, folder: Path, *options: str, **more: Any) -> Server:
        servers.append(Server(app, folder, *options, **more))
        return servers[-1].wait()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The app itself, with an empty store of its own."""
    return start_server(ROOT / "app.py", tmp_path_factory.mktemp("server"))


@pytest.fixture
def open_tab(browser: "Browser") -> Iterator[Callable[..., Tab]]:
    """Opens tabs, each a person of its own: `open_tab(server)`; fails the test if a page throws an uncaught error."""
    tabs: list[Tab] = []

    def open_one(on: Server, **context: Any) -> Tab:
        options = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "locale": "en-US", **context}
        tabs.append(Tab(browser.new_context(**options).new_page(), on.url))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.page.context.close()
    uncaught = [problem for tab in tabs for problem in tab.problems if problem.startswith("uncaught")]
    assert not uncaught, uncaught


@pytest.fixture
def tab(server: Server, open_tab: Callable[..., Tab]) -> Tab:
    """A tab on the app: `tab.open("/train")`."""
    return open_tab(server)
