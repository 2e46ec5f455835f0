"""The main job in a real Chromium: train two models side by side, watch, steer, leave and come back, let them write."""

import json
import re
from collections.abc import Callable

import pytest
from browser import ROOT, Server, Tab
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.browser

POINTS = """() => {
  const plot = document.querySelector('.st-key-loss_chart .js-plotly-plot');
  if (!plot || !plot._fullData) return [];
  const bold = plot._fullData.filter(trace => trace.line && trace.line.width === 3);
  return bold.map(trace => trace.x ? trace.x.length : 0);
}"""


def curves(tab: Tab) -> list[int]:
    """Points of each validation curve on the chart."""
    return list(tab.page.evaluate(POINTS))


def wait_points(tab: Tab, wanted: int, seconds: float = 60) -> None:
    """Until two curves have that many points."""
    tab.page.wait_for_function(
        f"() => {{ const n = ({POINTS})(); return n.length === 2 && n.every(x => x >= {wanted}); }}",
        timeout=seconds * 1000,
    )


def button(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("button", name=name, exact=True)


def statuses(server: Server) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in server.store.glob("*/status.json")}


def wait_states(tab: Tab, server: Server, wanted: str, seconds: float = 30) -> None:
    for _ in range(int(seconds / 0.1)):
        if {status["state"] for status in statuses(server).values()} == {wanted}:
            return
        tab.page.wait_for_timeout(100)
    raise AssertionError(statuses(server))


def test_the_main_job(
    start_server: Callable[..., Server], open_tab: Callable[..., Tab], tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = start_server(ROOT / "app.py", tmp_path_factory.mktemp("main-job"))
    tab = open_tab(server).open("/train")  # a deep link on a fresh server
    expect(tab.page.get_by_test_id("stSidebarNavLink")).to_have_count(9)
    expect(tab.page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    tab.page.get_by_text("parameters").first.wait_for()
    steps = tab.page.get_by_role("slider").first
    steps.press("ArrowRight")
    steps.press("ArrowRight")
    tab.expect_text("5,000")  # long enough not to end before the test does

    button(tab, "Train").click()
    wait_points(tab, 1)
    assert len(statuses(server)) == 2
    address = tab.page.url
    wait_points(tab, 3)

    for count in (1, 2):  # both, so that nothing on the page moves by itself any more
        button(tab, "Pause").first.click()
        expect(button(tab, "Resume")).to_have_count(count)
    wait_states(tab, server, "paused")
    before_step = sorted(status["step"] for status in statuses(server).values())
    for number in (0, 1):
        button(tab, "One step").nth(number).click()
    for step in before_step:
        tab.expect_text(re.compile(f"^{step + 1:,} of"))
    for count in (1, 0):
        button(tab, "Resume").first.click()
        expect(button(tab, "Resume")).to_have_count(count, timeout=15_000)
    wait_states(tab, server, "running")

    tab.page.get_by_test_id("stSidebarNavLink").get_by_text("Runs", exact=True).click()
    expect(tab.page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    tab.page.get_by_test_id("stSidebarNavLink").get_by_text("Train", exact=True).click()
    wait_points(tab, 3)
    assert "runs=" in tab.page.url
    tab.page.goto(address)
    wait_points(tab, 3)
    before = max(curves(tab))
    wait_points(tab, before + 1)

    for _ in range(2):
        button(tab, "Stop").first.click()
        expect(button(tab, "Stop")).to_have_count(1 - _)
    wait_states(tab, server, "stopped")
    tab.expect_text("nats a token ahead")
    for run_id, status in statuses(server).items():
        kept = sorted(int(path.stem) for path in (server.store / run_id / "checkpoints").glob("*.safetensors"))
        assert kept[-1] == status["step"] > 0

    tab.page.get_by_role("link", name="Its gates").first.click()  # what it has just learned, looked into
    tab.wait_chart("gates_first_hidden")
    tab.page.locator(".lmviz-reader [data-at='7']").click()
    tab.expect_text(re.compile("Step 7: unit"))

    for run_id in statuses(server):
        tab.open(f"/generate?run={run_id}")
        button(tab, "Write").click()
        tab.page.locator(".written .tok").nth(50).wait_for()
        tab.expect_text("perplexity of its own text")
        tab.page.locator(".written .tok").first.hover()
    tab.expect_no_exception()
    assert not tab.problems
    assert not server.errors()


PATHS = ["/", "/train", "/runs", "/gradients", "/memory", "/gates", "/seq2seq", "/attention", "/generate"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_page_fits(server: Server, open_tab: Callable[..., Tab], path: str, width: int, lang: str) -> None:
    tab = open_tab(server, viewport={"width": width, "height": 844}, color_scheme="dark").open(f"{path}?lang={lang}")
    tab.expect_no_exception()
    assert tab.overflow() == 0
    assert not tab.problems
    assert not server.errors()


def test_a_text_of_ones_own(server: Server, open_tab: Callable[..., Tab]) -> None:
    """Upload a text, train on it, see what it writes, rename the run, delete it."""
    tab = open_tab(server).open("/train")
    button(tab, "Your own text").click()
    story = "".join(f"Day {day}: the cat walks {day * 7 % 13} miles and sleeps.\n" for day in range(400))
    tab.page.locator("input[type=file]").set_input_files(
        {"name": "diary.txt", "mimeType": "text/plain", "buffer": story.encode("utf-16")}
    )
    tab.page.get_by_text("diary.txt: utf-16").wait_for()
    button(tab, "Add this text").click()
    expect(tab.page.get_by_role("combobox", name="Text to learn")).to_have_value("diary.txt · added")
    tab.wait_idle()  # until then the button is the one of the text before
    button(tab, "Train").click()
    wait_points(tab, 2)
    tab.expect_text("It writes, after")
    for remaining in (1, 0):
        button(tab, "Stop").first.click()
        expect(button(tab, "Stop")).to_have_count(remaining)
    assert any("diary" in path.read_text() for path in server.store.glob("*/config.json"))
    assert not server.errors()
