"""A training worker: one process, one torch thread, many runs taking turns. Started by the pool, talks JSON to it.

python -m lmviz.jobs.worker SOCKET STORE
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from filelock import Timeout

from lmviz.errors import N_, LmvizError, RunError
from lmviz.jobs.base import SLICE
from lmviz.jobs.wire import connect, receive, send
from lmviz.runs import Run, Store
from lmviz.turns import IDLE, Turn


class Job:
    """A run held by this worker."""

    def __init__(self, run: Run, owner: str) -> None:
        from lmviz.training.session import Session

        self.owner = owner
        self.session = Session(run, worker=os.getpid())
        self.turns: Iterator[Turn] = self.session.work()
        self.paused = False
        self.wishes: deque[dict[str, Any]] = deque()
        """Single steps and changed settings that wait until the run is ready."""

    @property
    def ready(self) -> bool:
        """The text is prepared and the model built: every turn is an update from now on."""
        return self.session.trainer is not None

    @property
    def wants_turns(self) -> bool:
        return not self.paused or bool(self.wishes)

    def forget_steps(self) -> None:
        """The person wanted something else since."""
        self.wishes = deque(wish for wish in self.wishes if wish["do"] != "step")


class Turns:
    """Whose turn it is: round robin over owners, and within an owner over runs. What was just added has a turn before
    that, in the order it came: the first points of a run do not wait until all others had their turns.
    """

    def __init__(self) -> None:
        self.fresh: deque[str] = deque()
        self.owners: deque[str] = deque()
        self.runs: dict[str, deque[str]] = {}

    def add(self, owner: str, run_id: str) -> None:
        if owner not in self.runs:
            self.owners.append(owner)
            self.runs[owner] = deque()
        if run_id not in self.runs[owner]:
            self.runs[owner].append(run_id)
            self.fresh.append(run_id)

    def remove(self, run_id: str) -> None:
        if run_id in self.fresh:
            self.fresh.remove(run_id)
        for owner, runs in list(self.runs.items()):
            if run_id in runs:
                runs.remove(run_id)
                if not runs:
                    del self.runs[owner]
                    self.owners.remove(owner)

    def next(self) -> str | None:
        if self.fresh:
            return self.fresh.popleft()
        if not self.owners:
            return None
        owner = self.owners[0]
        self.owners.rotate(-1)
        run_id = self.runs[owner][0]
        self.runs[owner].rotate(-1)
        return run_id


class Worker:
    """Holds jobs, gives each a slice in turn, and does what the pool says between two slices."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self.connection, self.store = connection, store
        self.jobs: dict[str, Job] = {}
        self.turns = Turns()

    def loop(self) -> None:
        """Until the pool is gone."""
        with contextlib.suppress(EOFError, ConnectionError):
            send(self.connection, {"event": "ready"})
            while True:
                run_id = self.turns.next()
                while self.connection.poll(0 if run_id else None):
                    self.obey(receive(self.connection))
                    run_id = run_id or self.turns.next()
                if run_id:
                    self.slice(run_id)
        for job in self.jobs.values():  # the server ended: leave each run where it can go on
            with contextlib.suppress(OSError):
                if not job.paused:
                    job.session.rest("running")
                elif job.wishes:  # it was only being prepared
                    job.session.write_status("paused")

    def obey(self, message: dict[str, Any]) -> None:
        """One wish of the pool. A run that is not here is opened from its folder."""
        wish, run_id = message["do"], message["run"]
        try:
            if wish == "start":
                self.start(run_id, message["owner"])
            elif wish == "step":
                self.step(message)
            elif wish == "set":
                self.set(message)
            elif wish == "pause" and run_id in self.jobs:
                self.pause(run_id)
            elif wish == "stop":
                self.stop(run_id)
        except (LmvizError, OSError):
            traceback.print_exc()
            if run_id not in self.jobs:
                send(self.connection, {"event": "ended", "run": run_id})

    def start(self, run_id: str, owner: str) -> None:
        if run_id not in self.jobs:
            self.jobs[run_id] = Job(self.store.get(run_id), owner)
        job = self.jobs[run_id]
        job.paused = job.session.by_hand = False
        job.forget_steps()
        self.turns.add(owner, run_id)

    def pause(self, run_id: str) -> None:
        job = self.jobs[run_id]
        job.paused = True
        job.forget_steps()
        if not job.wishes:
            self.turns.remove(run_id)
        job.session.rest("paused")

    def step(self, message: dict[str, Any]) -> None:
        """One update, then it rests."""
        run_id = message["run"]
        if run_id not in self.jobs:
            self.jobs[run_id] = Job(self.store.get(run_id), message["owner"])
        self.jobs[run_id].paused = True
        self.turns.remove(run_id)
        self.wish(message)

    def set(self, message: dict[str, Any]) -> None:
        """Also for a run that rests in its folder: it is opened as far as that takes."""
        run_id = message["run"]
        if run_id not in self.jobs:
            run = self.store.get(run_id)
            if not run.status().active:
                send(self.connection, {"event": "ended", "run": run_id})
                return
            self.jobs[run_id] = Job(run, run.status().owner)
            self.jobs[run_id].paused = True
        self.wish(message)

    def wish(self, message: dict[str, Any]) -> None:
        """Carried out now, or once the run is ready: others have their turns while its text is prepared."""
        job = self.jobs[message["run"]]
        job.wishes.append(message)
        if job.ready:
            self.carry_out(message["run"])
        elif job.paused:
            self.turns.add(job.owner, message["run"])

    def carry_out(self, run_id: str) -> None:
        """What was wished of a run that is ready. If it is paused, it rests again."""
        job = self.jobs[run_id]
        while job.wishes and run_id in self.jobs:
            wish = job.wishes.popleft()
            try:
                if wish["do"] == "set":
                    job.session.set(wish["name"], float(wish["value"]))
                else:
                    self.single_step(run_id)
            except (LmvizError, OSError):  # an impossible value, a full disk
                traceback.print_exc()
        if run_id in self.jobs and job.paused:
            self.turns.remove(run_id)
            with contextlib.suppress(OSError):
                job.session.write_status("paused")

    def single_step(self, run_id: str) -> None:
        session = self.jobs[run_id].session
        session.by_hand = True
        self.turn(run_id)
        if run_id in self.jobs:
            session.keep()

    def stop(self, run_id: str) -> None:
        job = self.jobs.get(run_id)
        if job:
            job.session.rest("stopped")
            self.end(run_id)
        else:  # it rests in its folder, so there is nothing to save
            run = self.store.get(run_id)
            status = run.status()
            if status.active and not run.is_locked():
                status.state = "stopped"
                run.write_status(status)
            send(self.connection, {"event": "ended", "run": run_id})

    def slice(self, run_id: str) -> None:
        """Turns of one run for SLICE seconds; its first updates have a slice of their own, after the preparing."""
        end = time.perf_counter() + SLICE
        while (job := self.jobs.get(run_id)) and job.wants_turns and time.perf_counter() < end:
            was_ready = job.ready
            if self.turn(run_id) == IDLE:
                return
            if job.ready and not was_ready and run_id in self.jobs:
                self.carry_out(run_id)
                end = time.perf_counter() + SLICE

    def turn(self, run_id: str) -> Turn:
        """One update (or a piece of preparing); a fault of ours ends this run and no other."""
        job = self.jobs[run_id]
        try:
            return next(job.turns)
        except (StopIteration, Timeout):
            self.end(run_id)
        except Exception as error:  # a defect of lmviz: keep the worker alive, tell the person, keep the trace
            with contextlib.suppress(OSError):
                (job.session.run.path / "error.log").write_text(traceback.format_exc(), encoding="utf-8")
            reason = f"{type(error).__name__}: {error}"
            job.session.status.error = RunError(
                N_("lmviz has a defect here ({reason}). error.log in the run's folder has the details."), reason=reason
            ).to_dict()
            with contextlib.suppress(OSError):
                job.session.write_status("failed")
            self.end(run_id)
        return None

    def end(self, run_id: str) -> None:
        job = self.jobs.pop(run_id)
        close = getattr(job.turns, "close", None)
        if close:
            close()  # frees the lock
        self.turns.remove(run_id)
        send(self.connection, {"event": "ended", "run": run_id})


def warm_up() -> None:
    """Import torch and pay for its first use now: one update of the smallest model, and the choice of a product."""
    import torch

    from lmviz.config import LSTMConfig, TrainingConfig
    from lmviz.models import build_model
    from lmviz.training.product import product_here
    from lmviz.training.trainer import Trainer

    torch.set_num_threads(1)
    product_here()
    model = build_model(LSTMConfig(embedding_dim=1, hidden_size=1), 4, 2)
    tokens = torch.arange(4).repeat(4).numpy().astype("uint16")
    Trainer(model, TrainingConfig(batch_size=1, context_length=2), tokens).advance()


def read_default_text() -> None:
    """The text that most runs begin with is then tokenized already."""
    from lmviz.config import CorpusConfig, TokenizerConfig
    from lmviz.training.data import load_data
    from lmviz.turns import finish

    with contextlib.suppress(LmvizError):
        finish(load_data(CorpusConfig(), TokenizerConfig()))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server; its end closes our connection
    connection, store = connect(int(sys.argv[1])), Store(Path(sys.argv[2]))
    warm_up()
    read_default_text()
    os.nice(10)  # from now on the web server and the answers come first
    Worker(connection, store).loop()


if __name__ == "__main__":
    main()
