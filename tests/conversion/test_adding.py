"""To add a scalar is to add a row: messages, converters, states, schemas and strategies know it then."""

import json
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any

import pytest
from attrs import frozen
from hypothesis import find

from domainkit import (
    AggregateRoot,
    DomainEvent,
    InmemoryCrudRepository,
    MessageCodec,
    Uuid,
    ValueObject,
    make_converter,
)
from domainkit.conversion import derive
from domainkit.conversion.scalars import SCALARS, Scalar
from domainkit.formats import message_schema
from domainkit.states import state_form

ROW = Scalar(
    IPv4Address, kinds="str", expected="an IPv4 address", load=IPv4Address, dump=str, sure=True,
    schema={"type": "string", "format": "ipv4"}, samples=lambda st: st.ip_addresses(v=4),
)  # fmt: skip  # as a row of the table stands
HOME = IPv4Address("127.0.0.1")


@pytest.fixture(autouse=True)
def _row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "SCALARS", MappingProxyType({**SCALARS, IPv4Address: ROW}))


def host_class() -> Any:
    """Return a value object around the new scalar."""

    class Host(ValueObject[IPv4Address]): ...

    return Host


def seen_class(host: Any) -> Any:
    """Return an event with fields of the new scalar."""
    hints = {"address": IPv4Address, "host": host, "all": tuple[IPv4Address, ...]}
    return frozen(type("Seen", (DomainEvent,), {"__annotations__": hints, "__module__": __name__, "all": ()}))


def test_messages_carry_it() -> None:
    """It is read and written strictly, and what is wrong is said."""
    host = host_class()
    seen = seen_class(host)
    codec, event = MessageCodec(seen), seen(HOME, host(HOME), (HOME,))
    raw = codec.encode(event)
    assert {"address": "127.0.0.1", "host": "127.0.0.1", "all": ["127.0.0.1"]} == json.loads(raw)["data"]["attributes"]
    assert event == codec.decode(raw).unwrap()
    problems = codec.decode(raw.replace(b'"address":"127.0.0.1"', b'"address":"home"')).failure().problems
    assert ["$.data.attributes.address: expected an IPv4 address (value)"] == [str(problem) for problem in problems]


def test_converters_and_states_carry_it() -> None:
    """An aggregate with it goes through a converter, and can be stored."""

    @frozen
    class Machine(AggregateRoot[Uuid]):
        address: IPv4Address

    machine, converter = Machine(HOME), make_converter()
    assert "127.0.0.1" == converter.unstructure(machine)["address"]
    assert machine == converter.structure(converter.unstructure(machine), Machine)
    assert machine == InmemoryCrudRepository[Machine, Uuid]().save(machine).unwrap()
    form = state_form(Machine, None)
    assert machine == form.read(form.write(machine), machine.aggregate_id, machine.aggregate_version)


def test_schemas_and_strategies_know_it() -> None:
    """The row says what JSON Schema and hypothesis have for it."""
    from domainkit.testing.strategies import instances  # noqa: PLC0415  # an extra

    seen = seen_class(host_class())
    schema = json.dumps(message_schema(seen))
    assert '"address": {"type": "string", "format": "ipv4"}' in schema
    assert '"Host": {"type": "string", "format": "ipv4", "title": "Host"}' in schema
    assert isinstance(find(instances(seen), lambda _: True).address, IPv4Address)
