"""A line to a server that is as slow as one to another building: it delays each way, and counts the trips.

It is a process of its own: in that of the client, it would wait for the client's Python code, and the other way around.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at run time the class takes no arguments
    Count = Synchronized[int]


class SlowLine:
    """Running line, as the process of the client sees it.

    Args:
        port: the port for clients.
        count: the number of times that a client has sent something.
    """

    def __init__(self, port: int, count: "Count") -> None:
        self.port: int = port
        self._count = count

    @property
    def trips(self) -> int:
        """The number of times that a client has sent something."""
        return self._count.value


def serve(address: tuple[str, int], seconds: float, count: "Count", told: Connection) -> None:
    """Tell the port, and forward what clients and a server say, each after a delay, until the process is ended.

    Args:
        address: host and port of the server.
        seconds: the delay, each way.
        count: is raised each time that a client has sent something.
        told: gets the port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    told.send(listener.getsockname()[1])
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(address)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target, counted in ((client, server, count), (server, client, None)):
            threading.Thread(target=_forward, args=(source, target, seconds, counted), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket, seconds: float, count: "Count | None") -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if count is not None:
                with count.get_lock():
                    count.value += 1
            sleep(seconds)
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def slow_line(host: str, port: int, *, seconds: float) -> Iterator[SlowLine]:
    """Yield a line to a server.

    Args:
        host: of the server.
        port: of the server.
        seconds: the delay, each way.
    """
    context = get_context("spawn")  # a fork would have the threads and connections of this process
    count: Count = context.Value("q", 0)
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=((host, port), seconds, count, told), daemon=True)
    process.start()
    try:
        yield SlowLine(heard.recv(), count)
    finally:
        process.terminate()
        process.join()
