"""The constructors of model classes: that of attrs, and the three that may stand around it."""

import copy
import inspect
import pickle
from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from typing import Any, get_type_hints

import attrs
import postponed
import pytest
from attrs import Factory, field, frozen

from domainkit import AggregateRoot, Command, DomainError, DomainEvent, MessageHeader, Uuid, ValueObject
from domainkit._model import constructors
from domainkit._model.mapping import FrozenMapping

HEADER = MessageHeader()


@frozen
class Everything(DomainEvent):
    """An event with a field of each kind."""

    first: int
    _private: str
    plain: int = 3
    made: tuple[int, ...] = field(factory=tuple)
    of_self: str = field(default=Factory(lambda self: f"{self.first}{self.plain}", takes_self=True))
    renamed: int = field(default=5, alias="other", kw_only=True, validator=attrs.validators.ge(1))
    needed: int = field(kw_only=True)


@frozen
class Counted(DomainEvent):
    counts: Mapping[str, int]


@frozen
class Task(AggregateRoot[Uuid]):
    title: str


@frozen
class Do(Command[None, DomainError]):
    number: int


@frozen
class Late(DomainError):
    minutes: int


@frozen
class Title(ValueObject[str]):
    value: str


def is_from_attrs(cls: type) -> bool:
    """Check if the constructor of a class is the one that attrs wrote."""
    return str(vars(cls)["__init__"].__code__.co_filename).startswith("<attrs generated")


class TestAttrs:
    @pytest.mark.parametrize("cls", [Everything, Task, Do])
    def test_it_stays(self, cls: type) -> None:
        """The constructor that attrs wrote is the one that is called, where it does the job."""
        assert is_from_attrs(cls)
        assert not is_from_attrs(Counted)

    def test_wrong_arguments(self) -> None:
        """Python itself says which argument is missing or unknown, with the name of the class."""
        make: Any = Everything
        with pytest.raises(
            TypeError, match=r"^Everything\.__init__\(\) missing 1 required keyword-only argument: 'needed'"
        ):
            make(1, "a")
        with pytest.raises(TypeError, match=r"^Everything\.__init__\(\) got an unexpected keyword argument 'more'"):
            make(1, "a", needed=3, more=2)

    def test_own_fields_of_the_library(self) -> None:
        """Header, id, version and events are looked at where they are given."""
        make: Any = AggregateRoot
        with pytest.raises(TypeError, match=r"^AggregateRoot\.aggregate_id: expected a Uuid"):
            make(aggregate_id=1)
        with pytest.raises(ValueError, match=r"^AggregateRoot\.aggregate_version: "):
            make(aggregate_version=0)
        with pytest.raises(TypeError, match=r"^AggregateRoot\.domain_events: expected a tuple"):
            make(domain_events=[])
        with pytest.raises(TypeError, match=r"^DomainEvent\.header: expected a MessageHeader, got a NoneType"):
            DomainEvent(header=None)  # type: ignore[arg-type]

    def test_a_default_id_is_looked_at(self) -> None:
        """An id class whose `v4` makes something else is found out."""

        class OddId(Uuid):
            @classmethod
            def v4(cls) -> Any:
                return Uuid.v4()

        class Odd(AggregateRoot[OddId]): ...

        with pytest.raises(TypeError, match=r"Odd\.aggregate_id: expected a .*OddId, got a Uuid"):
            Odd()


class TestFreezing:
    def test_after_validation(self) -> None:
        """A validator sees the mapping that was given, and the object keeps a read-only copy."""
        seen: list[type] = []

        @frozen
        class Watched(DomainEvent):
            counts: Mapping[str, int] = field(validator=lambda _, __, value: seen.append(type(value)))

        given = {"a": 1}
        made = Watched(given)
        given["a"] = 2
        assert ([dict], FrozenMapping, {"a": 1}) == (seen, type(made.counts), made.counts)


SHOWN: list[tuple[type, list[str], dict[str, object]]] = [
    (Everything, ["first", "private", "plain", "made", "of_self", "header", "other", "needed"], {"first": int}),
    (Counted, ["counts", "header"], {"counts": Mapping[str, int], "header": MessageHeader}),
    (Task, ["title", "aggregate_id", "aggregate_version", "domain_events"], {"title": str, "aggregate_version": int}),
    (Do, ["number", "header"], {"number": int}),
    (Late, ["minutes", "uuid_value", "additional_info"], {"minutes": int, "uuid_value": str | None}),
    (Title, ["value"], {"value": str}),
    (DomainEvent, ["header"], {"header": MessageHeader}),
    (Uuid, ["value"], {}),
]


class TestShown:
    @pytest.mark.parametrize(("cls", "names", "types"), SHOWN, ids=lambda one: getattr(one, "__name__", ""))
    def test_signature_and_types(self, cls: Any, names: list[str], types: dict[str, object]) -> None:
        """Readers of a constructor, such as dependency injection, find its names and its types."""
        assert set(names) == set(inspect.signature(cls).parameters)
        for found in (cls.__init__.__annotations__, get_type_hints(cls.__init__)):
            assert types.items() <= found.items()
        assert ("__init__", f"{cls.__qualname__}.__init__") == (cls.__init__.__name__, cls.__init__.__qualname__)

    @pytest.mark.parametrize("cls", [postponed.MeetingPlanned, postponed.TooLate])
    def test_postponed_annotations(self, cls: Any) -> None:
        """They find types too where the module has them as text, once the names are known."""
        hints = {name: str(hint) for name, hint in get_type_hints(cls.__init__).items()}
        assert hints
        assert not [name for name, hint in cls.__init__.__annotations__.items() if isinstance(hint, str)]

    def test_python_3_14(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """There `functools` copies what computes annotations, and not the annotations, which attrs sets alone."""
        there = ("__module__", "__name__", "__qualname__", "__doc__", "__annotate__", "__type_params__")
        monkeypatch.setattr(constructors, "update_wrapper", partial(update_wrapper, assigned=there))

        @frozen
        class Held(DomainEvent):
            counts: Mapping[str, int]

        assert Mapping[str, int] == Held.__init__.__annotations__["counts"]
        assert Mapping[str, int] == get_type_hints(Held.__init__)["counts"]


class TestWaiting:
    def test_a_wrapper_stays(self) -> None:
        """A function that was put around the constructor before its first call stays."""
        called: list[int] = []

        @frozen
        class Watched(DomainEvent):
            number: "Number"  # type: ignore[name-defined]  # noqa: F821  # on purpose

        inner = vars(Watched)["__init__"]

        def watch(self: object, number: int) -> None:
            called.append(number)
            inner(self, number)

        type.__setattr__(Watched, "__init__", watch)
        assert [1, 2] == [Watched(number).number for number in (1, 2)]
        assert [1, 2] == called

    def test_a_base_of_an_undecorated_class(self) -> None:
        """The constructor of a base refuses that class alone, whatever else is derived from it."""

        @frozen
        class Base(DomainEvent):
            number: int

        before = vars(Base)["__init__"]

        class Plain(Base): ...

        assert before is vars(Base)["__init__"]

        class Forgotten(Base):
            more: int

        @frozen
        class Whole(Base):
            more: int

        class Below(Forgotten): ...

        assert (1, 2, 3) == (Base(1).number, Plain(2).number, Whole(1, 3).more)
        assert before is vars(Base)["__init__"].__wrapped__
        for cls in (Forgotten, Below):
            with pytest.raises(TypeError, match=r"Forgotten\.more: the class has fields but isn't decorated"):
                cls(1)

    def test_a_class_whose_first_base_is_another(self) -> None:
        """A mixin with a constructor of its own may stand before the base."""

        class Mixin:
            def __init__(self) -> None: ...

        @frozen
        class Mixed(Mixin, DomainEvent):
            number: int

        assert 1 == Mixed(1).number


CACHED: list[Callable[[type], Any]] = [
    frozen(cache_hash=True),
    frozen(cache_hash=True, init=True),
    frozen(cache_hash=True, slots=False),
]


class TestCachedHash:
    @pytest.mark.parametrize("decorate", CACHED)
    @pytest.mark.parametrize("base", [AggregateRoot, DomainEvent, Command])
    def test_the_hash_is_that_of_the_content(self, decorate: Callable[[type], Any], base: type) -> None:
        """Each copy has a hash of its own content, whichever way it was made."""
        cls = decorate(type("Cached", (base,), {"__annotations__": {"number": int}}))
        made = cls(1)
        before = hash(made)
        copies = [copy.copy(made), copy.deepcopy(made), attrs.evolve(made), copied_by_state(made)]
        assert [before] * 4 == list(map(hash, copies))
        for changed in changes(made):
            assert changed == copied_by_state(changed)
            assert hash(changed) == hash(copied_by_state(changed))

    @pytest.mark.parametrize("decorate", CACHED[:2])
    def test_value_objects(self, decorate: Callable[[type], Any]) -> None:
        """A value object keeps its hash as well."""
        cls = decorate(type("Cached", (Title,), {"__annotations__": {"value": str}}))
        below: Any = type("Below", (cls,), {})
        for one in (cls, below):
            assert hash(one("a")) == hash(one("a")) == hash(copy.copy(one("a"))) == hash(one.parse("a").unwrap())
            assert hash(one("a")) != hash(one("b"))

    def test_pickle(self) -> None:
        """A hash isn't pickled: that of a text differs from process to process."""
        made = KeptHash("a")
        assert hash(made) == hash(pickle.loads(pickle.dumps(made)))
        assert b"_attrs_cached_hash" not in pickle.dumps(made)


@frozen(cache_hash=True)
class KeptHash(DomainEvent):
    title: str


def copied_by_state(made: Any) -> Any:
    """Return a copy as pickling makes it, of a class that need not be found by its name."""
    again = object.__new__(type(made))
    again.__setstate__(made.__getstate__())
    return again


def changes(made: Any) -> list[Any]:
    """Return what the object's own methods make of it."""
    if isinstance(made, AggregateRoot):
        recorded = made.record(DomainEvent())
        return [recorded, recorded.clear_domain_events(), attrs.evolve(made, aggregate_version=2)]
    return [made.add_meta({"a": 1}), made.caused_by(DomainEvent())]
