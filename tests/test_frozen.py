"""The base of every model class: frozen, decorated by its author, and free of parts that can change."""

import collections
import copy
import dataclasses
import inspect
import pickle
import sys
import threading
from collections import abc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import Annotated, Any, ClassVar, Generic, Literal, NewType, Optional, TypedDict, TypeVar, Union

import attr
import attrs
import postponed
import pytest
from attrs import define, field, frozen
from typing_extensions import TypeAliasType

import domainkit
from domainkit import AggregateRoot, Command, DomainError, DomainEvent, Message, Uuid, ValueObject
from domainkit._model.immutability import Frozen, refuse_mutable, require_decorated
from domainkit._model.mapping import FrozenMapping

T = TypeVar("T")
MutableT = TypeVar("MutableT", bound=list[int])
BASES = (AggregateRoot, DomainEvent, Command, DomainError)
NOT_TO_DERIVE_FROM = {
    "MessageHeader",  # a message takes just this class, and says so; what is to travel along goes into its meta
    "Envelope", "MessageInfo", "OutgoingMessage", "Problem",  # made by this library, to be read
    "Handler", "AsyncHandler", "Subscriber", "AsyncSubscriber",  # made by handled_by
    "Limits", "RetryOnConflict", "Tagged", "Upcaster", "Downcaster",  # options: their fields are those that are read
    "Appended", "RecordedEvent", "Snapshot",  # made by event stores and by snapshots, to be read
    "AppendCondition", "Decision", "EventQuery", "QueryItem",  # made by `query` and `decide`, and complete as they are
    "Decider", "Decisions", "Projection", "ReadModel",  # made of functions, and complete as they are
    "EventSourced", "AsyncEventSourced", "StateStored", "AsyncStateStored",  # made of a decider and a store, as above
}  # fmt: skip  # by reason


class Title(ValueObject[str]): ...


@define
class ThawedAttrs:
    x: int


@attr.s(auto_attribs=True)
class ThawedOldAttrs:
    x: int


@attr.s(auto_attribs=True, frozen=True)
class FrozenOldAttrs:
    x: int


@frozen
class FrozenAttrs:
    x: int


@define
class FrozenByItsBase(FrozenAttrs):
    y: int


@dataclasses.dataclass
class ThawedDataclass:
    x: int


@dataclasses.dataclass(frozen=True)
class FrozenDataclass:
    x: int


class Typed(TypedDict):
    x: int


class Tags(list[str]): ...


ListAlias = TypeAliasType("ListAlias", list[int])
GenericAlias = TypeAliasType("GenericAlias", tuple[T, ...], type_params=(T,))
NamedList = NewType("NamedList", list[int])
NamedMapping = NewType("NamedMapping", Mapping[str, int])


def of(generic: Any, *arguments: Any) -> Any:
    """Return `generic[arguments]`, made at run time, where type checkers don't look."""
    return generic[arguments if len(arguments) > 1 else arguments[0]]


def undecorated(base: type, **body: object) -> Any:
    """Return a class with the field `limit` that nobody decorated."""
    return type("Limited", (base,), {"__annotations__": {"limit": int}, **body})


DECORATORS: dict[bool, Callable[[type], Any]] = {True: frozen, False: frozen(slots=False)}


def at_once(threads: int, function: Callable[[], T]) -> list[T]:
    """Return what `function` returns to each of so many threads, which call it at the same moment."""
    barrier = threading.Barrier(threads)

    def call(_: int) -> T:
        barrier.wait()
        return function()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, range(threads)))


class TestUndecorated:
    @pytest.mark.parametrize("base", [*BASES, Message])
    def test_refused_at_the_first_instance(self, base: type) -> None:
        """A class with annotated fields and no decorator can't be made an instance of; the error says what to write."""
        text = r"^Limited\.limit: the class has fields but isn't decorated; write @attrs\.frozen above `class Limited`$"
        for arguments in ((), (3,)):
            with pytest.raises(TypeError, match=text):
                undecorated(base)(*arguments)
        with pytest.raises(TypeError, match=text):
            undecorated(base)(limit=3)

    @pytest.mark.parametrize("name", sorted(domainkit.__all__))
    def test_every_public_class_with_fields(self, name: str) -> None:
        """A field that is added to a public class without a decorator is refused, unless nobody reads such a class."""
        cls = getattr(domainkit, name)
        if not (isinstance(cls, type) and attrs.has(cls)):
            return
        assert issubclass(cls, Frozen) is (name not in NOT_TO_DERIVE_FROM)

    def test_an_inherited_field(self) -> None:
        """A name in the body for a field that is inherited would change nothing: it is refused."""
        for base, name in ((AggregateRoot, "aggregate_version"), (DomainError, "additional_info"), (Command, "header")):
            with pytest.raises(TypeError, match=rf"^Odd\.{name}: the name is taken by an inherited field; to change "):
                type("Odd", (base,), {name: 3})

    def test_value_object(self) -> None:
        """A value object that repeats `value` and isn't decorated is refused like the others."""
        cls: Any = type("Note", (Title,), {"__annotations__": {"value": str}})
        with pytest.raises(
            TypeError, match=r"^Note\.value: the class has fields but isn't decorated; write @attrs\.frozen"
        ):
            cls("a")
        with pytest.raises(TypeError, match=r"^Note\.value: "):
            cls.parse("a")

    @pytest.mark.parametrize("base", [*BASES, Title])
    def test_fields_without_annotation(self, base: type) -> None:
        """An `attrs.field()` in the body is a field, with or without an annotation."""
        cls: Any = type("Limited", (base,), {"value": field(default=3)})
        with pytest.raises(TypeError, match=r"^Limited\.value: the class has fields but isn't decorated"):
            cls("a")

    @pytest.mark.parametrize("base", [*BASES, Title])
    @pytest.mark.parametrize("hook", ["__attrs_pre_init__", "__attrs_post_init__"])
    def test_hooks(self, base: type, hook: str) -> None:
        """A hook that no decorator has seen would never be called: the class is refused."""
        cls: Any = type("Hooked", (base,), {hook: lambda _: None})
        text = rf"^Hooked\.{hook}: the class has a hook of attrs but isn't decorated; write @attrs\.frozen above "
        with pytest.raises(TypeError, match=text):
            cls("a")

    def test_a_hook_that_is_called(self) -> None:
        """A subclass may say anew what a hook of its base does: the base's constructor calls it."""
        seen: list[str] = []

        @frozen
        class Base(DomainEvent):
            def __attrs_post_init__(self) -> None:
                seen.append("base")

        class Below(Base):
            def __attrs_post_init__(self) -> None:
                seen.append("below")

        Below()
        assert ["below"] == seen

    @pytest.mark.parametrize("base", BASES)
    def test_dataclass(self, base: type) -> None:
        """A dataclass is not what is asked for; one that isn't frozen can't even set its own fields."""
        text = r"^Limited\.limit: the class has fields but isn't decorated"
        frozen_one: Any = dataclasses.dataclass(frozen=True)(undecorated(base))
        with pytest.raises(TypeError, match=text):
            frozen_one(limit=3)
        thawed: Any = dataclasses.dataclass(undecorated(base))
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            thawed(limit=3)
        with pytest.raises(TypeError, match=text):
            require_decorated(thawed)

    @pytest.mark.parametrize("base", BASES)
    def test_below_a_decorated_class(self, base: type) -> None:
        """A decorated base doesn't decorate what is derived from it."""
        cls: Any = type("Limited", (frozen(undecorated(base)),), {"__annotations__": {"other": int}})
        with pytest.raises(TypeError, match=r"^Limited\.other: "):
            cls(limit=3, other=4)

    @pytest.mark.parametrize(
        "decorate",
        [
            frozen,
            frozen(slots=False),
            frozen(kw_only=True),
            define,
            define(frozen=True),
            define(slots=False),
            attr.s(auto_attribs=True),
            attr.s(auto_attribs=True, frozen=True, slots=True),
        ],
    )
    @pytest.mark.parametrize("base", BASES)
    def test_each_decorator_of_attrs(self, base: type, decorate: Callable[[type], Any]) -> None:
        """Every decorator of attrs will do, with and without slots: the class is frozen as its base is."""
        cls = decorate(undecorated(base))
        made = cls(limit=3)
        assert 3 == made.limit
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            made.limit = 4
        assert "__init__" == cls.__init__.__name__
        assert ["limit"] == [name for name in inspect.signature(cls).parameters if name == "limit"]
        assert "__attrs_init__" not in vars(cls)

    @pytest.mark.parametrize("base", BASES)
    def test_no_fields(self, base: type) -> None:
        """A class without fields needs no decorator, however often it is derived from; class variables don't count."""
        body = {"__annotations__": {"kind": ClassVar[str]}, "kind": "task"}
        cls: Any = type("Below", (type("Plain", (base,), body),), {"shout": lambda self: self.kind.upper()})
        assert "TASK" == cls().shout()

    def test_require_decorated(self) -> None:
        """Code that looks at a class without an instance finds a missing decorator too, in its bases as well."""
        require_decorated(DomainEvent)
        require_decorated(postponed.MeetingPlanned)
        require_decorated(type("Plain", (DomainEvent,), {}))
        for cls in (undecorated(DomainEvent), type("Below", (undecorated(DomainEvent),), {})):
            with pytest.raises(TypeError, match=r"^Limited\.limit: the class has fields but isn't decorated"):
                require_decorated(cls)

    @pytest.mark.parametrize("base", [*BASES, Title])
    def test_dataclass_without_fields(self, base: type) -> None:
        """A dataclass without fields compares as if all were equal: it is found before it meets a codec."""
        with pytest.raises(
            TypeError,
            match=r"^Plain: expected an attrs class, got a dataclass; write @attrs\.frozen instead$",
        ):
            require_decorated(dataclasses.dataclass(frozen=True)(type("Plain", (base,), {})))


def over() -> Any:
    """Return an error without fields that has a constructor of its own."""

    class Over(DomainError):
        def __init__(self, limit: int) -> None:
            super().__init__(additional_info={"limit": limit})

        def __str__(self) -> str:
            return f"Not more: {super().__str__()}"

    return Over


def too_many() -> Any:
    """Return an error with a field and a constructor of its own, for a decorator."""

    class TooMany(DomainError):
        limit: int

        def __init__(self, limit: int) -> None:
            made_by_attrs: Any = self
            made_by_attrs.__attrs_init__(limit=limit, additional_info={"limit": limit})

        def __str__(self) -> str:
            return f"Not more: {super().__str__()}"

    return TooMany


class TestConstructors:
    @pytest.mark.parametrize("base", [AggregateRoot, DomainEvent, Command, Title])
    def test_own_constructor(self, base: type) -> None:
        """A constructor can't be overridden where decoding must call it; the error names a way out."""
        text = r"^Own\.__init__: a constructor is never overridden, .*; write a named constructor instead, such as "
        with pytest.raises(TypeError, match=text):
            type("Own", (base,), {"__init__": lambda self: None})

    @pytest.mark.parametrize("decorate", [frozen, frozen(slots=False), define])
    def test_own_constructor_of_an_error(self, decorate: Callable[[type], Any]) -> None:
        """An error may have its own, with `super()` or with what attrs made, decorated or not."""
        for cls in (over(), decorate(over()), decorate(too_many())):
            assert {"limit": 3} == cls(3).additional_info
            assert FrozenMapping is type(cls(3).additional_info)
            assert str(cls(3)).startswith("Not more: ")
        assert 3 == decorate(too_many())(3).limit
        with pytest.raises(TypeError, match=r"TooMany\.limit: the class has fields but isn't decorated"):
            too_many()(3)

    @pytest.mark.parametrize("base", BASES)
    def test_refused_before_attrs(self, base: type) -> None:
        """Keyword arguments of the class statement reach the bases above."""
        with pytest.raises(TypeError, match="takes no keyword arguments"):
            type("Odd", (base,), {}, odd=True)


class TestTakenNames:
    @pytest.mark.parametrize(
        ("base", "name", "owner"),
        [
            *((AggregateRoot, name, "AggregateRoot") for name in (
                "aggregate_id", "aggregate_version", "_domain_events", "domain_events", "record", "clear_domain_events",
                "pull_domain_events", "_aggregate_id", "_id_type", "_fresh",
            ) if name != "_fresh"),
            *((DomainEvent, name, "Message") for name in (
                "header", "_header", "info", "add_meta", "caused_by", "dict", "json", "from_dict", "from_json",
            )),
            (DomainEvent, "handled_by", "DomainEvent"),
            (DomainEvent, "_kind", "DomainEvent"),
            (Command, "handled_by", "Command"),
            (Command, "_finish_definition", "Message"),
            (DomainError, "detail", "DomainError"),
            (DomainError, "args", "DomainError"),
            (DomainError, "add_note", "DomainError"),
            (DomainError, "with_traceback", "DomainError"),
            (DomainError, "_content", "DomainError"),
            (ValueObject, "parse", "ValueObject"),
        ],
    )  # fmt: skip  # one table
    def test_refused(self, base: type, name: str, owner: str) -> None:
        """A field can't have the name of a field or a method of its base; the error names class, field and owner."""
        text = rf"^Taken\.{name}: the name '{name}' is taken by {owner}; give the field another name$"
        with pytest.raises(TypeError, match=text):
            type("Taken", (base,), {"__annotations__": {name: str}})
        with pytest.raises(TypeError, match=text):
            type("Taken", (type("Between", (base,), {}),), {name: field()})

    def test_free(self) -> None:
        """Other names are free: those of a message's header, and what a user's own base has."""

        @frozen
        class Free(DomainEvent):
            id: str
            meta: str
            occurred_on: str
            name: str
            version: int
            kind: str
            value: str
            record: str

        @frozen
        class Freer(Free):
            kind: str = "narrowed"

        assert "narrowed" == Freer("a", "b", "c", "d", 1, "e", "f").kind


MUTABLE = [
    (list, "list", r"tuple\[X, \.\.\.\]"),
    (list[int], "list", r"tuple\[X, \.\.\.\]"),
    (of(collections.UserList, int), "UserList", r"tuple\[X, \.\.\.\]"),
    (Tags, "Tags", r"tuple\[X, \.\.\.\]"),
    (dict, "dict", r"collections\.abc\.Mapping\[K, V\]"),
    (dict[str, int], "dict", r"collections\.abc\.Mapping\[K, V\]"),
    (collections.OrderedDict[str, int], "OrderedDict", r"collections\.abc\.Mapping\[K, V\]"),
    (collections.Counter[str], "Counter", r"collections\.abc\.Mapping\[K, V\]"),
    (collections.ChainMap[str, int], "ChainMap", r"collections\.abc\.Mapping\[K, V\]"),
    (Typed, "Typed", r"collections\.abc\.Mapping\[K, V\]"),
    (abc.MutableMapping[str, int], "MutableMapping", r"collections\.abc\.Mapping\[K, V\]"),
    (set, "set", r"frozenset\[X\]"),
    (set[int], "set", r"frozenset\[X\]"),
    (abc.MutableSet[int], "MutableSet", r"frozenset\[X\]"),
    (abc.Set[int], "Set", r"frozenset\[X\] \(Set accepts a set\)"),
    (bytearray, "bytearray", "bytes"),
    (collections.deque[int], "deque", r"tuple\[X, \.\.\.\]"),
    (abc.MutableSequence[int], "MutableSequence", r"tuple\[X, \.\.\.\]"),
    (abc.Sequence[int], "Sequence", r"tuple\[X, \.\.\.\] \(Sequence accepts a list\)"),
    (abc.Collection[int], "Collection", r"tuple\[X, \.\.\.\] \(Collection accepts a list\)"),
    (abc.Iterable[int], "Iterable", r"tuple\[X, \.\.\.\] \(Iterable accepts a list\)"),
]  # fmt: skip  # one table
THAWED = [ThawedAttrs, ThawedOldAttrs, ThawedDataclass]
AROUND: list[Callable[[Any], Any]] = [
    lambda hint: hint,
    lambda hint: of(Optional, hint),
    lambda hint: of(tuple, hint, ...),
    lambda hint: of(tuple, int, hint),
    lambda hint: of(Mapping, str, hint),
    lambda hint: of(Annotated, hint, "note"),
    lambda hint: of(Union, int, of(tuple, of(Mapping, str, of(frozenset, hint)), ...)),
    lambda hint: NewType("Named", hint),
    lambda hint: TypeAliasType("Alias", hint),
    lambda hint: of(GenericAlias, hint),
    lambda hint: TypeVar("Bounded", bound=hint),
]


class TestMutableTypes:
    @pytest.mark.parametrize("around", AROUND)
    @pytest.mark.parametrize(("hint", "name", "remedy"), MUTABLE, ids=[name for _, name, _ in MUTABLE])
    def test_collections(self, hint: object, name: str, remedy: str, around: Callable[[object], object]) -> None:
        """A collection that can change is refused at any depth, and the error names class, field and remedy."""
        text = rf"^Holder\.field: a {name} can change after the object is made; use {remedy}$"
        with pytest.raises(TypeError, match=text):
            refuse_mutable(around(hint), "Holder.field")

    @pytest.mark.parametrize("around", AROUND)
    @pytest.mark.parametrize("cls", THAWED)
    def test_classes(self, cls: type, around: Callable[[object], object]) -> None:
        """An attrs class or dataclass that isn't frozen is refused at any depth."""
        name = cls.__name__
        text = rf"^Holder\.field: a {name} can change after .*; write @attrs\.frozen above `class {name}`$"
        with pytest.raises(TypeError, match=text):
            refuse_mutable(around(cls), "Holder.field")

    @pytest.mark.parametrize("around", AROUND)
    @pytest.mark.parametrize(
        "hint",
        [
            int, str, bytes, None, Any, object, tuple[int, ...], frozenset[str], Mapping[str, int], FrozenAttrs,
            FrozenOldAttrs, FrozenByItsBase, FrozenDataclass, Title, Uuid, DomainEvent, type[list[int]],
            Literal["list"], Callable[[list[int]], list[int]],
        ],
    )  # fmt: skip  # one table
    def test_frozen_ones(self, hint: object, around: Callable[[object], object]) -> None:
        """An immutable value is let through; so is a function or a class, whatever it makes."""
        refuse_mutable(around(hint), "Holder.field")

    @pytest.mark.parametrize("base", BASES)
    @pytest.mark.parametrize("slots", [True, False])
    def test_at_class_definition(self, base: type, slots: bool) -> None:
        """A model class with such a field is refused where it is defined, even for a private or a defaulted field."""
        for name in ("tags", "_tags"):
            body = {"__annotations__": {name: list[str]}, name: field(factory=list)}
            text = rf"^Tagged\.{name}: a list can change after the object is made; use tuple\[X, \.\.\.\]$"
            with pytest.raises(TypeError, match=text):
                DECORATORS[slots](type("Tagged", (base,), body))

    def test_value_object(self) -> None:
        """A value object that wraps something that can change is refused where it is defined, decorated or not."""
        with pytest.raises(TypeError, match=r"\.Names\.value: a list can change .*; use tuple\[X, \.\.\.\]$"):

            class Names(ValueObject[list[str]]): ...

        with pytest.raises(TypeError, match=r"\.Others\.value: a dict can change "):

            @frozen
            class Others(ValueObject[Mapping[str, Any]]):
                value: Mapping[str, dict[str, int]]

    def test_inherited_generic_field(self) -> None:
        """The argument that a subclass gives for a type variable is checked, too."""

        @frozen
        class Page(AggregateRoot, Generic[T]):
            items: tuple[T, ...]

        with pytest.raises(TypeError, match=r"\.Lists\.items: a list can change "):

            @frozen
            class Lists(Page[list[int]]):
                more: int


class TestLateNames:
    """Annotations that name what is defined further down."""

    def test_refused_at_the_first_instance(self) -> None:
        """A mutable type that wasn't known at class definition is refused when an instance is made, each time."""
        for _ in range(2):
            with pytest.raises(TypeError, match=r"^HoldsLateList\.lines: a LateLines can change after "):
                postponed.HoldsLateList(())
            with pytest.raises(TypeError, match=r"^LateBox\.value: a LateLines can change after "):
                postponed.LateBox(postponed.LateLines())

    def test_resolved_at_the_first_instance(self) -> None:
        """A class that names itself, or one further down, works as any other once everything is defined."""
        agenda = postponed.Agenda((postponed.Item("a"),))
        first = postponed.Meeting(postponed.Title("Budget"), agenda)
        second = postponed.Meeting(postponed.Title("Budget"), agenda, {"1": {"blue": 8}}, first)
        assert first is second.follows
        assert [FrozenMapping] * 2 == [type(second.rooms), type(second.rooms["1"])]
        assert "LateText: expected str, got int" in str(postponed.LateText.parse(5).failure())

    def test_local_class_that_names_itself(self) -> None:
        """A class in a function may name itself: it is known at once, with its mappings and what is wrong with it."""

        @frozen
        class Node(AggregateRoot):
            parent: "Node | None" = None
            labels: "Mapping[str, Node]" = field(factory=dict)

        assert FrozenMapping is type(Node(Node(), {"a": Node()}).labels)
        with pytest.raises(TypeError, match=r"Branch\.leaves: a list can change after the object is made"):

            @frozen
            class Branch(AggregateRoot):
                leaves: "list[Branch]" = field(factory=list)

    def test_name_known_to_type_checkers_alone(self) -> None:
        """A type that is imported for type checkers alone can't be looked at; the other fields are."""
        share: Any = postponed.Share
        made = share("anything", {"ada": 1})
        assert FrozenMapping is type(made.by_name)

    def test_signature(self) -> None:
        """The signature is that of the fields, before and after the names are known."""

        @frozen
        class Late(DomainEvent):
            first: "Unknown"  # type: ignore[name-defined]  # noqa: F821  # on purpose
            second: int = 2

        before = inspect.signature(Late)
        Late(None)
        assert before == inspect.signature(Late)
        assert ["first", "second", "header"] == list(before.parameters)

    def test_threads(self) -> None:
        """The first instances may be made by many threads at once."""
        for _ in range(20):
            module = sys.modules["made_by_threads"] = ModuleType("made_by_threads")
            names: dict[str, Any] = module.__dict__
            exec(
                "from attrs import frozen\n"
                "from collections.abc import Mapping\n"
                "from domainkit import AggregateRoot, ValueObject\n"
                "@frozen\n"
                "class Board(AggregateRoot):\n"
                "    lines: 'Mapping[str, Line]'\n"
                "class Text(ValueObject['Words']): ...\n"
                "Line, Words = int, str\n",
                names,
            )
            assert [(FrozenMapping, "a")] * 8 == at_once(8, partial(first_instances, names))


def first_instances(names: Mapping[str, Any]) -> tuple[type, str]:
    """Make an instance of each class that test_threads defines."""
    return type(names["Board"]({"a": 1}).lines), names["Text"]("a").value


@frozen
class Slotted(DomainEvent):
    tags: Mapping[str, str]


@frozen(slots=False)
class Slotless(DomainEvent):
    tags: Mapping[str, str]


class TestMappingFields:
    @frozen
    class Held(AggregateRoot):
        plain: Mapping[str, int]
        maybe: Mapping[str, int] | None = None
        nested: Mapping[str, Mapping[str, int]] = field(factory=dict)
        inside: tuple[Mapping[str, int], ...] = ()
        named: NamedMapping | None = None
        noted: Annotated[Mapping[str, int], "note"] = field(factory=dict)
        anything: Mapping[str, object] = field(factory=dict)

    def made(self, given: dict[str, int]) -> Held:
        """Return an object that was given one dict in every place."""
        return self.Held(given, given, {"a": given}, (given,), NamedMapping(given), given, {"a": [given]})

    def test_read_only(self) -> None:
        """A mapping is kept as a read-only copy, at any depth: what is done to the one given doesn't show."""
        given = {"a": 1}
        held = self.made(given)
        before = repr(held)
        given["b"] = 2
        assert before == repr(held)
        maps: list[object] = [held.plain, held.maybe, held.nested, held.inside[0], held.named, held.noted]
        assert {FrozenMapping} == {type(mapping) for mapping in (*maps, held.nested["a"])}
        assert {"a": ({"a": 1},)} == held.anything

    def test_hash_and_equality(self) -> None:
        """Two objects with equal mappings are equal, and hash alike."""
        first = self.made({"a": 1, "b": 2})
        second = attrs.evolve(self.made({"b": 2, "a": 1}), aggregate_id=first.aggregate_id)
        assert first == second
        assert hash(first) == hash(second)
        assert first != attrs.evolve(second, plain={"a": 1})

    def test_a_mapping_that_is_no_dict(self) -> None:
        """Any mapping can be given, and is copied."""
        assert {"a": 1} == self.Held(collections.ChainMap({"a": 1})).plain

    @pytest.mark.parametrize("cls", [Slotted, Slotless])
    def test_with_and_without_slots(self, cls: Callable[..., Slotted | Slotless]) -> None:
        """Slots make no difference, to pickling and copying neither."""
        made = cls({"a": "b"})
        assert FrozenMapping is type(made.tags)
        for copied in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), attrs.evolve(made)):
            assert made == copied
            assert hash(made) == hash(copied)

    def test_own_state(self) -> None:
        """The pickling methods that a class defines are left to it."""

        @frozen(slots=False)
        class Own(DomainEvent):
            x: int

            def __getstate__(self) -> dict[str, object]:
                return {"header": self.header, "x": 5}

        assert 5 == copy_through_state(Own(1)).x


def copy_through_state(message: T) -> T:
    """Return a copy as pickling makes it."""
    made = object.__new__(type(message))
    made.__setstate__(message.__getstate__())  # type: ignore[attr-defined]  # attrs or the library gives them
    return made
