"""Value objects, ids and other types of the domain as fields of pydantic models (extra `pydantic`).

    class TaskBody(pydantic.BaseModel):
        title: Title
        owner: UserId | None = None
        price: Annotated[Money, DomainType]

For value objects there is nothing to call: pydantic finds its way here. `DomainType` marks a field of any other type
that messages can carry, such as an attrs class of several fields.

A field takes an object of just its class, what a value object wraps, or the form in JSON (text for an id, a date or a
Decimal), in Python mode as well, since FastAPI validates builtins. Nothing is coerced. Each thing that is refused has
its path and the value object's own reason, without the value. Value objects are dumped unwrapped, and in JSON as
everywhere in this library. The JSON Schema is that of what is wrapped, with the rules that JSON Schema has words for.

A parameter of a FastAPI route (path, query, header, cookie, form) is text: numbers and booleans are read from what they
look like in JSON.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import currentframe
from typing import Annotated, Any, Final, TypeVar, get_args

import msgspec

try:
    from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationError, ValidationInfo, WithJsonSchema
    from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "pydantic") from _error

from domainkit._model.annotations import parameters_of, type_of
from domainkit._model.type_checks import describe
from domainkit._model.wrapper import PlainTextMark, Wrapper, is_secret, unwrapped
from domainkit.conversion.definitions import Definitions
from domainkit.conversion.derive import Derivation, UnsupportedTypeError, secret_refusal
from domainkit.conversion.nodes import MISSING, Node, Problems
from domainkit.errors import Problem

__all__ = ["DomainType", "plain_text_schema", "value_object_schema"]

_ROOT: Final = "#/"


def value_object_schema(cls: type[Wrapper[object]], source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Return how pydantic validates, dumps and describes a value object of `cls`.

    Args:
        cls: the class.
        source: the class, perhaps with type arguments. Without them, a generic one takes its own instances only.
        handler: pydantic's.

    Raises:
        UnsupportedTypeError: what is wrapped has no form in JSON; or it is a secret, which the field doesn't ask for.
    """
    if is_secret(cls):
        raise UnsupportedTypeError(secret_refusal(cls, cls.__qualname__))
    hint = type_of(cls, "value", dict(zip(parameters_of(cls), get_args(source), strict=False)))
    if isinstance(hint, TypeVar) or parameters_of(hint):
        serialization = core_schema.plain_serializer_function_ser_schema(unwrapped)
        return core_schema.is_instance_schema(cls, serialization=serialization)
    derivation = Derivation()
    inner = derivation.node(hint, f"{cls.__qualname__}.value")
    node = derivation.node(source, cls.__qualname__)
    secret = bool(derivation.secrets)
    return _schema(node, _Reader(node, cls.__qualname__, inner.expected, secret=secret), handler)


def plain_text_schema(mark: PlainTextMark, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # Any: a type
    """Return how pydantic validates, dumps and describes a secret, or a union or collection with some.

    Args:
        mark: says that the field asks for them in plain text: in JSON mode. In Python mode they stay objects.
        source: the type beside the mark.
        handler: pydantic's.

    Raises:
        UnsupportedTypeError: there is no secret, or something has no form in JSON.
    """
    return _schema_of(Annotated[source, mark], describe(source), handler)


def _schema_of(hint: Any, name: str, handler: GetCoreSchemaHandler) -> CoreSchema:  # Any: as above
    derivation = Derivation()
    node = derivation.node(hint, name)
    return _schema(node, _Reader(node, name, node.expected, secret=bool(derivation.secrets)), handler)


class _DomainType:
    """Mark of a field of any type that has a form in JSON."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # Any: a type
        """Return how pydantic validates, dumps and describes the type."""
        return _schema_of(source, describe(source), handler)


DomainType: Final = _DomainType()
"""In `Annotated[Money, DomainType]`: a field of a pydantic model takes what `parse(Money, ...)` takes.

The type is any that a message can carry: a frozen attrs class of several fields, a union of them with a tag, a mapping.
In Python mode it is dumped as the object that it is, and in JSON mode as everywhere in this library.
"""


def _schema(node: Node, read: "_Reader", handler: GetCoreSchemaHandler) -> CoreSchema:
    described = handler.generate_schema(_described(node))
    serialization = core_schema.plain_serializer_function_ser_schema(
        partial(_dumped, node, read.name), info_arg=True, return_schema=described
    )
    python = core_schema.with_info_plain_validator_function(read, json_schema_input_schema=described)
    if node.kinds != {"int"} or read.secret:
        return {**python, "serialization": serialization}
    # a key in JSON is text, which pydantic reads for an integer of its own alone
    number = core_schema.custom_error_schema(
        core_schema.int_schema(strict=True), "value_object", custom_error_message=read.misfit
    )
    return core_schema.json_or_python_schema(
        core_schema.with_info_after_validator_function(read, number),
        python,
        metadata=described.get("metadata"),  # its JSON Schema
        serialization=serialization,
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


def _dumped(node: Node, name: str, value: object, info: SerializationInfo) -> object:
    if not info.mode_is_json():
        return unwrapped(value)
    problems = Problems()
    wire: object = node.write(value, "$", problems)
    if wire is MISSING:
        raise ValueError(f"expected {problems[0].expected}, to write {name} as JSON")
    return wire


class _Reader:
    """The validator of a field.

    Args:
        node: the wire type.
        name: the type in words.
        expected: the data that it takes, in words.
        secret: whether there are secrets in it: its errors then don't show the input.
    """

    def __init__(self, node: Node, name: str, expected: str, *, secret: bool = False) -> None:
        self.secret: bool = secret
        self.name: str = name
        self.misfit: str = f"{name}: expected {expected}"
        self._node = node

    def __call__(self, data: object, info: ValidationInfo) -> object:
        """Return the object for data; refuse it with each reason and its path, and no part of the data."""
        if isinstance(data, str) and "str" not in self._node.kinds and info.mode == "python" and _is_parameter():
            data = _from_text(data)
        problems = Problems(native=True)
        made: object = self._node.read(data, "$", problems)
        if made is not MISSING:
            return made
        shown = "***" if self.secret else data
        raise ValidationError.from_exception_data(self.name, [
            InitErrorDetails(type=self._reason(one, problems.causes.get(index)), loc=_loc(one.path), input=shown)
            for index, one in enumerate(problems)
        ])  # fmt: skip  # a row for each problem

    def _reason(self, problem: Problem, cause: Exception | None) -> PydanticCustomError:
        if cause is None:
            reason = self.misfit if problem.path == "$" else f"{self.name}: expected {problem.expected}"
        else:
            reason, unsaid = problem.expected.removeprefix("a valid "), f" ({type(cause).__qualname__})"
            if reason.endswith(unsaid):
                reason = f"{reason.removesuffix(unsaid)}: a validator refused the value{unsaid}"
        return PydanticCustomError("value_object", "{reason}", {"reason": reason})


_STEP: Final[Callable[[str], Iterator[re.Match[str]]]] = re.compile(r"\.([^.\[]+)|\[(?:key )?([0-9]+|\*)\]").finditer


def _loc(path: str) -> tuple[str | int, ...]:
    """Return the path of a problem as pydantic writes it; a key of a mapping by its place."""
    parts = (match[1] or (match[2] if match[2] == "*" else int(match[2])) for match in _STEP(path))
    return (*parts, "[key]") if "[key " in path else (*parts,)


def _is_parameter() -> bool:
    """Tell whether FastAPI is reading a parameter or a field of a form, which is text, and no body of JSON.

    It says so to no validator. These are its functions that do it, by the same names in 0.120.1 and 0.165; under other
    names, text is refused where a number is expected.
    """
    frame = currentframe() if "fastapi.dependencies.utils" in sys.modules else None
    while frame is not None:
        if frame.f_globals.get("__name__") == "fastapi.dependencies.utils":
            if frame.f_code.co_name == "request_params_to_args":
                return True
            if frame.f_code.co_name == "request_body_to_args":
                return type(frame.f_locals["received_body"]).__name__ == "FormData"
        frame = frame.f_back
    return False


def _from_text(text: str) -> object:
    """Return the number or the bool that is written as `text` in JSON; any other text as it is."""
    if text[:1] not in "-0123456789tf" or text[-1:].isspace():
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):  # those of msgspec 0.19 are no ValueErrors
        return text
