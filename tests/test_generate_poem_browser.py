"""Poem in a real browser: a poem at once, another, a line of one's own, freely, measured; on a phone."""

from collections.abc import Callable

import pytest
from browser import Server, Tab
from playwright.sync_api import expect

from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Store

pytestmark = pytest.mark.browser


def test_a_person_writes_poems(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server).open("/generate?part=poem&run=sample-gpt")
    tab.page.get_by_role("button", name="Show the Tang poems").click()
    signs = tab.page.locator(".verse-lines .sign b")
    expect(signs).to_have_count(28, timeout=20_000)
    expect(tab.page.get_by_role("heading", name="The model's lines keep the pattern 七绝平起首句入韵")).to_be_visible()
    first = signs.all_inner_texts()
    tab.page.get_by_role("button", name="Write another").click()
    expect(tab.page.get_by_label("Seed", exact=True)).to_have_value("2", timeout=20_000)
    expect(signs).not_to_have_text(first, timeout=20_000)
    tab.wait_idle()

    line = tab.page.get_by_role("textbox", name="First line")
    line.fill("白日依山盡")
    line.press("Enter")
    expect(signs).to_have_count(20, timeout=20_000)
    expect(tab.page.get_by_role("heading", name="五绝仄起首句不入韵")).to_be_visible()
    *_, answer = QUESTIONS["poem"](Store(server.store), run="sample-tang", line="白日依山盡", seed=2)
    assert "".join(signs.all_inner_texts()) == "".join(s["character"] for row in answer["lines"] for s in row)

    tab.page.get_by_role("radio", name="Write freely").click()
    expect(tab.page.get_by_role("heading", name="Broken in the model's lines")).to_be_visible(timeout=20_000)
    tab.page.get_by_role("button", name="Measure").click()
    expect(tab.page.get_by_role("heading", name="with the constraint 20 of 20")).to_be_visible(timeout=30_000)
    tab.wait_chart("poem_costs")
    tab.expect_no_exception()
    assert not tab.problems and not server.errors() and tab.overflow() == 0

    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.page.reload()  # the address has it all
    expect(tab.page.get_by_role("heading", name="Broken in the model's lines")).to_be_visible(timeout=20_000)
    expect(line).to_have_value("白日依山盡")
    tab.expect_no_exception()
    assert tab.overflow() == 0
