"""The wire form of petisco 2, in both directions."""

from petisco import DomainEvent as PetiscoDomainEvent

from domainkit import DomainEvent


def test_an_event_of_petisco_is_read() -> None:
    """What petisco's format() gives is read here, with its id."""
    theirs = PetiscoDomainEvent()
    assert str(theirs.get_message_id().value) == str(DomainEvent.from_dict(theirs.format()).header.id)
