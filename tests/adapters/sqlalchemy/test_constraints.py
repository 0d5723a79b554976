"""Constraints of the database as errors of the domain: which violation becomes which, and what stays an exception."""

from collections.abc import Iterator, Mapping

import pytest
from attrs import frozen
from databases import Database
from returns.result import Failure, Success
from sqlalchemy import (
    CheckConstraint,
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError

from domainkit import AggregateAlreadyExistError, AggregateRoot, DomainError, pipeline
from domainkit.adapters.sqlalchemy import (
    AsyncSqlCrudRepository,
    AsyncUnitOfWork,
    RowMapper,
    SqlCrudRepository,
    UnitOfWork,
    make_engine,
    refusing,
    refusing_async,
)
from domainkit.values import Uuid as Id

METADATA = MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"})
CLUBS = Table("clubs", METADATA, Column("id", Uuid(), primary_key=True))
MEMBERS = Table(
    "members",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("id", Uuid(), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("email", String, nullable=False),
    Column("name", String, nullable=False),
    Column("age", Integer, nullable=False),
    Column("club", Uuid(), ForeignKey(CLUBS.c.id, name="fk_members_club")),
    UniqueConstraint("email", "club", name="uq_members_email_club"),
    UniqueConstraint("email", name="uq_members_email"),
    CheckConstraint("age > 17", name="adult"),
    Index("uq_members_name", func.lower(Column("name", String)), unique=True),
)


class MemberId(Id): ...


class EmailTaken(DomainError): ...


class NameTaken(DomainError): ...


class TooYoung(DomainError): ...


class NoSuchClub(DomainError): ...


@frozen
class Member(AggregateRoot[MemberId]):
    email: str
    name: str
    age: int = 18
    club: Id | None = None


class MemberMapper(RowMapper[Member]):
    def to_row(self, aggregate: Member) -> Mapping[str, object]:
        club = None if aggregate.club is None else aggregate.club.value
        return {"email": aggregate.email, "name": aggregate.name, "age": aggregate.age, "club": club}

    def from_row(self, row: RowMapping) -> Member:
        return Member(row["email"], row["name"], row["age"], aggregate_id=MemberId(row["id"]))


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of each kind; the tables are there."""
    with database.engine(METADATA) as made:
        yield made


@pytest.fixture
def unit(engine: Engine) -> UnitOfWork:
    """Return a unit of work."""
    return UnitOfWork(engine)


@pytest.fixture
def members(unit: UnitOfWork) -> SqlCrudRepository[Member, MemberId]:
    """Return a repository that has stored Ada."""
    made = SqlCrudRepository[Member, MemberId](Member, MEMBERS, unit, mapper=MemberMapper())
    made.save(Member("ada@example.org", "Ada")).unwrap()
    return made


Members = SqlCrudRepository[Member, MemberId]


def stored(engine: Engine) -> list[str]:
    """Return the emails that are stored, sorted."""
    with engine.connect() as connection:
        return list(connection.scalars(select(MEMBERS.c.email).order_by(MEMBERS.c.email)))


@pytest.mark.parametrize(
    ("constraint", "error", "member"),
    [
        ("uq_members_email", EmailTaken, Member("ada@example.org", "Eve")),
        ("uq_members_name", NameTaken, Member("eve@example.org", "ADA")),
        ("ck_members_adult", TooYoung, Member("eve@example.org", "Eve", age=17)),
    ],
)
def test_a_violation_is_the_error_of_its_constraint(
    members: Members, *, constraint: str, error: type[DomainError], member: Member
) -> None:
    """A unique constraint, a unique index of an expression, a check: none of them stores anything."""
    save = refusing(members.save, error, constraint=constraint, table=MEMBERS, unit_of_work=members._unit_of_work)

    assert Failure(error()) == save(member)
    assert 1 == len(members.retrieve_all().unwrap())


def test_a_foreign_key_is_told_on_postgresql_alone(
    database: Database, engine: Engine, unit: UnitOfWork, members: Members
) -> None:
    """SQLite doesn't say which foreign key it was: that is refused when the step is made, and not guessed."""
    if database.kind == "sqlite":
        with pytest.raises(ValueError, match=r"'fk_members_club': .* SQLite doesn't identify"):
            refusing(members.save, NoSuchClub, constraint="fk_members_club", table=MEMBERS, unit_of_work=unit)
        return
    save = refusing(members.save, NoSuchClub, constraint="fk_members_club", table=MEMBERS, unit_of_work=unit)

    assert Failure(NoSuchClub()) == save(Member("eve@example.org", "Eve", club=Id.v4()))
    assert ["ada@example.org"] == stored(engine)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_deferred_constraint_refuses_at_the_end(database: Database) -> None:
    """It is an error of the step that the transaction ends with."""
    metadata = MetaData()
    table = [one.to_metadata(metadata) for one in (CLUBS, MEMBERS)][-1]
    table.append_constraint(UniqueConstraint("version", name="uq_late", deferrable=True, initially="DEFERRED"))
    with database.engine(metadata) as engine:
        unit = UnitOfWork(engine)
        late = SqlCrudRepository[Member, MemberId](Member, table, unit, mapper=MemberMapper())
        save = refusing(late.save, NameTaken, constraint="uq_late", table=table, unit_of_work=unit)
        save(Member("ada@example.org", "Ada")).unwrap()

        assert Failure(NameTaken()) == save(Member("eve@example.org", "Eve"))
        assert 1 == len(late.retrieve_all().unwrap())


def test_an_update_is_refused_as_a_save_is(unit: UnitOfWork, members: Members) -> None:
    """The step is any function that stores."""
    eve = members.save(Member("eve@example.org", "Eve")).unwrap()
    update = refusing(members.update, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit)

    changed = Member("ada@example.org", "Eve", aggregate_id=eve.aggregate_id)
    assert Failure(EmailTaken()) == update(changed)


def test_what_isnt_refused_is_what_the_step_returns(engine: Engine, unit: UnitOfWork, members: Members) -> None:
    """Successes and Failures of the step are its own, and what it stored is stored."""
    save = refusing(members.save, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit)
    eve = Member("eve@example.org", "Eve")

    assert Success(eve) == save(eve)
    assert isinstance(save(eve).failure(), AggregateAlreadyExistError)
    assert ["ada@example.org", "eve@example.org"] == stored(engine)


def test_another_violation_is_an_exception(engine: Engine, unit: UnitOfWork, members: Members) -> None:
    """A violation that no error was declared for stays as it is, also that of another constraint."""
    save = refusing(members.save, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit)
    with pytest.raises(IntegrityError):
        save(Member("eve@example.org", "ada"))

    assert ["ada@example.org"] == stored(engine)


def test_the_unit_of_work_around_it_goes_on(engine: Engine, unit: UnitOfWork, members: Members) -> None:
    """The refused statement alone is rolled back, and the rest is stored: on PostgreSQL too."""
    save = refusing(members.save, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit)
    with unit.begin():
        members.save(Member("bob@example.org", "Bob")).unwrap()
        assert Failure(EmailTaken()) == save(Member("ada@example.org", "Eve"))
        members.save(Member("eve@example.org", "Eve")).unwrap()

    assert ["ada@example.org", "bob@example.org", "eve@example.org"] == stored(engine)


def test_several_constraints_have_an_error_each(unit: UnitOfWork, members: Members) -> None:
    """A refusing step is a step: of a pipeline, of a unit of work, of another refusing."""
    save = refusing(members.save, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit)
    both = refusing(save, NameTaken, constraint="uq_members_name", table=MEMBERS, unit_of_work=unit)
    run = unit.atomic(pipeline(both, members.update))

    assert Failure(EmailTaken()) == run(Member("ada@example.org", "Eve"))
    assert Failure(NameTaken()) == run(Member("eve@example.org", "Ada"))
    assert 2 == run(Member("eve@example.org", "Eve")).unwrap().aggregate_version


async def test_a_violation_is_an_error_to_await(database: Database) -> None:
    """The async twin does the same: the error, the exception, and the rest of the unit of work."""
    async with database.async_engine(METADATA) as engine:
        unit = AsyncUnitOfWork(engine)
        members = AsyncSqlCrudRepository[Member, MemberId](Member, MEMBERS, unit, mapper=MemberMapper())
        save = refusing_async(members.save, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit)
        ada, eve = Member("ada@example.org", "Ada"), Member("ada@example.org", "Eve")
        async with unit.begin():
            assert Success(ada) == await save(ada)
            assert Failure(EmailTaken()) == await save(eve)
        with pytest.raises(IntegrityError):
            await save(Member("eve@example.org", "ada"))
        assert Success((ada,)) == await members.retrieve_all()


def test_a_name_that_the_table_has_not_is_refused() -> None:
    """A slip of the pen shows when the step is made; an index that isn't unique refuses nothing."""
    engine = make_engine("sqlite://")
    unit, metadata = UnitOfWork(engine), MetaData()
    plain = Table("plain", metadata, Column("id", Integer), Index("ix_id", "id"))
    with pytest.raises(ValueError, match=r"table 'clubs': expected .* \(none with a name\), got 'uq'"):
        refusing(Success[int], EmailTaken, constraint="uq", table=CLUBS, unit_of_work=unit)
    with pytest.raises(
        ValueError, match=r"\(ck_members_adult, fk_members_club, uq_members_email, .*\), got 'uq_members'"
    ):
        refusing(Success[int], EmailTaken, constraint="uq_members", table=MEMBERS, unit_of_work=unit)
    with pytest.raises(ValueError, match="got 'ix_id'"):
        refusing(Success[int], EmailTaken, constraint="ix_id", table=plain, unit_of_work=unit)
    engine.dispose()


def test_constraints_of_the_same_columns_are_not_told_apart_on_sqlite() -> None:
    """SQLite names the columns: two partial indexes of one column look alike, and neither is taken for the other."""
    engine = make_engine("sqlite://")
    table = Table("t", MetaData(), Column("a", Integer), Column("b", Integer), Index("ix_a", "a"))
    for name, where in (("one", table.c.b > 1), ("two", table.c.b < 1)):
        Index(name, table.c.a, unique=True, sqlite_where=where)
    with pytest.raises(ValueError, match="the only unique constraint or index on its columns"):
        refusing(Success[int], EmailTaken, constraint="one", table=table, unit_of_work=UnitOfWork(engine))
    engine.dispose()
