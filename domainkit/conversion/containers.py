"""The cattrs hooks of tuples, frozensets and mappings: text is no array, and no item is lost without a word."""

import collections.abc
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

import msgspec
from cattrs import Converter
from cattrs.errors import IterableValidationError, IterableValidationNote

from domainkit._model.mapping import FrozenMapping
from domainkit.conversion.derive import Derivation, UnsupportedTypeError
from domainkit.conversion.hooks import Hook
from domainkit.conversion.nodes import json_kind

Copy = Callable[[Converter], Converter]  # returns the converter for the keys of a mapping
Step = tuple[object, Hook, Any, Any]  # where, the hook, the data and the type for it

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)


def is_array(hint: object) -> bool:
    """Tell whether JSON has an array for the type."""
    return get_origin(hint) in (tuple, frozenset)


def is_frozenset(hint: object) -> bool:
    """Tell whether the type is `frozenset[X]`."""
    return get_origin(hint) is frozenset


def is_fixed_tuple(hint: object) -> bool:
    """Tell whether the type is a tuple of just so many items."""
    return get_origin(hint) is tuple and get_args(hint)[1:] != (...,)


def unstructure_fixed_tuple(hint: Any, converter: Converter) -> Hook:
    """Return the hook that writes `tuple[X, Y]` as a list; cattrs keeps it a tuple."""
    hooks = [converter.get_unstructure_hook(item) for item in get_args(hint)]
    return lambda value: [hook(entry) for hook, entry in zip(hooks, value, strict=True)]


def is_mapping(hint: object) -> bool:
    """Tell whether the type is `Mapping[K, V]` or `dict[K, V]`."""
    return get_origin(hint) in (collections.abc.Mapping, dict)


def sorted_list(hint: Any, converter: Converter) -> Hook:
    """Return the hook that writes a frozenset as a list in the order of its items' JSON."""
    (item,) = get_args(hint)
    unstructure = converter.get_unstructure_hook(item)
    return lambda value: sorted([unstructure(entry) for entry in value], key=_json)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=repr)  # of another encoding's own values, their text


def structure_array(hint: Any, converter: Converter) -> Hook:
    """Return the hook that reads `tuple[X, ...]`, `tuple[X, Y]` or `frozenset[X]`."""
    collection: Any = get_origin(hint)
    variadic = collection is frozenset or get_args(hint)[1:] == (...,)
    items = get_args(hint)[:1] if variadic else get_args(hint)
    hooks = [converter.get_structure_hook(item) for item in items]

    def structure(data: Any, _: object = None) -> Any:
        if not isinstance(data, list | tuple):
            raise ValueError(f"expected an array for {hint}, not this {json_kind(data)}")  # noqa: TRY004  (data, no argument)
        if not variadic and len(data) != len(items):
            raise ValueError(f"expected {len(items)} items for {hint}, not {len(data)}")
        types = ((hooks[0], items[0]) for _ in data) if variadic else zip(hooks, items, strict=True)
        steps = ((at, hook, entry, item) for (at, entry), (hook, item) in zip(enumerate(data), types, strict=True))
        made = collection(_structured(steps, hint, "@ index", converter))
        if len(made) != len(data):
            raise ValueError(f"an item stands twice in {hint}")
        return made

    return structure


def _structured(steps: Iterable[Step], hint: Any, where: str, converter: Converter) -> list[Any]:
    """Return what the hooks make; where some fail, raise as cattrs does in its own collections, with the place."""
    if not converter.detailed_validation:
        return [hook(entry, item) for _, hook, entry, item in steps]
    made: list[Any] = []
    errors: list[Exception] = []
    for place, hook, entry, item in steps:
        try:
            made.append(hook(entry, item))
        except Exception as error:
            error.add_note(IterableValidationNote(f"Structuring {hint} {where} {place!r}", place, item))  # type: ignore[arg-type]  # any key has a place
            errors.append(error)
    if errors:
        raise IterableValidationError(f"While structuring {hint}", errors, hint)  # pyright: ignore[reportCallIssue]  # untyped there
    return made


def unstructure_mapping(hint: Any, converter: Converter, keys: Copy) -> Hook:
    """Return the hook that writes a mapping with text keys, as JSON has them."""
    key, item = get_args(hint)
    unstructure_key, unstructure = keys(converter).get_unstructure_hook(key), converter.get_unstructure_hook(item)

    def text(name: object) -> object:
        made = unstructure_key(name)
        return str(made) if type(made) is int else made

    return lambda value: {text(name): unstructure(entry) for name, entry in value.items()}


def structure_mapping(hint: Any, converter: Converter, keys: Copy) -> Hook:
    """Return the hook that reads a mapping; a `Mapping` becomes read-only."""
    collection: Any = FrozenMapping if get_origin(hint) is collections.abc.Mapping else dict
    key, item = get_args(hint)
    structure_key, structure_item = keys(converter).get_structure_hook(key), converter.get_structure_hook(item)
    integers = _are_integers(key)

    def key_of(name: object, _: object) -> object:
        is_text = integers and isinstance(name, str) and _INTEGER.fullmatch(name)
        return structure_key(int(name) if is_text else name, key)  # type: ignore[call-overload]  # text, as just seen

    def structure(data: Any, _: object = None) -> Any:
        if not isinstance(data, Mapping):
            raise ValueError(f"expected an object for {hint}, not this {json_kind(data)}")  # noqa: TRY004  (as above)
        names = _structured([(name, key_of, name, key) for name in data], hint, "mapping key @", converter)
        steps = [(name, structure_item, entry, item) for name, entry in data.items()]
        made = collection(zip(names, _structured(steps, hint, "mapping value @ key", converter), strict=True))
        if len(made) != len(data):
            raise ValueError(f"two keys are one in {hint}")
        return made

    return structure


def _are_integers(key: object) -> bool:
    try:
        return Derivation().node(key, str(key)).kinds == {"int"}
    except UnsupportedTypeError:  # a class with hooks of its own, then
        return False
