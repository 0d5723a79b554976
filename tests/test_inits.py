"""Constructors that set slots: they do what those of attrs do."""

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import attrs
import pytest
from attrs import Factory, field, frozen

from domainkit import AggregateRoot, DomainError, DomainEvent, MessageHeader, Uuid
from domainkit._model.constructors import slotted_init
from domainkit._model.mapping import FrozenMapping

HEADER = MessageHeader()


def positive(instance: object, attribute: "attrs.Attribute[int]", value: int) -> None:
    """Refuse what isn't above zero."""
    if value < 1:
        raise ValueError(f"{attribute.name} of {type(instance).__name__}")


@frozen
class Everything(DomainEvent):
    """An event with a field of each kind."""

    first: int = field(validator=positive)
    _private: str
    plain: int = 3
    made: tuple[int, ...] = field(factory=tuple)
    of_self: str = field(default=Factory(lambda self: f"{self.first}{self.plain}", takes_self=True))
    renamed: int = field(default=5, alias="other", kw_only=True, validator=[positive])
    needed: int = field(kw_only=True)


@frozen
class Clashing(DomainEvent):
    """An event whose fields have the names of parts of the constructor."""

    disabled: int
    set0: int
    default0_: int
    factory0__: int
    copied___________: Mapping[str, int] = FrozenMapping({"a": 1})


def is_ours(cls: type) -> bool:
    """Tell whether the constructor of a class is, after its first call, one that sets slots."""
    init: FunctionType = vars(cls)["__init__"]
    return init.__code__.co_filename.endswith(("<domainkit constructor>", "_inits.py"))


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((1, "a"), {"needed": 2}),
        ((1, "a", 4), {"needed": 2, "header": HEADER}),
        ((1,), {"private": "a", "plain": 7, "made": (1, 2), "of_self": "b", "other": 9, "needed": 2}),
        ((1, "a", 4, (), "c"), {"needed": 2}),
    ],
)
def test_it_does_what_attrs_does(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Fields get what attrs would give them: arguments, defaults, what a factory makes, also of the object itself."""
    theirs: Any = object.__new__(Everything)
    Everything.__init__.__wrapped__(theirs, *arguments, **{"header": HEADER, **keywords})  # type: ignore[attr-defined]  # that of attrs
    ours = Everything(*arguments, **{"header": HEADER, **keywords})
    assert is_ours(Everything)
    assert [getattr(theirs, one.name) for one in attrs.fields(Everything)] == [
        getattr(ours, one.name) for one in attrs.fields(Everything)
    ]


def test_each_object_gets_its_own_from_a_factory() -> None:
    """A factory is called for each object."""
    made = [Everything(1, "a", needed=2).header.id for _ in range(2)]
    assert made[0] != made[1]


def test_it_looks_like_that_of_attrs() -> None:
    """Signature, annotations, name and module are those that attrs gave."""
    shown = list(inspect.signature(Everything).parameters)
    assert ["first", "private", "plain", "made", "of_self", "header", "other", "needed"] == shown
    assert {"return", "header", "first", "private"} <= Everything.__init__.__annotations__.keys()
    assert (f"{Everything.__qualname__}.__init__", __name__) == (
        Everything.__init__.__qualname__,
        Everything.__init__.__module__,
    )


def test_wrong_arguments() -> None:
    """Python itself says which argument is missing or unknown, with the name of the class."""
    make: Any = Everything
    with pytest.raises(
        TypeError, match=r"^Everything\.__init__\(\) missing 1 required keyword-only argument: 'needed'"
    ):
        make(1, "a")
    with pytest.raises(TypeError, match=r"^Everything\.__init__\(\) got an unexpected keyword argument 'factory1'"):
        make(1, "a", needed=3, factory1=2)


def test_validators() -> None:
    """Validators see an object whose fields are all set, in their order, defaults too; attrs can switch them off."""
    with pytest.raises(ValueError, match=r"^first of Everything$"):
        Everything(0, "a", other=0, needed=0)
    with pytest.raises(ValueError, match=r"^renamed of Everything$"):
        Everything(1, "a", other=0, needed=0)
    with attrs.validators.disabled():
        assert Everything(0, "a", needed=0).first == 0


def test_validators_of_defaults() -> None:
    """A default of the user's own is looked at like an argument."""

    @frozen
    class Odd(DomainEvent):
        number: int = field(default=0, validator=positive)

    assert is_ours(Odd)
    with pytest.raises(ValueError, match=r"^number of Odd$"):
        Odd()


def test_own_fields_of_the_library() -> None:
    """Header, id, version and events are looked at where they are given."""
    make: Any = AggregateRoot
    assert is_ours(AggregateRoot)
    with pytest.raises(TypeError, match=r"^AggregateRoot\.aggregate_id: expected a Uuid"):
        make(aggregate_id=1)
    with pytest.raises(ValueError, match=r"^AggregateRoot\.aggregate_version: "):
        make(aggregate_version=0)
    with pytest.raises(TypeError, match=r"^AggregateRoot\.domain_events: expected a tuple"):
        make(domain_events=[])
    with pytest.raises(TypeError, match=r"^DomainEvent\.header: expected a MessageHeader, not a NoneType"):
        DomainEvent(header=None)  # type: ignore[arg-type]


def test_a_default_id_is_looked_at() -> None:
    """An id class whose `v4` makes something else is found out."""

    class OddId(Uuid):
        @classmethod
        def v4(cls) -> Any:
            return Uuid.v4()

    class Odd(AggregateRoot[OddId]): ...

    with pytest.raises(TypeError, match=r"Odd\.aggregate_id: expected a .*OddId, not a Uuid"):
        Odd()


def test_names_that_clash() -> None:
    """A field may have any name: the parts of the constructor have others."""
    made = Clashing(1, 2, 3, 4)
    assert (1, 2, 3, 4, {"a": 1}) == (
        made.disabled,
        made.set0,
        made.default0_,
        made.factory0__,
        made.copied___________,
    )


def test_mappings_are_copied_after_validation() -> None:
    """A validator sees the mapping that was given, and the object keeps a read-only copy."""
    seen: list[type] = []

    @frozen
    class Counted(DomainEvent):
        counts: Mapping[str, int] = field(validator=lambda _, __, value: seen.append(type(value)))

    given = {"a": 1}
    made = Counted(given)
    given["a"] = 2
    assert is_ours(Counted)
    assert ([dict], FrozenMapping, {"a": 1}) == (seen, type(made.counts), made.counts)


def test_generated_at_the_first_call() -> None:
    """The constructor takes its own place when it is first called, also for a subclass that has none."""

    @frozen
    class Late(DomainEvent):
        number: int

    class Below(Late): ...

    first = vars(Late)["__init__"]
    assert Below(3).number == 3
    second = vars(Late)["__init__"]
    assert (False, first.__wrapped__) == (first is second, second.__wrapped__)
    assert (4, second) == (Late(4).number, vars(Late)["__init__"])


def test_a_wrapper_stays() -> None:
    """Where somebody has put a function around the constructor before its first call, that stays."""
    called: list[int] = []

    @frozen
    class Watched(DomainEvent):
        number: int

    inner = vars(Watched)["__init__"]

    def watch(self: object, number: int) -> None:
        called.append(number)
        inner(self, number)

    type.__setattr__(Watched, "__init__", watch)
    assert [1, 2] == [Watched(number).number for number in (1, 2)]
    assert [1, 2] == called


def test_without_fields() -> None:
    """A class may have no field at all."""

    @frozen
    class Empty: ...

    made = slotted_init(Empty, Empty.__init__, ())
    assert made is not None
    made(Empty())


class TestMoreThanSlots:
    """Where attrs' constructor does more than to set slots, it stays."""

    def test_converter(self) -> None:
        """A converter is called."""

        @frozen
        class Cut(DomainEvent):
            number: int = field(converter=int)

        assert (False, 3) == (is_ours(Cut), Cut(3.2).number)

    def test_field_outside_of_the_constructor(self) -> None:
        """A field with `init=False` gets its default."""

        @frozen
        class Preset(DomainEvent):
            number: int = field(default=4, init=False)

        assert (False, 4) == (is_ours(Preset), Preset().number)

    @pytest.mark.parametrize("decorate", [frozen(cache_hash=True), frozen(cache_hash=True, slots=False)])
    def test_cached_hash(self, decorate: Callable[[type], type[DomainEvent]]) -> None:
        """The place of a hash that is cached is made."""
        cls = decorate(type("Cached", (DomainEvent,), {}))
        assert not is_ours(cls)
        assert hash(cls(header=HEADER)) == hash(cls(header=HEADER))

    def test_without_slots(self) -> None:
        """A class without slots has its own fields in its dict, and so has a slotted one below it."""

        @frozen(slots=False)
        class Loose(DomainEvent):
            number: int

        @frozen
        class Below(Loose):
            other: int

        made = Below(1, 2)
        assert (False, False) == (is_ours(Loose), is_ours(Below))
        assert (1, 1, 2) == (Loose(1).number, made.number, made.other)

    @pytest.mark.parametrize("hook", ["__attrs_pre_init__", "__attrs_post_init__"])
    def test_hooks(self, hook: str) -> None:
        """A hook is called."""
        called: list[str] = []
        cls = frozen(type("Hooked", (DomainEvent,), {hook: lambda _: called.append(hook)}))
        cls()
        assert (False, [hook]) == (is_ours(cls), called)

    def test_errors(self) -> None:
        """An error is an exception too, whose arguments attrs sets."""

        @frozen
        class Late(DomainError):
            minutes: int

        assert (False, (None, None, 3)) == (is_ours(Late), Late(3).args)
