"""Train a run in this process, as the command line does."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import torch
from filelock import Timeout

from lmviz.errors import N_, RunError
from lmviz.runs import Run, Status
from lmviz.training.session import Session


def train_here(run: Run, *, quiet: bool = False) -> Status:
    """To the end, or to Ctrl-C, which leaves the run stopped with everything kept.

    Returns:
        Where it stands then; a full disk may have refused to keep it.

    Raises:
        RunError: another process is training this run.
    """
    torch.set_num_threads(1)
    session = Session(run, worker=os.getpid())
    turns = session.work()
    shown = 0.0
    try:
        with interruption() as interrupted:
            for _ in turns:
                if not quiet and time.monotonic() - shown > 0.5:
                    shown = time.monotonic()
                    _progress(session)
                if interrupted.is_set():
                    session.rest("stopped")
                    break
            turns.close()  # frees the lock
    except Timeout:
        raise RunError(N_("The run {run} is being trained by another process."), run=run.id) from None
    if not quiet:
        _progress(session)
        sys.stderr.write("\n")
    return session.status


@contextlib.contextmanager
def interruption() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of breaking an update in two; a second one ends the program."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals reach the main thread only
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _progress(session: Session) -> None:
    status = session.status
    share = f" {status.stage_progress:.0%}" if status.stage_progress is not None else ""
    speed = f"{status.tokens_per_second:,.0f} tokens/s" if status.tokens_per_second else status.stage + share
    left = f"{status.seconds_left:.0f} s left" if status.seconds_left else ""
    sys.stderr.write(f"\r{session.run.id}  {status.step}/{status.steps}  {speed}  {left}    ")
    sys.stderr.flush()
