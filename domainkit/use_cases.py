"""Use cases: what the application does, as functions that return a Result and never raise."""

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
    """The outermost frame of a use case: what comes out of it is a Result.

    A bug becomes an UnknownError, logged once. The log has the places of the traceback and the classes of the
    exceptions; their texts, the lines of the source and the parameters of the call are in neither the log nor the
    error: they may hold secrets. `DOMAINKIT_DEVELOPMENT=1` in the environment adds texts and lines to the log.

    Args:
        executor: the name of what runs, for the log.
        owner: what runs. Its attribute `notifier`, if that is a Notifier or an AsyncNotifier, is told of a
            CriticalError and an UnknownError.
    """

    __slots__ = ("_owner", "executor")

    def __init__(self, executor: str, owner: object = None) -> None:
        self.executor: str = executor
        self._owner = owner

    def returned(self, outcome: object) -> AnyResult:
        """Return the Failure that the function returned; for what is neither that nor a Success, an UnknownError."""
        if isinstance(outcome, Failure):
            return outcome
        if iscoroutine(outcome):
            outcome.close()  # of a plain function: nobody awaits it here, and that is a bug
        return self.raised(TypeError(f"{self.executor} must return a Result, not a {type(outcome).__qualname__}"))

    def raised(self, error: Exception) -> AnyResult:
        """Return the Failure for what was raised: that of an `unwrap`, a ConflictError, or else an UnknownError."""
        if isinstance(error, UnwrapFailedError) and isinstance(error.halted_container, Failure):
            return self.returned(error.halted_container)
        if isinstance(error, ConflictError):
            return self.returned(Failure(error))
        unknown = UnknownError.from_exception(error, self.executor)
        _log_error("%s failed:\n%s", self.executor, places_of(error))
        return Failure(unknown)

    def told(self, failure: AnyResult) -> AnyResult:
        """Return the Failure, after the notifier was told of it: one that is down must not change the outcome."""
        try:
            telling = self._tell(failure.failure())
            if telling is not None:
                telling.close()
                _log_error(
                    "the notifier of %s was not told: only an AsyncUseCase awaits an AsyncNotifier", self.executor
                )
        except Exception as error:
            self._notifier_failed(error)
        return failure

    async def told_async(self, failure: AnyResult) -> AnyResult:
        """Return the Failure, as `told` does; a notifier that is to be awaited has ten seconds."""
        try:
            telling = self._tell(failure.failure())
            if telling is not None:
                await _ended_within(telling, _LONGEST_TELLING)
        except Exception as error:
            self._notifier_failed(error)
        return failure

    def _notifier_failed(self, error: Exception) -> None:
        _log_error("the notifier of %s failed:\n%s", self.executor, places_of(error))

    def _tell(self, error: object) -> AnyCoroutine[None] | None:
        """Tell the notifier of an error that is for a person; return what is left to await."""
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


_LONGEST_TELLING = 10.0
"""Seconds that an AsyncNotifier may take."""


async def _ended_within(telling: AnyCoroutine[None], seconds: float) -> None:
    """Await a coroutine in a task of its own, at most so long: it may cancel itself, and refuse to be cancelled."""
    import asyncio  # noqa: PLC0415  (as in _log_error)

    task = asyncio.ensure_future(telling)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # or asyncio would log its text
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()  # does nothing to a task that is done
    if not task.done():
        raise TimeoutError
    if task.cancelled():
        raise RuntimeError("the notifier was cancelled by itself")
    task.result()


def _run(
    guarded: object, function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> AnyResult:
    """Return what the function returns: a Success as it is, anything else as the guard of `guarded` makes it."""
    try:
        outcome = function(*args, **kwargs)
    except Exception as error:
        guard = _guard(guarded)
        return guard.told(guard.raised(error))
    if type(outcome) is Success:
        return outcome
    guard = _guard(guarded)
    return guard.told(guard.returned(outcome))


async def _run_async(
    guarded: object, function: Callable[..., Awaitable[object]], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> AnyResult:
    """Return what the coroutine function returns, as `_run` does."""
    try:
        outcome = await function(*args, **kwargs)
    except Exception as error:
        guard = _guard(guarded)
        return await guard.told_async(guard.raised(error))
    if type(outcome) is Success:
        return outcome
    guard = _guard(guarded)
    return await guard.told_async(guard.returned(outcome))


def _guard(guarded: object) -> Guard:
    """Return a guard as it is; for a use case one that is made when there is something to report."""
    return guarded if isinstance(guarded, Guard) else Guard(type(guarded).__qualname__, guarded)


def outcome_of(function: object, message: Message, answer: object) -> Result[object, object]:
    """Return what a handler's answer means: None of a subscriber is a Success, None of a command's handler is a bug."""
    if type(answer) is Success:
        return answer
    if answer is None and isinstance(message, DomainEvent):
        return _DONE
    return Guard(name_of(function)).returned(answer)


def _log_error(text: str, *arguments: str) -> None:
    import logging  # noqa: PLC0415  (what only bugs need isn't worth a part of every start)

    logging.getLogger("domainkit.use_cases").error(text, *arguments)


def places_of(error: BaseException) -> str:
    """Return the traceback as Python writes it, without the texts of the exceptions and the lines of the source.

    With them while one develops, and then without the frames of libraries: see `_in_development`.
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
    frames, said = (_own_frames(places), _text_of(error)) if _in_development() else (_frames(places, ""), name)
    parts = error.exceptions[:_LONGEST_CHAIN] if isinstance(error, BaseExceptionGroup) else ()
    inner = [indent(f"of {name}:\n{places_of(part)}", "  ") for part in parts]
    return "\n\n".join([f"Traceback (most recent call last):\n{frames}{said}", *inner])


_Place: TypeAlias = tuple[str, int, str]


def _frames(places: Iterable[_Place], source: str | None) -> str:
    """Return frames as Python writes them, with a line of the source: the line of the file if it is None."""
    from traceback import StackSummary  # noqa: PLC0415  (as in _log_error)

    return "".join(StackSummary.from_list([(*place, source) for place in places]).format())


def _in_development() -> bool:
    """Tell whether logs may have texts of exceptions and lines of the source: they may hold secrets."""
    return os.environ.get("DOMAINKIT_DEVELOPMENT") == "1"


def _own_frames(places: Iterable[_Place]) -> str:
    """Return the frames with their source, of libraries in a row just how many they are, and the last one's place."""
    from itertools import groupby  # noqa: PLC0415  (as in _log_error)

    written: list[str] = []
    for of_library, group in groupby(places, key=lambda place: _is_of_library(place[0])):
        several = list(group)
        path, line, name = several[-1]
        folded = f'  {len(several)} in libraries, the last: File "{path}", line {line}, in {name}\n'
        written.append(folded if of_library else _frames(several, None))
    return "".join(written)


def _is_of_library(path: str) -> bool:
    """Tell whether a file is of the standard library, of what was installed, of this package, or generated."""
    from sysconfig import get_path  # noqa: PLC0415  (as in _log_error)

    here = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120  (as the frames have it)
    return path.startswith(("<", get_path("stdlib"), here)) or "site-packages" in path or "dist-packages" in path


def _text_of(error: BaseException) -> str:
    """Return the class and the text of an exception, with its notes; further lines are indented."""
    from traceback import TracebackException  # noqa: PLC0415  (as in _log_error)

    said = "".join(TracebackException(type(error), error, None).format_exception_only()).rstrip()
    return "\n  ".join(map(shown, said.split("\n")))


class UseCase(Service, ABC, Generic[P, T_co, E_co]):
    """Something that the application does. Write `execute`; call the use case itself.

    `UseCase[[Task], Task, DuplicateTask]` gives the parameters, the value and the error. Calling it runs `execute`
    under a guard, and the type says so: `Result[Task, DuplicateTask | UnknownError]`.

    - A Failure that `execute` unwraps, at any depth, is returned: an early return. So is a ConflictError that is
      raised, as repositories raise it if a transaction lost a race: it is no bug, and the caller may try again. Declare
      it as you do for what you unwrap, unless `atomic` around the use case does.
    - Any other exception is a bug, a DomainError that is raised too: it becomes an UnknownError, logged once. The log
      (of `domainkit.use_cases`) and the error say where it happened; neither says what the exception does, nor the
      parameters.
    - KeyboardInterrupt, SystemExit and asyncio.CancelledError pass through.
    - An attribute `notifier` that is a Notifier is told of a CriticalError or an UnknownError that comes out. Each
      guard on the way out tells its own: where use cases call one another, give the notifier to the outermost one.

    What a use case needs stands in its fields: write `@attrs.frozen` above the class. Without that, and without a
    constructor of its own, it is refused at the first instance, by a TypeError.

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
        """Do it, and return what came of it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[T_co, E_co | UnknownError]:
        """Run `execute` under the guard."""
        return _run(self, self.execute, args, kwargs)


class AsyncUseCase(Service, ABC, Generic[P, T_co, E_co]):
    """A UseCase whose `execute` is a coroutine function.

    Its `notifier` may be an AsyncNotifier too, which is awaited for ten seconds at most: what it says comes before the
    Result, and one that fails or hangs changes nothing but the log.

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
        """Do it, and return what came of it: a coroutine function."""

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
    """Return the function under the guard of a use case; a coroutine function stays one.

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
