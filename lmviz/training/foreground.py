"""Train a run in this process, as the command line does."""

import sys
import time

import torch
from filelock import Timeout

from lmviz.errors import N_, RunError
from lmviz.runs import Run
from lmviz.training.session import Session


def train_here(run: Run, *, quiet: bool = False) -> None:
    """To the end, or to Ctrl-C, which leaves the run stopped with everything kept.

    Raises:
        RunError: another process is training this run.
    """
    torch.set_num_threads(1)
    session = Session(run)
    turns = session.work()
    shown = 0.0
    try:
        for _ in turns:
            if not quiet and time.monotonic() - shown > 0.5:
                shown = time.monotonic()
                _progress(session)
    except Timeout:
        raise RunError(N_("The run {run} is being trained by another process."), run=run.id) from None
    except KeyboardInterrupt:
        session.rest("stopped")
    if not quiet:
        _progress(session)
        sys.stderr.write("\n")


def _progress(session: Session) -> None:
    status = session.status
    speed = f"{status.tokens_per_second:,.0f} tokens/s" if status.tokens_per_second else status.stage
    left = f"{status.seconds_left:.0f} s left" if status.seconds_left else ""
    sys.stderr.write(f"\r{session.run.id}  {status.step}/{status.steps}  {speed}  {left}    ")
    sys.stderr.flush()
