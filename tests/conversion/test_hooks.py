"""Whose hook it is: a user's, cattrs' or this library's."""

import enum
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from attrs import frozen
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from every_kind import Colour, EveryKind, Level, Line, OrderId, Title

from domainkit import configure_converter, make_converter
from domainkit.conversion.hooks import copied, has_own_union, own_hooks, reads_itself, writes_itself

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


CLASSES = (Word, Level, Colour, Line, Title, OrderId, EveryKind, UUID, datetime, str, int, Path, Money, Camel, object)


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
@pytest.mark.parametrize("configured", [False, True])
def test_a_fresh_converter_has_no_hooks_of_a_user(make: Callable[[], Converter], *, configured: bool) -> None:
    """What cattrs, its preconfigured converters and this library register is nobody's own hook."""
    converter = make()
    if configured:
        configure_converter(converter)
    for cls in CLASSES:
        assert (None, None) == own_hooks(converter, cls)


def _read(data: Any, _: object) -> Money:
    return Money(data)


def _write(money: Money) -> object:
    return money.cents


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
def test_hooks_of_a_class_or_its_base_are_own(make: Callable[[], Converter]) -> None:
    """A hook that is registered for a class is its subclasses' too, as in cattrs."""
    converter = make()
    converter.register_structure_hook(Money, _read)
    assert (_read, None) == own_hooks(converter, Euro)
    converter.register_unstructure_hook(Money, _write)
    assert (_read, _write) == own_hooks(converter, Money)
    assert (None, None) == own_hooks(converter, Title)


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
def test_hooks_that_cattrs_generates_for_a_user_are_own(make: Callable[[], Converter]) -> None:
    """A generated function that the user registers, to rename fields say, is the user's."""
    converter = make()
    read, write = make_dict_structure_fn(Camel, converter), make_dict_unstructure_fn(Camel, converter)
    converter.register_structure_hook(Camel, read)
    converter.register_unstructure_hook(Camel, write)
    assert (read, write) == own_hooks(converter, Camel)


@pytest.mark.parametrize("make", CONVERTERS.values(), ids=CONVERTERS)
def test_hooks_with_a_predicate_are_own(make: Callable[[], Converter]) -> None:
    """So are those with a predicate, unless a later one of this library is for the class; one that fails says no."""
    converter = make()
    converter.register_structure_hook_func(lambda cls: cls is Camel or issubclass(cls, Title), _read)
    converter.register_unstructure_hook_func(lambda cls: cls.no_such_thing, _write)
    assert (_read, None) == own_hooks(converter, Camel)
    assert (_read, None) == own_hooks(converter, Title)
    configure_converter(converter)
    assert (_read, None) == own_hooks(converter, Camel)
    assert (None, None) == own_hooks(converter, Title)


def test_hooks_for_what_json_knows_are_no_hooks_of_a_message() -> None:
    """A hook for datetime is about another encoding; a StrEnum is a str for cattrs."""
    converter = make_converter()
    converter.register_structure_hook(datetime, lambda data, _: datetime.fromtimestamp(data))  # noqa: DTZ006  (never called)
    converter.register_structure_hook(str, lambda data, _: str(data))
    assert (None, None) == own_hooks(converter, datetime)
    assert (None, None) == own_hooks(converter, Word)


def test_ways_of_its_own_to_read_and_write_a_leaf() -> None:
    """A user's hook is seen, whatever kind of function it is; those of cattrs are not."""
    converter = Converter()
    assert not reads_itself(converter, datetime)
    assert not reads_itself(converter, int)
    assert not writes_itself(converter, datetime)
    assert not writes_itself(import_module("cattrs.preconf.json").make_converter(), datetime)
    converter.register_structure_hook(datetime, lambda data, _: data)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    assert reads_itself(converter, datetime)
    assert writes_itself(converter, datetime)


def test_unions_of_a_user_are_known_in_a_copy() -> None:
    """A copy has all hooks, those of unions too."""
    converter = make_converter()
    assert not has_own_union(converter, int | str)
    converter.register_structure_hook(int | str, lambda data, _: f"own {data}")
    assert has_own_union(copied(converter), int | str)
    assert "own 5" == copied(converter).structure(5, int | str)  # type: ignore[arg-type]  # cattrs takes any type
