"""Violations of database constraints, as errors of the domain."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from returns.result import Failure, Result
from sqlalchemy.exc import IntegrityError
from typing_extensions import ParamSpec

from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork, Coro
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.errors import ConflictError
from domainkit.results import named_as

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")
E2 = TypeVar("E2")

_Named: TypeAlias = sa.Constraint | sa.Index


def refusing(
    step: Callable[P, Result[T, E]],
    error: Callable[[], E2],
    *,
    constraint: str,
    table: sa.Table,
    unit_of_work: UnitOfWork,
) -> Callable[P, Result[T, E | E2 | ConflictError]]:
    """Return a step of a pipeline that runs `step`, and fails with your own error if it violates a constraint.

    The step runs in its own unit of work, which is nested if one is open: a violation of the constraint rolls back
    this step only, and the outer unit of work can continue. A violation of another constraint raises SQLAlchemy's
    IntegrityError. After a lost race the step is rolled back too, and returns a Failure with ConflictError: let it end
    the outer unit of work.

    >>> from sqlalchemy import Column, MetaData, String, Table, insert
    >>> from domainkit import DomainError
    >>> from domainkit.adapters.sqlalchemy import make_engine
    >>> class EmailTaken(DomainError): ...
    >>> metadata, engine = MetaData(), make_engine("sqlite://")
    >>> emails = Table("emails", metadata, Column("email", String), sa.UniqueConstraint("email", name="uq_email"))
    >>> metadata.create_all(engine)
    >>> unit_of_work = UnitOfWork(engine)
    >>> def add(email: str) -> Result[str, KeyError]:
    ...     with unit_of_work.writing() as connection:
    ...         connection.execute(insert(emails), {"email": email})
    ...     return Result.from_value(email)
    >>> add_new = refusing(add, EmailTaken, constraint="uq_email", table=emails, unit_of_work=unit_of_work)
    >>> add_new("ada@example.org"), add_new("ada@example.org")  # Result[str, KeyError | EmailTaken | ConflictError]
    (<Success: ada@example.org>, <Failure: EmailTaken>)
    >>> engine.dispose()

    Args:
        step: a function that returns a Result, such as the `save` of a repository. It must not catch exceptions of the
            database.
        error: a class of errors, or another function that returns an error.
        constraint: the name of a constraint, or of a unique index, of the table.
        table: the table with the constraint.
        unit_of_work: the one in which the step stores its work.

    Raises:
        ValueError: the table has no constraint with this name, or an error of SQLite would not identify it: a foreign
            key, or one of two constraints on the same columns.
    """
    refused = _refusal(table, constraint, unit_of_work.dialect)

    def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | E2 | ConflictError]:
        try:
            with unit_of_work.begin():
                return step(*args, **kwargs)
        except ConflictError as lost:
            return Failure(lost)
        except IntegrityError as found:
            if not refused(found):
                raise
        return Failure(error())

    return named_as(run, step, adds=(error, ConflictError))


def refusing_async(
    step: Callable[P, Awaitable[Result[T, E]]],
    error: Callable[[], E2],
    *,
    constraint: str,
    table: sa.Table,
    unit_of_work: AsyncUnitOfWork,
) -> Callable[P, Coro[Result[T, E | E2 | ConflictError]]]:
    """Return an async step of a pipeline; see `refusing`.

    Args:
        step: a coroutine function that returns a Result, such as the `save` of an async repository.
        error: as for `refusing`.
        constraint: as for `refusing`.
        table: as for `refusing`.
        unit_of_work: the one in which the step stores its work.

    Raises:
        ValueError: as for `refusing`.
    """
    refused = _refusal(table, constraint, unit_of_work.inner.dialect)

    async def run(*args: P.args, **kwargs: P.kwargs) -> Result[T, E | E2 | ConflictError]:
        try:
            async with unit_of_work.begin():
                return await step(*args, **kwargs)
        except ConflictError as lost:
            return Failure(lost)
        except IntegrityError as found:
            if not refused(found):
                raise
        return Failure(error())

    return named_as(run, step, adds=(error, ConflictError))


def _refusal(table: sa.Table, name: str, dialect: str) -> Callable[[IntegrityError], bool]:
    """Return a function that checks if an error is a violation of this constraint."""
    constraints: list[_Named] = [*table.constraints, *(one for one in table.indexes if one.unique)]
    named: dict[object, _Named] = {one.name: one for one in constraints}
    if name not in named:
        known = ", ".join(sorted(str(one) for one in named if one is not None)) or "none with a name"
        raise ValueError(
            f"table {table.name!r}: expected the name of a constraint or unique index ({known}), got {name!r}; "
            "pass one of these names"
        )
    if dialect == "sqlite":
        text = _sqlite_error_text(named[name], constraints)
        return lambda error: str(error.orig) == text

    def refused(error: IntegrityError) -> bool:
        said: Any = getattr(error.orig, "diag", None)  # Any: psycopg, which has it, is another extra
        return (said.table_name, said.constraint_name) == (table.name, name)

    return refused


def _sqlite_error_text(constraint: _Named, among: Iterable[_Named]) -> str:
    """Return the text of SQLite's error for a violation: it has the name of a check, or the columns of a unique index.

    It doesn't identify a foreign key. See `sqlite3UniqueConstraint` in
    https://github.com/sqlite/sqlite/blob/master/src/insert.c.
    """
    text = _text_for(constraint)
    others = [_text_for(one) for one in among if one is not constraint]
    if text is None or text in others:
        raise ValueError(
            f"constraint {constraint.name!r}: expected a check, or the only unique constraint or index on its columns, "
            "got one that SQLite doesn't identify in its errors; query the rows before you store instead"
        )
    return text


def _text_for(constraint: _Named) -> str | None:
    if isinstance(constraint, sa.CheckConstraint):
        return f"CHECK constraint failed: {constraint.name}"
    if isinstance(constraint, sa.Index) and not all(isinstance(one, sa.Column) for one in constraint.expressions):
        return f"UNIQUE constraint failed: index '{constraint.name}'"
    if isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint | sa.Index):
        columns = (f"{one.table.name}.{one.name}" for one in constraint.columns)
        return f"UNIQUE constraint failed: {', '.join(columns)}"
    return None
