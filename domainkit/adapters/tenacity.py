"""Retries of steps, with the policies of tenacity (extra `retry`)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from returns.result import Failure, Result

from domainkit.errors import ConflictError
from domainkit.results import AnyCoroutine, named_as

try:
    from tenacity import AsyncRetrying, RetryCallState, Retrying, wait_random_exponential
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
    """Return a step that retries `step` while it fails with an error of `on`, and returns the last Result.

    >>> from tenacity import stop_after_attempt
    >>> tries = []
    >>> def flaky(number: int) -> Result[int, ConnectionError]:
    ...     tries.append(number)
    ...     return Failure(ConnectionError())
    >>> run = retried(flaky, on=ConnectionError, stop=stop_after_attempt(3))
    >>> isinstance(run(7), Failure), tries
    (True, [7, 7, 7])

    Args:
        step: a function of one argument that returns a Result. Its exceptions end the retries, except for a
            ConflictError in `on`: methods of SQL repositories raise it if their type doesn't declare it.
        on: the error class, or a tuple of them, to retry for. For ConflictError, `step` must contain all that has to
            be repeated, such as a whole unit of work made by `atomic`.
        policy: options of tenacity.Retrying: `stop`, `wait` (seconds), `sleep`, and others. Without `stop`
            it retries forever. Without `wait` it waits for a random time of up to 10 ms, then 20 ms, 40 ms and so on,
            up to a second, so that those who met don't meet again. See Brooker, Exponential Backoff And Jitter (AWS
            Architecture Blog, 2015).
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
    """Return an async step that retries `step` as `retried` does; it waits without blocking.

    Args:
        step: a coroutine function of one argument that returns a Result.
        on: the error class, or a tuple of them, to retry for.
        policy: options of tenacity.AsyncRetrying.
    """
    retrying = AsyncRetrying(**_policy(on, policy))

    async def run(value: A) -> Result[T, E]:
        return await retrying(step, value)

    return named_as(run, step)


def _policy(on: Errors, given: Mapping[str, object]) -> dict[str, Any]:  # Any: tenacity has the options' types
    def should_retry(state: RetryCallState) -> bool:
        outcome = state.outcome
        error = None if outcome is None else outcome.exception()
        if outcome is None or error is not None:
            return isinstance(error, ConflictError) and isinstance(error, on)
        result = outcome.result()
        return isinstance(result, Failure) and isinstance(result.failure(), on)

    def last_result(state: RetryCallState) -> object:
        return state.outcome.result() if state.outcome is not None else None

    return {
        "reraise": True,
        "wait": wait_random_exponential(multiplier=0.01, max=1),
        **given,
        "retry": should_retry,
        "retry_error_callback": last_result,
    }
