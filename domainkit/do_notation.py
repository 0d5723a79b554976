"""Early return: a function that unwraps Results, and returns the first Failure.

This is the do notation of functional languages as a decorator: see Wadler, Monads for functional programming (1995).
The type checker doesn't collect the errors; it compares each one with those that the function declares.
"""

import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from inspect import Signature, isawaitable, iscoroutine, signature, unwrap
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from returns.result import Failure, Result, Success

from domainkit.handlers import is_async
from domainkit.results import AnyResult, FunctionT, name_of

T = TypeVar("T")
E = TypeVar("E")
P = ParamSpec("P")
OwnerT = TypeVar("OwnerT")
E_contra = TypeVar("E_contra", contravariant=True)


class Do(Protocol[E_contra]):
    """Unwraps a Success, and ends the function at a Failure: the first parameter of an `@early_return` function.

    `Do[MemberNotFound | BookNotFound]` declares the errors of the function: type checkers report a Result with another
    error.
    """

    def __call__(self, result: Result[T, E_contra], /) -> T:
        """Return the value of a Success; for a Failure, end the function, which then returns it.

        Raises:
            TypeError: `result` is not a Result.
            RuntimeError: the function has ended, or `do` is used outside of it: each call has its own `do`, for the
                task and thread of that call.
        """
        raise NotImplementedError


class _Ended(BaseException):
    """Ends the function of a `do`. It is a BaseException: `except Exception` in the function doesn't catch it."""

    def __init__(self, do: "_Do[Any]", failure: AnyResult) -> None:
        super().__init__()
        self.do: _Do[Any] = do
        self.failure: AnyResult = failure


class _Do(Generic[E]):
    """The `do` of one call, which runs inside a `with` block. If a Failure ends it, `failure` has it."""

    failure: AnyResult

    def __init__(self, function: object) -> None:
        self._name, self._owner, self._over = name_of(function), _here(), False

    def __enter__(self) -> Self:
        self._token = _RUNNING.set(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self._over = True
        _RUNNING.reset(self._token)
        if isinstance(error, BaseExceptionGroup):  # a TaskGroup wraps the exception of its block
            own, rest = error.split(lambda one: isinstance(one, _Ended) and one.do is self)
            while rest is None and isinstance(own, BaseExceptionGroup):
                own = own.exceptions[0]
            error = own if rest is None else error
        if not (isinstance(error, _Ended) and error.do is self):
            return False
        self.failure = error.failure
        return True

    def __call__(self, result: Result[T, E], /) -> T:
        if self._over:
            raise RuntimeError(f"do of {self._name}: expected a running call, got one that has ended; use its own `do`")
        if _RUNNING.get() is not self or self._owner != _here():
            raise RuntimeError(
                f"do of {self._name}: expected a use in its own call, got one in another function, task or thread; "
                "return the Result from there, and unwrap it here"
            )
        if isinstance(result, Failure):
            raise _Ended(self, result)
        if type(result) is not Success:
            remedy = "await it first" if isawaitable(result) else "use a function that returns a Result"
            raise TypeError(f"do of {self._name}: expected a Result, got {type(result).__qualname__}; {remedy}")
        value: T = result.unwrap()
        return value


_RUNNING: ContextVar[_Do[Any] | None] = ContextVar("domainkit.do", default=None)
"""The `do` of the innermost running call in this context; new tasks and threads may get a copy of the context."""


def _here() -> tuple[int, object]:
    """Return the current thread, and its running asyncio task."""
    asyncio = sys.modules.get("asyncio")  # not imported here: that takes longer than all of this library
    try:
        return threading.get_ident(), None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return threading.get_ident(), None


@overload
def early_return(  # type: ignore[overload-overlap]  # a coroutine is an object too; the first overload that fits wins
    function: Callable[Concatenate[Do[E], P], Coroutine[Any, Any, T]], /
) -> Callable[P, Coroutine[Any, Any, Result[T, E]]]: ...
@overload
def early_return(  # type: ignore[overload-overlap]  # an owner may be callable like a `do`; as above
    function: Callable[Concatenate[Do[E], P], T], /
) -> Callable[P, Result[T, E]]: ...
@overload
def early_return(  # type: ignore[overload-overlap]  # as in the first
    function: Callable[Concatenate[OwnerT, Do[E], P], Coroutine[Any, Any, T]], /
) -> Callable[Concatenate[OwnerT, P], Coroutine[Any, Any, Result[T, E]]]: ...
@overload
def early_return(
    function: Callable[Concatenate[OwnerT, Do[E], P], T], /
) -> Callable[Concatenate[OwnerT, P], Result[T, E]]: ...
def early_return(function: Callable[..., Any], /) -> Callable[..., Any]:  # Any: the overloads have the types
    """Return a function without the parameter `do`, which returns a Success with the value, or the first Failure.

    The parameter `do` comes first, or after `self` in a method. A coroutine function remains a coroutine function.

    >>> from domainkit import DomainError, NotFound
    >>> class MemberNotFound(NotFound): ...
    >>> class TooManyLoans(DomainError): ...
    >>> def find(member_id: int) -> Result[str, MemberNotFound]:
    ...     return Success("Ada") if member_id == 1 else Failure(MemberNotFound())
    >>> def borrow(member: str, books: int) -> Result[int, TooManyLoans]:
    ...     return Success(books) if books < 3 else Failure(TooManyLoans())
    >>> @early_return
    ... def lend(do: Do[MemberNotFound | TooManyLoans], member_id: int, *, books: int) -> str:
    ...     member = do(find(member_id))
    ...     return f"{member} has {do(borrow(member, books))} books"
    >>> lend(1, books=2)  # Result[str, MemberNotFound | TooManyLoans]
    <Success: Ada has 2 books>
    >>> type(lend(2, books=2).failure()).__name__, type(lend(1, books=3).failure()).__name__
    ('MemberNotFound', 'TooManyLoans')

    Args:
        function: takes `do: Do[...]`, which declares its errors, and returns a plain value.

    Raises:
        TypeError: it has no parameter `do` there; or, when it runs, a plain function returned a coroutine.
    """
    code = getattr(unwrap(function), "__code__", None)
    names = [] if code is None else list(code.co_varnames[: min(code.co_argcount, 2)])
    if "do" not in names:
        raise TypeError(
            f"early_return: expected a function with a parameter `do: Do[...]`, got {name_of(function)}; "
            "add it first, or after self"
        )
    place = names.index("do")
    if is_async(function):

        @wraps(function)
        async def run_async(*args: object, **kwargs: object) -> AnyResult:
            with _Do[Any](function) as do:
                return Success(await function(*args[:place], do, *args[place:], **kwargs))
            return do.failure

        return _without_do(run_async)

    @wraps(function)
    def run(*args: object, **kwargs: object) -> AnyResult:
        with _Do[Any](function) as do:
            value = function(*args[:place], do, *args[place:], **kwargs)
            if not iscoroutine(value):
                return Success(value)
            value.close()  # nobody awaits it
            raise TypeError(f"{name_of(function)}: expected a value, got a coroutine; write `async def`")
        return do.failure

    return _without_do(run)


def _without_do(function: FunctionT) -> FunctionT:
    """Remove `do` from the signature of the function, and return it."""
    with suppress(NameError):  # Python 3.14 looks up annotations here, and one may be defined later
        shown = signature(function)
        parameters = [one for name, one in shown.parameters.items() if name != "do"]
        vars(function)["__signature__"] = shown.replace(parameters=parameters, return_annotation=Signature.empty)
    return function
