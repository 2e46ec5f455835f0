"""Everything in this process and at once: for the command line, for notebooks and for tests."""

from collections.abc import Iterator
from typing import Any

from lmviz.jobs.base import Jobs, Message
from lmviz.runs import Store

END = "end"


class InlineJobs(Jobs):
    """`start` returns when the run has ended."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def start(self, run_id: str, owner: str = "") -> None:
        from lmviz.training.session import Session

        for _ in Session(self.store.get(run_id)).work():
            pass

    def step(self, run_id: str, owner: str = "") -> None:
        from lmviz.training.session import Session

        session = Session(self.store.get(run_id))
        session.by_hand = True
        turns = session.work()
        while not session.trainer and next(turns, END) != END:  # until it is ready, or has failed
            pass
        if next(turns, END) != END:  # one update; at the end there is nothing left to keep
            session.rest("paused")
        turns.close()  # frees the lock

    def pause(self, run_id: str) -> None:
        self._leave(run_id, "paused")

    def stop(self, run_id: str) -> None:
        self._leave(run_id, "stopped")

    def set(self, run_id: str, name: str, value: float) -> None:
        """Nothing is under way between two calls, so there is nothing to change."""

    def turn_seconds(self) -> float:
        return 0.0

    def ask(self, question: str, owner: str = "", **arguments: Any) -> Iterator[Message]:
        from lmviz.jobs.questions import QUESTIONS

        return QUESTIONS[question](self.store, **arguments)

    def close(self) -> None: ...

    def _leave(self, run_id: str, state: Any) -> None:
        run = self.store.get(run_id)
        status = run.status()
        if status.active:
            status.state = state
            run.write_status(status)
