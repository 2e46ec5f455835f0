"""Step by step in a real browser: on, on, another token, back by the tree, and the link shows the same again."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import Server, Tab
from playwright.sync_api import expect

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.jobs.of_run import model_of
from lmviz.runs import Store

pytestmark = pytest.mark.browser

ROW = (
    "(plot, id) => { const trace = plot._fullData[0], row = trace.customdata.findIndex(([token]) => token === id);"
    " const box = plot.querySelector('.nsewdrag').getBoundingClientRect(), y = plot._fullLayout.yaxis;"
    " return [box.x + box.width / 2, box.y + y.d2p(trace.y[row])]; }"
)
NODE = (
    "(plot, [depth, lane]) => { const box = plot.querySelector('.nsewdrag').getBoundingClientRect(), { xaxis, yaxis } ="
    " plot._fullLayout; return [box.x + xaxis.d2p(depth), box.y + yaxis.d2p(lane)]; }"
)
LISTED = "plot => plot._fullData[0].customdata.map(([token]) => token)"
SHOWN = "() => [...document.querySelectorAll('.st-key-steps_text [data-at]')].map(span => span.textContent)"


def path(tab: Tab) -> str:
    return parse_qs(urlsplit(tab.page.url).query).get("tokens", [""])[0]


def until(tab: Tab, tokens: str) -> None:
    """Until the address has this path, and the page shows as many tokens."""
    tab.page.wait_for_function(
        "wanted => (new URLSearchParams(location.search).get('tokens') ?? '') === wanted", arg=tokens
    )
    count = 2 + len(tokens.split(","))  # the prompt, and the place of the next one
    tab.page.wait_for_function(f"() => ({SHOWN})().length === {count}")
    tab.wait_idle()


def click(tab: Tab, key: str, script: str, at: object) -> None:
    plot = tab.wait_chart(key)
    plot.scroll_into_view_if_needed()
    x, y = plot.evaluate(script, at)
    tab.page.mouse.click(x, y)


def test_a_token_is_forced_and_left_again(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server).open("/generate?part=steps&run=sample-gpt&prompt=The&top_k=20&seed=7")
    tab.wait_chart("steps_stages")
    model, tokenizer, _ = model_of(Store(server.store), "sample-gpt", None)
    config = DecodingConfig(prompt="The", temperature=0.8, top_k=20, seed=7, max_new_tokens=3)
    first, second, third = (token.id for token in generate(model, tokenizer, config))
    for tokens in (f"{first}", f"{first},{second}"):
        tab.page.get_by_role("button", name="Next", exact=True).click()
        until(tab, tokens)

    plot = tab.wait_chart("steps_stages")
    other = next(token for token in plot.evaluate(LISTED) if token not in (-1, 2, third))
    click(tab, "steps_stages", ROW, other)
    until(tab, f"{first},{second},*{other}")
    tab.page.get_by_role("button", name="Next", exact=True).click()
    tab.page.wait_for_function("() => new URLSearchParams(location.search).get('tokens').split(',').length === 4")
    branch = path(tab)
    tab.wait_idle()

    click(tab, "steps_tree_chart", NODE, [2, 0])  # where it was forced, seen from behind
    expect(tab.page).to_have_url(re.compile("at=2"), timeout=20_000)
    assert path(tab) == branch
    expect(tab.page.locator(".st-key-steps_stages .title")).to_contain_text("was taken", timeout=20_000)
    tab.wait_idle()
    click(tab, "steps_stages", ROW, third)
    until(tab, f"{first},{second},{third}")
    expect(tab.page.locator(".st-key-steps_tree_chart .title")).to_contain_text("2 branches", timeout=20_000)
    shown, title = tab.page.evaluate(SHOWN), tab.page.locator(".st-key-steps_stages .title").inner_text()

    link = tab.page.url
    tab.page.reload()
    until(tab, f"{first},{second},{third}")
    assert tab.page.evaluate(SHOWN) == shown
    expect(tab.page.locator(".st-key-steps_stages .title")).to_have_text(title, timeout=20_000)
    click(tab, "steps_tree_chart", NODE, [4, 1])  # the other branch is still there
    until(tab, branch)
    tab.expect_no_exception()
    assert not tab.problems and not server.errors() and tab.overflow() == 0

    phone = open_tab(server, viewport={"width": 390, "height": 844}, color_scheme="dark")
    phone.open(link.removeprefix(server.url) + "&lang=zh")
    until(phone, f"{first},{second},{third}")
    phone.wait_chart("steps_tree_chart")
    phone.expect_no_exception()
    assert not phone.problems and phone.overflow() == 0
