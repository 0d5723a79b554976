"""The wire form of petisco 2, in both directions: hundreds of messages that one library writes and the other reads."""

import json
import random
import string
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import UUID

import petisco
import pytest
from attrs import frozen
from every_kind import EveryKind, Maker
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from returns.result import Success
from sizes import at_full

from domainkit import Command, DomainEvent, JsonValue, Message, MessageCodec, MessageHeader, Uuid, ValueObject

MANY = at_full(5000)
FIRST_YEAR = 1000
"""strftime, which petisco writes times with, gives an earlier year fewer than the four digits that strptime reads."""


class OrderId(Uuid): ...


class Title(ValueObject[str]): ...


class Quantity(ValueObject[int]): ...


class Weight(ValueObject[float]): ...


class Urgent(ValueObject[bool]): ...


@frozen
class Line:
    sku: Title
    quantity: Quantity
    owner: OrderId


@frozen
class Parcel:
    line: Line
    weight: float
    note: str | None


@frozen
class OrderPlaced(DomainEvent):
    order_id: OrderId
    title: Title
    quantity: Quantity
    weight: Weight
    urgent: Urgent
    text: str
    number: int
    ratio: float
    flag: bool
    nothing: None
    maybe_title: Title | None
    maybe_id: OrderId | None
    words: tuple[str, ...]
    counts: Mapping[str, int]
    parcel: Parcel
    id: int
    type: str
    version: int
    occurred_on: str
    meta: Mapping[str, str]

    class Config:
        version = 3


@frozen
class PlaceOrder(Command):
    order_id: OrderId
    text: str
    number: int | None


class TitleOf(petisco.ValueObject):
    value: str


class NumberOf(petisco.ValueObject):
    value: int | float | bool


class PetiscoLine(BaseModel):
    sku: Annotated[TitleOf, petisco.ValueObjectSerializer]
    quantity: Annotated[NumberOf, petisco.ValueObjectSerializer]
    owner: petisco.Uuid


class PetiscoParcel(BaseModel):
    line: PetiscoLine
    weight: float
    note: str | None


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # pydantic's, of the Config that petisco takes the version from

    class PetiscoOrderPlaced(petisco.DomainEvent):
        order_id: petisco.Uuid
        title: TitleOf
        quantity: NumberOf
        weight: NumberOf
        urgent: NumberOf
        text: str
        number: int
        ratio: float
        flag: bool
        nothing: None
        maybe_title: TitleOf | None
        maybe_id: petisco.Uuid | None
        words: list[str]
        counts: dict[str, int]
        parcel: PetiscoParcel
        id: int
        type: str
        version: int
        occurred_on: str
        meta: dict[str, str]

        class Config:
            version = 3


class PetiscoPlaceOrder(petisco.Command):
    order_id: petisco.Uuid
    text: str
    number: int | None


PetiscoOrderPlaced.__name__, PetiscoPlaceOrder.__name__ = "OrderPlaced", "PlaceOrder"  # what the name comes from
CODEC = MessageCodec(OrderPlaced, PlaceOrder)
ALPHABET = string.printable + "äß漢字🎉\u0000\u2028\ufeff\U0010ffff"
META: tuple[JsonValue, ...] = (None, True, 7, 1.5, "ü🎉", [1, {"a": None}], {"b": []})


class Values:
    """Random builtins, of which both libraries' messages are made."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        return "".join(self.random.choices(ALPHABET, k=self.random.randint(0, 12)))

    def uuid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def number(self) -> int:
        return self.random.choice([0, 1, -1, 2**31, 2**53 + 1, 2**63, 10**40, self.random.randint(-999, 999)])

    def ratio(self) -> float:
        return self.random.choice([0.0, -0.0, 1.0, 1e16, 1e-300, 1e300, 5e-324, self.random.uniform(-1e6, 1e6)])

    def flag(self) -> bool:
        return self.random.random() < 0.5

    def moment(self) -> datetime:
        start = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
        microseconds = self.random.choice([0, 1, 999_999, self.random.randrange(10**6)])
        return start + timedelta(self.random.randrange(3_280_000), self.random.randrange(86_400), microseconds)

    def meta(self) -> dict[str, JsonValue]:
        return {self.text(): self.random.choice(META) for _ in range(self.random.randint(0, 3))}

    def order(self) -> SimpleNamespace:
        """Return the values of an event."""
        pick = self.random.choice
        return SimpleNamespace(
            order_id=self.uuid(), title=self.text(), quantity=self.number(), weight=self.ratio(), urgent=self.flag(),
            text=self.text(), number=self.number(), ratio=self.ratio(), flag=self.flag(), nothing=None,
            maybe_title=pick([None, self.text()]), maybe_id=pick([None, self.uuid()]),
            words=[self.text() for _ in range(self.random.randint(0, 3))], counts={self.text(): self.number()},
            sku=self.text(), lines=self.number(), owner=self.uuid(), grams=self.ratio(), note=pick([None, self.text()]),
            id=self.number(), type=self.text(), version=self.number(), occurred_on=self.text(),
            meta={self.text(): self.text()},
        )  # fmt: skip  # in the order of the fields


def our_order(values: SimpleNamespace, header: MessageHeader) -> OrderPlaced:
    """Return this library's event of the values."""
    line = Line(Title(values.sku), Quantity(values.lines), OrderId.from_str(values.owner))
    return OrderPlaced(
        OrderId.from_str(values.order_id), Title(values.title), Quantity(values.quantity), Weight(values.weight),
        Urgent(values.urgent), values.text, values.number, values.ratio, values.flag, values.nothing,
        None if values.maybe_title is None else Title(values.maybe_title),
        None if values.maybe_id is None else OrderId.from_str(values.maybe_id),
        tuple(values.words), values.counts, Parcel(line, values.grams, values.note),
        values.id, values.type, values.version, values.occurred_on, values.meta, header=header,
    )  # fmt: skip  # in the order of the fields


def their_order(values: SimpleNamespace) -> PetiscoOrderPlaced:
    """Return petisco's event of the values."""
    line = PetiscoLine(
        sku=TitleOf.from_value(values.sku), quantity=NumberOf.from_value(values.lines), owner=petisco.Uuid(values.owner)
    )
    return PetiscoOrderPlaced(
        order_id=petisco.Uuid(values.order_id), title=TitleOf.from_value(values.title),
        quantity=NumberOf.from_value(values.quantity), weight=NumberOf.from_value(values.weight),
        urgent=NumberOf.from_value(values.urgent), text=values.text, number=values.number,
        ratio=values.ratio, flag=values.flag, nothing=values.nothing,
        maybe_title=None if values.maybe_title is None else TitleOf.from_value(values.maybe_title),
        maybe_id=None if values.maybe_id is None else petisco.Uuid(values.maybe_id),
        words=values.words, counts=values.counts,
        parcel=PetiscoParcel(line=line, weight=values.grams, note=values.note),
        id=values.id, type=values.type, version=values.version, occurred_on=values.occurred_on, meta=values.meta,
    )  # fmt: skip  # in the order of the fields


def with_header(theirs: petisco.Message, header: MessageHeader) -> petisco.Message:
    """Return petisco's message with the parts of a header of this library."""
    theirs._message_id = petisco.Uuid(str(header.id))
    theirs._message_occurred_on = header.occurred_on
    theirs.add_meta(json.loads(json.dumps(header.meta)))
    return theirs


def pairs(seed: int) -> Iterator[tuple[Message, petisco.Message]]:
    """Give messages of this library, each with petisco's of the same values: events and commands by turns."""
    values = Values(seed)
    for index in range(MANY):
        header = MessageHeader(Uuid.from_str(values.uuid()), values.moment(), values.meta())
        if index % 2:
            of_order = values.order()
            yield our_order(of_order, header), with_header(their_order(of_order), header)
        else:
            order_id, text, number = values.uuid(), values.text(), values.random.choice([None, values.number()])
            ours = PlaceOrder(OrderId.from_str(order_id), text, number, header=header)
            theirs = PetiscoPlaceOrder(order_id=petisco.Uuid(order_id), text=text, number=number)
            yield ours, with_header(theirs, header)


def test_what_petisco_writes_is_read_here() -> None:
    """An event or command of petisco becomes the equal message of this library, by each way in."""
    for ours, theirs in pairs(1):
        assert ours == type(ours).from_json(theirs.format_json())
        assert ours == type(ours).from_json(theirs.format_json().encode())
        assert ours == type(ours).from_dict(theirs.format())
        assert Success(ours) == CODEC.decode(theirs.format_json())
        assert Success(ours) == CODEC.decode_dict(theirs.format())


def test_what_is_written_here_petisco_reads() -> None:
    """A message of this library becomes petisco's with equal id, name, version, time, attributes, meta and type."""
    for ours, theirs in pairs(2):
        base = petisco.DomainEvent if isinstance(ours, DomainEvent) else petisco.Command
        wires: tuple[Any, ...] = (ours.json(), CODEC.encode(ours), ours.dict())
        for wire in wires:
            found = base.from_format(wire)
            assert str(ours.header.id) == found.get_message_id()
            assert ours.info().name == found.get_message_name() == theirs.get_message_name()
            assert ours.info().version == found.get_message_version() == theirs.get_message_version()
            assert ours.info().kind == found.get_message_type() == theirs.get_message_type()
            assert ours.header.occurred_on == found.get_message_occurred_on()
            assert theirs.format()["data"]["attributes"] == found.get_message_attributes()
            assert theirs.get_message_meta() == found.get_message_meta()
            assert theirs == found


def test_one_message_has_one_wire_form() -> None:
    """Of the same values, both libraries write the same: equal builtins, with the keys in the same order."""
    for ours, theirs in pairs(3):
        written = json.loads(theirs.format_json())
        assert written == ours.dict() == json.loads(ours.json()) == json.loads(CODEC.encode(ours))
        assert json.dumps(written) == json.dumps(ours.dict())


def test_petisco_reads_its_own_class_of_a_message_written_here() -> None:
    """A class of petisco with ids, texts and numbers reads this library's command as its own, typed id and all."""
    for ours, theirs in pairs(4):
        if isinstance(ours, PlaceOrder):
            found = PetiscoPlaceOrder.from_format(ours.json())
            assert isinstance(found, PetiscoPlaceOrder)
            assert (str(ours.order_id), ours.text, ours.number) == (found.order_id, found.text, found.number)
            assert theirs == found


def test_a_message_passes_through_petisco_unchanged() -> None:
    """Every kind of field survives: written here, read and written again by petisco, read here, it is equal."""
    maker, sent = Maker(5), 0
    while sent < MANY:
        ours = maker.message()
        if ours.header.occurred_on.year < FIRST_YEAR:
            continue
        sent += 1
        assert ours == EveryKind.from_json(petisco.DomainEvent.from_format(ours.json()).format_json())


@pytest.mark.parametrize(
    ("theirs", "ours"), [(petisco.Message, Message), (petisco.DomainEvent, DomainEvent), (petisco.Command, Command)]
)
def test_bare_messages(theirs: type[petisco.Message], ours: type[Message]) -> None:
    """The bases themselves, which have no attributes, are read both ways; the kind of a bare message is `message`."""
    sent = theirs()
    assert sent.get_message_id() == str(ours.from_json(sent.format_json()).header.id)
    assert sent.get_message_occurred_on() == ours.from_json(sent.format_json()).header.occurred_on
    made = ours()
    assert made.dict() == theirs.from_format(made.json()).format()


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-zÄß_][A-Za-z0-9Äß_]{0,20}", fullmatch=True), st.integers(1, 10**9))
def test_names_and_versions_of_classes(name: str, version: int) -> None:
    """A class gets the same name and version from both, however it is called."""
    config = type("Config", (), {"version": version})
    ours: Any = type(name, (DomainEvent,), {"Config": config})
    theirs: Any = type(name, (petisco.DomainEvent,), {"__module__": __name__})
    theirs.Config = config  # where petisco looks for it
    assert (theirs.info().name, theirs.info().version) == (ours.info().name, ours.info().version)
    assert (ours.info().name, version) == (theirs().get_message_name(), theirs().get_message_version())


def test_what_petisco_leaves_out() -> None:
    """A message without attributes and meta, or with null for them, is read by both: both are empty."""
    data = {
        "id": str(Uuid.v4()), "type": "domain.event", "type_message": "domain_event", "version": 1,
        "occurred_on": "2021-12-28 14:11:47.845618",
    }  # fmt: skip  # the keys in their order on the wire
    for wire in ({"data": data}, {"data": {**data, "attributes": None}}):
        theirs = petisco.DomainEvent.from_format(wire)
        assert theirs.format() == DomainEvent.from_dict(wire).dict() == DomainEvent.from_json(json.dumps(wire)).dict()


def test_the_very_text() -> None:
    """The very text of a message, as petisco writes it: this library writes it byte for byte, but for the spaces."""
    header = MessageHeader(
        Uuid.from_str("3a4d78aa-6870-41cb-aa14-964831511d86"), datetime(2021, 12, 28, 14, 11, 47, 845618, UTC), {"a": 1}
    )
    order_id = "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"
    text = (
        '{"data": {"id": "3a4d78aa-6870-41cb-aa14-964831511d86", "type": "place.order", "type_message": "command", '
        '"version": 1, "occurred_on": "2021-12-28 14:11:47.845618", "attributes": {"order_id": '
        '"a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11", "text": "Milk", "number": null}, "meta": {"a": 1}}}'
    )
    theirs = PetiscoPlaceOrder(order_id=petisco.Uuid(order_id), text="Milk", number=None)
    assert text == with_header(theirs, header).format_json()
    assert text.replace(" ", "").replace("2814", "28 14") == (
        PlaceOrder(OrderId.from_str(order_id), "Milk", None, header=header).json()
    )
