"""Use cases and their guard."""

import asyncio
import inspect
import json
import logging
import pickle
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from attrs import define, field, frozen
from returns.maybe import Maybe, Nothing
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateVersionConflictError,
    AppService,
    AsyncInmemoryNotifier,
    AsyncNotifier,
    AsyncUseCase,
    ConflictError,
    CriticalError,
    DomainError,
    InmemoryNotifier,
    Notifier,
    NotifierExceptionMessage,
    NotifierMessage,
    UnknownError,
    UseCase,
    Uuid,
    pipeline,
    use_case,
    use_cases,
)

CANARY = "canary-7d2b-secret"


class Duplicate(DomainError): ...


class Missing(DomainError): ...


class DiskFull(CriticalError): ...


def returned(value: Any) -> Any:
    """Return `value`."""
    return value


def failing(error: BaseException) -> Result[int, Duplicate]:
    """Raise `error`."""
    raise error


@frozen
class Run(UseCase[[Callable[[], Any]], Any, Duplicate]):
    """Runs what it is given."""

    notifier: Notifier | None = None

    def execute(self, step: Callable[[], Any]) -> Result[Any, Duplicate]:
        return step()  # type: ignore[no-any-return]  # the tests pass what no type checker would


@frozen
class AsyncRun(AsyncUseCase[[Callable[[], Awaitable[Any]]], Any, Duplicate]):
    """Awaits what it is given."""

    notifier: Notifier | AsyncNotifier | None = None

    async def execute(self, step: Callable[[], Awaitable[Any]]) -> Result[Any, Duplicate]:
        return await step()  # type: ignore[no-any-return]  # as above


Step = Callable[[], Any]
Guarded = Callable[[Step], Result[Any, Any]]


def run_class(step: Step) -> Result[Any, Any]:
    """Run the step in a UseCase."""
    return Run()(step)


def run_async_class(step: Step) -> Result[Any, Any]:
    """Run the step in an AsyncUseCase."""

    async def awaited() -> Any:
        return step()

    return asyncio.run(AsyncRun()(awaited))


@use_case
def run_function(step: Step) -> Result[Any, Any]:
    """Run the step in a function."""
    return step()  # type: ignore[no-any-return]  # as above


@use_case
async def _run_coroutine(step: Step) -> Result[Any, Any]:
    return step()  # type: ignore[no-any-return]  # as above


def run_async_function(step: Step) -> Result[Any, Any]:
    """Run the step in a coroutine function."""
    return asyncio.run(_run_coroutine(step))


every_kind = pytest.mark.parametrize("run", [run_class, run_async_class, run_function, run_async_function])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what this library logs, at every level."""
    caplog.set_level(logging.DEBUG, logger="domainkit")
    return caplog


@every_kind
def test_a_result_is_returned_as_it_is(run: Guarded, log: pytest.LogCaptureFixture) -> None:
    """The guard returns the very Result that execute returned, and logs nothing."""
    for result in (Success(1), Success(None), Failure(Duplicate())):
        assert run(partial(returned, result)) is result
    assert [] == log.records


@every_kind
def test_a_bug_is_an_unknown_error(run: Guarded) -> None:
    """An exception becomes an UnknownError that knows its class, its place, who failed, and the exception as cause."""
    bug = ZeroDivisionError("by zero")
    error = run(lambda: failing(bug)).failure()
    assert isinstance(error, UnknownError)
    assert "builtins.ZeroDivisionError" == error.exception_type
    assert __file__ == error.filename
    assert failing.__code__.co_firstlineno + 2 == error.lineno
    assert error.executor in {"Run", "AsyncRun", "run_function", "_run_coroutine"}
    assert error.__cause__ is bug


@every_kind
def test_a_bug_is_logged_once(run: Guarded, log: pytest.LogCaptureFixture) -> None:
    """A bug is one ERROR of the logger domainkit.use_cases, with who failed and every frame down to the place."""
    run(lambda: failing(KeyError("id")))
    (record,) = log.records
    assert ("domainkit.use_cases", logging.ERROR) == (record.name, record.levelno)
    text = record.getMessage()
    assert " failed:\nTraceback (most recent call last):\n" in text
    assert f'File "{__file__}", line {failing.__code__.co_firstlineno + 2}, in failing\n' in text
    assert text.endswith("builtins.KeyError")


@every_kind
def test_a_domain_error_that_is_raised_is_a_bug(run: Guarded, log: pytest.LogCaptureFixture) -> None:
    """A raised DomainError is no Failure: the type of the use case says nothing of it, so it is an UnknownError."""
    error = run(lambda: failing(Duplicate())).failure()
    assert isinstance(error, UnknownError)
    assert isinstance(error.__cause__, Duplicate)
    assert 1 == len(log.records)


@every_kind
def test_a_conflict_that_is_raised_is_returned(run: Guarded, log: pytest.LogCaptureFixture) -> None:
    """Another transaction got in the way: that is expected, so it is returned and not logged; so is what derives."""
    for error in (ConflictError(), AggregateVersionConflictError(Uuid.v4(), 1)):
        assert run(partial(failing, error)).failure() is error
    assert [] == log.records


def _deep(depth: int, failure: Result[Any, Any]) -> Any:
    return failure.unwrap() if depth == 0 else _deep(depth - 1, failure)


@every_kind
@pytest.mark.parametrize("depth", [0, 1, 50])
def test_unwrap_of_a_failure_returns_it(run: Guarded, depth: int, log: pytest.LogCaptureFixture) -> None:
    """An unwrap of a Failure, at any depth of calls, is an early return of that very Failure; it is no bug."""
    for failure in (Failure(Missing()), Failure("no exception"), Failure(None)):
        assert run(partial(_deep, depth, failure)) is failure
    assert [] == log.records


@every_kind
def test_unwrap_of_anything_else_is_a_bug(run: Guarded, log: pytest.LogCaptureFixture) -> None:
    """`failure()` of a Success, and `unwrap` of a Maybe without value, are bugs, logged once."""
    empty: Maybe[int] = Nothing
    for wrong in (lambda: Success(1).failure(), empty.unwrap):
        error = run(wrong).failure()
        assert isinstance(error, UnknownError)
        assert "returns.primitives.exceptions.UnwrapFailedError" == error.exception_type
    assert 2 == len(log.records)


@every_kind
@pytest.mark.parametrize("outcome", [None, 5, "text", Failure, [Success(1)]], ids=repr)
def test_no_result_is_a_bug(run: Guarded, outcome: object, log: pytest.LogCaptureFixture) -> None:
    """Any other return value than a Result is a bug, logged once, without the value."""
    error = run(lambda: outcome).failure()
    assert isinstance(error, UnknownError)
    assert "builtins.TypeError" == error.exception_type
    assert f"expected a Result, got {type(outcome).__qualname__}" in str(error.__cause__)
    assert 1 == len(log.records)


@every_kind
@pytest.mark.parametrize("passing", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_ends_the_program_passes(
    run: Guarded, passing: type[BaseException], log: pytest.LogCaptureFixture
) -> None:
    """KeyboardInterrupt, SystemExit, GeneratorExit and CancelledError are raised through the guard, and not logged."""
    with pytest.raises(passing):
        run(lambda: failing(passing()))
    assert [] == log.records


@every_kind
def test_a_group_with_an_interrupt_passes(run: Guarded) -> None:
    """A group that holds more than Exceptions, such as a KeyboardInterrupt, is raised through the guard."""
    with pytest.raises(BaseExceptionGroup):
        run(lambda: failing(BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError()])))


def raise_in_turn(*errors: Exception) -> Result[int, Duplicate]:
    """Raise the last error, caused by the one before, and so on."""
    *before, last = errors
    if not before:
        raise last
    try:
        raise_in_turn(*before)
    except Exception as error:
        raise last from error
    return Success(0)


def test_the_causes_are_logged(log: pytest.LogCaptureFixture) -> None:
    """The log names the exceptions that led to the bug, the first at the top."""
    run_function(lambda: raise_in_turn(KeyError(), LookupError(), ValueError()))
    parts = log.records[0].getMessage().split("\n\nwhich led to:\n\n")
    assert ["KeyError", "LookupError", "ValueError"] == [part.rsplit(".", 1)[1] for part in parts]
    assert all("in raise_in_turn" in part for part in parts)


def test_a_long_chain_is_cut(log: pytest.LogCaptureFixture) -> None:
    """Of a long chain of exceptions the log has the ten that are nearest to the bug."""
    run_function(lambda: raise_in_turn(*(KeyError() for _ in range(30)), ValueError()))
    text = log.records[0].getMessage()
    assert 9 == text.count("which led to:")
    assert text.endswith("builtins.ValueError")


def test_what_was_being_handled_is_logged(log: pytest.LogCaptureFixture) -> None:
    """The log names the exception that was being handled when the bug was raised, unless `from None` hides it."""

    def fail(*, hidden: bool) -> Result[int, Duplicate]:
        try:
            return failing(KeyError())
        except KeyError:
            if hidden:
                raise ValueError from None
            raise ValueError  # noqa: B904  # the context is what the test looks at

    run_function(lambda: fail(hidden=False))
    run_function(lambda: fail(hidden=True))
    shown, hidden = (record.getMessage() for record in log.records)
    assert "builtins.KeyError\n\nwhich led to:" in shown
    assert "KeyError" not in hidden


def test_the_parts_of_a_group_are_logged(log: pytest.LogCaptureFixture) -> None:
    """The log has the place of each exception in a group, such as a TaskGroup raises."""

    async def one() -> None:
        failing(KeyError(CANARY))

    async def other() -> None:
        raise_in_turn(LookupError(CANARY), ValueError(CANARY))

    @use_case
    async def both() -> Result[int, Duplicate]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one())
            tasks.create_task(other())
        return Success(0)

    asyncio.run(both())
    (record,) = log.records
    text = record.getMessage()
    assert 2 == text.count("  of builtins.ExceptionGroup:\n  Traceback (most recent call last):\n")
    assert all(
        place in text for place in ("in failing\n  builtins.KeyError", "in raise_in_turn\n  builtins.ValueError")
    )
    assert CANARY not in text


def test_while_one_develops_the_log_says_more(log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DOMAINKIT_DEVELOPMENT=1 it has texts, notes and lines of the source; frames of libraries are one line.

    Signs that a terminal obeys are escaped, and a text of several lines can't pass for another entry of the log.
    """
    monkeypatch.setenv("DOMAINKIT_DEVELOPMENT", "1")
    noted = ValueError("first\nsecond\x1b[2J")
    noted.add_note("a note")

    def decode() -> Any:
        try:
            json.loads("x")
        except ValueError:
            raise noted  # noqa: B904  # the context is what the test looks at

    assert "first" not in run_function(decode).failure().detail()
    text = log.records[0].getMessage()
    first, second = text.split("\n\nwhich led to:\n\n")
    assert "run_function failed:\nTraceback (most recent call last):\n" in first
    assert '    json.loads("x")\n' in first
    assert re.search(
        r'\n  \d+ in libraries, the last: File ".*json.decoder\.py", line \d+, in JSONDecoder\.\w+\n', first
    )
    assert first.endswith("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)")
    assert "    raise noted" in second
    assert second.endswith("\nValueError: first\n  second\\x1b[2J\n  a note")
    assert "/domainkit/use_cases.py" in second  # of this package: folded too
    assert "return function(" not in text


@pytest.mark.parametrize("value", ["0", "", "true", "yes"])
def test_it_is_off_unless_it_is_1(value: str, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other value adds nothing."""
    monkeypatch.setenv("DOMAINKIT_DEVELOPMENT", value)
    run_function(lambda: failing(KeyError(CANARY)))
    assert CANARY not in log.text


def test_endless_recursion_is_a_bug_of_few_lines(log: pytest.LogCaptureFixture) -> None:
    """A RecursionError is caught like any bug; its thousand equal frames are logged as three and a count."""

    def endless(number: int) -> Result[int, Duplicate]:
        return endless(number + 1)

    assert isinstance(run_function(lambda: endless(0)).failure(), UnknownError)
    text = log.records[0].getMessage()
    assert "[Previous line repeated " in text
    assert len(text.splitlines()) < 20


class Chatty(Exception):
    """Its text, its arguments and its attributes hold a secret."""

    def __init__(self) -> None:
        super().__init__(CANARY)
        self.password = CANARY
        self.add_note(CANARY)

    def __str__(self) -> str:
        return f"password={CANARY}"

    __repr__ = __str__


def leak_text() -> Result[int, Duplicate]:
    """Raise an error with a secret in each part of it."""
    raise Chatty


def leak_cause() -> Result[int, Duplicate]:
    """Raise an error whose causes hold secrets."""
    return raise_in_turn(Chatty(), ValueError(CANARY), KeyError(CANARY))


def leak_group() -> Result[int, Duplicate]:
    """Raise a group that holds secrets."""
    raise ExceptionGroup(CANARY, [ValueError(CANARY), ExceptionGroup(CANARY, [Chatty()])])


def leak_local() -> Result[int, Duplicate]:
    """Raise with a secret in a local variable."""
    password = CANARY
    return failing(ValueError(password))


def leak_source() -> Result[int, Duplicate]:
    """Raise on a line of source that holds the secret itself."""
    return failing(ConnectionError("postgres://app:canary-7d2b-secret@db/tasks"))


def leak_result() -> Result[int, Duplicate]:
    """Return a secret in place of a Result."""
    return CANARY  # type: ignore[return-value]  # that is the bug


@every_kind
@pytest.mark.parametrize("leak", [leak_text, leak_cause, leak_group, leak_local, leak_source, leak_result])
def test_no_secret_leaves_the_guard(run: Guarded, leak: Step, log: pytest.LogCaptureFixture) -> None:
    """No text of an exception, argument, note or line of source is in the log, the error, its repr or its pickle."""
    result = run(leak)
    error = result.failure()
    (record,) = log.records
    assert (None, None, None) == (record.exc_info, record.exc_text, record.stack_info)
    shown = [logging.Formatter().format(record), repr(record.args), repr(result), str(result)]
    shown += [repr(error), str(error), error.detail(), repr(error.additional_info), repr(error.args)]
    shown += [repr(pickle.dumps(error)), repr(pickle.loads(pickle.dumps(error)))]
    assert [] == [text for text in shown if CANARY in text]


def test_no_parameter_leaves_the_guard(log: pytest.LogCaptureFixture) -> None:
    """The arguments and fields of a use case are in neither the log nor the error."""

    @frozen
    class LogIn(UseCase[[str], int, Duplicate]):
        connection: str

        def execute(self, password: str) -> Result[int, Duplicate]:
            return Success(1 // (len(self.connection) - len(self.connection)))

    result = LogIn(CANARY)(CANARY)
    shown = [log.text, repr(result), repr(result.failure().additional_info), repr(pickle.dumps(result.failure()))]
    assert [] == [text for text in shown if CANARY in text]


class Broken(Notifier):
    """A notifier that is down."""

    def publish(self, message: NotifierMessage) -> None:
        raise ConnectionError(CANARY)

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        raise ConnectionError(CANARY)


def with_notifier(notifier: Notifier) -> tuple[Guarded, Guarded]:
    """Return a use case and an async one with this notifier."""

    def run_async(step: Step) -> Result[Any, Any]:
        async def awaited() -> Any:
            return step()

        return asyncio.run(AsyncRun(notifier)(awaited))

    return Run(notifier), run_async


def test_the_notifier_is_told_of_a_bug() -> None:
    """The notifier is told of an UnknownError: who failed, where, and the exception."""
    bug = KeyError("id")
    notifier = InmemoryNotifier()
    for run in with_notifier(notifier):
        run(lambda: failing(bug))
    places = [(__file__, failing.__code__.co_firstlineno + 2)] * 2
    messages = [message for message in notifier.messages if isinstance(message, NotifierExceptionMessage)]
    assert ["Error in Run", "Error in AsyncRun"] == [message.title for message in messages]
    assert ["Run", "AsyncRun"] == [message.executor for message in messages]
    assert places == [(message.filename, message.lineno) for message in messages]
    assert [bug, bug] == [message.exception for message in messages]


def test_the_notifier_is_told_of_a_critical_error() -> None:
    """The notifier is told of a CriticalError, returned or unwrapped: its class, its detail, and who returned it."""
    notifier, failure = InmemoryNotifier(), Failure(DiskFull(uuid_value="7d2b"))
    for run in with_notifier(notifier):
        run(lambda: failure)
        run(failure.unwrap)
    titles = ["DiskFull in Run"] * 2 + ["DiskFull in AsyncRun"] * 2
    assert tuple(NotifierMessage(title, "DiskFull (7d2b)") for title in titles) == notifier.messages


def test_the_notifier_is_told_of_nothing_else() -> None:
    """A Success, a Failure with another error, and what passes through are not the notifier's business."""
    notifier = InmemoryNotifier()
    for run in with_notifier(notifier):
        run(lambda: Success(DiskFull()))
        run(lambda: Failure(Duplicate()))
        run(lambda: Failure(ValueError("no domain error")))
        run(Failure(Missing()).unwrap)
        with pytest.raises(SystemExit):
            run(lambda: failing(SystemExit()))
    assert () == notifier.messages


def test_a_notifier_that_fails_changes_nothing(log: pytest.LogCaptureFixture) -> None:
    """If the notifier fails, the outcome is the same; that it failed is logged, without the exception's text."""
    failure = Failure(DiskFull())
    for run in with_notifier(Broken()):
        assert run(lambda: failure) is failure
        assert "builtins.KeyError" == run(lambda: failing(KeyError())).failure().exception_type
    first = [record.getMessage().splitlines()[0] for record in log.records]
    expected = "the notifier of {0} failed:", "{0} failed:", "the notifier of {0} failed:"
    assert [line.format(name) for name in ("Run", "AsyncRun") for line in expected] == first
    assert CANARY not in log.text


async def after(step: Step) -> Any:
    """Return what the step returns, a little later."""
    await asyncio.sleep(0)
    return step()


async def test_an_async_notifier_is_told_of_what_a_sync_one_is() -> None:
    """The messages are the same, and were sent before the Result is returned."""
    plain, awaited, bug = InmemoryNotifier(), AsyncInmemoryNotifier(), KeyError("id")
    outcomes: tuple[Step, ...] = (
        lambda: failing(bug), lambda: Failure(DiskFull(uuid_value="7d2b")), Failure(DiskFull()).unwrap,
        lambda: Failure(Duplicate()), lambda: Success(DiskFull()),
    )  # fmt: skip
    for step in outcomes:
        assert await AsyncRun(plain)(partial(after, step)) == await AsyncRun(awaited)(partial(after, step))
    assert 3 == len(plain.messages)
    assert [message.title for message in plain.messages] == [message.title for message in awaited.messages]


class AsyncBroken(AsyncNotifier):
    """A notifier that is down, in the way that it is given."""

    def __init__(self, fail: Callable[[], Awaitable[None]]) -> None:
        self._fail = fail

    async def publish(self, message: NotifierMessage) -> None:
        await self._fail()

    async def publish_exception(self, message: NotifierExceptionMessage) -> None:
        await self._fail()


async def raise_later() -> None:
    """Raise."""
    await asyncio.sleep(0)
    raise ConnectionError(CANARY)


async def cancel_itself() -> None:
    """End as a library does that cancels what it waits for."""
    raise asyncio.CancelledError


async def hang() -> None:
    """Wait for an answer that never comes."""
    await asyncio.sleep(3600)


async def hang_on() -> None:
    """Wait, and wait again after being cancelled; then raise."""
    try:
        await hang()
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        raise ConnectionError(CANARY) from None


@pytest.mark.parametrize("fail", [raise_later, cancel_itself, hang, hang_on])
async def test_an_async_notifier_that_fails_or_hangs_changes_nothing(
    fail: Callable[[], Awaitable[None]], log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is the same, within the longest time; the log says so, without an exception's text."""
    monkeypatch.setattr(use_cases, "_NOTIFIER_TIMEOUT", 0.05)
    run: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Result[Any, Any]]] = AsyncRun(AsyncBroken(fail))
    failure = Failure(DiskFull())

    assert await asyncio.wait_for(run(partial(after, lambda: failure)), 60) is failure
    assert "builtins.KeyError" == (await run(partial(after, lambda: failing(KeyError())))).failure().exception_type
    await asyncio.sleep(0.05)  # until the one that hangs on has ended
    first = [record.getMessage().splitlines()[0] for record in log.records]
    assert ["the notifier of AsyncRun failed:", "AsyncRun failed:", "the notifier of AsyncRun failed:"] == first
    assert CANARY not in log.text


async def test_a_use_case_is_cancelled_while_it_tells_its_notifier() -> None:
    """Cancellation passes, and reaches the notifier."""
    ended, started = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        try:
            await hang()
        finally:
            ended.set()

    running = asyncio.ensure_future(AsyncRun(AsyncBroken(wait))(partial(after, lambda: Failure(DiskFull()))))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(ended.wait(), 60)


def test_a_sync_use_case_says_that_it_awaits_no_notifier(log: pytest.LogCaptureFixture) -> None:
    """Its outcome is the same; that nobody was told is in the log."""

    @frozen
    class Mistaken(UseCase[[], int, DiskFull]):
        notifier: AsyncNotifier

        def execute(self) -> Result[int, DiskFull]:
            return Failure(DiskFull())

    notifier = AsyncInmemoryNotifier()
    assert Failure(DiskFull()) == Mistaken(notifier)()
    assert () == notifier.messages
    (record,) = log.records
    assert record.getMessage().endswith(
        "Mistaken: expected a Notifier, got an AsyncNotifier; only an AsyncUseCase awaits one"
    )


def test_a_notifier_that_cannot_be_had_changes_nothing(log: pytest.LogCaptureFixture) -> None:
    """If the attribute `notifier` raises, the outcome is the same, and that is logged."""

    class Unwired(UseCase[[], int, DiskFull]):
        @property
        def notifier(self) -> Notifier:
            raise LookupError(CANARY)

        def execute(self) -> Result[int, DiskFull]:
            return Failure(DiskFull())

    assert Failure(DiskFull()) == Unwired()()
    assert "the notifier of " in log.text
    assert CANARY not in log.text


def test_an_attribute_of_another_class_is_no_notifier(log: pytest.LogCaptureFixture) -> None:
    """An attribute `notifier` that is no Notifier has nothing to do with the guard."""

    class Named(UseCase[[], int, DiskFull]):
        notifier = "a text"

        def execute(self) -> Result[int, DiskFull]:
            return Failure(DiskFull())

    assert Failure(DiskFull()) == Named()()
    assert [] == log.records


@frozen
class FrozenNotified(UseCase[[], int, DiskFull]):
    notifier: Notifier
    name: str = "x"

    def execute(self) -> Result[int, DiskFull]:
        return Failure(DiskFull())


@define
class MutableNotified(UseCase[[], int, DiskFull]):
    notifier: InmemoryNotifier
    calls: int = 0

    def execute(self) -> Result[int, DiskFull]:
        self.calls += 1
        return Failure(DiskFull())


class PlainNotified(UseCase[[], int, DiskFull]):
    def __init__(self, notifier: Notifier) -> None:
        self.notifier = notifier

    def execute(self) -> Result[int, DiskFull]:
        return Failure(DiskFull())


class PropertyNotified(UseCase[[], int, DiskFull]):
    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    @property
    def notifier(self) -> Notifier:
        return self._notifier

    def execute(self) -> Result[int, DiskFull]:
        return Failure(DiskFull())


@frozen
class AsyncNotified(AsyncUseCase[[], int, DiskFull]):
    notifier: Notifier = field(kw_only=True)

    async def execute(self) -> Result[int, DiskFull]:
        return Failure(DiskFull())


@pytest.mark.parametrize("make", [FrozenNotified, MutableNotified, PlainNotified, PropertyNotified])
def test_a_use_case_has_its_notifier_in_a_field(make: Callable[[Notifier], UseCase[[], int, DiskFull]]) -> None:
    """The notifier is a field of a frozen or mutable attrs class, an attribute set in __init__, or a property."""
    notifier = InmemoryNotifier()
    assert Failure(DiskFull()) == make(notifier)()
    assert 1 == len(notifier.messages)


async def test_an_async_use_case_has_its_notifier_in_a_field() -> None:
    """The same for an AsyncUseCase."""
    notifier = InmemoryNotifier()
    assert Failure(DiskFull()) == await AsyncNotified(notifier=notifier)()
    assert 1 == len(notifier.messages)


def test_use_cases_are_values() -> None:
    """A frozen use case compares by its dependencies, and has no room for other attributes."""
    notifier = InmemoryNotifier()
    assert FrozenNotified(notifier) == FrozenNotified(notifier)
    assert FrozenNotified(notifier) != FrozenNotified(InmemoryNotifier())
    assert not hasattr(FrozenNotified(notifier), "__dict__")


@pytest.mark.parametrize("wrong", [UseCase, AsyncUseCase, AppService])
def test_execute_is_required(wrong: Callable[[], object]) -> None:
    """A use case, and an application service, without `execute` can't be made."""
    with pytest.raises(TypeError, match="abstract"):
        wrong()


@frozen
class Inner(UseCase[[], int, Duplicate]):
    notifier: Notifier | None = None

    def execute(self) -> Result[int, Duplicate]:
        return failing(KeyError("id"))


@frozen
class Outer(UseCase[[], int, Duplicate | UnknownError]):
    inner: Inner
    notifier: Notifier | None = None

    def execute(self) -> Result[int, Duplicate | UnknownError]:
        return Success(self.inner().unwrap() + 1)


def test_nested_use_cases_log_once(log: pytest.LogCaptureFixture) -> None:
    """A bug in a use case that another one called is logged once, by the inner guard, and keeps its place."""
    error = use_case(Outer(Inner()))().failure()
    assert isinstance(error, UnknownError)
    assert "Inner" == error.executor
    assert ["Inner failed:"] == [record.getMessage().splitlines()[0] for record in log.records]


def test_each_guard_tells_its_notifier() -> None:
    """An error that passes several guards is told to the notifier of each: one at the outermost is enough."""
    inner, outer = InmemoryNotifier(), InmemoryNotifier()
    Outer(Inner(), outer)()
    Outer(Inner(inner))()
    assert ["Error in Outer"] == [message.title for message in outer.messages]
    assert ["Error in Inner"] == [message.title for message in inner.messages]


def test_what_an_app_service_raises_reaches_its_use_case() -> None:
    """An AppService has no guard of its own: it is the use case that returns what it fails with or raises."""

    class Half(AppService[[int], int, Missing]):
        def execute(self, number: int) -> Result[int, Missing]:
            return Success(10 // number) if number % 2 == 0 else Failure(Missing())

    run = use_case(lambda number: Success(Half().execute(number).unwrap()))
    assert Success(5) == run(2)
    assert Failure(Missing()) == run(1)
    assert "builtins.ZeroDivisionError" == run(0).failure().exception_type


def create(title: str, *, done: bool = False) -> Result[int, Duplicate]:
    """Create a task."""
    return Success(len(title) + done)


async def create_later(title: str, *, done: bool = False) -> Result[int, Duplicate]:
    """Create a task later."""
    return Success(len(title) + done)


@pytest.mark.parametrize("function", [create, create_later])
def test_a_decorated_function_keeps_its_face(function: Callable[..., Any]) -> None:
    """A function under the guard keeps its name, docstring, signature and annotations, and has it as `__wrapped__`."""
    guarded: Callable[..., Any] = use_case(function)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(function, name) == getattr(guarded, name)
    assert inspect.signature(function) == inspect.signature(guarded)
    assert inspect.unwrap(guarded) is function


def test_arguments_reach_the_decorated_function() -> None:
    """Positional and keyword arguments are handed on as they are."""
    assert Success(4) == use_case(create)("abc", done=True)
    assert Success(4) == asyncio.run(use_case(create_later)("abc", done=True))


def test_a_use_case_under_use_case_tells_its_notifier_once() -> None:
    """The guard of `use_case` around a use case has no notifier of its own: that of the use case is told once."""
    notifier = InmemoryNotifier()
    assert isinstance(use_case(Inner(notifier))().failure(), UnknownError)
    assert 1 == len(notifier.messages)


@every_kind
def test_a_coroutine_that_nobody_awaits_is_a_bug(run: Guarded) -> None:
    """A coroutine in place of a Result is an UnknownError, and is closed: Python has no warning to give."""

    async def forgotten() -> Result[int, Duplicate]:
        return Success(1)

    assert isinstance(run(forgotten).failure(), UnknownError)


def test_a_coroutine_function_stays_one() -> None:
    """Under the guard a coroutine function is a coroutine function, and a plain one plain; so are partials of them."""

    async def create(title: str) -> Result[int, Duplicate]:
        return Success(len(title))

    assert inspect.iscoroutinefunction(use_case(create))
    assert inspect.iscoroutinefunction(use_case(partial(create, "abc")))
    assert inspect.iscoroutinefunction(use_case(AsyncNotified(notifier=InmemoryNotifier())))
    assert not inspect.iscoroutinefunction(use_case(Inner()))
    assert not inspect.iscoroutinefunction(run_function)


def test_wrong_arguments_are_a_bug() -> None:
    """A call with other arguments than execute takes is a bug like others: a guarded call never raises."""
    guarded: list[Callable[..., Result[Any, Any]]] = [Run(), run_function]
    for run in guarded:
        assert "builtins.TypeError" == run(1, 2, 3).failure().exception_type


class Tasks:
    """A class whose methods are use cases."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @use_case
    def add(self, title: str) -> Result[int, Duplicate]:
        """Add a title."""
        if title in self.titles:
            return Failure(Duplicate())
        self.titles.append(title)
        return Success(len(self.titles))

    @use_case
    async def add_later(self, title: str) -> Result[int, Duplicate | UnknownError]:
        await asyncio.sleep(0)
        return Success(self.add(title).unwrap())

    @classmethod
    @use_case
    def count(cls, tasks: "Tasks") -> Result[int, Duplicate]:
        return Success(len(tasks.titles))

    @staticmethod
    @use_case
    def fail(number: int) -> Result[int, Duplicate]:
        return Success(1 // number)


async def test_methods_are_decorated() -> None:
    """`use_case` decorates methods, coroutine methods, class methods and static methods."""
    tasks = Tasks()
    assert Success(1) == tasks.add("a")
    assert Failure(Duplicate()) == tasks.add("a")
    assert Success(2) == await tasks.add_later("b")
    assert Failure(Duplicate()) == await tasks.add_later("b")
    assert Success(2) == Tasks.count(tasks)
    error = Tasks.fail(0).failure()
    assert isinstance(error, UnknownError)
    assert "Tasks.fail" == error.executor


def test_a_use_case_is_a_step() -> None:
    """A use case, called or decorated, is a step of a pipeline."""

    @frozen
    class Half(UseCase[[int], int, Missing]):
        def execute(self, number: int) -> Result[int, Missing]:
            return Failure(Missing()) if number % 2 else Success(number // 2)

    run = pipeline(Half(), use_case(Half().execute), Half())
    assert Success(1) == run(8)
    assert Failure(Missing()) == run(4)


async def test_cancellation_is_untouched(log: pytest.LogCaptureFixture) -> None:
    """A task that runs a use case is cancelled where it waits; its `finally` runs, and nothing is logged or told."""
    notifier, steps = InmemoryNotifier(), list[str]()

    async def wait() -> Result[int, Duplicate]:
        try:
            steps.append("waits")
            await asyncio.Event().wait()
        finally:
            steps.append("cleans up")
        return Success(0)

    task = asyncio.create_task(AsyncRun(notifier)(wait))
    await asyncio.sleep(0)
    task.cancel("stop")
    with pytest.raises(asyncio.CancelledError, match="stop"):
        await task
    assert task.cancelled()
    assert ["waits", "cleans up"] == steps
    assert () == notifier.messages
    assert [] == log.records


async def test_a_timeout_outside_ends_a_use_case() -> None:
    """`asyncio.timeout` around a use case raises TimeoutError; inside of it, the TimeoutError is a bug like others."""

    async def wait() -> Result[int, Duplicate]:
        await asyncio.Event().wait()
        return Success(0)

    async def wait_shortly() -> Result[int, Duplicate]:
        async with asyncio.timeout(0):
            return await wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await AsyncRun()(wait)
    error = (await AsyncRun()(wait_shortly)).failure()
    assert isinstance(error, UnknownError)
    assert "builtins.TimeoutError" == error.exception_type


async def test_concurrent_use_cases_do_not_mix() -> None:
    """A hundred runs at once each get their own outcome."""

    async def step(number: int) -> Result[int, Duplicate]:
        await asyncio.sleep(0)
        return Success(60 // (number % 3)) if number % 2 else Failure(Duplicate())

    outcomes = await asyncio.gather(*(AsyncRun()(partial(step, number)) for number in range(100)))
    for number, outcome in enumerate(outcomes):
        if number % 2 == 0:
            assert Failure(Duplicate()) == outcome
        elif number % 3 == 0:
            assert isinstance(outcome.failure(), UnknownError)
        else:
            assert Success(60 // (number % 3)) == outcome
