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
from typing import Annotated, Any, Final, TypeVar, get_args

try:
    from pydantic import GetCoreSchemaHandler, SerializationInfo, WithJsonSchema
    from pydantic_core import CoreSchema, PydanticCustomError, core_schema
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "pydantic") from _error

from domainkit._model.annotations import parameters_of, type_of
from domainkit._model.reasons import reason_of
from domainkit._model.wrapper import Wrapper, unwrapped
from domainkit.conversion.definitions import Definitions
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import MISSING, Node, Problems

_ROOT: Final = "#/"


def value_object_schema(cls: type[Wrapper[object]], source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
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
    node = derivation.node(source, cls.__qualname__)
    described = handler.generate_schema(_described(node))
    return core_schema.no_info_plain_validator_function(
        partial(_validated, node, inner.expected),
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


def _dumped(inner: Node, made: Wrapper[object], info: SerializationInfo) -> object:
    if not info.mode_is_json():
        return unwrapped(made)
    problems = Problems()
    wire: object = inner.write(made.value, "$", problems)
    if wire is MISSING:
        raise ValueError(f"expected {problems[0].expected}, to write {type(made).__qualname__} as JSON")
    return wire


def _validated(node: Node, inner: str, data: object) -> object:
    """Return the value object of data; refuse it with the first reason, unless that repeats a part of the data."""
    problems = Problems(native=True)
    made: object = node.read(data, "$", problems)
    if made is not MISSING:
        return made
    name, found, cause = node.object_classes[0].__qualname__, problems[0], problems.causes.get(0)
    reason = f"expected {inner if found.path == '$' else f'{found.expected} at {found.path}'}"
    if cause is not None:
        reason = reason_of(cause, data) or f"a validator refused the value ({type(cause).__qualname__})"
    reason = f"{name}: {reason.removeprefix(f'{name}: ')}"
    raise PydanticCustomError("value_object", "{reason}", {"reason": reason})
