"""The state of an aggregate as JSON text, by its wire type or by a converter of the user's own."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from cattrs import BaseValidationError, Converter, transform_error
from sqlalchemy import RowMapping

from domainkit._model.type_checks import describe
from domainkit.adapters.sqlalchemy.mappers import RowMapper, StoredStateError
from domainkit.conversion.classes import AttrsNode
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import Problems, loader
from domainkit.errors import Problem
from domainkit.ports import AggT

_ID, _VERSION = "aggregate_id", "aggregate_version"
_BETWEEN = "\0"
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode  # Any: whatever JSON carries


def json_mapper(cls: type[AggT], converter: Converter | None) -> RowMapper[AggT]:
    """Return what puts the state into one column, `state`; id and version stand in columns of their own alone.

    Raises UnsupportedTypeError where a field has a type that can't be carried.
    """
    return _WireMapper(cls) if converter is None else _ConverterMapper(cls, converter)


class _WireMapper(RowMapper[AggT]):
    """What `make_converter()` writes and reads, several times as fast, and with the problems that a codec names."""

    def __init__(self, cls: type[AggT]) -> None:
        derivation = Derivation()
        derivation.node(cls, cls.__qualname__)
        self._cls, self._id_type = cls, cls._id_type()
        self._node = AttrsNode(cls, cls)
        self._node.complete(derivation.parts(cls, cls, frozenset({_ID, _VERSION})), (_ID, _VERSION))
        self._load = loader(self._node)
        self._decode = msgspec.json.Decoder(self._node.struct).decode

    def to_row(self, aggregate: AggT) -> Mapping[str, object]:
        """Return the state."""
        try:
            return {"state": _encode(self._node.fast_dump(aggregate)).decode()}
        except Exception:  # Refused, or the encoder's: the second pass tells, without the values
            raise self._refused(aggregate) from None

    def _refused(self, aggregate: AggT) -> ValueError:
        problems = Problems()
        self._node.write(aggregate, "$", problems)
        found = "; ".join(map(str, problems)) or "a text with a lone surrogate, or a number of too many digits"
        return ValueError(f"{self._cls.__qualname__}: it could not be read back once stored: {found}")

    def from_row(self, row: RowMapping) -> AggT:
        """Return the aggregate."""
        preset = {_ID: self._id_type(row["id"]), _VERSION: row["version"]}
        try:
            aggregate: AggT = self._load(self._decode(row["state"]), **preset)
        except Exception:  # msgspec's, or whatever a validator raises: the second pass tells
            return self._with_care(_decoded(row["state"]), preset)
        return aggregate

    def _with_care(self, state: Mapping[str, Any], preset: Mapping[str, object]) -> AggT:
        """Read a state with keys that the class has no more, or tell every problem."""
        problems = Problems()
        values = self._node.read_fields(state, "$", problems)
        made: Any = None if values is None else self._node.construct({**values, **preset}, "$", problems)
        if problems:
            raise StoredStateError(problems=tuple(problems))
        aggregate: AggT = made
        return aggregate


class _ConverterMapper(RowMapper[AggT]):
    """What a converter of the user's own writes and reads."""

    def __init__(self, cls: type[AggT], converter: Converter) -> None:
        Derivation(converter=converter).node(cls, cls.__qualname__)
        self._cls, self._id_type, self._converter = cls, cls._id_type(), converter

    def to_row(self, aggregate: AggT) -> Mapping[str, object]:
        """Return the state."""
        state = self._converter.unstructure(aggregate, self._cls)
        if not isinstance(state, Mapping):
            kind = type(state).__qualname__
            raise TypeError(f"{self._cls.__qualname__}: the converter must write it as a dict, not as a {kind}")
        return {"state": _encode({key: state[key] for key in state if key not in (_ID, _VERSION)}).decode()}

    def from_row(self, row: RowMapping) -> AggT:
        """Return the aggregate."""
        row_id: UUID = row["id"]
        own = {_ID: self._converter.unstructure(self._id_type(row_id)), _VERSION: row["version"]}
        state = _decoded(row["state"])
        try:
            return self._converter.structure({**state, **own}, self._cls)
        except Exception as error:  # cattrs' own, or what a hook of the user's raises
            raise StoredStateError(problems=_problems(error)) from None  # the exception's own text has the values


def _decoded(text: str) -> Mapping[str, Any]:  # Any: whatever JSON carries
    try:
        return _decode_object(text)
    except msgspec.ValidationError:
        problem = Problem("$", "an object", "type")
    except (msgspec.DecodeError, ValueError, RecursionError):
        problem = Problem("$", "JSON", "json")
    raise StoredStateError(problems=(problem,))


def _problems(error: Exception) -> tuple[Problem, ...]:
    """Return what cattrs found, with its paths and without the values."""
    if not isinstance(error, BaseValidationError):
        return (Problem("$", "a state that the converter takes", "value"),)
    found = (text.split(_BETWEEN, 2) for text in transform_error(error, format_exception=_described))
    return tuple(Problem(path.removeprefix(" @ "), expected, code) for code, expected, path in found)


def _described(error: BaseException, hint: type | None) -> str:
    code = "missing" if isinstance(error, KeyError) else "value"
    expected = "a value that the class takes" if hint is None else describe(hint)
    return f"{code}{_BETWEEN}{expected}{_BETWEEN}"
