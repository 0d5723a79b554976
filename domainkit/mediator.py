"""Typed dispatch in process: a command goes to its one handler, and the type of the result is known."""

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
    """The command that was sent has no handler."""


class _MiddlewareBase(Protocol):
    """Base of both middlewares: it refuses classes with petisco's hooks around a command."""


def _check_subclass(cls: type[_MiddlewareBase], /, **kwargs: object) -> None:
    super(_MiddlewareBase, cls).__init_subclass__(**kwargs)
    refuse_habits(cls)


# set here, so that type checkers don't take it for a member of the protocol
type.__setattr__(_MiddlewareBase, "__init_subclass__", classmethod(_check_subclass))


class Middleware(_MiddlewareBase, Protocol):
    """Function around every command: it calls `proceed` once, and returns its result, or another Result.

    It works for commands and results of any types, and must keep these types.
    """

    @abstractmethod
    def __call__(self, command: Command[R, E], proceed: Callable[[Command[R, E]], Result[R, E]], /) -> Result[R, E]:
        """Return the result of `proceed(command)`."""
        ...


class AsyncMiddleware(_MiddlewareBase, Protocol):
    """Middleware that awaits `proceed`."""

    @abstractmethod
    async def __call__(
        self, command: Command[R, E], proceed: Callable[[Command[R, E]], Awaitable[Result[R, E]]], /
    ) -> Result[R, E]:
        """Return the result of `await proceed(command)`."""
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

    `Mediator[NotAllowed]` may also return NotAllowed, before the handler is called: see `checked_by`.

    Args:
        handlers: bound by `handled_by`, one for a class of commands.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is not a Handler; use an AsyncMediator for a
            coroutine function.
    """

    def __init__(self: "Mediator[Never]", *handlers: SyncHandler) -> None:
        self._by_type: Mapping[type, SyncHandler] = by_type(handlers, Handler)
        self.handlers: Final = handlers
        """The handlers, in the order in which they were given."""
        self._proceed: Callable[[AnyCommand], AnyResult] = self._handle

    def send(self, command: Command[R, E]) -> Result[R, E | CommandNotHandled | X_co]:
        """Call the handler of the command's class, and return its result; a Failure with CommandNotHandled without one.

        Exceptions of the handler are not caught: wrap the handler in the guard (`use_case`). Messages that the handler
        publishes, and commands that it sends, have the command as their cause.
        """
        return self._proceed(caused(command, self._flowing))

    def within(self, middleware: Middleware) -> "Mediator[X_co]":
        """Return a mediator that runs `middleware` around this one: the last one added is the outermost.

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
        """Return a mediator that first calls `check`, and returns its Failure instead of handling the command.

        The command is only handled after a Success. The type of the result includes the check's errors:
        `Result[Task, DuplicateTask | CommandNotHandled | NotAllowed]`.

        >>> from domainkit import NotAllowed
        >>> Mediator().checked_by(lambda command: Failure(NotAllowed())).send(Command())
        <Failure: NotAllowed>

        Raises:
            TypeError: `check` is a coroutine function: use an AsyncMediator. Or, when a command is sent: `check`
                didn't return a Result.
        """
        if is_async(check):
            raise TypeError(
                f"Mediator.checked_by: expected a plain function, got the coroutine function {name_of(check)}; "
                "use an AsyncMediator"
            )

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
    """Mediator whose handlers and checks may be coroutine functions or plain ones.

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
        """Call the handler of the command's class, and return its result; see `Mediator.send`."""
        return await self._proceed(caused(command, self._flowing))

    def within(self, middleware: AsyncMiddleware) -> "AsyncMediator[X_co]":
        """Return a mediator that runs `middleware` around this one: the last one added is the outermost."""
        inner, made = self._proceed, copy(self)
        made._proceed = lambda command: middleware(command, inner)
        return made

    def checked_by(
        self, check: Callable[[AnyCommand], Result[None, X] | Awaitable[Result[None, X]]]
    ) -> "AsyncMediator[X_co | X]":
        """Return a mediator that first calls `check`, and returns its Failure instead of handling the command.

        The command is only handled after a Success.

        Raises:
            TypeError: when a command is sent: `check` returned neither a Result nor an awaitable of one.
        """

        async def checking(
            command: Command[R, E], proceed: Callable[[Command[R, E]], Awaitable[AnyResult]]
        ) -> AnyResult:
            answer = check(command)
            checked = await answer if isawaitable(answer) else answer
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
    """Return True for a Success and False for a Failure; TypeError for anything else, which is a bug of the check."""
    if isinstance(answer, Success | Failure):
        return isinstance(answer, Success)
    if iscoroutine(answer):
        answer.close()  # it is never awaited
    raise TypeError(
        f"the check {name_of(check)}: expected a Success or a Failure, got a {type(answer).__qualname__}; "
        "return Success(None) to let the command through"
    )


def not_handled(command: AnyCommand) -> Result[Never, CommandNotHandled]:
    """Return the Failure for a command without a handler."""
    return Failure(CommandNotHandled(additional_info={"message": f"no handler for {type(command).__qualname__}"}))


def by_type(handlers: tuple[BoundT, ...], *kinds: type) -> dict[type, BoundT]:
    """Return the handlers by the class of their messages.

    Raises TypeError if a class has two, or a handler isn't of one of the `kinds`.
    """
    found: dict[type, BoundT] = {}
    for handler in handlers:
        require_bound(handler, kinds, "handler")
        if handler.message_type in found:
            first, second = name_of(found[handler.message_type].function), name_of(handler.function)
            wanted = f"{handler.message_type.__qualname__}: expected one handler"
            raise TypeError(f"{wanted}, got {first} and {second}; keep one")
        found[handler.message_type] = handler
    return found


def require_bound(given: object, kinds: tuple[type, ...], what: str) -> None:
    """Raise TypeError unless `given` was made by `handled_by`, and is of one of the `kinds`."""
    if isinstance(given, kinds):
        return
    found = f"a {type(given).__qualname__}"
    if isinstance(given, AsyncHandler | AsyncSubscriber):
        found = f"the coroutine function {name_of(given.function)}; use the async version of this class"
    raise TypeError(f"expected a {what} made by handled_by, got {found}")
