"""Pages Seq2Seq and Attention in a real browser: train both live to a solved map, move attention, look at heads."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from browser import Server, Tab
from playwright.sync_api import Locator, expect

from lmviz.jobs.questions import QUESTIONS
from lmviz.packing import unpack
from lmviz.runs import Run, Store

pytestmark = pytest.mark.browser

CELL = (
    "(plot, [column, row]) => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect(), { xaxis, yaxis } ="
    " plot._fullLayout; return [r.x + xaxis.d2p(xaxis._categories.length ? xaxis._categories[column] : column), r.y +"
    " yaxis.d2p(yaxis._categories.length ? yaxis._categories[row] : row)]; }"
)
TITLE = ".lmviz-chart .title"


def title(tab: Tab, key: str) -> Locator:
    return tab.page.locator(f".st-key-{key} .title")


def click_cell(tab: Tab, key: str, column: float, row: float) -> None:
    plot = tab.wait_chart(key)
    plot.scroll_into_view_if_needed()
    x, y = plot.evaluate(CELL, [column, row])
    tab.page.mouse.click(x, y)


def button(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("button", name=name, exact=True)


def sound(tab: Tab, server: Server) -> None:
    tab.expect_no_exception()
    assert not tab.problems and not server.errors()
    assert tab.overflow() == 0


def test_seq2seq_is_trained_live_to_a_solved_map(server: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(server).open("/seq2seq?models=additive")
    tab.wait_chart("pairs_chart")  # the sample
    button(tab, "Train").click()
    expect(tab.page).to_have_url(re.compile("group=pairs-"), timeout=30_000)
    expect(button(tab, "Stop")).to_be_visible(timeout=30_000)
    expect(button(tab, "Stop")).to_have_count(0, timeout=120_000)
    (run,) = [one for one in Store(server.store, samples=None).runs() if one.config().reads_pairs]
    expect(title(tab, "pairs_chart")).to_contain_text("solved in", timeout=30_000)
    line = run.metrics()[-1]
    assert line["exact_match"] >= 0.98 and line["right_share"] >= 0.8
    source = tab.page.get_by_label("Source: type your own")
    source.fill("may 7, 1995")
    source.press("Enter")
    output = tab.page.locator(".pair-output").first
    expect(output).to_contain_text("1995-05-07", timeout=20_000)
    sound(tab, server)

    # move the attention of the first output to the day, and give it back
    tab.page.get_by_role("radio", name="Move its attention").click()
    expect(title(tab, "pairs_edit")).to_contain_text("It writes “1995-05-07”", timeout=20_000)
    click_cell(tab, "pairs_edit", 4, 0)
    expect(title(tab, "pairs_edit")).to_contain_text("1 of its looks moved", timeout=20_000)
    *_, moved = QUESTIONS["pair_example"](
        Store(server.store), run.id, source="may 7, 1995", forced={"0": [float(n == 4) for n in range(12)]}
    )
    expect(title(tab, "pairs_edit")).to_contain_text(f"“{moved['text']}”")
    button(tab, "Give it back its own attention").click()
    expect(title(tab, "pairs_edit")).to_contain_text("It writes “1995-05-07”", timeout=20_000)
    for part, chart in (("By length", "pairs_lengths"), ("Its own inputs", "pairs_exposure")):
        tab.page.get_by_role("radio", name=part).click()
        tab.wait_chart(chart)
    sound(tab, server)
    tab.page.reload()
    tab.wait_idle()
    expect(title(tab, "pairs_chart")).to_contain_text("solved in", timeout=30_000)


def shown_weights(tab: Tab, key: str) -> np.ndarray:
    """What the map really draws."""
    plot = tab.wait_chart(key)
    rows = plot.evaluate("plot => Array.from(plot._fullData[0].z, row => Array.from(row))")
    return np.array(rows, np.float64)


def test_a_head_is_chosen_read_and_followed(server: Server, open_tab: Callable[..., Tab]) -> None:
    text = "The for statement"
    tab = open_tab(server).open(f"/attention?run=sample-gpt&text={text}")
    tab.wait_chart("attention_overview")
    click_cell(tab, "attention_overview", 1, 0)  # layer 1, head 2
    expect(title(tab, "attention_map")).to_contain_text("layer 1, head 2", timeout=20_000)
    assert "head=1.2" in tab.page.url
    *_, answer = QUESTIONS["attention_head"](Store(server.store), "sample-gpt", text=text, layer=0, head=1)
    np.testing.assert_allclose(shown_weights(tab, "attention_map"), unpack(answer["weights"]), atol=4e-5)
    tab.page.locator(".st-key-attention_columns [data-at='5']").click()
    expect(tab.page.get_by_role("heading", name=re.compile("“f” looks most at"))).to_be_visible(timeout=20_000)
    assert "query=5" in tab.page.url
    for look, chart in (("Lines", "attention_lines"), ("Entropy", "attention_entropy"),
                        ("Average over text", "attention_average")):  # fmt: skip
        tab.page.get_by_role("radio", name=look, exact=True).click()
        tab.wait_chart(chart)
    sound(tab, server)


def test_every_part_opens_on_a_phone_in_chinese(server: Server, open_tab: Callable[..., Tab]) -> None:
    """Wide and in English they are opened by the tests above and by AppTest."""
    lang = "zh"
    tab = open_tab(server, viewport={"width": 390, "height": 900}, color_scheme="dark")
    for run, views in {
        "sample-gpt": ("heads", "steps", "positions", "off", "lens"),
        "sample-bert": ("masks",),
        "sample-bert-labels": ("masks",),
        "sample-dates-transformer": ("heads",),
        "sample-repeat-2": ("training",),
    }.items():
        for view in views:
            tab.open(f"/attention?run={run}&view={view}&lang={lang}")
            tab.page.locator(".lmviz-chart .js-plotly-plot, .lmviz-reader").first.wait_for(timeout=30_000)
            tab.wait_idle()
            sound(tab, server)
    for view in ("alignment", "edit", "lengths", "exposure"):
        tab.open(f"/seq2seq?view={view}&lang={lang}")
        tab.wait_chart("pairs_chart")
        sound(tab, server)


def test_a_text_of_ones_own_pairs(server: Server, open_tab: Callable[..., Tab]) -> None:
    """A table of two columns is added, trained on, and tested; one of one column gets a sentence."""
    tab = open_tab(server).open("/seq2seq?models=additive")
    rows = "\n".join(f"{n} plus {m},{n + m}" for n in range(20) for m in range(20))
    button(tab, "Your own pairs").click()
    chooser = tab.page.locator("input[type=file]")
    chooser.set_input_files({"name": "one.csv", "mimeType": "text/csv", "buffer": b"a\nb\nc\n" * 20})
    add = button(tab, "Add")
    expect(add).to_be_enabled(timeout=20_000)
    add.click()
    expect(tab.page.get_by_text("column").last).to_be_visible(timeout=20_000)
    chooser.set_input_files({"name": "sums.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    tab.page.get_by_text("sums.csv").last.wait_for(timeout=20_000)
    add.click()
    expect(tab.page.get_by_role("combobox", name="Pairs")).to_have_value("sums.csv", timeout=20_000)
    tab.page.keyboard.press("Escape")
    button(tab, "Train").click()
    expect(tab.page.get_by_role("cell", name="sums.csv").first).to_be_visible(timeout=60_000)
    run: Run = next(one for one in Store(server.store, samples=None).runs() if "sums" in one.config().corpus.name)
    assert json.loads((run.path / "config.json").read_text("utf-8"))["model"]["kind"] == "seq2seq-attention"
    sound(tab, server)


def test_bert_is_trained_live_and_fills_a_gap(server: Server, open_tab: Callable[..., Tab]) -> None:
    """From the page itself: train, be led to the new run, watch it, stop it, hide a letter."""
    tab = open_tab(server).open("/attention?run=sample-gpt")
    tab.wait_chart("attention_overview")
    button(tab, "Train").click()
    tab.page.get_by_role("radio", name="tiny", exact=True).click()
    tab.page.locator(".st-key-attention_train button").click()
    expect(tab.page).to_have_url(re.compile("run=bert-"), timeout=60_000)
    expect(tab.page.get_by_text(re.compile("of 2,000 updates"))).to_be_visible(timeout=30_000)
    tab.page.keyboard.press("Escape")
    button(tab, "Stop").click()
    expect(button(tab, "Stop")).to_have_count(0, timeout=30_000)
    run = next(one for one in Store(server.store, samples=None).runs() if one.config().model.kind == "bert")
    assert run.status().state == "stopped" and run.metrics()[0]["accuracy"] >= 0
    tab.page.get_by_role("radio", name="Masks", exact=True).click()
    expect(tab.page.get_by_text(re.compile("BERT takes the hidden"))).to_be_visible(timeout=30_000)
    sound(tab, server)
