"""Early return: a function that takes values out of Results, and ends with the first Failure.

It is the do notation of functional languages, as a decorator: see Wadler, Monads for functional programming (1995). The
type checker adds nothing up here; it compares each error with those that the function declares.
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
    """Takes the value out of a Success, and ends the function with a Failure: the first parameter of `@early_return`.

    `Do[MemberNotFound | BookNotFound]` declares what the function may fail with: a type checker refuses a Result with
    another error.
    """

    def __call__(self, result: Result[T, E_contra], /) -> T:
        """Return the value; end the function with the Failure if there is none.

        Raises:
            TypeError: `result` is no Result.
            RuntimeError: the function has ended, or it isn't the one that runs here: a `do` is for the call that got
                it, in the task and the thread of that call.
        """
        raise NotImplementedError


class _Ended(BaseException):
    """Ends the function of a `do`: no Exception, so that what the function catches lets it pass."""

    def __init__(self, do: "_Do[Any]", failure: AnyResult) -> None:
        super().__init__()
        self.do: _Do[Any] = do
        self.failure: AnyResult = failure


class _Do(Generic[E]):
    """The `do` of one call, which runs inside of a `with` block: that ends with the Failure in `failure`."""

    failure: AnyResult

    def __init__(self, function: object) -> None:
        self._name, self._owner, self._over = name_of(function), _here(), False

    def __enter__(self) -> Self:
        self._token = _RUNNING.set(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self._over = True
        _RUNNING.reset(self._token)
        if isinstance(error, BaseExceptionGroup):  # a group of tasks says so what its block raised
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
            raise RuntimeError(f"do of {self._name}: its call has ended; take the `do` of the call that is running")
        if _RUNNING.get() is not self or self._owner != _here():
            raise RuntimeError(
                f"do of {self._name}: used by another function, task or thread than the call that got it; "
                "return the Result from there, and take its value here"
            )
        if isinstance(result, Failure):
            raise _Ended(self, result)
        if type(result) is not Success:
            awaited = "; await it first" if isawaitable(result) else ""
            raise TypeError(f"do of {self._name}: expected a Result, got a {type(result).__qualname__}{awaited}")
        value: T = result.unwrap()
        return value


_RUNNING: ContextVar[_Do[Any] | None] = ContextVar("domainkit.do", default=None)
"""The `do` of the innermost call that runs: of the context, which a new task or thread may have a copy of."""


def _here() -> tuple[int, object]:
    """Return the thread, and the task of asyncio that runs in it."""
    asyncio = sys.modules.get("asyncio")  # it takes longer to import than all of this library
    try:
        return threading.get_ident(), None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return threading.get_ident(), None


@overload
def early_return(  # type: ignore[overload-overlap]  # a coroutine is an object too; the first overload that fits wins
    function: Callable[Concatenate[Do[E], P], Coroutine[Any, Any, T]], /
) -> Callable[P, Coroutine[Any, Any, Result[T, E]]]: ...
@overload
def early_return(  # type: ignore[overload-overlap]  # an owner may be callable as a `do` is; as above
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
def early_return(function: Callable[..., Any], /) -> Callable[..., Any]:  # Any: the overloads say it
    """Return the function without its `do`: what it returns is in a Success, and the Failure that `do` met ends it.

    The parameter `do` comes first, or after `self` in a method. A coroutine function stays one.

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
        function: takes `do: Do[...]`, with the errors that it may end with, and returns a value.

    Raises:
        TypeError: it has no parameter `do` there; or, when it runs, a plain function returned an awaitable.
    """
    code = getattr(unwrap(function), "__code__", None)
    names = [] if code is None else list(code.co_varnames[: min(code.co_argcount, 2)])
    if "do" not in names:
        raise TypeError(f"early_return: {name_of(function)} needs a parameter `do: Do[...]`, first or after self")
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
    """Return the function, whose signature shows what callers give."""
    with suppress(NameError):  # Python 3.14 looks up annotations here, and one may be defined later
        shown = signature(function)
        parameters = [one for name, one in shown.parameters.items() if name != "do"]
        vars(function)["__signature__"] = shown.replace(parameters=parameters, return_annotation=Signature.empty)
    return function
