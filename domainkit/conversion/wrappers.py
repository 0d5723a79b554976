"""The nodes around other nodes: value objects, constraints, a user's own hooks, types that contain themselves."""

import math
from collections.abc import Mapping
from functools import cached_property
from types import UnionType
from typing import Annotated, Any, ForwardRef, Union, get_args, get_origin

import attrs
import msgspec

from domainkit._model.internals import MAX_LENGTH, MIN_LENGTH, NUMBER, PATTERN
from domainkit._model.mapping import freeze_json
from domainkit._model.numbers import is_multiple
from domainkit._model.reasons import reason_of
from domainkit._model.type_checks import bare, describe
from domainkit._model.validators import flattened
from domainkit._model.wrapper import VALUE, Wrapper
from domainkit._speedups.code import Code, Function
from domainkit._speedups.slots import add_object, maker
from domainkit.conversion.making import (
    UNCHANGED,
    add_checks,
    add_unchanged_check,
    is_unchanged,
    needs_constructor,
)
from domainkit.conversion.nodes import (
    ANY_KIND,
    MISSING,
    ByHand,
    Node,
    Problems,
    Refused,
    Samples,
    Schema,
    Schemas,
    Strategy,
    refuse_unless,
)
from domainkit.conversion.scalars import Scalar
from domainkit.errors import DomainError, Problem


def refused_by(cls: type, error: Exception, seen: tuple[object, ...], path: str, problems: Problems) -> object:
    """Note that a constructor refused values, with the reason it gave, unless the reason repeats one of the values."""
    return _refused_for(cls, error, reason_of(error, *seen), path, problems)


def _refused_for(cls: type, error: Exception, reason: str | None, path: str, problems: Problems) -> object:
    name = cls.__qualname__
    text = f"{name} ({type(error).__qualname__})" if reason is None else f"{name}: {reason.removeprefix(f'{name}: ')}"
    return problems.add(path, f"a valid {text}", "value", error)


class ValueObjectNode(Node):
    """A value object, written as the value that it wraps."""

    def __init__(self, cls: "type[Wrapper[Any]]", hint: object, inner: Node) -> None:
        self.cls: type[Wrapper[Any]] = cls
        self.hint: object = hint
        self.inner: Node = inner
        self.attribute: attrs.Attribute[Any] = attrs.fields(cls).value
        super().__init__(
            inner.wire,
            f"{cls.__qualname__} ({inner.expected})",
            inner.kinds,
            object_classes=(cls,),
            levels=inner.levels,
            shape=inner.shape,
        )

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The wire classes of the wrapped value, looked up late: a class may contain itself."""
        return self.inner.wire_classes

    def load_lines(self, code: Code, wire: str) -> str:
        inner = self.inner.load_lines(code, wire)
        if needs_constructor(self.cls):
            return f"{code.name(self.cls, 'cls')}({inner})"
        value = inner if inner.isidentifier() else code.variable("value")
        if value is not inner:
            code.add(f"{value} = {inner}")
        made = add_object(code, self.cls, (VALUE,), (value,))
        add_checks(code, self.attribute, made, value)
        return made

    def dump_lines(self, code: Code, value: str) -> str:
        refuse_unless(code, f"type({value}) is {code.name(self.cls, 'cls')}")
        converts = self.attribute.converter is not None
        if isinstance(self.inner, Scalar) and self.inner.sure and not converts:  # the constructor has checked the class
            return f"{value}.value"
        inner = code.variable("inner")
        code.add(f"{inner} = {value}.value")
        add_unchanged_check(code, self.attribute, value, inner)
        return self.inner.dump_lines(code, inner)

    def read(self, data: object, path: str, problems: Problems) -> object:
        if problems.native and type(data) is self.cls:
            checked = get_origin(self.hint) is not None  # the constructor doesn't check the argument of a generic class
            return MISSING if checked and self.write(data, path, problems) is MISSING else data
        before = len(problems)
        value = self.inner.read(data, path, problems)
        if value is not MISSING:
            return self._made(value, path, problems)
        for index in range(before, len(problems)):
            if problems[index].path == path:
                problems[index] = Problem(path, self.expected, problems[index].code)
        return MISSING

    def _made(self, value: object, path: str, problems: Problems) -> object:
        """Return the value object; MISSING if its constructor refuses the value."""
        if self._make is not None and not problems.native:  # a converter shows the error of the constructor as a cause
            made = self._make(value)
            try:
                for validator in self._validators:
                    validator(made, self.attribute, value)
            except DomainError as error:
                return refused_by(self.cls, error, (value,), path, problems)
            except Exception as error:  # whatever a validator raises is a refusal of this value
                reason = reason_of(error, value) or f"a validator refused the value ({type(error).__qualname__})"
                return _refused_for(self.cls, error, reason, path, problems)
            return made
        try:
            return self.cls(value)
        except Exception as error:  # as above
            return refused_by(self.cls, error, (value,), path, problems)

    @cached_property
    def _make(self) -> Function | None:
        """Makes the value object without its constructor, which would make an error of its own for a refusal.

        None if the constructor does more than to set the slot and to run the validators; or if it has to check the type
        of the value, as after a user's own hook.
        """
        makes_more = needs_constructor(self.cls) or not isinstance(self.inner, Scalar)
        return None if makes_more else maker(self.cls, VALUE.__name__)

    @cached_property
    def _validators(self) -> tuple[Function, ...]:
        return flattened(self.attribute.validator)

    def write(self, value: object, path: str, problems: Problems) -> object:
        if type(value) is not self.cls:
            return problems.add(path, self.cls.__qualname__, "type")
        if not is_unchanged(self.attribute, value, value.value):
            return problems.add(path, UNCHANGED, "value")
        return self.inner.write(value.value, path, problems)

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.named(self.hint, lambda: self._schema(schemas))

    def _schema(self, schemas: Schemas) -> Schema:
        if not self.cls._is_secret:
            return schemas.constrained(self.inner, self.attribute.validator)
        rules = [one for one in flattened(self.attribute.validator) if type(one) in _REVEALING_NO_VALUE]
        made = schemas.constrained(self.inner, attrs.validators.and_(*rules))
        if made.get("type") == "string":
            made.setdefault("format", "password")
        made["writeOnly"] = True  # in place: it may be a reference, which is completed at the end
        return made

    def samples(self, samples: Samples) -> Strategy:
        return samples.made(self.cls, {"value": samples.constrained(self.inner, self.attribute.validator)})


_REVEALING_NO_VALUE = frozenset({MIN_LENGTH, MAX_LENGTH, NUMBER, PATTERN})
"""The validators that the schema of a secret may include: `in_` would list the values."""


class KeptNode(ByHand):
    """A value object as an object with one key, `value`, for converters that keep value objects.

    Its kinds include the JSON kind under that key, so that a union can distinguish two such objects.
    """

    def __init__(self, node: ValueObjectNode) -> None:
        self.node: ValueObjectNode = node
        expected, kinds = f'{{"value": ...}} for {node.cls.__qualname__}', frozenset(map(kept_kind, node.kinds))
        super().__init__(Any, expected, kinds, object_classes=node.object_classes)

    def read(self, data: object, path: str, problems: Problems) -> object:
        if problems.native and type(data) is self.node.cls:
            return self.node.read(data, path, problems)
        if not isinstance(data, Mapping) or "value" not in data:
            return self.wrong_type(path, problems)
        return self.node.read(data["value"], path, problems)

    def write(self, value: object, path: str, problems: Problems) -> object:
        wire = self.node.write(value, path, problems)
        return wire if wire is MISSING else {"value": wire}


def kept_kind(kind: str) -> str:
    """Return the kind of a kept value object whose value has this JSON kind."""
    return f"object with a value: {kind}"


_SIZED = frozenset({"array", "object"})
_RESTRICTIONS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")
"""The attributes of a `msgspec.Meta` that restrict a value; the others only describe it."""


class ConstrainedNode(Node):
    """The node of `Annotated[X, msgspec.Meta(...)]`: X, whose wire form must meet a constraint.

    A float `multiple_of` is checked here, in decimal digits: msgspec divides in binary, so that for it 1.1 isn't a
    multiple of 0.01.
    """

    def __init__(self, inner: Node, constraints: list[msgspec.Meta]) -> None:
        self.inner: Node = inner
        self.constraints: tuple[msgspec.Meta, ...] = tuple(constraints)
        self._steps = tuple(step for meta in constraints if type(step := meta.multiple_of) is float)
        wire, shape = inner.wire, inner.shape
        for constraint in map(_without_float_step, constraints):
            wire, shape = _with(wire, constraint), _with(shape, constraint)
        self._decoder = msgspec.json.Decoder(shape)
        super().__init__(
            wire,
            f"{inner.expected} within its constraints",
            inner.kinds,
            object_classes=inner.object_classes,
            levels=inner.levels,
            same=inner.same and not self._steps,
            shape=shape,
        )
        self._restricts = any(getattr(meta, name) is not None for meta in self.constraints for name in _RESTRICTIONS)

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The wire classes of the constrained type."""
        return self.inner.wire_classes

    def _admits(self, wire: Any) -> bool:
        if not self._restricts:
            return True
        if self.kinds <= _SIZED:  # only lengths apply to these, and encoding all items would take long
            size = len(wire)
            return all(
                (one.min_length or 0) <= size <= (size if one.max_length is None else one.max_length)
                for one in self.constraints
            )
        try:
            self._decoder.decode(msgspec.json.encode(wire))
        except (TypeError, ValueError, msgspec.ValidationError):  # a constraint is broken, or encoding isn't possible
            return False
        return all(is_multiple(wire, step) for step in self._steps)

    def _checked(self, wire: Any) -> Any:
        if not self._admits(wire):
            raise Refused
        return wire

    def load_lines(self, code: Code, wire: str) -> str:
        for step in self._steps:
            refuse_unless(code, f"{code.name(is_multiple, 'is_multiple')}({wire}, {step!r})")
        return self.inner.load_lines(code, wire)

    def dump_lines(self, code: Code, value: str) -> str:
        wire = self.inner.dump_lines(code, value)
        return f"{code.name(self._checked, 'checked')}({wire})" if self._restricts else wire

    def read(self, data: object, path: str, problems: Problems) -> object:
        before, value = len(problems), self.inner.read(data, path, problems)
        if value is MISSING:
            return MISSING
        wire = self.inner.write(value, path, problems) if problems.native else data  # native data may be an object
        return value if len(problems) == before and self._admits(wire) else problems.add(path, self.expected, "value")

    def write(self, value: object, path: str, problems: Problems) -> object:
        wire = self.inner.write(value, path, problems)
        return wire if wire is MISSING or self._admits(wire) else problems.add(path, self.expected, "value")

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.constrained(self.inner, self.constraints)

    def samples(self, samples: Samples) -> Strategy:
        strategy = samples.constrained(self.inner, self.constraints)
        return strategy.filter(lambda value: self.write(value, "$", Problems(1)) is not MISSING)


def _with(wire: Any, constraint: msgspec.Meta) -> Any:
    """Return the wire type with a constraint; for a float, which is `int | float` on the wire, both members get it."""
    members = get_args(wire) if get_origin(wire) in (Union, UnionType) else ()
    if {bare(member) for member in members} != {int, float}:
        return Annotated[wire, constraint]
    return Union[tuple(Annotated[member, constraint] for member in members)]  # noqa: UP007  # known at run time only


def _without_float_step(meta: msgspec.Meta) -> msgspec.Meta:
    if type(meta.multiple_of) is not float:
        return meta
    rest = {name: found for name in (*_RESTRICTIONS, *_DESCRIPTIONS) if (found := getattr(meta, name)) is not None}
    del rest["multiple_of"]
    return msgspec.Meta(**rest)


_DESCRIPTIONS = ("title", "description", "examples", "extra_json_schema", "extra")


class HookNode(ByHand):
    """A type that a user's own cattrs hooks convert: any JSON, checked by the hooks alone.

    Args:
        hint: the type.
        hooks: the user's structure hook and unstructure hook, each None if there is none.
        derived: the node of the type without the hooks, used for the direction that has no hook.
        classes: the classes of the objects; empty if they can be of any class.
        json: whether the unstructure hook must return JSON.
    """

    def __init__(
        self,
        hint: object,
        hooks: tuple[Function | None, Function | None],
        *,
        derived: Node | None = None,
        classes: tuple[type, ...] = (),
        json: bool = True,
    ) -> None:
        self.hint: object = hint
        self._name, self._json = describe(hint), json
        super().__init__(
            Any, f"{self._name}, as its own hook reads it", ANY_KIND, object_classes=classes, levels=math.inf
        )
        (self._structure, self._unstructure), self._derived = hooks, derived

    def read(self, data: object, path: str, problems: Problems) -> object:
        if self._structure is None:
            return self._derived.read(data, path, problems)  # type: ignore[union-attr]  # without a hook it is a node
        try:
            return self._structure(data)
        except Exception as error:  # whatever the hook raises
            return problems.add(path, self.expected, "value", error)

    def write(self, value: object, path: str, problems: Problems) -> object:
        if self.object_classes and not isinstance(value, self.object_classes):
            return problems.add(path, self._name, "type")
        if self._unstructure is None:
            return self._derived.write(value, path, problems)  # type: ignore[union-attr]  # as above
        try:
            wire = self._unstructure(value)
            return freeze_json(wire) if self._json else wire
        except Exception as error:  # whatever the hook raises, or TypeError for a value that isn't JSON
            expected = f"JSON values from the hook for {self._name} ({type(error).__qualname__})"
            return problems.add(path, expected, "value", error)

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.about(self.hint)

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.from_type(self.hint)


class DynamicNode(ByHand):
    """A value of any type, in a converter: written according to its class, and read unchanged if that is possible.

    Args:
        hint: the type, such as Any or a type variable.
        convert: writes a value according to its class.
        missing: the type, in words, that reading would need; None if a value is read unchanged.
    """

    def __init__(self, hint: object, convert: Function, missing: str | None) -> None:
        super().__init__(Any, "a value of any type", ANY_KIND)
        self.hint: object = hint
        self._convert, self._missing = convert, missing

    def read(self, data: object, path: str, problems: Problems) -> object:
        return data if self._missing is None else problems.add(path, self._missing, "type")

    def write(self, value: object, path: str, problems: Problems) -> object:  # noqa: ARG002  # errors aren't noted
        return self._convert(value)


class Delegate(Node):
    """A node in place of another, `target`, which is set later."""

    target: Node

    def read(self, data: object, path: str, problems: Problems) -> object:
        return self.target.read(data, path, problems)

    def write(self, value: object, path: str, problems: Problems) -> object:
        return self.target.write(value, path, problems)

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.schema(self.target)

    def samples(self, samples: Samples) -> Strategy:
        return samples.of(self.target)


_AnyObject = msgspec.defstruct("AnyObject", ())


class StandIn(Delegate):
    """Placeholder for the node of a class inside the class itself, while that node is made and afterwards.

    Args:
        cls: the class.
        reference: the name by which msgspec finds the struct.
    """

    def __init__(self, cls: type, reference: str) -> None:
        self.reference: str = reference
        super().__init__(
            ForwardRef(reference),
            cls.__qualname__,
            frozenset({"object"}),
            object_classes=(cls,),
            levels=math.inf,
            shape=_AnyObject,
        )

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The struct of the class."""
        return self.target.wire_classes

    @cached_property
    def load(self) -> Function:
        """The target's `load`, looked up at each call."""
        return lambda wire: self.target.load(wire)  # noqa: PLW0108  # the target is set later

    @cached_property
    def dump(self) -> Function:
        """The target's `dump`, looked up at each call."""
        return lambda value: self.target.dump(value)  # noqa: PLW0108  # as above


class RecursiveAlias(ByHand, Delegate):
    """An alias that contains itself, such as `type Json = str | tuple[Json, ...]`: any JSON for msgspec."""

    def __init__(self, alias: object) -> None:
        self.hint: object = alias
        self.expected: str = str(alias)
        self.levels: float = math.inf
        self.same: bool = False
        self.shape: Any = Any
        self.met: bool = False
        """True once the alias is found inside itself."""
        self.kinds: frozenset[str] = ANY_KIND
        self.object_classes: tuple[type, ...] = ()

    def schema(self, schemas: Schemas) -> Schema:
        return schemas.named(self.hint, lambda: schemas.schema(self.target))
