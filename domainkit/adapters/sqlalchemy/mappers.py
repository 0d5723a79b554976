"""Columns for the state of an aggregate: one of JSON text, or columns of the user's own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic

from cattrs import Converter
from sqlalchemy import RowMapping

from domainkit.aggregates import AnyId, IdentifiedBy
from domainkit.ids import IdForm, content_refusal
from domainkit.ports import AggT, IdT
from domainkit.states import StateUpcaster, state_form


class RowMapper(ABC, Generic[AggT]):
    """Puts aggregates into columns of a table of your own, and makes them from its rows.

    See Fowler, Patterns of Enterprise Application Architecture (2002), Data Mapper.
    """

    __slots__ = ()

    @abstractmethod
    def to_row(self, aggregate: AggT, /) -> Mapping[str, object]:
        """Return the values of the columns, by their keys; `id` and `version` are the repository's own affair.

        A text with a NUL character or a lone surrogate is refused before anything is sent, by a ValueError that names
        the column: PostgreSQL would refuse it in the middle of a transaction.
        """

    @abstractmethod
    def from_row(self, row: RowMapping, /) -> AggT:
        """Return the aggregate, made from all columns of its row: `version` is an int, `id` what the column holds.

        That is a UUID, an int or a text; of an id of several parts it is the JSON of them.

        What it raises reaches the caller, with a note that names the table and the id.
        """


def require_storable(row: Mapping[str, object], owner: type) -> None:
    """Refuse a row with a text that a database doesn't keep as it is.

    Args:
        row: the values of columns, by their keys.
        owner: the class of aggregates that it is of, for the message.

    Raises:
        ValueError: it has one; the text names the class and the column, and shows no value.
    """
    for column, value in row.items():
        refusal = content_refusal(value) if isinstance(value, str) else None
        if refusal is not None:
            raise ValueError(
                f"{owner.__qualname__}: column {column!r}: expected {refusal}, got one with them; "
                "refuse it where it comes in, by a validator"
            )


class StateMapper(RowMapper[AggT]):
    """Puts the state into one column, `state`, as JSON text; id and version stand in columns of their own alone."""

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
        return self._form.read(row["state"], self._ids.read(row["id"]), row["version"])
