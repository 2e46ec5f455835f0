"""Beam search on the page Generate in a real browser: a person looks at the tree and lets the length decide."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from browser import Server, Tab
from playwright.sync_api import expect

from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Store

pytestmark = pytest.mark.browser

HOVER = (
    "(plot, [x, y]) => { const r = plot.querySelector('.nsewdrag').getBoundingClientRect(), { xaxis, yaxis } ="
    " plot._fullLayout; return [r.x + xaxis.d2p(x), r.y + yaxis.d2p(y)]; }"
)


def asked(server: Server, **settings: Any) -> dict[str, Any]:
    *_, answer = QUESTIONS["beam"](Store(server.store), "sample-gpt", num_beams=4, **settings)
    return answer


def test_a_person_sees_what_is_kept_and_lets_the_length_decide(
    server: Server, open_tab: Callable[..., Tab]
) -> None:  # fmt: skip
    tab = open_tab(server).open("/generate?part=beam&run=sample-gpt&prompt=return+&beam_length=24")
    heading = tab.page.get_by_role("heading", level=3).first
    plot = tab.wait_chart("beam_tree")
    answer = asked(server, prompt="return ", max_new_tokens=24)
    best = answer["hypotheses"][0]
    expect(heading).to_contain_text(f"beam search “{best['texts'][0]}”")
    # the answer is seen without scrolling
    assert plot.bounding_box()["y"] + plot.bounding_box()["height"] < 900
    first = answer["nodes"]["text"][0]
    tab.page.mouse.move(*plot.evaluate(HOVER, [1, 0]))
    expect(plot.locator(".hoverlayer")).to_contain_text(f"token 1: {first}")
    expect(plot.locator(".hoverlayer")).to_contain_text("place 1 of its step")

    # lines end texts: with a lower length penalty another text is the best
    tab.page.get_by_text("A text ends with its line").click()
    slider = tab.page.get_by_role("slider", name="Length penalty")
    for _press in range(4):  # from 1 to 0 in quarters
        slider.press("ArrowLeft")
    expect(tab.page).to_have_url(re.compile(r"length_penalty=0(\.0)?(&|$)"))
    shorter = asked(server, prompt="return ", max_new_tokens=24, stop=["\n"], length_penalty=0.0)["hypotheses"][0]
    assert shorter["length"] < best["length"]
    ends = "(plot, step) => Math.max(...plot.data.find((t) => t.name === 'the best text').x.filter((x) => x !== null))"
    tab.page.wait_for_function(
        f"(step) => ({ends})(document.querySelector('.st-key-beam_tree .plot')) === step", arg=shorter["length"]
    )
    tab.expect_text("every change searches anew")
    tab.page.reload()
    expect(tab.page.get_by_role("slider", name="Length penalty")).to_have_value("0", timeout=30_000)
    tab.wait_chart("beam_tree")
    tab.expect_text("Longer texts")
    tab.expect_no_exception()
    assert not tab.problems and not server.errors(), json.dumps(tab.problems)
    assert tab.overflow() == 0

    phone = open_tab(server, viewport={"width": 390, "height": 844}).open("/generate?part=beam&run=sample-gpt")
    phone.wait_chart("beam_tree")
    phone.expect_no_exception()
    assert phone.overflow() == 0
