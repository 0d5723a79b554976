"""One unit of work for a request."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REFUSED = 400
"""From this status on an answer says that the request was refused, or failed."""


class _AnswerError(Exception):
    """Says that an answer is a refusal, so that the unit of work rolls back; or ends one that came to be untrue."""


class UnitOfWorkMiddleware:
    """Middleware of Starlette and FastAPI: all that an HTTP request stores is one transaction, whoever runs the route.

    It is committed before the answer begins: a client who reads a success can rely on it, and what runs after that (a
    background task, the rest of a stream) sees what was stored, and is no part of it. It is rolled back where the
    answer has a status of 400 or more, or an exception comes instead. Where the commit fails, its exception is
    raised in place of the answer.

    >>> from domainkit.adapters.sqlalchemy import UnitOfWork, make_engine
    >>> from starlette.applications import Starlette
    >>> app = Starlette()
    >>> app.add_middleware(UnitOfWorkMiddleware, begin=UnitOfWork(make_engine("sqlite://")).begin_shared)

    Args:
        app: the application inside.
        begin: begins a unit of work, such as `begin_shared` of a UnitOfWork or AsyncUnitOfWork. It may end in another
            task than it began in.
    """

    def __init__(self, app: ASGIApp, begin: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        self._app = app
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; anything else, such as a WebSocket, is passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        failed: list[Exception] = []
        async with AsyncExitStack() as unit:
            await unit.enter_async_context(self._begin())

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    try:
                        await _end(unit, message["status"])
                    except Exception as error:
                        failed.append(error)
                        raise _AnswerError from error  # an error that no handler inside would answer
                await send(message)

            try:
                await self._app(scope, receive, answer)
            except _AnswerError:
                raise failed[0] from None


async def _end(unit: AsyncExitStack, status: int) -> None:
    error = _AnswerError(f"status {status}") if status >= _REFUSED else None
    await unit.__aexit__(type(error) if error is not None else None, error, None)
