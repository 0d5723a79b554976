"""Links: the rows of chains that a claim may take, as each database finds them.

PostgreSQL finds and locks them by one statement. On SQLite, nobody else writes during the claim and there is no network
between: Python finds them in a quarter of the time that SQLite takes for window functions.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from domainkit.adapters.sqlalchemy.relay.dialects import Dialect

_COLUMNS = ("position", "message_id", "name", "version", "kind", "ordering_key", "body", "attempts")

Found: TypeAlias = Iterable[Sequence[Any]]  # Any: columns of several types
"""Rows of the outbox, each with the position of the link before it in its chain; None for the first one.

They are made one by one: thousands of rows at a time keep the garbage collector busy."""


class Links(ABC):
    """Finds the links among the first rows of chains, in the order of their positions."""

    @abstractmethod
    async def find(self, connection: AsyncConnection, given: Mapping[str, object]) -> Found:
        """Return links, as many as `limit` says at most, in an open transaction.

        Args:
            connection: the one with the open transaction.
            given: `limit`, and the other parameters of the rows.
        """


class _LockedLinks(Links):
    """Links that are locked, except those that another relay has locked.

    Args:
        statement: finds and locks them.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement

    async def find(self, connection: AsyncConnection, given: Mapping[str, object]) -> Found:
        """Return the links, as the base class says."""
        return await connection.execute(self._statement, given)


class _LinksOfWriter(Links):
    """Links of the only transaction that can write.

    Args:
        rows: finds the position, the key and the state of the first rows of chains, in the order of their positions.
        links: finds whole rows, by their `positions`.
        most: the maximum number of links of a chain.
    """

    def __init__(self, rows: sa.Executable, links: sa.Executable, most: int) -> None:
        self._rows, self._links, self._most = rows, links, most

    async def find(self, connection: AsyncConnection, given: Mapping[str, object]) -> Found:
        """Return the links, as the base class says."""
        before = self._before(await connection.execute(self._rows, given), given["limit"])
        if not before:
            return ()
        links = await connection.execute(self._links, {"positions": [*before]})
        return ((*link, before[link[0]]) for link in links)

    def _before(self, rows: Iterable[Sequence[Any]], limit: object) -> Mapping[int, int | None]:
        """Return the positions of links, each with that of the link before it."""
        found: dict[int, int | None] = {}
        chains: dict[str, list[int]] = {}
        ended: set[str] = set()
        for position, key, is_open in rows:
            if len(found) == limit:
                break
            if not is_open:
                ended.add(key)
            elif key not in ended:
                chain = chains.setdefault(key, [])
                if len(chain) < self._most:
                    found[position] = chain[-1] if chain else None
                    chain.append(position)
        return found


def links_of(table: sa.Table, dialect: Dialect, oldest: sa.Subquery, most: int) -> Links:
    """Return the links among the first rows of chains.

    Args:
        table: the outbox.
        dialect: of its database.
        oldest: the position, the key and the state of the rows.
        most: the maximum number of links of a chain.
    """
    if dialect.is_postgresql:
        return _LockedLinks(_locked(table, dialect, oldest, most))
    links = sa.select(*(table.c[name] for name in _COLUMNS)).where(dialect.among(table.c.position, "positions"))
    rows = sa.select(oldest.c.position, oldest.c.ordering_key, oldest.c.open).order_by(oldest.c.position)
    return _LinksOfWriter(rows, links.order_by(table.c.position), most)


def _locked(table: sa.Table, dialect: Dialect, oldest: sa.Subquery, most: int) -> sa.Executable:
    """Return the SELECT that locks links, given the first rows of chains."""
    row = oldest.c

    def along_chain(function: sa.FunctionElement[Any]) -> sa.Over[Any]:  # Any: of any column type
        return function.over(partition_by=row.ordering_key, order_by=row.position)

    chain = sa.select(
        row.position,
        along_chain(sa.func.lag(row.position)).label("previous"),
        along_chain(sa.func.min(sa.case((row.open, 1), else_=0))).label("all_open"),
        along_chain(sa.func.row_number()).label("nth"),
    ).subquery("chain")
    links = sa.select(chain.c.position, chain.c.previous).where(chain.c.all_open == 1, chain.c.nth <= most)
    link = links.order_by(chain.c.position).subquery("link")
    return (
        sa.select(*(table.c[name] for name in _COLUMNS), link.c.previous)
        .select_from(link.join(table, link.c.position == table.c.position))
        .where(table.c.sent_at.is_(None), dialect.is_open(table))
        .order_by(link.c.position)
        .limit(sa.bindparam("limit", type_=sa.BigInteger()))
        .with_for_update(of=table, skip_locked=True)
    )
