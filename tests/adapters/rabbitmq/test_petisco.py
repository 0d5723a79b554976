"""Together with petisco 2.2.3, on one exchange."""

import os
from collections.abc import Iterator

import pytest
from yarl import URL

pytest.importorskip("pika", reason="needs pika, as petisco does")

from attrs import frozen
from petisco import Command as PetiscoCommand
from petisco import DomainEvent as PetiscoEvent
from petisco.extra.rabbitmq import RabbitMqCommandBus, RabbitMqConnector, RabbitMqDomainEventBus
from petisco.extra.rabbitmq.application.message.formatter.rabbitmq_message_queue_name_formatter import (
    RabbitMqMessageQueueNameFormatter,
)
from rabbits import Board, until
from returns.result import Result, Success

from domainkit import Command, DomainError, DomainEvent, MessageCodec
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqTopology


class UserCreated(PetiscoEvent):
    name: str


class CreateUser(PetiscoCommand):
    name: str


def ours() -> tuple[type[DomainEvent], type[Command[None, DomainError]]]:
    """Return the same messages as this library has them; the names are those of the wire."""

    @frozen
    class UserCreated(DomainEvent):
        name: str

    @frozen
    class CreateUser(Command[None, DomainError]):
        name: str

    return UserCreated, CreateUser


@pytest.fixture
def connector(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RabbitMqConnector]:
    """Give petisco's connection to the broker."""
    address = URL(url)
    for name, value in (("HOST", address.host), ("PORT", address.port), ("USER", address.user)):
        monkeypatch.setenv(f"RABBITMQ_{name}", str(value))
    monkeypatch.setenv("RABBITMQ_PASSWORD", address.password or "")
    made = RabbitMqConnector()
    made.host, made.port = os.environ["RABBITMQ_HOST"], os.environ["RABBITMQ_PORT"]
    yield made
    made.close_all()


async def test_what_petisco_publishes_is_handled(url: str, connector: RabbitMqConnector) -> None:
    """An event and a command of petisco's own buses reach the functions of this library, by the same exchange."""
    event_type, command_type = ours()
    seen: list[str] = []

    async def note(event: DomainEvent) -> None:
        seen.append(event.json())

    async def create(command: Command[None, DomainError]) -> Result[None, DomainError]:
        seen.append(command.json())
        return Success(None)

    async def both() -> bool:
        return len(seen) == 2

    async with Board(url) as board:
        organization, service = f"{board.topology.exchange}", "users"
        topology = RabbitMqTopology(f"{organization}.{service}", service=board.topology.service)
        board.topology = topology
        board.subscriber("greeter")
        board.queues.add(topology.command_queue(command_type.info()))
        async with RabbitMqConsumer(
            url,
            topology,
            MessageCodec(event_type, command_type),
            subscribers={"greeter": event_type.handled_by(note)},
            handlers=[command_type.handled_by(create)],
        ):
            RabbitMqDomainEventBus(organization, service, connector).publish(UserCreated(name="Ada"))
            RabbitMqCommandBus(organization, service, connector).dispatch(CreateUser(name="Ada"))
            await until(both)
    assert all('"name":"Ada"' in one for one in seen)


def test_routing_keys_are_petiscos() -> None:
    """Both route a message by the same key: petisco's subscribers get what this library publishes."""
    event_type, command_type = ours()
    topology = RabbitMqTopology("acme.users", service="core")
    expected = [
        RabbitMqMessageQueueNameFormatter.format(message, exchange_name="acme.users")
        for message in (UserCreated(name="Ada"), CreateUser(name="Ada"))
    ]
    assert expected == [topology.routing_key(event_type.info()), topology.routing_key(command_type.info())]
