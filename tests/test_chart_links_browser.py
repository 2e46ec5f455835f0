"""Charts of one page that share a zoom and a place, zoom events, and heatmaps in 16 bits, in a real browser."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Server, Tab
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.browser

APP = """
import numpy as np, plotly.graph_objects as go, streamlit as st
from lmviz.ui.chart import chart
from lmviz.ui.figures.compact import compact

state = st.session_state
for name in ("clicks", "zooms"):
    state.setdefault(name, [])
state["runs"] = state.get("runs", 0) + 1
n = state.setdefault("n", 10)

def grid(key, link, title):
    values = np.arange(60.0).reshape(6, 10) / 59
    values[5, 9] = np.nan
    columns, rows = [f"c{i}" for i in range(10)], [f"r{i}" for i in range(6)]
    figure = go.Figure(
        data=[
            {"type": "heatmap", "name": title, "x": columns, "y": rows, "z": compact(values), "showscale": False},
            {"type": "scatter", "name": "mean", "x": columns, "y": [0.5] * 10, "yaxis": "y2", "showlegend": False},
        ],
        layout={
            "xaxis": {"type": "category", "range": [-0.5, 9.5], "title": {"text": "token"}},
            "yaxis": {"type": "category", "range": [5.5, -0.5], "domain": [0, 0.75], "title": {"text": "unit"}},
            "yaxis2": {"domain": [0.8, 1], "fixedrange": True, "anchor": "x"},
            "uirevision": "same",
        },
    )
    chart(
        figure, key, alt="A grid.", height=220, link=link,
        on_event=lambda click: state.clicks.append([key, click["name"], click["x"], click["y"]]),
        on_zoom=lambda zoom: state.zooms.append([key, zoom["x"], zoom["y"]]),
    )

left, right = st.columns(2)
with left:
    grid("one", {"x": "text", "y": "units"}, "one")
    grid("alone", None, "alone")
with right:
    grid("two", {"x": "text", "y": "units"}, "two")
    grid("below", {"x": "text", "y": "others"}, "below")
if st.button("more"):
    state.n = n = n + 10
for key in ("lines", "more_lines"):
    lines = go.Figure(go.Scatter(x=np.arange(n), y=np.linspace(1, 0, n)))
    chart(lines, key, alt="A line.", height=220, link={"x": "steps"})
st.text(f"clicks {state.clicks}")
st.text(f"zooms {len(state.zooms)}: {[[key, x and 'part', y and 'part'] for key, x, y in state.zooms]}")
st.text(f"runs {state.runs}, points {n}")
"""

RANGES = "plot => [plot._fullLayout.xaxis.range, plot._fullLayout.yaxis.range]"
PLACE = (
    "(plot, [x, y]) => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect(),"
    " { xaxis, yaxis } = plot._fullLayout; return [r.x + xaxis.d2p(x), r.y + yaxis.d2p(y)]; }"
)
WHOLE = [[-0.5, 9.5], [5.5, -0.5]]


@pytest.fixture(scope="module")
def lab(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("links")
    (folder / "app.py").write_text(APP, "utf-8")
    return start_server(folder / "app.py", folder)


@pytest.fixture
def tab(lab: Server, open_tab: Callable[..., Tab]) -> Tab:
    tab = open_tab(lab, viewport={"width": 1440, "height": 1300}).open("/")
    for key in ("one", "two", "alone", "below", "lines", "more_lines"):
        tab.wait_chart(key)
    return tab


def drag(tab: Tab, plot: Locator, start: list[Any], end: list[Any]) -> None:
    tab.page.mouse.move(*plot.evaluate(PLACE, start))
    tab.page.mouse.down()
    tab.page.mouse.move(*plot.evaluate(PLACE, end), steps=5)
    tab.page.mouse.up()


def wait_range(tab: Tab, key: str, inside: bool) -> None:
    """Until the chart shows a part of its tokens, or all of them."""
    tab.page.wait_for_function(
        f"inside => (document.querySelector('.st-key-{key} .plot')._fullLayout.xaxis.range[0] > -0.4) === inside",
        arg=inside,
    )


def test_a_zoom_is_shared_by_axis_and_sent_once(tab: Tab) -> None:
    one, two, below, alone = (tab.wait_chart(key) for key in ("one", "two", "below", "alone"))
    drag(tab, one, ["c2", "r1"], ["c7", "r4"])
    wait_range(tab, "below", True)
    tab.expect_text("zooms 1: [['one', 'part', 'part']]")
    zoomed = one.evaluate(RANGES)
    assert two.evaluate(RANGES) == zoomed
    assert below.evaluate(RANGES) == [zoomed[0], WHOLE[1]]
    assert alone.evaluate(RANGES) == WHOLE

    tab.page.get_by_role("button", name="more").click()  # the page runs again
    tab.expect_text("points 20")
    assert [plot.evaluate(RANGES) for plot in (one, two)] == [zoomed, zoomed]

    tab.page.mouse.dblclick(*two.evaluate(PLACE, ["c4", "r2"]))  # what followed can be reset, and leads then
    wait_range(tab, "one", False)
    tab.expect_text("['two', None, None]")
    assert [plot.evaluate(RANGES) for plot in (one, two, below)] == [WHOLE] * 3
    sent = str(tab.page.get_by_text("zooms ").text_content())
    assert sent == "zooms 2: [['one', 'part', 'part'], ['two', None, None]]"
    assert not tab.problems


def test_tools_and_sizes_are_no_zoom(tab: Tab) -> None:
    alone = tab.wait_chart("alone")
    alone.hover()
    alone.locator(".modebar-btn[data-val=pan]").click()
    width = alone.evaluate("plot => plot._fullLayout.width")
    tab.page.set_viewport_size({"width": 700, "height": 1300})
    tab.page.wait_for_function(
        "width => document.querySelector('.st-key-alone .plot')._fullLayout.width < width", arg=width
    )
    drag(tab, alone, ["c5", "r2"], ["c3", "r2"])  # moved: a zoom event, and the only one
    tab.expect_text("zooms 1: [['alone', 'part', None]]")
    tab.expect_text("runs 2,")


def test_after_a_reset_linked_charts_grow_again(tab: Tab) -> None:
    lines, more = tab.wait_chart("lines"), tab.wait_chart("more_lines")
    lines.scroll_into_view_if_needed()
    drag(tab, lines, [2, 0.5], [5, 0.5])
    tab.page.wait_for_function(
        "() => document.querySelector('.st-key-more_lines .plot')._fullLayout.xaxis.range[1] < 6"
    )
    tab.page.mouse.dblclick(*more.evaluate(PLACE, [3, 0.5]))
    tab.page.wait_for_function(
        "() => document.querySelector('.st-key-more_lines .plot')._fullLayout.xaxis.range[1] > 8"
    )
    tab.page.get_by_role("button", name="more").click()
    tab.page.wait_for_function("() => document.querySelector('.st-key-more_lines .plot')._fullData[0].x.length === 20")
    for plot in (lines, more):
        assert plot.evaluate(RANGES)[0][1] > 18


def test_hovering_a_cell_shows_the_same_cell_of_its_like(tab: Tab) -> None:
    one = tab.wait_chart("one")
    tab.page.mouse.move(*one.evaluate(PLACE, ["c3", "r2"]))
    shown = {key: tab.page.locator(f".st-key-{key} .hovertext") for key in ("one", "two", "below", "alone")}
    for key in ("one", "two"):
        expect(shown[key].first).to_contain_text("0.3898")  # 23 / 59: the numbers that were sent, at the same place
    assert shown["below"].count() == shown["alone"].count() == 0
    tab.page.mouse.move(5, 5)
    for key in ("one", "two"):
        expect(shown[key]).to_have_count(0)
    assert not tab.problems


def test_a_click_on_either_part_of_a_figure_is_sent(tab: Tab) -> None:
    one = tab.wait_chart("one")
    tab.page.mouse.click(*one.evaluate(PLACE, ["c3", "r2"]))
    tab.expect_text("clicks [['one', 'one', 'c3', 'r2']]")
    strip = (
        "plot => { const r = plot.querySelector('.xy2 .nsewdrag, .nsewdrag[data-subplot=xy2]').getBoundingClientRect();"
        " return [r.x + plot._fullLayout.xaxis.d2p('c2'), r.y + r.height / 2]; }"
    )
    tab.page.mouse.click(*one.evaluate(strip))
    tab.expect_text("['one', 'mean', 'c2', 0.5]]")
    tab.expect_text("zooms 0")


def test_a_map_with_a_strip_as_csv_and_as_a_picture(tab: Tab) -> None:
    plot = tab.wait_chart("one")
    files = []
    for button in ("Download the data (CSV)", "Download as picture (PNG)"):
        plot.hover()
        with tab.page.expect_download() as started:
            plot.locator(f"[data-title='{button}']").click()
        files.append(Path(started.value.path()))
    rows = list(csv.reader(io.StringIO(files[0].read_text("utf-8-sig"))))
    assert rows[0] == ["series", "token", "unit", "z"]
    assert rows[1:3] == [["one", "c0", "r0", "0"], ["one", "c1", "r0", "0.01695"]]
    assert rows[60] == ["one", "c9", "r5", ""]  # not a number
    assert rows[61] == ["mean", "c0", "0.5", ""]
    assert len(rows) == 1 + 60 + 10
    assert all(len(row[3].partition(".")[2]) <= 5 for row in rows[1:61])  # a step is 3e-5
    assert files[1].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
