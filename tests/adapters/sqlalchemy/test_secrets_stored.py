"""Secrets in a database: the state has what its aggregate asks for, and neither errors nor logs have more."""

import logging
import traceback
from collections.abc import Iterator
from typing import Annotated

import pytest
from attrs import frozen
from databases import Database
from hidden import HUSH, Account, AccountId, ByOwnRule, Key, KeySent, StoredAccount, shows
from returns.result import Failure, Result, Success
from sqlalchemy import Engine, MetaData, select

from domainkit import (
    AggregateRoot,
    AsyncMessagePublisher,
    BusCannotPublish,
    InPlainText,
    MessageCodec,
    MessageRefused,
    OutgoingMessage,
    UnsupportedTypeError,
    Uuid,
)
from domainkit.adapters.sqlalchemy import Outbox, SqlCrudRepository, UnitOfWork, aggregate_table, outbox_table
from domainkit.cli import main

METADATA = MetaData()
ACCOUNTS = aggregate_table(METADATA, "accounts")
OUTBOX = Outbox(outbox_table(METADATA), MessageCodec(KeySent))


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind that logs its statements; the tables are there."""
    with database.engine(METADATA, echo=True) as made:
        yield made


def test_a_stored_secret(engine: Engine, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """It comes back; a log of the statements hides their parameters, and no error of the library has it."""
    caplog.set_level(logging.DEBUG)
    unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
    accounts = SqlCrudRepository[StoredAccount, AccountId](StoredAccount, ACCOUNTS, unit_of_work)
    account = StoredAccount(key=Key(HUSH), aggregate_id=AccountId(Uuid.v4().value)).record(KeySent(Key(HUSH)))
    saved = accounts.save(account)
    found = accounts.retrieve(account.aggregate_id)
    again, missing = accounts.save(account), accounts.retrieve(AccountId(Uuid.v4().value))
    assert Success(account.clear_domain_events()) == found
    assert "INSERT" in caplog.text
    written = capsys.readouterr()
    assert [] == shows(saved, found, again, missing, caplog.text, written.out, written.err)
    with engine.begin() as connection:
        assert HUSH in str(connection.execute(select(ACCOUNTS)).all())


class Refusing(AsyncMessagePublisher):
    """A publisher that fails with the secret in a field of its error, or in the text of its exception."""

    def __init__(self) -> None:
        self._calls = 0

    async def publish(self, message: OutgoingMessage) -> Result[None, BusCannotPublish]:
        """Refuse the first message by an error of the domain, and the second by an exception."""
        self._calls += 1
        if self._calls == 1:
            return Failure(KeyNotSent(key=Key(HUSH)))
        raise RuntimeError(message.body.decode())

    async def close(self) -> None:
        """Close nothing."""


@frozen
class KeyNotSent(MessageRefused):
    """An error of a bus that has a secret in a field."""

    key: Key


def test_the_command_line(
    database: Database, engine: Engine, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the relay nor its status says what is in a message that asks for a secret, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    accounts = SqlCrudRepository[StoredAccount, AccountId](StoredAccount, ACCOUNTS, UnitOfWork(engine, outbox=OUTBOX))
    for _ in range(2):
        account = StoredAccount(key=Key(HUSH), aggregate_id=AccountId(Uuid.v4().value))
        accounts.save(account.record(KeySent(Key(HUSH)))).unwrap()
    url = database.url.render_as_string(hide_password=False).replace("+psycopg", "")
    options = ["relay", "--database", url, "--publisher", f"{__name__}:Refusing", "--once", "--max-attempts", "1"]
    assert 1 == main(options)
    assert 0 == main(["relay", "--database", url, "--status"])
    written = capsys.readouterr()
    assert "parked" in written.out
    assert "RuntimeError" in caplog.text
    assert [] == shows(written.out, written.err, caplog.text)


def test_a_stored_secret_that_is_refused_now(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The Failure has the path, and neither it nor what led to it has the value."""

    @frozen
    class Stricter(AggregateRoot[AccountId]):
        key: Annotated[ByOwnRule, InPlainText]

    unit_of_work = UnitOfWork(engine)
    account = StoredAccount(key=Key(HUSH), aggregate_id=AccountId(Uuid.v4().value))
    SqlCrudRepository[StoredAccount, AccountId](StoredAccount, ACCOUNTS, unit_of_work).save(account).unwrap()
    stricter = SqlCrudRepository[Stricter, AccountId](Stricter, ACCOUNTS, unit_of_work)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # a StoredStateError, which the guard of a use case takes
        stricter.retrieve(account.aggregate_id)
    assert "$.key" in f"{caught.value}"
    assert [] == shows(caught.value, *traceback.format_exception(caught.value), caplog.text)


def test_what_asks_for_none(engine: Engine) -> None:
    """A repository of aggregates whose secret isn't asked for is refused."""
    with pytest.raises(UnsupportedTypeError, match=r"^Login\.key: "):
        SqlCrudRepository[Account, AccountId](Account, ACCOUNTS, UnitOfWork(engine))
