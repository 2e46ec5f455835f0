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

    @property
    def step(self) -> int:
        return self.session.trainer.step if self.session.trainer else 0


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
                if run_id in self.jobs and not self.jobs[run_id].paused:  # a wish may have come in between
                    self.slice(run_id)
        for job in self.jobs.values():  # the server ended: leave each run where it can go on
            if not job.paused:
                with contextlib.suppress(OSError):
                    job.session.rest("running")

    def obey(self, message: dict[str, str]) -> None:
        """One wish of the pool. A run that is not here is opened from its folder."""
        wish, run_id = message["do"], message["run"]
        try:
            if wish == "start":
                self.start(run_id, message["owner"])
            elif wish == "step":
                self.single_step(run_id, message["owner"])
            elif run_id in self.jobs and wish == "pause":
                self.jobs[run_id].paused = True
                self.turns.remove(run_id)
                self.jobs[run_id].session.rest("paused")
            elif wish == "stop":
                self.stop(run_id)
            elif wish == "set":
                self.set(run_id, message["name"], float(message["value"]))
        except (LmvizError, OSError):
            traceback.print_exc()
            if run_id not in self.jobs:
                send(self.connection, {"event": "ended", "run": run_id})

    def start(self, run_id: str, owner: str) -> None:
        if run_id not in self.jobs:
            self.jobs[run_id] = Job(self.store.get(run_id), owner)
        self.jobs[run_id].paused = self.jobs[run_id].session.by_hand = False
        self.turns.add(owner, run_id)

    def single_step(self, run_id: str, owner: str) -> None:
        if run_id not in self.jobs:
            self.jobs[run_id] = Job(self.store.get(run_id), owner)
        job = self.jobs[run_id]
        job.paused = job.session.by_hand = True
        self.turns.remove(run_id)
        before = -1
        while run_id in self.jobs and (before < 0 or job.step <= before):
            before = job.step if job.session.trainer and before < 0 else before
            self.turn(run_id)
        if run_id in self.jobs:
            job.session.keep()
            job.session.write_status("paused")

    def set(self, run_id: str, name: str, value: float) -> None:
        """Also for a run that rests in its folder or is only being prepared: it is opened as far as that takes."""
        if run_id not in self.jobs:
            run = self.store.get(run_id)
            if not run.status().active:
                return
            self.jobs[run_id] = Job(run, run.status().owner)
            self.jobs[run_id].paused = True
        job = self.jobs[run_id]
        while run_id in self.jobs and not job.session.trainer:
            self.turn(run_id)
        if run_id in self.jobs:
            job.session.set(name, value)
            if job.paused:
                job.session.write_status("paused")

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
        end = time.perf_counter() + SLICE
        while run_id in self.jobs and time.perf_counter() < end:
            if self.turn(run_id) == IDLE:
                return

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
    from lmviz.models.linear import fastest_product
    from lmviz.training.trainer import Trainer

    torch.set_num_threads(1)
    fastest_product()
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
