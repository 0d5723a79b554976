"""Constructors that are generated for frozen classes: what attrs' own do, in less time.

The constructor that attrs writes for a frozen class sets each field by its name, through `object.__setattr__`. Those
made here set the slot itself.
"""

from functools import update_wrapper
from types import MemberDescriptorType
from typing import Any

import attrs

from domainkit._model.mapping import frozen_copy
from domainkit._speedups.slots import Init, compiled_filler

HOOKS = ("__attrs_pre_init__", "__attrs_post_init__")
"""What attrs calls around its constructor, where a class has it."""

SOUND_DEFAULT = "domainkit.sound_default"
"""The key of a field's metadata that says: its validator has nothing to find in its default."""

_NO_FIELDS = frozenset({"__weakref__", "__dict__"})


def slotted_init(cls: type, init: Init, mappings: tuple[str, ...]) -> Init | None:
    """Return a constructor that does what `init`, written by attrs, does; None where that is more than to set slots.

    Of the mappings in the fields `mappings` it keeps read-only copies, once the validators have seen them. It is
    generated at its first call, and takes its own place then: a class that is only imported need not wait for it.
    """
    if not _sets_slots_alone(cls):
        return None
    made: Init | None = None

    def __init__(self: object, *args: object, **kwargs: object) -> None:
        nonlocal made
        if made is None:
            made = _generated(cls, init, mappings)
        if cls.__dict__["__init__"] is late:  # else somebody has put a wrapper around it
            set_init(cls, made)
        made(self, *args, **kwargs)

    late = update_wrapper(__init__, init)
    return late


def set_init(cls: type, init: Init) -> None:
    """Give `cls` the constructor `init`."""
    type.__setattr__(cls, "__init__", init)


def _generated(cls: type, init: Init, mappings: tuple[str, ...]) -> Init:
    fields = attrs.fields(cls)
    tail = "_" * max((len(_key(one)) for one in fields), default=0)  # so that no parameter has one of these names
    names: dict[str, object] = {f"disabled{tail}": attrs.validators.get_disabled, f"copied{tail}": frozen_copy}
    parameters, keywords, body = ["self"], ["*"], _Body()
    for number, one in enumerate(fields):
        mark = f"{number}{tail}"
        names |= _parts(cls, one, mark)
        (keywords if one.kw_only else parameters).append(_parameter(one, mark))
        body.add(one, mark, tail, copied=one.name in mappings)
    fill = None if any(map(takes_self, fields)) else compiled_filler(tuple(getattr(cls, one.name) for one in fields))
    if fill is not None:
        names[f"fill{tail}"] = fill
        body.sets = [f"fill{tail}(self, {', '.join(body.values)})"]
    signature = ", ".join(parameters + (keywords if keywords[1:] else []))
    return update_wrapper(_compiled(f"def __init__({signature}):", body, names), init)


def _compiled(head: str, body: "_Body", names: dict[str, object]) -> Init:
    text = "\n    ".join([head, *body.sets, *body.checks, *body.copies, "return"])
    exec(compile(text, "<domainkit constructor>", "exec"), names)  # noqa: S102  # source of our own, as in attrs
    made: Init = names["__init__"]  # type: ignore[assignment]  # the function that the text defines
    return made


class _Body:
    """The lines of a constructor, in the order of attrs: all fields are set before the first validator runs."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.sets: list[str] = []
        self.checks: list[str] = []
        self.copies: list[str] = []

    def add(self, one: "attrs.Attribute[Any]", mark: str, tail: str, *, copied: bool) -> None:
        """Add the lines for a field."""
        self.values.append(_value(one, mark))
        self.sets.append(f"set{mark}(self, {self.values[-1]})")
        if one.validator is not None:
            given = f"{_key(one)} is not default{mark} and " if SOUND_DEFAULT in one.metadata else ""
            check = f"validator{mark}(self, attribute{mark}, self.{one.name})"
            self.checks.append(f"if {given}not disabled{tail}(): {check}")
        if copied:
            self.copies.append(f"set{mark}(self, copied{tail}(self.{one.name}))")


def _sets_slots_alone(cls: type) -> bool:
    """Tell whether the constructor of attrs sets the slots of the fields, runs their validators, and nothing else."""
    fields = attrs.fields(cls)
    slots = {name for base in cls.__mro__ for name in base.__dict__.get("__slots__", ())}
    more = slots - _NO_FIELDS - {one.name for one in fields}  # such as that of a cached hash
    hooked = any(hasattr(cls, hook) for hook in HOOKS)
    simple = "__slots__" in cls.__dict__ and not more and not hooked and not issubclass(cls, BaseException)
    return simple and all(
        one.init and one.converter is None and isinstance(getattr(cls, one.name, None), MemberDescriptorType)
        for one in fields
    )


def _key(one: "attrs.Attribute[Any]") -> str:
    """Return the name of the field's parameter."""
    return one.alias or one.name


def _factory(one: "attrs.Attribute[Any]") -> Any:  # Any: attrs types it as what it makes
    return one.default if isinstance(one.default, attrs.Factory) else None  # type: ignore[arg-type]  # a class, though the stubs call it a function


def takes_self(one: "attrs.Attribute[Any]") -> bool:
    """Tell whether the field's default is made of the object, as far as that is set."""
    return bool(getattr(one.default, "takes_self", False))


def _parts(cls: type, one: "attrs.Attribute[Any]", mark: str) -> dict[str, object]:
    """Return what the constructor needs of a field, by the names that it has there."""
    factory = _factory(one)
    return {
        f"set{mark}": getattr(cls, one.name).__set__,
        f"default{mark}": attrs.NOTHING if factory else one.default,
        f"factory{mark}": factory and factory.factory,
        f"validator{mark}": one.validator,
        f"attribute{mark}": one,
    }


def _parameter(one: "attrs.Attribute[Any]", mark: str) -> str:
    return _key(one) if one.default is attrs.NOTHING else f"{_key(one)}=default{mark}"


def _value(one: "attrs.Attribute[Any]", mark: str) -> str:
    factory = _factory(one)
    if factory is None:
        return _key(one)
    return f"factory{mark}({'self' if takes_self(one) else ''}) if {_key(one)} is default{mark} else {_key(one)}"
