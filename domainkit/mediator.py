"""Typed dispatch in process: a command goes to its one handler, and the answer's type is known."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from inspect import isawaitable, iscoroutine
from typing import Final, Generic, Never, Protocol

from returns.result import Failure, Result, Success
from typing_extensions import TypeVar

from domainkit._model.habits import refuse_habits
from domainkit.causation import HANDLED, Flowing, caused
from domainkit.errors import DomainError
from domainkit.handlers import AnyHandler, AsyncHandler, AsyncSubscriber, Handler, SyncHandler, is_async
from domainkit.messages import AnyCommand, Command
from domainkit.results import AnyResult, name_of

R = TypeVar("R")
E = TypeVar("E")
X = TypeVar("X")
X_co = TypeVar("X_co", covariant=True, default=Never)

BoundT = TypeVar("BoundT", bound=AnyHandler)


class CommandNotHandled(DomainError):
    """A command was sent that no handler is bound to."""


class _Around(Protocol):
    """The base of both middlewares: a class that has what petisco calls around a command is refused."""


def _look_at(cls: type[_Around], /, **kwargs: object) -> None:
    super(_Around, cls).__init_subclass__(**kwargs)
    refuse_habits(cls)


# set here, so that type checkers don't take it for a member of the protocol
type.__setattr__(_Around, "__init_subclass__", classmethod(_look_at))


class Middleware(_Around, Protocol):
    """A function around every command: it calls `proceed` once, and returns what that returns, or another Result.

    It sees a command and an answer whose types it can't know, and keeps them as they are.
    """

    @abstractmethod
    def __call__(self, command: Command[R, E], proceed: Callable[[Command[R, E]], Result[R, E]], /) -> Result[R, E]:
        """Return what `proceed(command)` returns."""
        ...


class AsyncMiddleware(_Around, Protocol):
    """A Middleware that awaits `proceed`."""

    @abstractmethod
    async def __call__(
        self, command: Command[R, E], proceed: Callable[[Command[R, E]], Awaitable[Result[R, E]]], /
    ) -> Result[R, E]:
        """Return what `await proceed(command)` returns."""
        ...


class Mediator(Flowing, Generic[X_co]):
    """Sends commands to their handlers. See Gamma et al., Design Patterns (1994), Mediator.

    >>> from attrs import frozen
    >>> from returns.result import Success
    >>> @frozen
    ... class Greet(Command[str, DomainError]):
    ...     name: str
    >>> def greet(command: Greet) -> Result[str, DomainError]:
    ...     return Success(f"Hello {command.name}")
    >>> Mediator(Greet.handled_by(greet)).send(Greet("Ada"))
    <Success: Hello Ada>

    `Mediator[NotAllowed]` is one that may refuse with NotAllowed before the handler is asked: see `checked_by`.

    Args:
        handlers: bound by `handled_by`, one for a class of commands.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a Handler; one of a coroutine
            function belongs into an AsyncMediator.
    """

    def __init__(self: "Mediator[Never]", *handlers: SyncHandler) -> None:
        self._by_type: Mapping[type, SyncHandler] = by_type(handlers, Handler)
        self.handlers: Final = handlers
        """The handlers, in the order in which they were given."""
        self._proceed: Callable[[AnyCommand], AnyResult] = self._handle

    def send(self, command: Command[R, E]) -> Result[R, E | CommandNotHandled | X_co]:
        """Return what the handler of the command's class returns; a Failure with CommandNotHandled if there is none.

        What the handler raises is raised here: put the guard (`use_case`) around the handler. While the handler runs,
        the messages that it publishes have the command as their cause; so has a command that it sends.
        """
        return self._proceed(caused(command, self._flowing))

    def within(self, middleware: Middleware) -> "Mediator[X_co]":
        """Return a mediator that runs `middleware` around all that this one does: the last one added is the outermost.

        >>> def log(command, proceed):
        ...     print("before")
        ...     answer = proceed(command)
        ...     print("after")
        ...     return answer
        >>> _ = Mediator().within(log).send(Command())
        before
        after
        """
        inner, made = self._proceed, copy(self)
        made._proceed = lambda command: middleware(command, inner)
        return made

    def checked_by(self, check: Callable[[AnyCommand], Result[None, X]]) -> "Mediator[X_co | X]":
        """Return a mediator that asks `check` before all that this one does; its Failure is the answer then.

        The command goes on after a Success, and after nothing else. The type of the answer says so:
        `Result[Task, DuplicateTask | CommandNotHandled | NotAllowed]`.

        >>> from domainkit import NotAllowed
        >>> Mediator().checked_by(lambda command: Failure(NotAllowed())).send(Command())
        <Failure: NotAllowed>

        Raises:
            TypeError: `check` is a coroutine function, which belongs into an AsyncMediator. Or, when a command is sent:
                it returned no Result.
        """
        if is_async(check):
            raise TypeError(f"Mediator.checked_by: {name_of(check)} is a coroutine function; use an AsyncMediator")

        def checking(command: Command[R, E], proceed: Callable[[Command[R, E]], AnyResult]) -> AnyResult:
            checked = check(command)
            return proceed(command) if _lets_through(check, checked) else checked

        return self.within(checking)

    def _handle(self, command: AnyCommand) -> AnyResult:
        handler = self._by_type.get(type(command))
        if handler is None:
            return not_handled(command)
        token = HANDLED.set(command)
        try:
            return handler.function(command)
        finally:
            HANDLED.reset(token)


class AsyncMediator(Flowing, Generic[X_co]):
    """A Mediator whose handlers and checks may be coroutine functions, or plain ones.

    >>> import asyncio
    >>> from returns.result import Success
    >>> class Greet(Command[str, DomainError]): ...
    >>> async def greet(command: Greet) -> Result[str, DomainError]:
    ...     return Success("Hello")
    >>> asyncio.run(AsyncMediator(Greet.handled_by(greet)).send(Greet()))
    <Success: Hello>

    Args:
        handlers: bound by `handled_by`, one for a class of commands.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a handler.
    """

    def __init__(self: "AsyncMediator[Never]", *handlers: AnyHandler) -> None:
        self._by_type: Mapping[type, AnyHandler] = by_type(handlers, Handler, AsyncHandler)
        self.handlers: Final = handlers
        """The handlers, in the order in which they were given."""
        self._proceed: Callable[[AnyCommand], Awaitable[AnyResult]] = self._handle

    async def send(self, command: Command[R, E]) -> Result[R, E | CommandNotHandled | X_co]:
        """Return what the handler of the command's class returns; see `Mediator.send`."""
        return await self._proceed(caused(command, self._flowing))

    def within(self, middleware: AsyncMiddleware) -> "AsyncMediator[X_co]":
        """Return a mediator that runs `middleware` around all that this one does: the last one is the outermost."""
        inner, made = self._proceed, copy(self)
        made._proceed = lambda command: middleware(command, inner)
        return made

    def checked_by(
        self, check: Callable[[AnyCommand], Result[None, X] | Awaitable[Result[None, X]]]
    ) -> "AsyncMediator[X_co | X]":
        """Return a mediator that asks `check` before all that this one does; its Failure is the answer then.

        The command goes on after a Success, and after nothing else.

        Raises:
            TypeError: when a command is sent: `check` returned no Result, and what it returned gave none.
        """

        async def checking(
            command: Command[R, E], proceed: Callable[[Command[R, E]], Awaitable[AnyResult]]
        ) -> AnyResult:
            asked = check(command)
            checked = await asked if isawaitable(asked) else asked
            return await proceed(command) if _lets_through(check, checked) else checked

        return self.within(checking)

    async def _handle(self, command: AnyCommand) -> AnyResult:
        handler = self._by_type.get(type(command))
        if handler is None:
            return not_handled(command)
        token = HANDLED.set(command)
        try:
            answer = handler.function(command)
            return await answer if isawaitable(answer) else answer
        finally:
            HANDLED.reset(token)


def _lets_through(check: object, answer: object) -> bool:
    """Tell whether a check answered with a Success, or with a Failure; anything else is a bug, and lets nothing by."""
    if isinstance(answer, Success | Failure):
        return isinstance(answer, Success)
    if iscoroutine(answer):
        answer.close()  # nobody awaits it
    raise TypeError(
        f"the check {name_of(check)}: expected a Success or a Failure, got a {type(answer).__qualname__}; "
        "return Success(None) to let the command through"
    )


def not_handled(command: AnyCommand) -> Result[Never, CommandNotHandled]:
    """Return the Failure for a command without a handler."""
    return Failure(CommandNotHandled(additional_info={"message": f"no handler for {type(command).__qualname__}"}))


def by_type(handlers: tuple[BoundT, ...], *kinds: type) -> dict[type, BoundT]:
    """Return the handlers by the class of their messages.

    Raises TypeError where a class has two, or a handler is of none of the `kinds`.
    """
    found: dict[type, BoundT] = {}
    for handler in handlers:
        require_bound(handler, kinds, "handler")
        if handler.message_type in found:
            first, second = name_of(found[handler.message_type].function), name_of(handler.function)
            raise TypeError(f"two handlers for {handler.message_type.__qualname__}: {first} and {second}; keep one")
        found[handler.message_type] = handler
    return found


def require_bound(given: object, kinds: tuple[type, ...], what: str) -> None:
    """Raise TypeError unless `given` was made by `handled_by`, and is of one of the `kinds`."""
    if isinstance(given, kinds):
        return
    found = f"a {type(given).__qualname__}"
    if isinstance(given, AsyncHandler | AsyncSubscriber):
        found = f"the coroutine function {name_of(given.function)}: the async twin of this class awaits it"
    raise TypeError(f"expected a {what} made by handled_by, not {found}")
