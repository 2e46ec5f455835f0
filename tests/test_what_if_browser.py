"""One's own GBK text, two runs laid over each other, one of them branched off: in Chromium, in both languages."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from browser import ROOT, Server, Tab
from playwright.sync_api import Locator, expect
from test_main_job_browser import statuses, wait_points, wait_states

pytestmark = pytest.mark.browser

DESK = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "is_mobile": True, "has_touch": True}


def part(tab: Tab, key: str) -> Locator:
    """The element with a key, whatever the language; `key` may be the beginning of one."""
    return tab.page.locator(f"[class*='st-key-{key}']")


def press(tab: Tab, key: str) -> None:
    part(tab, key).locator("button:visible").first.click()


def choose(tab: Tab, key: str, text: str) -> None:
    part(tab, key).locator("input").first.click()
    tab.page.get_by_role("option", name=text, exact=True).click()
    tab.wait_idle()


@pytest.fixture
def fresh(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    return start_server(ROOT / "app.py", tmp_path_factory.mktemp("what-if"))


@pytest.mark.parametrize(("lang", "look"), [("en", DESK), ("zh", PHONE)])
def test_a_gbk_text_two_runs_and_a_fork(
    fresh: Server, open_tab: Callable[..., Tab], lang: str, look: dict[str, Any]
) -> None:
    tab = open_tab(fresh, **look).open(f"/train?lang={lang}")
    story = "".join(f"第{day}天，小猫走了{day * 7 % 13}里路，然后睡觉。\n" for day in range(700))
    press(tab, "own_0")
    tab.page.locator("input[type=file]").set_input_files(
        {"name": "日记.txt", "mimeType": "text/plain", "buffer": story.encode("gbk")}
    )
    tab.expect_text("第3天，小猫走了8里路")  # as it was read, before it is added
    tab.expect_text("gb18030")
    press(tab, "add_text")
    added = {"en": "日记.txt · added", "zh": "日记.txt · 已添加"}[lang]
    expect(part(tab, "corpus").get_by_role("combobox").first).to_have_value(added)

    choose(tab, "kind_1", "GRU")
    for _ in range(3):
        part(tab, "steps").get_by_role("slider").press("ArrowLeft")  # 200 updates
    tab.wait_idle()
    part(tab, "train").locator("button").last.click()
    wait_points(tab, 2)
    wait_states(tab, fresh, "finished", 60)
    assert len(statuses(fresh)) == 2

    for view, chart in (("place", "place_chart"), ("class", "class_chart")):
        tab.open(f"/train?lang={lang}&runs={','.join(statuses(fresh))}&view={view}")
        tab.wait_chart(chart)
        assert tab.overflow() == 0
    tab.open(f"/train?lang={lang}&runs={','.join(statuses(fresh))}&view=passage")
    expect(tab.page.locator(".written.passage")).to_have_count(3)
    assert tab.overflow() == 0

    run = next(name for name in statuses(fresh) if name.startswith("gru"))
    tab.open(f"/train?lang={lang}&runs={run}")
    press(tab, f"fork_{run}")
    rate = part(tab, f"fork_rate_{run}").locator("input")
    rate.fill("0.02")
    rate.press("Enter")
    tab.wait_idle()
    press(tab, f"fork_go_{run}")
    tab.page.wait_for_url(lambda url: url.count("gru-") == 2)
    wait_points(tab, 3)
    wait_states(tab, fresh, "finished", 60)
    (fork,) = (name for name in statuses(fresh) if name.startswith("gru") and name != run)
    config = json.loads((fresh.store / fork / "config.json").read_text("utf-8"))
    assert config["fork"]["run"] == run and config["training"]["learning_rate"] == 0.02
    tab.expect_text("learning_rate 0.004 → 0.02")
    assert tab.overflow() == 0
    tab.expect_no_exception()
    assert not tab.problems
    assert not fresh.errors()


def test_finding_a_learning_rate(fresh: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(fresh).open("/train")
    press(tab, "find_rate_0_lstm_small")
    part(tab, "use_rate").wait_for(timeout=60_000)
    tab.wait_chart("rate_chart")
    suggested = part(tab, "use_rate").inner_text().split()[-1]
    press(tab, "use_rate")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)
    press(tab, "settings_0_lstm_small")
    field = part(tab, "training_0_lstm_small_learning_rate").locator("input")
    assert float(field.input_value()) == float(suggested)
    assert not statuses(fresh), "nothing is kept of it"
    tab.expect_no_exception()
    assert not fresh.errors()


def test_three_seeds_make_a_band(fresh: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(fresh).open("/train")
    choose(tab, "kind_1", "none")
    choose(tab, "repetitions", "3 seeds")
    for _ in range(4):
        part(tab, "steps").get_by_role("slider").press("ArrowLeft")  # 100 updates
    tab.wait_idle()
    part(tab, "train").locator("button").last.click()
    band = """() => { const plot = document.querySelector('.st-key-loss_chart .js-plotly-plot');
      return plot && plot._fullData && plot._fullData.filter(trace => trace.fill === 'toself').length === 1; }"""
    tab.page.wait_for_function(band, timeout=60_000)
    wait_states(tab, fresh, "finished", 60)
    assert len(statuses(fresh)) == 3
    tab.expect_text("LSTM, 3 seeds")
    tab.expect_no_exception()
    assert not fresh.errors()
