"""Page Gradients in a real browser: watch the memory open, share the moment; choose a token, see its loss shift."""

import re
from collections.abc import Callable

import pytest
from browser import Server, Tab
from playwright.sync_api import expect
from test_training import small_config
from texts import prose

from lmviz.runs import Run, Store
from lmviz.training.foreground import train_here

pytestmark = pytest.mark.browser

MARK = "node => node._fullLayout.shapes[0].x0"
SHADES = ".written.passage .tok[style]"


@pytest.fixture(scope="module")
def gru(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny GRU in the server's store."""
    text = tmp_path_factory.mktemp("text") / "prose.txt"
    text.write_text(prose(), encoding="utf-8")
    run = Store(server.store).create(small_config("gru", text).model_copy(update={"name": "tiny GRU"}))
    train_here(run, quiet=True)
    return run


def mark(tab: Tab) -> int:
    """The column of the map at which the moment is marked."""
    return int(tab.wait_chart("learning_map").evaluate(MARK))


def wait_mark(tab: Tab, column: int) -> None:
    tab.page.wait_for_function(
        "([key, column]) => document.querySelector(key)?._fullLayout?.shapes[0]?.x0 === column",
        arg=[".st-key-learning_map .js-plotly-plot", column],
    )


def test_play_shows_every_moment_and_the_link_one(
    server: Server, tab: Tab, open_tab: Callable[..., Tab], gru: Run
) -> None:
    last = len(gru.gradients()) - 1
    tab.open(f"/gradients?part=learning&runs={gru.id}")
    assert mark(tab) == last
    title = tab.page.locator(".st-key-learning_moment .title")
    tab.page.evaluate(
        "() => { window.seen = []; const note = () => window.seen.push("
        "document.querySelector('.st-key-learning_map .js-plotly-plot')._fullLayout.shapes[0].x0);"
        "document.querySelector('.st-key-learning_map .js-plotly-plot').on('plotly_afterplot', note); }"
    )
    tab.page.locator(".st-key-moment_play button").click()
    expect(tab.page.locator(".st-key-moment_stop button")).to_be_visible()
    expect(title).to_contain_text("At birth")
    expect(tab.page.locator(".st-key-moment_play button")).to_be_visible(timeout=30_000)
    wait_mark(tab, last)
    seen = tab.page.evaluate("window.seen")
    assert seen[0] == 0 and seen == sorted(seen) and len(set(seen)) >= 3, seen

    slider = tab.page.locator(".st-key-moment_slider").get_by_role("slider").last
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    wait_mark(tab, last - 3)
    step = gru.gradients()[last - 3]["step"]
    tab.page.wait_for_url(f"**step={step}**")
    expect(title).to_contain_text(f"After {step} updates")
    other = open_tab(server).open(tab.page.url.removeprefix(server.url))
    assert mark(other) == last - 3
    expect(other.page.locator(".st-key-learning_moment .title")).to_have_text(str(title.text_content()))
    for one in (tab, other):
        one.expect_no_exception()
        assert not one.problems
    assert not server.errors()


def test_a_token_is_chosen_by_keyboard_and_in_the_map(server: Server, tab: Tab, gru: Run) -> None:
    tab.open(f"/gradients?part=text&run={gru.id}&second=sample-gru&text=the+way+of+the")
    expect(tab.page.locator(".tok.chosen")).to_have_text(["e", "e"])
    before = tab.page.locator(SHADES).evaluate_all("all => all.map(one => one.style.cssText)")
    slider = tab.page.locator(".st-key-text_token").get_by_role("slider")
    slider.focus()
    slider.press("ArrowLeft")
    expect(tab.page.locator(".tok.chosen")).to_have_text(["h", "h"])
    tab.page.wait_for_url("**token=13**")
    after = tab.page.locator(SHADES).evaluate_all("all => all.map(one => one.style.cssText)")
    assert len(before) == 28 and len(after) == 26 and before[:13] != after[:13]

    plot = tab.wait_chart("dependence_second")
    plot.scroll_into_view_if_needed()
    place = plot.evaluate(
        "node => { const box = node.getBoundingClientRect(), { xaxis, yaxis, _size } = node._fullLayout;"
        " return [box.x + _size.l + xaxis.d2p(1), box.y + _size.t + yaxis.d2p(4)]; }"
    )
    tab.page.mouse.move(*place)
    expect(plot.locator(".hovertext")).to_contain_text(re.compile(r": [\d.]+(e.\d+)?$"))
    tab.page.mouse.click(*place)
    expect(tab.page.locator(".tok.chosen")).to_have_text(["w", "w"])
    tab.page.wait_for_url("**token=5**")
    tab.expect_no_exception()
    assert not tab.problems and not server.errors()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_both_parts(server: Server, open_tab: Callable[..., Tab], gru: Run, scheme: str) -> None:
    tab = open_tab(server, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    tab.open(f"/gradients?part=learning&runs={gru.id},sample-gru")
    tab.wait_chart("learning_map")
    assert tab.overflow() == 0
    tab.page.get_by_text("Where it goes", exact=True).click()
    expect(tab.page.locator(".tok.chosen")).to_have_count(2, timeout=30_000)
    tab.wait_chart("dependence_second")
    assert tab.overflow() == 0 and re.search("part=text", tab.page.url)
    assert not tab.problems


def test_the_answer_is_seen_without_scrolling(tab: Tab, gru: Run) -> None:
    tab.open(f"/gradients?part=learning&runs={gru.id}")
    box = tab.wait_chart("learning_map").bounding_box()
    assert box["y"] + box["height"] < 900
    tab.open("/gradients?part=text")
    expect(tab.page.locator(".written.passage")).to_have_count(2, timeout=30_000)
    box = tab.page.locator(".written.passage").last.bounding_box()
    assert box and box["y"] + box["height"] < 900
