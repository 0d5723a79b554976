"""A headless Chromium, driven over a pipe: pages as a reader sees them, without a library and without a network.

It speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol) on two file descriptors.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60
"""The patience with one answer: a busy machine is slow."""

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # containers run as root, and the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing is fetched from elsewhere
    "--remote-debugging-pipe",
)


def browser() -> str:
    """Return the path of the browser, from `CHROMIUM` or the PATH; skip if this machine has no browser."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no browser: install chromium, or give its path in CHROMIUM")
    return found


class Browser:
    """One tab of a running browser."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._buffer, self._last, self._session = read, write, b"", 0, ""
        self.events: list[dict[str, Any]] = []  # Any: JSON of the protocol
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:  # Any: as above
        """Send a command, and return its answer; events that arrive meanwhile are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        where = {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message | where).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:  # Any: as above
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], SECONDS)
            assert ready, f"the browser has not answered within {SECONDS} seconds"
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def run(self, script: str) -> Any:  # Any: what the script gives
        """Return the value of an expression of JavaScript on the page; a promise is awaited."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, address: str) -> None:
        """Go to a page, and wait until all of it has loaded."""
        self.events.clear()
        self.ask("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def wait(self, script: str) -> Any:  # Any: as above
        """Return the value of an expression as soon as it is true."""
        end = time.monotonic() + SECONDS
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"{script} has not become true"
            time.sleep(0.05)
        return value

    def view(self, width: int, height: int, scheme: str = "light") -> None:
        """Look at pages in a window of this size, on a system with a light or dark scheme."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def complaints(self) -> list[str]:
        """Return the errors that the console has had since the page was opened, and requests that failed."""
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(str(parameters["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                    found.append(str(parameters["args"]))
                case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                    found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
                case "Network.loadingFailed":
                    found.append(str(parameters["errorText"]))
                case _:
                    pass
        return found


@contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """Run the browser while the `with` block does, with a profile of its own."""
    program = browser()
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    # the browser reads descriptor 3 and writes 4: dash, as sh, knows no source of two digits
    script = f"import os, sys; os.dup2({theirs_in}, 3); os.dup2({theirs_out}, 4); os.execv(sys.argv[1], sys.argv[1:])"
    through = [sys.executable, "-c", script, *command]
    with (profile.parent / "browser.log").open("wb") as log:
        process = subprocess.Popen(through, stdout=log, stderr=log, pass_fds=(theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(ours_in, ours_out)
        finally:
            process.kill()
            process.wait()
            os.close(ours_in)
            os.close(ours_out)
