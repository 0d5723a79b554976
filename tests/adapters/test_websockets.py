"""Handlers of the Starlette adapter on a WebSocket: they refuse its handshake, or close it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import field, frozen
from attrs.validators import le
from returns.result import Failure

from domainkit import BusCannotPublish, NotFound, ValueObject

for needed in ("starlette", "fastapi"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: the extra starlette is tested with it")

from fastapi import FastAPI  # noqa: E402  # after it is known to be there
from starlette.applications import Starlette  # noqa: E402  # as above
from starlette.exceptions import HTTPException  # noqa: E402  # as above
from starlette.routing import WebSocketRoute  # noqa: E402  # as above
from starlette.websockets import WebSocket  # noqa: E402  # as above

from domainkit.adapters.starlette import PROBLEM_JSON, exception_handlers, value_of  # noqa: E402  # as above

DENIALS: dict[str, object] = {"websocket.http.response": {}}
Endpoint = Callable[[WebSocket], Awaitable[None]]
Sent = list[dict[str, Any]]  # Any: as ASGI has it


class TaskNotFound(NotFound): ...


@frozen
class Page(ValueObject[int]):
    value: int = field(validator=le(50))


def starlette(endpoint: Endpoint) -> Any:
    """Return a Starlette app with one WebSocket."""
    return Starlette(routes=[WebSocketRoute("/it", endpoint)], exception_handlers=exception_handlers())


def fastapi(endpoint: Endpoint) -> Any:
    """Return a FastAPI app with one WebSocket."""
    app = FastAPI(exception_handlers=exception_handlers())
    app.websocket("/it")(endpoint)
    return app


async def talk(app: Any, *received: str, query: bytes = b"", extensions: Any = None) -> Sent:
    """Return what an app sends to a client that connects, sends these kinds of messages, and asks by the query."""
    scope: dict[str, Any] = {
        "type": "websocket", "asgi": {"version": "3.0"}, "scheme": "ws", "path": "/it", "raw_path": b"/it",
        "query_string": query, "headers": [], "subprotocols": [], "client": ("a", 1), "server": ("b", 2),
    }  # fmt: skip  # one scope
    if extensions is not None:
        scope["extensions"] = extensions
    messages = iter([{"type": f"websocket.{kind}", "code": 1000} for kind in ("connect", *received)])
    sent: Sent = []

    async def receive() -> dict[str, object]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


FRAMEWORKS = pytest.mark.parametrize("framework", [starlette, fastapi])
ERRORS = pytest.mark.parametrize(
    ("error", "status", "code", "title"),
    [
        (TaskNotFound(uuid_value="hunter2"), 404, 1008, "Task Not Found"),
        (BusCannotPublish(uuid_value="hunter2"), 503, 1011, "Service Unavailable"),
        (HTTPException(403, "Not yours"), 403, 1008, "Forbidden"),
        (HTTPException(304), 304, 1008, ""),
        (type("Ü" * 200, (NotFound,), {})(), 404, 1008, "Ü" * 61),
    ],
    ids=["domain", "bus", "http", "no body", "long"],
)


@FRAMEWORKS
@ERRORS
@pytest.mark.parametrize("raised", [True, False], ids=["raised", "failure"])
async def test_an_open_one_is_closed(  # noqa: PLR0913  # what one close has
    framework: Callable[[Endpoint], Any], error: Exception, status: int, code: int, title: str, *, raised: bool
) -> None:
    """It gets 1008 for a status below 500, 1011 from there on, and the title of the problem, within its 123 bytes."""

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        if raised:
            raise error
        value_of(Failure(error))

    if not raised and isinstance(error, HTTPException):
        code, title = 1011, "Internal Server Error"  # no error of the domain
    *_, last = await talk(framework(endpoint))
    assert {"type": "websocket.close", "code": code, "reason": title} == last


@FRAMEWORKS
@ERRORS
async def test_a_handshake_gets_the_problem_document(
    framework: Callable[[Endpoint], Any], error: Exception, status: int, code: int, title: str
) -> None:
    """If the server can send one, a client that isn't connected yet gets the answer that a request would get."""

    async def endpoint(_: WebSocket) -> None:
        raise error

    start, body = await talk(framework(endpoint), extensions=DENIALS)
    assert ("websocket.http.response.start", status) == (start["type"], start["status"])
    if status != 304:
        assert (b"content-type", PROBLEM_JSON.encode()) in start["headers"]
        assert title[:20] == json.loads(body["body"])["title"][:20]


@FRAMEWORKS
async def test_a_handshake_is_refused_without_a_document(framework: Callable[[Endpoint], Any]) -> None:
    """If the server can't send one, it is closed before it is open, which servers answer with 403."""

    async def endpoint(_: WebSocket) -> None:
        raise TaskNotFound

    for without in (None, dict[str, object]()):
        sent = await talk(framework(endpoint), extensions=without)
        assert [{"type": "websocket.close", "code": 1008, "reason": "Task Not Found"}] == sent


@FRAMEWORKS
async def test_one_that_is_over_is_left_alone(framework: Callable[[Endpoint], Any]) -> None:
    """Nothing is sent to a client that is gone, or that the route has closed."""

    async def gone(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()
        raise TaskNotFound

    async def closed(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(1000)
        raise TaskNotFound

    assert ["websocket.accept"] == [message["type"] for message in await talk(framework(gone), "disconnect")]
    assert 1000 == (await talk(framework(closed)))[-1]["code"]


async def test_parameters_are_refused_without_their_text() -> None:
    """A value object is a parameter of a WebSocket too; what is wrong is told by its rule, and not by its text."""
    app = FastAPI(exception_handlers=exception_handlers())

    @app.websocket("/it")
    async def endpoint(websocket: WebSocket, page: Page) -> None:
        await websocket.accept()
        await websocket.send_text(str(page.value))

    assert "7" == (await talk(app, query=b"page=7"))[-1]["text"]
    (_, body) = await talk(app, query=b"page=51", extensions=DENIALS)
    assert [{"path": "query.page", "expected": "Page: 'value' must be <= 50", "code": "value_object"}] == json.loads(
        body["body"]
    )["errors"]
    (close,) = await talk(app, query=b"page=hunter2")
    assert {"type": "websocket.close", "code": 1008, "reason": "Invalid Request"} == close
