"""The frame of the app in a real browser: deep links, language, what the address keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import ROOT, Server, Tab

pytestmark = pytest.mark.browser

PAGE = """
import streamlit as st
from lmviz.ui import shell
from lmviz.ui.i18n import _
shell.begin("{name}", "What does {name} answer?")
st.text(_("Download the data (CSV)"))
st.text(f"run is {{st.query_params.get('run')}}")
"""
CHINESE = "下载数据（CSV）"


@pytest.fixture
def lab(start_server: Callable[..., Server], tmp_path: Path) -> Server:
    """A cold server with the app's own menu and small pages."""
    from lmviz.ui import shell

    (tmp_path / "app.py").write_text((ROOT / "app.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pages").mkdir()
    for section in shell.PAGES.values():
        for file, name, _icon in section:
            (tmp_path / "pages" / f"{file}.py").write_text(PAGE.format(name=name), "utf-8")
    return start_server(tmp_path / "app.py", tmp_path)


def go(tab: Tab, name: str) -> None:
    tab.page.get_by_test_id("stSidebarNavLink").get_by_text(name, exact=True).click()


def test_a_deep_link_on_a_cold_server_opens_in_the_frame(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/runs?run=abc&lang=zh")
    tab.expect_text("What does Runs answer?")
    tab.expect_text("run is abc")
    tab.expect_text(CHINESE)
    assert tab.page.get_by_test_id("stSidebarNavLink").count() == 9
    assert "run=abc" in tab.page.url
    assert "lang=zh" in tab.page.url
    assert "/runs" in tab.page.url
    tab.expect_no_exception()
    assert not tab.problems
    assert not lab.errors()


def test_language_and_run_go_along(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab).open("/?run=abc")
    tab.expect_text("Download the data (CSV)")
    tab.page.get_by_text("中文", exact=True).click()
    tab.expect_text(CHINESE)
    go(tab, "运行")
    tab.expect_text("What does Runs answer?")
    tab.expect_text(CHINESE)
    tab.expect_text("run is abc")
    tab.page.reload()
    tab.expect_text(CHINESE)
    tab.expect_text("run is abc")
    tab.page.get_by_text("English", exact=True).click()
    tab.expect_text("Download the data (CSV)")
    tab.page.wait_for_url("**lang=en**")
    go(tab, "Home")
    tab.expect_text("What does Home answer?")
    tab.expect_text("Download the data (CSV)")
    assert not tab.problems
    assert not lab.errors()


def test_the_browsers_language_is_the_first_guess(lab: Server, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(lab, locale="zh-CN").open("/")
    tab.expect_text(CHINESE)
    assert "lang" not in tab.page.url
    tab.open("/?lang=en")
    tab.expect_text("Download the data (CSV)")


@pytest.mark.parametrize(("scheme", "ink"), [("light", "rgb(26, 37, 48)"), ("dark", "rgb(230, 234, 238)")])
def test_own_styles_know_the_theme(lab: Server, open_tab: Callable[..., Tab], scheme: str, ink: str) -> None:
    tab = open_tab(lab, color_scheme=scheme).open("/")
    tab.expect_text("What does Home answer?")
    probe = """() => { const p = document.createElement('p'); p.style.color = 'var(--st-text-color)';
      document.querySelector('[data-testid=stMain]').append(p); return getComputedStyle(p).color; }"""
    assert tab.page.evaluate(probe) == ink
