"""Mappers between aggregates and columns: one column of JSON text, or the user's own columns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic

from cattrs import Converter
from sqlalchemy import RowMapping

from domainkit.aggregates import AnyId, IdentifiedBy
from domainkit.ids import IdForm, content_refusal
from domainkit.ports import AggT, IdT
from domainkit.states import StateUpcaster, state_form


class RowMapper(ABC, Generic[AggT]):
    """Maps aggregates to the columns of your own table, and its rows back to aggregates.

    See Fowler, Patterns of Enterprise Application Architecture (2002), Data Mapper.
    """

    __slots__ = ()

    @abstractmethod
    def to_row(self, aggregate: AggT, /) -> Mapping[str, object]:
        """Return the values of the columns, by their keys, without `id` and `version`, which the repository fills.

        The repository refuses a text with a NUL character or a lone surrogate, with a ValueError that names the column,
        before it sends anything: PostgreSQL would refuse it in the middle of a transaction.
        """

    @abstractmethod
    def from_row(self, row: RowMapping, /) -> AggT:
        """Return the aggregate, made from all columns of its row.

        In the row, `version` is an int, and `id` is a UUID, an int or a str; an id of several parts is JSON text.

        An exception of this method reaches the repository's caller, with a note that names the table and the id.
        """


def require_storable(row: Mapping[str, object], owner: type) -> None:
    """Refuse a row with a text that a database can't store unchanged.

    Args:
        row: the values of columns, by their keys.
        owner: the class of the aggregate, for the error.

    Raises:
        ValueError: a text can't be stored; the error names the class and the column, and shows no value.
    """
    for column, value in row.items():
        refusal = content_refusal(value) if isinstance(value, str) else None
        if refusal is not None:
            raise ValueError(
                f"{owner.__qualname__}: column {column!r}: expected {refusal}, got one with them; "
                "refuse it in a validator of the field"
            )


class StateMapper(RowMapper[AggT]):
    """Stores the state in one column, `state`, as JSON text without id and version, which have their own columns."""

    __slots__ = ("_form", "_ids")

    def __init__(
        self,
        hint: IdentifiedBy[AggT, IdT],
        ids: IdForm[AnyId],
        converter: Converter | None,
        upcasters: Sequence[StateUpcaster],
    ) -> None:
        self._form, self._ids = state_form(hint, converter, upcasters), ids

    def to_row(self, aggregate: AggT) -> Mapping[str, object]:
        """Return the state; ValueError if it could not be read back."""
        return {"state": self._form.write(aggregate)}

    def from_row(self, row: RowMapping) -> AggT:
        """Return the aggregate; StoredStateError if the state can't be read."""
        return self.read((row["id"], row["version"], row["state"]))

    def read(self, columns: Sequence[Any]) -> AggT:  # Any: values of the three columns
        """Return the aggregate of an id, a version and a state; StoredStateError if it can't be read."""
        key, version, state = columns
        return self._form.read(state, self._ids.read(key), version)
