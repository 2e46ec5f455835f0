"""A class on one server: many people watch and use the page while as many models train.

    python benchmarks/classroom.py [--sessions 30] [--trainings 30] [--models 2] [--seconds 30]

Starts a server on an empty store and opens the sessions on the Train page. Some press Train, with `--models` cards
each, until there are enough trainings; the others watch the runs of a classmate through the link. Every session renews
its live view at its own pace, as a browser does, and every few seconds somebody switches the view or the axis, reloads
the page, or looks at Runs or Home. Prints what all of that took and whether the budgets hold. Exit status 1 if one
is missed.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT), str(ROOT / "benchmarks")]

from browser import Server  # noqa: E402
from streamlit_session import Session  # noqa: E402

REACTION_MS, SERVER_MIB, SESSION_MIB, WORKER_MIB = 250, 400, 30, 600
"""The budgets: 95 % of reactions, the server's memory and what a session may add to it, a worker's memory."""
KINDS = (5, 6, 3, 2)
"""What the cards train: their places in the list of architectures (none, ngram, rnn, nvsi, gru, lstm, gpt)."""
PAUSE = (3.0, 9.0)
"""Seconds between two things that one person does."""
PREPARE = 180.0
"""Seconds until every training must be under way."""
MIB = 2**20


@dataclass
class Figures:
    """What was measured, milliseconds."""

    refreshes: list[float] = field(default_factory=list)
    actions: dict[str, list[float]] = field(default_factory=dict)
    exceptions: list[str] = field(default_factory=list)
    first_points: list[float] = field(default_factory=list)
    """Seconds from the press to the first point, of every training."""
    steps: list[tuple[int, int]] = field(default_factory=list)
    """Of every training, before and after."""
    seconds: float = 0.0
    """Length of the measurement."""
    server: dict[str, float] = field(default_factory=dict)
    """Moment -> resident memory, MiB."""
    workers: list[float] = field(default_factory=list)

    @property
    def reactions(self) -> list[float]:
        """All that a person did."""
        return [ms for times in self.actions.values() for ms in times]

    @property
    def all_advance(self) -> bool:
        return bool(self.steps) and all(after > before for before, after in self.steps)


class Person:
    """One session and what its owner does with it."""

    def __init__(self, url: str, number: int, figures: Figures) -> None:
        self.session = Session(url, "train")
        self.random = random.Random(number)
        self.figures = figures
        self.away = False
        """On another page than Train."""

    async def choose(self, models: int) -> None:
        """Set up this many cards and the longest training."""
        for card, kind in enumerate((*KINDS[:models], *[0] * (len(KINDS) - models))):
            await self.session.choose(f"kind_{card}", kind)
        await self.session.choose("steps", -1)

    async def train(self) -> list[str]:
        """Press Train; ids of the runs, which stand in the address."""
        await self.session.press("train")
        return parse_qs(self.session.query)["runs"][0].split(",")

    async def live(self, end: float) -> None:
        """Until the clock shows `end`: renew what renews itself, and do something now and then."""
        due: dict[str, float] = {}
        act_at = time.perf_counter() + self.random.uniform(0, PAUSE[1])
        while (now := time.perf_counter()) < end:
            if now >= act_at:
                await self.act(since=act_at)
                act_at = time.perf_counter() + self.random.uniform(*PAUSE)
            for fragment, interval in list(self.session.auto.items()):
                if now >= due.setdefault(fragment, now + self.random.uniform(0, interval)):
                    self.figures.refreshes.append(await timed(self.session.refresh(fragment)))
                    due[fragment] += interval * (1 + (time.perf_counter() - due[fragment]) // interval)
            await asyncio.sleep(0.01)

    async def act(self, since: float) -> None:
        """One thing that people do; it counts from the moment it was wanted, waiting for a refresh included."""
        what = "back to Train" if self.away else self.random.choice(("view", "axis", "reload", "Runs", "Home"))
        if what == "axis" and not self.session.has("axis"):  # it stands beside the learning curves only
            what = "view"
        if what in ("view", "axis"):
            await self.session.choose(what, self.random.randrange(4 if what == "view" else 3))
        elif what == "reload":
            await self.session.reload()
        else:
            await self.session.visit(what.split()[-1].lower())
            self.away = not self.away
        self.figures.actions.setdefault(what, []).append(1e3 * (time.perf_counter() - since))


async def timed(act: Awaitable[None]) -> float:
    """Milliseconds that it takes."""
    start = time.perf_counter()
    await act
    return 1e3 * (time.perf_counter() - start)


def resident(process: psutil.Process) -> float:
    """MiB."""
    return float(process.memory_info().rss / MIB)


def trainers(server: psutil.Process) -> list[psutil.Process]:
    """The server's training workers."""
    return [child for child in server.children() if "lmviz.jobs.worker" in child.cmdline()]


def steps(store: Path, run_ids: list[str]) -> list[int]:
    """Updates done by each run, as its status says."""
    return [json.loads((store / run_id / "status.json").read_bytes())["step"] for run_id in run_ids]


async def warm(session: Session) -> None:
    """Until the page has nothing more to wait for: the workers are up."""
    end = time.perf_counter() + PREPARE
    while session.auto and time.perf_counter() < end:
        await asyncio.sleep(min(session.auto.values()))
        for fragment in list(session.auto):
            await session.refresh(fragment)


async def first_points(store: Path, count: int) -> list[float]:
    """Seconds from now until each of `count` new trainings has its first point, in order."""
    start = time.perf_counter()
    found: list[float] = []
    while len(found) < count:
        now = time.perf_counter() - start
        if now > PREPARE:
            raise TimeoutError(f"{count - len(found)} trainings have no point after {PREPARE:.0f} s")
        found += [now] * (len(list(store.glob("*/metrics.jsonl"))) - len(found))
        await asyncio.sleep(0.05)
    return found


async def start(people: list[Person], store: Path, trainings: int, models: int) -> tuple[list[str], list[float]]:
    """Everyone who is to train presses Train at once, the others open a classmate's link: ids of all runs, and the
    seconds from the press to their first points.
    """
    cards = [min(models, trainings - begun) for begun in range(0, trainings, models)]
    owners, others = people[: len(cards)], people[len(cards) :]
    for person, count in zip(owners, cards, strict=True):
        await person.choose(count)
    *ids, times = await asyncio.gather(*(person.train() for person in owners), first_points(store, trainings))
    for place, person in enumerate(others):
        person.session.query = owners[place % len(owners)].session.query
        await person.session.reload()
    return [run_id for own in ids for run_id in own], times


async def lesson(server: Server, sessions: int, trainings: int, models: int, seconds: float) -> Figures:
    """The whole of it, on a server that was just started."""
    figures, process = Figures(seconds=seconds), psutil.Process(server.process.pid)
    people = [Person(server.url, number, figures) for number in range(sessions)]
    try:
        figures.server["at the start"] = resident(process)
        await people[0].session.open()
        await warm(people[0].session)
        figures.server["with one session"] = resident(process)
        for person in people[1:]:
            await person.session.open()
        figures.server["with all sessions"] = resident(process)
        run_ids, figures.first_points = await start(people, server.store, trainings, models)
        before = steps(server.store, run_ids)
        await asyncio.gather(*(person.live(time.perf_counter() + seconds) for person in people))
        figures.steps = list(zip(before, steps(server.store, run_ids), strict=True))
        figures.server["with all that trains"] = resident(process)
        figures.workers = [resident(worker) for worker in trainers(process)]
    finally:
        await asyncio.gather(*(person.session.close() for person in people))
    figures.exceptions = [words for person in people for words in person.session.exceptions]
    return figures


def measure(sessions: int, trainings: int, models: int = 2, seconds: float = 30.0) -> Figures:
    """Start a server, hold the lesson, end the server.

    Raises:
        ValueError: the sessions cannot start so many trainings.
    """
    if not 1 <= models <= len(KINDS) or not 1 <= trainings <= sessions * models:
        raise ValueError(f"{sessions} sessions with {models} cards each cannot start {trainings} trainings")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(ROOT / "app.py", Path(folder))
        try:
            figures = asyncio.run(lesson(server.wait(), sessions, trainings, models, seconds))
            figures.exceptions += [server.errors()] if server.errors() else []
        finally:
            shut_down(server)
    return figures


def shut_down(server: Server) -> None:
    """End the server and wait for its children, which save what they train."""
    children = psutil.Process(server.process.pid).children() if server.process.poll() is None else []
    server.stop()
    _gone, stubborn = psutil.wait_procs(children, timeout=30)
    for child in stubborn:
        child.kill()
    psutil.wait_procs(stubborn, timeout=10)


def spread(times: list[float]) -> str:
    """Median, 95th percentile and maximum."""
    if not times:
        return "none"
    return f"median {statistics.median(times):5.0f}   95 % {percentile(times):5.0f}   max {max(times):5.0f} ms"


def percentile(times: list[float], share: float = 0.95) -> float:
    """The smallest time that this share of all does not exceed; 0 without times."""
    return sorted(times)[max(0, -int(-len(times) * share // 1) - 1)] if times else 0.0


def report(figures: Figures) -> None:
    print(f"refreshes      {spread(figures.refreshes)}   {len(figures.refreshes) / figures.seconds:.1f} a second")
    print(f"reactions      {spread(figures.reactions)}   {len(figures.reactions)}, from the moment they were wanted")
    for what, times in sorted(figures.actions.items()):
        print(f"  {what:13}{spread(times)}   {len(times)}")
    print(f"exceptions     {len(figures.exceptions)}", *figures.exceptions[:1])
    print("first point    {:.1f} to {:.1f} s after the press".format(*ends(figures.first_points)))
    gains = sorted(after - before for before, after in figures.steps)
    print(f"steps          {min(gains)} / {statistics.median(gains):g} / {max(gains)} more (smallest, median, largest)")
    print("server         " + ", ".join(f"{mib:.0f} MiB {when}" for when, mib in figures.server.items()))
    print("workers        " + ", ".join(f"{mib:.0f} MiB" for mib in figures.workers))


def ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def judge(figures: Figures, sessions: int) -> bool:
    """Print of each budget whether it holds; return whether all do."""
    memory = max(figures.server.values())
    growth = (memory - figures.server["with one session"]) / max(1, sessions - 1)
    limit = SERVER_MIB + SESSION_MIB * sessions
    budgets = {
        f"95 % of refreshes below {REACTION_MS} ms": percentile(figures.refreshes) < REACTION_MS,
        f"95 % of reactions below {REACTION_MS} ms": percentile(figures.reactions) < REACTION_MS,
        "no exception": not figures.exceptions,
        "every training advances": figures.all_advance,
        f"server below {limit} MiB ({growth:.1f} MiB a session)": memory < limit,
        f"every worker below {WORKER_MIB} MiB": max(figures.workers, default=0) < WORKER_MIB,
    }
    for words, holds in budgets.items():
        print(f"{'holds ' if holds else 'missed'} {words}")
    return all(budgets.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--trainings", type=int, default=30)
    parser.add_argument("--models", type=int, default=2, help="cards in a session that presses Train, 1 to 4")
    parser.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()
    figures = measure(args.sessions, args.trainings, args.models, args.seconds)
    report(figures)
    return 0 if judge(figures, args.sessions) else 1


if __name__ == "__main__":
    raise SystemExit(main())
