"""Examples that are served for real: each in a process of its own, asked over the loopback."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forks import Forked, uncovered

ROOT = Path(__file__).parents[1]
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
ENVIRONMENT = {name: value for name, value in uncovered().items() if name.lower() not in PROXIES}
"""Of this machine, without a way out: the server is on the loopback."""


@contextmanager
def running(log: Path, *arguments: str, **environment: str) -> Iterator[Forked]:
    """Run a module while the `with` block does: it has no bug, and ends when it is asked to."""
    with log.open("wb") as file:  # no pipe: it would be full one day, and the process would wait
        process = Forked("-m", *arguments, cwd=ROOT, env={**ENVIRONMENT, **environment}, stdout=file, stderr=file)
        try:
            yield process
            process.send_signal(signal.SIGINT)  # as a terminal does
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text(encoding="utf-8")


def said(log: Path, text: str, process: Forked) -> re.Match[str]:
    """Wait until a process has written what matches a pattern, and return the match."""
    for _ in range(600):
        found = re.search(text, log.read_text(encoding="utf-8"))
        if found:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"{text} was not written: {log.read_text(encoding='utf-8')}")


@contextmanager
def serving(log: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Serve with uvicorn while the `with` block runs, and give the address; the server ends cleanly."""
    with running(log, *arguments, "--port", "0", **environment) as server:  # 0: any that is free
        yield said(log, r"running on (http://127\.0\.0\.1:\d+)", server)[1]
    assert "Application shutdown complete" in log.read_text(encoding="utf-8")
