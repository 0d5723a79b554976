"""Classes of attrs: made as their constructor would make them, whatever attrs can do with a class."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

import attrs
import pytest
from attrs import Attribute, define, field, frozen
from attrs.validators import and_, ge, gt, in_, le, lt, matches_re, max_len, min_len, optional
from every_kind import Line, OrderId, Price, Quantity, Sku, Title
from holders import PATH, envelope, holder, problems_of, read, refused, rewritten, unwritable

from domainkit import DomainEvent, InvalidMessage, MessageCodec, ValueObject
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import Refused
from domainkit.messages import wire_of

SECRET = "hunter2-secret"


@frozen
class Mixed(DomainEvent):
    """A field with a default before a required one."""

    first: int = 1
    second: str = field(kw_only=True)
    third: str = field(default="c", kw_only=True)
    fourth: int = field(kw_only=True)


def test_required_fields_after_fields_with_a_default() -> None:
    """A required field may stand after one with a default, as keyword-only fields do."""
    event = Mixed(second="b", fourth=4)
    assert event == Mixed.from_json(event.json()) == Mixed.from_dict(event.dict())
    assert event == wire_of(Mixed).decode(event.json().encode())
    assert {"second": "b", "fourth": 4, "first": 1, "third": "c"} == event.dict()["data"]["attributes"]


@frozen
class Defaults(DomainEvent):
    number: int = 7
    text: str = field(factory=lambda: "made")
    title: Title | None = None
    names: tuple[str, ...] = ()
    prices: Mapping[str, int] = field(factory=dict)
    fixed: Mapping[str, int] = field(default={"a": 1})


def test_an_absent_field_has_its_default() -> None:
    """A field with a default may be absent; it is never invented otherwise."""
    data: Any = Defaults().dict()
    absent: tuple[Any, ...] = ({}, None)
    for attributes in absent:
        data["data"]["attributes"] = attributes
        made = Defaults.from_dict(data)
        assert (7, "made", None, (), {}, {"a": 1}) == (
            made.number, made.text, made.title, made.names, made.prices, made.fixed,
        )  # fmt: skip  # one row
    del data["data"]["attributes"]
    assert made == Defaults.from_dict(data)


def test_a_default_mapping_is_read_only_too() -> None:
    """The values in a decoded message can't change, though a default was a dict."""
    event = Defaults()
    raw = event.json().replace('"prices":{},"fixed":{"a":1}', '"names":[]')
    for made in (wire_of(Defaults).decode(raw.encode()), Defaults.from_json(raw), event):
        assert made == event
        for mapping in (made.prices, made.fixed):
            with pytest.raises(TypeError, match="read-only"):
                mapping["b"] = 2  # type: ignore[index]  # refused at run time as well


def test_defaults_of_a_plain_class() -> None:
    """A class of attrs alone keeps its defaults as they are."""

    @frozen
    class Plain:
        number: int = 1
        pair: tuple[int, ...] = field(factory=tuple)

    assert Plain() == read(holder(Plain), {})


@frozen
class Doubling:
    number: int
    double: int = field(init=False)

    @double.default
    def _double(self) -> int:
        return 2 * self.number


@frozen
class OfItself:
    number: int
    twice: int = attrs.Factory(lambda self: 2 * self.number, takes_self=True)


def _half(number: int) -> int:
    return number // 2


@frozen
class Converting:
    number: int = field(converter=_half)


@frozen
class PostInit:
    number: int

    def __attrs_post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(SECRET)


@frozen
class PreInit:
    number: int

    def __attrs_pre_init__(self) -> None:
        object.__setattr__(self, "number", 0)


@frozen(init=False)
class OwnInit:
    number: int

    def __init__(self, number: int) -> None:
        self.__attrs_init__(abs(number))


@frozen
class Base:
    number: int


class Undecorated(Base):
    def __init__(self, number: int) -> None:
        super().__init__(number + 1)


class WithoutAnything(Base): ...


@frozen(cache_hash=True)
class CachedHash:
    number: int


@frozen(slots=False)
class Dictionary:
    number: int


@frozen
class Wrong(Exception):
    number: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wrong) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


class OwnNew:
    __slots__ = ()

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(cls)


@frozen
class Made(OwnNew):
    number: int


MADE: list[tuple[type, dict[str, int], Any]] = [
    (Doubling, {"number": 2}, 4),
    (OfItself, {"number": 2, "twice": 5}, 5),
    (Converting, {"number": 8}, 4),
    (PostInit, {"number": 1}, 1),
    (PreInit, {"number": 1}, 1),
    (OwnInit, {"number": -3}, 3),
    (Undecorated, {"number": 1}, 2),
    (WithoutAnything, {"number": 1}, 1),
    (CachedHash, {"number": 1}, 1),
    (Dictionary, {"number": 1}, 1),
    (Wrong, {"number": 1}, 1),
    (Made, {"number": 1}, 1),
]


@pytest.mark.parametrize(("cls", "wire", "last"), MADE)
def test_an_object_is_made_as_its_constructor_makes_it(cls: type, wire: dict[str, int], last: int) -> None:
    """Converters, hooks, defaults that look at self, own constructors and cached hashes have their say on decoding."""
    found: Any = read(holder(cls), wire)
    expected = cls(**wire)
    assert (cls, expected, hash(expected)) == (type(found), found, hash(found))
    assert last == attrs.astuple(found)[-1]


def test_a_default_that_looks_at_self_is_required() -> None:
    """On the wire such a field is always there: it is never computed anew."""
    assert [f"{PATH}.twice"] == [problem.path for problem in refused(holder(OfItself), {"number": 2})]


def test_the_sentence_of_a_rule_is_in_the_problem() -> None:
    """The text of a hook or validator of attrs is told, unless it repeats a part of a value."""
    problems = refused(holder(PostInit), {"number": -1})
    assert [(PATH, f"a valid PostInit: {SECRET}", "value")] == [(p.path, p.expected, p.code) for p in problems]
    problems = refused(holder(Telling), {"name": "opensesame"})
    found = [(p.path, p.expected, p.code) for p in problems]
    assert [(f"{PATH}.name", "a valid Telling (ValueError)", "value")] == found


def _tells(_: object, __: object, name: str) -> None:
    raise ValueError(f"not a name: {name!r}!")


@frozen
class Telling:
    name: str = field(validator=_tells)


def _even(_: object, __: "Attribute[int]", number: int) -> None:
    if number % 2:
        raise ValueError(SECRET)


def _increasing(checked: "Validated", _: "Attribute[int]", most: int) -> None:
    if most < checked.least:
        raise ValueError(SECRET)


@frozen
class Validated:
    least: int = field(validator=ge(0))
    most: int = field(validator=[lt(100), _increasing])
    even: int = field(default=0, validator=and_(gt(-10), le(10), _even))
    name: str = field(default="ab", validator=[min_len(1), max_len(3), matches_re("[a-z]*")])
    start: str = field(default="ab", validator=matches_re("a", func=re.match))
    found: str = field(default="ab", validator=matches_re("b$", func=re.search))
    maybe: int | None = field(default=None, validator=optional(ge(5)))
    either: int | None = field(default=5, validator=ge(5))  # `None` is refused, with a TypeError
    chosen: str = field(default="a", validator=in_(("a", "b")))
    number: int = field(default=1, validator=attrs.validators.instance_of(int))


GOOD: list[dict[str, Any]] = [
    {},
    {"even": 10},
    {"name": "abc"},
    {"start": "abc"},
    {"found": "aab"},
    {"maybe": 5},
    {"chosen": "b"},
    {"least": 5, "most": 5},
]
BAD: list[dict[str, Any]] = [
    {"least": -1},
    {"most": 100},
    {"least": 50, "most": 49},
    {"even": 3},
    {"even": -10},
    {"even": 12},
    {"name": ""},
    {"name": "abcd"},
    {"name": "ABC"},
    {"start": "ba"},
    {"found": "ba"},
    {"maybe": 4},
    {"either": None},
    {"either": 4},
    {"chosen": "c"},
]


@pytest.mark.parametrize("more", GOOD)
def test_what_all_validators_allow_is_read(more: dict[str, Any]) -> None:
    """The validators of attrs that are checked in place allow what they allow in the constructor."""
    wire = {"least": 1, "most": 2, **more}
    assert Validated(**wire) == read(holder(Validated), wire)


@pytest.mark.parametrize("more", BAD)
def test_what_a_validator_refuses_is_refused(more: dict[str, Any]) -> None:
    """Every validator runs on decoding; the problem has the path of its field."""
    wire = {"least": 1, "most": 2, **more}
    with pytest.raises((ValueError, TypeError)):
        Validated(**wire)
    problems = refused(holder(Validated), wire)
    assert [(f"{PATH}.{[*more][-1]}", "value")] == [(problem.path, problem.code) for problem in problems]


@frozen
class Checked(DomainEvent):
    number: int = field(validator=ge(0))
    low: int = field(default=0, validator=_even)


def test_validators_of_a_message_run_on_decoding() -> None:
    """A value that the validator of a payload's field refuses is refused, with the path of that field."""
    event = Checked(1)
    cases = (('"number":1', '"number":-1', "'number' must be >= 0"), ('"low":0', '"low":1', SECRET))
    for old, new, reason in cases:
        raw = event.json().replace(old, new)
        assert isinstance(wire_of(Checked).decode(raw.encode()), Exception)
        problems = problems_of(lambda raw=raw: Checked.from_json(raw))
        path = f"$.data.attributes.{old[1:-3]}"
        assert [(path, f"a valid Checked: {reason}", "value")] == [
            (problem.path, problem.expected, problem.code) for problem in problems
        ]


@frozen
class Names(DomainEvent):
    _private: int
    __mangled: int
    renamed: str = field(alias="camelCase")
    class_: str
    ünïcode: str  # noqa: PLC2401  (a user may)
    f_0: int
    cls: int
    struct: int
    new: int
    o: int
    w: int
    Refused: int
    UNSET: int
    str: str


def test_fields_of_any_name() -> None:
    """On the wire a field is called as in the constructor: private ones without underscore, others by their alias.

    No name of a field is in the way of the functions that are generated.
    """
    wire: dict[str, Any] = {
        "private": 1, "Names__mangled": 2, "camelCase": "a", "class_": "b", "ünïcode": "c", "f_0": 3, "cls": 4,
        "struct": 5, "new": 6, "o": 7, "w": 8, "Refused": 9, "UNSET": 10, "str": "d",
    }  # fmt: skip  # one table
    event = Names(**wire)
    assert wire == event.dict()["data"]["attributes"]
    assert event == Names.from_json(event.json()) == wire_of(Names).decode(event.json().encode())


def test_an_instance_of_a_subclass_is_not_written_where_its_base_stands() -> None:
    """It would come back as its base, without what it has more."""

    @frozen
    class Longer(Line):
        more: int = 0

    longer = Longer(Sku("a"), Quantity(1), Price(Decimal(1)))
    assert [(PATH, "Line", "type")] == [(p.path, p.expected, p.code) for p in unwritable(holder(Line), longer)]


def test_all_problems_of_an_object_are_listed_on_writing() -> None:
    """Every field that can't be written is a problem of its own."""
    wrong: Any = Line
    paths = [problem.path for problem in unwritable(holder(Line), wrong("a", 1, 2, 3))]
    assert [f"{PATH}.{name}" for name in ("sku", "quantity", "price", "note")] == paths


def test_unknown_keys_are_refused_on_demand() -> None:
    """With forbid_unknown a key that no field has is a problem of its object, at every depth; else it is ignored."""
    cls = holder(Line)
    line = {"sku": "a", "quantity": 1, "price": "1"}
    data = envelope(cls, {**line, "extra": SECRET})
    assert MessageCodec(cls).decode_dict(data).unwrap() == cls.from_dict(envelope(cls, line))
    problems = MessageCodec(cls, forbid_unknown=True).decode_dict(data).failure().problems
    assert [(PATH, "only the keys of Line", "unknown")] == [(p.path, p.expected, p.code) for p in problems]
    assert MessageCodec(cls, forbid_unknown=True).decode_dict(envelope(cls, line)).unwrap() == cls.from_dict(data)


def test_a_struct_made_by_hand_is_refused() -> None:
    """The fast path accepts only exact instances of its class."""
    node = wire_of(Mixed).node
    with pytest.raises((Refused, TypeError)):
        node.dump(object())


def test_an_empty_class() -> None:
    """A class without fields is an empty object."""

    @frozen
    class Nothing: ...

    assert {} == rewritten(Nothing(), Nothing)


def test_a_message_without_fields_reads_its_attributes_as_nothing() -> None:
    """The attributes may be absent, null or empty where nothing is required; anything else is refused."""
    cls: Any = frozen(type("Happened", (DomainEvent,), {}))
    event = cls()
    data: Any = event.dict()
    for attributes in ({}, None, {"x": 1}):
        assert event == cls.from_dict({"data": {**data["data"], "attributes": attributes}})
    with pytest.raises(InvalidMessage):
        cls.from_dict({"data": {**data["data"], "attributes": []}})


class Total(ValueObject[int]):
    def __str__(self) -> str:
        raise AssertionError("nobody asks for the text")


def test_nothing_of_the_object_is_called_but_what_is_needed() -> None:
    """Writing looks at the value alone."""
    assert 5 == rewritten(Total(5), Total)


def test_a_node_is_derived_once() -> None:
    """Fields of one type share its node; another derivation makes its own."""
    derivation = Derivation()
    assert derivation.node(Line, "x") is derivation.node(Line, "y")
    assert derivation.node(Line, "x") is not Derivation().node(Line, "x")


@define
class Thawed:
    number: int


def test_a_class_that_can_change_is_refused() -> None:
    """A message holds frozen values alone."""
    with pytest.raises(TypeError, match=r"Thawed can change after the object is made; write @attrs\.frozen"):
        holder(Thawed)


def test_ids_come_back_as_their_own_class() -> None:
    """Two ids of one UUID and of two classes stay apart."""
    found = read(holder(tuple[OrderId, UUID]), ["a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"] * 2)
    assert (OrderId, UUID) == tuple(map(type, found))
