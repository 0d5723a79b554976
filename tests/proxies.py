"""A real TCP proxy for tests, which cuts connections where the test wants it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import define, field


@define(eq=False)
class CuttingProxy:
    """Forwards what clients and a server say; it cuts a connection when a client says `trigger`.

    Args:
        address: host and port of the server.
        trigger: cuts where a message of the client has these bytes; None for never.
        forward: whether the server still gets the message, and has answered, before the client's connection is cut.
        cuts: how many connections were cut.
        trips: how often the server has answered, and a client could only then go on.
    """

    address: tuple[str, int]
    trigger: bytes | None = None
    forward: bool = True
    cuts: int = 0
    trips: int = 0
    listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _threads: list[threading.Thread] = field(factory=list)
    _sockets: list[socket.socket] = field(factory=list)

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        port: int = self.listener.getsockname()[1]
        return port

    def start(self, target: Callable[..., None], *arguments: object) -> None:
        """Run a part of the proxy beside the test."""
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def serve(self) -> None:
        """Take connections until the proxy is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.address)
                self._sockets += [client, server]
                self.start(self._from_client, client, server)
                self.start(self._from_server, client, server)

    def _from_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.trigger is not None and self.trigger in data:
                    self._answered.clear()
                    self.cuts += 1  # from here on no answer reaches a client
                    if self.forward:
                        server.sendall(data)
                        self._answered.wait(10)
                    break
                self._is_asked = True
                server.sendall(data)
        _close(client, server)

    _answered: threading.Event = field(factory=threading.Event)
    _is_asked: bool = False

    def _from_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self.cuts and self.forward:
                    self._answered.set()
                    break
                self.trips += self._is_asked
                self._is_asked = False
                client.sendall(data)
        _close(client, server)

    def close(self) -> None:
        """Cut everything, and wait until nothing runs any more."""
        _close(self.listener, *self._sockets)
        for thread in self._threads:
            thread.join(10)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def cutting_proxy(host: str, port: int) -> Iterator[CuttingProxy]:
    """Yield a proxy in front of a server."""
    proxy = CuttingProxy((host, port))
    proxy.start(proxy.serve)
    try:
        yield proxy
    finally:
        proxy.close()
