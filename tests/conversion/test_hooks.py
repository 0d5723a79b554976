"""The owner of a hook: a user, cattrs or this library."""

import enum
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from attrs import frozen
from cattrs import BaseConverter, Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from every_kind import Colour, EveryKind, Level, Line, OrderId, Title

from domainkit import configure_converter, make_converter
from domainkit.conversion.hooks import has_structure_hook, has_unstructure_hook, own_hooks

CONVERTERS: dict[str, Callable[[], Converter]] = {
    "plain": Converter,
    "made": make_converter,
    "wrapped": lambda: make_converter(unwrap_value_objects=False),
    **{name: import_module(f"cattrs.preconf.{name}").make_converter
       for name in ("json", "orjson", "msgpack", "cbor2", "msgspec")},
}  # fmt: skip  # one table


class Word(enum.StrEnum):
    A = "a"


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Euro(Money): ...


@frozen
class Camel:
    first_name: str


def owned(converter: BaseConverter, hint: object) -> tuple[bool, bool]:
    """Tell whether a user's own hooks read and write a type."""
    reads, writes = own_hooks(converter, hint)
    return reads is not None, writes is not None


CLASSES = (Word, Level, Colour, Line, Title, OrderId, EveryKind, UUID, datetime, str, int, Path, Money, Camel, object)


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
@pytest.mark.parametrize("configured", [False, True])
def test_a_fresh_converter_has_no_hooks_of_a_user(make: Callable[[], Converter], *, configured: bool) -> None:
    """Hooks that cattrs, its preconfigured converters and this library register don't count as the user's."""
    converter = make()
    if configured:
        configure_converter(converter)
    for cls in CLASSES:
        assert (False, False) == owned(converter, cls)


def _read(data: Any, _: object) -> Money:
    return Money(data)


def _write(money: Money) -> object:
    return money.cents


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
def test_hooks_of_a_class_or_its_base_are_own(make: Callable[[], Converter]) -> None:
    """A hook that is registered for a class is its subclasses' too, as in cattrs."""
    converter = make()
    converter.register_structure_hook(Money, _read)
    assert (True, False) == owned(converter, Euro)
    converter.register_unstructure_hook(Money, _write)
    assert (True, True) == owned(converter, Money)
    assert (False, False) == owned(converter, Title)


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
def test_hooks_that_cattrs_generates_for_a_user_are_own(make: Callable[[], Converter]) -> None:
    """A generated function that the user registers, to rename fields say, is the user's."""
    converter = make()
    read, write = make_dict_structure_fn(Camel, converter), make_dict_unstructure_fn(Camel, converter)
    converter.register_structure_hook(Camel, read)
    converter.register_unstructure_hook(Camel, write)
    assert (True, True) == owned(converter, Camel)


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
def test_hooks_with_a_predicate_are_own(make: Callable[[], Converter]) -> None:
    """So are those with a predicate, unless a later one of this library is for the class; one that fails says no."""
    converter = make()
    converter.register_structure_hook_func(lambda cls: cls is Camel or issubclass(cls, Title), _read)
    converter.register_unstructure_hook_func(lambda cls: cls.no_such_thing, _write)
    assert (True, False) == owned(converter, Camel)
    assert (True, False) == owned(converter, Title)
    configure_converter(converter)
    assert (False, False) == owned(converter, Camel)
    assert (False, False) == owned(converter, Title)


def test_hooks_of_a_scalar_count_for_it_alone() -> None:
    """A StrEnum is a str for cattrs, and none for a message."""
    converter = make_converter()
    converter.register_structure_hook(datetime, lambda data, _: datetime.fromtimestamp(data))  # noqa: DTZ006  (never called)
    converter.register_structure_hook(str, lambda data, _: str(data))
    assert (True, False) == owned(converter, datetime)
    assert (True, False) == owned(converter, str)
    assert (False, False) == owned(converter, Word)


def test_ways_of_its_own_to_read_and_write_a_leaf() -> None:
    """A user's hook is seen, whatever kind of function it is; those of cattrs are not."""
    converter = Converter()
    assert not has_structure_hook(converter, datetime)
    assert not has_structure_hook(converter, int)
    assert not has_unstructure_hook(converter, datetime)
    assert not has_unstructure_hook(import_module("cattrs.preconf.json").make_converter(), datetime)
    converter.register_structure_hook(datetime, lambda data, _: data)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    assert has_structure_hook(converter, datetime)
    assert has_unstructure_hook(converter, datetime)


def test_unions_of_a_user_are_known() -> None:
    """A hook for a union stands in a place of its own in cattrs."""
    converter = make_converter()
    assert (False, False) == owned(converter, int | str)
    converter.register_structure_hook(int | str, lambda data, _: f"own {data}")
    reads, writes = own_hooks(converter, int | str)
    assert reads is not None
    assert writes is None
    assert "own 5" == reads(5)
