"""The chart element in a real browser, on a small app of its own."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Server, Tab

from lmviz.ui import theme

pytestmark = pytest.mark.browser

APP = """
import numpy as np, plotly.graph_objects as go, streamlit as st
from lmviz.ui import theme
from lmviz.ui.chart import chart

n = st.session_state.setdefault("n", 10)
st.session_state["runs"] = st.session_state.get("runs", 0) + 1
if st.query_params.get("live"):
    @st.fragment(run_every=0.3)
    def live():
        st.session_state.n += 1
        n = st.session_state.n
        lines = go.Figure(go.Scatter(x=np.arange(n), y=np.linspace(1, 0, n, dtype="f4"), name="run <1>"))
        lines.update_layout(xaxis_title="step", yaxis_title="loss", title="Loss falls", hovermode="x")
        chart(lines, "lines", alt="A falling line.")
        st.text(f"points {n}")
    live()
else:
    y = np.array([0.1, 1 / 3, 2.5], "f4")
    lines = go.Figure([go.Scatter(x=[0, 1, 2], y=y, name='a,"b"'), go.Bar(y=[5, 6], name="GPT")])
    lines.update_layout(xaxis_title="step", yaxis_title="loss, nats", title="Loss <i>falls</i> &lt;b&gt;")
    if st.toggle("show", value=True, key="show"):
        chart(lines, "lines", alt="A falling line.", caption="Over 3 tokens.", csv="losses", height=300)
grid = go.Figure(go.Heatmap(z=np.arange(6, dtype="f4").reshape(2, 3), x=["的", "b", "c"], y=["q", "r"]))
grid.update_traces(colorscale=theme.SEQUENTIAL)
chart(grid, "grid", alt="A grid.", height=200, on_event=lambda click: st.session_state.update(click=click))
st.text(f"clicked {st.session_state.get('click')}")
st.text(f"runs {st.session_state['runs']}")
"""

RANGE = "plot => [...plot._fullLayout.xaxis.range]"

AREA = """plot => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect();
  return [r.x, r.y, r.width, r.height]; }"""


@pytest.fixture(scope="module")
def lab(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("chart")
    (folder / "app.py").write_text(APP, "utf-8")
    return start_server(folder / "app.py", folder, "--server.baseUrlPath=some/lab")


def download(tab: Tab, key: str, button: str) -> Any:
    plot = tab.wait_chart(key)
    plot.hover()
    with tab.page.expect_download() as started:
        plot.locator(f"[data-title='{button}']").click()
    return started.value


def test_two_charts_load_plotly_once_and_say_what_they_show(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab)
    fetched: list[str] = []
    tab.page.on("request", lambda request: fetched.append(request.url))
    tab.open("/")
    lines, grid = tab.wait_chart("lines"), tab.wait_chart("grid")
    assert lines.get_attribute("aria-label") == "A falling line."
    assert grid.get_attribute("role") == "img"
    assert sum("plotly-" in url for url in fetched) == 1
    assert tab.page.locator("script[data-lmviz=plotly]").count() == 1
    assert tab.page.locator(".st-key-lines .title").inner_text() == "Loss falls <b>"
    assert lines.bounding_box()["height"] == 300
    tab.expect_text("Over 3 tokens.")
    buttons = lines.locator(".modebar-btn").evaluate_all("all => all.map(button => button.ariaLabel)")
    assert len(buttons) == 5, buttons  # and none that sends the data away
    assert not [name for name in buttons if "share" in name.lower()]
    tab.expect_no_exception()
    assert not tab.problems
    assert not lab.errors()


def test_zoom_and_hover_stay_while_the_data_grows(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/?live=1")
    plot = tab.wait_chart("lines")
    plot.evaluate("plot => { plot.dataset.same = 'yes' }")
    x, y, width, height = plot.evaluate(AREA)
    left, right, y = x + 0.3 * width, x + 0.7 * width, y + height / 2
    tab.page.mouse.move(left, y)
    tab.page.mouse.down()
    tab.page.mouse.move(right, y, steps=5)
    tab.page.mouse.up()
    tab.page.wait_for_function(
        "() => document.querySelector('.st-key-lines .plot')._fullLayout.xaxis.autorange === false"
    )
    zoomed = plot.evaluate(RANGE)
    points = plot.evaluate("plot => plot._fullData[0].x.length")
    tab.page.mouse.move(x + plot.evaluate("plot => plot._fullLayout.xaxis.d2p(6)"), y)
    tab.page.locator(".st-key-lines .hovertext").first.wait_for()
    tab.page.wait_for_function(
        "n => document.querySelector('.st-key-lines .plot')._fullData[0].x.length >= n", arg=points + 4
    )
    assert plot.evaluate(RANGE) == zoomed
    assert plot.get_attribute("data-same") == "yes"
    label, value = plot.evaluate("plot => [plot.querySelector('.hovertext').textContent, plot._fullData[0].y[6]]")
    assert float(label.partition(":")[2] or label) == pytest.approx(value, rel=1e-5)
    assert not tab.problems


def test_dark_mode_needs_no_server(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/")
    tab.wait_chart("lines")
    font = "() => document.querySelector('.st-key-lines .plot')._fullLayout.font.color"
    scale = "() => document.querySelector('.st-key-grid .plot')._fullData[0].colorscale[0][1]"
    assert tab.page.evaluate(font) == "#1a2530"
    assert tab.page.evaluate(scale) == theme.SCALES["light"]["sequential"][0]
    tab.page.emulate_media(color_scheme="dark")
    tab.page.wait_for_function(f"() => ({font})() === '#e6eaee'")
    tab.page.wait_for_function(f"() => ({scale})() === '{theme.SCALES['dark']['sequential'][0]}'")
    paper = tab.page.locator(".st-key-lines .main-svg").first.evaluate("svg => getComputedStyle(svg).backgroundColor")
    assert paper == "rgb(18, 22, 28)"
    tab.expect_text("runs 1")


def test_the_data_comes_as_csv(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/")
    file = download(tab, "lines", "Download the data (CSV)")
    assert file.suggested_filename == "losses.csv"
    rows = list(csv.reader(io.StringIO(Path(file.path()).read_text("utf-8-sig"))))
    assert rows[0] == ["series", "step", "loss, nats"]
    assert [row[:2] for row in rows[1:]] == [['a,"b"', "0"], ['a,"b"', "1"], ['a,"b"', "2"], ["GPT", "0"], ["GPT", "1"]]
    np.testing.assert_array_equal(
        np.array([row[2] for row in rows[1:4]], "f4"), np.array([0.1, 1 / 3, 2.5], "f4")
    )  # every bit of the float32 survives
    assert rows[1][2] == "0.1"
    grid = Path(download(tab, "grid", "Download the data (CSV)").path()).read_text("utf-8-sig").splitlines()
    assert grid[:3] == ["series,x,y,z", "1,的,q,0", "1,b,q,1"]
    assert grid[6] == "1,c,r,5"


def test_the_picture_is_a_png(lab: Server, open_tab: Callable[..., Tab]) -> None:
    file = download(open_tab(lab).open("/"), "lines", "Download as picture (PNG)")
    assert file.suggested_filename == "losses.png"
    assert Path(file.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_click_reaches_python(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/")
    plot = tab.wait_chart("grid")
    x, y, width, height = plot.evaluate(AREA)
    tab.page.mouse.click(x + width / 6, y + height / 4)  # first column, upper row
    tab.expect_text("'x': '的', 'y': 'r', 'z': 3, 'point': [1, 0]")
    tab.expect_text("runs 2")


def test_a_chart_that_goes_is_cleaned_up(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/")
    plot = tab.wait_chart("lines").element_handle()
    tab.page.get_by_text("show", exact=True).click()
    tab.page.wait_for_function("plot => !plot.isConnected && plot._fullLayout === undefined", arg=plot)
    tab.page.get_by_text("show", exact=True).click()
    tab.wait_chart("lines")
    assert not tab.problems


def test_a_phone_has_the_legend_below_and_no_overflow(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab, viewport={"width": 390, "height": 844}).open("/")
    plot = tab.wait_chart("lines")
    legend, area = plot.locator(".legend").bounding_box(), plot.locator(".nsewdrag").bounding_box()
    assert legend["y"] > area["y"] + area["height"]
    assert area["width"] > 250
    assert tab.overflow() == 0


def test_the_second_visit_takes_plotly_from_the_cache(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/")
    tab.wait_chart("lines")
    tab.page.reload()
    tab.wait_chart("lines")
    fetched = "performance.getEntriesByType('resource').filter(e => e.name.includes('plotly-'))"
    assert tab.page.evaluate(f"() => {fetched}.map(e => e.transferSize)") == [0]
