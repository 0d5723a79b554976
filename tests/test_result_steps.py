"""Steps for pipelines: effects, recovery, and Results that run at once."""

import asyncio
import sys
from typing import Any

import pytest
from returns.result import Failure, Result, Success

from domainkit import collect_async, pipeline, recover, tap, together_async


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


class Waiter:
    """An awaitable of a Result that waits for a minute, and notes that it was cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    async def wait(self) -> Result[int, str]:
        """Wait, and clean up in several steps."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.cancelled = True
            raise
        return Success(0)


async def answer(result: Result[int, str], delay: float = 0) -> Result[int, str]:
    """Return the Result after so many seconds."""
    await asyncio.sleep(delay)
    return result


async def crash() -> Result[int, str]:
    """Raise."""
    await asyncio.sleep(0)
    raise Broken


class TestTogetherAsync:
    async def test_all_values_in_their_order(self) -> None:
        """Values come in the order of the arguments, whichever is ready first."""
        assert Success((1, 2)) == await together_async(answer(Success(1), 0.02), answer(Success(2)))
        assert Success((1,)) == await together_async(answer(Success(1)))

    async def test_they_run_concurrently(self) -> None:
        """Each can wait for another."""
        ready = asyncio.Event()

        async def wait() -> Result[str, str]:
            await ready.wait()
            return Success("waited")

        async def release() -> Result[int, str]:
            ready.set()
            return Success(1)

        assert Success(("waited", 1)) == await asyncio.wait_for(together_async(wait(), release()), 5)

    async def test_the_first_failure_ends_the_others(self) -> None:
        """It is the answer, whatever stands before it; the others are cancelled, and have ended by then."""
        before, behind = Waiter(), Waiter()
        found = together_async(before.wait(), answer(Failure("late"), 0.2), answer(Failure("no")), behind.wait())

        assert Failure("no") == await asyncio.wait_for(found, 5)
        assert before.cancelled
        assert behind.cancelled

    async def test_a_failure_at_once_leaves_no_coroutine_behind(self) -> None:
        """Awaitables after an immediate Failure are started and cancelled, so that each one is awaited."""
        behind = Waiter()

        async def refuse() -> Result[int, str]:
            return Failure("no")

        assert Failure("no") == await together_async(refuse(), behind.wait())
        assert behind.cancelled

    async def test_a_task_is_cancelled_too(self) -> None:
        """A task that runs already is an awaitable like any other."""
        running = asyncio.ensure_future(answer(Success(1), 60))

        assert Failure("no") == await together_async(running, answer(Failure("no")))
        assert running.cancelled()

    async def test_an_exception_cancels_the_others(self) -> None:
        """It is raised in a group, after the others have ended."""
        before, behind = Waiter(), Waiter()

        with pytest.raises(ExceptionGroup) as raised:
            await together_async(before.wait(), crash(), behind.wait())
        assert [Broken] == [type(error) for error in raised.value.exceptions]
        assert (before.cancelled, behind.cancelled) == (True, True)

    async def test_cancelling_it_cancels_all(self) -> None:
        """Cancellation from outside passes, after all awaitables have ended."""
        first, second = Waiter(), Waiter()
        whole = asyncio.ensure_future(together_async(first.wait(), second.wait()))
        await asyncio.sleep(0.01)
        whole.cancel()

        with pytest.raises(asyncio.CancelledError):
            await whole
        assert (first.cancelled, second.cancelled) == (True, True)

    async def test_it_says_what_gave_no_result(self) -> None:
        """A Result is asked of each, by name; the others are cancelled."""
        behind = Waiter()

        async def count() -> int:
            return 5

        wrong: Any = count()
        with pytest.raises(TypeError, match=r"^step .*count: expected a Result, got int; "):
            await together_async(wrong, behind.wait())
        assert behind.cancelled

    async def test_it_needs_an_awaitable(self) -> None:
        """Without any there is nothing to say."""
        nothing: Any = together_async
        with pytest.raises(TypeError, match="at least one awaitable"):
            await nothing()

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
    async def test_eager_tasks(self) -> None:
        """Tasks that have ended before the group waits for them count as well."""
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  (of 3.12)

        async def now(result: Result[int, str]) -> Result[int, str]:
            return result

        assert Success((1, 2)) == await together_async(now(Success(1)), now(Success(2)))
        assert Failure("no") == await together_async(now(Success(1)), now(Failure("no")), now(Failure("late")))
