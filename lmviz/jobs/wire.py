"""JSON messages over a socket pair between the pool and its workers; nothing is pickled."""

import contextlib
import json
import os
import socket
from multiprocessing.connection import Connection
from typing import Any


def pair() -> tuple[Connection, socket.socket]:
    """The pool's end, and the socket to hand to the child."""
    ours, theirs = socket.socketpair()
    return Connection(ours.detach()), theirs


def connect(descriptor: int) -> Connection:
    """The child's end, from the number that the pool gave it."""
    return Connection(descriptor)


def hang_up(connection: Connection) -> None:
    """End the talk at once, also for a thread of ours that waits in `receive`; closing alone would not wake it."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message, ensure_ascii=False).encode())


def receive(connection: Connection) -> dict[str, Any]:
    """Raises EOFError when the other side is gone."""
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    return message
