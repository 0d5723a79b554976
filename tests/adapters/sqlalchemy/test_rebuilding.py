"""The rebuild of a read model: beside the old rows, which are read until the new ones are swapped in."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from accounts import AccountEvent, Deposited, Opened, codec
from attrs import evolve
from databases import Database
from projecting import (
    BALANCES,
    CHECKPOINTS,
    METADATA,
    Balance,
    account_of,
    amounts_of,
    append,
    balances,
    entries,
    history_of,
    make_store,
    mend,
    new_accounts,
    opened,
    rows_of,
    spoil,
    stored_balances,
)
from sqlalchemy import Engine

from domainkit import DomainEvent, InmemoryEventStore, ReadModel, ReadsAllEvents, RecordedEvent, UnreadableEvent
from domainkit.adapters.sqlalchemy import (
    FunctionReadModel,
    OnUnreadable,
    Projector,
    Rebuilt,
    SqlReadModel,
    TableReadModel,
    UnitOfWork,
    make_engine,
)

WAIT = 60


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine; the tables exist."""
    with database.engine(METADATA, pool_size=12) as made:
        yield made


def make_projector(
    engine: Engine,
    *models: SqlReadModel,
    batch: int = 500,
    policy: OnUnreadable = OnUnreadable.STOP,
    store: ReadsAllEvents | None = None,
) -> Projector:
    """Return a projector of read models."""
    read = make_store(engine) if store is None else store
    return Projector(
        UnitOfWork(engine),
        read,
        models,
        CHECKPOINTS,
        batch=batch,
        poll=timedelta(milliseconds=20),
        on_unreadable=policy,
    )


def doubled(row: Balance | None, event: Deposited) -> Balance:
    """Count each amount twice: newer steps."""
    found = row or Balance(event.account_id, 0, 0)
    return evolve(found, total=found.total + 2 * event.amount, deposits=found.deposits + 1)


def newer() -> TableReadModel[Balance]:
    """Return version 2 of the balances."""
    model = ReadModel("balances", Balance, version=2).on(Opened, account_of, opened)
    return TableReadModel(model.on(Deposited, account_of, doubled), BALANCES)


def shadows(engine: Engine) -> list[str]:
    """Return the tables that a rebuild has left."""
    return [name for name in sa.inspect(engine).get_table_names() if name.endswith("__rebuild")]


def test_a_rebuild_replaces_the_rows(engine: Engine) -> None:
    """The rows are those of the newer steps, and of no row that only the old ones made; no table is left."""
    store, (ada, bob) = make_store(engine), new_accounts(2)
    append(store, Opened(ada), Deposited(ada, 5))
    make_projector(engine, stored_balances()).run_once()
    with engine.begin() as connection:
        connection.execute(sa.insert(BALANCES).values(account_id=bob.value, total=1, deposits=1))
    projector = make_projector(engine, newer())
    assert Rebuilt("balances", 2, 2, is_swapped=True) == projector.rebuild("balances")
    assert {ada: Balance(ada, 10, 1)} == rows_of(engine)
    assert [] == shadows(engine)
    append(store, Deposited(ada, 1))
    projector.run_once()
    assert {ada: Balance(ada, 12, 2)} == rows_of(engine)
    assert ("current", 2, None) == (
        projector.status()[0].state,
        projector.status()[0].stored_version,
        projector.status()[0].rebuilt_to,
    )


def test_the_old_rows_are_kept_current_until_the_swap(engine: Engine) -> None:
    """A rebuild shows none of its rows before it is done, and another projector of the old version goes on."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(6)])
    old = make_projector(engine, stored_balances())
    old.run_once()
    seen: list[tuple[int, int]] = []

    def look(rebuilt: Rebuilt) -> None:
        if len(seen) < 3:
            append(store, Deposited(ada, 1))
            old.run_once()
        seen.append((rebuilt.position, rows_of(engine)[ada].total))

    projector = make_projector(engine, newer(), batch=2)
    assert Rebuilt("balances", 9, 9, is_swapped=True) == projector.rebuild("balances", progress=look)
    assert [(2, 7), (4, 8), (6, 9), (8, 9), (9, 18)] == seen
    assert 2 == projector.status()[0].stored_version
    assert ("balances",) == old.run_once().stopped


def is_whole(found: Mapping[object, Balance], count: int) -> bool:
    """Check that rows are all there, and all of old steps or all of new ones."""
    return len(found) == count and {row.total // row.deposits for row in found.values()} in ({1}, {2})


def until_one_fails(works: Sequence[Callable[[], object]], stop: threading.Event) -> None:
    """Do works at once, each in a thread; if one fails, stop the others and raise its exception."""
    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(one) for one in works]
        for future in running:
            future.add_done_callback(lambda done: stop.set() if done.exception() else None)
        for future in running:
            future.result()


def test_a_rebuild_while_writers_write_and_readers_read(engine: Engine) -> None:
    """Readers see all old rows or all new ones at every moment, and the rows are the fold of all events in the end."""
    store, accounts = make_store(engine), new_accounts(10)
    for one in accounts:
        append(store, Opened(one), Deposited(one, 1))
    old = make_projector(engine, stored_balances(), batch=5)
    old.run(threading.Event(), until_idle=True)
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.01):
            append(store, Deposited(accounts[0], 1))

    def read() -> None:
        while not stop.wait(0.002):
            assert is_whole(rows_of(engine), len(accounts))

    def rebuild() -> None:
        for _ in range(3):
            make_projector(engine, newer(), batch=20).rebuild("balances")
            make_projector(engine, stored_balances(), batch=20).rebuild("balances")
        stop.set()

    until_one_fails([write, read, read, lambda: old.run(stop), rebuild], stop)
    make_projector(engine, stored_balances()).run(threading.Event(), until_idle=True)
    assert balances().rows(history_of(store)) == rows_of(engine)
    assert [] == shadows(engine)


def test_an_interrupted_rebuild_goes_on(engine: Engine) -> None:
    """Another process goes on where the first one was, and the status says how far that is."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(5)])
    make_projector(engine, stored_balances()).run_once()
    stop, projector = threading.Event(), make_projector(engine, newer(), batch=2)
    assert Rebuilt("balances", 2, 5) == projector.rebuild("balances", progress=lambda _: stop.set(), stop=stop)
    assert 2 == projector.status()[0].rebuilt_to
    assert 5 == rows_of(engine)[ada].total
    seen: list[int] = []
    make_projector(engine, newer(), batch=2).rebuild("balances", progress=lambda one: seen.append(one.position))
    assert [4, 5] == seen
    assert 10 == rows_of(engine)[ada].total


def test_a_rebuild_of_another_version_begins_anew(engine: Engine) -> None:
    """Rows of an interrupted rebuild by other steps are thrown away."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(5)])
    stop = threading.Event()
    make_projector(engine, newer(), batch=2).rebuild("balances", progress=lambda _: stop.set(), stop=stop)
    make_projector(engine, stored_balances(), batch=2).rebuild("balances")
    assert 5 == rows_of(engine)[ada].total


def test_a_rebuild_whose_table_was_dropped_begins_anew(engine: Engine) -> None:
    """An interrupted rebuild leaves a table; if a migration drops it, nothing of its rows is taken as done."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(4)])
    model, stop = newer(), threading.Event()
    projector = make_projector(engine, model, batch=2)
    assert not projector.rebuild("balances", stop=stop, progress=lambda _: stop.set()).is_swapped
    with engine.begin() as connection:
        model.shadow.drop(connection)
    assert projector.rebuild("balances").is_swapped
    assert 8 == rows_of(engine)[ada].total


def test_several_share_a_rebuild(engine: Engine) -> None:
    """Each event counts once, however many processes rebuild; all of them report the end."""
    store, (ada, bob) = make_store(engine), new_accounts(2)
    for number in range(40):
        append(store, Deposited(ada, number))
        append(store, Deposited(bob, 1))
    at_once = threading.Barrier(4)

    def rebuild() -> Rebuilt:
        projector = make_projector(engine, newer(), entries(), batch=3)
        at_once.wait(WAIT)
        return projector.rebuild("balances")

    with ThreadPoolExecutor(4) as pool:
        ends = [one.result() for one in [pool.submit(rebuild) for _ in range(4)]]
    assert [True] * 4 == [one.is_swapped for one in ends]
    assert {ada: (1560, 40), bob: (80, 40)} == {key: (row.total, row.deposits) for key, row in rows_of(engine).items()}
    assert [] == shadows(engine)


class Interrupted:
    """A store that does something else once, after the events were read."""

    def __init__(self, engine: Engine, work: Callable[[], object]) -> None:
        self._store, self._works = make_store(engine), [work]

    def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]:
        """Return events, and do the work."""
        found = self._store.read_all(after=after, limit=limit)
        if self._works:
            self._works.pop()()
        return found


@pytest.mark.parametrize("batch", [2, 500])
def test_a_rebuild_that_another_process_ends(engine: Engine, batch: int) -> None:
    """One that another process ended, or moved on, while this one read its events counts no event twice."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(5)])
    other = make_projector(engine, newer(), batch=2)
    ending = Interrupted(engine, lambda: other.rebuild("balances"))
    assert Rebuilt("balances", 5, None, is_swapped=True) == make_projector(
        engine, newer(), batch=batch, store=ending
    ).rebuild("balances")
    stop = threading.Event()
    moving = Interrupted(engine, lambda: other.rebuild("balances", progress=lambda _: stop.set(), stop=stop))
    seen: list[int] = []
    projector = make_projector(engine, newer(), batch=batch, store=moving)
    assert projector.rebuild("balances", progress=lambda one: seen.append(one.position)).is_swapped
    assert 2 == seen[0]
    assert {ada: Balance(ada, 10, 5)} == rows_of(engine)


def test_a_rebuild_that_ended_between_two_steps(engine: Engine) -> None:
    """A process that comes late reports the end too."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(5)])
    other = make_projector(engine, newer())
    works: list[Callable[[], object]] = [lambda: other.rebuild("balances")]
    rebuilt = make_projector(engine, newer(), batch=2).rebuild(
        "balances", progress=lambda _: works.pop()() if works else None
    )
    assert Rebuilt("balances", 5, 5, is_swapped=True) == rebuilt
    assert {ada: Balance(ada, 10, 5)} == rows_of(engine)


def test_a_rebuild_needs_one_connection_at_a_time() -> None:
    """A database in memory, whose pool has one connection, can be rebuilt; the store has its own unit of work."""
    engine, (ada,) = make_engine("sqlite://", pool_timeout=1), new_accounts(1)
    METADATA.create_all(engine)
    append(make_store(engine), Opened(ada), Deposited(ada, 5))
    assert make_projector(engine, newer(), batch=1).rebuild("balances").is_swapped
    assert {ada: Balance(ada, 10, 1)} == rows_of(engine)
    engine.dispose()


def test_a_rebuild_of_a_function(engine: Engine) -> None:
    """A function writes into the table that it is given, with the defaults of its columns."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7))
    projector = make_projector(engine, entries(), batch=1)
    projector.run(threading.Event(), until_idle=True)
    projector.rebuild("entries")
    assert [5, 7] == amounts_of(engine)


def test_a_rebuild_of_columns_that_compute(database: Database) -> None:
    """Defaults that Python computes, and columns that the database computes, are in the new rows too."""
    own = sa.MetaData()
    table = sa.Table(
        "counts",
        own,
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("amount", sa.Integer, nullable=False, default=7),
        sa.Column("half", sa.Integer, sa.Computed("amount / 2", persisted=True)),
        sa.Column("note", sa.Text, nullable=False, default=lambda: "made", onupdate="changed"),
        sa.Column("kind", sa.Text, nullable=False, server_default="plain"),
    )

    def count(connection: sa.Connection, to: sa.Table, event: Deposited) -> None:
        connection.execute(sa.insert(to).values(id=event.header.id.value))

    with database.engine(METADATA, own) as engine:
        append(make_store(engine), Deposited(new_accounts(1)[0], 5))
        projector = make_projector(engine, FunctionReadModel("counts", table).on(Deposited, count))
        projector.run_once()
        with engine.connect() as connection:
            before = connection.execute(sa.select(table)).one()
        assert projector.rebuild("counts").is_swapped
        with engine.connect() as connection:
            assert before == connection.execute(sa.select(table)).one()
    assert (7, 3, "made", "plain") == before[1:]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
def test_a_rebuild_leaves_the_rows_that_refer_to_its_rows(database: Database, action: str) -> None:
    """Rows of other tables refer to the same rows afterwards, whatever their foreign key does if a row is deleted."""
    own, (ada,) = sa.MetaData(), new_accounts(1)
    sa.Table("balances", own, sa.Column("account_id", sa.Uuid(), primary_key=True))
    key = sa.ForeignKey("balances.account_id", ondelete=action)
    notes = sa.Table("notes", own, sa.Column("id", sa.Integer, primary_key=True), sa.Column("about", sa.Uuid(), key))
    with database.engine(METADATA, own) as engine:
        append(make_store(engine), Opened(ada), Deposited(ada, 5))
        make_projector(engine, stored_balances()).run_once()
        with engine.begin() as connection:
            connection.execute(sa.insert(notes).values(id=1, about=ada.value))
        assert make_projector(engine, newer()).rebuild("balances").is_swapped
        assert {ada: Balance(ada, 10, 1)} == rows_of(engine)
        with engine.connect() as connection:
            assert [(1, ada.value)] == connection.execute(sa.select(notes)).all()


def one_step(projector: Projector, name: str) -> Rebuilt:
    """Begin a rebuild, or go on with it, and interrupt it."""
    stop = threading.Event()
    return projector.rebuild(name, progress=lambda _: stop.set(), stop=stop)


@pytest.mark.parametrize("name", ["b" * 54, "b" * 55, "b" * 63, "ü" * 30 + "bb", "bü" + "ü" * 30])
def test_a_rebuild_of_a_table_with_a_long_name(database: Database, name: str) -> None:
    """Its name may have the 63 bytes of PostgreSQL, and still the rebuild has a table, which ends with `__rebuild`."""
    own, (ada,) = sa.MetaData(), new_accounts(1)
    table, beside = (BALANCES.to_metadata(own, name=one) for one in (name, name[:-1] + "c"))
    one, other = TableReadModel(balances(), table), TableReadModel(evolve(balances(), name="beside"), beside)
    with database.engine(METADATA, own) as engine:
        append(make_store(engine), Opened(ada), *(Deposited(ada, amount) for amount in range(3)))
        for _ in range(2):  # each finds the table of an earlier one, and that of the other read model
            for model in (one, other):
                assert not one_step(make_projector(engine, model, batch=1), model.name).is_swapped
        assert [2, 2] == [one.rebuilt_to for one in make_projector(engine, one, other).status()]
        assert 2 == len({name.encode()[:63] for name in shadows(engine)})
        for model in (one, other):
            assert make_projector(engine, model).rebuild(model.name).is_swapped
        assert [] == shadows(engine)


class Ranks:
    """A read model with a unique column, whose values two rows exchange in another version.

    Args:
        is_null: the column can be NULL.
        action: what becomes of a row of another table that refers to one that is deleted.
        is_deferrable: the constraint is checked at the end of a statement.
    """

    def __init__(self, *, is_null: bool, action: str | None = None, is_deferrable: bool | None = None) -> None:
        self.metadata, (self.ada, self.bob) = sa.MetaData(), new_accounts(2)
        self.table = sa.Table(
            "ranks",
            self.metadata,
            sa.Column("account_id", sa.Uuid(), primary_key=True),
            sa.Column("rank", sa.Integer, nullable=is_null),
            sa.Column("upper", sa.ForeignKey("ranks.account_id", ondelete="CASCADE")),
            sa.UniqueConstraint("rank", deferrable=is_deferrable),
        )
        about = sa.ForeignKey(self.table.c.account_id, ondelete=action)
        self.notes = sa.Table("notes", self.metadata, sa.Column("id", sa.Integer, primary_key=True))
        if action is not None:
            self.notes.append_column(sa.Column("about", about))

    def model(self, version: int, sign: int) -> FunctionReadModel:
        """Return a version of the read model."""

        def store(connection: sa.Connection, table: sa.Table, event: Deposited) -> None:
            connection.execute(sa.insert(table).values(account_id=event.account_id.value, rank=sign * event.amount))

        return FunctionReadModel("ranks", self.table, version=version).on(Deposited, store)

    def rebuild(self, engine: Engine) -> Rebuilt:
        """Store what exchanges its values in a rebuild, and a note; rebuild."""
        append(make_store(engine), Deposited(self.ada, 1))
        append(make_store(engine), Deposited(self.bob, -1))
        make_projector(engine, self.model(1, 1)).run_once()
        about = {"about": self.ada.value} if "about" in self.notes.c else {}
        with engine.begin() as connection:
            connection.execute(sa.insert(self.notes).values(id=1, **about))
        return make_projector(engine, self.model(2, -1)).rebuild("ranks")

    def found(self, engine: Engine) -> list[int | None]:
        """Return the ranks, and after them what is noted."""
        with engine.connect() as connection:
            ranks = {row.account_id: row.rank for row in connection.execute(sa.select(self.table))}
            notes = connection.execute(sa.select(self.notes)).all()
        assert [(1, self.ada.value)[: len(self.notes.c)]] == [tuple(one) for one in notes]
        return [ranks[self.ada.value], ranks[self.bob.value]]


@pytest.mark.parametrize(("is_null", "action"), [(False, None), (True, None), (True, "CASCADE"), (True, "RESTRICT")])
def test_a_rebuild_of_rows_that_exchange_a_unique_value(
    database: Database, *, is_null: bool, action: str | None
) -> None:
    """A unique value that another row had before is no reason to refuse the new rows, and what refers to them stays."""
    ranks = Ranks(is_null=is_null, action=action)
    with database.engine(METADATA, ranks.metadata) as engine:
        assert ranks.rebuild(engine).is_swapped
        assert [-1, 1] == ranks.found(engine)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT"])
def test_a_rebuild_that_would_delete_rows_of_others(database: Database, action: str) -> None:
    """If only deleting could exchange the values, it is refused, with the tables that refer; the old rows stay."""
    ranks = Ranks(is_null=False, action=action)
    with database.engine(METADATA, ranks.metadata) as engine:
        with pytest.raises(RuntimeError, match=r"^FunctionReadModel\(ranks\): expected .* rows of notes that go"):
            ranks.rebuild(engine)
        assert [1, -1] == ranks.found(engine)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_rebuild_with_a_deferrable_constraint(database: Database) -> None:
    """Checked at the end of the statement, the exchanged values are in order: the rows are changed in place."""
    ranks = Ranks(is_null=False, action="CASCADE", is_deferrable=True)
    with database.engine(METADATA, ranks.metadata) as engine:
        assert ranks.rebuild(engine).is_swapped
        assert [-1, 1] == ranks.found(engine)


def test_a_rebuild_of_keys_alone(database: Database) -> None:
    """A table may have no column besides its key."""
    own, (ada, bob) = sa.MetaData(), new_accounts(2)
    seen = sa.Table("seen", own, sa.Column("account_id", sa.Uuid(), primary_key=True))

    def store(connection: sa.Connection, table: sa.Table, event: Opened) -> None:
        connection.execute(sa.insert(table).values(account_id=event.account_id.value))

    with database.engine(METADATA, own) as engine:
        append(make_store(engine), Opened(ada))
        projector = make_projector(engine, FunctionReadModel("seen", seen).on(Opened, store))
        projector.run_once()
        append(make_store(engine), Opened(bob))
        assert projector.rebuild("seen").is_swapped
        with engine.connect() as connection:
            assert {ada.value, bob.value} == set(connection.scalars(sa.select(seen.c.account_id)))


def test_a_rebuild_stops_at_an_unreadable_event(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The old rows stay, the stop is logged; once the event can be read, the rebuild goes on to its end."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7))
    make_projector(engine, stored_balances()).run_once()
    spoil(engine, 2)
    projector = make_projector(engine, newer())
    assert Rebuilt("balances", 1, 2, stopped_at=2) == projector.rebuild("balances")
    assert "read model balances__rebuild: stopped at the unreadable event at position 2" in caplog.text
    assert 12 == rows_of(engine)[ada].total
    mend(engine, 2, Deposited(ada, 7))
    assert projector.rebuild("balances").is_swapped
    assert 24 == rows_of(engine)[ada].total


def test_a_rebuild_skips_an_unreadable_event(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted anew and logged, if that is the policy."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5), Deposited(ada, 7))
    spoil(engine, 1)
    projector = make_projector(engine, newer(), policy=OnUnreadable.SKIP)
    assert projector.rebuild("balances").is_swapped
    assert "read model balances__rebuild: skipped the unreadable event at position 1" in caplog.text
    assert (14, 1) == (rows_of(engine)[ada].total, projector.status()[0].unreadable)


def test_a_rebuild_that_fails_keeps_the_old_rows(engine: Engine) -> None:
    """The exception of a step is raised; nothing of the batch is kept."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, Deposited(ada, 5))
    make_projector(engine, stored_balances()).run_once()

    def failing(*_: object) -> None:
        raise LookupError

    model = ReadModel("balances", Balance, version=2).on(Deposited, account_of, failing)
    projector = make_projector(engine, TableReadModel(model, BALANCES))
    with pytest.raises(LookupError):
        projector.rebuild("balances")
    assert 5 == rows_of(engine)[ada].total


def test_an_answer_that_is_lost_is_asked_for_again(engine: Engine) -> None:
    """A commit without an answer is no end of a rebuild: it looks again how far it is."""
    store, (ada,) = make_store(engine), new_accounts(1)
    append(store, *[Deposited(ada, 1) for _ in range(4)])
    projector, commits = make_projector(engine, newer(), batch=2), list[int]()
    projector.run_once()

    @sa.event.listens_for(engine, "commit")
    def fail(_: object) -> None:
        commits.append(1)
        if len(commits) == 2:
            raise OSError

    assert projector.rebuild("balances").is_swapped
    assert 8 == rows_of(engine)[ada].total


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_rebuild_after_the_last_events_were_deleted(engine: Engine, *, in_memory: bool) -> None:
    """The new rows are swapped in, though the old ones were made of events that are no longer there."""
    memory: InmemoryEventStore[AccountEvent] = InmemoryEventStore(codec)
    store = memory if in_memory else make_store(engine)
    ada, grace = new_accounts(2)
    store.append(ada, [Opened(ada), Deposited(ada, 5)], expected=0).unwrap()
    store.append(grace, [Opened(grace), Deposited(grace, 7)], expected=0).unwrap()
    projector = make_projector(engine, stored_balances(), batch=1, store=store)
    projector.run(threading.Event(), until_idle=True)
    store.delete(grace).unwrap()
    assert projector.rebuild("balances").is_swapped
    assert {ada} == rows_of(engine).keys()
    assert 4 <= projector.status()[0].position


def test_an_unknown_name(engine: Engine) -> None:
    """A read model that the projector doesn't have is a KeyError."""
    with pytest.raises(KeyError, match="unknown"):
        make_projector(engine, newer()).rebuild("unknown")
