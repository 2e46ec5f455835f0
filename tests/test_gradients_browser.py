"""Page Gradients in a real browser: turn the gain until it explodes, share the link, read it on a phone."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from browser import Server, Tab
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.browser

TITLE = ".st-key-gradient_chart .title"


def curves(tab: Tab) -> list[list[float]]:
    """What is drawn, as Plotly has it."""
    plot = tab.wait_chart("gradient_chart")
    return list(plot.evaluate("node => node._fullData.map(trace => Array.from(trace.y))"))


def thumb(tab: Tab, name: str) -> Locator:
    """What one takes hold of on a slider."""
    return tab.page.locator(f".st-key-birth_{name}").get_by_role("slider")


def test_the_gain_is_turned_until_it_explodes_and_the_link_shared(
    server: Server, tab: Tab, open_tab: Callable[..., Tab]
) -> None:
    tab.open("/gradients?init=orthogonal&cells=rnn,gru&gain=1.5")
    title, zone = tab.page.locator(TITLE), tab.page.locator(".annotation-text")
    tab.wait_chart("gradient_chart")
    expect(zone).to_have_text(["vanishing: below 1/1000"])
    slider = thumb(tab, "gain")
    slider.focus()
    for _ in range(20):  # 0.05 each
        slider.press("ArrowRight")
    expect(title).to_have_text("RNN explodes", timeout=15_000)
    expect(zone).to_have_text(["vanishing: below 1/1000", "exploding: above 10"])
    tab.page.wait_for_url("**gain=2.5**")

    other = open_tab(server).open(tab.page.url.removeprefix(server.url))
    other.wait_chart("gradient_chart")
    expect(other.page.locator(TITLE)).to_have_text("RNN explodes")
    for one in (tab, other):
        expect(one.page.locator(".st-key-birth_gain").get_by_test_id("stSliderThumbValue")).to_have_text("2.5")
    expect(other.page.locator(".st-key-gradient_chart .legendtext")).to_have_text(["RNN", "GRU"])
    assert curves(other) == curves(tab)
    assert urlsplit(other.page.url).query == urlsplit(tab.page.url).query
    for one in (tab, other):
        one.expect_no_exception()
        assert not one.problems
    assert not server.errors()


def test_a_preset_leads_to_its_view(tab: Tab) -> None:
    tab.open("/gradients")
    tab.wait_chart("gradient_chart")
    tab.page.locator(".st-key-preset_article button").click()
    expect(tab.page.locator(TITLE)).to_contain_text("Not as claimed")
    expect(tab.page.locator(".st-key-gradient_chart .legendtext")).to_have_text(
        ["RNN", "NVSI-RNN", "the article's claim: RNN", "the article's claim: NVSI-RNN"]
    )
    tab.page.wait_for_url("**length=30**")
    assert not tab.problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_figure_before_the_controls(
    server: Server, open_tab: Callable[..., Tab], scheme: str
) -> None:
    tab = open_tab(server, viewport={"width": 390, "height": 844}, color_scheme=scheme).open("/gradients")
    plot = tab.wait_chart("gradient_chart")
    expect(tab.page.locator(".st-key-equation_lstm .katex").first).to_be_attached()
    assert tab.overflow() == 0
    assert plot.bounding_box()["y"] < tab.page.locator(".st-key-birth_gain").bounding_box()["y"]
    assert not tab.problems


def test_the_figure_is_seen_without_scrolling(tab: Tab) -> None:
    tab.open("/gradients")
    box = tab.wait_chart("gradient_chart").bounding_box()
    assert box["y"] + box["height"] < 800  # of 900; the caption follows
