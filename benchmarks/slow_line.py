"""A line to a server that is as slow as one to another building: it delays each way, and counts the trips."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import sleep


class SlowLine:
    """Forwards what a client and a server say, each after a delay.

    Args:
        host: of the server.
        port: of the server.
        seconds: the delay, each way.
    """

    def __init__(self, host: str, port: int, *, seconds: float) -> None:
        self._address, self._seconds = (host, port), seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        """The port for clients."""
        self.trips: int = 0
        """The number of times that a client has sent something."""

    def serve(self) -> None:
        """Take connections until the line is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._address)
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, target, source is client), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:  # noqa: FBT001  (of a thread)
        with suppress(OSError):
            while data := source.recv(65536):
                self.trips += is_client
                sleep(self._seconds)
                target.sendall(data)
        _close(source, target)

    def close(self) -> None:
        """Close all connections."""
        _close(*self._sockets)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def slow_line(host: str, port: int, *, seconds: float) -> Iterator[SlowLine]:
    """Yield a line to a server."""
    line = SlowLine(host, port, seconds=seconds)
    threading.Thread(target=line.serve, daemon=True).start()
    try:
        yield line
    finally:
        line.close()
