"""The benchmark of a class, in small: several people use the page while models train."""

import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from browser import ROOT

from lmviz.ui import live

sys.path.append(str(ROOT / "benchmarks"))

import classroom


@pytest.mark.slow
def test_a_small_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classroom, "PAUSE", (0.2, 0.6))  # hasty people, so that a few seconds see everything
    with ThreadPoolExecutor(1) as thread:  # in the main thread, Playwright's event loop runs once a browser is open
        figures = thread.submit(classroom.measure, sessions=3, trainings=3, models=2, seconds=8).result()
    assert not figures.exceptions, figures.exceptions
    assert len(figures.steps) == len(figures.first_points) == 3 and figures.all_advance
    assert figures.refreshes and len(figures.actions) >= 3
    assert figures.workers and all(mib > 0 for mib in (*figures.workers, *figures.server.values()))


def test_percentiles() -> None:
    times = [float(ms) for ms in range(1, 101)]
    assert classroom.percentile(times[::-1]) == 95
    assert classroom.percentile([7.0]) == 7
    assert classroom.percentile([1.0, 2.0, 3.0]) == 3


@pytest.mark.parametrize(
    ("spoilt", "holds"),
    [({}, True), ({"refreshes": [900.0]}, False), ({"workers": [700.0]}, False), ({"steps": [(5, 5)]}, False)],
)
def test_a_missed_budget_is_the_verdict(spoilt: dict, holds: bool) -> None:
    well = {"refreshes": [9.0], "steps": [(1, 2)], "workers": [300.0], "server": {"with one session": 100.0}}
    assert classroom.judge(classroom.Figures(**{**well, **spoilt}), sessions=1) == holds


def test_more_trainings_than_cards_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot start 5 trainings"):
        classroom.measure(sessions=2, trainings=5, models=2, seconds=1)


@pytest.mark.parametrize(("turn", "pace"), [(0.0, 0.5), (0.5, 0.5), (0.6, 1.0), (2.25, 2.0), (math.inf, 2.0)])
def test_the_page_looks_no_more_often_than_runs_have_turns(
    turn: float, pace: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy:
        turn_seconds: Callable[[], float] = staticmethod(lambda: turn)

    class Moving:
        status = staticmethod(lambda: type("Status", (), {"state": "running"}))

    monkeypatch.setattr(live.cache, "jobs", lambda: Busy)
    assert live.refresh_every([Moving()]) == pace  # type: ignore[list-item]
    assert live.refresh_every([]) is None
