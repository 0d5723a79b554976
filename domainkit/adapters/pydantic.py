"""Value objects and ids as fields of pydantic models (extra `pydantic`). Nothing to call: pydantic finds its way here.

    class TaskBody(pydantic.BaseModel):
        title: Title
        owner: UserId | None = None

A field takes a value object of just its class, what that wraps, or its form in JSON (text for an id, a date or a
Decimal), in Python mode as well, since FastAPI validates builtins. Nothing is coerced. What is refused has the value
object's own reason, without the value. A field is dumped unwrapped, and in JSON as everywhere in this library. Its
JSON Schema is that of what is wrapped, with the rules that JSON Schema has words for.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final, NoReturn, TypeVar, get_args

import msgspec

try:
    from pydantic import GetCoreSchemaHandler, SerializationInfo, WithJsonSchema
    from pydantic_core import CoreSchema, PydanticCustomError, core_schema
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "pydantic") from _error

from domainkit._model.annotations import parameters_of, type_of
from domainkit._model.reasons import repeats
from domainkit._model.type_checks import fits
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import MISSING, Node, Problems
from domainkit.errors import DomainError
from domainkit.formats._definitions import Definitions
from domainkit.results import fold
from domainkit.values import ValueObject, unwrapped

_ROOT: Final = "#/"


def value_object_schema(
    cls: type[ValueObject[Any, object]], source: object, handler: GetCoreSchemaHandler
) -> CoreSchema:
    """Return how pydantic validates, dumps and describes a value object of `cls`.

    Args:
        cls: the class.
        source: the class, perhaps with type arguments. Without them, a generic one takes its own instances only.
        handler: pydantic's.

    Raises:
        UnsupportedTypeError: what is wrapped has no form in JSON.
    """
    hint = type_of(cls, "value", dict(zip(parameters_of(cls), get_args(source), strict=False)))
    if isinstance(hint, TypeVar) or parameters_of(hint):
        serialization = core_schema.plain_serializer_function_ser_schema(unwrapped)
        return core_schema.is_instance_schema(cls, serialization=serialization)
    derivation = Derivation()
    inner = derivation.node(hint, f"{cls.__qualname__}.value")
    described = handler.generate_schema(_described(derivation.node(source, cls.__qualname__)))
    return core_schema.no_info_plain_validator_function(
        partial(_validated, cls, hint, inner),
        json_schema_input_schema=described,
        serialization=core_schema.plain_serializer_function_ser_schema(
            partial(_dumped, inner), info_arg=True, return_schema=described
        ),
    )


def _described(node: Node) -> object:
    """Return a type that takes anything, and has the JSON Schema of the node."""
    definitions = Definitions(_ROOT)
    schema = definitions.schema(node)
    return Annotated[Any, WithJsonSchema(_inlined(schema, definitions.finish()))]


def _inlined(part: Any, named: Mapping[str, Any], within: tuple[str, ...] = ()) -> Any:  # Any: JSON values
    """Return a part of a schema with each reference replaced: pydantic keeps the definitions of a document itself."""
    if isinstance(part, list):
        return [_inlined(item, named, within) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _inlined(item, named, within) for key, item in part.items() if key != "$ref"}
    name = part.get("$ref", "").removeprefix(_ROOT)
    if not name:
        return found
    # a class inside itself is described once: what is deeper may be anything
    target = {} if name in within else _inlined(named[name], named, (*within, name))
    return {**found, "allOf": [target, *found.get("allOf", ())]} if found else target


def _dumped(inner: Node, made: ValueObject[Any], info: SerializationInfo) -> object:
    if not info.mode_is_json():
        return unwrapped(made)
    problems = Problems()
    wire = inner.write(made.value, "$", problems)
    if wire is MISSING:
        raise ValueError(f"expected {problems[0].expected}, to write {type(made).__qualname__} as JSON")
    return msgspec.to_builtins(wire)


def _validated(
    cls: type[ValueObject[Any, object]], hint: object, inner: Node, data: object
) -> ValueObject[Any, object]:
    if type(data) is cls:
        return data
    value = data if fits(data, hint) else _read(cls, inner, data)
    return fold(cls.parse(value), _same, partial(_refuse, data))


def _same(made: ValueObject[Any, object]) -> ValueObject[Any, object]:
    return made


def _read(cls: type[ValueObject[Any, object]], inner: Node, data: object) -> object:
    """Return the value that `data` is the JSON form of."""
    problems = Problems()
    value: object = inner.read(data, "$", problems)
    if value is not MISSING:
        return value
    where = "" if problems[0].path == "$" else f" at {problems[0].path}"
    raise _refusal(f"{cls.__qualname__}: expected {problems[0].expected}{where}")


def _refuse(data: object, error: DomainError) -> NoReturn:
    """Raise the reason of a domain error; one of the user's own may hold the value, and then its name has to do."""
    message = (error.additional_info or {}).get("message")
    told = not isinstance(message, str) or repeats(message, data)
    raise _refusal(type(error).__name__ if told else str(message))


def _refusal(reason: str) -> PydanticCustomError:
    return PydanticCustomError("value_object", "{reason}", {"reason": reason})
