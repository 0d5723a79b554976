"""Use cases: the operations of the application, as functions that return a Result and never raise."""

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from inspect import iscoroutine
from typing import Any, Generic, Never, ParamSpec, TypeAlias, TypeVar, overload

from returns.primitives.exceptions import UnwrapFailedError
from returns.result import Failure, Result, Success

from domainkit._model.services import Service
from domainkit._model.texts import shown
from domainkit.errors import ConflictError, CriticalError, UnknownError
from domainkit.handlers import is_async
from domainkit.messages import DomainEvent, Message
from domainkit.ports import AsyncNotifier, E_co, Notifier, NotifierExceptionMessage, NotifierMessage, P, T_co
from domainkit.results import AnyCoroutine, AnyResult, name_of

_LONGEST_CHAIN = 10
_DONE: Result[None, Never] = Success(None)


class Guard:
    """The outermost frame of a use case, which turns every outcome into a Result.

    A bug becomes an UnknownError, logged once. The log has the places of the traceback and the classes of the
    exceptions. Neither log nor error has the texts, the source lines or the arguments of the call, which may contain
    secrets. `DOMAINKIT_DEVELOPMENT=1` in the environment adds texts and source lines to the log.

    Args:
        executor: the name of the use case or function, for the log.
        owner: the use case. If its attribute `notifier` is a Notifier or an AsyncNotifier, it gets a message about
            each CriticalError and UnknownError.
    """

    __slots__ = ("_owner", "executor")

    def __init__(self, executor: str, owner: object = None) -> None:
        self.executor: str = executor
        self._owner = owner

    def returned(self, outcome: object) -> AnyResult:
        """Return a Failure that the function returned; for a value that isn't a Result, one with UnknownError."""
        if isinstance(outcome, Failure):
            return outcome
        if iscoroutine(outcome):
            outcome.close()  # a plain function returned it, which is a bug: it will not be awaited
        found = type(outcome).__qualname__
        return self.raised(TypeError(f"{self.executor}: expected a Result, got {found}; return Success or Failure"))

    def raised(self, error: Exception) -> AnyResult:
        """Return the Failure for an exception: that of an `unwrap`, a ConflictError, or else an UnknownError."""
        if isinstance(error, UnwrapFailedError) and isinstance(error.halted_container, Failure):
            return self.returned(error.halted_container)
        if isinstance(error, ConflictError):
            return self.returned(Failure(error))
        unknown = UnknownError.from_exception(error, self.executor)
        _log_error("%s failed:\n%s", self.executor, places_of(error))
        return Failure(unknown)

    def notified(self, failure: AnyResult) -> AnyResult:
        """Notify, and return the Failure: a notifier that fails must not change the outcome."""
        try:
            pending = self._notify(failure.failure())
            if pending is not None:
                pending.close()
                _log_error(
                    "%s: expected a Notifier, got an AsyncNotifier; only an AsyncUseCase awaits one", self.executor
                )
        except Exception as error:
            self._notifier_failed(error)
        return failure

    async def notified_async(self, failure: AnyResult) -> AnyResult:
        """Notify, and return the Failure, as `notified` does; an AsyncNotifier has ten seconds."""
        try:
            pending = self._notify(failure.failure())
            if pending is not None:
                await _await_within(pending, _NOTIFIER_TIMEOUT)
        except Exception as error:
            self._notifier_failed(error)
        return failure

    def _notifier_failed(self, error: Exception) -> None:
        _log_error("the notifier of %s failed:\n%s", self.executor, places_of(error))

    def _notify(self, error: object) -> AnyCoroutine[None] | None:
        """Notify of a CriticalError or UnknownError; return the coroutine of an AsyncNotifier, to await."""
        if not isinstance(error, CriticalError | UnknownError):
            return None
        notifier = getattr(self._owner, "notifier", None)
        if not isinstance(notifier, Notifier | AsyncNotifier):
            return None
        if isinstance(error, UnknownError):
            title = f"Error in {self.executor}"
            return notifier.publish_exception(NotifierExceptionMessage.from_unknown_error(error, title))
        title = f"{type(error).__name__} in {self.executor}"
        return notifier.publish(NotifierMessage(title, error.detail()))


_NOTIFIER_TIMEOUT = 10.0
"""Seconds that an AsyncNotifier may take."""


async def _await_within(pending: AnyCoroutine[None], seconds: float) -> None:
    """Await a coroutine with a timeout, in its own task: it may cancel itself, or suppress its cancellation."""
    import asyncio  # noqa: PLC0415  (as in _log_error)

    task = asyncio.ensure_future(pending)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # else asyncio would log its text
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()  # no effect on a finished task
    if not task.done():
        raise TimeoutError
    if task.cancelled():
        raise RuntimeError("the notifier cancelled itself")
    task.result()


def _run(
    guarded: object, function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> AnyResult:
    """Call the function; return a Success unchanged, and anything else as the Failure that the guard makes of it."""
    try:
        outcome = function(*args, **kwargs)
    except Exception as error:
        guard = _guard(guarded)
        return guard.notified(guard.raised(error))
    if type(outcome) is Success:
        return outcome
    guard = _guard(guarded)
    return guard.notified(guard.returned(outcome))


async def _run_async(
    guarded: object, function: Callable[..., Awaitable[object]], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> AnyResult:
    """Await the coroutine function, and return its Result as `_run` does."""
    try:
        outcome = await function(*args, **kwargs)
    except Exception as error:
        guard = _guard(guarded)
        return await guard.notified_async(guard.raised(error))
    if type(outcome) is Success:
        return outcome
    guard = _guard(guarded)
    return await guard.notified_async(guard.returned(outcome))


def _guard(guarded: object) -> Guard:
    """Return the guard of a use case, made only now that there is a failure to report; a guard unchanged."""
    return guarded if isinstance(guarded, Guard) else Guard(type(guarded).__qualname__, guarded)


def outcome_of(function: object, message: Message, answer: object) -> Result[object, object]:
    """Return the Result of a handler: None from a subscriber is a Success, None from a command handler is a bug."""
    if type(answer) is Success:
        return answer
    if answer is None and isinstance(message, DomainEvent):
        return _DONE
    return Guard(name_of(function)).returned(answer)


def _log_error(text: str, *arguments: str) -> None:
    import logging  # noqa: PLC0415  (only bugs need it: imports at start take time)

    logging.getLogger("domainkit.use_cases").error(text, *arguments)


def places_of(error: BaseException) -> str:
    """Return the traceback as Python formats it, without the texts of the exceptions and the source lines.

    In development it has both, and no frames of libraries: see `_in_development`.
    """
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(_places_of_one(seen))
        seen = seen.__cause__ if seen.__suppress_context__ else seen.__context__
    return "\n\nwhich led to:\n\n".join(reversed(chain))


def _places_of_one(error: BaseException) -> str:
    from textwrap import indent  # noqa: PLC0415  (as in _log_error)
    from traceback import walk_tb  # noqa: PLC0415  (as in _log_error)

    places = [
        (frame.f_code.co_filename, line, frame.f_code.co_qualname) for frame, line in walk_tb(error.__traceback__)
    ]
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    frames, text = (_own_frames(places), _text_of(error)) if _in_development() else (_frames(places, ""), name)
    parts = error.exceptions[:_LONGEST_CHAIN] if isinstance(error, BaseExceptionGroup) else ()
    inner = [indent(f"of {name}:\n{places_of(part)}", "  ") for part in parts]
    return "\n\n".join([f"Traceback (most recent call last):\n{frames}{text}", *inner])


_Place: TypeAlias = tuple[str, int, str]


def _frames(places: Iterable[_Place], source: str | None) -> str:
    """Return frames as Python formats them, each with `source` as its source line; None for the line of the file."""
    from traceback import StackSummary  # noqa: PLC0415  (as in _log_error)

    return "".join(StackSummary.from_list([(*place, source) for place in places]).format())


def _in_development() -> bool:
    """Check if logs may contain exception texts and source lines, which may have secrets."""
    return os.environ.get("DOMAINKIT_DEVELOPMENT") == "1"


def _own_frames(places: Iterable[_Place]) -> str:
    """Return the frames with their source lines; consecutive library frames become a count and the last place."""
    from itertools import groupby  # noqa: PLC0415  (as in _log_error)

    written: list[str] = []
    for of_library, group in groupby(places, key=lambda place: _is_of_library(place[0])):
        several = list(group)
        path, line, name = several[-1]
        folded = f'  {len(several)} in libraries, the last: File "{path}", line {line}, in {name}\n'
        written.append(folded if of_library else _frames(several, None))
    return "".join(written)


def _is_of_library(path: str) -> bool:
    """Check if a file belongs to the standard library, an installed package or this package, or is generated."""
    from sysconfig import get_path  # noqa: PLC0415  (as in _log_error)

    here = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120  (as the frames have it)
    return path.startswith(("<", get_path("stdlib"), here)) or "site-packages" in path or "dist-packages" in path


def _text_of(error: BaseException) -> str:
    """Return the class, text and notes of an exception, with continuation lines indented."""
    from traceback import TracebackException  # noqa: PLC0415  (as in _log_error)

    text = "".join(TracebackException(type(error), error, None).format_exception_only()).rstrip()
    return "\n  ".join(map(shown, text.split("\n")))


class UseCase(Service, ABC, Generic[P, T_co, E_co]):
    """An operation of the application. Define `execute`; call the use case itself.

    `UseCase[[Task], Task, DuplicateTask]` has the parameters, the value and the error. A call runs `execute` under a
    guard, so its type is `Result[Task, DuplicateTask | UnknownError]`.

    - If `execute` unwraps a Failure, at any depth, the use case returns that Failure: an early return. It also returns
      a Failure for a raised ConflictError, as repositories raise it when a transaction loses a race: it isn't a bug,
      and the caller may retry. Declare these errors; `atomic` around the use case declares ConflictError.
    - Any other exception is a bug, even a raised DomainError: it becomes an UnknownError, logged once. The log
      (`domainkit.use_cases`) and the error have the place, but neither the exception's text nor the arguments.
    - KeyboardInterrupt, SystemExit and asyncio.CancelledError pass through.
    - If the use case has an attribute `notifier` that is a Notifier, the guard sends it a message for each
      CriticalError and UnknownError that it returns. If use cases call one another, each guard notifies: give the
      notifier to the outermost use case only.

    The dependencies of a use case are its fields: write `@attrs.frozen` above the class. A class with neither that nor
    a constructor of its own raises TypeError at the first instance.

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

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> Result[T_co, E_co]:
        """Do the work, and return its Result."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[T_co, E_co | UnknownError]:
        """Run `execute` under the guard."""
        return _run(self, self.execute, args, kwargs)


class AsyncUseCase(Service, ABC, Generic[P, T_co, E_co]):
    """A UseCase whose `execute` is a coroutine function.

    Its `notifier` may also be an AsyncNotifier, which is awaited for at most ten seconds before the Result is returned.
    If it fails or times out, the Result stays the same, and an error is logged.

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

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> AnyCoroutine[Result[T_co, E_co]]:
        """Do the work, and return its Result: a coroutine function."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[T_co, E_co | UnknownError]:
        """Run `execute` under the guard."""
        return await _run_async(self, self.execute, args, kwargs)


FP = ParamSpec("FP")
FT = TypeVar("FT")
FE = TypeVar("FE")


@overload
def use_case(
    function: Callable[FP, AnyCoroutine[Result[FT, FE]]], /
) -> Callable[FP, AnyCoroutine[Result[FT, FE | UnknownError]]]: ...
@overload
def use_case(function: Callable[FP, Result[FT, FE]], /) -> Callable[FP, Result[FT, FE | UnknownError]]: ...
def use_case(function: Callable[..., Any], /) -> Callable[..., object]:  # Any: a Result, or a coroutine
    """Return the function with the guard of a use case around it; a coroutine function remains a coroutine function.

    >>> from domainkit import DomainError
    >>> from returns.result import Success
    >>> @use_case
    ... def half(number: int) -> Result[float, DomainError]:
    ...     return Success(number / 2)
    >>> half(3)
    <Success: 1.5>
    """
    guard = Guard(name_of(function))

    @wraps(function)
    def guarded(*args: object, **kwargs: object) -> object:
        return _run(guard, function, args, kwargs)

    @wraps(function)
    async def guarded_async(*args: object, **kwargs: object) -> object:
        return await _run_async(guard, function, args, kwargs)

    return guarded_async if is_async(function) else guarded
