"""Names that petisco 2.2.3 has too. tests/interop runs both on one exchange."""

import pytest

pytest.importorskip("pika", reason="needs pika, as petisco does")

from attrs import frozen
from petisco import Command as PetiscoCommand
from petisco import DomainEvent as PetiscoEvent
from petisco.extra.rabbitmq.application.message.formatter.rabbitmq_message_queue_name_formatter import (
    RabbitMqMessageQueueNameFormatter,
)

from domainkit import Command, DomainError, DomainEvent
from domainkit.adapters.rabbitmq import RabbitMqTopology


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


def test_routing_keys_are_petiscos() -> None:
    """Both route a message by the same key: petisco's subscribers get what this library publishes."""
    event_type, command_type = ours()
    topology = RabbitMqTopology("acme.users", service="core")
    expected = [
        RabbitMqMessageQueueNameFormatter.format(message, exchange_name="acme.users")
        for message in (UserCreated(name="Ada"), CreateUser(name="Ada"))
    ]
    assert expected == [topology.routing_key(event_type.info()), topology.routing_key(command_type.info())]
