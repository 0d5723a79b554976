"""Brokers for tests: the one that runs already, and ones of their own to kill and start again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

RABBITMQ_URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
"""The broker that tests share: they use names of their own on it, and delete them."""

_PLACES = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/usr/sbin", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin")
_BOOT = 60.0

SETTLED = 5.0
"""Seconds after which a new quorum queue outlives SIGKILL: RabbitMQ 3.10 writes the name of one down a moment later,
and a queue that it doesn't know the name of never has a leader again."""

MAX_MESSAGE_SIZE = 500_000
"""The maximum bytes of a body for a broker of a test's own, far below RabbitMQ's default."""

_GUARD = """
import os, signal, sys
for group in [int(line) for line in sys.stdin]:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
"""Reads what was started, and kills it once whoever writes that is gone: a test run that is killed leaves no broker."""

_GREETING = b"AMQP\x00\x00\x09\x01"


def answers(host: str, port: int) -> bool:
    """Tell whether an AMQP broker says hello there."""
    with suppress(OSError), socket.create_connection((host, port), timeout=2) as connection:
        connection.sendall(_GREETING)
        return connection.recv(1) == b"\x01"
    return False


def free_port() -> int:
    """Return a port that nobody listens at, out of those that no system hands out by itself.

    Another process that asks for any port, or connects, gets a higher one: this one is still free when a server that
    is started with it listens at last.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _program(name: str, *places: str) -> str | None:
    """Return the path of a program; on PATH there may be a wrapper that changes the user: that comes last."""
    found = next((f"{place}/{name}" for place in places if os.access(f"{place}/{name}", os.X_OK)), None)
    return found or shutil.which(name)


def _epmd() -> str | None:
    return _program("epmd", *map(str, Path("/usr/lib/erlang").glob("erts-*/bin")))


class RabbitMq:
    """A RabbitMQ of its own, with its own data, at a port of 127.0.0.1; it keeps both when it is started again."""

    def __init__(self, folder: Path, server: str, epmd: str, plugins: str) -> None:
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self._folder, self._server = folder, server
        self._epmd_port, self._distribution = free_port(), free_port()
        self._guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD], stdin=subprocess.PIPE, start_new_session=True, text=True
        )
        self._epmd = self._started([epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"])
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "plugins").write_text(f"[{plugins}].", encoding="utf-8")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\nlog.console = false\n"
            f"max_message_size = {MAX_MESSAGE_SIZE}\n",
            encoding="utf-8",
        )

    def start(self) -> None:
        """Start it, on the data that it left, and wait until it answers."""
        with (self._folder / "output").open("ab") as output:
            self._process = self._started([self._server], output)
        end = time.monotonic() + _BOOT
        while not answers("127.0.0.1", self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                tail = (self._folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"RabbitMQ did not start:\n{tail}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, with SIGKILL: what it has not on disk is gone. Let new queues be SETTLED before."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop it as an operator does, and start it again.

        After that it knows the queues that were declared lately: RabbitMQ 3.10 writes down which directory a quorum
        queue has only a while later, and one that is killed before finds another, empty one, where no leader is ever
        elected.
        """
        self.signal(signal.SIGTERM)
        if self._process is not None:
            self._process.wait(_BOOT)
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it: SIGSTOP makes it hang, SIGCONT lets it go on."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it hang inside of the `with` block: connections stay, and nothing is answered."""
        self.signal(signal.SIGSTOP)
        time.sleep(0.1)  # its threads stop one by one
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill it and what it needs."""
        self.kill()
        for process in (self._epmd, self._guard):
            process.kill()
            process.communicate()

    def _started(self, command: list[str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        sink = subprocess.DEVNULL if output is None else output
        started = subprocess.Popen(command, env=self._environment(), stdout=sink, stderr=sink, start_new_session=True)
        if self._guard.stdin is not None:
            self._guard.stdin.write(f"{started.pid}\n")
            self._guard.stdin.flush()
        return started

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return kept | {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"domainkit{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        }


@contextmanager
def rabbitmq_of_its_own(folder: Path, plugins: str = "") -> Iterator[RabbitMq]:
    """Give a RabbitMQ that runs, to kill and to start again; skip where there is no program for one.

    Args:
        folder: an empty one, for its data: pytest's `tmp_path`.
        plugins: the names of those that it has, with commas between.
    """
    server, epmd = _program("rabbitmq-server", *_PLACES), _epmd()
    if server is None or epmd is None:
        pytest.skip("no program rabbitmq-server to start a broker with")
    broker = RabbitMq(folder, server, epmd, plugins)
    try:
        broker.start()
        yield broker
    finally:
        broker.end()
