"""Page Generate in a real browser: ways side by side, styles, temperature, and a copy that learns from choices."""

import re
from collections.abc import Callable

import pytest
from browser import Server, Tab
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TEXTS = ".written"


def sound(tab: Tab, server: Server) -> None:
    tab.expect_no_exception()
    assert not tab.problems and not server.errors()
    assert tab.overflow() == 0


def test_three_ways_are_compared_and_the_link_shows_the_same(server: Server, open_tab: Callable[..., Tab]) -> None:
    address = "/generate?part=side&run=sample-gru&ways=greedy;t0.8;t1.2,p0.9&tokens_each=40&prompt=The+value"
    tab = open_tab(server).open(address)
    texts = tab.page.locator(TEXTS)
    expect(texts).to_have_count(3, timeout=60_000)
    found = texts.all_inner_texts()
    assert len(set(found)) == 3 and all(text.startswith("The value") for text in found)
    tab.page.get_by_role("spinbutton", name="Seed").fill("7")
    tab.page.get_by_role("spinbutton", name="Seed").press("Enter")
    expect(texts.nth(1)).not_to_have_text(found[1], timeout=30_000)
    expect(texts.first).to_have_text(found[0])  # greedy does not ask the seed
    tab.page.get_by_role("spinbutton", name="Seed").fill("1")
    tab.page.get_by_role("spinbutton", name="Seed").press("Enter")
    expect(texts.nth(1)).to_have_text(found[1], timeout=30_000)
    tab.page.reload()
    expect(texts).to_have_count(3, timeout=60_000)
    expect(texts.nth(2)).to_have_text(found[2])
    sound(tab, server)


def test_styles_and_temperature_on_a_phone_and_in_the_dark(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server, viewport={"width": 390, "height": 844}, color_scheme="dark")
    tab.open("/generate?part=style&run=sample-styles")
    expect(tab.page.locator(TEXTS)).to_have_count(3, timeout=60_000)
    tab.wait_chart("style_matrix", seconds=60)
    sound(tab, server)
    tab.open("/generate?part=temperature&run=sample-gru&prompt=The&t=0.5")
    tab.wait_chart("temperature_map", seconds=60)
    expect(tab.page.get_by_role("heading", name=re.compile("At T = 0.50"))).to_be_visible()
    sound(tab, server)
    tab.open("/generate?part=side&run=sample-gru&tokens_each=40")
    expect(tab.page.locator(TEXTS)).to_have_count(6, timeout=60_000)
    sound(tab, server)


def test_a_copy_learns_from_choices(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server).open("/generate?part=preference&who=person&run=sample-gru&length=20&updates=10&prompt=The+")
    learn = tab.page.locator(".st-key-preference_learn button")
    for number in range(1, 4):
        heading = tab.page.get_by_role("heading", name=f"Choice {number}")
        expect(heading).to_be_visible(timeout=60_000)
        expect(learn).to_be_disabled()
        tab.page.locator(".st-key-preference_A button").click()
    expect(learn).to_be_enabled(timeout=30_000)
    learn.click()
    tab.wait_chart("preference_chart", seconds=60)
    expect(tab.page.locator(".st-key-preference_chart .title")).to_contain_text("of the pairs of the last update apart")
    sound(tab, server)
    tab.page.locator(".st-key-preference_keep button").first.click()
    expect(tab.page.get_by_text(re.compile("Kept as gru-"))).to_be_visible(timeout=60_000)
    sound(tab, server)
