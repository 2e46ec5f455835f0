"""The answering worker: trains nothing, so that an answer never waits behind a training.

python -m lmviz.jobs.answerer SOCKET STORE
"""

import contextlib
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lmviz.errors import N_, LmvizError
from lmviz.jobs.of_run import WAITING, Answer
from lmviz.jobs.questions import PIECE_SECONDS, QUESTIONS
from lmviz.jobs.wire import connect, receive, send
from lmviz.jobs.worker import Turns, warm_up
from lmviz.runs import Store


class Answerer:
    """Questions under way, a piece of each in turn, round robin over persons."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self.connection, self.store = connection, store
        self.answers: dict[str, Answer] = {}
        self.waiting: set[str] = set()
        """Those whose last piece said that they wait for another process."""
        self.turns = Turns()

    def loop(self) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            send(self.connection, {"event": "ready"})
            while True:
                while self.connection.poll(self.patience()):
                    self.take(receive(self.connection))
                identity = self.turns.next()
                if identity:
                    self.piece(identity)

    def patience(self) -> float | None:
        """How long to listen before the next piece: not at all, for a moment if all answers only wait, or for ever."""
        if not self.answers:
            return None
        return PIECE_SECONDS if self.answers.keys() <= self.waiting else 0

    def take(self, message: dict[str, Any]) -> None:
        identity = message["id"]
        if message["do"] == "cancel":
            self.forget(identity)
        else:
            self.answers[identity] = QUESTIONS[message["question"]](self.store, **message["arguments"])
            self.turns.add(message["owner"], identity)

    def piece(self, identity: str) -> None:
        """The next piece of one answer; whatever goes wrong is told to the one who asked."""
        try:
            piece = next(self.answers[identity])
            self.waiting.discard(identity)
            if piece.get(WAITING):
                self.waiting.add(identity)
            send(self.connection, {"id": identity, "piece": piece})
        except StopIteration:
            self.forget(identity)
            send(self.connection, {"id": identity, "done": True})
        except LmvizError as error:
            self.forget(identity)
            send(self.connection, {"id": identity, "error": error.to_dict()})
        except ConnectionError:
            raise
        except Exception as error:  # a defect of lmviz: the worker lives on, the person is told
            traceback.print_exc()
            self.forget(identity)
            reason = f"{type(error).__name__}: {error}"
            fault = LmvizError(N_("lmviz could not answer this ({reason})."), reason=reason)
            send(self.connection, {"id": identity, "error": fault.to_dict()})

    def forget(self, identity: str) -> None:
        self.answers.pop(identity, None)
        self.waiting.discard(identity)
        self.turns.remove(identity)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server; its end closes our connection
    connection, store = connect(int(sys.argv[1])), Store(Path(sys.argv[2]))
    warm_up()
    Answerer(connection, store).loop()


if __name__ == "__main__":
    main()
