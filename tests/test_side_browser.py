"""Side by side and Temperature in a real browser: a person compares ways, then moments, and turns the heat up. What is
seen on a phone and in the dark is in test_generate_side_browser.py.
"""

import json
import re
from collections.abc import Callable

import pytest
from browser import Server, Tab
from playwright.sync_api import expect

from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Store
from lmviz.ui.generate.ways import read_ways

pytestmark = pytest.mark.browser

PLACE = (
    "(plot, [x, y]) => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect(), { xaxis, yaxis } ="
    " plot._fullLayout; return [r.x + xaxis.d2p(x), r.y + yaxis.d2p(y)]; }"
)


def sound(tab: Tab, server: Server) -> None:
    tab.expect_no_exception()
    assert not tab.problems and not server.errors(), json.dumps(tab.problems)
    assert tab.overflow() == 0


def test_a_person_compares_ways_then_moments(server: Server, open_tab: Callable[..., Tab]) -> None:
    ways = "greedy;t0.5;t1.2,k5"
    tab = open_tab(server).open(f"/generate?part=side&run=sample-gpt&tokens_each=40&ways={ways}&prompt=return+")
    heading = tab.page.get_by_role("heading", level=3)
    expect(heading).to_contain_text("Repeats most", timeout=60_000)
    sides = [
        {"run": "sample-gpt", "step": None, "prompt": "return ", "max_new_tokens": 40, "seed": 1, **way}
        for way in read_ways(ways)
    ]
    *_, answer = QUESTIONS["side"](Store(server.store), sides=sides)
    texts = tab.page.locator(".written")
    expect(texts).to_have_count(3)
    for place, side in enumerate(answer["sides"]):
        assert texts.nth(place).text_content() == "return " + "".join(t["piece"] or t["text"] for t in side["tokens"])
    rows = tab.page.locator("table.sides tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text(f"{answer['sides'][0]['perplexity']:.2f}")
    box = rows.nth(3).bounding_box()
    assert box is not None and box["y"] + box["height"] < 900  # seen without scrolling
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download as CSV").click()
    assert download.value.path().read_text("utf-8").count("T 1.2, top-k 5") == 1
    sound(tab, server)

    # another temperature for the second way
    tab.page.get_by_text("Change the ways").click()
    grid = tab.page.locator(".st-key-side_ways_box .dvn-scroller")
    grid.click(position={"x": 180, "y": 52})
    for key in ("Control+Home", "ArrowDown", "ArrowRight", "Enter"):  # wherever the click fell while the box opened
        tab.page.keyboard.press(key)
    cell = tab.page.locator("#portal input")
    expect(cell).to_be_visible()
    cell.fill("0.3")
    cell.press("Enter")
    expect(tab.page).to_have_url(re.compile(r"ways=greedy(;|%3B)t0\.3(;|%3B)t1\.2(,|%2C)k5"))
    expect(rows.nth(2)).to_contain_text("T 0.3")
    expect(heading).to_contain_text("Repeats most", timeout=60_000)
    sides[1]["temperature"] = 0.3
    *_, cooler = QUESTIONS["side"](Store(server.store), sides=sides)
    expect(rows.nth(2)).to_contain_text(f"{cooler['sides'][1]['perplexity']:.2f}")

    tab.page.get_by_role("radio", name="Moments of its training").click()
    expect(tab.page).to_have_url(re.compile("differs=moments"))
    expect(tab.page.locator("table.sides")).to_contain_text("after 0 updates", timeout=30_000)
    expect(heading).to_contain_text("Repeats most", timeout=60_000)
    expect(texts).to_have_count(6)
    sound(tab, server)
    tab.page.reload()
    expect(tab.page.locator("table.sides")).to_contain_text("after 0 updates", timeout=30_000)


def test_a_person_turns_the_temperature_up(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server).open("/generate?part=temperature&run=sample-gpt&prompt=return+")
    heading = tab.page.get_by_role("heading", level=3).first
    expect(heading).to_contain_text("At T = 1.00", timeout=60_000)
    plot = tab.wait_chart("temperature_map")
    tab.page.mouse.click(*plot.evaluate(PLACE, [2.0, 3]))
    expect(heading).to_contain_text("At T = 2.00", timeout=30_000)
    expect(tab.page).to_have_url(re.compile(r"[?&]t=2\.0"))
    *_, answer = QUESTIONS["temperatures"](Store(server.store), "sample-gpt", prompt="return ")
    place = answer["temperatures"].index(2.0)
    expect(heading).to_contain_text(f"takes {answer['needed'][place]} tokens")
    expect(tab.page.locator(".st-key-temperature_outside .title")).to_contain_text(f"{answer['outside'][place]:.2%}")
    sound(tab, server)
