"""Messages: what a class says of itself, the header, the wire form of one message, and handlers."""

from domainkit import DomainEvent


def test_a_message_reads_its_own_wire_form() -> None:
    """What dict() gives, from_dict() reads back equal."""
    event = DomainEvent()
    assert event == DomainEvent.from_dict(event.dict())
