"""Page Generate in a real browser: a text's surprise, what a model writes itself, two models, and valid code."""

import re
from collections.abc import Callable

import pytest
from browser import Server, Tab
from playwright.sync_api import expect

from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Store

pytestmark = pytest.mark.browser


def heading(tab: Tab, words: str) -> None:
    expect(tab.page.get_by_role("heading", name=re.compile(words)).first).to_be_visible(timeout=40_000)


def sound(tab: Tab, server: Server) -> None:
    tab.expect_no_exception()
    assert not tab.problems and not server.errors()
    assert tab.overflow() == 0


def test_a_text_is_measured_marked_and_compared(server: Server, open_tab: Callable[..., Tab]) -> None:
    text = "The for statement is used"
    tab = open_tab(server).open(f"/generate?part=surprise&run=sample-gpt&text={text}")
    heading(tab, "It guessed")
    *_, answer = QUESTIONS["surprise"](Store(server.store), run="sample-gpt", text=text)
    expect(tab.page.get_by_test_id("stMetricValue").first).to_have_text(f"{answer['loss']:.4f}")
    tab.page.locator(".st-key-surprise_reader [data-at='4']").click()
    expect(tab.page.locator(".st-key-surprise_reader .chosen")).to_have_text("f", timeout=20_000)
    expect(tab.page.get_by_test_id("stCaptionContainer").filter(has_text="f: probability")).to_be_visible(
        timeout=20_000
    )
    shape = "plot => plot._fullLayout.shapes.map(one => one.x0)"
    assert tab.wait_chart("surprise_along").evaluate(shape) == [3.5]
    tab.page.get_by_role("button", name="Take what the model writes").click()
    heading(tab, "Its own text, drawn at temperature 0.8: .* of held-out text")

    tab.open(f"/generate?part=surprise&run=sample-gpt&with=sample-gates-lstm&text={text}")
    heading(tab, "expects this text more")
    tab.wait_chart("surprise_difference")
    sound(tab, server)


def test_code_is_completed_and_measured_over_training(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server, viewport={"width": 390, "height": 900}, color_scheme="dark")
    tab.open("/generate?part=code&run=sample-gpt")
    tab.page.get_by_role("button", name="Take the sample that learned Python").click()
    heading(tab, "of 16 completions are valid Python")
    assert "run=sample-code" in tab.page.url and "part=code" in tab.page.url
    tab.page.get_by_role("button", name="Measure over training").click()
    tab.wait_chart("code_training", 60)
    expect(tab.page.locator(".st-key-code_training .title")).to_contain_text("rises from", timeout=20_000)
    sound(tab, server)
    tab.open("/generate?part=surprise&run=sample-gpt")
    tab.wait_chart("surprise_along")
    sound(tab, server)
