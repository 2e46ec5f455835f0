"""Page Gates in a real browser: from a trained run to its gates, one character and one unit, held, over the training,
a span and its matches, as CSV.
"""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Server, Tab
from playwright.sync_api import Locator, expect
from test_held_out import CODE
from test_training import small_config

from lmviz.inspect.gates import signals, tokens_read
from lmviz.jobs.of_run import model_of
from lmviz.runs import Run, Store
from lmviz.training.foreground import train_here

pytestmark = pytest.mark.browser

RANGES = "plot => [plot._fullLayout.xaxis.range, plot._fullLayout.yaxis.range]"
AREA = (
    "plot => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect();"
    " return [r.x, r.y, r.width, r.height]; }"
)
PLOT = "document.querySelector('.st-key-gates_first_gate_forget .plot')"
Z = f"{PLOT}._fullData[0].z[0][3]"
CELL = (
    "(plot, [column, row]) => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect(),"
    " { xaxis, yaxis } = plot._fullLayout; return [r.x + xaxis.d2p(xaxis._categories[column]),"
    " r.y + yaxis.d2p(yaxis._categories[row])]; }"
)
TEXT = "def f(a, b):  # add\n    return [a]\n"


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An LSTM of two layers that learned some code for seconds, in the server's store."""
    text = tmp_path_factory.mktemp("code") / "code.txt"
    text.write_text(CODE * 400, encoding="utf-8")
    model = {"num_layers": 2, "hidden_size": 24, "embedding_dim": 12}
    run = Store(server.store).create(small_config("lstm", text, steps=120, model=model))
    train_here(run, quiet=True)
    return run


def token(tab: Tab, place: int, key: str = "gates_reader") -> Locator:
    return tab.page.locator(f".st-key-{key} [data-at='{place}']")


def chosen(tab: Tab, key: str = "gates_reader") -> Locator:
    return tab.page.locator(f".st-key-{key} .chosen")


def sound(tab: Tab, server: Server) -> None:
    tab.expect_no_exception()
    assert not tab.problems and not server.errors()


def test_from_a_card_to_one_step_in_numbers(server: Server, tab: Tab, run: Run) -> None:
    """The card's link; a character by click and by arrow keys; a cell of a map; the numbers are the model's own."""
    tab.open(f"/train?runs={run.id}")
    tab.page.get_by_role("link", name="Its gates").click()
    tab.wait_chart("gates_first_hidden")
    tab.page.wait_for_url(f"**/gates?**run={run.id}**")

    tab.open(f"/gates?run={run.id}&text={TEXT[:12].replace(' ', '+')}")
    tab.wait_chart("gates_first_hidden")
    token(tab, 4).click()
    expect(chosen(tab)).to_have_text(TEXT[3])
    tab.page.wait_for_url("**token=4**")
    for _ in range(3):
        tab.page.keyboard.press("ArrowRight")
    expect(chosen(tab)).to_have_attribute("data-at", "7")
    tab.page.wait_for_url("**token=7**")
    expect(tab.page.get_by_role("heading", name=re.compile(r"Step 7: unit \d+ reads “a”"))).to_be_visible()

    plot = tab.wait_chart("gates_first_cell")
    plot.scroll_into_view_if_needed()
    place = plot.evaluate(CELL, [5, 10])
    tab.page.mouse.move(*place)
    expect(plot.locator(".hovertext").first).to_contain_text("after 5 f, unit")
    unit = int(re.search(r"unit (\d+): (-?[\d.]+)", str(plot.locator(".hovertext").first.text_content()))[1])  # type: ignore[index]
    tab.page.mouse.click(*place)
    tab.page.wait_for_url("**token=5**")
    expect(tab.page.get_by_role("heading", name=f"Step 5: unit {unit} reads “f”")).to_be_visible()
    model, tokenizer, _ = model_of(Store(server.store), run.id, None)
    found = signals(model, tokens_read(tokenizer, TEXT[:12]))
    for name, words in (("gate.forget", "Forget gate f"), ("gate.output", "Output gate o")):
        shown = tab.page.locator("table.step tr", has_text=words).locator("b").text_content()
        assert float(str(shown)) == pytest.approx(float(found[name][1, 5, unit]), abs=1e-4)
    cell = f"{found['cell'][1, 5, unit]:.4f}"
    expect(tab.page.locator(".katex-mathml").first).to_contain_text(cell.lstrip("-"))
    sound(tab, server)


def test_maps_share_zoom_and_hover_and_keep_it(server: Server, tab: Tab, run: Run) -> None:
    tab.open(f"/gates?run={run.id}&second=untrained&text=def+f(a,+b):")
    first, other = tab.wait_chart("gates_first_gate_forget"), tab.wait_chart("gates_first_hidden")
    below = tab.wait_chart("gates_second_hidden")
    first.scroll_into_view_if_needed()
    x, y, width, height = first.evaluate(AREA)
    whole = below.evaluate(RANGES)
    tab.page.mouse.move(x + 0.3 * width, y + 0.3 * height)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 0.7 * width, y + 0.8 * height, steps=5)
    tab.page.mouse.up()
    tab.page.wait_for_function(
        "start => document.querySelector('.st-key-gates_second_hidden .plot')._fullLayout.xaxis.range[0] > start",
        arg=whole[0][0],
    )
    zoomed = first.evaluate(RANGES)
    assert other.evaluate(RANGES) == zoomed and below.evaluate(RANGES) == [zoomed[0], whole[1]]

    tab.page.mouse.move(x + 0.5 * width, y + 0.5 * height)
    expect(other.locator(".hovertext")).to_have_count(1)
    places = [re.sub(r": .*", "", str(plot.locator(".hovertext").text_content())) for plot in (first, other)]
    assert places[0] == places[1] and places[0].startswith("after ")
    other.scroll_into_view_if_needed()
    left, top, wide, high = other.evaluate(AREA)
    tab.page.mouse.click(left + 0.5 * wide, top + 0.5 * high)  # in the first it would be a double click
    tab.page.wait_for_url("**unit=**")
    tab.page.wait_for_function(
        "() => document.querySelector('.st-key-gates_first_hidden .plot').layout.shapes.length === 2"
    )
    assert other.evaluate(RANGES) == zoomed and below.evaluate(RANGES)[0] == zoomed[0], "a new choice keeps the zoom"
    first.scroll_into_view_if_needed()
    x, y, width, height = first.evaluate(AREA)
    tab.page.mouse.dblclick(x + 0.5 * width, y + 0.5 * height)
    tab.page.wait_for_function(
        "range => String(document.querySelector('.st-key-gates_second_hidden .plot')._fullLayout.xaxis.range)"
        " === range",
        arg=",".join(f"{end:g}" for end in whole[0]),
    )
    sound(tab, server)


def test_a_map_comes_as_csv_with_the_models_numbers(server: Server, tab: Tab, run: Run) -> None:
    tab.open(f"/gates?run={run.id}&sort=index&text=def+f(a)")
    plot = tab.wait_chart("gates_first_gate_forget")
    plot.hover()
    with tab.page.expect_download() as download:
        tab.page.locator(".st-key-gates_first_gate_forget .modebar-btn[data-title='Download the data (CSV)']").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    model, tokenizer, _ = model_of(Store(server.store), run.id, None)
    forget = signals(model, tokens_read(tokenizer, "def f(a)"))["gate.forget"][1]  # (T, H)
    cells: dict[tuple[str, str], float] = {
        (row[1], row[2]): float(row[3]) for row in rows[1:] if row[0].startswith("Forget")
    }
    assert len(cells) == forget.size
    assert cells["4 ␣", "7"] == pytest.approx(float(forget[4, 7]), abs=1e-4)
    sound(tab, server)


def test_the_slider_moves_everything_and_play_runs_to_the_end(server: Server, tab: Tab, run: Run) -> None:
    steps = run.checkpoint_steps()
    tab.open(f"/gates?run={run.id}&text=def+f(a,+b):")
    tab.wait_chart("gates_first_gate_forget")
    last = tab.page.evaluate(Z)
    slider = tab.page.locator(".st-key-moment_slider").get_by_role("slider").last
    slider.focus()
    slider.press("Home")
    tab.page.wait_for_url("**step=0**")
    tab.page.wait_for_function(f"last => {Z} !== last", arg=last)
    tab.page.evaluate(
        f"() => {{ window.seen = new Set(); {PLOT}.on('plotly_afterplot', () => window.seen.add({Z})); }}"
    )
    tab.page.locator(".st-key-moment_play button").click()
    expect(tab.page.locator(".st-key-moment_stop button")).to_be_visible()
    expect(tab.page.locator(".st-key-moment_play button")).to_be_visible(timeout=60_000)
    tab.page.wait_for_function(f"last => {Z} === last", arg=last)
    assert len(steps) >= 5 and tab.page.evaluate("window.seen.size") >= 3
    sound(tab, server)


def test_find_meaning_over_the_training(server: Server, tab: Tab, run: Run) -> None:
    tab.open(f"/gates?run={run.id}&part=meaning&feature=comment")
    plot = tab.wait_chart("gates_meaning_first", seconds=60)
    names = plot.evaluate("plot => plot._fullLayout.yaxis._categories")
    assert "in a comment" in names and "in brackets" in names and "Chinese punctuation" not in names
    plot.scroll_into_view_if_needed()
    place = plot.evaluate(
        "plot => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect(),"
        " { xaxis, yaxis } = plot._fullLayout, unit = plot.data.at(-1), at = unit.y.indexOf('in brackets');"
        " return [r.x + xaxis.d2p(unit.x[at]), r.y + yaxis.d2p('in brackets')]; }"
    )
    tab.page.mouse.move(*place)
    tab.page.mouse.click(*place)
    expect(tab.page.locator(".st-key-gates_feature").get_by_role("combobox")).to_have_value("in brackets")
    tab.page.get_by_role("button", name="Measure over the training").click()
    history = tab.wait_chart("gates_meaning_history", seconds=60)
    best = history.evaluate("plot => plot.data.find(trace => trace.name === 'best unit at each moment').y")
    assert len(best) == len(run.checkpoint_steps()) and all(value is None or 0 <= value <= 1 for value in best)
    sound(tab, server)


def test_a_held_gate_changes_what_comes_after(server: Server, tab: Tab, run: Run) -> None:
    tab.open(f"/gates?run={run.id}&part=hold&since=6&text=def+f(a,+b):")
    heading = tab.page.get_by_role("heading", name=re.compile("On held-out text the loss goes from"))
    expect(heading).to_be_visible(timeout=60_000)
    before, after = map(float, re.findall(r"\d+\.\d+", str(heading.text_content())))
    assert after != before
    losses = tab.wait_chart("gates_losses_first").evaluate("plot => plot.data.map(trace => trace.y)")
    held, plain = (np.array(values) for values in losses)
    assert np.allclose(held[:6], plain[:6], atol=1e-4) and not np.allclose(held[6:], plain[6:], atol=1e-3)

    token(tab, 2, "gates_hold_reader_first").click()
    tab.page.wait_for_url("**after=2**")
    expect(tab.page.locator(".st-key-gates_next_first .title")).to_contain_text("after token 2, “e”")
    chances = tab.wait_chart("gates_next_first").evaluate("plot => plot.data.map(trace => trace.x)")
    assert np.allclose(chances[0], chances[1], atol=1e-4), "nothing is held before token 6"

    tab.page.locator(".st-key-gates_hold").get_by_role("combobox").click()
    tab.page.get_by_role("option", name="Switch units off: h = 0").click()
    tab.page.wait_for_url("**hold=units**")
    field = tab.page.locator(".st-key-gates_units_off input")
    field.fill("")
    field.press("Enter")
    expect(tab.page.get_by_role("heading", name=re.compile("Nothing is held, so nothing changes"))).to_be_visible()
    same = tab.wait_chart("gates_losses_first").evaluate("plot => plot.data.map(trace => trace.y)")
    assert same[0] == same[1]
    field.fill("3, x")
    field.press("Enter")
    expect(tab.page.get_by_text("“x” is no unit.")).to_be_visible()
    sound(tab, server)


def drag(tab: Tab, start: Locator, end: Locator) -> None:
    boxes: list[Any] = [one.bounding_box() for one in (start, end)]
    first, last = ((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes)
    tab.page.mouse.move(*first)
    tab.page.mouse.down()
    tab.page.mouse.move((first[0] + last[0]) / 2, last[1])
    tab.page.mouse.move(*last)
    tab.page.mouse.up()


def test_a_span_is_dragged_and_its_matches_found(server: Server, tab: Tab, run: Run) -> None:
    tab.open(f"/gates?run={run.id}&part=similar&threshold=0.25&text=def+f(a,+b):++%23+add")
    key = "gates_span_reader"
    expect(token(tab, 3, key)).to_be_visible(timeout=60_000)
    drag(tab, token(tab, 5, key), token(tab, 9, key))
    tab.page.wait_for_url("**span=5-9**")
    expect(tab.page.locator(f".st-key-{key} .in")).to_have_count(5)
    expect(tab.page.get_by_role("heading", name=re.compile(r"stays? on over “f\(a,"))).to_be_visible(timeout=60_000)
    place = tab.page.locator(".place").first
    expect(place).to_contain_text("of")
    assert len(str(place.locator(".here").all_text_contents())) > 0
    token(tab, 6, key).click()
    tab.page.wait_for_url("**span=6-6**")
    tab.page.keyboard.press("Shift+ArrowRight")
    tab.page.keyboard.press("Shift+ArrowRight")
    tab.page.wait_for_url("**span=6-8**")
    sound(tab, server)


@pytest.mark.parametrize("part", ["read", "meaning", "similar", "saturation", "hold"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_part_fits_a_phone_in_the_dark(
    server: Server, open_tab: Callable[..., Tab], run: Run, part: str, lang: str
) -> None:
    tab = open_tab(server, viewport={"width": 390, "height": 844}, color_scheme="dark")
    tab.open(f"/gates?run={run.id}&part={part}&lang={lang}&second=untrained&text=def+f(a,+b):")
    tab.page.locator(".plot.js-plotly-plot").first.wait_for(timeout=60_000)
    assert tab.overflow() == 0
    sound(tab, server)
