"""Steps that are tried again, by the policies of tenacity (extra `retry`)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from returns.result import Failure, Result

from domainkit.errors import ConflictError
from domainkit.results import AnyCoroutine, named_as

try:
    from tenacity import AsyncRetrying, RetryCallState, Retrying
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "retry") from _error

A = TypeVar("A")
T = TypeVar("T")
E = TypeVar("E")

Errors = type[BaseException] | tuple[type[BaseException], ...]


def retried(
    step: Callable[[A], Result[T, E]],
    *,
    on: Errors,
    **policy: object,
) -> Callable[[A], Result[T, E]]:
    """Return the step, tried again while it fails with an error of `on`; the last Failure is the Result.

    >>> from tenacity import stop_after_attempt
    >>> tries = []
    >>> def flaky(number: int) -> Result[int, ConnectionError]:
    ...     tries.append(number)
    ...     return Failure(ConnectionError())
    >>> run = retried(flaky, on=ConnectionError, stop=stop_after_attempt(3))
    >>> isinstance(run(7), Failure), tries
    (True, [7, 7, 7])

    Args:
        step: a function of one argument that returns a Result. What it raises is raised at once, except for a
            ConflictError, which a method of a SQL repository raises where its type has no room for it.
        on: the error, or a tuple of several, to try again for. ConflictError is for races that were lost: the step is
            all that must be done again then, such as one that `atomic` made.
        policy: what tenacity.Retrying takes: `stop`, `wait` (seconds), `sleep`, and others. Without `stop`
            it is tried for ever.
    """
    retrying = Retrying(**_policy(on, policy))

    def run(value: A) -> Result[T, E]:
        return retrying(step, value)

    return named_as(run, step)


def retried_async(
    step: Callable[[A], Awaitable[Result[T, E]]],
    *,
    on: Errors,
    **policy: object,
) -> Callable[[A], AnyCoroutine[Result[T, E]]]:
    """Return the async step, tried again as `retried` does; it sleeps without blocking.

    Args:
        step: a coroutine function of one argument that returns a Result.
        on: the error, or a tuple of several, to try again for.
        policy: what tenacity.AsyncRetrying takes.
    """
    retrying = AsyncRetrying(**_policy(on, policy))

    async def run(value: A) -> Result[T, E]:
        return await retrying(step, value)

    return named_as(run, step)


def _policy(on: Errors, given: Mapping[str, object]) -> dict[str, Any]:  # Any: tenacity says what each option takes
    def again(state: RetryCallState) -> bool:
        outcome = state.outcome
        error = None if outcome is None else outcome.exception()
        if outcome is None or error is not None:
            return isinstance(error, ConflictError) and isinstance(error, on)
        result = outcome.result()
        return isinstance(result, Failure) and isinstance(result.failure(), on)

    def last_result(state: RetryCallState) -> object:
        return state.outcome.result() if state.outcome is not None else None

    return {"reraise": True, **given, "retry": again, "retry_error_callback": last_result}
