"""Steps for pipelines: effects, recovery, and Results that run at once."""

import asyncio

import pytest
from returns.result import Failure, Result, Success

from domainkit import collect_async, pipeline, recover, tap


class Missing(Exception):
    """There is nothing."""


class Broken(Exception):
    """It does not work."""


def find(key: str) -> Result[int, Missing | Broken]:
    """Find a number, or fail as the key says."""
    match key:
        case "missing":
            return Failure(Missing())
        case "broken":
            return Failure(Broken())
        case _:
            return Success(len(key))


def zero_if_missing(error: Missing | Broken) -> Result[int, Broken]:
    """Take a zero for what is missing."""
    return Success(0) if isinstance(error, Missing) else Failure(error)


class TestTap:
    def test_passes_the_value_on(self) -> None:
        """The effect sees the value; the step returns it."""
        seen: list[int] = []
        assert (Success(4), [4]) == (tap(seen.append)(4), seen)

    def test_runs_on_success_only(self) -> None:
        """After a Failure the effect is not run."""
        seen: list[int] = []
        assert isinstance(pipeline(find, tap(seen.append))("missing"), Failure)
        assert [] == seen

    def test_the_value_of_the_effect_does_not_count(self) -> None:
        """A Success of the effect is dropped, its Failure is the Result."""
        assert Success(4) == tap(lambda number: Success(str(number)))(4)
        assert Failure("no") == tap(lambda _: Failure("no"))(4)


class TestRecover:
    def test_the_handler_decides_about_failures(self) -> None:
        """A handled error becomes a value, another stays; a Success is not touched."""
        run = recover(find, zero_if_missing)
        assert Success(0) == run("missing")
        assert isinstance(run("broken").failure(), Broken)
        assert Success(3) == run("abc")


class TestCollectAsync:
    async def test_all_values_in_their_order(self) -> None:
        """Values come in the order of the argument, whichever is ready first."""

        async def after(delay: float, value: int) -> Result[int, str]:
            await asyncio.sleep(delay)
            return Success(value)

        assert Success((1, 2)) == await collect_async([after(0.02, 1), after(0, 2)])

    async def test_all_failures_in_their_order(self) -> None:
        """No Failure is dropped."""

        async def fail(text: str) -> Result[int, str]:
            return Failure(text)

        assert Failure(("a", "b")) == await collect_async([fail("a"), fail("b")])

    async def test_they_run_concurrently(self) -> None:
        """Each can wait for another."""
        ready = asyncio.Event()

        async def wait() -> Result[None, str]:
            await ready.wait()
            return Success(None)

        async def release() -> Result[None, str]:
            ready.set()
            return Success(None)

        assert Success((None, None)) == await asyncio.wait_for(collect_async([wait(), release()]), 5)

    async def test_an_exception_cancels_the_others(self) -> None:
        """An exception of one is raised in a group, after the others were cancelled."""
        cancelled = asyncio.Event()

        async def wait() -> Result[None, str]:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()
            return Success(None)

        async def crash() -> Result[None, str]:
            await asyncio.sleep(0)
            raise Broken

        with pytest.raises(ExceptionGroup) as raised:
            await collect_async([wait(), crash()])
        assert raised.group_contains(Broken)
        assert cancelled.is_set()
