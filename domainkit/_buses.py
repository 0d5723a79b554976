"""What every bus of this package does with what it is given, wherever it takes it."""

from collections.abc import Iterable
from typing import Any

from returns.result import Failure

from domainkit.errors import BusCannotPublish
from domainkit.messages import Command, DomainEvent


def events_for(bus: object, events: DomainEvent | Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    """Return the events that a bus was given; TypeError where something else is among them."""
    several, bus_name = tuple(events) if isinstance(events, Iterable) else (events,), type(bus).__qualname__
    for event in several:
        if not isinstance(event, DomainEvent):
            raise TypeError(f"{bus_name}.publish: expected domain events, not a {type(event).__qualname__}")
    return several


def command_for(bus: object, command: Command[Any, Any]) -> Command[Any, Any]:  # Any: whatever it answers
    """Return the command that a bus was given; TypeError where it is something else."""
    if not isinstance(command, Command):
        raise TypeError(f"{type(bus).__qualname__}.dispatch: expected a command, not a {type(command).__qualname__}")
    return command


def cannot_publish(reason: str) -> Failure[BusCannotPublish]:
    """Return the Failure of a bus that took nothing."""
    return Failure(BusCannotPublish(additional_info={"message": reason}))
