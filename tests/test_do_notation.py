"""early_return: values out of Results, an end with the first Failure, and a `do` that is for its own call alone."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    AsyncUseCase,
    Do,
    DomainError,
    NotFound,
    UnknownError,
    UseCase,
    early_return,
    mapped,
    pipeline,
    together,
    use_case,
)

P = ParamSpec("P")


class MemberNotFound(NotFound): ...


class BookNotFound(NotFound): ...


MISSING = MemberNotFound()


def find(member_id: int) -> Result[str, MemberNotFound]:
    """Find a member of an even number."""
    return Failure(MISSING) if member_id % 2 else Success(f"member {member_id}")


async def load(book_id: int) -> Result[bytes, BookNotFound]:
    """Load a book after a while."""
    await asyncio.sleep(0)
    return Failure(BookNotFound()) if book_id % 2 else Success(b"book")


@early_return
def lend(do: Do[MemberNotFound], member_id: int, *, times: int = 1) -> str:
    """Lend to a member."""
    return do(find(member_id)) * times


@early_return
async def lend_later(do: Do[MemberNotFound | BookNotFound], member_id: int, book_id: int) -> tuple[str, bytes]:
    """Lend a book to a member."""
    member = do(find(member_id))
    return member, do(await load(book_id))


def test_the_value_is_in_a_success_and_the_first_failure_ends_it() -> None:
    """Code after the Failure doesn't run, and the result is the first Failure."""
    assert Success("member 2member 2") == lend(2, times=2)
    assert Failure(MISSING) == lend(1)
    assert lend(1).failure() is MISSING


def test_a_coroutine_function_does_the_same() -> None:
    """It is awaited, and its Results are awaited in it."""
    assert Success(("member 2", b"book")) == asyncio.run(lend_later(2, 4))
    assert Failure(MISSING) == asyncio.run(lend_later(1, 4))
    assert isinstance(asyncio.run(lend_later(2, 3)).failure(), BookNotFound)


def test_it_is_called_as_the_function_without_do() -> None:
    """Name, docstring and signature are those of the function, without the parameter that the caller doesn't give."""
    assert ("lend", "Lend to a member.") == (lend.__name__, lend.__doc__)
    assert "(member_id: int, *, times: int = 1)" == str(inspect.signature(lend))


@frozen
class Lend(UseCase[[int], str, MemberNotFound]):
    prefix: str = "to "

    @early_return
    def execute(self, do: Do[MemberNotFound], member_id: int) -> str:
        return self.prefix + do(find(member_id))


@frozen
class LendLater(AsyncUseCase[[int], bytes, MemberNotFound | BookNotFound]):
    @early_return
    async def execute(self, do: Do[MemberNotFound | BookNotFound], number: int) -> bytes:
        do(find(number))
        return do(await load(number))


def test_use_cases_have_it_as_a_method() -> None:
    """`do` comes after self; the guard is around it as ever."""
    assert Success("to member 2") == Lend()(2)
    assert Failure(MISSING) == Lend()(1)
    assert Success(b"book") == asyncio.run(LendLater()(2))
    assert Failure(MISSING) == asyncio.run(LendLater()(1))


def test_an_exception_passes() -> None:
    """A bug is none of its business: it comes out, and a guard around it makes an UnknownError."""

    @early_return
    def broken(do: Do[MemberNotFound]) -> str:
        raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert isinstance(use_case(broken)().failure(), UnknownError)


def test_what_catches_exceptions_lets_it_pass() -> None:
    """A Failure ends the function through `except Exception`; `finally` runs."""
    ran = []

    @early_return
    def careful(do: Do[MemberNotFound]) -> str:
        try:
            return do(find(1))
        except Exception:
            return "caught"
        finally:
            ran.append("finally")

    assert Failure(MISSING) == careful()
    assert ["finally"] == ran


def test_calls_inside_one_another_end_each_for_itself() -> None:
    """The Failure of an inner call is a Result for the outer one, which goes on with it."""

    @early_return
    def outer(do: Do[MemberNotFound], member_id: int) -> str:
        inner = lend(member_id)
        return "nobody" if isinstance(inner, Failure) else do(inner)

    assert Success("nobody") == outer(1)
    assert Success("member 2") == outer(2)


def test_a_do_of_another_call_is_refused() -> None:
    """In a call inside of its own, a `do` that came from outside is a clear error, and so is one whose call ended."""
    kept: list[Do[MemberNotFound]] = []

    @early_return
    def keep(do: Do[MemberNotFound]) -> None:
        kept.append(do)

    @early_return
    def inner(do: Do[MemberNotFound], other: Do[MemberNotFound]) -> str:
        return other(find(2))

    @early_return
    def outer(do: Do[MemberNotFound]) -> str:
        return do(inner(do))

    keep()
    with pytest.raises(RuntimeError, match=r"do of .*keep: expected a running call, got one that has ended"):
        kept[0](find(2))
    with pytest.raises(RuntimeError, match=r"do of .*outer: expected a use in its own call, got one"):
        outer()
    assert Success("member 2") == lend(2)


async def test_a_do_in_another_task_is_refused() -> None:
    """A task that the function started has a context like its own, and still is another."""

    @early_return
    async def lending(do: Do[MemberNotFound]) -> str:
        async def beside() -> str:
            return do(find(1))

        return await asyncio.create_task(beside())

    with pytest.raises(RuntimeError, match="another function, task or thread"):
        await lending()


async def test_a_do_in_another_thread_is_refused() -> None:
    """So is a thread, with the context of the call or without it."""

    @early_return
    async def lending(do: Do[MemberNotFound]) -> str:
        return await asyncio.to_thread(do, find(2))

    with pytest.raises(RuntimeError, match="another function, task or thread"):
        await lending()

    @early_return
    def beside(do: Do[MemberNotFound]) -> str:
        with ThreadPoolExecutor() as pool:
            return pool.submit(do, find(2)).result()

    with pytest.raises(RuntimeError, match="another function, task or thread"):
        beside()


async def test_many_calls_run_side_by_side() -> None:
    """Each has a `do` of its own, in tasks and in threads."""
    found = await asyncio.gather(*(lend_later(number, 2) for number in range(50)))
    assert [number % 2 == 0 for number in range(50)] == [isinstance(one, Success) for one in found]
    barrier = threading.Barrier(4)

    @early_return
    def together_with_others(do: Do[MemberNotFound], number: int) -> str:
        barrier.wait(10)
        return do(find(number))

    with ThreadPoolExecutor(4) as pool:
        assert [True, False] * 2 == [isinstance(one, Success) for one in pool.map(together_with_others, range(4))]


async def test_it_ends_a_group_of_tasks() -> None:
    """In the block of a TaskGroup it cancels the tasks and ends the function; another exception beside it comes out."""
    cancelled = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def fail() -> None:
        raise KeyError

    @early_return
    async def lending(do: Do[MemberNotFound], *, fails: bool) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail() if fails else wait())
            await asyncio.sleep(0)
            do(find(1))

    assert Failure(MISSING) == await lending(fails=False)
    assert [True] == cancelled
    with pytest.raises(BaseExceptionGroup) as caught:
        await lending(fails=True)
    assert caught.value.subgroup(KeyError) is not None


def test_what_is_no_result_is_refused() -> None:
    """`do` says what it got, and that an awaitable is awaited first."""

    def ask(do: Do[MemberNotFound], value: object) -> object:
        unchecked: Any = do
        return unchecked(value)

    wrong = early_return(ask)

    async def nothing() -> None: ...

    with pytest.raises(TypeError, match=r"do of .*ask: expected a Result, got int; "):
        wrong(5)
    coroutine = nothing()
    with pytest.raises(TypeError, match="got coroutine; await it first"):
        wrong(coroutine)
    coroutine.close()


def test_a_plain_function_returns_no_coroutine() -> None:
    """A coroutine that nobody awaits would never run: it is refused, with what to write."""

    async def later() -> int:
        return 5

    def ask(do: Do[MemberNotFound]) -> object:
        return later()

    wrong = early_return(ask)
    with pytest.raises(TypeError, match="ask: expected a value, got a coroutine; write `async def`"):
        wrong()


def test_a_function_without_do_is_refused() -> None:
    """When it is decorated: with its name, and where the parameter belongs."""
    decorate: Any = early_return
    with pytest.raises(TypeError, match=r"early_return: expected a function with a parameter `do: Do.*`, got .*find; "):
        decorate(find)
    with pytest.raises(TypeError, match="expected a function with a parameter"):
        decorate(lambda a, b, do: 5)
    with pytest.raises(TypeError, match="early_return: expected a function with a parameter"):
        decorate(print.__class__.__class__)


def test_other_decorators_may_stand_below() -> None:
    """A wrapper with the function's name in `__wrapped__` is looked through."""

    def logged(function: Callable[P, str]) -> Callable[P, str]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> str:
            return function(*args, **kwargs).upper()

        return run

    @early_return
    @logged
    def shouting(do: Do[MemberNotFound], member_id: int) -> str:
        return do(find(member_id))

    assert Success("MEMBER 2") == shouting(2)


def test_a_context_manager_ends_with_it() -> None:
    """A `with` block around it is left as by any exception."""
    left = []

    @contextmanager
    def block() -> Iterator[None]:
        try:
            yield
        finally:
            left.append(True)

    @early_return
    def lending(do: Do[MemberNotFound]) -> str:
        with block():
            return do(find(1))

    assert Failure(MISSING) == lending()
    assert [True] == left


def test_steps_together_and_mapped() -> None:
    """One value for all of them, a tuple of theirs, and the first Failure in their order."""
    both = together(find, mapped(str))
    assert Success(("member 2", "2")) == both(2)
    assert Failure(MISSING) == both(1)
    assert Success("member 2 2") == pipeline(both, mapped(" ".join))(2)
    called: list[int] = []

    def note(number: int) -> Result[None, DomainError]:
        called.append(number)
        return Success(None)

    assert Failure(MISSING) == together(find, note)(1)
    assert [] == called
    wrong: Any = lambda number: number  # noqa: E731
    with pytest.raises(TypeError, match="expected a Result, got int"):
        together(wrong)(1)
    with pytest.raises(TypeError, match="together: expected at least one step"):
        together(*[])
