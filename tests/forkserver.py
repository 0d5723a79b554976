"""Program that forks processes which have the libraries in memory already: importing them takes longer than most tests.

Nothing of the package is imported here: each process does that itself, as one that is started does.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

LIBRARIES = (
    *("aio_pika", "aiosqlite", "attrs", "cattrs.preconf.json", "coverage", "msgspec", "psycopg", "pydantic", "pika"),
    *("returns.future", "returns.io", "returns.result", "sqlalchemy.ext.asyncio", "typing_extensions"),
    *("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.aiosqlite"),
)

Program = Callable[[], None]


def main() -> Program:
    """Fork a process for each request, and report its end; return, in a process that was forked, what it has to run.

    A request is JSON, with the files for input, output and errors, and one for the exit status.
    """
    for name in LIBRARIES:
        with suppress(ImportError):
            import_module(name)
    gc.freeze()
    requests = socket.socket(fileno=int(sys.argv[1]))
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            report_ends(running)
        if requests.fileno() in ready:
            text, files, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not text:
                os._exit(0)  # whoever asked is gone
            process = os.fork()
            if process == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for file in (requests.detach(), woken, waking, *running.values()):
                    os.close(file)
                return prepared(json.loads(text), files)
            for file in files[:3]:
                os.close(file)
            running[process] = files[3]
            requests.send(str(process).encode())


def report_ends(running: dict[int, int]) -> None:
    """Report the exit status of each process that has ended."""
    while running:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        file = running.pop(process)
        with suppress(BrokenPipeError):
            os.write(file, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(file)


def prepared(request: dict[str, Any], files: list[int]) -> Program:
    """Make this process what was asked for, and return what it has to run."""
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    sys.stdout = open(1, "w", encoding=encoding, errors=errors or "strict", closefd=False)  # noqa: SIM115  (it stays open)
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115  (as above)
    kind, *sys.argv = request["arguments"]
    places = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:0] = [request["cwd"] if kind == "-m" else os.path.dirname(sys.argv[0]), *places]  # noqa: PTH120  (as Python)
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        import_module("coverage").process_startup(force=True)
    name = sys.argv[0]
    if kind == "-m":
        return lambda: discard(runpy.run_module(name, run_name="__main__", alter_sys=True))
    return lambda: discard(runpy.run_path(name, run_name="__main__"))


def discard(_: object) -> None:
    """Do nothing with what a module has defined."""


if __name__ == "__main__":
    main()()
