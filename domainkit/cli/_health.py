"""Health endpoint of a process over HTTP, for container probes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from domainkit.cli._arguments import CommandFailedError

_REQUEST_TIMEOUT = 5.0
"""Seconds for a request to arrive."""

_MAX_REQUEST = 8192
"""The maximum octets of a request."""


@asynccontextmanager
async def answering(port: int | None, is_healthy: Callable[[], bool], service: str) -> AsyncIterator[None]:
    """Answer on a port, on every address of the machine: `/live` with 200, `/health` with 200 or 503 by `is_healthy`.

    Args:
        port: the port; None to answer nothing.
        is_healthy: returns True while there is a connection.
        service: the one to which there is none otherwise.

    Raises:
        CommandFailedError: the port is not available.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_REQUEST_TIMEOUT):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(request, service, is_healthy=is_healthy()))
                await writer.drain()
        writer.close()

    if port is None:
        yield
        return
    try:
        server = await asyncio.start_server(answer, port=port, limit=_MAX_REQUEST)
    except (OSError, OverflowError) as error:
        raise CommandFailedError(f"port {port}: {error}") from error
    async with server:
        yield


def _response(request: bytes, service: str, *, is_healthy: bool) -> bytes:
    """Return the answer to a request.

    >>> _response(b"GET /health HTTP/1.1", "the broker", is_healthy=True).splitlines()[0]
    b'HTTP/1.1 200 OK'
    """
    method, path, *_ = [*request.partition(b"\r\n")[0].split(b" "), b"", b""]
    if method not in {b"GET", b"HEAD"} or path not in {b"/health", b"/live"}:
        status, body = "404 Not Found", b"GET /health or /live\n"
    elif is_healthy or path == b"/live":
        status, body = "200 OK", b"ok\n"
    else:
        status, body = "503 Service Unavailable", f"no connection to {service}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == b"HEAD" else body)
