"""A text whose tokens can be chosen, in a real browser, on a small app of its own."""

from collections.abc import Callable

import pytest
from browser import Server, Tab
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.browser

APP = """
import time
import numpy as np, streamlit as st
from lmviz.ui.reader import reader

state = st.session_state
for name in ("heard", "spans"):
    state.setdefault(name, [])
many, kind = int(st.query_params.get("many", 0)), st.query_params.get("kind", "")
tokens = ["<begin>", *"def f(a):", "\\n", "\\t", *"<b>x</b>"] if not many else [f"w{i} " for i in range(many)]
if kind == "empty":
    tokens = []

def choose(place):
    state.heard.append(place)
    if kind != "stubborn":
        state.chosen = place

def choose_span(first, last):
    state.spans.append([first, last])
    if kind != "stubborn":
        state.span = (first, last)

if kind == "slow" and state.heard and len(state.heard) == 1:
    while not (state.folder / "go").exists():
        time.sleep(0.02)
shades = np.linspace(-1, 1, len(tokens)) if tokens else []
reader(
    tokens, "text", alt="A text.", shades=shades, chosen=state.get("chosen", None if kind == "unmarked" else 1),
    span=state.get("span"), marks={0} if tokens else (), tips=[f"tip {i}" for i in range(len(tokens))],
    height=160 if many else None, on_choose=choose, on_span=None if kind == "plain" else choose_span,
)
st.text(f"heard {state.heard}")
st.text(f"spans {state.spans}")
st.button("set", on_click=lambda: state.update(chosen=4))
"""


@pytest.fixture(scope="module")
def lab(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("reader")
    head = f"import pathlib, streamlit as st\nst.session_state.folder = pathlib.Path({str(folder)!r})\n"
    (folder / "app.py").write_text(head + APP, "utf-8")
    return start_server(folder / "app.py", folder)


@pytest.fixture
def tab(lab: Server, open_tab: Callable[..., Tab]) -> Tab:
    return open_text(open_tab(lab), "/")


def open_text(tab: Tab, path: str) -> Tab:
    tab.open(path)
    tab.page.locator(".lmviz-reader").wait_for()
    return tab


def token(tab: Tab, place: int) -> Locator:
    return tab.page.locator(f".lmviz-reader [data-at='{place}']")


def expect_chosen(tab: Tab, place: int) -> None:
    expect(tab.page.locator(".lmviz-reader .chosen")).to_have_attribute("data-at", str(place))


def expect_span(tab: Tab, first: int, last: int) -> None:
    inside = tab.page.locator(".lmviz-reader .in")
    expect(inside).to_have_count(last - first + 1)
    expect(inside.first).to_have_attribute("data-at", str(first))


def drag(tab: Tab, start: int, end: int) -> None:
    boxes = [token(tab, place).bounding_box() for place in (start, end)]
    # Not from the middle of a letter: there Chromium selects no text, on any page.
    (left, top), (right, bottom) = ((box["x"] + box["width"] / 4, box["y"] + box["height"] / 2) for box in boxes if box)
    tab.page.mouse.move(left, top)
    tab.page.mouse.down()
    tab.page.mouse.move(right, bottom, steps=3)
    tab.page.mouse.up()


def test_tokens_are_text_and_say_what_they_are(tab: Tab) -> None:
    box = tab.page.get_by_role("listbox", name="A text.")
    assert box.evaluate("box => box.textContent") == "<begin>def f(a):⏎\n\t<b>x</b>"
    assert box.locator("b").count() == 0
    assert token(tab, 11).bounding_box()["y"] > token(tab, 1).bounding_box()["y"]
    expect_chosen(tab, 1)
    assert box.get_attribute("aria-activedescendant") == token(tab, 1).get_attribute("id")
    token(tab, 5).hover()
    expect(tab.page.locator(".tip")).to_have_text("tip 5")
    colour = "span => getComputedStyle(span).backgroundColor"
    assert token(tab, 2).evaluate(colour) != token(tab, 17).evaluate(colour)
    assert not tab.problems


def test_a_click_and_the_keys_choose(tab: Tab) -> None:
    token(tab, 4).click()
    expect_chosen(tab, 4)
    tab.expect_text("heard [4]")
    tab.page.keyboard.press("ArrowRight")
    expect_chosen(tab, 5)
    tab.expect_text("heard [4, 5]")
    tab.page.keyboard.press("End")
    expect_chosen(tab, 19)
    tab.expect_text("heard [4, 5, 19]")
    tab.page.keyboard.press("ArrowUp")
    above = int(str(tab.page.locator(".lmviz-reader .chosen").get_attribute("data-at")))
    assert 0 < above <= 10
    tab.expect_text(f"heard [4, 5, 19, {above}]")
    tab.page.keyboard.press("Home")
    tab.expect_text(f"heard [4, 5, 19, {above}, 0]")
    tab.expect_text("spans []")  # none of it was a span


def test_a_held_key_moves_at_once_and_the_server_hears_the_end(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_text(open_tab(lab), "/?many=1000")
    token(tab, 10).click()
    tab.expect_text("heard [10]")
    press = "new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true })"
    tab.page.evaluate(
        f"() => {{ const box = document.querySelector('.lmviz-reader'); for (let i = 0; i < 300; i++) "
        f"box.dispatchEvent({press}); }}"
    )
    expect_chosen(tab, 310)
    tab.expect_text("heard [10, 310]")
    assert tab.page.locator(".lmviz-reader").evaluate("box => box.scrollTop") > 0
    assert tab.overflow() == 0


def test_an_older_answer_does_not_pull_the_mark_back(lab: Server, open_tab: Callable[..., Tab]) -> None:
    go = lab.log.parent / "go"
    tab = open_text(open_tab(lab), "/?kind=slow")
    tab.page.evaluate(
        "() => { window.seen = []; new MutationObserver(() => window.seen.push("
        "document.querySelector('.lmviz-reader .chosen')?.dataset.at)).observe("
        "document.querySelector('.lmviz-reader'), { subtree: true, attributeFilter: ['class'] }); }"
    )
    token(tab, 4).click()
    tab.page.wait_for_selector("[data-testid='stApp'][data-test-script-state='running']", state="attached")
    for place in (5, 6, 7):
        tab.page.keyboard.press("ArrowRight")
        expect_chosen(tab, place)
    go.touch()
    tab.expect_text("heard [4, 7]")
    tab.wait_idle()
    expect_chosen(tab, 7)
    assert [int(place) for place in tab.page.evaluate("window.seen") if place] == sorted(
        int(place) for place in tab.page.evaluate("window.seen") if place
    )


def test_the_servers_word_holds_in_the_end(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_text(open_tab(lab), "/?kind=stubborn")
    token(tab, 6).click()
    tab.expect_text("heard [6]")
    expect_chosen(tab, 1)
    drag(tab, 3, 5)
    tab.expect_text("spans [[3, 5]]")
    expect(tab.page.locator(".lmviz-reader .in")).to_have_count(0)
    tab.page.get_by_role("button", name="set").click()
    expect_chosen(tab, 4)


def test_dragging_chooses_a_span_and_no_text_of_the_page(tab: Tab) -> None:
    drag(tab, 8, 5)
    expect_span(tab, 5, 8)
    tab.expect_text("spans [[5, 8]]")
    tab.expect_text("heard []")
    assert tab.page.evaluate("() => getSelection().toString()") == ""
    copied = tab.page.evaluate(
        "() => { const data = new DataTransfer(), box = document.querySelector('.lmviz-reader');"
        " box.dispatchEvent(new ClipboardEvent('copy', { clipboardData: data, bubbles: true, cancelable: true }));"
        " return data.getData('text/plain'); }"
    )
    assert copied == "f(a)"
    assert not tab.problems


def test_without_spans_text_is_selected_as_anywhere(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_text(open_tab(lab), "/?kind=plain")
    drag(tab, 3, 9)
    selected = "() => getSelection().toString()"
    assert "f(a" in tab.page.evaluate(selected)
    token(tab, 4).click()
    tab.expect_text("heard [4]")  # and the drag chose nothing
    assert tab.page.evaluate(selected) == ""


def test_shift_chooses_a_span_from_the_last_place(tab: Tab) -> None:
    token(tab, 3).click()
    tab.expect_text("heard [3]")
    tab.page.keyboard.press("Shift+ArrowRight")
    tab.page.keyboard.press("Shift+ArrowRight")
    expect_span(tab, 3, 5)
    tab.expect_text("[3, 5]]")
    token(tab, 12).click()  # a new place: the old end is no longer of interest
    tab.expect_text("heard [3, 12]")
    tab.page.keyboard.press("Shift+ArrowLeft")
    expect_span(tab, 11, 12)
    token(tab, 15).click(modifiers=["Shift"])
    expect_span(tab, 12, 15)
    tab.page.keyboard.press("Shift+ArrowRight")
    expect_span(tab, 12, 16)
    tab.expect_text("[12, 16]]")


def test_shift_starts_from_a_place_that_the_server_does_not_mark(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_text(open_tab(lab), "/?kind=unmarked")
    drag(tab, 5, 7)
    tab.expect_text("spans [[5, 7]]")
    tab.page.keyboard.press("Shift+ArrowRight")
    expect_span(tab, 5, 8)


def test_a_finger_taps_and_scrolls_but_starts_no_span(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_text(open_tab(lab, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True), "/?many=60")
    token(tab, 7).tap()
    expect_chosen(tab, 7)
    tab.expect_text("heard [7]")
    tab.expect_text("spans []")
    assert tab.overflow() == 0


def test_a_text_without_tokens(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_text(open_tab(lab), "/?kind=empty")
    tab.page.locator(".lmviz-reader").focus()
    for key in ("ArrowRight", "ArrowUp", "End", "Shift+ArrowRight"):
        tab.page.keyboard.press(key)
    tab.page.get_by_role("button", name="set").click()
    tab.wait_idle()
    tab.expect_text("heard []")
    assert not tab.problems
