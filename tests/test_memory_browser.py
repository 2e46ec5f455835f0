"""Page Memory in a real browser: a small experiment to its end, its link shared, another stopped, and on a phone."""

import json
from collections.abc import Callable

import pytest
from browser import ROOT, Server, Tab
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TITLE = ".st-key-memory_chart .title"
TABLE = "table.paths.lags"


def accuracies(tab: Tab) -> dict[str, list[float]]:
    """What is drawn, as Plotly has it: cell -> share of right answers at each lag."""
    plot = tab.wait_chart("memory_chart")
    script = "node => Object.fromEntries(node._fullData.map(trace => [trace.name, Array.from(trace.y)]))"
    return dict(plot.evaluate(script))


@pytest.fixture(scope="module")
def own_server(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    return start_server(ROOT / "app.py", tmp_path_factory.mktemp("memory"))


def test_an_experiment_is_trained_to_its_end_and_its_link_shows_the_same(
    own_server: Server, open_tab: Callable[..., Tab]
) -> None:
    tab = open_tab(own_server).open("/memory?cells=gru,lstm&lags=5&updates=100")
    assert set(accuracies(tab)) == {
        "RNN", "NVSI-RNN", "NVSI-RNN + carry", "GRU", "LSTM", "RNN, mixed lags"
    }, "the sample, before anything was trained"  # fmt: skip
    tab.page.get_by_role("button", name="Train", exact=True).click()
    tab.page.wait_for_url("**group=memory-**")
    expect(tab.page.locator(f"{TABLE} tr")).to_have_count(3)
    expect(tab.page.locator(TITLE)).not_to_contain_text("How far", timeout=60_000)
    found = accuracies(tab)
    assert set(found) == {"GRU", "LSTM"}
    runs = {path.parent: json.loads(path.read_text()) for path in own_server.store.glob("*/status.json")}
    assert [status["state"] for status in runs.values()] == ["finished", "finished"]
    for folder in runs:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        kind = json.loads((folder / "config.json").read_text())["model"]["kind"].upper()
        last = next(line["accuracy"] for line in reversed(lines) if "accuracy" in line)
        assert found[kind] == [pytest.approx(last)]
        expect(tab.page.locator(TABLE)).to_contain_text(f"{int(100 * last)}%")
    expect(tab.page.get_by_text("What the gradient says")).to_be_visible()

    other = open_tab(own_server).open(tab.page.url.removeprefix(own_server.url))
    assert accuracies(other) == found
    assert other.page.locator(TABLE).inner_text() == tab.page.locator(TABLE).inner_text()
    other.page.get_by_role("link", name="Home").click()
    other.page.get_by_role("link", name="Memory").click()
    expect(other.page.locator(f"{TABLE} tr")).to_have_count(3)
    assert accuracies(other) == found, "also for one who was on another page meanwhile"
    for one in (tab, other):
        one.expect_no_exception()
        assert not one.problems
    assert not own_server.errors()


def test_an_experiment_under_way_is_stopped(own_server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(own_server).open("/memory?cells=gru&lags=50,100&updates=4000")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.locator(TITLE)).to_have_text("How far back does each remember? 0 of 2 runs have ended")
    expect(tab.page.get_by_test_id("stProgress")).to_contain_text("left", timeout=30_000)
    tab.page.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.page.get_by_test_id("stProgress")).to_have_count(0, timeout=15_000)
    tab.expect_text("Some runs were stopped before their end.")
    tab.expect_no_exception()
    assert not tab.problems
    assert not own_server.errors()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_experiment_before_the_controls(
    server: Server, open_tab: Callable[..., Tab], scheme: str
) -> None:
    tab = open_tab(server, viewport={"width": 390, "height": 844}, color_scheme=scheme).open("/memory")
    plot = tab.wait_chart("memory_chart")
    tab.wait_chart("change_lstm")
    assert tab.overflow() == 0
    assert plot.bounding_box()["y"] < tab.page.locator(".st-key-memory_train").bounding_box()["y"]
    assert not tab.problems


def test_the_answer_is_seen_without_scrolling(tab: Tab) -> None:
    tab.open("/memory")
    box = tab.wait_chart("memory_chart").bounding_box()
    assert box["y"] + box["height"] < 700  # of 900
    expect(tab.page.locator(TITLE)).to_contain_text("remember 50 steps")
    lesson = tab.page.get_by_text("A vanishing gradient is not forgetting.").bounding_box()
    assert lesson["y"] < 800
