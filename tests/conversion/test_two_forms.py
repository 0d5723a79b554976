"""What writes messages, in C and in Python: for whatever an object holds, the same bytes or the same error."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import attrs
import msgspec
import pytest
from attrs import field, frozen
from attrs.validators import ge
from forms import anything, both_forms, compiled_only, in_c, in_python, outcome
from hypothesis import given
from hypothesis import strategies as st

from domainkit import DomainEvent, InvalidMessage, MessageHeader, Uuid, ValueObject
from domainkit.conversion.nodes import Refused
from domainkit.messages import new_wire

T = TypeVar("T")
Form = Callable[[Callable[[], Any]], Any]  # Any: each test knows what it makes


class OrderId(Uuid): ...


class Sku(ValueObject[str]): ...


class Ratio(ValueObject[float]): ...


class Weights(ValueObject[tuple[int, ...]]): ...


@frozen
class Price(ValueObject[Decimal]):
    value: Decimal = field(validator=ge(Decimal(0)))


@frozen
class Line:
    sku: Sku
    price: Price
    note: str | None = None


@frozen
class Boxed(ValueObject[Line]):
    value: Line


@frozen
class Order(DomainEvent):
    order_id: OrderId
    text: str
    flag: bool
    raw: bytes
    ratio: Ratio
    amount: Decimal
    line: Line
    lines: tuple[Line, ...]
    boxed: Boxed
    weights: Weights
    numbers: tuple[int, ...]
    maybe: Sku | None


WIRES = [form(lambda: new_wire(Order)) for form in (in_c, in_python)]


class Moment(datetime):
    """A time of another class, as that of a library that sets the clock."""


LEFT_OUT = object()


def filled(cls: type[T], values: dict[str, object]) -> T:
    """Return an object that has these values, past its constructor: right ones or wrong ones."""
    made = object.__new__(cls)
    for name, value in values.items():
        if value is not LEFT_OUT:
            object.__setattr__(made, name, value)
    return made


def wrapped(cls: type[T], inner: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Return value objects whose value is of the right class."""
    return st.builds(lambda value: filled(cls, {"value": value}), inner)


def objects(cls: type[T], **right: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Return objects whose fields are right; in some of them one field has something else, or nothing."""
    good = st.fixed_dictionaries(right)
    wrong = st.tuples(st.sampled_from(sorted(right)), st.one_of(anything, values_of_fields, st.just(LEFT_OUT)))
    spoilt = st.builds(lambda values, one: {**values, one[0]: one[1]}, good, wrong)
    return st.builds(lambda values: filled(cls, values), st.one_of(good, good, good, spoilt))


decimals, floats = st.decimals(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False)
skus = wrapped(Sku, st.text(max_size=3))
ratios = wrapped(Ratio, floats)
prices = wrapped(Price, decimals)
weights = wrapped(Weights, st.lists(st.integers(), max_size=2).map(tuple))
ids = st.uuids().map(OrderId)
classes = st.sampled_from([Sku, Ratio, Price, Weights, OrderId, Boxed])
values_of_fields = st.one_of(
    skus, ratios, prices, weights, ids, classes.flatmap(lambda cls: wrapped(cls, anything)), st.tuples(skus)
)
lines = objects(Line, sku=skus, price=prices, note=st.one_of(st.none(), st.text(max_size=2)))
moments = st.one_of(
    st.datetimes(timezones=st.just(UTC)), st.just(datetime(2024, 1, 1, tzinfo=UTC)), st.datetimes(),
    st.just(Moment(2024, 1, 1, 1, 1, 1, 1, UTC)), st.just(datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
)  # fmt: skip  # a table
metas = st.sampled_from([{}, {"tenant": "home"}, {"one": "\ud800"}, {"one": {1}}, {"deep": {"list": [1, None]}}])
headers = objects(MessageHeader, id=ids, occurred_on=moments, meta=metas)
orders = objects(
    Order, header=headers, order_id=ids, text=st.text(max_size=3), flag=st.booleans(), raw=st.binary(max_size=2),
    ratio=ratios, amount=decimals, line=lines, lines=st.lists(lines, max_size=3).map(tuple),
    boxed=wrapped(Boxed, lines), weights=weights, numbers=st.lists(st.integers(), max_size=2).map(tuple),
    maybe=st.one_of(st.none(), skus),
)  # fmt: skip  # one message


class Held:
    """Holds an object that can't be printed, since a field has nothing."""

    def __init__(self, value: Any) -> None:  # Any: wrong ones as well
        self.value = value


def refused_or(call: Callable[[], object]) -> tuple[object, ...]:
    """Return what comes of a call; of two faults in one object, either may be met first."""
    found = outcome(call)
    return (Refused,) if found[0] in {Refused, AttributeError} else found


@compiled_only
class TestEqual:
    def test_there_are_two_forms(self) -> None:
        """One dump and one writer are compiled, the others are functions."""
        compiled, python = WIRES
        assert ["Dumper", "Writer"] == [type(one).__name__ for one in (compiled.node.fast_dump, compiled.write)]
        assert ["function"] * 2 == [type(one).__name__ for one in (python.node.fast_dump, python.write)]

    @given(held=st.one_of(orders, anything).map(Held))
    def test_what_is_dumped(self, held: Held) -> None:
        """The structs have the same content; what is refused by one is refused by the other."""
        compiled, python = (refused_or(partial(wire.node.fast_dump, held.value)) for wire in WIRES)
        assert compiled == python

    @given(held=orders.map(Held))
    def test_what_is_written(self, held: Held) -> None:
        """The bytes are the same, as are the errors: those of the writer, and those that the caller of encode sees."""
        compiled, python = (refused_or(partial(wire.write, held.value)) for wire in WIRES)
        assert compiled == python
        compiled, python = (outcome(partial(wire.encode, held.value))[:2] for wire in WIRES)
        assert compiled == python


def order(**changes: object) -> Order:
    """Return an order that is in order, but for the changes."""
    line = Line(Sku("a"), Price(Decimal("1.50")))
    header = MessageHeader(Uuid(UUID(int=1)), datetime(2024, 2, 3, 4, 5, 6, 7, UTC), {"tenant": "home"})
    values: dict[str, object] = {
        "header": header, "order_id": OrderId(UUID(int=2)), "text": "é", "flag": True, "raw": b"\0",
        "ratio": Ratio(0.5), "amount": Decimal(3), "line": line, "lines": (line, line), "boxed": Boxed(line),
        "weights": Weights((1, 2)), "numbers": (3,), "maybe": None,
    }  # fmt: skip  # a row for each kind
    return filled(Order, {**values, **changes})


@both_forms
class TestEachForm:
    def test_it_writes_what_is_read_back(self, form: Form) -> None:
        """The message is the same after the way there and back."""
        wire = form(lambda: new_wire(Order))
        assert order() == wire.decode(wire.write(order()))

    @pytest.mark.parametrize("moment", [datetime(2024, 1, 1, tzinfo=UTC), Moment(2024, 1, 1, 1, 1, 1, 1, UTC)])
    def test_it_writes_unusual_times(self, form: Form, moment: datetime) -> None:
        """A time without microseconds, or of another class, is written as all others are."""
        wire, header = form(lambda: new_wire(Order)), MessageHeader(occurred_on=moment)
        written = wire.write(order(header=header))
        assert (
            moment.isoformat(" ", "microseconds").removesuffix("+00:00")
            == (msgspec.json.decode(written)["data"]["occurred_on"])
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("order_id", Uuid(UUID(int=2))), ("text", 1), ("ratio", 0.5), ("amount", Decimal("NaN")), ("line", None),
            ("lines", []), ("lines", (None,)), ("boxed", Sku("a")), ("weights", Weights.__new__(Weights)),
            ("maybe", "a"), ("numbers", (True,)), ("text", LEFT_OUT),
        ],
    )  # fmt: skip  # a table
    def test_it_refuses_what_could_not_be_read_back(self, form: Form, name: str, value: object) -> None:
        """A value of another class, one that its type excludes, or none at all."""
        wire = form(lambda: new_wire(Order))
        with pytest.raises((Refused, AttributeError)):
            wire.write(order(**{name: value}))

    def test_it_is_for_one_class(self, form: Form) -> None:
        """An object of a subclass, or of something else, is refused."""
        dump = form(lambda: new_wire(Order)).node.fast_dump
        sub: Order = filled(
            type("Sub", (Order,), {}), {one.name: getattr(order(), one.name) for one in attrs.fields(Order)}
        )
        for other in (sub, None, Order):
            with pytest.raises(Refused):
                dump(other)

    def test_the_caller_gets_the_path(self, form: Form) -> None:
        """`encode` tells where the value stands."""
        wire, bad = form(lambda: new_wire(Order)), order(lines=(Line(Sku("a"), Sku("b")),))  # type: ignore[arg-type]  # on purpose
        with pytest.raises(InvalidMessage) as caught:
            wire.encode(bad)
        assert ["$.data.attributes.lines[0].price"] == [problem.path for problem in caught.value.problems]
