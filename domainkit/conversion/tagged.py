"""Unions of attrs classes, told apart by a tag that their author chose."""

from collections.abc import Mapping
from typing import Any, Union

from attrs import field, frozen

from domainkit._model.mapping import FrozenMapping
from domainkit.conversion.nodes import Function, Node, Problems, Refused, loader


@frozen(init=False)
class Tagged:
    """Says which class of a union a JSON object is.

    In `Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)]` the object has one key more, `kind`,
    that holds the name given here. The names are explicit, so that renaming a class changes nothing on the wire.

    >>> from attrs import frozen
    >>> @frozen
    ... class Card:
    ...     number: str
    >>> @frozen
    ... class Transfer:
    ...     iban: str
    >>> Tagged("kind", card=Card, transfer=Transfer).classes["card"] is Card
    True

    Args:
        key: the key of the tag.
        classes: the attrs classes by the name that stands for each.

    Raises:
        TypeError: there are fewer than two classes, or one has two names.
    """

    key: str
    classes: Mapping[str, type] = field()

    def __init__(self, key: str, /, **classes: type) -> None:
        if len(classes) < 2 or len(set(classes.values())) < len(classes):
            raise TypeError(
                f'Tagged({key!r}, ...): name each class of the union once, such as Tagged("kind", card=Card)'
            )
        self.__attrs_init__(key=key, classes=FrozenMapping(classes))  # pyright: ignore[reportAttributeAccessIssue]  # attrs' own


class TaggedNode(Node):
    """A tagged union: msgspec reads the tag, and its struct says which class it is."""

    kinds = frozenset({"object"})

    def __init__(self, tagged: Tagged, nodes: Mapping[str, Node]) -> None:
        self.key, self.nodes = tagged.key, dict(nodes)
        self.wire = Union[tuple(node.wire for node in nodes.values())]  # noqa: UP007  (known at run time only)
        self.expected = f"an object with {self.key!r} one of {', '.join(nodes)}"
        self.object_classes = tuple(cls for node in nodes.values() for cls in node.object_classes)
        self.levels = max(node.levels for node in nodes.values())
        self._dumps = {cls: node.dump for node in nodes.values() for cls in node.object_classes}
        self._loads: dict[type, Function] = {}
        self.load = self._load

    @property
    def wire_classes(self) -> tuple[type, ...]:  # type: ignore[override]  # a class inside itself is known later only
        """The structs of the members."""
        return tuple(cls for node in self.nodes.values() for cls in node.wire_classes)

    def _load(self, wire: Any) -> Any:
        load = self._loads.get(type(wire))
        if load is None:
            found = next(node for node in self.nodes.values() if type(wire) in node.wire_classes)
            load = self._loads[type(wire)] = loader(found)
        return load(wire)

    def dump(self, value: Any) -> Any:
        dump = self._dumps.get(type(value))
        if dump is None:
            raise Refused
        return dump(value)

    def read(self, data: object, path: str, problems: Problems) -> Any:
        if not isinstance(data, Mapping):
            return self.wrong_type(path, problems)
        if self.key not in data:
            return problems.add(f"{path}.{self.key}", self._names, "missing")
        tag = data[self.key]
        node = self.nodes.get(tag) if isinstance(tag, str) else None
        if node is None:
            return problems.add(f"{path}.{self.key}", self._names, "value" if isinstance(tag, str) else "type")
        return node.read(data, path, problems)

    @property
    def _names(self) -> str:
        return f"one of {', '.join(self.nodes)}"

    def write(self, value: object, path: str, problems: Problems) -> Any:
        for node in self.nodes.values():
            if type(value) in node.object_classes:
                return node.write(value, path, problems)
        return problems.add(path, " or ".join(cls.__qualname__ for cls in self.object_classes), "type")
