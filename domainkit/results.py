"""Composition of Results: pipelines whose error type is the union of their steps' error types.

The overloads, one for each number of steps, make the types exact under mypy --strict and pyright, without a plugin.
This is railway oriented programming (Wlaschin, Domain Modeling Made Functional, 2018) with the containers of `returns`:
a pipeline is a plain function, so it works with `flow`, `bind` and `Result.do`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from inspect import isawaitable
from typing import Any, Final, Never, TypeAlias, TypeVar, overload

from returns.result import Failure, Result, Success

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])
T = TypeVar("T")
E = TypeVar("E")
U = TypeVar("U")
T0 = TypeVar("T0")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")
T8 = TypeVar("T8")
T9 = TypeVar("T9")
T10 = TypeVar("T10")
T11 = TypeVar("T11")
T12 = TypeVar("T12")
E1 = TypeVar("E1")
E2 = TypeVar("E2")
E3 = TypeVar("E3")
E4 = TypeVar("E4")
E5 = TypeVar("E5")
E6 = TypeVar("E6")
E7 = TypeVar("E7")
E8 = TypeVar("E8")
E9 = TypeVar("E9")
E10 = TypeVar("E10")
E11 = TypeVar("E11")
E12 = TypeVar("E12")

Step: TypeAlias = Callable[[T], Result[U, E]]
"""A function of one argument that returns a Result."""

AnyCoroutine: TypeAlias = Coroutine[Any, Any, T]  # Any: the values exchanged with the event loop
AsyncStep: TypeAlias = Callable[[T], Coroutine[None, None, Result[U, E]]]
AsyncResult: TypeAlias = Awaitable[Result[T, E]]
MixedStep: TypeAlias = Callable[[T], Result[U, E] | Awaitable[Result[U, E]]]
AnyResult: TypeAlias = Result[Any, Any]  # Any: the signature around it has the types
AnyStep: TypeAlias = Callable[[Any], AnyResult]  # Any: the overloads have the parameter's type


# an overload for each number of steps, several parameters a line
# fmt: off
@overload
def pipeline(s1: Step[T0, T1, E1], /) -> Step[T0, T1, E1]: ...
@overload
def pipeline(s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], /) -> Step[T0, T2, E1 | E2]: ...
@overload
def pipeline(s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], /) -> Step[T0, T3, E1 | E2 | E3]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], /
) -> Step[T0, T4, E1 | E2 | E3 | E4]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5], /
) -> Step[T0, T5, E1 | E2 | E3 | E4 | E5]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], /
) -> Step[T0, T6, E1 | E2 | E3 | E4 | E5 | E6]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], s7: Step[T6, T7, E7], /
) -> Step[T0, T7, E1 | E2 | E3 | E4 | E5 | E6 | E7]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], s7: Step[T6, T7, E7], s8: Step[T7, T8, E8], /
) -> Step[T0, T8, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], s7: Step[T6, T7, E7], s8: Step[T7, T8, E8], s9: Step[T8, T9, E9], /
) -> Step[T0, T9, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], s7: Step[T6, T7, E7], s8: Step[T7, T8, E8], s9: Step[T8, T9, E9], s10: Step[T9, T10, E10], /
) -> Step[T0, T10, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9 | E10]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], s7: Step[T6, T7, E7], s8: Step[T7, T8, E8], s9: Step[T8, T9, E9], s10: Step[T9, T10, E10],
    s11: Step[T10, T11, E11], /
) -> Step[T0, T11, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9 | E10 | E11]: ...
@overload
def pipeline(
    s1: Step[T0, T1, E1], s2: Step[T1, T2, E2], s3: Step[T2, T3, E3], s4: Step[T3, T4, E4], s5: Step[T4, T5, E5],
    s6: Step[T5, T6, E6], s7: Step[T6, T7, E7], s8: Step[T7, T8, E8], s9: Step[T8, T9, E9], s10: Step[T9, T10, E10],
    s11: Step[T10, T11, E11], s12: Step[T11, T12, E12], /
) -> Step[T0, T12, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9 | E10 | E11 | E12]: ...
# fmt: on
def pipeline(*steps: AnyStep) -> AnyStep:
    """Return a function that runs the steps in order, each with the value of the one before, up to the first Failure.

    >>> def parse(text: str) -> Result[int, ValueError]:
    ...     return Success(int(text)) if text.isdecimal() else Failure(ValueError("no number"))
    >>> def half(number: int) -> Result[int, ArithmeticError]:
    ...     return Failure(ArithmeticError("odd")) if number % 2 else Success(number // 2)
    >>> run = pipeline(parse, half)  # (str) -> Result[int, ValueError | ArithmeticError]
    >>> run("8"), run("7"), run("x")
    (<Success: 4>, <Failure: odd>, <Failure: no number>)

    Args:
        steps: one to twelve functions of one argument, each returning a Result. A pipeline is such a function too: nest
            them for more steps.

    Raises:
        TypeError: `steps` is empty; or, when it runs, a step didn't return a Result.
    """
    if not steps:
        raise TypeError("pipeline: expected at least one step, got 0; pass functions that return a Result")
    *before, last = steps

    def run(value: object) -> Result[object, object]:
        for step in before:
            result = step(value)
            if type(result) is not Success:
                return _ended_by(step, result)
            value = result.unwrap()
        result = last(value)
        return result if type(result) is Success else _ended_by(last, result)

    run.__qualname__ = f"pipeline({_names(steps)})"
    return run


# fmt: off
@overload
def async_pipeline(s1: MixedStep[T0, T1, E1], /) -> AsyncStep[T0, T1, E1]: ...
@overload
def async_pipeline(s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], /) -> AsyncStep[T0, T2, E1 | E2]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], /
) -> AsyncStep[T0, T3, E1 | E2 | E3]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4], /
) -> AsyncStep[T0, T4, E1 | E2 | E3 | E4]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], /
) -> AsyncStep[T0, T5, E1 | E2 | E3 | E4 | E5]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], /
) -> AsyncStep[T0, T6, E1 | E2 | E3 | E4 | E5 | E6]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], s7: MixedStep[T6, T7, E7], /
) -> AsyncStep[T0, T7, E1 | E2 | E3 | E4 | E5 | E6 | E7]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], s7: MixedStep[T6, T7, E7], s8: MixedStep[T7, T8, E8], /
) -> AsyncStep[T0, T8, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], s7: MixedStep[T6, T7, E7], s8: MixedStep[T7, T8, E8],
    s9: MixedStep[T8, T9, E9], /
) -> AsyncStep[T0, T9, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], s7: MixedStep[T6, T7, E7], s8: MixedStep[T7, T8, E8],
    s9: MixedStep[T8, T9, E9], s10: MixedStep[T9, T10, E10], /
) -> AsyncStep[T0, T10, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9 | E10]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], s7: MixedStep[T6, T7, E7], s8: MixedStep[T7, T8, E8],
    s9: MixedStep[T8, T9, E9], s10: MixedStep[T9, T10, E10], s11: MixedStep[T10, T11, E11], /
) -> AsyncStep[T0, T11, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9 | E10 | E11]: ...
@overload
def async_pipeline(
    s1: MixedStep[T0, T1, E1], s2: MixedStep[T1, T2, E2], s3: MixedStep[T2, T3, E3], s4: MixedStep[T3, T4, E4],
    s5: MixedStep[T4, T5, E5], s6: MixedStep[T5, T6, E6], s7: MixedStep[T6, T7, E7], s8: MixedStep[T7, T8, E8],
    s9: MixedStep[T8, T9, E9], s10: MixedStep[T9, T10, E10], s11: MixedStep[T10, T11, E11],
    s12: MixedStep[T11, T12, E12], /
) -> AsyncStep[T0, T12, E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 | E9 | E10 | E11 | E12]: ...
# fmt: on
def async_pipeline(*steps: MixedStep[Any, Any, Any]) -> AsyncStep[Any, Any, Any]:  # Any: as in AnyStep
    """Return a coroutine function that runs sync and async steps in order, up to the first Failure.

    >>> import asyncio
    >>> async def load(number: int) -> Result[str, KeyError]:
    ...     return Success(f"task {number}")
    >>> def shout(text: str) -> Result[str, ValueError]:
    ...     return Success(text.upper())
    >>> asyncio.run(async_pipeline(load, shout)(7))
    <Success: TASK 7>

    Args:
        steps: one to twelve functions of one argument, each returning a Result or an awaitable of one.

    Raises:
        TypeError: `steps` is empty; or, when it runs, a step didn't return a Result.
    """
    if not steps:
        raise TypeError("async_pipeline: expected at least one step, got 0; pass functions that return a Result")
    *before, last = steps

    async def run(value: object) -> Result[object, object]:
        for step in before:
            made = step(value)
            result = await made if isawaitable(made) else made
            if type(result) is not Success:
                return _ended_by(step, result)
            value = result.unwrap()
        made = last(value)
        result = await made if isawaitable(made) else made
        return result if type(result) is Success else _ended_by(last, result)

    run.__qualname__ = f"async_pipeline({_names(steps)})"
    return run


def _ended_by(step: object, result: object) -> Failure[object]:
    if isinstance(result, Failure):
        return result
    raise TypeError(
        f"step {name_of(step)}: expected a Result, got {type(result).__qualname__}; return Success(...) or Failure(...)"
    )


def name_of(function: object) -> str:
    """Return the qualified name of a function or another callable, for logs and errors."""
    inner = function.func if isinstance(function, partial) else function
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def _names(functions: Iterable[object]) -> str:
    """Return the names of functions, for the name of a function that combines them."""
    return ", ".join(map(name_of, functions))


def full_name_of(function: object) -> str:
    """Return the module and the qualified name of a function or another callable."""
    inner = function.func if isinstance(function, partial) else function
    return f"{inner.__module__}.{name_of(inner)}"


ADDED: Final = "__domainkit_added_errors__"
"""The attribute of a wrapper that lists the errors it adds to those of the wrapped function."""


def named_as(wrapper: FunctionT, function: object, *, adds: Iterable[object] = ()) -> FunctionT:
    """Give `wrapper` the name of the wrapped function, for logs and errors, and return it.

    Like functools.wraps, but for any callable, such as a use case, and without copying its attributes.

    Args:
        wrapper: a new function, which is changed.
        function: the wrapped callable, stored as `__wrapped__`.
        adds: the errors that the wrapper adds: classes, and functions that return one.
    """
    inner = function.func if isinstance(function, partial) else function
    wrapper.__module__, wrapper.__qualname__ = inner.__module__, name_of(inner)
    vars(wrapper).update({"__wrapped__": function, ADDED: tuple(adds)})
    return wrapper


def fold(result: Result[T, E], on_success: Callable[[T], U], on_failure: Callable[[E], U]) -> U:
    """Return the result of `on_success` for a Success, or of `on_failure` for a Failure.

    >>> fold(Success(4), lambda number: f"got {number}", lambda error: "failed")
    'got 4'

    Args:
        result: a Result.
        on_success: called with the value of a Success.
        on_failure: called with the error of a Failure.
    """
    return on_failure(result.failure()) if isinstance(result, Failure) else on_success(result.unwrap())


def collect(results: Iterable[Result[T, E]]) -> Result[tuple[T, ...], tuple[E, ...]]:
    """Return a Success with all values in order, or a Failure with all errors in order if there is at least one.

    >>> collect([Success(1), Success(2)])
    <Success: (1, 2)>
    >>> collect([Failure("a"), Success(2), Failure("b")])
    <Failure: ('a', 'b')>

    Args:
        results: iterated once, to the end. If it is empty, the value is an empty tuple.
    """
    values: list[T] = []
    errors: list[E] = []
    for result in results:
        fold(result, values.append, errors.append)
    return Failure(tuple(errors)) if errors else Success(tuple(values))


A = TypeVar("A")


@overload
def tap(effect: Callable[[T], Result[object, E]], /) -> Callable[[T], Result[T, E]]: ...
@overload
def tap(effect: Callable[[T], None], /) -> Callable[[T], Result[T, Never]]: ...
def tap(effect: Callable[[Any], object], /) -> AnyStep:  # Any: as in AnyStep
    """Return a step that calls `effect` with the value and passes the value on; a Failure of it ends the pipeline.

    >>> seen: list[int] = []
    >>> pipeline(lambda number: Success(number + 1), tap(seen.append))(4), seen
    (<Success: 5>, [5])

    Args:
        effect: a function that returns None, or a Result, whose value is ignored.
    """

    def step(value: object) -> Result[object, object]:
        outcome = effect(value)
        return outcome if isinstance(outcome, Failure) else Success(value)

    return step


def mapped(function: Callable[[A], U], /) -> Callable[[A], Result[U, Never]]:
    """Return a step that calls a function which can't fail, and wraps its value in a Success.

    >>> pipeline(lambda number: Success(number + 1), mapped(str))(4)
    <Success: 5>

    Args:
        function: takes a value, and returns a plain value.
    """

    def step(value: A) -> Result[U, Never]:
        return Success(function(value))

    return step


# fmt: off
@overload
def together(s1: Step[A, T1, E1], /) -> Step[A, tuple[T1], E1]: ...
@overload
def together(s1: Step[A, T1, E1], s2: Step[A, T2, E2], /) -> Step[A, tuple[T1, T2], E1 | E2]: ...
@overload
def together(
    s1: Step[A, T1, E1], s2: Step[A, T2, E2], s3: Step[A, T3, E3], /
) -> Step[A, tuple[T1, T2, T3], E1 | E2 | E3]: ...
@overload
def together(
    s1: Step[A, T1, E1], s2: Step[A, T2, E2], s3: Step[A, T3, E3], s4: Step[A, T4, E4], /
) -> Step[A, tuple[T1, T2, T3, T4], E1 | E2 | E3 | E4]: ...
@overload
def together(
    s1: Step[A, T1, E1], s2: Step[A, T2, E2], s3: Step[A, T3, E3], s4: Step[A, T4, E4], s5: Step[A, T5, E5], /
) -> Step[A, tuple[T1, T2, T3, T4, T5], E1 | E2 | E3 | E4 | E5]: ...
@overload
def together(
    s1: Step[A, T1, E1], s2: Step[A, T2, E2], s3: Step[A, T3, E3], s4: Step[A, T4, E4], s5: Step[A, T5, E5],
    s6: Step[A, T6, E6], /
) -> Step[A, tuple[T1, T2, T3, T4, T5, T6], E1 | E2 | E3 | E4 | E5 | E6]: ...
# fmt: on
def together(*steps: AnyStep) -> AnyStep:
    """Return a step that passes one value to every step, and returns a tuple of their values, or the first Failure.

    >>> def half(number: int) -> Result[int, ArithmeticError]:
    ...     return Failure(ArithmeticError("odd")) if number % 2 else Success(number // 2)
    >>> both = together(half, mapped(str))  # (int) -> Result[tuple[int, str], ArithmeticError]
    >>> both(8), both(7)
    (<Success: (4, '8')>, <Failure: odd>)

    Args:
        steps: one to six functions of the same argument, each returning a Result; they run in order.

    Raises:
        TypeError: `steps` is empty; or, when it runs, a step didn't return a Result.
    """
    if not steps:
        raise TypeError("together: expected at least one step, got 0; pass functions that return a Result")

    def run(value: object) -> Result[object, object]:
        values: list[object] = []
        for step in steps:
            result = step(value)
            if type(result) is not Success:
                return _ended_by(step, result)
            values.append(result.unwrap())
        return Success(tuple(values))

    return run


# fmt: off
@overload
async def together_async(a1: AsyncResult[T1, E1], /) -> Result[tuple[T1], E1]: ...
@overload
async def together_async(
    a1: AsyncResult[T1, E1], a2: AsyncResult[T2, E2], /
) -> Result[tuple[T1, T2], E1 | E2]: ...
@overload
async def together_async(
    a1: AsyncResult[T1, E1], a2: AsyncResult[T2, E2], a3: AsyncResult[T3, E3], /
) -> Result[tuple[T1, T2, T3], E1 | E2 | E3]: ...
@overload
async def together_async(
    a1: AsyncResult[T1, E1], a2: AsyncResult[T2, E2], a3: AsyncResult[T3, E3], a4: AsyncResult[T4, E4], /
) -> Result[tuple[T1, T2, T3, T4], E1 | E2 | E3 | E4]: ...
@overload
async def together_async(
    a1: AsyncResult[T1, E1], a2: AsyncResult[T2, E2], a3: AsyncResult[T3, E3], a4: AsyncResult[T4, E4],
    a5: AsyncResult[T5, E5], /
) -> Result[tuple[T1, T2, T3, T4, T5], E1 | E2 | E3 | E4 | E5]: ...
@overload
async def together_async(
    a1: AsyncResult[T1, E1], a2: AsyncResult[T2, E2], a3: AsyncResult[T3, E3], a4: AsyncResult[T4, E4],
    a5: AsyncResult[T5, E5], a6: AsyncResult[T6, E6], /
) -> Result[tuple[T1, T2, T3, T4, T5, T6], E1 | E2 | E3 | E4 | E5 | E6]: ...
# fmt: on
async def together_async(*awaitables: AsyncResult[Any, Any]) -> AnyResult:  # Any: as in AnyStep
    """Await several Results concurrently, and return a tuple of their values; the first Failure cancels the others.

    >>> import asyncio
    >>> async def half(number: int) -> Result[int, ArithmeticError]:
    ...     return Failure(ArithmeticError("odd")) if number % 2 else Success(number // 2)
    >>> async def name(number: int) -> Result[str, KeyError]:
    ...     return Success(f"number {number}")
    >>> asyncio.run(together_async(half(8), name(8)))  # a Result[tuple[int, str], ArithmeticError | KeyError]
    <Success: (4, 'number 8')>
    >>> asyncio.run(together_async(half(7), name(7)))
    <Failure: odd>

    Args:
        awaitables: one to six awaitables of Results, such as calls of coroutine functions. They run concurrently, in
            tasks of their own.

    Returns:
        A Success with the values in the order of the arguments, or the Failure that came first, once the others have
        ended or been cancelled.

    Raises:
        TypeError: `awaitables` is empty, or one of them didn't return a Result.
        ExceptionGroup: one of them raised; the others are cancelled and awaited, as by `asyncio.TaskGroup`.
    """
    if not awaitables:
        raise TypeError("together_async: expected at least one awaitable of a Result, got 0; pass one")
    from asyncio import Task, TaskGroup  # noqa: PLC0415  (as in collect_async)

    ended: list[Task[AnyResult]] = []

    def end(task: Task[AnyResult]) -> None:
        if not task.cancelled() and task.exception() is None and type(task.result()) is not Success:
            ended.append(task)
            for other in tasks:
                other.cancel()  # does nothing to a task that is done

    async with TaskGroup() as group:
        tasks = {group.create_task(_awaited(awaitable)): awaitable for awaitable in awaitables}
        for task in tasks:
            task.add_done_callback(end)
    values: list[object] = []
    for task in ended or tasks:
        result = task.result()
        if type(result) is not Success:
            return _ended_by(tasks[task], result)
        values.append(result.unwrap())
    return Success(tuple(values))


def recover(
    step: Callable[[A], Result[T, E]], handler: Callable[[E], Result[U, E2]], /
) -> Callable[[A], Result[T | U, E2]]:
    """Return a step that calls `handler` with the error of each Failure, and returns its Result.

    The handler takes the union of the step's errors. A handler that narrows it with `isinstance` removes a type from
    the union, exactly, under mypy and pyright:

    >>> class Missing(Exception): ...
    >>> class Broken(Exception): ...
    >>> def find(key: str) -> Result[int, Missing | Broken]:
    ...     return Failure(Missing())
    >>> def zero_if_missing(error: Missing | Broken) -> Result[int, Broken]:
    ...     return Success(0) if isinstance(error, Missing) else Failure(error)
    >>> recover(find, zero_if_missing)("x")  # (str) -> Result[int, Broken]
    <Success: 0>

    Args:
        step: a function of one argument that returns a Result.
        handler: called with the error of a Failure.
    """

    def recovered(value: A) -> Result[T | U, E2]:
        return fold(step(value), Success, handler)

    return recovered


async def collect_async(results: Iterable[Awaitable[Result[T, E]]]) -> Result[tuple[T, ...], tuple[E, ...]]:
    """Await Results concurrently, and combine them as `collect` does, in the order of the argument.

    >>> import asyncio
    >>> async def half(number: int) -> Result[int, str]:
    ...     return Failure(f"{number} is odd") if number % 2 else Success(number // 2)
    >>> asyncio.run(collect_async(map(half, [2, 3, 5])))
    <Failure: ('3 is odd', '5 is odd')>

    Args:
        results: awaitables. If one raises, the others are cancelled and awaited, and an ExceptionGroup is raised.
    """
    from asyncio import TaskGroup  # noqa: PLC0415  (asyncio takes longer to import than all of this library)

    async with TaskGroup() as group:
        tasks = [group.create_task(_awaited(result)) for result in results]
    return collect(task.result() for task in tasks)


async def _awaited(result: Awaitable[T]) -> T:
    return await result
