"""Columns of the user's own for the state of an aggregate, and what is wrong with a stored one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic

from attrs import frozen
from sqlalchemy import RowMapping

from domainkit.errors import CriticalError, Problem
from domainkit.ports import AggT


@frozen(kw_only=True, repr=False)
class StoredStateError(CriticalError):
    """A stored row can't be read as an aggregate: somebody changed it by hand, or an older class wrote it.

    Args:
        problems: what is wrong, with the path in the row's state; never the value found there.
    """

    problems: tuple[Problem, ...] = ()

    def detail(self) -> str:
        """Return the error's name, the table and the id, and the problems."""
        found = "; ".join(map(str, self.problems))
        return f"{super().detail()}: {found}" if found else super().detail()


class RowMapper(ABC, Generic[AggT]):
    """Puts aggregates into columns of a table of your own, and makes them from its rows.

    See Fowler, Patterns of Enterprise Application Architecture (2002), Data Mapper.
    """

    __slots__ = ()

    @abstractmethod
    def to_row(self, aggregate: AggT, /) -> Mapping[str, object]:
        """Return the values of the columns, by their keys; `id` and `version` are the repository's own affair."""

    @abstractmethod
    def from_row(self, row: RowMapping, /) -> AggT:
        """Return the aggregate, made from all columns of its row: `id` is a UUID, `version` an int.

        What it raises reaches the caller, with a note that names the table and the id.
        """
