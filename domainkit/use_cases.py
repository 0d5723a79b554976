"""Use cases: what the application does, as functions that return a Result and never raise."""

import inspect
import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

from returns.primitives.exceptions import UnwrapFailedError
from returns.result import Failure, Result

from domainkit.errors import CriticalError, UnknownError
from domainkit.ports import E, Notifier, NotifierExceptionMessage, NotifierMessage, P, T

logger = logging.getLogger("domainkit.use_cases")


class Guard:
    """The outermost frame of a use case: what comes out of it is a Result.

    A bug becomes an UnknownError, logged once. The log has the traceback and the classes of the exceptions; their texts,
    and the parameters of the call, are in neither the log nor the error: they may hold secrets.

    Args:
        executor: the name of what runs, for the log.
        notifier: told of a CriticalError or UnknownError that comes out, where there is one.
    """

    __slots__ = ("executor", "notifier")

    def __init__(self, executor: str, notifier: Notifier | None) -> None:
        self.executor, self.notifier = executor, notifier

    def result_of(self, outcome: object) -> Result[Any, Any]:
        """Return the Result that the function returned; anything else is a bug."""
        if not isinstance(outcome, Result):
            kind = type(outcome).__qualname__
            return self.failure_of(TypeError(f"{self.executor} must return a Result, not a {kind}"))
        if isinstance(outcome, Failure):
            self._notify(outcome.failure())
        return outcome

    def failure_of(self, error: Exception) -> Result[Any, Any]:
        """Return the Failure for what was raised: the one that `unwrap` met, or an UnknownError."""
        if isinstance(error, UnwrapFailedError) and isinstance(error.halted_container, Failure):
            return self.result_of(error.halted_container)
        unknown = UnknownError.from_exception(error, self.executor)
        logger.error("%s failed:\n%s", self.executor, _frames(error))
        self._notify(unknown)
        return Failure(unknown)

    def _notify(self, error: object) -> None:
        if self.notifier is None or not isinstance(error, CriticalError | UnknownError):
            return
        try:
            if isinstance(error, UnknownError):
                title = f"Error in {self.executor}"
                self.notifier.publish_exception(NotifierExceptionMessage.from_unknown_error(error, title))
            else:
                self.notifier.publish(NotifierMessage(f"{type(error).__name__} in {self.executor}"))
        except Exception as failure:  # a notifier that is down must not change the outcome
            logger.error("the notifier of %s failed:\n%s", self.executor, _frames(failure))


def _frames(error: BaseException) -> str:
    """Return the traceback as Python writes it, without the texts of the exceptions."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < 10:
        lines = "".join(traceback.format_tb(seen.__traceback__))
        parts.insert(0, f"Traceback (most recent call last):\n{lines}{type(seen).__module__}.{type(seen).__qualname__}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n\nwhich led to:\n\n".join(parts)


class UseCase(ABC, Generic[P, T, E]):
    """Something that the application does. Write `execute`; call the use case itself.

    `UseCase[[Task], Task, DuplicateTask]` gives the parameters, the value and the error. Calling it runs `execute` under a
    guard, and the type says so: `Result[Task, DuplicateTask | UnknownError]`.

    - A Failure that `execute` unwraps is returned: an early return.
    - An exception is a bug: it becomes an UnknownError, logged once.
    - KeyboardInterrupt, SystemExit and asyncio.CancelledError pass through.

    >>> from domainkit import DomainError
    >>> from returns.result import Success
    >>> class Empty(DomainError): ...
    >>> class Greet(UseCase[[str], str, Empty]):
    ...     def execute(self, name: str) -> Result[str, Empty]:
    ...         return Success(f"Hello {name}") if name else Failure(Empty())
    >>> Greet()("Ada"), Greet()("")
    (<Success: Hello Ada>, <Failure: Empty>)
    """

    __slots__ = ()

    @property
    def notifier(self) -> Notifier | None:
        """Whom the guard tells of a CriticalError or UnknownError; nobody, unless a subclass has one."""
        return None

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> Result[T, E]:
        """Do it, and return what came of it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[T, E | UnknownError]:
        """Run `execute` under the guard."""
        try:
            outcome = self.execute(*args, **kwargs)
        except Exception as error:
            return _guard(self).failure_of(error)
        return _guard(self).result_of(outcome)


class AsyncUseCase(ABC, Generic[P, T, E]):
    """A UseCase whose `execute` is a coroutine function.

    >>> import asyncio
    >>> from domainkit import DomainError
    >>> from returns.result import Success
    >>> class Greet(AsyncUseCase[[str], str, DomainError]):
    ...     async def execute(self, name: str) -> Result[str, DomainError]:
    ...         return Success(f"Hello {name}")
    >>> asyncio.run(Greet()("Ada"))
    <Success: Hello Ada>
    """

    __slots__ = ()

    @property
    def notifier(self) -> Notifier | None:
        """Whom the guard tells of a CriticalError or UnknownError; nobody, unless a subclass has one."""
        return None

    @abstractmethod
    async def execute(self, *args: P.args, **kwargs: P.kwargs) -> Result[T, E]:
        """Do it, and return what came of it."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[T, E | UnknownError]:
        """Run `execute` under the guard."""
        try:
            outcome = await self.execute(*args, **kwargs)
        except Exception as error:
            return _guard(self).failure_of(error)
        return _guard(self).result_of(outcome)


def _guard(use_case: UseCase[..., Any, Any] | AsyncUseCase[..., Any, Any]) -> Guard:
    return Guard(type(use_case).__qualname__, use_case.notifier)


FP = ParamSpec("FP")
FT = TypeVar("FT")
FE = TypeVar("FE")


@overload
def use_case(
    function: Callable[FP, Coroutine[Any, Any, Result[FT, FE]]], /
) -> Callable[FP, Coroutine[Any, Any, Result[FT, FE | UnknownError]]]: ...
@overload
def use_case(function: Callable[FP, Result[FT, FE]], /) -> Callable[FP, Result[FT, FE | UnknownError]]: ...
def use_case(function: Callable[..., Any], /) -> Callable[..., Any]:
    """Return the function under the guard of a use case; a coroutine function stays one.

    >>> from domainkit import DomainError
    >>> from returns.result import Success
    >>> @use_case
    ... def half(number: int) -> Result[float, DomainError]:
    ...     return Success(number / 2)
    >>> half(3)
    <Success: 1.5>
    """
    guard = Guard(function.__qualname__, None)
    if inspect.iscoroutinefunction(function):
        return _guard_async(function, guard)

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Result[Any, Any]:
        try:
            outcome = function(*args, **kwargs)
        except Exception as error:
            return guard.failure_of(error)
        return guard.result_of(outcome)

    return guarded


def _guard_async(function: Callable[..., Awaitable[object]], guard: Guard) -> Callable[..., Any]:
    @wraps(function)
    async def guarded(*args: Any, **kwargs: Any) -> Result[Any, Any]:
        try:
            outcome = await function(*args, **kwargs)
        except Exception as error:
            return guard.failure_of(error)
        return guard.result_of(outcome)

    return guarded
