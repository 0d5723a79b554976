"""Processes to kill: each is started again at once, as a service manager does."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from forks import Forked, uncovered

HERE = Path(__file__).parent


def environment() -> dict[str, str]:
    """Return that of this process, without the measuring of coverage; and the helpers of the tests can be imported."""
    kept = uncovered()
    return kept | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), kept.get("PYTHONPATH", "")])}


class Process:
    """A Python process that can be killed with SIGKILL and started again; its output goes to a file.

    Args:
        name: what it is called in what the test prints.
        arguments: those of the interpreter.
        log: where its output goes.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self._arguments = arguments
        self._log = log
        self._running = self._start()

    def _start(self) -> Forked:
        with self._log.open("ab") as log:
            return Forked(*self._arguments, env=environment(), stderr=log, stdout=log)

    @property
    def exit_status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._running.poll()

    def kill(self) -> None:
        """Kill it, which must have been alive, and start it again."""
        self._running.send_signal(signal.SIGKILL)
        status = self._running.wait(10)
        assert -signal.SIGKILL == status, f"{self.name} was not killed: it had ended with {status}\n{self.output()}"
        self._running = self._start()

    def revive(self) -> bool:
        """Start it again if it has ended otherwise than well; tell whether it had."""
        ended = self.exit_status not in {None, 0}
        if ended:
            self._running = self._start()
        return ended

    def restart(self, seconds: float) -> int:
        """Ask it to stop, start it again, and return the exit status that it had."""
        status = self.stop(seconds)
        self._running = self._start()
        return status

    def ended_well(self, seconds: float) -> bool:
        """Tell whether it ends by itself, within some seconds, with exit status 0."""
        return self._running.wait(seconds) == 0

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._running.terminate()

    def stop(self, seconds: float) -> int:
        """Ask it to stop, and return its exit status."""
        self.ask_to_stop()
        return self._running.wait(seconds)

    def output(self) -> str:
        """Return the end of what it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running.poll() is None:
            self._running.kill()
            self._running.wait(10)
