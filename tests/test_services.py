"""The base of use cases, services and ports: fields that nobody would set are refused."""

from dataclasses import dataclass
from typing import Any

import attrs
import pytest
from returns.result import Result, Success

from domainkit import (
    AppService,
    AsyncAppService,
    AsyncCommandBus,
    AsyncCrudRepository,
    AsyncDomainEventBus,
    AsyncMessagePublisher,
    AsyncNotifier,
    AsyncUseCase,
    CommandBus,
    CrudRepository,
    DomainError,
    DomainEventBus,
    Notifier,
    Repository,
    UseCase,
)

BASES: list[Any] = [
    UseCase, AsyncUseCase, AppService, AsyncAppService, Repository, CrudRepository, AsyncCrudRepository, DomainEventBus,
    AsyncDomainEventBus, CommandBus, AsyncCommandBus, Notifier, AsyncNotifier, AsyncMessagePublisher,
]  # fmt: skip  # one list


def derived(base: Any, **more: object) -> Any:
    """Return a class with the field `limit` and all that the base asks for."""
    methods = dict.fromkeys(base.__abstractmethods__, lambda *_: Success(None))
    return type("Limited", (base,), {"__annotations__": {"limit": int}, **methods, **more})


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("arguments", [(), (3,)])
def test_fields_without_a_decorator(base: Any, arguments: tuple[int, ...]) -> None:
    """A field that no constructor sets is refused at the first instance, with what to write."""
    text = r"^Limited\.limit: the class has fields but isn't decorated; write @attrs\.frozen above `class Limited`$"
    with pytest.raises(TypeError, match=text):
        derived(base)(*arguments)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "decorator", [attrs.frozen, attrs.define, attrs.frozen(slots=False), dataclass, dataclass(frozen=True)]
)
def test_fields_with_a_decorator(base: Any, decorator: Any) -> None:
    """A decorator of attrs or dataclasses makes a constructor, which is called."""
    assert 3 == decorator(derived(base))(3).limit


def test_fields_that_are_set_otherwise() -> None:
    """A constructor of the class's own, of a mixin, and a value in a class may set a field."""

    def set_limit(self: Any, limit: int = 3) -> None:
        super(type(self), self).__init__()
        self.limit = limit

    class Limits:
        def __init__(self, limit: int = 0) -> None:
            self.limit = limit

    found = [
        derived(UseCase, __init__=set_limit)().limit,
        derived(UseCase, limit=3)().limit,
        type("Final", (derived(UseCase),), {"limit": 3})().limit,
        type("First", (Limits, derived(UseCase)), {})(3).limit,
        type("Last", (derived(UseCase, limit=0), Limits), {})(3).limit,
    ]

    assert [3] * 5 == found


def test_no_arguments() -> None:
    """A class without fields takes no arguments, and says so as Python does."""

    class Greet(UseCase[[], str, DomainError]):
        def execute(self) -> Result[str, DomainError]:
            return Success("Hello")

    wrong: Any = Greet

    assert Success("Hello") == Greet()()
    for arguments, named in (((3,), {}), ((), {"limit": 3})):
        with pytest.raises(TypeError, match=r"Greet\(\) takes no arguments$"):
            wrong(*arguments, **named)
