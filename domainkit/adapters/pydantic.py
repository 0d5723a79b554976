"""Value objects, ids and other types of the domain as fields of pydantic models (extra `pydantic`).

    class TaskBody(pydantic.BaseModel):
        title: Title
        owner: UserId | None = None
        price: Annotated[Money, DomainType]

Value objects need no marker: pydantic finds this module by itself. `DomainType` marks a field of any other type with a
wire form, such as an attrs class of several fields.

A field takes an instance of exactly its class, the wrapped value, or the JSON form (text for an id, a date or a
Decimal), in Python mode too, since FastAPI validates builtins. Nothing is coerced. Each problem has its path and the
reason of the value object, without the value. Value objects are dumped unwrapped, in the JSON form of this library. The
JSON Schema is that of the wrapped type, with the rules that JSON Schema can express.

A parameter of a FastAPI route (path, query, header, cookie, form) is text: numbers and booleans are parsed from
it as from JSON.
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
    """Return the pydantic core schema of a value object class.

    Args:
        cls: the class.
        source: the class, perhaps with type arguments. Without them, a generic class takes only its instances.
        handler: pydantic's.

    Raises:
        UnsupportedTypeError: the wrapped type has no JSON form; or it is a secret, and the field isn't InPlainText.
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
    """Return the pydantic core schema of a secret, or of a union or collection with secrets.

    Args:
        mark: the marker InPlainText: in JSON mode the secrets are plain text. In Python mode they remain objects.
        source: the annotated type.
        handler: pydantic's.

    Raises:
        UnsupportedTypeError: the type has no secret, or no JSON form.
    """
    return _schema_of(Annotated[source, mark], describe(source), handler)


def _schema_of(hint: Any, name: str, handler: GetCoreSchemaHandler) -> CoreSchema:  # Any: as above
    derivation = Derivation()
    node = derivation.node(hint, name)
    return _schema(node, _Reader(node, name, node.expected, secret=bool(derivation.secrets)), handler)


class _DomainType:
    """Marker of a field of any type with a JSON form."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # Any: a type
        """Return the pydantic core schema of the type."""
        return _schema_of(source, describe(source), handler)


DomainType: Final = _DomainType()
"""Marker for a field of a pydantic model that takes the data of `parse`, such as `Annotated[Money, DomainType]`.

It works for any type with a wire form: a frozen attrs class of several fields, a tagged union of them, a mapping. In
Python mode the object is dumped unchanged, in JSON mode in the JSON form of this library.
"""


def _schema(node: Node, read: "_Reader", handler: GetCoreSchemaHandler) -> CoreSchema:
    described = handler.generate_schema(_described(node))
    serialization = core_schema.plain_serializer_function_ser_schema(
        partial(_dumped, node, read.name), info_arg=True, return_schema=described
    )
    python = core_schema.with_info_plain_validator_function(read, json_schema_input_schema=described)
    if node.kinds != {"int"} or read.secret:
        return {**python, "serialization": serialization}
    # a key in JSON is text, which pydantic reads as an integer only for its own int schema
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
    """Return a type that accepts anything, with the JSON Schema of the node."""
    definitions = Definitions(_ROOT)
    schema = definitions.schema(node)
    return Annotated[Any, WithJsonSchema(_inlined(schema, definitions.finish()))]


def _inlined(part: Any, named: Mapping[str, Any], within: tuple[str, ...] = ()) -> Any:  # Any: JSON values
    """Return a part of a schema with each reference inlined: pydantic manages the definitions of a document itself."""
    if isinstance(part, list):
        return [_inlined(item, named, within) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _inlined(item, named, within) for key, item in part.items() if key != "$ref"}
    name = part.get("$ref", "").removeprefix(_ROOT)
    if not name:
        return found
    # a recursive class is described once: deeper levels may be anything
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
        secret: True if the type has secrets: its errors then don't show the input.
    """

    def __init__(self, node: Node, name: str, expected: str, *, secret: bool = False) -> None:
        self.secret: bool = secret
        self.name: str = name
        self.misfit: str = f"{name}: expected {expected}"
        self._node = node

    def __call__(self, data: object, info: ValidationInfo) -> object:
        """Return the object for data; raise ValidationError with each problem's path and reason, but no data."""
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
    """Return the path of a problem in pydantic's form; a key of a mapping by its position."""
    parts = (match[1] or (match[2] if match[2] == "*" else int(match[2])) for match in _STEP(path))
    return (*parts, "[key]") if "[key " in path else (*parts,)


def _is_parameter() -> bool:
    """Check if FastAPI is reading a parameter or form field, which is text, rather than a JSON body.

    FastAPI doesn't pass that to validators, so this looks for its functions in the stack; they have the same names in
    0.120.1 and 0.165. With other names, text would be refused if a number is expected.
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
    """Parse text as a JSON number or boolean; return any other text unchanged."""
    if text[:1] not in "-0123456789tf" or text[-1:].isspace():
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):  # msgspec 0.19's errors are not ValueErrors
        return text
