"""The state of an aggregate as JSON text, and back: by its wire type, or by a user's converter.

A state that can't be read back is refused before anything is stored, in memory as in a database.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, get_origin

import attrs
import msgspec
from attrs import frozen
from cattrs import BaseValidationError, Converter, transform_error

from domainkit._model.type_checks import describe
from domainkit.aggregates import AggregateRoot, AnyId, IdentifiedBy
from domainkit.conversion.classes import AttrsNode
from domainkit.conversion.converters import Expected
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import Node, Problems
from domainkit.errors import CriticalError, Problem
from domainkit.ports import AggT
from domainkit.versions import Attributes, applied

_ID, _VERSION = "aggregate_id", "aggregate_version"
_STATE_VERSION = "$version"
"""The key of a state's version: a field can't have this name."""

StateUpcaster: TypeAlias = Callable[[Attributes], Attributes]
"""A pure function from a state, as read-only JSON, to that of the next version."""

_BETWEEN = "\0"
_TOO_DEEP = Problem("$", "fewer objects inside one another", "limit")
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, object]).decode


@frozen(kw_only=True, repr=False)
class StoredStateError(CriticalError):
    """A stored state can't be read as an aggregate: it was changed by hand, or written by an older class.

    Args:
        problems: each problem with its path in the state, and never with the value there.
    """

    problems: tuple[Problem, ...] = ()

    def detail(self) -> str:
        """Return the error's name, the table and the id, and the problems."""
        found = "; ".join(map(str, self.problems))
        return f"{super().detail()}: {found}" if found else super().detail()


class StateForm(ABC, Generic[AggT]):
    """The states of one class of aggregates as JSON text; id and version are stored separately."""

    @abstractmethod
    def write(self, aggregate: AggT) -> str:
        """Return the state of an aggregate, without the events that it recorded.

        Raises:
            ValueError: it can't be read back; the text has the class and the paths, and no value.
        """

    @abstractmethod
    def read(self, state: str, aggregate_id: AnyId, version: int) -> AggT:
        """Return the aggregate with this state.

        Raises:
            StoredStateError: it can't be read.
        """

    @abstractmethod
    def load(self, data: Mapping[str, object], aggregate_id: AnyId, version: int) -> AggT:
        """Return the aggregate with this state, as `read` does, from the parsed JSON object."""


def state_form(
    hint: IdentifiedBy[AggT, Any] | type[AggT],
    converter: Converter | None,
    upcasters: Sequence[StateUpcaster] = (),
) -> StateForm[AggT]:
    """Return the form of the states of a class: that of `make_converter()`, or of the given converter.

    Args:
        hint: the class; a generic one with its arguments, such as `Page[int]`.
        converter: writes and reads instead of the wire type.
        upcasters: functions that convert states of version 1, 2 and so on to the next version; without any, states have
            no version.

    Raises:
        TypeError: it is not a class of aggregates.
        UnsupportedTypeError: a field has a type without a wire form.
    """
    cls: Any = get_origin(hint) or hint  # Any: it may be any object
    if not (isinstance(cls, type) and issubclass(cls, AggregateRoot)):
        raise TypeError(f"state: expected a class of aggregates, got {describe(cls)}; derive it from AggregateRoot")
    form: StateForm[AggT] = _WireForm(hint) if converter is None else _ConverterForm(hint, converter)
    return _VersionedForm(form, tuple(upcasters)) if upcasters else form


class _WireForm(StateForm[AggT]):
    """The form of `make_converter()`, but several times faster, and with problems like a codec's."""

    def __init__(self, hint: Any) -> None:  # Any: a class, or one with its arguments
        self._cls: type[AggT] = get_origin(hint) or hint
        derivation = Derivation()
        derivation.node(hint, self._cls.__qualname__)
        self._node = AttrsNode(self._cls, hint, derivation.options, preset=(_ID, _VERSION))
        self._node.complete(derivation.parts(self._cls, hint, frozenset({_ID, _VERSION})))
        self._decode = msgspec.json.Decoder(self._node.struct).decode

    def write(self, aggregate: AggT) -> str:
        try:
            return _encode(self._node.dump(aggregate)).decode()
        except Exception:  # Refused, or from the encoder: the explaining path decides
            state, problems = explained(self._node, aggregate)
        if problems:
            raise unreadable(self._cls.__qualname__, problems)
        return _encode(state).decode()

    def read(self, state: str, aggregate_id: AnyId, version: int) -> AggT:
        if type(version) is int and version > 0:  # `load` checks the fields of the state, and not those that are given
            try:
                aggregate: AggT = self._node.load(self._decode(state), aggregate_id, version)
            except Exception:  # noqa: S110  # from msgspec or a validator: its text may have values
                pass
            else:
                return aggregate
        return self.load(_decoded(state), aggregate_id, version)  # the explaining path decides

    def load(self, data: Mapping[str, object], aggregate_id: AnyId, version: int) -> AggT:
        """Read a state with keys that the class no longer has, or report every problem."""
        preset, problems = {_ID: aggregate_id, _VERSION: version}, Problems()
        try:
            values = self._node.read_fields(data, "$", problems)
        except RecursionError:
            raise StoredStateError(problems=(_TOO_DEEP,)) from None
        if values is not None:
            aggregate: AggT = self._node.construct({**values, **preset}, "$", problems)
            if not problems:
                return aggregate
        raise StoredStateError(problems=tuple(problems))


class _ConverterForm(StateForm[AggT]):
    """The form of a user's converter; each state is read back before it is stored."""

    def __init__(self, hint: Any, converter: Converter) -> None:  # Any: as above
        self._cls: type[AggT] = get_origin(hint) or hint
        self._hint, self._converter = hint, converter
        self._node = Derivation(converter=converter).node(hint, self._cls.__qualname__)

    def write(self, aggregate: AggT) -> str:
        try:
            state = self._converter.unstructure(aggregate.clear_domain_events(), self._hint)
            if isinstance(state, Mapping):
                state = {key: value for key, value in state.items() if key not in (_ID, _VERSION)}
            text = _encode(state).decode()
            found = self.read(text, aggregate.aggregate_id, aggregate.aggregate_version)
        except Exception as error:  # a user's hook, the encoder, or the state can't be read
            raise unreadable(self._cls.__qualname__, self._problems(aggregate, error)) from None
        if found != aggregate or found.domain_events:
            raise unreadable(self._cls.__qualname__, self._differences(aggregate, found))
        return text

    def read(self, state: str, aggregate_id: AnyId, version: int) -> AggT:
        return self.load(_decoded(state), aggregate_id, version)

    def load(self, data: Mapping[str, object], aggregate_id: AnyId, version: int) -> AggT:
        own = {_ID: self._converter.unstructure(aggregate_id), _VERSION: version}
        try:
            aggregate: AggT = self._converter.structure({**data, **own}, self._hint)
        except Exception as error:  # from cattrs or a user's hook
            raise StoredStateError(problems=_problems(error)) from None  # the exception's own text has the values
        return aggregate

    def _problems(self, aggregate: AggT, error: Exception) -> Iterable[Problem]:
        """Return the converter's problems if they name fields; else those of the wire type, if it finds any."""
        found = error.problems if isinstance(error, StoredStateError) else ()
        problems = explained(self._node, aggregate)[1] if all(one.path == "$" for one in found) else ()
        return problems or found or (Problem("$", "a state that the converter writes as JSON", "value"),)

    def _differences(self, aggregate: AggT, found: AggT) -> Iterable[Problem]:
        """Yield a problem for each field that is read back with another value."""
        if type(found) is not self._cls:
            yield Problem("$", self._cls.__qualname__, "type")
            return
        fields = [one.name for one in attrs.fields(self._cls) if one.eq]
        names = [name for name in fields if getattr(aggregate, name) != getattr(found, name)]
        for name in names or ["domain_events"]:
            yield Problem(f"$.{name}", "the value that was written", "value")


class _VersionedForm(StateForm[AggT]):
    """A form whose states have a version; a state without a version is version 1.

    A state of version 2 is written as `{"$version":2,"title":"Sweep"}`.
    """

    def __init__(self, form: StateForm[AggT], upcasters: tuple[StateUpcaster, ...]) -> None:
        self._form, self._upcasters = form, upcasters
        self._start = f'{{"{_STATE_VERSION}":{len(upcasters) + 1}'

    def write(self, aggregate: AggT) -> str:
        state = self._form.write(aggregate)
        return f"{self._start}{'' if state == '{}' else ','}{state[1:]}"

    def read(self, state: str, aggregate_id: AnyId, version: int) -> AggT:
        start = f"{self._start},"
        if state.startswith(start):
            return self._form.read("{" + state.removeprefix(start), aggregate_id, version)
        return self.load(_decoded(state), aggregate_id, version)

    def load(self, data: Mapping[str, object], aggregate_id: AnyId, version: int) -> AggT:
        found, latest = data.get(_STATE_VERSION, 1), len(self._upcasters) + 1
        if type(found) is not int or not 1 <= found <= latest:
            raise StoredStateError(
                problems=(Problem(f"$.{_STATE_VERSION}", f"a version from 1 to {latest}", "version"),)
            )
        attributes: Mapping[str, object] = {key: value for key, value in data.items() if key != _STATE_VERSION}
        for number, upcaster in enumerate(self._upcasters[found - 1 :], start=found):
            made = applied(upcaster, attributes)
            if not isinstance(made, Mapping):
                expected = f"a state that the upcaster from version {number} takes, and JSON that it returns"
                raise StoredStateError(problems=(Problem("$", expected, "version"),))
            attributes = made
        return self._form.load(attributes, aggregate_id, version)


def explained(node: Node, aggregate: object) -> tuple[object, tuple[Problem, ...]]:
    """Return a state as builtins, and its problems."""
    problems = Problems()
    try:
        return node.write(aggregate, "$", problems), tuple(problems)
    except RecursionError:
        return None, (_TOO_DEEP,)


def unreadable(name: str, problems: Iterable[Problem]) -> ValueError:
    """Return the error for a state that could not be read back."""
    found = "; ".join(map(str, problems))
    return ValueError(
        f"{name}: expected a state that can be read back, got one that can't: {found}; change these values"
    )


def _decoded(text: str) -> Mapping[str, object]:
    try:
        return _decode_object(text)
    except msgspec.ValidationError:
        problem = Problem("$", "an object", "type")
    except (msgspec.DecodeError, ValueError, RecursionError):
        problem = Problem("$", "JSON", "json")
    raise StoredStateError(problems=(problem,))


def _problems(error: Exception) -> tuple[Problem, ...]:
    """Return the problems that cattrs found, with paths and without values."""
    if not isinstance(error, BaseValidationError):
        return (Problem("$", "a state that the converter takes", "value"),)
    found = (text.split(_BETWEEN, 2) for text in transform_error(error, format_exception=_described))
    return tuple(Problem(path.removeprefix(" @ "), expected, code) for code, expected, path in found)


def _described(error: BaseException, hint: object) -> str:
    code, expected = "value", "a value that the class takes"
    if isinstance(hint, Expected):
        code, expected = hint.problem.code, str(hint)
    elif hint is not None:
        code, expected = "missing" if isinstance(error, KeyError) else "value", describe(hint)
    return f"{code}{_BETWEEN}{expected}{_BETWEEN}"
