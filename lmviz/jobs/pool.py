"""The local pool: training workers (one a core) and one answering worker, started once and kept warm. No torch here.

The pool remembers which worker has which run. A worker that dies is started again, and its runs go on from their newest
checkpoint; a run that has killed its worker MAX_CRASHES times is marked failed instead.
"""

import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from lmviz.errors import N_, LmvizError, RunError
from lmviz.jobs.base import SLICE, Jobs, Message
from lmviz.jobs.wire import hang_up, pair, receive, send
from lmviz.runs import ROOT, Run, Store

MAX_CRASHES = 3
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}


class Process:
    """One child process and the thread that reads what it says. Messages wait in the socket until it is up."""

    process: subprocess.Popen[bytes] | None = None

    def __init__(self, pool: "LocalPool", module: str, name: str) -> None:
        self.pool, self.module, self.name = pool, module, name
        self.ready = threading.Event()
        self.early_deaths = 0
        self.connection, self.theirs = pair()

    def start(self) -> None:
        """Start the child; the thread that reads its words ends with it."""
        command = [sys.executable, "-m", self.module, str(self.theirs.fileno()), str(self.pool.store.root)]
        environment = {**os.environ, **ONE_THREAD}
        self.process = subprocess.Popen(command, pass_fds=[self.theirs.fileno()], cwd=ROOT, env=environment)
        self.theirs.close()
        threading.Thread(target=self._read, args=(self.connection,), name=self.name, daemon=True).start()

    def start_again(self) -> None:
        """A fresh child in place of a dead one."""
        self.ready.clear()
        self.connection, self.theirs = pair()
        self.start()

    def send(self, message: Message) -> None:
        """A message to a child that just died is dropped: its runs are handed on when its end is seen."""
        with contextlib.suppress(ConnectionError, OSError), self.pool.lock:
            send(self.connection, message)

    def close(self) -> None:
        hang_up(self.connection)
        if not self.process:
            return
        if not self.ready.is_set():
            self.process.kill()  # still importing, nothing in hand
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self, connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError, OSError):
            while True:
                message = receive(connection)
                if message.get("event") == "ready":
                    self.ready.set()
                else:
                    self.pool.hear(message)
        if self.process and not self.pool.closing:
            self.process.kill()  # it hung up, so it is of no use any more
            self.process.wait()
            self._back_off()
            self.pool.mourn(self)

    def _back_off(self) -> None:
        """A child that cannot even start is tried again ever more slowly."""
        self.early_deaths = 0 if self.ready.is_set() else self.early_deaths + 1
        if self.early_deaths:
            time.sleep(min(60, 2**self.early_deaths))


class LocalPool(Jobs):
    """Trains the runs of one store on this machine."""

    def __init__(self, store: Store, workers: int | None = None) -> None:
        self.store = store
        self.lock = threading.RLock()
        self.closing = False
        self.where: dict[str, Process] = {}
        self.owners: dict[str, str] = {}
        self.pending: dict[str, tuple[Message, queue.Queue[Message]]] = {}
        self.identities = itertools.count()
        store.root.mkdir(parents=True, exist_ok=True)
        count = workers or max(1, len(os.sched_getaffinity(0)))
        self.workers = [Process(self, "lmviz.jobs.worker", f"worker-{i}") for i in range(count)]
        self.answerer = Process(self, "lmviz.jobs.answerer", "answerer")
        for worker in self.workers:
            worker.start()
        threading.Thread(target=self._start_answerer, daemon=True).start()
        self.adopt()
        threading.Thread(target=self._adopt_late, daemon=True).start()

    def _adopt_late(self) -> None:
        """Runs that an earlier server's workers are still saving are free a little later."""
        for _ in range(12):
            time.sleep(5)
            if self.closing:
                return
            self.adopt()

    def _start_answerer(self) -> None:
        """After the first worker, which then has a core to itself while it starts: training comes first."""
        self.workers[0].ready.wait(20)
        with self.lock:
            if not self.closing:
                self.answerer.start()

    def adopt(self) -> None:
        """Runs that were under way when an earlier server ended go on."""
        for run in self.store.runs():
            status = run.status()
            under_way = status.state in ("queued", "running") and run.id not in self.where
            if under_way and not run.read_only and not run.is_locked():
                self.start(run.id, status.owner)

    def start(self, run_id: str, owner: str = "") -> None:
        self._wish(run_id, {"do": "start", "run": run_id, "owner": owner}, owner)

    def step(self, run_id: str, owner: str = "") -> None:
        self._wish(run_id, {"do": "step", "run": run_id, "owner": owner}, owner)

    def pause(self, run_id: str) -> None:
        self._wish(run_id, {"do": "pause", "run": run_id})

    def stop(self, run_id: str) -> None:
        self._wish(run_id, {"do": "stop", "run": run_id})

    def set(self, run_id: str, name: str, value: float) -> None:
        self._wish(run_id, {"do": "set", "run": run_id, "name": name, "value": value})

    def turn_seconds(self) -> float:
        return SLICE * len(self.where) / len(self.workers)

    def ask(self, question: str, owner: str = "", **arguments: Any) -> Iterator[Message]:
        identity = str(next(self.identities))
        message = {"do": "ask", "id": identity, "owner": owner, "question": question, "arguments": arguments}
        inbox: queue.Queue[Message] = queue.Queue()
        self.pending[identity] = (message, inbox)
        self.answerer.send(message)
        try:
            while True:
                answer = inbox.get()
                if "error" in answer:
                    raise LmvizError(answer["error"]["template"], **answer["error"]["values"])
                if "done" in answer:
                    return
                yield answer["piece"]
        finally:
            if self.pending.pop(identity, None):
                self.answerer.send({"do": "cancel", "id": identity})

    def close(self) -> None:
        with self.lock:
            self.closing = True
        for process in (*self.workers, self.answerer):
            process.close()

    def hear(self, message: Message) -> None:
        """A worker says that it no longer has a run, or the answerer has a piece of an answer."""
        if message.get("event") == "ended":
            with self.lock:
                self.where.pop(message["run"], None)
        elif message["id"] in self.pending:
            self.pending[message["id"]][1].put(message)

    def mourn(self, process: Process) -> None:
        """A child died: start another, and give it what the dead one had in hand."""
        with self.lock:
            orphans = [run_id for run_id, where in self.where.items() if where is process]
            process.start_again()
        if process is self.answerer:
            for message, inbox in list(self.pending.values()):
                error = LmvizError(N_("The process that answers was ended in the middle of this. Please ask again."))
                inbox.put({"id": message["id"], "error": error.to_dict()})
        for run_id in orphans:
            with contextlib.suppress(LmvizError, OSError):
                self._resume_orphan(self.store.get(run_id))

    def _resume_orphan(self, run: Run) -> None:
        status = run.status()
        if status.state == "running" or status.state == "queued":
            status.crashes += 1
            if status.crashes >= MAX_CRASHES:
                status.state = "failed"
                status.error = RunError(
                    N_("The process that trained this run was ended {count} times. Is the model too large?"),
                    count=status.crashes,
                ).to_dict()
                self.where.pop(run.id, None)
            run.write_status(status)
        else:
            self.where.pop(run.id, None)  # a paused run rests in its folder
        if status.state in ("running", "queued"):
            self.start(run.id, self.owners.get(run.id, ""))

    def _wish(self, run_id: str, message: Message, owner: str | None = None) -> None:
        """To the worker that has the run; a new run goes to the one with the fewest."""
        with self.lock:
            if owner is not None:
                self.owners[run_id] = owner
            if run_id not in self.where:
                loads = dict.fromkeys(self.workers, 0)
                for worker in self.where.values():
                    loads[worker] += 1
                self.where[run_id] = min(self.workers, key=lambda worker: loads[worker])
            process = self.where[run_id]
        process.send(message)
