"""One unit of work for each request."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REFUSED = 400
"""The lowest status of a response that reports a failure."""


class _AnswerError(Exception):
    """Rolls the unit of work back for a failure response; or aborts a success response whose commit failed."""


class UnitOfWorkMiddleware:
    """Middleware of Starlette and FastAPI: one transaction for each HTTP request, whichever thread runs the route.

    It commits before the response starts: a client that gets a success can rely on it. Code that runs later (a
    background task, the rest of a stream) sees the stored data, and is not part of the transaction. It rolls back if
    the response has a status of 400 or more, or an exception is raised. If the commit fails, its exception is raised
    instead of the response.

    >>> from domainkit.adapters.sqlalchemy import UnitOfWork, make_engine
    >>> from starlette.applications import Starlette
    >>> app = Starlette()
    >>> app.add_middleware(UnitOfWorkMiddleware, begin=UnitOfWork(make_engine("sqlite://")).begin_shared)

    Args:
        app: the wrapped application.
        begin: begins a unit of work that may end in another task, such as `begin_shared` of a UnitOfWork or
            AsyncUnitOfWork.
    """

    def __init__(self, app: ASGIApp, begin: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        self._app = app
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request; pass anything else on, such as a WebSocket."""
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
