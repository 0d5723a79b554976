"""Processes that begin with the libraries in memory, where a test needs many: see `forkserver.py`."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PIPE = subprocess.PIPE
_SERVER = Path(__file__).with_name("forkserver.py")
_asking = threading.Lock()


def uncovered() -> dict[str, str]:
    """Return the environment of this process, without the measuring of coverage, which takes its time."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


class Forked:
    """A process of Python; it has of `subprocess.Popen` what tests need, and each text is in UTF-8.

    Args:
        arguments: `-m`, the name of a module, and its arguments; or the path of a script, and its arguments.
        cwd: its folder.
        env: its environment.
        stdout: where its output goes: a file, or PIPE.
        stderr: where its errors go: a file, or PIPE.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: IO[bytes] | int = PIPE,
        stderr: IO[bytes] | int = PIPE,
    ) -> None:
        self.args = arguments if arguments[0] == "-m" else ("", *arguments)
        self.returncode: int | None = None
        request = {
            "arguments": self.args,
            "cwd": str((cwd or Path()).resolve()),
            "env": dict(os.environ if env is None else env),
        }
        self._status, reporting = os.pipe()
        self.stdout, output = _end_of(stdout)
        self.stderr, errors = _end_of(stderr)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123  (it is no path of a file)
            self.pid = _asked(json.dumps(request).encode(), [nothing.fileno(), output, errors, reporting])
        os.close(reporting)
        for file, own in ((output, self.stdout), (errors, self.stderr)):
            if own is not None:
                os.close(file)

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit status."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            text = os.read(self._status, 16)
            assert text, "the server of processes is gone"
            self.returncode = int(text)
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that it prints, wait for its end, and return its output and errors."""
        with ThreadPoolExecutor(2) as readers:
            reading = [readers.submit(one.read) if one else None for one in (self.stdout, self.stderr)]
            try:
                output, errors = (one.result(timeout) if one else "" for one in reading)
                self.wait(timeout)
            except BaseException:
                self.kill()  # so that the readers end
                raise
        self._close()
        return output, errors

    def _close(self) -> None:
        for one in (self.stdout, self.stderr):
            if one is not None:
                one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()
        self.wait()


def ran(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end, and return its status, its output and its errors."""
    process = Forked(*arguments, cwd=cwd, env=env)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.wait(), output, errors)


def _end_of(given: IO[bytes] | int) -> tuple[IO[str] | None, int]:
    """Return our end of a pipe, if one was asked for, and the file that the process writes to."""
    if given != PIPE:
        return None, given if isinstance(given, int) else given.fileno()
    reading, writing = os.pipe()
    return open(reading, encoding="utf-8"), writing  # noqa: PTH123  (a pipe has no path; it is closed later)


def _asked(request: bytes, files: Sequence[int]) -> int:
    """Ask the server for a process, and return its id."""
    with _asking:
        server = _server()
        socket.send_fds(server, [request], list(files))
        return int(server.recv(16))


@cache
def _server() -> socket.socket:
    """Start the server: one for all tests of this process."""
    own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", str(_SERVER), str(its.fileno())],
            env={name: value for name, value in uncovered().items() if name != "PYTHONPATH"},
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        own.close()
        process.wait()

    atexit.register(end)
    return own
