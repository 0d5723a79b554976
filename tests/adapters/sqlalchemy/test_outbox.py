"""The outbox stores messages in the bytes that a relay delivers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from databases import CODEC, METADATA, OUTBOX, Database, stored_messages
from sqlalchemy import Engine, select

from domainkit import DomainEvent, Downcaster, Message, MessageCodec, UnknownMessage, handling
from domainkit.adapters.sqlalchemy import Outbox, OutboxDomainEventBus, UnitOfWork
from domainkit.testing import SampleCreateTask, SampleTaskCreated, SampleTaskId


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


def test_a_message_is_stored_as_it_is_delivered(engine: Engine) -> None:
    """Id, name, version, kind, key, the bytes of the codec, and when; nothing was tried yet."""
    event = SampleTaskCreated(SampleTaskId.v4())
    with engine.begin() as connection:
        OUTBOX.add(connection, [event], key="a-key")
        row = connection.execute(select(OUTBOX.table)).one()

    info = SampleTaskCreated.info()
    assert (event.header.id.value, info.name, 1, info.kind) == (row.message_id, row.name, row.version, row.kind)
    assert ("a-key", CODEC.encode(event)) == (row.ordering_key, bytes(row.body))
    assert timedelta(0) <= datetime.now(UTC) - row.recorded_at < timedelta(minutes=1)
    assert (0, None, None, None, None, None, None) == (
        row.attempts, row.not_before, row.leased_by, row.leased_until, row.sent_at, row.parked_at, row.reason
    )  # fmt: skip  # one row


def test_without_a_key_a_message_keeps_no_order(engine: Engine) -> None:
    """Its own id is its key."""
    event = DomainEvent()
    with engine.begin() as connection:
        OUTBOX.add(connection, [event])
        assert str(event.header.id) == connection.scalar(select(OUTBOX.table.c.ordering_key))


def test_messages_keep_their_order(engine: Engine) -> None:
    """Several at once, one after the other, and none at all."""
    messages: list[Message] = [DomainEvent(), SampleCreateTask(SampleTaskId.v4()), DomainEvent()]
    with engine.begin() as connection:
        OUTBOX.add(connection, [])
        OUTBOX.add(connection, iter(messages))
        OUTBOX.add(connection, messages[:1])
    assert [*messages, messages[0]] == stored_messages(engine)


def test_once_leaves_out_what_is_there(engine: Engine) -> None:
    """A message that is in the outbox already is not stored again; the others are."""
    known, new = DomainEvent(), DomainEvent()
    with engine.begin() as connection:
        OUTBOX.add(connection, [known])
        OUTBOX.store(connection, OUTBOX.rows([known, new]), once=True)
        OUTBOX.store(connection, OUTBOX.rows([known]), once=True)
    assert [known, new] == stored_messages(engine)


def test_a_message_of_another_class_is_refused(engine: Engine) -> None:
    """Nothing is stored then, not even the messages before it."""

    class Forgotten(DomainEvent): ...

    with engine.begin() as connection, pytest.raises(UnknownMessage):
        OUTBOX.add(connection, [DomainEvent(), Forgotten()])
    assert [] == stored_messages(engine)


def test_meta_is_merged(engine: Engine) -> None:
    """The meta that `meta` gives when a message is stored is merged into the message's own, next to its cause."""
    outbox, cause, event = Outbox(OUTBOX.table, CODEC, meta=lambda: {"trace": "7"}), DomainEvent(), DomainEvent()
    with engine.begin() as connection, handling(cause):
        outbox.add(connection, [event.add_meta({"tenant": "home"})])
    (stored,) = stored_messages(engine)
    assert {"trace": "7", "tenant": "home", "causation_id": str(cause.header.id)}.items() <= stored.header.meta.items()


def test_chosen_meta_flows_from_what_is_handled(engine: Engine) -> None:
    """Of the outbox, whoever stores in it; of a bus over it, for what goes through that."""
    cause = DomainEvent().add_meta({"tenant": "home", "user": "ada", "trace": "7"})
    outbox = Outbox(OUTBOX.table, CODEC).flowing("tenant")
    bus = OutboxDomainEventBus(UnitOfWork(engine, outbox=outbox))
    with handling(cause), engine.begin() as connection:
        outbox.add(connection, [DomainEvent()])
    with handling(cause):
        bus.publish(DomainEvent())
        bus.flowing("user").with_meta({"page": 1}).publish(DomainEvent())
    ids = {"correlation_id": str(cause.header.id), "causation_id": str(cause.header.id)}
    stored = [message.header.meta for message in stored_messages(engine)]
    tenant = {"tenant": "home", **ids}
    assert [tenant, tenant, {"user": "ada", "page": 1, **tenant}] == stored


class Moved(DomainEvent):
    class Config:
        version = 2


def test_a_message_is_stored_in_each_version_that_it_is_sent_in(engine: Engine) -> None:
    """Its own first, with one id and one key; `once` leaves out the forms that are there, and stores the others."""
    codec = MessageCodec(Moved, downcasters=[Downcaster(Moved, 2, dict)])
    outbox, event, table = Outbox(OUTBOX.table, codec), Moved(), OUTBOX.table
    with engine.begin() as connection:
        outbox.store(connection, outbox.rows([event])[:1])
        outbox.store(connection, outbox.rows([event]), once=True)
        rows = connection.execute(select(table).order_by(table.c.position)).all()
    assert [("moved", 2), ("moved", 1)] == [(row.name, row.version) for row in rows]
    assert {(event.header.id.value, str(event.header.id))} == {(row.message_id, row.ordering_key) for row in rows}
    assert [body for _, body in codec.encode_all(event)] == [bytes(row.body) for row in rows]
