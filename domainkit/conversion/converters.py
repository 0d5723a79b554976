"""Converters: cattrs hooks made from the nodes that messages use, to builtins that JSON can hold and back."""

import re
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Self, get_origin

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError, UnstructureStrategy
from cattrs.errors import AttributeValidationNote, IterableValidationNote

from domainkit._model.immutability import Frozen
from domainkit._model.internals import has_union_hook
from domainkit._model.reasons import reason_of
from domainkit._model.type_checks import describe, members
from domainkit._model.wrapper import Wrapper
from domainkit.conversion.classes import Options
from domainkit.conversion.derive import Derivation
from domainkit.conversion.derive import NaiveAsUtc as NaiveAsUtc
from domainkit.conversion.derive import ValueObjectSerializer as ValueObjectSerializer
from domainkit.conversion.hooks import has_structure_hook, has_unstructure_hook
from domainkit.conversion.limits import DEFAULT_LIMITS, shallow
from domainkit.conversion.nodes import MISSING, Node, Problems, json_kind
from domainkit.conversion.scalars import NAIVE_AS_UTC, SCALARS, Scalar
from domainkit.conversion.wrappers import DynamicNode
from domainkit.errors import DomainError, Problem

Hook = Callable[..., Any]  # Any: its parameters and result are only known at run time


def make_converter(*, unwrap_value_objects: bool = True, naive_as_utc: bool = False) -> Converter:
    """Return a cattrs converter between domain objects and builtins that JSON can hold.

    Value objects are unwrapped at every depth; ids, UUIDs, Decimals, dates, times and durations are text; datetimes are
    RFC 3339 with an offset; bytes are base64; sets are sorted lists; enums are their values; keys are text. Nothing is
    coerced: `"5"` isn't an int, `1` isn't a bool, and text isn't an array. The key of a field is the name of the
    constructor's parameter. A hook that you register yourself takes precedence.

    >>> from domainkit import Uuid, ValueObject
    >>> class Title(ValueObject[str]): ...
    >>> converter = make_converter()
    >>> converter.unstructure({"title": Title("Buy milk")}, dict[str, Title])
    {'title': 'Buy milk'}
    >>> converter.structure("Buy milk", Title)
    Title(value='Buy milk')
    >>> make_converter(unwrap_value_objects=False).unstructure(Title("Buy milk"))
    {'value': 'Buy milk'}

    Args:
        unwrap_value_objects: False keeps each value object as `{"value": ...}`, except in fields marked otherwise, with
            `Annotated[Title, ValueObjectSerializer]`, or with `ValueObject.serializer("title")` in the class body.
        naive_as_utc: read a datetime without an offset as UTC, which is how petisco writes it; see `NaiveAsUtc`.
    """
    converter = Converter(use_alias=True)
    configure_converter(converter, unwrap_value_objects=unwrap_value_objects, naive_as_utc=naive_as_utc)
    return converter


def configure_converter(converter: Converter, *, unwrap_value_objects: bool = True, naive_as_utc: bool = False) -> None:
    """Configure a converter of your own, such as a preconfigured one of cattrs, to convert as `make_converter` does.

    Scalars have their JSON form in every encoding, so that nothing is lost on the way: cattrs itself would pass a
    datetime to MessagePack as a float. A hook that you register for a class, before or after, takes precedence; of the
    hooks with a predicate, the last one registered does. The converter's options `forbid_extra_keys`,
    `omit_if_default` and `detailed_validation` apply.

    >>> from cattrs.preconf.json import make_converter as make_json_converter
    >>> from domainkit import Uuid
    >>> converter = make_json_converter()
    >>> configure_converter(converter)
    >>> converter.dumps(Uuid.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"))
    '"a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"'

    Args:
        converter: changed in place.
        unwrap_value_objects: as for `make_converter`.
        naive_as_utc: as for `make_converter`; needed for formats such as BSON, whose datetimes have no time zone.

    Raises:
        TypeError: the converter writes tuples (`unstruct_strat`), or has `type_overrides`, which would have no effect.
    """
    if converter.unstruct_strat is UnstructureStrategy.AS_TUPLE or converter.type_overrides:
        raise TypeError(
            "configure_converter: expected a converter that writes dicts, without type_overrides, got another; "
            "make it without these options, and register hooks for the classes that need them"
        )
    options = Options(keep=not unwrap_value_objects, lenient=True, naive_as_utc=naive_as_utc)
    _register_scalars(converter, NAIVE_AS_UTC if naive_as_utc else SCALARS)
    converter.register_structure_hook_factory(
        _Supported(converter, options, reads=True),
        lambda hint, converter: _reading(_node(hint, converter, options), hint, converter),
    )
    converter.register_unstructure_hook_factory(
        _Supported(converter, options, reads=False),
        lambda hint, converter: _writing(_node(hint, converter, options)),
    )


def _node(hint: object, converter: Converter, options: Options) -> Node:
    """Return the node of a type in a converter: as in messages, and also for types that only cattrs supports."""
    strict, brief = converter.forbid_extra_keys, bool(converter.omit_if_default)
    derivation = Derivation(attrs.evolve(options, forbid_unknown=strict, omit_default=brief), converter)
    return derivation.without_hook(hint, describe(hint))


class _Supported:
    """Predicate for cattrs: the types that the hooks of this library convert.

    They include an attrs class with an unsupported field: it is an error, which cattrs must not hide.
    """

    is_domainkits = True

    def __init__(self, converter: Converter, options: Options, *, reads: bool) -> None:
        self._converter, self._options, self._reads = converter, options, reads

    def __call__(self, hint: object) -> bool:
        if self._reads and has_union_hook(self._converter, hint):
            return False
        try:
            return not isinstance(_node(hint, self._converter, self._options), DynamicNode)
        except TypeError:
            some = [get_origin(member) or member for member in members(hint)]
            one = len(some) == 1  # cattrs distinguishes plain classes by their fields
            return any(isinstance(cls, type) and (attrs.has(cls) if one else issubclass(cls, Frozen)) for cls in some)


_LIMITS = attrs.evolve(DEFAULT_LIMITS, max_depth=sys.maxsize)
"""The limits of builtins: the depth isn't limited, since builtins were made by the caller, not by a sender."""


def _reading(node: Node, hint: object, converter: Converter) -> Hook:
    """Return the structure hook of a node; it accepts objects too, since some formats parse ids and datetimes."""

    def structure(data: object, _: object = None) -> object:
        problems = Problems(native=True)
        made = node.read(data, "$", problems) if shallow(data, _LIMITS, problems) else MISSING
        if made is MISSING:
            raise _structure_error(hint, data, problems, detailed=converter.detailed_validation)
        return made

    return structure


def _writing(node: Node) -> Hook:
    def unstructure(value: object) -> object:
        problems = Problems()
        made = node.write(value, "$", problems)
        if made is MISSING:
            found = problems[0]
            where = "" if found.path == "$" else f" at {found.path}"
            raise ValueError(f"expected {found.expected}{where}") from problems.causes.get(0)
        return made

    return unstructure


def _register_scalars(converter: Converter, scalars: Mapping[object, Scalar]) -> None:
    # look all of them up first, since cattrs uses the hook of a class for its subclasses: that of int for bool
    found = [(cls, has_structure_hook(converter, cls), has_unstructure_hook(converter, cls)) for cls in scalars]
    for cls, can_structure, can_unstructure in found:
        if not can_structure:
            converter.register_structure_hook(cls, _reading_scalar(scalars[cls], converter))
        if not can_unstructure:
            converter.register_unstructure_hook(cls, _writing(scalars[cls]))


def _reading_scalar(node: Scalar, converter: Converter) -> Hook:
    """Return the structure hook of a scalar; cattrs uses it for subclasses too, such as a StrEnum."""
    read = _reading(node, node.cls, converter)

    def structure(data: object, hint: Any) -> object:
        if isinstance(hint, type) and issubclass(hint, Enum):
            return _reading(Derivation().node(hint, hint.__qualname__), hint, converter)(data)
        value = read(data)
        return value if not isinstance(hint, type) or isinstance(value, hint) else hint(value)

    return structure


# Errors in the form that cattrs raises them, so that its `transform_error` shows the paths.

_STEP = re.compile(r"\.([^.\[]+)|\[(key )?([0-9*]+)\]")
_Step = tuple[str, str, str]  # the name of a field; or "key " for the key of an item, and the index of the item
_Found = tuple[list[_Step], "Expected", Exception]  # the steps to the problem, the expected type, and the error


class Expected(str):
    """The expected type of a value in words: cattrs shows it as the type in an error.

    Args:
        problem: the problem of the value.
    """

    __slots__ = ("problem",)

    problem: Problem

    def __new__(cls, problem: Problem) -> Self:
        made = super().__new__(cls, problem.expected)
        made.problem = problem
        return made

    def __repr__(self) -> str:
        return str(self)


def _structure_error(hint: object, data: object, problems: Problems, *, detailed: bool) -> Exception:
    """Return the error for data with these problems."""
    found: list[_Found] = []
    for number, problem in enumerate(problems):
        steps, cause = _STEP.findall(problem.path), problems.causes.get(number)
        value = data
        for step in steps:
            _, value = _at(value, step)
        kind = "nothing" if problem.code == "missing" else json_kind(value)
        error: Exception = ValueError(f"expected {problem.expected}, got {kind}")
        if cause is not None and reason_of(cause, value, data) is not None:  # None if its text shows the value
            error.__cause__ = cause
        root = not steps and isinstance(cause, DomainError)
        found.append((steps, Expected(problem), cause if root and cause is not None else error))
    return _grouped(describe(hint), hint, data, found) if detailed else found[0][2]


def _grouped(name: str, hint: object, data: object, found: list[_Found]) -> Exception:
    """Return the problems as exception groups of cattrs, nested along their paths."""
    if not found[0][0]:
        return found[0][2]
    by_step: dict[_Step, list[_Found]] = {}
    for (step, *rest), expected, error in found:
        by_step.setdefault(step, []).append((rest, expected, error))
    errors = []
    for step, inner in by_step.items():
        place, item = _at(data, step)
        made = _grouped(name, hint, item, inner)
        note = AttributeValidationNote if step[0] else IterableValidationNote
        made.add_note(note(f"Structuring {name}", place, inner[0][1]))  # type: ignore[arg-type]  # the place may be any key, and the type is in words here
        errors.append(made)
    group: Any = ClassValidationError if found[0][0][0][0] else IterableValidationError
    return group(f"While structuring {name}", errors, hint)  # type: ignore[no-any-return]  # cattrs' constructor has no types


def _at(data: Any, step: _Step) -> tuple[object, object]:
    """Return the name, index or key of a step, as cattrs shows it, and the data there."""
    name, is_key, index = step
    if name:
        return name, data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)
    data = data.value if isinstance(data, Wrapper) else data
    pairs = list(data.items() if isinstance(data, Mapping) else enumerate(data))
    place, item = pairs[int(index)]
    return place, place if is_key else item
