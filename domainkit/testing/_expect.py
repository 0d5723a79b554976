"""Assertions of the contracts, with their own texts, since pytest explains only asserts in test modules."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
from returns.result import Failure, Result

from domainkit.aggregates import AggregateRoot, AnyId
from domainkit.errors import DomainError
from domainkit.messages import DomainEvent, Message

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=DomainError)
AggT = TypeVar("AggT", bound=AggregateRoot[AnyId])


def full_name(message: Message) -> str:
    """Return the name of the class of a message, with its module."""
    return f"{type(message).__module__}.{type(message).__qualname__}"


def payload_of(event: DomainEvent) -> tuple[str, dict[str, object]]:
    """Return what two events of the same content have in common: the class and the fields, without the header."""
    names = [field.name for field in attrs.fields(type(event)) if field.name != "header"]
    return full_name(event), {name: getattr(event, name) for name in names}


def value_of(result: Result[T, object]) -> T:
    """Return the value of a Success; AssertionError for anything else."""
    assert isinstance(result, Result), f"expected a Result, got {result!r}"
    assert not isinstance(result, Failure), f"expected a Success, got {result!r}"
    return result.unwrap()


def error_of(result: Result[object, DomainError], kind: type[ErrorT]) -> ErrorT:
    """Return the error of a Failure, of this kind; AssertionError for anything else."""
    assert isinstance(result, Failure), f"expected a Failure with {kind.__name__}, got {result!r}"
    error = result.failure()
    assert isinstance(error, kind), f"expected {kind.__name__}, got {error!r}"
    return error


def expect_refused(
    result: Result[object, DomainError], kind: type[DomainError], aggregate: AggregateRoot[AnyId]
) -> None:
    """Assert a Failure of this kind that names the aggregate's id."""
    error = error_of(result, kind)
    wanted = str(aggregate.aggregate_id.value)
    assert wanted == error.uuid_value, (
        f"{kind.__name__}.uuid_value: expected the aggregate's id {wanted}, got {error!r}"
    )


def expect_same(expected: AggT, found: AggT) -> None:
    """Assert an equal aggregate of the same class."""
    assert type(expected) is type(found), f"expected a {type(expected).__name__}, got a {type(found).__name__}"
    assert expected == found, f"expected {expected!r}, got {found!r}"


def expect_same_all(expected: Sequence[AggT], found: tuple[AggT, ...]) -> None:
    """Assert a tuple of equal aggregates in this order."""
    assert isinstance(found, tuple), f"expected a tuple, got a {type(found).__name__}"
    ids = [one.aggregate_id for one in expected]
    assert ids == [one.aggregate_id for one in found], "expected all aggregates, in the order of saving"
    for one, other in zip(expected, found, strict=True):
        expect_same(one, other)


def expect_arrived(expected: Sequence[object], found: Sequence[object]) -> None:
    """Assert exactly these messages in this order."""
    assert list(expected) == list(found), f"expected to receive {expected!r}, got {found!r}"


def expect_type_error(call: Callable[[], object], wrong: object) -> None:
    """Assert that the call raises TypeError for `wrong`."""
    try:
        call()
    except TypeError:
        return
    raise AssertionError(f"expected a TypeError for {wrong!r}")


def expect_parts(text: str, *parts: str) -> None:
    """Assert that the text of the notifications contains each of the parts."""
    for part in parts:
        assert part in text, f"expected {part!r} in the notifications, got {text}"
