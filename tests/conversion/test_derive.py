"""Derivation: every type of a field gets its wire type once, or an error that names class, field and remedy."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID

import pytest
from attrs import field, frozen
from every_kind import Card, Colour, Level, Line, OrderId, Pair, Price, Quantity, Sku, Title, Transfer
from holders import PATH, holder, refused, rewritten, short
from msgspec import Meta
from typing_extensions import TypeAliasType

from domainkit import (
    AggregateRoot,
    Command,
    DomainEvent,
    MessageCodec,
    Tagged,
    UnsupportedTypeError,
    Uuid,
    ValueObject,
)
from domainkit.conversion.derive import Derivation

T = TypeVar("T")
S = TypeVar("S")


class Stranger: ...


@dataclass(frozen=True)
class Data:
    number: int


class Row(NamedTuple):
    number: int


class Table(TypedDict):
    number: int


class Name(str):
    __slots__ = ()


@frozen
class Named:
    kind: str


@frozen
class Base:
    number: int


class Undecorated(Base):
    more: int


@frozen
class Box(Generic[T]):
    value: T


@frozen
class Growing(Generic[T]):
    value: T
    following: "Growing[tuple[T, ...]] | None" = None


@frozen
class Lost:
    field: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  (it can't be found)


class Happened(DomainEvent): ...


class Wrapped(ValueObject[Stranger]): ...


FORM = "Holder.field: expected a type with a wire form, got "
NO_FORM = "; use a value object, an @attrs.frozen class, an Enum, or one of str"
OPEN = "name the class with its argument, such as Box[str]"
UNION = "Holder.field: expected a union of types that JSON distinguishes, got "
WITH_TAG = 'add a tag: Annotated[..., Tagged("kind", name=Class, ...)]'
KEY = "Holder.field: expected keys that are text in JSON, got "
NO_KEY = "; use a str, an int, an id, or a value object of one"
UNFIT = "expected a constraint for the wire form of its type, got another ("

REFUSED: list[tuple[Any, str, str]] = [
    # the type, how the error begins, and what else it says
    (Stranger, f"{FORM}Stranger", NO_FORM),
    (Any, FORM, NO_FORM),
    (object, f"{FORM}object", NO_FORM),
    (complex, f"{FORM}complex", NO_FORM),
    (Data, f"{FORM}Data", NO_FORM),
    (Row, f"{FORM}Row", NO_FORM),
    (Name, f"{FORM}Name", NO_FORM),
    (tuple, f"{FORM}tuple", NO_FORM),
    (frozenset, f"{FORM}frozenset", NO_FORM),
    (Mapping, f"{FORM}Mapping", NO_FORM),
    (type[int], f"{FORM}type[int]", NO_FORM),
    (Callable[[int], int], FORM, NO_FORM),
    (Iterator[int], FORM, NO_FORM),
    (Table, "Holder.field: ", "use"),
    (tuple[Stranger, ...], f"{FORM}Stranger", NO_FORM),
    (Mapping[str, tuple[Stranger | None, int]], f"{FORM}Stranger", NO_FORM),
    (Wrapped, "Wrapped.value: expected a type with a wire form, got Stranger", NO_FORM),
    (list[int], "Holder.field: a list can change after the object is made", "use tuple[X, ...]"),
    (dict[str, int], "Holder.field: a dict can change after the object is made", "use collections.abc.Mapping[K, V]"),
    (set[int], "Holder.field: a set can change after the object is made", "use frozenset[X]"),
    (tuple[bytearray, ...], "Holder.field: a bytearray can change after the object is made", "use bytes"),
    (Sequence[int], "Holder.field: a Sequence can change", "use tuple[X, ...] (Sequence accepts a list)"),
    (T, "Holder.field: expected a type argument, got the type variable ~T", OPEN),
    (Box, "Box.value: expected a type argument, got the type variable ~T", OPEN),
    (Growing[int], "Growing: expected a class that contains itself with the same type arguments", "use the same"),
    (Undecorated, "Undecorated.more: the class has fields but isn't decorated", "write @attrs.frozen above `class Un"),
    (Lost, "Lost.field: the annotation 'Nowhere' names something that can't be found", "define it in the module"),
    (Happened, "Holder.field: expected another type, since a message can't hold another, got Happened", "; use its id"),
    (int | float, f"{UNION}int | float, with int and float (each is int in JSON)", "use one of them"),
    (str | UUID, f"{UNION}str | UUID, with str and a UUID (each is str in JSON)", "use one of them"),
    (Title | OrderId, f"{UNION}Title | OrderId, with Title (str) and OrderId (a UUID)", "use one of them"),
    (Title | Colour | None, f"{UNION}Title | Colour | None, with Title (str) and a Colour", "use one of them"),
    (tuple[int, ...] | frozenset[int], f"{UNION}tuple[int, ...] | frozenset[int]", "(each is array in JSON); use one"),
    (Card | Transfer, f"{UNION}Card | Transfer, with Card and Transfer (each is object in JSON)", WITH_TAG),
    (Line | Mapping[str, int], f"{UNION}Line | Mapping[str, int], with Line and", WITH_TAG),
    (Mapping[float, int], f"{KEY}float", NO_KEY),
    (Mapping[bool, int], f"{KEY}bool", NO_KEY),
    (Mapping[Line, int], f"{KEY}Line", NO_KEY),
    (Mapping[str | int, int], f"{KEY}str | int", NO_KEY),
    (Mapping[tuple[int, ...], int], f"{KEY}tuple[int, ...]", NO_KEY),
    (Annotated[int, Meta(min_length=1)], "Holder.field: ", UNFIT),
    (Annotated[int | None, Meta(ge=1)], "Holder.field: ", "in a union, put it next to the member that it applies to"),
    (Annotated[Decimal, Meta(ge=1)], "Holder.field: ", UNFIT),
    (Annotated[Line, Meta(min_length=1)], "Holder.field: ", UNFIT),
    (Annotated[Card | Transfer, Tagged("kind", card=Card, line=Line)], "Holder.field: Tagged('kind', ...)",
     ": expected exactly the classes of Card | Transfer, got Card, Line; name each class of the union"),
    (Annotated[Title | Card, Tagged("kind", title=Title, card=Card)],
     "Holder.field: expected @attrs.frozen classes in a tagged union, got Title",
     "put it into a field of such a class"),
    (Annotated[Card | Named, Tagged("kind", card=Card, named=Named)],
     "Holder.field: expected a tag with a key that isn't a field, got 'kind', a field of Named",
     "rename the tag"),
]  # fmt: skip  # a row for each


@pytest.mark.parametrize(("hint", "start", "remedy"), REFUSED, ids=short)
def test_what_has_no_wire_form_is_refused_by_name(hint: Any, start: str, remedy: str) -> None:
    """The error comes when the codec is made, at the latest, and names class, field and remedy."""
    with pytest.raises(TypeError) as caught:
        MessageCodec(holder(hint))
    assert start == str(caught.value)[: len(start)]
    assert remedy in str(caught.value)


def test_a_field_of_a_type_that_is_not_supported_is_a_type_error_of_its_own() -> None:
    """UnsupportedTypeError is a TypeError, raised too where the message is written before a codec is made."""
    with pytest.raises(UnsupportedTypeError):
        holder(Stranger)(Stranger()).json()


def test_two_fields_of_one_name_on_the_wire() -> None:
    """Two fields can't be one key: attrs refuses the class, since its constructor would have an argument twice."""
    with pytest.raises(SyntaxError, match=r"duplicate (argument|parameter) 'number'"):

        @frozen
        class Doubled(DomainEvent):
            _number: int
            number: int


UserId = NewType("UserId", UUID)
Names = TypeAliasType("Names", tuple[Title, ...])
Both = TypeAliasType("Both", tuple[T, T], type_params=(T,))

DERIVED: list[tuple[Any, Any, Any]] = [
    (UserId, UserId(UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
    (NewType("Maybe", int), 5, 5),
    (Names, (Title("a"),), ["a"]),
    (Both[int], (1, 2), [1, 2]),
    (Box[int], Box(1), {"value": 1}),
    (Box[Box[Title]], Box(Box(Title("a"))), {"value": {"value": "a"}}),
    (Box[int | None], Box(None), {"value": None}),
    (Pair[OrderId], Pair(OrderId(UUID(int=1)), OrderId(UUID(int=2))), {
        "left": "00000000-0000-0000-0000-000000000001", "right": "00000000-0000-0000-0000-000000000002"}),
    (Annotated[int, "a note"], 5, 5),
    (Annotated[Title | None, "a note"], None, None),
    (Literal["a"] | int, 5, 5),
    (Level | str, Level.LOW, 1),
    (Title | Quantity | bool | None | tuple[int, ...] | Line, (1,), [1]),
    (None, None, None),
]  # fmt: skip  # a row for each


@pytest.mark.parametrize(("hint", "value", "wire"), DERIVED, ids=short)
def test_new_types_aliases_and_generics(hint: Any, value: object, wire: object) -> None:
    """A NewType, a type alias, an Annotated and a generic class with its arguments are what they stand for."""
    assert wire == rewritten(value, hint)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` needs Python 3.12")
def test_an_alias_that_names_something_unknown() -> None:
    """It is refused when the codec is made, as an annotation is, with the field that it stands in."""
    names: dict[str, Any] = {}
    exec("type Later = tuple[Missing, ...]", names)
    with pytest.raises(UnsupportedTypeError, match=r"^Holder\.field: name 'Missing' is not defined"):
        MessageCodec(holder(names["Later"]))


@frozen
class Created(DomainEvent, Generic[T]):
    what: T
    at: tuple[datetime, ...] = ()


class TitleCreated(Created[Title]): ...


@frozen
class Counted(Created[T], Generic[T, S]):
    count: S = field(kw_only=True)


class LineCounted(Counted[Line, int]): ...


class Ask(Command[Title, Exception]): ...


def test_generic_messages() -> None:
    """A generic message is carried by its subclasses that give the arguments, through several bases."""
    event = TitleCreated(Title("a"))
    assert event == TitleCreated.from_json(event.json())
    assert ("title.created", {"what": "a", "at": []}) == (
        TitleCreated.info().name,
        event.dict()["data"]["attributes"],
    )
    counted = LineCounted(Line(Sku("a"), Quantity(1), Price(Decimal(1))), count=5)
    assert counted == LineCounted.from_json(counted.json())
    assert Ask.from_json(Ask().json()).info().kind == "command"


def test_a_generic_message_without_argument_is_refused() -> None:
    """Nobody knows what is in it."""
    with pytest.raises(UnsupportedTypeError, match=r"Created\.what: expected a type argument, got the type var"):
        MessageCodec(Created)


class TaskId(Uuid): ...


@frozen
class Task(AggregateRoot[TaskId]):
    title: Title


def test_an_aggregate_in_a_message_has_its_state_alone() -> None:
    """An aggregate is carried with its id and version, never with its recorded events; no event is invented."""
    task = Task(Title("a")).record(Happened())
    event = holder(Task)(task)
    found = holder(Task).from_json(event.json()).field
    assert (task, ()) == (found, found.domain_events)
    wire = {"title": "a", "aggregate_id": str(task.aggregate_id), "aggregate_version": 1}
    assert wire == event.dict()["data"]["attributes"]["field"]
    for key in ("aggregate_id", "aggregate_version"):
        less = {name: value for name, value in wire.items() if name != key}
        assert [(f"{PATH}.{key}", "missing")] == [(p.path, p.code) for p in refused(holder(Task), less)]


def test_one_wire_type_for_a_class_and_for_equal_generics() -> None:
    """Within one derivation equal types are one node, and distinct arguments are distinct ones."""
    derivation = Derivation()
    assert derivation.node(Box[int], "x") is derivation.node(Box[int], "y")
    assert derivation.node(Box[int], "x") is not derivation.node(Box[str], "x")


@frozen
class Inner:
    bad: complex


def test_text_of_errors_names_the_field_inside_of_nested_classes() -> None:
    """The class and field named are those that hold the type, wherever they stand."""
    with pytest.raises(TypeError, match=r"^Inner\.bad: expected a type with a wire form, got complex"):
        MessageCodec(holder(tuple[Mapping[str, Inner], ...]))
