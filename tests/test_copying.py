"""Copies of model objects, and pickles of classes that have changed since."""

import copy
import pickle
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs
import pytest
from attrs import Factory, field, frozen

from domainkit import AggregateRoot, DomainError, DomainEvent, Uuid, ValueObject
from domainkit._model.copying import copy_with
from domainkit._model.mapping import FrozenMapping


@frozen
class Point(DomainEvent):
    x: int
    y: int = field(default=0, validator=attrs.validators.ge(0))


class TestCopyWith:
    def test_changes(self) -> None:
        """Some fields are changed in a copy, and the constructor doesn't run."""
        point = Point(1, 2)
        assert attrs.evolve(point, x=3) == copy_with(point, x=3)
        assert -1 == copy_with(point, y=-1).y
        assert (1, 2) == (point.x, point.y)

    def test_pickle(self) -> None:
        """A copy is as whole as its original."""
        point = copy_with(Point(1), y=5)
        assert point == pickle.loads(pickle.dumps(point))


OPTIONS = [{}, {"slots": False}]


def shaped(base: Any, options: Mapping[str, Any], **body: Any) -> Any:
    """Return a class of the name Shaped with these fields, each of any type."""
    annotations = dict.fromkeys(body, object)
    given = {name: value for name, value in body.items() if value is not attrs.NOTHING}
    return frozen(**options)(type("Shaped", (base,), {"__annotations__": annotations, **given}))


def read_as(cls: Any, made: Any) -> Any:
    """Return what a process whose class is `cls` reads of the pickle of an object, in the steps of `pickle`."""
    reduced = made.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    again: Any = reduced[0](cls, *reduced[1][1:])
    if len(reduced) > 2 and reduced[2] is not None:
        again.__setstate__(reduced[2])
    return again


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("base", [AggregateRoot, DomainEvent, DomainError])
class TestAnotherShape:
    """A pickle of an older shape of its class is completed by the defaults, or refused: never half made."""

    def test_a_field_with_a_default(self, base: Any, options: Mapping[str, Any]) -> None:
        """A field that was added gets its default, made as the constructor makes it."""
        before = shaped(base, options, title=attrs.NOTHING)
        after = shaped(
            base,
            options,
            title=attrs.NOTHING,
            limits={"a": 1},
            made=field(factory=lambda: {"b": [2]}),
            of_self=Factory(lambda self: self.title.upper(), takes_self=True),
        )
        read = read_as(after, before("abc"))
        assert ("abc", {"a": 1}, {"b": (2,)}, "ABC") == (read.title, read.limits, read.made, read.of_self)
        assert [FrozenMapping] * 2 == [type(read.limits), type(read.made)]
        assert read == copy.copy(read)

    def test_a_field_without_a_default(self, base: Any, options: Mapping[str, Any]) -> None:
        """A field that was added, and has no default, is named."""
        before, after = shaped(base, options), shaped(base, options, title=attrs.NOTHING)
        text = r"^Shaped\.title: expected a value, got a pickle of the class before it changed; pickle the objects"
        with pytest.raises(TypeError, match=text):
            read_as(after, before())

    def test_a_field_that_is_gone(self, base: Any, options: Mapping[str, Any]) -> None:
        """A field that is no more is named: its value would be lost without a word."""
        before, after = shaped(base, options, list_id="a", title="b"), shaped(base, options)
        text = r"^Shaped\.list_id, Shaped\.title: expected known fields, got a pickle of the class before it changed; "
        with pytest.raises(TypeError, match=text):
            read_as(after, before())

    def test_the_same_shape(self, base: Any, options: Mapping[str, Any]) -> None:
        """Nothing else changes."""
        cls = shaped(base, options, title="b")
        made = cls()
        assert made == read_as(cls, made) == copy.copy(made) == copy.deepcopy(made)


class TestValueObject:
    def test_no_value(self) -> None:
        """A pickle without the value is refused."""

        class Title(ValueObject[str]): ...

        made: Any = object.__new__(Title)
        with pytest.raises(TypeError, match=r"Title\.value: expected a value, got a pickle of the class"):
            made.__setstate__({})
        with pytest.raises(TypeError, match=r"Title\.text: expected known fields, got a pickle of the class"):
            made.__setstate__({"text": "a"})


class Timed(DomainError):
    @cached_property
    def length(self) -> int:
        """A class that keeps something next to its fields."""
        return len(self.detail())


class TestErrors:
    def test_what_is_beside_the_fields(self) -> None:
        """Notes and cached properties come along, and are no fields that are gone."""
        error = Timed(uuid_value="a")
        error.add_note("seen twice")
        assert 9 == error.length
        again = pickle.loads(pickle.dumps(error))
        assert (error, ["seen twice"], 9) == (again, again.__notes__, vars(again)["length"])

    def test_own_constructor_that_no_decorator_has_seen(self) -> None:
        """Methods that attrs would have made are missing in a class that it hasn't seen: the error says so."""

        class Odd(DomainError):
            def __init__(self) -> None:
                self.__attrs_init__()

        with pytest.raises(TypeError, match=r"Odd\.__init__: expected a call of super\(\).__init__, got one"):
            Odd()


class Id(Uuid): ...


@frozen
class Task(AggregateRoot[Id]):
    tags: Mapping[str, str] = field(factory=dict)


def test_each_protocol() -> None:
    """Pickles of every protocol that can hold a class with slots are read."""
    task = Task({"a": "b"}).record(Point(1))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(task, protocol))
        assert task == again
        assert task.domain_events == again.domain_events
