"""The inbox: what a handler does is done once for a message, on SQLite and on PostgreSQL."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from uuid import uuid4

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    Command,
    ConflictError,
    DomainError,
    DomainEvent,
    InmemoryDomainEventBus,
    MessageHeader,
    OutcomeUnknownError,
    Uuid,
)

sqlalchemy = pytest.importorskip("sqlalchemy", reason="needs the extra `sql`")

from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, func, insert, select, text  # noqa: E402  (after the check)
from sqlalchemy.exc import DBAPIError  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: E402

from domainkit.adapters.sqlalchemy import (  # noqa: E402
    AsyncInbox,
    AsyncUnitOfWork,
    Inbox,
    MessageIdReusedError,
    UnitOfWork,
    inbox_table,
    make_async_engine,
    make_engine,
)

POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")


class TaskCreated(DomainEvent): ...


@frozen
class CreateTask(Command[str, DomainError]):
    title: str


class Refused(DomainError): ...


class Store:
    """Two tables with names of their own, and what was stored in them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.metadata = MetaData()
        self.inbox = inbox_table(self.metadata, f"inbox_{uuid4().hex}")
        self.effects = Table(
            f"effects_{uuid4().hex}",
            self.metadata,
            Column("number", Integer(), primary_key=True, autoincrement=True),
            Column("text", Text(), nullable=False),
        )

    def count(self, table: Table) -> int:
        with self.engine.connect() as connection:
            found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
            return found

    @property
    def counts(self) -> tuple[int, int]:
        """The number of effects, and of marks."""
        return self.count(self.effects), self.count(self.inbox)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database that can be reached."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'inbox.db'}"
        return
    pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    engine = make_engine(POSTGRES_URL, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except DBAPIError:
        pytest.skip("no PostgreSQL at POSTGRES_URL")
    finally:
        engine.dispose()
    yield POSTGRES_URL


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """Return tables that are dropped after the test."""
    made = Store(make_engine(database))
    made.metadata.create_all(made.engine)
    yield made
    made.metadata.drop_all(made.engine)
    made.engine.dispose()


@pytest.fixture
def unit_of_work(store: Store) -> UnitOfWork:
    """Return the unit of work that handlers and inbox share."""
    return UnitOfWork(store.engine)


@pytest.fixture
def inbox(store: Store, unit_of_work: UnitOfWork) -> Inbox:
    """Return an inbox in which there is nothing."""
    return Inbox(store.inbox, unit_of_work)


@pytest.fixture
def effect(store: Store, unit_of_work: UnitOfWork) -> Callable[[object], None]:
    """Return a function that stores a row in the open unit of work."""

    def add(text: object) -> None:
        with unit_of_work.writing() as connection:
            connection.execute(insert(store.effects), {"text": str(text)})

    return add


def test_a_message_is_handled_once(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """The first delivery has its effect and is marked; further ones are a Success with None, and have none."""

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        return Success(command.title)

    once = inbox.once(create, name="create")
    command = CreateTask("Buy milk")
    assert [Success("Buy milk"), Success(None), Success(None)] == [once(command) for _ in range(3)]
    assert (1, 1) == store.counts
    assert Success("Buy milk") == once(CreateTask("Buy milk"))
    assert (2, 2) == store.counts


def test_a_mark_has_message_handler_and_time(store: Store, inbox: Inbox) -> None:
    """A mark says which message was handled, by which handler and when."""
    event, before = TaskCreated(), datetime.now(UTC)
    inbox.once(Greeter().greet)(event)
    with store.engine.connect() as connection:
        (mark,) = connection.execute(select(store.inbox)).all()
    assert (event.header.id.value, f"{__name__}.Greeter.greet") == (mark.message_id, mark.handler)
    assert before <= mark.handled_at <= datetime.now(UTC)


@frozen
class Renamed(DomainEvent):
    title: str
    tags: frozenset[str] = frozenset()


@frozen
class RenamedLater(DomainEvent):
    """The next version of it."""

    title: str

    class Config:
        name = "renamed"
        version = 2


async def test_another_message_of_a_known_id_is_refused(
    store: Store, database: str, inbox: Inbox, effect: Callable[[object], None]
) -> None:
    """It is an exception that names handler, class and id, and no value; nothing is done, and the mark stays.

    Sync and async find each other's marks.
    """

    async def rename(event: Renamed) -> None:
        raise AssertionError

    def rename_now(event: DomainEvent) -> None:
        effect(event)

    first = Renamed("milk")
    once = inbox.once(rename_now, name="rename")
    once(first)
    others: list[Any] = [
        Renamed("hush", header=first.header),
        Renamed("milk", header=MessageHeader(first.header.id)),
        TaskCreated(header=first.header),
    ]
    said = (
        rf"^the inbox of rename: expected the \w+ that was handled as {first.header.id}, got a different message with"
    )
    engine = make_async_engine(database.replace("sqlite:", "sqlite+aiosqlite:"))
    async_once = AsyncInbox(store.inbox, AsyncUnitOfWork(engine)).once(rename, name="rename")
    for other in others:
        with pytest.raises(MessageIdReusedError, match=said) as caught:
            once(other)
        assert "hush" not in str(caught.value)
    with pytest.raises(MessageIdReusedError, match=said):
        await async_once(others[0])
    assert Success(None) == await async_once(first)
    await engine.dispose()
    assert Success(None) == once(first)
    assert (1, 1) == store.counts


def test_the_same_message_is_known_again(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """Whatever its meta is, in whichever order a set of it stands; and read by another version of its class."""

    def rename(event: DomainEvent) -> None:
        effect(event)

    once = inbox.once(rename, name="rename")
    first = Renamed("milk", frozenset("abcdefgh"))
    for again in (
        first,
        first.add_meta({"trace": "7"}),
        Renamed.from_json(first.json()),
        Renamed("milk", frozenset("hgfedcba"), header=first.header),
        RenamedLater("MILK", header=first.header),
    ):
        assert Success(None) == once(again)
    assert (1, 1) == store.counts


@pytest.mark.parametrize("known_to", ["database", "nobody"])
def test_a_table_of_an_earlier_version_goes_on(
    known_to: str, store: Store, unit_of_work: UnitOfWork, effect: Callable[[object], None]
) -> None:
    """Without the column `digest`, in the database or in the Table too, each message is handled once as before.

    A mark that was made before the column was there has none.
    """
    first, other = Renamed("milk"), Renamed("tea")
    with store.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {store.inbox.name} DROP COLUMN digest"))
    old = Table(
        store.inbox.name,
        MetaData(),
        *(Column(column.name, column.type, primary_key=column.primary_key) for column in list(store.inbox.c)[:3]),
    )
    table = store.inbox if known_to == "database" else old
    once = Inbox(table, unit_of_work).once(effect, name="rename")
    for event in (first, first, Renamed("tea", header=first.header), other):
        assert Success(None) == once(event)
    assert 2 == store.count(old)
    with store.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {store.inbox.name} ADD COLUMN digest TEXT"))
    assert Success(None) == Inbox(store.inbox, unit_of_work).once(effect, name="rename")(first)
    assert (2, 2) == store.counts


class Opaque:
    """A type that only a converter of one's own carries."""


@frozen
class Hidden(DomainEvent):
    content: Opaque


def test_a_message_without_a_wire_form_of_its_own_has_no_digest(
    store: Store, inbox: Inbox, effect: Callable[[object], None]
) -> None:
    """It is handled once all the same; and so is one that could not be read back."""
    once = inbox.once(effect, name="hidden")
    wrong: Any = 7
    for event in (Hidden(Opaque()), Renamed(wrong)):
        assert [Success(None), Success(None)] == [once(event), once(event)]
    assert (2, 2) == store.counts


def test_each_handler_of_a_message_handles_it(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """Marks are for a message and a handler: another handler of the same message is called too."""
    event = TaskCreated()

    def subscriber(event: TaskCreated) -> None:
        effect("done")

    for name in ("greeter", "counter", "greeter"):
        another = Inbox(store.inbox, inbox._unit_of_work)  # as another process has it
        assert Success(None) == another.once(subscriber, name=name)(event)
    assert (2, 2) == store.counts


def test_a_failure_takes_all_back(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """A Failure of the handler comes out; what it stored is gone, with the mark, and the next delivery is handled."""
    answers: list[Result[str, Refused]] = [Failure(Refused()), Success("done")]

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        return answers.pop(0)

    once, command = inbox.once(create, name="create"), CreateTask("Buy milk")
    assert Failure(Refused()) == once(command)
    assert (0, 0) == store.counts
    assert [Success("done"), Success(None)] == [once(command), once(command)]
    assert (1, 1) == store.counts


def test_an_exception_takes_all_back(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """An exception of the handler is raised; what it stored is gone, with the mark."""

    def crash(event: TaskCreated) -> None:
        effect("done")
        raise ZeroDivisionError

    once = inbox.once(crash, name="crash")
    with pytest.raises(ZeroDivisionError):
        once(TaskCreated())
    assert (0, 0) == store.counts


@pytest.mark.parametrize("answer", [5, "done", True])
def test_no_result_is_a_bug(store: Store, inbox: Inbox, effect: Callable[[object], None], answer: object) -> None:
    """A handler that returns neither a Result nor nothing has a bug: it is raised, and leaves no mark."""

    def wrong(event: TaskCreated) -> Result[None, Refused]:
        effect("done")
        return answer  # type: ignore[return-value]  # wrong on purpose

    with pytest.raises(TypeError, match=f"wrong: expected a Result, got {type(answer).__name__}"):
        inbox.once(wrong, name="wrong")(TaskCreated())
    assert (0, 0) == store.counts


def test_a_command_needs_a_result(store: Store, inbox: Inbox) -> None:
    """A handler of a command that returns nothing has a bug too."""

    def wrong(command: CreateTask) -> None: ...

    with pytest.raises(TypeError, match="expected a Result, got NoneType"):
        inbox.once(wrong, name="wrong")(CreateTask("Buy milk"))  # type: ignore[type-var]  # wrong on purpose
    assert (0, 0) == store.counts


def test_a_hidden_coroutine_is_a_bug(store: Store, inbox: Inbox) -> None:
    """A plain function that returns a coroutine has a bug: nobody would await it, and the mark would say it is done."""

    async def later() -> None: ...

    def wrong(event: TaskCreated) -> Result[None, Refused]:
        return later()  # type: ignore[return-value]  # wrong on purpose

    with pytest.raises(TypeError, match="expected a Result, got coroutine"):
        inbox.once(wrong, name="wrong")(TaskCreated())
    assert (0, 0) == store.counts


def test_two_deliveries_at_the_same_time(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """Of several deliveries at the same time one has its effect; the others wait for it, and find it done."""
    together = Barrier(4)

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        return Success("done")

    once = inbox.once(create, name="create")

    def deliver(command: CreateTask) -> Result[str | None, Refused | OutcomeUnknownError | ConflictError]:
        together.wait(10)
        return once(command)

    with ThreadPoolExecutor(4) as threads:
        for number in range(1, 11):
            command = CreateTask(f"Task {number}")
            answers = sorted(map(repr, threads.map(deliver, [command] * 4)))
            assert ["<Success: None>"] * 3 + ["<Success: done>"] == answers
            assert (number, number) == store.counts


def test_a_delivery_that_waits_is_handled_where_the_first_fails(
    store: Store, inbox: Inbox, effect: Callable[[object], None]
) -> None:
    """A second delivery that has waited for a first one, which failed then, is handled: nothing is lost."""
    inside = Event()
    answers: list[Result[str, Refused]] = [Failure(Refused()), Success("done")]

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        inside.set()
        return answers.pop(0)

    once, command = inbox.once(create, name="create"), CreateTask("Buy milk")

    def second() -> Result[str | None, Refused | OutcomeUnknownError | ConflictError]:
        assert inside.wait(10)
        return once(command)

    with ThreadPoolExecutor(2) as threads:
        waiting, first = threads.submit(second), threads.submit(once, command)
        assert [Failure(Refused()), Success("done")] == [first.result(10), waiting.result(10)]
    assert (1, 1) == store.counts


DELIVER = """
import sys
from sqlalchemy import Column, MetaData, Table, Text, insert
from domainkit import DomainEvent
from domainkit.adapters.sqlalchemy import Inbox, UnitOfWork, inbox_table, make_engine

class TaskCreated(DomainEvent): ...

url, inbox, effects, *events = sys.argv[1:]
engine = make_engine(url)
table = Table(effects, MetaData(), Column("text", Text()))
unit_of_work = UnitOfWork(engine)

def handle(event: TaskCreated) -> None:
    with unit_of_work.writing() as connection:
        connection.execute(insert(table), {"text": str(event.header.id)})

once = Inbox(inbox_table(MetaData(), inbox), unit_of_work).once(handle, name="handle")
print("ready", flush=True)
sys.stdin.readline()
for event in events:
    once(TaskCreated.from_json(event)).unwrap()
engine.dispose()
"""


def test_deliveries_to_several_processes(store: Store, database: str) -> None:
    """Of deliveries to several processes at the same time one has its effect, message by message."""
    events = [TaskCreated() for _ in range(20)]
    arguments = [database, store.inbox.name, store.effects.name, *(event.json() for event in events)]
    command = [sys.executable, "-c", DELIVER, *arguments]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert [0, 0, 0] == [process.returncode for process in processes]
    with store.engine.connect() as connection:
        texts = connection.execute(select(store.effects.c.text)).scalars().all()
    assert sorted(str(event.header.id) for event in events) == sorted(texts)
    assert (20, 20) == store.counts


def test_inside_of_a_unit_of_work(
    store: Store, inbox: Inbox, unit_of_work: UnitOfWork, effect: Callable[[object], None]
) -> None:
    """In a unit of work that is open, effect and mark belong to that: where it is rolled back, both are gone."""

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        return Success("done")

    once, command = inbox.once(create, name="create"), CreateTask("Buy milk")

    def outer() -> Result[None, Refused]:
        assert [Success("done"), Success(None)] == [once(command), once(command)]
        return Failure(Refused())

    assert Failure(Refused()) == unit_of_work.atomic(outer)()
    assert (0, 0) == store.counts


def test_a_lost_commit_is_a_failure(
    store: Store, inbox: Inbox, effect: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is unknown whether the work was committed the answer says so; the next delivery finds out."""

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        return Success("done")

    def lose(transaction: Any) -> None:
        commit(transaction)
        raise ConnectionResetError

    once, command = inbox.once(create, name="create"), CreateTask("Buy milk")
    commit = sqlalchemy.engine.RootTransaction.commit
    with monkeypatch.context() as patched:
        patched.setattr(sqlalchemy.engine.RootTransaction, "commit", lose)
        answer = once(command)
    assert isinstance(answer.failure(), OutcomeUnknownError)
    assert Success(None) == once(command)
    assert (1, 1) == store.counts


class Greeter:
    """A subscriber in a class."""

    def greet(self, event: TaskCreated) -> None:
        """Do nothing."""

    def __call__(self, event: TaskCreated) -> None:
        """Do nothing."""


def greet(event: TaskCreated, text: str = "hello") -> None:
    """Do nothing."""


@pytest.fixture
def names() -> Inbox:
    """Return an inbox that is never asked to store anything."""
    return Inbox(inbox_table(MetaData()), UnitOfWork(make_engine("sqlite://")))


def test_a_name_that_does_not_last_is_refused(names: Inbox) -> None:
    """Lambdas and functions in functions may be several of one name: they need one of their own."""

    def local(event: TaskCreated) -> None: ...

    for handler in (local, lambda _: None, partial(local)):
        with pytest.raises(ValueError, match=r"expected a handler with a unique name"):
            names.once(handler)
        names.once(handler, name=f"local {id(handler)}")
    with pytest.raises(ValueError, match="got ''"):
        names.once(local, name="")


@pytest.mark.parametrize("name", ["a\0", "a\ud800", "a" * 2001])
def test_a_name_that_cannot_be_stored_is_refused(names: Inbox, name: str) -> None:
    """It is refused when the handler is given, not for each message, and by all databases."""
    with pytest.raises(ValueError, match=r"^once: expected a text .* as the name of a handler, got another; pass "):
        names.once(greet, name=name)


def test_two_handlers_of_one_name_are_refused(names: Inbox) -> None:
    """A name is one handler's: under one mark the second would never be called. The same handler may have it twice."""
    first, second = Greeter(), Greeter()
    for _ in range(2):
        names.once(first.greet)
        names.once(first)
        names.once(greet)
    for another in (second.greet, second, partial(greet, text="bye")):
        with pytest.raises(ValueError, match=r"expected a name that no other handler has here"):
            names.once(another)
        names.once(another, name=repr(another))
    with pytest.raises(ValueError, match=r"'greeter'|no other handler"):
        names.once(first.greet, name=f"{__name__}.greet")


def test_a_coroutine_function_is_refused(names: Inbox) -> None:
    """A sync inbox refuses a coroutine function when it is given, not when it runs."""

    async def later(event: TaskCreated) -> None: ...

    with pytest.raises(TypeError, match=r"^Inbox.once: expected a plain function, got the .*later; use an "):
        names.once(later, name="later")  # type: ignore[arg-type]  # wrong on purpose


def test_with_a_bus(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """The function that `once` returns is bound by handled_by, and named as the handler in a bus's texts."""

    def refuse(event: TaskCreated) -> Result[None, Refused]:
        return Failure(Refused())

    once = inbox.once(refuse, name="refuse")
    answer = InmemoryDomainEventBus(TaskCreated.handled_by(once)).publish(TaskCreated())
    assert "test_with_a_bus.<locals>.refuse (" in str(answer.failure())


def add_marks(store: Store, *ages: timedelta) -> None:
    """Store marks that are as old as that."""
    now = datetime.now(UTC)
    rows = [{"message_id": Uuid.v4().value, "handler": "greet", "handled_at": now - age} for age in ages]
    with store.engine.begin() as connection:
        connection.execute(insert(store.inbox), rows)


DAYS = (timedelta(days=30), timedelta(days=8), timedelta(days=6), timedelta(days=1), timedelta(0))


@pytest.mark.parametrize("batch", [1, 2, 3, 1_000])
def test_clean_forgets_what_is_older(store: Store, inbox: Inbox, batch: int) -> None:
    """Clean deletes all marks that are older, whatever the batch, and no other; it says how many."""
    add_marks(store, *DAYS)
    assert 2 == inbox.clean(timedelta(days=7), batch=batch)
    assert 3 == store.count(store.inbox)
    assert 0 == inbox.clean(timedelta(days=7), batch=batch)


def test_clean_deletes_in_batches(store: Store, inbox: Inbox) -> None:
    """No statement of clean deletes more than a batch, and each is a transaction of its own."""
    add_marks(store, *[timedelta(days=9)] * 5)
    deleted: list[int] = []
    begun: list[object] = []
    sqlalchemy.event.listen(
        store.engine, "after_cursor_execute", lambda _, cursor, *rest: deleted.append(cursor.rowcount)
    )
    sqlalchemy.event.listen(store.engine, "commit", begun.append)
    assert 5 == inbox.clean(timedelta(days=7), batch=2)
    assert [2, 2, 1] == [count for count in deleted if count > 0]
    assert 3 == len(begun)


def test_what_was_forgotten_is_handled_again(store: Store, inbox: Inbox, effect: Callable[[object], None]) -> None:
    """Behind the window a redelivery is handled again: the window must be longer than a broker keeps a message."""

    def create(command: CreateTask) -> Result[str, Refused]:
        effect(command.title)
        return Success("done")

    once, command = inbox.once(create, name="create"), CreateTask("Buy milk")
    assert [Success("done"), Success(None)] == [once(command), once(command)]
    assert 1 == inbox.clean(timedelta(microseconds=1))
    assert Success("done") == once(command)
    assert (2, 1) == store.counts


@pytest.mark.parametrize(
    ("older_than", "batch"), [(timedelta(0), 5), (timedelta(days=-1), 5), (timedelta(days=1), 0), (timedelta(1), -1)]
)
def test_clean_refuses_what_makes_no_sense(names: Inbox, older_than: timedelta, batch: int) -> None:
    """A window that isn't above 0 would forget what is being handled; a batch below 1 would never end."""
    with pytest.raises(ValueError, match="`older_than` and `batch` above 0"):
        names.clean(older_than, batch=batch)


class AsyncStore:
    """The store, with the async engine and inbox beside it."""

    def __init__(self, store: Store, engine: AsyncEngine) -> None:
        self.store = store
        self.unit_of_work = AsyncUnitOfWork(engine)
        self.inbox = AsyncInbox(store.inbox, self.unit_of_work)

    async def effect(self, text: str) -> None:
        await self.unit_of_work.run(lambda: self._add(text))

    def _add(self, text: str) -> None:
        with self.unit_of_work.inner.writing() as connection:
            connection.execute(insert(self.store.effects), {"text": text})


@pytest.fixture
async def aio(store: Store, database: str) -> AsyncIterator[AsyncStore]:
    """Return the async side of the store."""
    pytest.importorskip("aiosqlite", reason="needs the extra `sql`")
    engine = make_async_engine(database.replace("sqlite:", "sqlite+aiosqlite:"))
    yield AsyncStore(store, engine)
    await engine.dispose()


async def test_async_once(aio: AsyncStore) -> None:
    """An AsyncInbox does the same: one effect, one mark, and a Failure or an exception takes both back."""
    answers: list[Result[str, Refused]] = [Failure(Refused()), Success("done")]

    async def create(command: CreateTask) -> Result[str, Refused]:
        await aio.effect(command.title)
        return answers.pop(0)

    once, command = aio.inbox.once(create, name="create"), CreateTask("Buy milk")
    assert iscoroutinefunction(once)
    assert Failure(Refused()) == await once(command)
    assert (0, 0) == aio.store.counts
    assert [Success("done"), Success(None)] == [await once(command), await once(command)]
    with pytest.raises(IndexError):
        await once(CreateTask("Buy bread"))
    assert (1, 1) == aio.store.counts


async def test_async_deliveries_at_the_same_time(aio: AsyncStore) -> None:
    """Of several deliveries at the same time, in tasks, one has its effect."""

    async def create(command: CreateTask) -> Result[str, Refused]:
        await aio.effect(command.title)
        await asyncio.sleep(0.01)
        return Success("done")

    once, command = aio.inbox.once(create, name="create"), CreateTask("Buy milk")
    answers = await asyncio.gather(*(once(command) for _ in range(4)))
    assert ["<Success: None>"] * 3 + ["<Success: done>"] == sorted(map(repr, answers))
    assert (1, 1) == aio.store.counts


async def test_a_cancelled_handler_leaves_no_mark(aio: AsyncStore) -> None:
    """A handler that is cancelled has done nothing: the message is handled when it comes again."""
    inside = asyncio.Event()

    async def hang(event: TaskCreated) -> None:
        await aio.effect("done")
        inside.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(aio.inbox.once(hang, name="hang")(TaskCreated()))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (0, 0) == aio.store.counts


async def test_async_subscribers_may_return_nothing(aio: AsyncStore) -> None:
    """A subscriber that returns nothing has succeeded; another value is a bug."""

    async def nothing(event: TaskCreated) -> None: ...

    async def wrong(event: TaskCreated) -> Result[None, Refused]:
        return 5  # type: ignore[return-value]  # wrong on purpose

    assert Success(None) == await aio.inbox.once(nothing, name="nothing")(TaskCreated())
    with pytest.raises(TypeError, match="wrong: expected a Result, got int"):
        await aio.inbox.once(wrong, name="wrong")(TaskCreated())
    assert (0, 1) == aio.store.counts


@pytest.mark.parametrize("batch", [1, 3])
async def test_async_clean(aio: AsyncStore, batch: int) -> None:
    """Clean does the same too."""
    add_marks(aio.store, *DAYS)
    assert 2 == await aio.inbox.clean(timedelta(days=7), batch=batch)
    assert 3 == aio.store.count(aio.store.inbox)
    with pytest.raises(ValueError, match="`older_than` and `batch` above 0"):
        await aio.inbox.clean(timedelta(0))
