"""What stands in a row: the state of an aggregate as JSON text, or in columns of the user's own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic
from uuid import UUID

import msgspec
from attrs import frozen
from cattrs import BaseValidationError, Converter, transform_error
from sqlalchemy import RowMapping

from domainkit._types import describe
from domainkit.conversion import make_converter
from domainkit.conversion._derive import Derivation
from domainkit.errors import CriticalError, Problem
from domainkit.ports import AggT

_ID, _VERSION = "aggregate_id", "aggregate_version"
_BETWEEN = "\0"
_decoder = msgspec.json.Decoder(dict[str, Any])  # Any: whatever JSON carries


@frozen(kw_only=True, repr=False)
class StoredStateError(CriticalError):
    """A stored row can't be read as an aggregate: somebody changed it by hand, or an older class wrote it.

    Args:
        problems: what is wrong, with the path in the row's state; never the value found there.
    """

    problems: tuple[Problem, ...] = ()


class RowMapper(ABC, Generic[AggT]):
    """Puts aggregates into columns of a table of your own, and makes them from its rows.

    See Fowler, Patterns of Enterprise Application Architecture (2002), Data Mapper.
    """

    __slots__ = ()

    @abstractmethod
    def to_row(self, aggregate: AggT) -> Mapping[str, object]:
        """Return the values of the columns, by their keys; `id` and `version` are the repository's own affair."""

    @abstractmethod
    def from_row(self, row: RowMapping) -> AggT:
        """Return the aggregate, made from all columns of its row: `id` is a UUID, `version` an int.

        What it raises reaches the caller, with a note that names the table and the id.
        """


class JsonMapper(RowMapper[AggT]):
    """Puts the state into one column, `state`, as JSON text; id and version stand in columns of their own alone.

    Args:
        aggregate_type: the class of the aggregates.
        converter: what writes and reads them; `make_converter()` unless given.

    Raises:
        UnsupportedTypeError: a field has a type that can't be carried.
    """

    __slots__ = ("_converter", "_read", "_type", "_write")

    def __init__(self, aggregate_type: type[AggT], converter: Converter | None = None) -> None:
        self._converter = make_converter() if converter is None else converter
        Derivation(converter=converter).node(aggregate_type, aggregate_type.__qualname__)
        self._type = aggregate_type
        self._write = self._converter.get_unstructure_hook(aggregate_type)
        self._read = self._converter.get_structure_hook(aggregate_type)

    def to_row(self, aggregate: AggT) -> Mapping[str, object]:
        """Return the state as JSON text."""
        state = self._write(aggregate)
        if not isinstance(state, dict):
            kind = type(state).__qualname__
            raise TypeError(f"{self._type.__qualname__}: the converter must write it as a dict, not as a {kind}")
        state.pop(_ID, None)
        state.pop(_VERSION, None)
        return {"state": msgspec.json.encode(state).decode()}

    def from_row(self, row: RowMapping) -> AggT:
        """Return the aggregate."""
        state = _decoded(row["state"])
        state[_ID] = self._write_id(row["id"])
        state[_VERSION] = row["version"]
        try:
            aggregate: AggT = self._read(state, self._type)
        except Exception as error:  # cattrs' own, or what a hook of the user's converter raises
            raise StoredStateError(problems=_problems(error)) from None  # the exception's own text has the values
        return aggregate

    def _write_id(self, value: UUID) -> object:
        return self._converter.unstructure(self._type._id_type()(value))


def _decoded(text: str) -> dict[str, Any]:  # Any: whatever JSON carries
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        problem = Problem("$", "an object", "type")
    except (msgspec.DecodeError, ValueError, RecursionError):
        problem = Problem("$", "JSON", "json")
    raise StoredStateError(problems=(problem,))


def _problems(error: Exception) -> tuple[Problem, ...]:
    """Return what cattrs found, with its paths and without the values."""
    if not isinstance(error, BaseValidationError):
        return (Problem("$", "a state that the class takes", "value"),)
    found = (text.split(_BETWEEN, 2) for text in transform_error(error, format_exception=_described))
    return tuple(Problem(path.removeprefix(" @ "), expected, code) for code, expected, path in found)


def _described(error: BaseException, hint: type | None) -> str:
    code = "missing" if isinstance(error, KeyError) else "value"
    expected = "a value that the class takes" if hint is None else describe(hint)
    return f"{code}{_BETWEEN}{expected}{_BETWEEN}"
