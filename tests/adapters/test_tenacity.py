"""Steps that are tried again by tenacity's policies."""

import importlib
import inspect
import sys

import pytest
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateVersionConflictError,
    BusCannotPublish,
    ConflictError,
    DomainError,
    NotFound,
    Uuid,
    async_pipeline,
    pipeline,
)

tenacity = pytest.importorskip("tenacity", reason="needs the extra `retry`")

from domainkit.adapters.tenacity import retried, retried_async  # noqa: E402  (after the check for the extra)


class Flaky:
    """A step that fails with the errors given, one a call, and succeeds after that."""

    def __init__(self, *errors: DomainError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, value: int) -> Result[int, DomainError]:
        """Fail or succeed."""
        self.calls += 1
        return Failure(self.errors.pop(0)) if self.errors else Success(value)

    async def later(self, value: int) -> Result[int, DomainError]:
        """Do the same, to await."""
        return self(value)


def test_tried_again_until_it_succeeds() -> None:
    """A Failure of the class is tried again; the Success is the Result."""
    step = Flaky(BusCannotPublish(), BusCannotPublish())
    assert Success(5) == pipeline(retried(step, on=BusCannotPublish, stop=tenacity.stop_after_attempt(5)))(5)
    assert 3 == step.calls


def test_the_last_failure_is_the_result() -> None:
    """When the policy stops, the last Failure comes out, and nothing is raised."""
    step = Flaky(BusCannotPublish(), BusCannotPublish(uuid_value="last"), NotFound())
    result = retried(step, on=BusCannotPublish, stop=tenacity.stop_after_attempt(2))(5)
    assert Failure(BusCannotPublish(uuid_value="last")) == result


def test_without_a_wait_it_waits_at_random() -> None:
    """Without a policy for it, the waits are random, each at most twice the last, from 10 ms to a second."""
    waited: list[float] = []
    step = Flaky(*(BusCannotPublish() for _ in range(30)))
    assert Success(5) == retried(step, on=BusCannotPublish, sleep=waited.append)(5)
    assert all(0 <= wait <= min(1, 0.01 * 2**tries) for tries, wait in enumerate(waited))
    assert 30 == len(set(waited))


def test_another_error_is_not_tried_again() -> None:
    """An error of another class is the Result at once."""
    step = Flaky(NotFound())
    assert Failure(NotFound()) == retried(step, on=BusCannotPublish, stop=tenacity.stop_after_attempt(5))(5)
    assert 1 == step.calls


def test_an_exception_is_raised_at_once() -> None:
    """An exception of the step is a bug: it is raised, not tried again."""
    calls: list[int] = []

    def crash(value: int) -> Result[int, DomainError]:
        calls.append(value)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retried(crash, on=(BusCannotPublish, NotFound), stop=tenacity.stop_after_attempt(5))(1)
    assert [1] == calls


@pytest.mark.parametrize("last", [ConflictError(), AggregateVersionConflictError(Uuid.v4(), 1)])
def test_a_conflict_that_is_raised_is_tried_again(last: ConflictError) -> None:
    """A repository raises one where its type has no room for it; when the policy stops, it is raised. Others aren't."""
    errors: list[DomainError] = [ConflictError(), last, BusCannotPublish()]

    def lose(value: int) -> Result[int, DomainError]:
        raise errors.pop(0)

    run = retried(lose, on=(ConflictError, BusCannotPublish), stop=tenacity.stop_after_attempt(2))
    with pytest.raises(ConflictError) as raised:
        run(1)
    assert last is raised.value
    with pytest.raises(BusCannotPublish):
        run(1)


async def test_a_step_keeps_its_face() -> None:
    """A wrapper has the name of its step, and the step as `__wrapped__`, for logs and readers of types."""
    step = Flaky()
    run, run_later = retried(step.__call__, on=NotFound), retried_async(step.later, on=NotFound)
    assert [step.__call__, step.later] == [inspect.unwrap(run), inspect.unwrap(run_later)]
    assert ["Flaky.__call__", "Flaky.later"] == [run.__qualname__, run_later.__qualname__]
    assert ["value"] == list(inspect.signature(run).parameters)


async def test_async_steps() -> None:
    """An async step is tried again too, and composes."""
    step = Flaky(BusCannotPublish())
    run = retried_async(step.later, on=BusCannotPublish, stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    assert Success(5) == await async_pipeline(run)(5)
    assert 2 == step.calls


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tenacity, importing the adapter says how to install it."""
    monkeypatch.setitem(sys.modules, "tenacity", None)
    monkeypatch.delitem(sys.modules, "domainkit.adapters.tenacity")
    with pytest.raises(ImportError, match=r"pip install 'domainkit-attrs\[retry\]'"):
        importlib.import_module("domainkit.adapters.tenacity")
